"""What a run shows of the previews that go on beside its preflight."""

from __future__ import annotations

import os
import signal
import threading
from concurrent.futures import Future
from dataclasses import dataclass, field

import pytest

from lib.deploy.events import Event, Message, StackChanged, Summary
from lib.deploy.exits import Exit, Finding, Refused
from lib.deploy.preflight import Preflight, Surroundings
from lib.deploy.run import Interrupts, Result
from lib.deploy.session import Options, Session
from lib.deploy.targets import the_stacks

DATA = the_stacks()[0]
FOUND = Finding(exit=Exit.AUTH, what="there are no AWS credentials", next="aws sso login")
SAID = Message(severity="error", stack="data", text="no valid credential sources")


@dataclass
class Shown:
    """A view that keeps what it is given."""

    events: list[Event] = field(default_factory=list)

    def show(self, event: Event) -> None:
        """Keep it."""
        self.events.append(event)

    def pause(self) -> None:
        """Nothing to leave."""

    def close(self) -> None:
        """Nothing to leave."""


class Looked(Preflight):
    """A preflight that is over."""

    def __init__(self, *findings: Finding) -> None:
        self._around = Future()
        self._around.set_result(Surroundings("dev", set(), {}, list(findings)))


def previewed(preflight: Preflight) -> tuple[Session, list[Event]]:
    """A session after a preview that failed, and what it has shown."""
    view = Shown()
    session = Session("deploy_all", Options(env="dev"), view, Interrupts())
    session._preflight = preflight
    session._show_once(SAID)
    session.settle(Result(DATA, "failed", why=SAID.text, exit=Exit.AUTH), "preview")
    return session, view.events


def test_a_preview_that_fails_is_told() -> None:
    preflight = Looked()
    session, shown = previewed(preflight)
    assert shown == [SAID, StackChanged(stack="data", phase="preview", status="failed", seconds=0.0, why=SAID.text)]
    assert list(session.results) == ["data"]
    assert session.passed(preflight).findings == []


def test_where_the_preflight_refuses_the_run_its_findings_are_the_whole_answer() -> None:
    preflight = Looked(FOUND)
    session, shown = previewed(preflight)
    assert shown == [StackChanged(stack="data", phase="preview", status="not-started")]
    assert session.results == {}
    with pytest.raises(Refused) as refused:
        session.passed(preflight)
    assert refused.value.findings == (FOUND,)


def test_nobody_who_has_interrupted_the_run_waits_for_its_preflight() -> None:
    preflight = Looked()
    preflight._around = Future()  # AWS does not answer
    interrupts = Interrupts()
    session = Session("deploy_all", Options(env="dev"), Shown(), interrupts)
    session._preflight = preflight
    with interrupts.installed(), interrupts.counted():
        threading.Timer(0.2, os.kill, (os.getpid(), signal.SIGINT)).start()
        session.settle(Result(DATA, "cancelled"), "preview")
    assert list(session.results) == ["data"]
    with pytest.raises(KeyboardInterrupt):
        session.passed(preflight)


@pytest.mark.parametrize(
    ("failed", "command"),
    [(["api"], "deploy_all -- --env dev --from api"), (["api", "monitoring"], "deploy_all -- --env dev")],
)
def test_the_next_command_repeats_all_that_failed(failed: list[str], command: str) -> None:
    view = Shown()
    session = Session("deploy_all", Options(env="dev"), view, Interrupts())
    session.targets = the_stacks()
    for target in session.targets:
        result = Result(target, "failed", exit=Exit.RESOURCE, next=session.command(target))
        session.settle(result if target.name in failed else Result(target, "succeeded"), "update")
    assert session.end() == Exit.RESOURCE
    assert isinstance(summary := view.events[-1], Summary)
    assert summary.next == f"nox -s {command}"
