"""No test is left out without anybody noticing."""

from __future__ import annotations

import re
import subprocess
from pathlib import Path

import pytest

from tests import kit, needs

NOWHERE = "no-such-program"


def how_it_ends(monkeypatch: pytest.MonkeyPatch, **environment: str) -> str:
    for name in ("CI", needs.OUT_OF_REACH):
        monkeypatch.delenv(name, raising=False)
    for name, value in environment.items():
        monkeypatch.setenv(name, value)
    with pytest.raises((pytest.skip.Exception, pytest.fail.Exception), match="apt-get install some-package") as ended:
        needs.program(NOWHERE, package="some-package")
    return "skipped" if ended.errisinstance(pytest.skip.Exception) else "failed"


def test_what_is_there_is_found_by_any_of_its_names(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("CI", "true")
    assert Path(needs.program(NOWHERE, "sh", package="dash")).name == "sh"


def test_a_missing_program_skips_at_home_and_fails_in_ci(monkeypatch: pytest.MonkeyPatch) -> None:
    assert how_it_ends(monkeypatch) == "skipped"
    assert how_it_ends(monkeypatch, CI="false") == "skipped"
    assert how_it_ends(monkeypatch, CI="true") == "failed"


def test_in_ci_only_what_could_not_be_installed_is_skipped(monkeypatch: pytest.MonkeyPatch) -> None:
    assert how_it_ends(monkeypatch, CI="true", **{needs.OUT_OF_REACH: "chromium some-package"}) == "skipped"
    assert how_it_ends(monkeypatch, CI="true", **{needs.OUT_OF_REACH: "chromium"}) == "failed"


# What may be skipped in CI too, by file, and why that cannot be otherwise.
SKIPS = {
    "tests/needs.py": "the one place that decides",
    "tests/live/conftest.py": "needs an AWS account, and costs money",
}


def test_every_skip_is_known_and_has_a_reason() -> None:
    pattern = re.compile(r"pytest\.skip\(|importorskip\(|mark\.skip|skipTest\(|mark\.xfail|pytest\.xfail\(")
    listed = subprocess.run(["git", "ls-files", "tests/*.py"], cwd=kit.ROOT, capture_output=True, text=True, check=True)
    found = {name for name in listed.stdout.split() if pattern.search((kit.ROOT / name).read_text())}
    assert found - {"tests/unit/test_needs.py"} == set(SKIPS), "ask tests/needs.py; what it cannot do is listed here"


def test_ci_installs_what_is_asked_for() -> None:
    script = (kit.ROOT / ".ci" / "run").read_text()
    asked = {
        package
        for path in (kit.ROOT / "tests" / "local").glob("*.py")
        for package in re.findall(r'needs\.program\([^)]*package="([\w-]+)"', path.read_text())
    }
    assert asked == set(re.findall(r"^need (\S+)", script, re.MULTILINE))
    assert needs.OUT_OF_REACH in script
