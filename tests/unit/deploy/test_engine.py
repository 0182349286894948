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
from lib.deploy.targets import Target

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
