"""`--watch`: an edit comes to life by itself and touches what it must; after a mistake the last good version serves."""

from __future__ import annotations

import json
import signal
import urllib.error
import urllib.request
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from tests.local.sessions import LocalSession, copied_repository

pytestmark = pytest.mark.local


@pytest.fixture(scope="module")
def root(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return copied_repository(tmp_path_factory.mktemp("watched"))


@pytest.fixture(scope="module")
def session(root: Path, tmp_path_factory: pytest.TempPathFactory) -> Iterator[LocalSession]:
    running = LocalSession(tmp_path_factory.mktemp("session"), "--watch", root=root)
    running.says("Ctrl-C stops everything")
    yield running
    running.end(signal.SIGINT)
    assert running.leftovers() == []


def missing(session: LocalSession) -> dict[str, Any]:
    """What the API says of an item that is not there."""
    api = next(line.split()[1] for line in session.out.splitlines() if line.startswith("API "))
    try:
        with urllib.request.urlopen(f"{api}/items/nothing"):  # noqa: S310 - an address that the session gave
            raise AssertionError("there is no such item")
    except urllib.error.HTTPError as error:
        with error:
            found: dict[str, Any] = json.loads(error.read())
            return found


def edit(path: Path, old: str, new: str) -> None:
    text = path.read_text()
    assert old in text, f"{path.name} has changed: this test must edit something else"
    path.write_text(text.replace(old, new))


def test_a_handler_edit_is_live_without_a_deploy(session: LocalSession, root: Path) -> None:
    assert missing(session)["detail"] == "Nothing is stored under this key."
    edit(root / "lib/handler/items_api.py", "Nothing is stored under this key.", "Edited while running.")
    session.until("the new answer", lambda: missing(session)["detail"] == "Edited while running.")
    session.says("reloaded dev-items-lambda in")


def test_a_syntax_error_leaves_the_last_good_version_and_says_where(session: LocalSession, root: Path) -> None:
    path = root / "lib/handler/items_api.py"
    good = path.read_text()
    path.write_text(good + "\ndef broken(:\n")
    session.says(f"lib/handler/items_api.py:{good.count(chr(10)) + 2}: ")
    assert missing(session)["status"] == 404, "the last good version serves"
    path.write_text(good.replace("Edited while running.", "Good again."))
    session.until("the new answer", lambda: missing(session)["detail"] == "Good again.")


def test_a_component_edit_deploys_just_its_stack(session: LocalSession, root: Path) -> None:
    edit(root / "lib/components/monitoring.py", "one is too many.", "one is one too many.")
    session.says("reloaded tap-monitoring in")
    assert "2 updated" in session.out.split("Ctrl-C stops everything")[1]


def test_a_new_route_needs_its_stack_and_the_function(session: LocalSession, root: Path) -> None:
    edit(root / "lib/routes.py", "ITEMS = (", 'ITEMS = (\n    Route("GET", "/everything", "list_items"),')
    session.says("reloaded dev-items-lambda, tap-api")
    api = next(line.split()[1] for line in session.out.splitlines() if line.startswith("API "))
    with urllib.request.urlopen(f"{api}/everything") as answer:  # noqa: S310 - an address that the session gave
        assert json.loads(answer.read())["items"] == []


def test_a_program_that_raises_leaves_what_there_is(session: LocalSession, root: Path) -> None:
    path = root / "stacks/monitoring/__main__.py"
    good = path.read_text()
    path.write_text(good + "\nraise RuntimeError('on purpose')\n")
    session.says("on purpose")
    session.says("the last good version keeps serving")
    assert missing(session)["status"] == 404
    path.write_text(good)
    session.until("the deploy of the good one", lambda: session.out.count("reloaded tap-monitoring") == 2)


def test_what_reads_a_changed_output_is_deployed_too(session: LocalSession, root: Path) -> None:
    edit(root / "stacks/data/__main__.py", "Settings.load()", 'Settings.load(environment_suffix="renamed")')
    session.says("reloaded tap-data, tap-compute in")
    assert missing(session)["status"] == 404, "the function asks the new table"
