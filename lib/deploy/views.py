"""The three ways to show a run: one live table, plain lines, or one JSON object per line."""

from __future__ import annotations

import json
import os
import sys
import threading
import time
from collections.abc import Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass, field
from typing import Any, Protocol, TextIO

from rich.console import Console, Group, RenderableType
from rich.live import Live
from rich.table import Table
from rich.text import Text

from lib.deploy.events import (
    Event,
    Found,
    Message,
    Outputs,
    ResourceChanged,
    RunStarted,
    StackChanged,
    Summary,
)
from lib.deploy.exits import Exit

_SIGNS = {"create": "+", "update": "~", "delete": "-", "replace": "±", "import": "=", "refresh": "~"}
_COLOURS = {"create": "green", "update": "yellow", "delete": "red", "replace": "magenta", "import": "cyan"}
_STEPS = {
    "create-replacement": "create",
    "delete-replaced": "delete",
    "import-replacement": "import",
}
_STATUS_STYLE = {
    "waiting": "dim",
    "running": "bold cyan",
    "succeeded": "green",
    "failed": "bold red",
    "cancelled": "yellow",
    "blocked": "yellow",
    "not-started": "yellow",
    "unaffected": "dim",
}
_DOING = {"preview": "previewing", "update": "deploying", "refresh": "refreshing", "destroy": "destroying"}
_DONE = {"preview": "previewed", "update": "deployed", "refresh": "refreshed", "destroy": "destroyed"}


_WIDEST = 120  # wider, the eye loses the line


class View(Protocol):
    """What shows a run."""

    def show(self, event: Event) -> None:
        """Take the next event; called from any thread."""

    def pause(self) -> None:
        """Leave the terminal alone, for a question."""

    def close(self) -> None:
        """Leave the terminal as it was."""


def view_for(*, as_json: bool, stream: TextIO | None = None) -> View:
    """The view that suits the caller: JSON when asked, a live table on a capable terminal, else plain lines."""
    stream = stream or sys.stdout
    if as_json:
        return JsonView(stream)
    dumb = os.environ.get("TERM", "") in {"", "dumb"}
    plain = dumb or "NO_COLOR" in os.environ or os.environ.get("CI", "") not in {"", "0", "false"}
    return PlainView(stream) if plain or not stream.isatty() else LiveView(Console(file=stream))


class JsonView:
    """One event per line, and nothing else."""

    def __init__(self, stream: TextIO) -> None:
        self._stream = stream
        self._lock = threading.Lock()

    def show(self, event: Event) -> None:
        """Write it at once: a reader follows along."""
        with self._lock, suppress(BrokenPipeError):  # the work goes on when nobody reads any more
            self._stream.write(json.dumps(event.as_json(), ensure_ascii=False) + "\n")
            self._stream.flush()

    def pause(self) -> None:
        """Nothing to leave."""

    def close(self) -> None:
        """Nothing to leave."""


class PlainView:
    """One line per thing that happened, for logs."""

    def __init__(self, stream: TextIO) -> None:
        self._stream = stream
        self._lock = threading.Lock()

    def show(self, event: Event) -> None:
        """Write its lines."""
        lines = plain_lines(event)
        with self._lock, suppress(BrokenPipeError):  # the work goes on when nobody reads any more
            for line in lines:
                self._stream.write(line + "\n")
            self._stream.flush()

    def pause(self) -> None:
        """Nothing to leave."""

    def close(self) -> None:
        """Nothing to leave."""


def plain_lines(event: Event) -> list[str]:
    """An event in words."""
    lines: list[str] = []
    match event:
        case RunStarted():
            lines = [f"{event.verb} in {event.environment}: {order(event)}"]
        case Found():
            lines = [f"{event.severity}: {event.what}", f"  next: {event.next}"]
        case StackChanged():
            lines = _stack_lines(event)
        case ResourceChanged() if event.status != "done" or event.phase == "refresh":
            sign = "failed" if event.status == "failed" else sign_of(event.operation)
            why = f" ({', '.join(event.keys)})" if event.keys else ""
            lines = [f"{event.stack}: {sign} {event.type.removeprefix('aws:')} {event.name}{why}"]
        case Message():
            head = f"{event.stack}: " if event.stack else ""
            level = "" if event.severity == "info" else f"{event.severity}: "
            lines = [f"{head}{level}{line}" if line else "" for line in event.text.splitlines()]
        case Outputs():
            lines = [f"{event.stack}: {key} = {_value(value)}" for key, value in event.outputs.items()]
        case Summary():
            lines = _summary_lines(event)
    return lines


def order(event: RunStarted) -> str:
    """`data, then compute, then api and monitoring`."""
    return ", then ".join(" and ".join(level) for level in event.levels)


def sign_of(operation: str) -> str:
    """The sign of an engine's step."""
    return _SIGNS.get(_STEPS.get(operation, operation), "")


def _stack_lines(event: StackChanged) -> list[str]:
    words = {"running": _DOING[event.phase], "succeeded": _DONE[event.phase]}.get(event.status, event.status)
    if event.status == "waiting":
        return []
    parts = [f"{event.stack}: {words}"]
    if event.status != "running":
        parts.append(f"({counts(event.changes)})" if event.status in {"succeeded", "failed", "cancelled"} else "")
        parts.append(f"in {event.seconds:.1f} s" if event.seconds else "")
    line = " ".join(filter(None, parts))
    return [f"{line}: {event.why}" if event.why else line]


def _summary_lines(event: Summary) -> list[str]:
    lines = [""]
    width = max([len(result.stack) for result in event.stacks], default=0)
    for result in event.stacks:
        tail = f": {result.why.splitlines()[0]}" if result.why else ""
        done = f"{counts(result.changes)}, {result.seconds:.1f} s" if result.seconds else ""
        lines.append(f"  {result.stack:<{width}}  {result.status:<11}  {done}{tail}".rstrip())
    lines.append(ending(event))
    if event.redeploy:
        lines.append(f"what they read has changed: {', '.join(event.redeploy)}")
    if event.next:
        lines.append(f"next: {event.next}")
    return lines


def ending(event: Summary) -> str:
    """The run in one sentence."""
    if event.exit == Exit.OK:
        return "done"
    touched = "something was changed, see above" if event.changed else "nothing was changed"
    return f"{Exit(event.exit).name.lower().replace('_', ' ')} (exit {event.exit}); {touched}"


def counts(changes: Mapping[str, int]) -> str:
    """`+2 ~1`, or `no changes`."""
    return " ".join(f"{_SIGNS.get(op, op)}{number}" for op, number in changes.items() if number) or "no changes"


def _value(value: Any) -> str:
    if value is None:
        return "(known after the deploy)"
    return value if isinstance(value, str) else json.dumps(value)


@dataclass
class _Row:
    phase: str = "update"
    status: str = "waiting"
    changes: dict[str, int] = field(default_factory=dict)
    now: dict[str, str] = field(default_factory=dict)
    began: float | None = None
    seconds: float | None = None
    error: str | None = None


class LiveView:
    """One table for all stacks that changes in place; what must stay readable is printed above it."""

    def __init__(self, console: Console) -> None:
        self.console = console
        self._rows: dict[str, _Row] = {}
        self._outputs: dict[str, Mapping[str, Any]] = {}
        self._lock = threading.RLock()
        self._live: Live | None = None

    def show(self, event: Event) -> None:
        """Take it into the table, or print it above."""
        with self._lock:
            match event:
                case RunStarted():
                    self._print(event)
                    self.follow([name for level in event.levels for name in level])
                case StackChanged() | ResourceChanged():
                    self.take(event, time.monotonic())
                    self._draw()
                case Outputs():
                    self._outputs[event.stack] = event.outputs
                case Summary():
                    self._finish(event)
                case _:
                    self._print(event)

    def follow(self, stacks: Sequence[str]) -> None:
        """The stacks to show, in this order."""
        self._rows = {name: _Row() for name in stacks}

    def take(self, event: StackChanged | ResourceChanged, now: float) -> None:
        """Change the table by what happened at this moment."""
        row = self._rows.setdefault(event.stack, _Row())
        if isinstance(event, ResourceChanged):
            self._resource(event, row)
            return
        row.phase, row.status, row.changes, row.now = event.phase, event.status, dict(event.changes), {}
        row.error = event.why
        if event.status == "running":
            row.began, row.seconds = now, None
        else:
            row.seconds = event.seconds

    def table(self, now: float) -> RenderableType:
        """The table as it is at this moment."""
        with self._lock:
            return stack_table(self._rows, self.console.width, now)

    def pause(self) -> None:
        """Leave the table standing and the terminal free."""
        with self._lock:
            if self._live:
                self._live.stop()
                self._live = None

    def close(self) -> None:
        """Stop drawing."""
        self.pause()

    def _draw(self) -> None:
        if not self._live:
            # Eight frames a second, drawn in place by rich with the cursor hidden, so that nothing flickers.
            self._live = Live(
                console=self.console, get_renderable=lambda: self.table(time.monotonic()), refresh_per_second=8
            )
            self._live.start()

    def _resource(self, event: ResourceChanged, row: _Row) -> None:
        if event.status == "started":
            row.now[event.urn] = f"{sign_of(event.operation)} {event.type.rpartition(':')[2]} {event.name}"
        else:
            row.now.pop(event.urn, None)
        if event.operation in _SIGNS and event.status == ("started" if event.phase == "preview" else "done"):
            row.changes[event.operation] = row.changes.get(event.operation, 0) + 1

    def _print(self, event: Event) -> None:
        style = "bold" if isinstance(event, RunStarted) else ""
        if isinstance(event, Found | Message) and event.severity != "info":
            style = "red" if event.severity == "error" else "yellow"
        for line in plain_lines(event):
            self.console.print(Text(line, style=style))

    def _finish(self, event: Summary) -> None:
        self.pause()
        for stack, outputs in self._outputs.items():
            grid = Table.grid(padding=(0, 2))
            grid.add_column(style="dim", no_wrap=True)
            grid.add_column(overflow="fold")
            for key, value in outputs.items():
                grid.add_row(key, Text(_value(value), style="bold" if key.endswith("url") else ""))
            if outputs:
                self.console.print(Text(stack, style="bold"), grid)
        for result in event.stacks:
            if result.why:
                self.console.print(Text(f"{result.stack}: {result.why}", style=_STATUS_STYLE[result.status]))
        if event.redeploy:
            self.console.print(Text(f"what they read has changed: {', '.join(event.redeploy)}", style="yellow"))
        self.console.print(Text(ending(event), style="bold green" if event.exit == Exit.OK else "bold red"))
        if event.next:
            self.console.print(Text.assemble(("next: ", "bold"), event.next))


def stack_table(rows: Mapping[str, _Row], width: int, now: float) -> RenderableType:
    """The table at this width: what is happening gets what room the rest leaves."""
    table = Table(box=None, pad_edge=False, padding=(0, 2, 0, 0), width=min(width, _WIDEST), header_style="dim")
    table.add_column("stack", no_wrap=True)
    table.add_column("state", no_wrap=True, min_width=11)
    table.add_column("changes", no_wrap=True, min_width=10)
    table.add_column("now", no_wrap=True, overflow="ellipsis", ratio=1)
    table.add_column("seconds", no_wrap=True, justify="right")
    errors = []
    for name, row in rows.items():
        words = {"running": _DOING, "succeeded": _DONE}.get(row.status, {}).get(row.phase, row.status)
        seconds = row.seconds if row.began is None or row.seconds is not None else now - row.began
        changes = Text(" ").join(
            Text(f"{_SIGNS[op]}{number}", style=_COLOURS.get(op, "")) for op, number in row.changes.items() if number
        )
        if row.status == "succeeded" and not changes:
            changes = Text("no changes", style="dim")
        begun = list(row.now.values())
        doing = begun[0] + (f"  and {len(begun) - 1} more" if len(begun) > 1 else "") if begun else ""
        table.add_row(
            Text(name, style="bold"),
            Text(words, style=_STATUS_STYLE.get(row.status, "")),
            changes,
            doing,
            f"{seconds:.1f}" if seconds is not None else "",
        )
        if row.error:
            line = Text(f"{name}: {row.error.splitlines()[0]}", style="red" if row.status == "failed" else "yellow")
            line.no_wrap, line.overflow = True, "ellipsis"
            errors.append(line)
    return Group(table, *errors)
