"""The engine's locks, read without touching them: who holds one, since when, and whether that process still runs."""

from __future__ import annotations

import getpass
import json
import os
import socket
from collections.abc import Iterator
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path
from urllib.parse import parse_qsl, unquote, urlsplit

from lib.deploy.aws import read_objects


@dataclass(frozen=True)
class Lock:
    """One lock of one stack."""

    user: str
    host: str
    pid: int
    since: datetime

    @property
    def here(self) -> bool:
        """Held from this machine."""
        return self.host == socket.gethostname()

    @property
    def alive(self) -> bool | None:
        """Whether its process runs; None when it is another machine's and can't be seen from here."""
        if not self.here:
            return None
        try:
            os.kill(self.pid, 0)
        except ProcessLookupError:
            return False
        except PermissionError:
            return True
        # A finished process that nobody has waited for, or another program that has got the number since.
        try:
            started = Path(f"/proc/{self.pid}").stat().st_ctime
            state = Path(f"/proc/{self.pid}/stat").read_text().rpartition(")")[2].split()[0]
        except OSError:
            return True
        return state != "Z" and started <= self.since.timestamp() + 1

    def __str__(self) -> str:
        minutes = int((datetime.now(UTC) - self.since).total_seconds() // 60)
        age = f"{minutes} min" if minutes < 120 else f"{minutes // 60} h"
        state = {True: "still running", False: "no longer running", None: "on another machine"}[self.alive]
        mine = " (you)" if self.here and self.user == getpass.getuser() else ""
        return f"{self.user}@{self.host}{mine}, process {self.pid}, {state}, held for {age}"


def locks(backend: str, stack: str) -> list[Lock] | None:
    """The locks on `organization/project/environment`; None when this backend keeps them where we can't look."""
    where = urlsplit(backend)
    if where.scheme == "file":
        found = _files(Path(unquote(where.netloc + where.path)).expanduser(), stack)
    elif where.scheme == "s3":
        prefix = "/".join(filter(None, [where.path.strip("/"), ".pulumi", "locks", stack])) + "/"
        found = read_objects(where.netloc, prefix, dict(parse_qsl(where.query)))
    else:
        return None
    return sorted((_parse(text) for text in found), key=lambda lock: lock.since)


def _parse(text: str) -> Lock:
    content = json.loads(text)
    since = datetime.fromisoformat(_microseconds(content["timestamp"]))
    return Lock(content["username"], content["hostname"], int(content["pid"]), since)


def _microseconds(timestamp: str) -> str:
    # Go writes nanoseconds, of which Python reads six digits.
    head, dot, rest = timestamp.partition(".")
    digits = len(rest) - len(rest.lstrip("0123456789"))
    return f"{head}{dot}{rest[: min(digits, 6)]}{rest[digits:]}"


def _files(root: Path, stack: str) -> Iterator[str]:
    for path in (root / ".pulumi" / "locks" / stack).glob("*.json"):
        try:
            yield path.read_text()
        except FileNotFoundError:  # released meanwhile
            continue
