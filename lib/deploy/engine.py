"""The Pulumi CLI, started so that a run can be watched, interrupted and outlived.

`pulumi.automation.Stack.up` is not used: it runs in the terminal's process group, so one Ctrl-C reaches every engine
at once; it reads the engine through pipes, so the engine dies in the middle of an update when this process does; and
each call costs three more starts of the CLI. Its event types are used. See docs/adr/0051.
"""

from __future__ import annotations

import json
import os
import re
import signal
import subprocess
import tempfile
import threading
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

from pulumi.automation import EngineEvent

from lib.deploy import doctor
from lib.deploy.exits import Exit, Finding, Refused
from lib.deploy.state import State
from lib.deploy.targets import Target

OnEvent = Callable[[EngineEvent], None]
_CLI = ("pulumi", "--non-interactive", "--color", "never")
_POLL = 0.02
_MAKING_SECONDS, _MAKING_POLL = 20.0, 0.2
_MARKUP = re.compile(r"<\{%.*?%\}>|\x1b\[[0-9;]*m")
# Where a plugin came from; what the client of an S3 backend thinks of its store.
_REMARK = re.compile(r"from \$PATH at|^SDK \S+ \S+ WARN ")


@dataclass(frozen=True)
class Outcome:
    """How one engine operation ended."""

    code: int
    output: str
    seconds: float
    interrupted: bool

    @property
    def last_error(self) -> str:
        """What the CLI itself gave as the reason, when it never came to an event."""
        return self.output.rpartition("error: ")[2].strip()


class Engine:
    """The CLI of this machine, working on one environment."""

    def __init__(self, env: str) -> None:
        self.env = env
        self._running: dict[int, subprocess.Popen[bytes]] = {}
        self._interrupted: set[int] = set()
        self.stopping = False
        self._lock = threading.Lock()

    def query(self, target: Target, *arguments: str) -> subprocess.CompletedProcess[str]:
        """Run a command about one stack that changes no resource; its output is returned whole."""
        return self._run([*arguments, "--stack", target.stack(self.env)], target.directory)

    def stacks(self) -> set[str]:
        """The fully qualified names of all stacks in the backend."""
        with tempfile.TemporaryDirectory() as nowhere:  # inside a project its own stacks are listed by short names
            listed = self._run(["stack", "ls", "--all", "--json"], Path(nowhere))
        if listed.returncode:
            where = os.environ.get("PULUMI_BACKEND_URL", "`pulumi login` chose")
            what = f"the backend {where} can't be read: {clean(listed.stderr)}"
            code = Exit.AUTH if listed.returncode == Exit.AUTH else Exit.CONFIG
            raise Refused(Finding(exit=code, what=what, next="pulumi login, or set PULUMI_BACKEND_URL"))
        return {str(item["name"]) for item in json.loads(listed.stdout)}

    def export(self, target: Target) -> State:
        """The stack's state; empty when there is no such stack."""
        done = self.query(target, "stack", "export")
        if done.returncode == Exit.STACK_NOT_FOUND:
            return State({})
        if done.returncode:
            raise Refused(self._failure(target, done, "its state can't be read"))
        return State.parse(done.stdout)

    def replace_state(self, target: Target, state: State) -> None:
        """Put another state in the place of the stack's own."""
        with tempfile.TemporaryDirectory(prefix="tap-deploy-") as scratch:
            path = Path(scratch, "state.json")
            state.save(path)
            done = self.query(target, "stack", "import", "--file", str(path))
        if done.returncode:
            raise Refused(self._failure(target, done, "its state can't be replaced"))

    def create(self, target: Target) -> bool:
        """Make the empty stack; False when another run has made it meanwhile.

        It is not selected: what `pulumi up` by hand works on is the user's choice.
        """
        deadline = time.monotonic() + _MAKING_SECONDS
        while True:
            done = self._run(["stack", "init", target.stack(self.env), "--no-select"], target.directory)
            if not done.returncode:
                return True
            if "already exists" in done.stderr:
                return False
            failure = self._failure(target, done, "the stack can't be created")
            if failure.exit != Exit.LOCKED or time.monotonic() > deadline:
                raise Refused(failure)
            time.sleep(_MAKING_POLL)  # another run is making it

    def forget(self, target: Target) -> None:
        """Remove a stack that `create` made and nothing was deployed into; its configuration stays."""
        self.query(target, "stack", "rm", "--yes", "--preserve-config")

    def unlock(self, target: Target) -> None:
        """`pulumi cancel`: remove every lock on the stack."""
        done = self.query(target, "cancel", "--yes")
        if done.returncode:
            raise Refused(self._failure(target, done, "its lock can't be removed"))

    def operate(
        self,
        target: Target,
        *arguments: str,
        on_event: OnEvent,
        log: Path | None = None,
        environment: Mapping[str, str] | None = None,
    ) -> Outcome:
        """Run an operation to its end, giving every engine event to `on_event` as it happens.

        The engine writes to files, not to us, so that it finishes its update also when this process is gone.
        """
        began = time.monotonic()
        with tempfile.TemporaryDirectory(prefix="tap-deploy-") as scratch:
            events = Path(scratch, "events.jsonl") if log is None else log.with_suffix(".events.jsonl")
            output = Path(scratch, "output.log") if log is None else log
            for path in (events, output):
                path.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
                path.touch(mode=0o600)
            with output.open("wb") as sink, self._lock:
                if self.stopping:
                    what = f"{target.name} was not begun: the run was interrupted"
                    raise Refused(Finding(exit=Exit.CANCELLED, stack=target.name, what=what, next="repeat the run"))
                process = subprocess.Popen(
                    [*_CLI, *arguments, "--stack", target.stack(self.env), "--event-log", str(events)],
                    cwd=target.directory,
                    env={**_environment(), **(environment or {})},
                    stdin=subprocess.DEVNULL,
                    stdout=sink,
                    stderr=subprocess.STDOUT,
                    start_new_session=True,
                )
                self._running[process.pid] = process
            try:
                for event in _follow(events, process):
                    on_event(event)
            finally:
                code = process.wait()
                with self._lock:
                    del self._running[process.pid]
                    interrupted = process.pid in self._interrupted
            text = clean(output.read_text(errors="replace"))
        return Outcome(code, text, time.monotonic() - began, interrupted)

    def interrupt(self) -> int:
        """Send every running engine one SIGINT, as Ctrl-C would; how many there were.

        On the first an engine finishes what it has begun and starts nothing more; on the second it stops at once.
        """
        with self._lock:
            self.stopping = True
            for pid, process in self._running.items():
                if process.poll() is None:
                    self._interrupted.add(pid)
                    process.send_signal(signal.SIGINT)
            return len(self._running)

    def _run(self, arguments: Sequence[str], cwd: Path) -> subprocess.CompletedProcess[str]:
        try:
            return subprocess.run(
                [*_CLI, *arguments],
                cwd=cwd,
                env=_environment(),
                stdin=subprocess.DEVNULL,
                capture_output=True,
                text=True,
                check=False,
                start_new_session=True,
            )
        except OSError:  # it is not there, or is no program
            raise Refused(needed(doctor.cli())) from None

    def _failure(self, target: Target, done: subprocess.CompletedProcess[str], what: str) -> Finding:
        said = clean(done.stderr) or f"exit code {done.returncode}"
        code = exit_of_text(said) or (Exit(done.returncode) if done.returncode in set(Exit) else Exit.ERROR)
        return Finding(
            exit=code,
            stack=target.name,
            what=f"{target.name}: {what}: {said}",
            next=f"nox -s doctor -- --env {self.env}",
        )


def needed(part: doctor.Part) -> Finding:
    """The finding that a part of this machine is missing or too old."""
    return Finding(exit=Exit.CONFIG, what=f"{part.name}: {part.found}", next=part.next)


def _environment() -> dict[str, str]:
    return {
        **os.environ,
        "PULUMI_AUTOMATION_API": "true",
        "PULUMI_SKIP_UPDATE_CHECK": "true",
        "PULUMI_DEBUG_COMMANDS": "true",  # makes --event-log known
        # A checkout whose configuration lacks the key's salt takes it from the state, instead of making up another.
        "PULUMI_FALLBACK_TO_STATE_SECRETS_MANAGER": "true",
    }


def _follow(path: Path, process: subprocess.Popen[bytes]) -> Iterator[EngineEvent]:
    """Every event in the file, the last one included, until the process has ended."""
    with path.open(encoding="utf-8") as file:
        partial = ""
        while True:
            ended = process.poll() is not None
            while line := file.readline():
                partial += line
                if partial.endswith("\n"):
                    yield EngineEvent.from_json(json.loads(partial))
                    partial = ""
            if ended:
                return
            time.sleep(_POLL)


def clean(text: str) -> str:
    """What the engine said, without colours and without the remarks that accompany all it says."""
    lines = _MARKUP.sub("", text).splitlines()
    kept = [line.rstrip() for line in lines if not _REMARK.search(line)]
    return "\n".join(kept).strip().removeprefix("error: ")


# What tells one failure from another where the CLI has no exit code for it.
_SAYINGS: tuple[tuple[str, Exit], ...] = (
    (r"is currently locked by", Exit.LOCKED),
    (r"Another update is currently in progress", Exit.LOCKED),
    (r"incorrect passphrase|passphrase must be set|failed to decrypt", Exit.AUTH),
    (r"needs `\w+` of \S+[\s\S]*nothing; it is not deployed", Exit.UPSTREAM),
    (r"unknown stack \"", Exit.UPSTREAM),
    (r"needs `\w+` of \S+; it ", Exit.CONTRACT),
    (r"cannot be deleted\s+because it is protected|as it is currently marked for protection", Exit.DESTRUCTIVE),
    (r"the settings are not valid", Exit.CONFIG),
    (r"ExpiredToken|InvalidClientTokenId|UnrecognizedClient|no valid credential sources", Exit.AUTH),
)


def exit_of_text(text: str) -> Exit | None:
    """The exit code that the engine's words stand for, if they are known ones."""
    return next((code for pattern, code in _SAYINGS if re.search(pattern, text)), None)
