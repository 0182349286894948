"""What the terminal shows: whole lines elsewhere, one moving line in a terminal, and no end because nobody reads."""

from __future__ import annotations

import io
import os

import pytest

from lib.local.gateway import Exchange
from lib.local.report import Report

STARTED = {"event": "stack", "state": "started", "project": "tap-data", "stack": "dev"}
DONE = {**STARTED, "state": "done", "counts": {"created": 2, "unchanged": 1}}
RESOURCE = {"event": "start", "operation": "create", "name": "items", "type": "aws:x:Y", "project": "tap-data"}


def exchange(status: int = 200) -> Exchange:
    return Exchange(
        request_id="r",
        api="a",
        method="GET",
        path="/prod/items",
        started=0.0,
        request_headers=[],
        request_body="",
        status=status,
        milliseconds=7,
        logs=["one", "two"],
    )


def test_elsewhere_than_in_a_terminal_there_are_plain_lines() -> None:
    out = io.StringIO()
    report = Report(out)
    for event in (STARTED, RESOURCE, DONE):
        report.event(event)
    report.exchange(exchange())
    lines = out.getvalue().splitlines()
    assert lines[0].startswith("  ✓ tap-data         2 created, 1 unchanged")
    assert lines[1].endswith("GET /prod/items 200 7 ms")
    assert [line.strip() for line in lines[2:]] == ["one", "two"]
    assert "\033" not in out.getvalue()


def test_a_failed_stack_is_marked() -> None:
    out = io.StringIO()
    report = Report(out)
    report.event(STARTED)
    report.event({**DONE, "state": "failed", "counts": {}})
    assert out.getvalue().startswith("  ✗ tap-data         nothing to do")


class Terminal(io.StringIO):
    def isatty(self) -> bool:
        return True

    def fileno(self) -> int:
        return 1


def test_in_a_terminal_the_resource_at_work_moves_and_vanishes(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("NO_COLOR", raising=False)
    monkeypatch.setenv("TERM", "xterm")
    monkeypatch.setattr(os, "get_terminal_size", lambda _: os.terminal_size((30, 24)))
    out = Terminal()
    report = Report(out)
    for event in (STARTED, RESOURCE, DONE):
        report.event(event)
    moving, _, rest = out.getvalue().partition("\r\033[K")
    assert moving == "  tap-data  create items (aws"[:29], "never longer than the line"
    assert rest.startswith("  \033[32m✓")


def test_a_reader_that_has_gone_does_not_end_the_session() -> None:
    class Gone(io.StringIO):
        def write(self, _: str) -> int:
            raise BrokenPipeError

    Report(Gone()).exchange(exchange(500))
