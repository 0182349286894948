"""What a person sees in the terminal while a session works: stacks, resources, requests and the functions' lines."""

from __future__ import annotations

import contextlib
import json
import os
import threading
import time
from collections.abc import Mapping
from typing import Any, TextIO

from lib.local.gateway import Exchange

_DIM, _BOLD, _RED, _GREEN, _YELLOW, _OFF = "\033[2m", "\033[1m", "\033[31m", "\033[32m", "\033[33m", "\033[0m"
_DONE = ("created", "updated", "replaced", "deleted", "unchanged")


class Report:
    """Writes to one stream: with colours and a moving line in a terminal, plain lines elsewhere."""

    def __init__(self, stream: TextIO) -> None:
        self._stream = stream
        self._live = stream.isatty() and "NO_COLOR" not in os.environ and os.environ.get("TERM") != "dumb"
        self._started: dict[str, float] = {}
        self._moving = False
        self._writing = threading.RLock()

    def say(self, text: str = "") -> None:
        """One or more whole lines."""
        self._write(text + "\n")

    def error(self, text: str) -> None:
        """What went wrong."""
        first, _, rest = text.partition("\n")
        self.say(f"{self._paint(_RED, 'error:')} {first}" + (f"\n{rest}" if rest else ""))

    def event(self, event: Mapping[str, Any]) -> None:
        """One step of a deploy."""
        kind, project = event["event"], event["project"]
        if kind == "stack" and event["state"] == "started":
            self._started[project] = time.monotonic()
        elif kind == "stack":
            seconds = time.monotonic() - self._started[project]
            counts = ", ".join(f"{event['counts'][name]} {name}" for name in _DONE if event["counts"].get(name))
            mark = self._paint(_GREEN, "✓") if event["state"] == "done" else self._paint(_RED, "✗")
            self.say(f"  {mark} {project:<16} {counts or 'nothing to do'}  {seconds:.1f} s")
        elif kind == "start":
            self._move(f"  {project}  {event['operation']} {event['name']} ({event['type']})")
        elif kind == "log":
            self.say(f"  {self._paint(_YELLOW, event['level'])} {event['message']}")

    def exchange(self, exchange: Exchange) -> None:
        """One answered request and the lines that its function wrote."""
        at = time.strftime("%H:%M:%S", time.localtime(exchange.started))
        colour = _GREEN if exchange.status < 400 else _YELLOW if exchange.status < 500 else _RED
        status = self._paint(colour, str(exchange.status))
        lines = [f"{at} {exchange.method} {exchange.path} {status} {exchange.milliseconds} ms"]
        self.say("\n".join(lines + [self._paint(_DIM, f"         {line}") for line in exchange.logs]))

    def bold(self, text: str) -> str:
        """The text, emphasized where that is possible."""
        return self._paint(_BOLD, text)

    def _paint(self, colour: str, text: str) -> str:
        return f"{colour}{text}{_OFF}" if self._live else text

    def _move(self, text: str) -> None:
        if self._live:
            width = os.get_terminal_size(self._stream.fileno()).columns
            self._write(text[: width - 1], moving=True)

    def _write(self, text: str, *, moving: bool = False) -> None:
        # A reader that has gone (`| head`) must not end a session that others use.
        with self._writing, contextlib.suppress(BrokenPipeError):
            self._stream.write(("\r\033[K" if self._moving else "") + text)
            self._stream.flush()
            self._moving = moving


def summary(facts: Mapping[str, Any]) -> str:
    """The one JSON object of `--json`."""
    return json.dumps(facts, indent=None, sort_keys=True, default=str)
