"""What a run ends with: one exit code per kind of failure, and the findings behind it."""

from __future__ import annotations

from dataclasses import dataclass
from enum import IntEnum


class Exit(IntEnum):
    """Up to 9 they are Pulumi's own."""

    OK = 0
    ERROR = 1
    CONFIG = 2
    AUTH = 3
    RESOURCE = 4
    POLICY = 5
    STACK_NOT_FOUND = 6
    CHANGES = 7
    CANCELLED = 8
    TIMEOUT = 9
    UPSTREAM = 10
    CONTRACT = 11
    LOCKED = 12
    DESTRUCTIVE = 13
    PARTLY = 14
    COLLISION = 15
    WRONG_PLACE = 16
    PENDING = 17


@dataclass(frozen=True, kw_only=True)
class Finding:
    """Something that stops a run, or should be known: what is wrong, with which stack, and the one next command."""

    exit: Exit
    what: str
    next: str
    stack: str | None = None
    warning: bool = False


class Refused(Exception):  # noqa: N818 - it is an answer, not a fault
    """The run ends here, before anything was changed."""

    def __init__(self, *findings: Finding) -> None:
        super().__init__("\n".join(finding.what for finding in findings))
        self.findings = findings

    @property
    def command(self) -> str | None:
        """The next command of the first finding that is not just a warning."""
        return next((finding.next for finding in self.findings if not finding.warning), None)

    @property
    def exit(self) -> Exit:
        """The code of the first finding that is not just a warning."""
        return next((finding.exit for finding in self.findings if not finding.warning), Exit.ERROR)
