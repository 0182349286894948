"""The entry module as Lambda runs it: a process of its own, INIT at import, requests after it."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest

from tests.unit.handler.client import rest_event
from tests.unit.handler.table.engine import MemoryTable
from tests.unit.handler.table.server import TableServer

ROOT = Path(__file__).resolve().parents[3]
# Prints each answer, then which modules INIT and the requests brought in.
PROGRAM = """
import json, sys
import lib.handler.items as entry
loaded = set(sys.modules)
answers = [entry.handler(event, None) for event in json.load(sys.stdin)]
print("ANSWERS", json.dumps(answers))
print("LATER", json.dumps(sorted(set(sys.modules) - loaded)))
"""


def run(events: list[Any], **environment: str) -> tuple[list[dict[str, Any]], list[str], str]:
    """Return the answers, what was imported after INIT, and what was logged."""
    base = {name: value for name, value in os.environ.items() if name in {"PATH", "LD_LIBRARY_PATH", "SystemRoot"}}
    base.update(AWS_ACCESS_KEY_ID="AKIDEXAMPLE", AWS_SECRET_ACCESS_KEY="wJalrXUtnFEMI", AWS_REGION="us-east-1")
    done = subprocess.run(
        [sys.executable, "-W", "error", "-c", PROGRAM],
        input=json.dumps(events),
        env={**base, **environment},
        cwd=ROOT,
        capture_output=True,
        text=True,
        check=False,
        timeout=120,
    )
    assert done.returncode == 0, done.stderr
    *_, answers, later = done.stdout.splitlines()
    return json.loads(answers[len("ANSWERS ") :]), json.loads(later[len("LATER ") :]), done.stdout


def test_init_opens_the_connection_and_requests_import_nothing() -> None:
    key = {"ItemId": "a", "CreatedAt": "2024-05-06T07:08:09Z"}
    path = "/items/a/2024-05-06T07:08:09Z"
    events = [
        rest_event("POST", "/items", body=json.dumps(key), headers={"Idempotency-Key": "k"}),
        rest_event("GET", path),
        rest_event("GET", "/items", query="limit=1"),
        rest_event("PUT", path, body='{"n": 1.50}'),
        rest_event("DELETE", "/items/a"),
        rest_event("GET", path),
    ]
    with TableServer(MemoryTable()) as server:
        settings = {"DYNAMODB_TABLE_NAME": server.table.name, "AWS_ENDPOINT_URL": server.url, "ENVIRONMENT": "dev"}
        answers, later, _ = run(events, **settings)
        assert [answer["statusCode"] for answer in answers] == [201, 200, 200, 200, 204, 404]
        assert server.connections == 1, "INIT's connection serves the requests"
        actions = [action for action, _ in server.table.requests]
    assert actions[0] == "GetItem", "INIT makes a first real call"
    assert set(actions) <= {"GetItem", "PutItem", "UpdateItem", "DeleteItem", "Query", "Scan"}
    assert later == [], "what a request imports, a user waits for"


@pytest.mark.parametrize("fault", ["access_denied", "missing_table", "error_500", "reset", "close"])
def test_init_survives_a_table_that_does_not_answer(fault: str) -> None:
    with TableServer(MemoryTable()) as server:
        server.faults.extend([fault, fault])
        settings = {"DYNAMODB_TABLE_NAME": server.table.name, "AWS_ENDPOINT_URL": server.url}
        answers, _, _ = run([rest_event("GET", "/items")] * 2, **settings)
    assert answers[-1]["statusCode"] == 200, "and the next request is healthy"


def test_without_its_settings_the_function_still_answers_in_the_contracts_shape() -> None:
    with TableServer(MemoryTable()) as server:
        answers, _, log = run(
            [rest_event("GET", "/items"), rest_event("OPTIONS", "/items"), None], AWS_ENDPOINT_URL=server.url
        )
    assert [answer["statusCode"] for answer in answers] == [500, 204, 404]
    assert json.loads(answers[0]["body"])["code"] == "internal-error"
    assert '"fault":1' in log


def test_the_environment_configures_cors_preconditions_and_the_log() -> None:
    settings = {
        "CORS_ORIGINS": "https://a.example",
        "CORS_CREDENTIALS": "true",
        "REQUIRE_IF_MATCH": "true",
        "LOG_LEVEL": "ERROR",
    }
    event = rest_event("DELETE", "/items/a", headers={"Origin": "https://a.example"})
    (answer,), _, log = run([event], **settings)
    assert answer["statusCode"] == 428
    assert answer["headers"]["Access-Control-Allow-Origin"] == "https://a.example"
    assert answer["headers"]["Access-Control-Allow-Credentials"] == "true"
    assert "requestId" not in log.partition("ANSWERS")[0]
