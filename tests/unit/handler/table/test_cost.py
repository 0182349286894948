"""What a request and a cold start may cost, in calls, modules and syntax: the same on every machine and every run.

`nox -s bench` counts instructions; these counts move with them and take milliseconds. When a change has to cost more,
raise the number here in the same commit, and say why.
"""

from __future__ import annotations

import ast
import json
import os
import subprocess
import sys
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest

from lib.handler.app import App
from lib.handler.items_api import Items
from lib.handler.table import Table
from lib.routes import ITEMS
from tests.unit.handler.client import Client, Context, rest_event

if TYPE_CHECKING:
    from collections.abc import Callable

    from tests.unit.handler.table.server import TableServer

ROOT = Path(__file__).resolve().parents[4]
ATTRIBUTES = {"name": {"S": "Desk lamp"}, "price": {"N": "49.9"}, "active": {"BOOL": True}}
# The most on any supported Python; 3.9 counts a comprehension as a call and newer ones do not.
CALLS_PER_GET = 262
CALLS_PER_LISTED_ITEM = 11
SYNTAX_NODES = 12_900
# What the function brings into a process that Lambda's runtime client has begun.
MODULES = {"_sha2", "_sha256", "_socket", "_ssl", "binascii", "gc", "select"}
HEAVY = {
    "boto3",
    "botocore",
    "ssl",
    "socket",
    "http",
    "http.client",
    "email",
    "hmac",
    "asyncio",
    "typing",
    "dataclasses",
}


def calls(work: Callable[[], object]) -> int:
    """Return how many Python and C functions `work` calls."""
    count = 0

    def profile(_frame: Any, event: str, _argument: Any) -> None:
        nonlocal count
        count += event in {"call", "c_call"}

    sys.setprofile(profile)
    try:
        work()
    finally:
        sys.setprofile(None)
    return count


@pytest.fixture
def handler(server: TableServer, table: Table) -> Callable[[dict[str, Any]], dict[str, Any]]:
    keys = [
        {"ItemId": {"S": f"{number:04}"}, "CreatedAt": {"S": "2026-11-21T10:00:00.000000Z"}} for number in range(200)
    ]
    server.table.load([{**key, **ATTRIBUTES, "tap:version": {"S": "0" * 24}} for key in keys])
    app = App(ITEMS, Items(table, "dev"), {}, table)

    def handle(event: dict[str, Any]) -> dict[str, Any]:
        response = app.handler(event, Context())
        assert response["statusCode"] == 200
        return response

    return handle


GET = rest_event("GET", "/items/0007/2026-11-21T10%3A00%3A00.000000Z")


def page(limit: int) -> dict[str, Any]:
    return rest_event("GET", "/items", query=f"limit={limit}")


def test_a_warm_get_makes_one_request_and_few_calls(
    server: TableServer, handler: Callable[[dict[str, Any]], dict[str, Any]]
) -> None:
    handler(GET)
    server.table.requests.clear()
    made = calls(lambda: handler(GET))
    assert len(server.table.requests) == 1
    assert server.connections == 1
    assert made <= CALLS_PER_GET, f"a warm GET makes {made} calls: every one is paid for at 7 % of a core"


def test_a_listed_item_costs_few_calls(
    server: TableServer, handler: Callable[[dict[str, Any]], dict[str, Any]]
) -> None:
    handler(page(50))
    server.table.requests.clear()
    few, many = calls(lambda: handler(page(10))), calls(lambda: handler(page(50)))
    assert len(server.table.requests) == 2
    assert (many - few) / 40 <= CALLS_PER_LISTED_ITEM, f"{(many - few) / 40} calls for each listed item"


@pytest.mark.parametrize("size", [60, 6000])
def test_the_cost_of_a_page_does_not_depend_on_the_table(size: int) -> None:
    client = Client()
    key = {"CreatedAt": {"S": "2026-11-21T10:00:00.000000Z"}, **ATTRIBUTES}
    client.table.memory.load([{"ItemId": {"S": f"{number:06}"}, **key} for number in range(size)])
    following = client.page().json["next"]
    client.table.memory.reads = 0
    client.table.memory.requests.clear()
    assert len(client.page(cursor=following).json["items"]) == 25
    assert (len(client.table.memory.requests), client.table.memory.reads) == (1, 26)


def cold_start() -> list[str]:
    """Return the modules that importing the function adds to those of Lambda's runtime client."""
    code = (
        "import decimal, importlib, json, logging, math, os, sys, time, traceback; before = set(sys.modules);"
        "import lib.handler.items; print(__import__('json').dumps(sorted(set(sys.modules) - before)))"
    )
    environment = {name: value for name, value in os.environ.items() if not name.startswith(("AWS_", "DYNAMODB_"))}
    command = [sys.executable, "-X", "utf8", "-c", code]
    done = subprocess.run(command, cwd=ROOT, env=environment, capture_output=True, text=True, check=True)
    return list(json.loads(done.stdout))


def test_a_cold_start_imports_no_more_than_it_needs() -> None:
    new = cold_start()
    others = {name for name in new if name.split(".")[0] != "lib"}
    assert not others & HEAVY, "this import costs more instructions than a hundred requests"
    assert others <= MODULES, "a new import is paid for at every cold start"
    assert "lib.handler.refusals" not in new, "what only a refused request needs waits until there is one"


def test_a_cold_start_compiles_no_more_than_it_did() -> None:
    """Lambda has no bytecode for the function: compiling is two thirds of the cold start, and goes by the node."""
    nodes = 0
    for name in cold_start():
        if name.split(".")[0] == "lib":
            path = ROOT.joinpath(*name.split("."))
            text = (path / "__init__.py" if path.is_dir() else path.with_suffix(".py")).read_text(encoding="utf-8")
            nodes += sum(1 for _ in ast.walk(ast.parse(text)))
    assert nodes <= SYNTAX_NODES, f"{nodes} syntax nodes are compiled at every cold start, 7,500 instructions each"
