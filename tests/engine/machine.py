"""A machine that deploys onto the embedded AWS: tools on PATH, a private backend, a copy of the programs.

`python -m lib.deploy` is run as a shell does, so what is seen is what a user sees: exit codes, output, files.
"""

from __future__ import annotations

import json
import os
import shlex
import shutil
import subprocess
import sys
import time
import urllib.request
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import boto3
import jsonschema  # type: ignore[import-untyped]  # it has no stubs
import pytest

from lib.local import provider
from lib.local.emulator import Emulator

ROOT = Path(__file__).resolve().parents[2]
PARTS = ("lib", "stacks", "systems", "policy", "config", "tap.py", "Pulumi.yaml")
PASSPHRASE = "correct horse"
SCHEMA = jsonschema.Draft202012Validator(json.loads((ROOT / "docs" / "deploy-events.schema.json").read_text()))
PATIENCE = 240.0  # seconds; only a hang reaches it


@dataclass
class Run:
    """A finished run of `python -m lib.deploy ... --json`."""

    code: int
    events: list[dict[str, Any]]
    stderr: str

    def of(self, kind: str, **values: Any) -> list[dict[str, Any]]:
        """The events of this kind that have these values."""
        return [
            event
            for event in self.events
            if event["event"] == kind and all(event[key] == value for key, value in values.items())
        ]

    @property
    def summary(self) -> dict[str, Any]:
        """The last event."""
        assert self.events, f"the run told nothing; it said: {self.stderr}"
        assert self.events[-1]["event"] == "summary", "every run ends with a summary"
        return self.events[-1]

    @property
    def status(self) -> dict[str, str]:
        """How each stack ended."""
        return {stack["stack"]: stack["status"] for stack in self.summary["stacks"]}

    @property
    def changes(self) -> dict[str, dict[str, int]]:
        """What was changed in each stack, without zeroes."""
        return {stack["stack"]: {k: n for k, n in stack["changes"].items() if n} for stack in self.summary["stacks"]}

    @property
    def outputs(self) -> dict[str, Any]:
        """The exported values of all stacks."""
        return {key: value for event in self.of("outputs") for key, value in event["outputs"].items()}

    @property
    def found(self) -> str:
        """Everything that was found against it, in words."""
        return "\n".join(f"{event['what']} -> {event['next']}" for event in self.of("found"))

    def __str__(self) -> str:
        return f"exit {self.code}\n" + "\n".join(json.dumps(event) for event in self.events) + self.stderr


@dataclass
class Checkout:
    """A copy of the repository's programs that a test may change, with the environment variables to deploy it."""

    root: Path
    env: str
    variables: dict[str, str]
    emulator: Emulator
    _undo: dict[Path, str] = field(default_factory=dict)

    def command(self, verb: str, *arguments: str, json_events: bool = True) -> list[str]:
        """The command line of a verb in this environment."""
        extra = ["--json"] if json_events else []
        return [sys.executable, "-m", "lib.deploy", verb, *arguments, "--env", self.env, *extra]

    def start(self, verb: str, *arguments: str, **variables: str) -> subprocess.Popen[str]:
        """Start a run without waiting for it."""
        return subprocess.Popen(
            self.command(verb, *arguments),
            cwd=self.root,
            env={**self.variables, **variables},
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            text=True,
            start_new_session=True,
        )

    def run(self, verb: str, *arguments: str, **variables: str) -> Run:
        """Run a verb to its end."""
        return finish(self.start(verb, *arguments, **variables))

    def pulumi(self, directory: str, *arguments: str, **variables: str) -> subprocess.CompletedProcess[str]:
        """Run the CLI by hand in a project's directory."""
        return subprocess.run(
            ["pulumi", "--non-interactive", "--color", "never", *arguments],
            cwd=self.root / directory,
            env={**self.variables, **variables},
            stdin=subprocess.DEVNULL,
            capture_output=True,
            text=True,
            check=False,
            timeout=PATIENCE,
        )

    def state(self, directory: str) -> dict[str, Any]:
        """The stack's state as the engine exports it."""
        done = self.pulumi(directory, "stack", "export", "--stack", self.env)
        assert done.returncode == 0, done.stderr
        deployment: dict[str, Any] = json.loads(done.stdout)["deployment"]
        return deployment

    def edit(self, path: str, old: str, new: str) -> None:
        """Change a source until `restore`."""
        file = self.root / path
        text = file.read_text()
        assert old in text, f"{path} no longer has {old!r}; the test has to follow it"
        self._undo.setdefault(file, text)
        file.write_text(text.replace(old, new))

    def restore(self) -> None:
        """Take back every edit."""
        for file, text in self._undo.items():
            file.write_text(text)
        self._undo.clear()

    def configure(self, **settings: str) -> None:
        """Set values of this environment's configuration."""
        for key, value in settings.items():
            done = self.pulumi("stacks/data", "config", "set", f"tap:{key}", value, "--stack", self.env)
            assert done.returncode == 0, done.stderr

    def unset(self, *keys: str) -> None:
        """Take settings out of this environment's configuration."""
        for key in keys:
            done = self.pulumi("stacks/data", "config", "rm", f"tap:{key}", "--stack", self.env)
            assert done.returncode == 0, done.stderr

    def lock_directory(self, project: str) -> Path:
        """Where the engine keeps the locks of this environment's stack of a project."""
        backend = Path(self.variables["PULUMI_BACKEND_URL"].removeprefix("file://"))
        return backend / ".pulumi" / "locks" / "organization" / project / self.env

    def client(self, service: str) -> Any:
        """A boto3 client of the emulator."""
        return boto3.client(
            service,
            endpoint_url=self.emulator.endpoint,
            region_name="us-east-1",
            aws_access_key_id=self.variables["AWS_ACCESS_KEY_ID"],
            aws_secret_access_key=self.variables["AWS_SECRET_ACCESS_KEY"],
        )

    def in_environment(self, env: str) -> Checkout:
        """The same checkout, another environment."""
        return Checkout(self.root, env, self.variables, self.emulator)


def finish(process: subprocess.Popen[str]) -> Run:
    """Wait for a run and read its events."""
    out, err = process.communicate(timeout=PATIENCE)
    return read(process.returncode, out, err)


def read(code: int, out: str, err: str) -> Run:
    """What a run has written with `--json`, each event checked against the schema."""
    try:
        events = [json.loads(line) for line in out.splitlines()]
    except ValueError:
        pytest.fail(f"with --json, stdout holds nothing but events; it held:\n{out}\n{err}")
    for event in events:
        SCHEMA.validate(event)
    return Run(code, events, err)


def until(condition: Callable[[], Any], what: str) -> Any:
    """Wait for something to become true, and return it."""
    deadline = time.monotonic() + PATIENCE
    while time.monotonic() < deadline:
        if found := condition():
            return found
        time.sleep(0.05)
    pytest.fail(f"waited in vain for {what}")


def first_event(process: subprocess.Popen[str], wanted: Callable[[Mapping[str, Any]], bool]) -> list[dict[str, Any]]:
    """Read a running process's events up to the first wanted one."""
    seen = []
    assert process.stdout is not None
    for line in process.stdout:
        seen.append(json.loads(line))
        if wanted(seen[-1]):
            return seen
    pytest.fail(f"the run ended before the event came: {seen}\n{process.stderr and process.stderr.read()}")


def children(pid: int) -> list[int]:
    """The processes that a process has started."""
    threads = Path(f"/proc/{pid}/task").iterdir()  # each thread has the children that it started
    return [int(child) for thread in threads for child in (thread / "children").read_text().split()]


def dead_pid() -> int:
    """The number of a process that has ended."""
    process = subprocess.Popen(["true"])
    process.wait()
    return process.pid


def get(url: str) -> tuple[int, dict[str, Any]]:
    """GET a JSON document."""
    with urllib.request.urlopen(url, timeout=60) as answer:  # noqa: S310 - a URL of this machine
        return answer.status, json.loads(answer.read())


def install_tools(directory: Path, engine: Path) -> None:
    """Put the engine, our language host and the emulator's provider into a directory that will be first on PATH."""
    (directory / "pulumi").symlink_to(engine)
    host = directory / "pulumi-language-python"
    program = Path(__file__).with_name("language_host.py")
    host.write_text(f'#!/bin/sh\nexec {shlex.quote(sys.executable)} {shlex.quote(str(program))} "$@"\n')
    host.chmod(0o755)
    provider.install(directory)


def variables(tools: Path, emulator: Emulator, directory: Path) -> dict[str, str]:
    """The environment variables of a machine that can deploy onto the emulator; its files are in `directory`."""
    for name in ("backend", "home"):
        (directory / name).mkdir()
    inherited = {key: os.environ[key] for key in ("HOME", "USER", "LANG") if key in os.environ}
    return {
        **inherited,
        **emulator.environment(),
        "PATH": f"{tools}:{os.environ['PATH']}",
        "PULUMI_HOME": str(directory / "home"),
        "PULUMI_BACKEND_URL": f"file://{directory / 'backend'}",
        "PULUMI_CONFIG_PASSPHRASE": PASSPHRASE,
        "PULUMI_SKIP_UPDATE_CHECK": "true",
        "PYTHONDONTWRITEBYTECODE": "1",
    }


def copy_programs(root: Path, env: str, given: Mapping[str, str], emulator: Emulator) -> Checkout:
    """Copy the repository's programs; what is deployed is the copy."""
    for part in PARTS:
        source = ROOT / part
        if source.is_dir():
            shutil.copytree(source, root / part, ignore=shutil.ignore_patterns("__pycache__"))
        elif source.exists():
            shutil.copy(source, root / part)
    (root / ".venv").symlink_to(Path(sys.prefix))
    return Checkout(root, env, {**given, "PYTHONPATH": str(root)}, emulator)
