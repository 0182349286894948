"""Runs a Pulumi program against any resource monitor, with nothing of it left behind.

The plan records with this, the embedded AWS deploys with it, and the tests run whole programs with it.
"""

from __future__ import annotations

import asyncio
import contextvars
import gc
import json
import runpy
import sys
import threading
import warnings
from collections.abc import Callable, Mapping
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

import yaml
from pulumi.runtime import config as pulumi_config
from pulumi.runtime.settings import Settings as RuntimeSettings
from pulumi.runtime.settings import configure
from pulumi.runtime.stack import run_in_stack

ROOT = Path(__file__).resolve().parents[1]
# What every self-managed backend calls its one organization.
ORGANIZATION = "organization"


class Program:
    """A Pulumi project on disk: its directory, its name, and what it runs."""

    def __init__(self, directory: Path) -> None:
        self.directory = directory
        project: dict[str, Any] = yaml.safe_load((directory / "Pulumi.yaml").read_text(encoding="utf-8"))
        self.project: str = project["name"]
        self.description: str = project.get("description", "")
        main = directory / project.get("main", "")
        self.main = main if main.is_file() else main / "__main__.py"
        self._project = project

    def config_file(self, stack: str) -> Path:
        """Return where the committed configuration of this stack is, or would be."""
        return (self.directory / str(self._project.get("stackConfigDir", "")) / f"Pulumi.{stack}.yaml").resolve()

    def config(self, stack: str) -> dict[str, str]:
        """Return the configuration that the engine would give the program for this stack, as strings."""
        return {key: value for key, (value, _) in self.configured(stack).items()}

    def configured(self, stack: str) -> dict[str, tuple[str, Path]]:
        """Return {key: (value, the file that says so)}: the project's own values, the stack's over them.

        Lists and objects come as JSON, as from the engine; an encrypted value, which needs its passphrase, is masked.
        """
        found = {}
        for file in (self.directory / "Pulumi.yaml", self.config_file(stack)):
            content = yaml.safe_load(file.read_text(encoding="utf-8")) if file.is_file() else None
            for key, value in ((content or {}).get("config") or {}).items():
                found[key] = (_text(value), file)
        return found

    def run(self) -> None:
        """Run the program's code as Pulumi's Python host does: as `__main__`, with its directory importable."""
        sys.path.insert(0, str(self.main.parent))
        try:
            runpy.run_path(str(self.main), run_name="__main__")
        finally:
            sys.path.remove(str(self.main.parent))


def run(
    program: Callable[[], None],
    monitor: Any,
    *,
    project: str,
    stack: str,
    config: Mapping[str, str],
    dry_run: bool = False,
    engine: Any = None,
) -> None:
    """Run `program` in a new stack against `monitor` and wait until every resource is registered.

    Everything Pulumi keeps per run lives in context variables; a thread with a context of its own keeps runs apart.
    """
    failure: list[BaseException] = []
    loops: list[asyncio.AbstractEventLoop] = []

    def own_loop() -> None:
        # Pulumi makes a loop in every thread that answers a request, and would never close it.
        loops.append(asyncio.new_event_loop())
        asyncio.set_event_loop(loops[-1])

    async def in_loop() -> None:
        loop = asyncio.get_running_loop()
        loop.set_default_executor(ThreadPoolExecutor(initializer=own_loop))
        pulumi_config.CONFIG.set(dict(config))
        configure(
            RuntimeSettings(
                project=project,
                stack=stack,
                organization=ORGANIZATION,
                monitor=monitor,
                engine=engine,
                dry_run=dry_run,
                parallel=1,
            )
        )
        try:
            await run_in_stack(program)
        except BaseException:
            # What fails because of this failure need not be logged, long after, when its tasks are garbage.
            loop.set_exception_handler(lambda _loop, _context: None)
            raise

    def main() -> None:
        try:
            asyncio.run(in_loop())
        except BaseException as error:  # noqa: BLE001 - it is raised again where the caller can see it
            failure.append(error)
        finally:
            for loop in loops:
                loop.close()

    thread = threading.Thread(target=contextvars.Context().run, args=(main,), name=f"{project}/{stack}")
    with warnings.catch_warnings():
        # When a program fails, Pulumi forgets some coroutines; Python would complain amid something else.
        warnings.filterwarnings("ignore", "coroutine 'Output", RuntimeWarning)
        thread.start()
        thread.join()
        if failure:
            gc.collect()
    if failure:
        raise failure[0]


def _text(value: Any) -> str:
    if isinstance(value, dict) and set(value) == {"secure"}:
        return "[secret]"
    return value if isinstance(value, str) else json.dumps(value)
