"""Where the emulator is not AWS: each difference is a test that shows it, and docs/emulator.md is made from them.

python -m tests.local.differences > docs/emulator.md
"""

from __future__ import annotations

import importlib
from collections.abc import Callable
from dataclasses import dataclass
from typing import TypeVar

from lib.local.emulator import VERSION
from lib.program import ROOT

Test = TypeVar("Test", bound=Callable[..., None])


@dataclass(frozen=True, kw_only=True)
class Difference:
    """One row: what AWS does, what happens here, and what makes up for it."""

    area: str
    aws: str
    here: str
    instead: str


DIFFERENCES: list[Difference] = []
PAGE = ROOT / "docs" / "emulator.md"

_HEAD = """\
# Where the AWS on this machine is not AWS

The emulator is MiniStack {version}. Each row below is shown by a test in `tests/local/test_differences.py`, from which
this page is made (`python -m tests.local.differences`): when a newer emulator no longer differs,
that test fails and the row goes. API Gateway's data plane is not the emulator's but `lib/local/gateway.py`, tested
against AWS's documented behaviour in `tests/local/test_gateway.py`; [local.md](local.md) says what it leaves out."""


def difference(*, area: str, aws: str, here: str, instead: str) -> Callable[[Test], Test]:
    """Mark a test as the proof of a difference."""

    def mark(test: Test) -> Test:
        DIFFERENCES.append(Difference(area=area, aws=aws, here=here, instead=instead))
        return test

    return mark


def table() -> str:
    """The page."""
    importlib.import_module("tests.local.test_differences")
    lines = [_HEAD.format(version=VERSION)]
    for area in dict.fromkeys(each.area for each in DIFFERENCES):
        rows = [each for each in DIFFERENCES if each.area == area]
        lines += ["", f"## {area}", "", "| AWS | here | what makes up for it |", "|---|---|---|"]
        lines += [f"| {each.aws} | {each.here} | {each.instead} |" for each in rows]
    return "\n".join(lines) + "\n"


if __name__ == "__main__":
    # Run as a module this file is `__main__`; the tests fill the registry of the one they import.
    PAGE.write_text(importlib.import_module("tests.local.differences").table(), encoding="utf-8")
