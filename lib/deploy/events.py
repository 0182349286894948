"""What a run tells: one stream of events, which each view shows in its own way; see docs/deploy-events.md."""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping
from dataclasses import asdict, dataclass, field
from datetime import UTC, datetime
from typing import Any, ClassVar, Literal

SCHEMA_VERSION = 1

Severity = Literal["info", "warning", "error"]
StackPhase = Literal["preview", "update", "refresh", "destroy"]
StackStatus = Literal["waiting", "running", "succeeded", "failed", "cancelled", "blocked", "not-started", "unaffected"]


@dataclass(frozen=True, kw_only=True)
class Event:
    """The base of the events."""

    kind: ClassVar[str]

    def __init_subclass__(cls) -> None:
        cls.kind = re.sub(r"(?<!^)([A-Z])", r"-\1", cls.__name__).lower()

    def as_json(self) -> dict[str, Any]:
        """One JSON object of `--json`."""
        now = datetime.now(UTC).isoformat(timespec="milliseconds").replace("+00:00", "Z")
        return {"version": SCHEMA_VERSION, "event": self.kind, "time": now, **asdict(self)}


Emit = Callable[[Event], None]


@dataclass(frozen=True, kw_only=True)
class RunStarted(Event):
    """A verb begins; `levels` is the order, the stacks of one level side by side."""

    verb: str
    environment: str
    levels: list[list[str]]


@dataclass(frozen=True, kw_only=True)
class Found(Event):
    """Something the preflight or the plan found: `error` stops the run, `warning` does not."""

    severity: Literal["error", "warning"]
    exit: int
    stack: str | None
    what: str
    next: str


@dataclass(frozen=True, kw_only=True)
class StackChanged(Event):
    """A stack's part of the run has a new status."""

    stack: str
    phase: StackPhase
    status: StackStatus
    seconds: float | None = None
    changes: Mapping[str, int] = field(default_factory=dict)
    why: str | None = None


@dataclass(frozen=True, kw_only=True)
class ResourceChanged(Event):
    """The engine begins or ends work on one resource; unchanged resources are not told."""

    stack: str
    phase: StackPhase
    operation: str
    status: Literal["started", "done", "failed"]
    urn: str
    type: str
    name: str
    keys: list[str] = field(default_factory=list)


@dataclass(frozen=True, kw_only=True)
class Message(Event):
    """Something the program, the provider, a policy or this tool says."""

    severity: Severity
    text: str
    stack: str | None = None
    urn: str | None = None


@dataclass(frozen=True, kw_only=True)
class Outputs(Event):
    """A stack's exported values; secret ones are "[secret]"."""

    stack: str
    outputs: Mapping[str, Any]


@dataclass(frozen=True, kw_only=True)
class StackResult:
    """One stack's line of the summary."""

    stack: str
    status: StackStatus
    changes: Mapping[str, int]
    seconds: float
    why: str | None = None


@dataclass(frozen=True, kw_only=True)
class Summary(Event):
    """The last event of every run: what ran, what did not, why, and the one next command."""

    exit: int
    stacks: list[StackResult]
    changed: bool
    redeploy: list[str]
    next: str | None
