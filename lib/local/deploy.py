"""Deploys unmodified Pulumi programs onto the emulator, without the Pulumi engine.

Each program runs in a process of its own. All start at once; a StackReference waits until the stack it names is
deployed, so the order of the stacks is the order of their references and nothing else. A program whose upstream fails
is not deployed.

Events are mappings with `project`, `stack` and `event`, which is one of
  stack     `state`: started, done or failed; with the last two `counts` by result, and `message`: why it failed
  start     `operation`: create, update, replace or delete; with `urn`, `type`, `name`, `source` (file:line), `changed`
  resource  `result`: created, updated, replaced, deleted, unchanged or failed; with `urn`, `type`, `name`, `source`,
            `id`, `seconds`, and `message` (AWS's words) when it failed
  log       `level` and `message`: what the program logs or prints
No value that is marked secret appears in any of them.
"""

import contextlib
import fcntl
import json
import os
import threading
import traceback
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, TextIO

from lib.local.emulator import REGION
from lib.local.nursery import Child, nursery
from lib.local.state import State, Wire
from lib.local.types.core import Aws, FailedError, ResourceError
from lib.local.types.values import has_secret, reveal
from lib.program import ORGANIZATION, Program

Event = Mapping[str, Any]
OnEvent = Callable[[Event], None]


@dataclass(frozen=True)
class Stack:
    """A deployed stack: its outputs in the clear, and which of them must not be shown."""

    project: str
    name: str
    outputs: Mapping[str, Any]
    secrets: frozenset[str] = frozenset()
    counts: Mapping[str, int] = field(default_factory=dict)


class DeployError(Exception):
    """One or more stacks could not be deployed: `failures` by project, and what was `deployed`."""

    def __init__(self, failures: Mapping[str, str], deployed: Mapping[str, Stack]) -> None:
        told: dict[str, list[str]] = {}
        for project, message in failures.items():
            told.setdefault(message, []).append(project)
        super().__init__("\n".join(f"{', '.join(projects)}: {message}" for message, projects in told.items()))
        self.failures, self.deployed = failures, deployed


def deploy(
    programs: Sequence[Program],
    *,
    endpoint: str,
    state_dir: Path,
    stack: str = "dev",
    config: Mapping[str, str] | None = None,
    on_event: OnEvent = lambda event: None,  # noqa: ARG005
) -> dict[str, Stack]:
    """Deploy the programs as stacks of this name and return them by project.

    `config` overrides what the projects' files say. `on_event` is called with one event at a time;
    after a DeployError what was done is kept, and the same call continues from there.
    """
    run = _Run(programs, endpoint, state_dir, stack, config=config or {}, on_event=on_event)
    return run.all("deploy", programs)


def destroy(
    programs: Sequence[Program],
    *,
    endpoint: str,
    state_dir: Path,
    stack: str = "dev",
    config: Mapping[str, str] | None = None,
    on_event: OnEvent = lambda event: None,  # noqa: ARG005
) -> None:
    """Delete everything that the programs' stacks have: the given programs in reverse order."""
    run = _Run(programs, endpoint, state_dir, stack, config=config or {}, on_event=on_event)
    for program in reversed(programs):
        run.all("destroy", [program])


def read_outputs(state_dir: Path, project: str, stack: str) -> Stack:
    """What a stack was last deployed with."""
    state = State.of(state_dir, project, stack)
    secret_keys = frozenset(key for key, value in state.outputs.items() if has_secret(value))
    return Stack(project, stack, reveal(state.outputs), secret_keys)


class _Run:
    """The processes of one deploy, and what they wait for."""

    def __init__(
        self,
        programs: Sequence[Program],
        endpoint: str,
        state_dir: Path,
        stack: str,
        *,
        config: Mapping[str, str],
        on_event: OnEvent,
    ) -> None:
        self._programs = {program.project: program for program in programs}
        self._endpoint, self._state_dir, self._stack, self._config = endpoint, state_dir, stack, config
        self._on_event = on_event
        self._changed = threading.Condition()
        self._finished: dict[str, str] = {}  # project: "" or why it failed
        self._waiting: set[tuple[str, str]] = set()  # who waits for whom
        self._counts: dict[str, dict[str, int]] = {}

    def all(self, action: str, programs: Iterable[Program]) -> dict[str, Stack]:
        """Run the action for the programs side by side and wait for all of them."""
        programs = list(programs)
        with self._alone(programs):
            children: dict[str, Child] = {}
            try:
                for program in programs:
                    child = self._child(action, program)
                    threading.Thread(target=self._attend, args=(program.project, child), daemon=True).start()
                    children[program.project] = child
                self._wait_until_finished(children)
            except BaseException:
                # Ctrl-C: what is being written is written to its end, nothing new begins.
                for child in children.values():
                    child.tell({"cancel": True})
                self._wait_until_finished(children)
                raise
        failures = {project: why for project, why in self._finished.items() if why}
        done = {project: self._result(project) for project, why in self._finished.items() if not why}
        if failures:
            raise DeployError(failures, done)
        return done

    def _wait_until_finished(self, projects: Iterable[str]) -> None:
        # Not by joining threads: an interrupted join takes a running thread for a finished one (bpo-45274).
        with self._changed:
            self._changed.wait_for(lambda: set(projects) <= set(self._finished))

    @contextlib.contextmanager
    def _alone(self, programs: Sequence[Program]) -> Iterator[None]:
        """Keep every other deploy away from this state while this one lasts, whatever ends it."""
        try:
            self._state_dir.mkdir(parents=True, exist_ok=True, mode=0o700)
            lock = (self._state_dir / ".lock").open("w")
        except OSError as error:
            why = f"the state can't be kept in {self._state_dir}: {error.strerror}"
            raise DeployError({program.project: why for program in programs}, {}) from error
        with lock:
            try:
                fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
            except BlockingIOError:
                why = f"another deploy is at work on the state in {self._state_dir}"
                raise DeployError({program.project: why for program in programs}, {}) from None
            yield

    def _child(self, action: str, program: Program) -> Child:
        def printed(line: str) -> None:
            self._tell(program.project, {"event": "log", "level": "info", "message": line, "urn": ""})

        return nursery().child(self._spec(action, program), printed)

    def _result(self, project: str) -> Stack:
        kept = read_outputs(self._state_dir, project, self._stack)
        return Stack(project, self._stack, kept.outputs, kept.secrets, self._counts.get(project, {}))

    def _spec(self, action: str, program: Program) -> dict[str, Any]:
        return {
            "action": action,
            "directory": str(program.directory),
            "project": program.project,
            "stack": self._stack,
            "endpoint": self._endpoint,
            "state_dir": str(self._state_dir),
            "config": {**program.config(self._stack), **self._config},
        }

    def _attend(self, project: str, child: Child) -> None:
        """Pass on a child's events, answer its questions, and note how it ended."""
        self._tell(project, {"event": "stack", "state": "started"})
        counts = self._counts.setdefault(project, {})
        failed: list[str] = []
        ended = False
        for event in child.events():
            if event["event"] == "question":
                answering = threading.Thread(target=self._answer, args=(project, child, event), daemon=True)
                answering.start()
                continue
            if event["event"] == "resource":
                counts[event["result"]] = counts.get(event["result"], 0) + 1
                if event["result"] == "failed":
                    where = f" ({event['source']})" if event.get("source") else ""
                    failed.append(f"{event['type']} {event['name']}{where}: {event['message']}")
            if event["event"] == "end":
                ended = True
                failed += [event["message"]] if event["message"] else []
                continue
            self._tell(project, event)
        child.close()
        if not ended:
            failed.append(f"the program's process ended before its time\n{child.last_words()}".rstrip())
        why = "\n".join(failed)
        self._tell(project, {"event": "stack", "state": "failed" if why else "done", "counts": counts, "message": why})
        with self._changed:
            self._finished[project] = why
            self._changed.notify_all()

    def _answer(self, project: str, child: Child, question: Event) -> None:
        """Answer a StackReference, when the stack it names is ready."""
        try:
            child.tell({"outputs": self._outputs(project, question["stack"]), "number": question["number"]})
        except ResourceError as error:
            child.tell({"error": str(error), "number": question["number"]})

    def _outputs(self, asker: str, reference: str) -> Wire:
        organization, _, rest = reference.partition("/")
        project, _, stack = rest.partition("/")
        if not stack:
            raise ResourceError(f"the stack reference {reference!r} is not organization/project/stack")
        if project in self._programs and stack == self._stack:
            self._wait_for(asker, project)
        state = State.of(self._state_dir, project, stack)
        if organization != ORGANIZATION or not state.path.is_file():
            raise ResourceError(f"unknown stack {reference!r}: deploy it first")
        return state.outputs

    def _wait_for(self, asker: str, project: str) -> None:
        edge = (asker, project)
        with self._changed:
            self._waiting.add(edge)
            reached = {project}
            while further := {to for by, to in self._waiting if by in reached} - reached:
                reached |= further
            if asker in reached:
                raise ResourceError(f"the stacks wait for each other: {', '.join(sorted(reached))}")
            self._changed.wait_for(lambda: project in self._finished)
            self._waiting.discard(edge)
            if self._finished[project]:
                raise ResourceError(f"its upstream stack {project} was not deployed")

    def _tell(self, project: str, event: Event) -> None:
        with self._changed:
            self._on_event({"project": project, "stack": self._stack, **event})


class _Parent:
    """The other end: tells events and asks for other stacks' outputs."""

    def __init__(self, events: TextIO, answers: TextIO) -> None:
        self._events, self._answers = events, answers
        self._lock = threading.Lock()
        self._arrived = threading.Condition()
        self._inbox: dict[int, dict[str, Any]] = {}
        self._number = 0
        self._cancelled = False

    def listen(self, cancel: Callable[[], None]) -> None:
        """Take the answers as they come; the parent's end of file means that nobody wants this any more."""
        for line in self._answers:
            message = json.loads(line)
            if message.get("cancel"):
                with self._arrived:
                    self._cancelled = True
                    self._arrived.notify_all()
                cancel()
                self.tell({"event": "end", "message": "the deploy was cancelled; the next one continues from here"})
                break
            with self._arrived:
                self._inbox[message["number"]] = message
                self._arrived.notify_all()
        os._exit(1)

    def tell(self, event: Event) -> None:
        with self._lock:
            self._events.write(json.dumps(event) + "\n")
            self._events.flush()

    def read_stack(self, name: str) -> Wire:
        with self._arrived:
            self._number += 1
            number = self._number
        self.tell({"event": "question", "stack": name, "number": number})
        with self._arrived:
            self._arrived.wait_for(lambda: self._cancelled or number in self._inbox)
            if self._cancelled:
                raise FailedError
            answer = self._inbox.pop(number)
        if "error" in answer:
            raise ResourceError(answer["error"])
        outputs: Wire = answer["outputs"]
        return outputs


def run_child(events: TextIO, answers: TextIO) -> int:
    """Run one program in this process, which has nothing else to do; `answers` begins with what to run."""
    import pulumi  # noqa: PLC0415 - the caller of `deploy` needs no SDK

    from lib.local.monitor import Monitor  # noqa: PLC0415
    from lib.program import run  # noqa: PLC0415

    spec = json.loads(answers.readline())
    parent = _Parent(events, answers)
    message = ""
    try:
        program = Program(Path(spec["directory"]))
        os.chdir(program.directory)
        monitor = Monitor(
            project=spec["project"],
            stack=spec["stack"],
            state=State.of(Path(spec["state_dir"]), spec["project"], spec["stack"]),
            aws=Aws(spec["endpoint"], spec["config"].get("aws:region", REGION)),
            tell=parent.tell,
            read_stack=parent.read_stack,
        )
    except ResourceError as error:
        parent.tell({"event": "end", "message": str(error)})
        return 1
    threading.Thread(target=parent.listen, args=(monitor.cancel,), daemon=True).start()
    try:
        if spec["action"] == "destroy":
            monitor.destroy()
        else:
            named = {name: spec[name] for name in ("project", "stack", "config")}
            run(program.run, monitor, **named, engine=monitor)
            monitor.finish()
    except FailedError as error:
        message = "" if monitor.failures else str(error)
    except pulumi.RunError as error:  # an answer to whoever configured it, who has nothing to look for in the code
        message = "" if monitor.failures else monitor.masked(str(error))
    except BaseException as error:  # noqa: BLE001 - whatever the program raised is for its author to read
        message = "" if monitor.failures else monitor.masked(_explain(error, program.directory))
    if monitor.cancelled:
        threading.Event().wait()  # the listener has the last word
    parent.tell({"event": "end", "message": message})
    return 1 if message or monitor.failures else 0


def _explain(error: BaseException, directory: Path) -> str:
    """The error, and the place in the program's or the project's own code that it came from."""
    frames = traceback.extract_tb(error.__traceback__)
    own = [frame for frame in frames if _is_own(Path(frame.filename), directory)]
    text = "".join(traceback.format_exception_only(error)).strip()
    if isinstance(error, SyntaxError) or not own:
        return text
    return f"{text}\n  at {own[-1].filename}:{own[-1].lineno} in {own[-1].name}: {own[-1].line}"


def _is_own(file: Path, directory: Path) -> bool:
    lib = Path(__file__).resolve().parents[1]
    machinery = file.is_relative_to(lib / "local") or file == lib / "program.py"
    return (file.is_relative_to(lib) or file.is_relative_to(directory)) and not machinery
