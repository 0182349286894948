"""One AWS on this machine with programs deployed onto it and their APIs served, all of it gone when it is closed."""

from __future__ import annotations

import contextlib
import json
import os
import re
import threading
import time
from collections import deque
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any, Self

from lib.archive import sources
from lib.contracts import STACKS
from lib.local.deploy import deploy
from lib.local.emulator import REGION, Emulator, scrubbed
from lib.local.gateway import Api, Exchange, Functions, Listener, Route
from lib.local.http_api import HttpApi
from lib.local.nursery import nursery
from lib.local.rest_api import RestApi
from lib.local.types import archive
from lib.local.types.core import Aws
from lib.local.watch import BrokenFile, broken, function_files, program_files
from lib.program import ROOT, Program

_REMEMBERED = 200  # exchanges
_URL = re.compile(r"https://([a-z0-9.-]+)(/\S*)?")
_OWN_HOST = re.compile(r"([a-z0-9]+)\.execute-api\.([a-z0-9-]+)\.amazonaws\.com")


class SessionError(RuntimeError):
    """What was asked for cannot be done; the message says why and what to do next."""


def programs(*, single: bool = False, system: str | None = None) -> list[Program]:
    """The programs to deploy, in order: the four stacks, TapStack alone, or one of the systems."""
    if system is not None:
        found = sorted(path.parent.name for path in (ROOT / "systems").glob("*/Pulumi.yaml"))
        if system not in found:
            raise SessionError(f"there is no system {system!r}; there is {', '.join(found) or 'none'}")
        return [Program(ROOT / "systems" / system)]
    return [Program(ROOT)] if single else [Program(ROOT / contract.directory) for contract in STACKS]


class Session:
    """A running emulator, what was deployed onto it, and the listeners that serve its APIs.

    `config` overrides the programs' committed configuration. `on_exchange` is called for each answered request and
    `on_event` for each step of a deploy.
    """

    def __init__(
        self,
        chosen: list[Program],
        *,
        stack: str,
        port: int = 0,
        keep: Path | None = None,
        config: Mapping[str, str] | None = None,
        on_exchange: Callable[[Exchange], None] = lambda _: None,
        on_event: Callable[[Any], None] = lambda _: None,
        on_death: Callable[[str], None] | None = None,
    ) -> None:
        self.programs, self.stack = chosen, stack
        self.exchanges: deque[Exchange] = deque(maxlen=_REMEMBERED)
        self.listeners: dict[str, Listener] = {}
        self._config = dict(config or {})
        self.region = {**chosen[0].config(stack), **self._config}.get("aws:region", REGION)
        self.emulator = Emulator(region=self.region, keep=keep, on_death=on_death)
        self._port = port
        self._on_exchange, self._on_event = on_exchange, on_event
        self._outputs: dict[str, Mapping[str, Any]] = {}
        self._secrets: dict[str, frozenset[str]] = {}
        self._recording = threading.Lock()
        self._answered = 0

    def open(self) -> None:
        """Start the emulator, deploy the programs, and serve their APIs."""
        nursery()  # it loads while the emulator starts
        self.emulator.start()
        self.aws = Aws(self.emulator.endpoint, self.region)
        self.deploy(self.programs)

    def __enter__(self) -> Self:
        try:
            self.open()
        except BaseException:
            self.close()
            raise
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    def close(self) -> None:
        """Stop serving and stop the emulator. Safe to call again."""
        for listener in self.listeners.values():
            listener.close()
        self.listeners.clear()
        self.emulator.stop()

    @property
    def outputs(self) -> dict[str, Any]:
        """Every stack's outputs, with the URLs of this machine in place of AWS's."""
        return {key: self._local(value) for outputs in self._outputs.values() for key, value in outputs.items()}

    @property
    def shown_outputs(self) -> dict[str, Any]:
        """The outputs for everybody to read: without what is marked secret."""
        secrets = frozenset().union(*self._secrets.values())
        return {key: "[secret]" if key in secrets else value for key, value in self.outputs.items()}

    @property
    def api_url(self) -> str:
        """The URL of the first API, with its stage where it has one and without a slash at its end."""
        urls = [value for value in self.outputs.values() if isinstance(value, str) and self._serves(value)]
        if not urls:
            raise SessionError("nothing that was deployed exports the URL of an API")
        return urls[0].rstrip("/")

    @property
    def api_key(self) -> str:
        """The value of the API key that was deployed; empty when there is none."""
        keys = self.aws.call("apigateway", "get_api_keys", includeValues=True)["items"]
        return next((key["value"] for key in keys), "")

    @property
    def log_path(self) -> Path:
        """Where the requests and the functions' lines are written."""
        return self.emulator.directory / "requests.log"

    def environment(self) -> dict[str, str]:
        """The variables for a command that uses what was deployed: no other AWS can be reached with them."""
        outputs = self.outputs
        texts = {key.upper(): v if isinstance(v, str) else json.dumps(v) for key, v in outputs.items()}
        return (
            scrubbed(os.environ)
            | texts
            | {"API_URL": self.api_url, "TAP_OUTPUTS": json.dumps(outputs)}
            | self.emulator.environment()
        )

    def deploy(self, chosen: list[Program]) -> list[Program]:
        """Deploy these of the programs and whatever reads an output that this has changed; return which those were."""
        done: list[Program] = []
        waiting = chosen
        while waiting:
            before = dict(self._outputs)
            deployed = deploy(
                waiting,
                endpoint=self.emulator.endpoint,
                state_dir=self.stacks_directory,
                stack=self.stack,
                config=self._config,
                on_event=self._on_event,
            )
            self._outputs |= {project: stack.outputs for project, stack in deployed.items()}
            self._secrets |= {project: stack.secrets for project, stack in deployed.items()}
            done += waiting
            changed = {project for project in deployed if before.get(project) != self._outputs[project]}
            waiting = [program for program in self._readers(changed) if program not in done]
        self._serve()
        return done

    @property
    def stacks_directory(self) -> Path:
        """Where the deploy keeps what each stack has."""
        return self.emulator.state_directory / "stacks"

    def tables(self) -> list[str]:
        """The names of the tables there are."""
        names: list[str] = self.aws.call("dynamodb", "list_tables")["TableNames"]
        return names

    def served(self) -> list[tuple[str, list[Route], str]]:
        """Each stage that is served: its URL, its routes, its region."""
        found = []
        for listener in self.listeners.values():
            listener.api.fresh()
            for place, routes in listener.api.routes().items():
                found.append((listener.url + place, routes, listener.api.aws.region))
        return found

    def reload(self, files: set[Path]) -> tuple[list[BrokenFile], list[str]]:
        """Bring an edit of these files to life: what does not parse (then nothing is changed), and what was renewed."""
        wrong = broken(files)
        if wrong:
            return wrong, []
        functions = self.aws.call("lambda", "list_functions")["Functions"]
        renewed = [f["FunctionName"] for f in functions if files & function_files(f["Handler"])]
        stale = [program for program in self.programs if files & program_files(program, self.stack)]
        with contextlib.ExitStack() as held:
            if renewed or stale:
                for listener in self.listeners.values():
                    held.enter_context(listener.api.functions.still())
            for name in renewed:
                self._replace_code(name)
            deployed = self.deploy(stale)
        return [], renewed + [program.project for program in deployed]

    def _replace_code(self, name: str) -> None:
        """Give a function the sources as they are now; the next deploy finds nothing else to change about it."""
        handler = self.aws.call("lambda", "get_function_configuration", FunctionName=name)["Handler"]
        texts = sources(handler.rpartition(".")[0])
        files = {path: {archive.SIGNATURE: archive.ASSET, "text": text} for path, text in texts.items()}
        code = archive.zipped({archive.SIGNATURE: archive.ARCHIVE, "assets": files})
        self.aws.call("lambda", "update_function_code", FunctionName=name, ZipFile=code)

    def _readers(self, changed: set[str]) -> list[Program]:
        reading = {c.project for c in STACKS if any(read.project in changed for read in c.reads)}
        return [program for program in self.programs if program.project in reading]

    def _serve(self) -> None:
        """Have a listener for each host of an API that the outputs name; one that stays keeps its port."""
        named = dict.fromkeys(found[1] for value in self._texts() if (found := _URL.fullmatch(value)))
        for gone in self.listeners.keys() - named.keys():
            self.listeners.pop(gone).close()
        for host in named:
            if host in self.listeners:
                self.listeners[host].api.stale()
            elif api := self._api(host):
                port, self._port = self._port, 0
                self.listeners[host] = Listener(api, port, self._record)

    def _api(self, host: str) -> Api | None:
        """The API behind a host: AWS's own name for it, or a domain name that is mapped to it."""
        if own := _OWN_HOST.fullmatch(host):
            api_id, region = own.groups()
            aws = self.aws if region == self.region else Aws(self.emulator.endpoint, region)
            rest = {api["id"] for api in aws.call("apigateway", "get_rest_apis", limit=500)["items"]}
            return (RestApi if api_id in rest else HttpApi)(aws, Functions(aws), api_id)
        if host not in {each["domainName"] for each in self.aws.call("apigateway", "get_domain_names")["items"]}:
            return None
        mappings = self.aws.call("apigateway", "get_base_path_mappings", domainName=host)["items"]
        return RestApi(self.aws, Functions(self.aws), mappings[0]["restApiId"], host) if mappings else None

    def _texts(self) -> list[str]:
        return [value for outputs in self._outputs.values() for value in outputs.values() if isinstance(value, str)]

    def _local(self, value: Any) -> Any:
        found = _URL.fullmatch(value) if isinstance(value, str) else None
        if found is None or found[1] not in self.listeners:
            return value
        return self.listeners[found[1]].url + (found[2] or "")

    def _serves(self, value: str) -> bool:
        return any(value.startswith(listener.url) for listener in self.listeners.values())

    def _record(self, exchange: Exchange) -> None:
        with self._recording:
            self._answered += 1
            exchange.number = self._answered
            self.exchanges.append(exchange)
            at = time.strftime("%H:%M:%S", time.localtime(exchange.started))
            # A request that is answered while the session ends has no place to be written any more.
            with contextlib.suppress(FileNotFoundError), self.log_path.open("a", encoding="utf-8") as log:
                print(at, exchange.method, exchange.path, exchange.status, f"{exchange.milliseconds} ms", file=log)
                for line in exchange.logs:
                    print("  ", line, file=log)
        self._on_exchange(exchange)
