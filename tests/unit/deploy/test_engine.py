"""How the CLI is started, followed and stopped, with a shell script in its place."""

from __future__ import annotations

import os
import threading
import time
from pathlib import Path

import pytest
from pulumi.automation import EngineEvent

from lib.deploy import backend
from lib.deploy.engine import Engine
from lib.deploy.exits import Exit, Refused
from lib.deploy.run import Interrupts
from lib.deploy.session import Options, Session
from lib.deploy.targets import Target
from tests.unit.deploy.test_session import Shown

PATIENCE = 30
# Begins, says so in the event log, and ends when it is told or interrupted; only then it writes its last event.
SCRIPT = """#!/bin/sh
case "$*" in *version*) echo v3.259.0; exit ;; esac
while [ "$1" != --event-log ]; do shift; done
event='{"sequence":1,"timestamp":1,"diagnosticEvent":{"message":"%s","color":"","severity":"info"}}\\n'
say() { printf "$event" "$1" >> "$log"; }
log=$2
trap 'say finished; exit 8' INT
say begun
while [ ! -e "$log.end" ]; do sleep 0.05; done
say last
echo "error: something"
exit 3
"""


@pytest.fixture
def engine(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Engine:
    """An engine that is a script."""
    (tmp_path / "bin").mkdir()
    cli = tmp_path / "bin" / "pulumi"
    cli.write_text(SCRIPT)
    cli.chmod(0o755)
    monkeypatch.setenv("PATH", f"{cli.parent}:{os.environ['PATH']}")
    monkeypatch.setenv("PULUMI_BACKEND_URL", f"file://{tmp_path}")
    backend.backend.cache_clear()
    return Engine("dev")


@pytest.fixture
def target(tmp_path: Path) -> Target:
    """A project."""
    (tmp_path / "Pulumi.yaml").write_text("name: tap-test\n")
    return Target("test", tmp_path)


def until(path: Path) -> None:
    """Wait for a file to hold something."""
    deadline = time.monotonic() + PATIENCE
    while not (path.exists() and path.read_text()):
        assert time.monotonic() < deadline, f"{path.name} was never written"
        time.sleep(0.01)


def test_every_event_is_followed_also_the_last_one(engine: Engine, target: Target, tmp_path: Path) -> None:
    seen: list[EngineEvent] = []
    log = tmp_path / "logs" / "test.update.log"

    def on_event(event: EngineEvent) -> None:
        seen.append(event)
        Path(f"{log.with_suffix('.events.jsonl')}.end").touch()

    outcome = engine.operate(target, "up", on_event=on_event, log=log)
    assert [event.diagnostic_event.message for event in seen if event.diagnostic_event] == ["begun", "last"]
    assert (outcome.code, outcome.last_error, outcome.interrupted) == (3, "something", False)
    assert log.stat().st_mode & 0o077 == 0, "what an engine says is for its user alone"


def test_an_interrupt_lets_what_has_begun_finish_and_nothing_new_begin(
    engine: Engine, target: Target, tmp_path: Path
) -> None:
    log = tmp_path / "test.update.log"
    seen: list[EngineEvent] = []
    codes: list[tuple[int, bool]] = []

    def operate() -> None:
        outcome = engine.operate(target, "up", on_event=seen.append, log=log)
        codes.append((outcome.code, outcome.interrupted))

    thread = threading.Thread(target=operate)
    thread.start()
    until(log.with_suffix(".events.jsonl"))
    assert engine.interrupt() == 1
    thread.join(PATIENCE)
    assert codes == [(Exit.CANCELLED, True)]
    assert seen[-1].diagnostic_event is not None
    assert seen[-1].diagnostic_event.message == "finished", "its last words are heard"
    with pytest.raises(Refused) as refused:
        engine.operate(target, "up", on_event=seen.append)
    assert refused.value.exit == Exit.CANCELLED


# Makes the stack of tap-mine; of the other one the first call finds it locked, the second finds it made.
RIVAL = """#!/bin/sh
echo "$*" >> "$0.calls"
case "$*" in *tap-mine*) exit 0 ;; esac
[ -e "$0.called" ] && { echo "error: stack already exists" >&2; exit 1; }
touch "$0.called"
echo "error: could not create stack: the stack is currently locked by 1 lock(s)" >&2; exit 1
"""


def test_a_stack_that_another_run_makes_at_the_same_moment_is_waited_for_and_left_alone(
    engine: Engine, target: Target, tmp_path: Path
) -> None:
    cli = tmp_path / "bin" / "pulumi"
    cli.write_text(RIVAL)
    (tmp_path / "mine").mkdir()
    (tmp_path / "mine" / "Pulumi.yaml").write_text("name: tap-mine\nstackConfigDir: ..\n")
    session = Session("deploy", Options(env="dev"), Shown(), Interrupts())
    session.engine = engine
    session.make_stack(Target("mine", tmp_path / "mine"), existing=set())
    config = target.config_path("dev")
    config.write_text("encryptionsalt: the other run's\n")
    session.make_stack(target, existing=set())
    session.tidy()
    removed = [call for call in (tmp_path / "bin" / "pulumi.calls").read_text().splitlines() if " rm " in call]
    assert len(removed) == 1, removed
    assert "tap-mine" in removed[0], "what another run has made is not ours to remove"
    assert config.exists(), "nor is the configuration that they share"
