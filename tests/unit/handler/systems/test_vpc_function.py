"""The VPC function's contract."""

from __future__ import annotations

import pytest

from lib.handler.table import TableError
from lib.handler.vpc_function_api import Sample
from lib.routes import VPC_FUNCTION
from tests.unit.handler.client import REQUEST_ID
from tests.unit.handler.systems.kit import SystemClient, assert_problem, table

NAME = "tap-vpc-dev"


def test_it_writes_the_item_of_this_request_and_says_where() -> None:
    items = table(NAME, "itemId")
    client = SystemClient(VPC_FUNCTION, Sample(items), kind="rest", table=items)  # type: ignore[arg-type]
    answer = client("GET", "/item")
    assert answer.status == 200
    assert set(answer.json) == {"message", "itemId", "tableName"}
    assert (answer.json["itemId"], answer.json["tableName"]) == (f"item_{REQUEST_ID}", NAME)
    assert list(items.memory.items) == [(f"item_{REQUEST_ID}",)]
    assert client("GET", "/item").status == 200
    assert len(items.memory.items) == 1, "sent again by the gateway, it is the same item"


@pytest.mark.parametrize(("kind", "status"), [("throttled", 503), ("unavailable", 503), ("denied", 500)])
def test_an_endpoint_that_does_not_answer_is_a_problem(kind: str, status: int) -> None:
    items = table(NAME, "itemId")
    client = SystemClient(VPC_FUNCTION, Sample(items), kind="rest", table=items)  # type: ignore[arg-type]

    def fail(_action: str) -> None:
        raise TableError(kind, NAME)

    items.before = fail
    answer = client("GET", "/item")
    assert_problem(answer, status, "unavailable" if status == 503 else "internal-error")
    assert NAME not in answer.text


def test_other_methods_and_paths_are_refused() -> None:
    items = table(NAME, "itemId")
    client = SystemClient(VPC_FUNCTION, Sample(items), kind="rest", table=items)  # type: ignore[arg-type]
    assert_problem(client("POST", "/item", {}), 405, "method-not-allowed")
    assert_problem(client("GET", "/items"), 404, "route-not-found")
    assert client("OPTIONS", "/item").headers["allow"] == "GET, OPTIONS"
    assert not items.memory.requests
