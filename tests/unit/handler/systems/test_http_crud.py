"""The HTTP API CRUD's contract."""

from __future__ import annotations

import json
import re
from decimal import Decimal
from typing import TYPE_CHECKING, Any

import pytest

from lib.handler.http_crud_api import MAX_UPDATED, Crud
from lib.handler.table import TableError
from lib.routes import HTTP_CRUD
from tests.unit.handler.systems.kit import SystemClient, assert_problem, table

if TYPE_CHECKING:
    from tests.unit.handler.client import Answer
    from tests.unit.handler.fake_table import FakeTable

UUID = re.compile(r"[0-9a-f]{8}-[0-9a-f]{4}-4[0-9a-f]{3}-[89ab][0-9a-f]{3}-[0-9a-f]{12}")
MOMENT = re.compile(r"\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d\.\d{6}Z")


@pytest.fixture
def items() -> FakeTable:
    return table("tap-items-dev", "id")


@pytest.fixture
def client(items: FakeTable) -> SystemClient:
    return SystemClient(HTTP_CRUD, Crud(items, "dev"), table=items)  # type: ignore[arg-type]


def create(client: SystemClient, **attributes: Any) -> Answer:
    answer = client("POST", "/items", attributes)
    assert answer.status == 201, answer.text
    return answer


def test_creating_answers_201_with_a_message_and_the_id_that_was_made(client: SystemClient) -> None:
    answer = create(client, name="first")
    assert set(answer.json) == {"message", "id"}
    assert UUID.fullmatch(answer.json["id"])
    assert answer.headers["location"] == f"/items/{answer.json['id']}"
    assert client("GET", f"/items/{answer.json['id']}").json == {"id": answer.json["id"], "name": "first"}


def test_an_id_may_be_given(client: SystemClient) -> None:
    assert create(client, id="a/b ü", n=1).json["id"] == "a/b ü"
    assert client("GET", "/items/a%2Fb%20%C3%BC").json == {"id": "a/b ü", "n": 1}


def test_numbers_keep_their_value(client: SystemClient) -> None:
    client("POST", "/items", '{"id": "n", "big": 12345678901234567890123456789012345678, "small": 1E-100}')
    answer = client("GET", "/items/n")
    assert answer.json["big"] == Decimal(12345678901234567890123456789012345678)
    assert answer.json["small"] == Decimal("1E-100")


def test_an_existing_id_is_409_and_the_stored_item_stays_as_it_was(client: SystemClient) -> None:
    create(client, id="a", n=1)
    assert_problem(client("POST", "/items", {"id": "a", "n": 2}), 409, "item-exists")
    assert client("GET", "/items/a").json == {"id": "a", "n": 1}


def test_a_creation_whose_reply_was_lost_succeeds(client: SystemClient, items: FakeTable) -> None:
    items.lose_replies = 1
    assert create(client, id="a", n=1).status == 201


def test_a_lost_reply_does_not_hide_that_another_item_is_there(client: SystemClient, items: FakeTable) -> None:
    create(client, id="a", n=1)

    def refuse(_action: str) -> None:
        error = TableError("condition", "", {"id": {"S": "a"}, "n": {"N": "1"}})
        error.attempts = 2
        raise error

    items.before = refuse
    assert_problem(client("POST", "/items", {"id": "a", "n": 2}), 409, "item-exists")


@pytest.mark.parametrize(
    ("body", "pointers"),
    [
        ("", []),
        ("{", []),
        ("{} {}", []),
        ('{"a": NaN}', []),
        ("[]", [""]),
        ('"text"', [""]),
        ("null", [""]),
        ('{"id": 7}', ["/id"]),
        ('{"id": ""}', ["/id"]),
        ('{"id": null}', ["/id"]),
        ('{"id": "a\\u0000"}', ["/id"]),
        ('{"a": 1, "a": 2}', ["/a"]),
        ('{"": 1}', ["/"]),
        ('{"id": 7, "n": 1e999, "s": "\\udfff"}', ["/n", "/s", "/id"]),
        ('{"deep": ' + "[" * 40 + "]" * 40 + "}", ["/deep" + "/0" * 31]),
    ],
)
@pytest.mark.parametrize(("method", "path"), [("POST", "/items"), ("PUT", "/items/a")])
def test_a_bad_body_is_400_with_every_place_that_is_wrong(
    client: SystemClient, method: str, path: str, body: str, pointers: list[str]
) -> None:
    create(client, id="a", n=1)
    answer = client(method, path, body or None)
    assert_problem(answer, 400, "invalid-body")
    assert sorted(answer.pointers()) == sorted(pointers)
    assert client("GET", "/items/a").json == {"id": "a", "n": 1}, "nothing was written"


def test_an_item_over_400_kb_is_413(client: SystemClient) -> None:
    assert_problem(client("POST", "/items", {"text": "x" * 410_000}), 413, "too-large")
    create(client, id="a", text="x" * 300_000)
    assert_problem(client("PUT", "/items/a", {"text": "x" * 410_000}), 413, "too-large")
    assert_problem(client("PUT", "/items/a", {"more": "x" * 300_000}), 413, "too-large")
    assert set(client("GET", "/items/a").json) == {"id", "text"}, "the item stays as it was"


def test_an_item_that_is_small_in_the_table_and_too_long_to_answer_is_413(client: SystemClient) -> None:
    create(client, id="a")
    tiny = json.dumps({"n": ["X"] * 45_000}).replace('"X"', "1e-130")  # 132 digits each when written out
    assert_problem(client("POST", "/items", tiny), 413, "too-large")
    assert_problem(client("PUT", "/items/a", tiny), 413, "too-large")
    assert client("GET", "/items/a").json == {"id": "a"}


def test_a_body_in_another_media_type_is_415(client: SystemClient) -> None:
    assert_problem(client("POST", "/items", "a=1", Content_Type="text/plain"), 415, "unsupported-media-type")


@pytest.mark.parametrize("method", ["GET", "PUT", "DELETE"])
def test_an_unknown_id_is_404(client: SystemClient, method: str) -> None:
    assert_problem(client(method, "/items/none", {}), 404, "item-not-found")
    assert client("GET", "/items").json == {"items": []}, "an update never creates"


@pytest.mark.parametrize("params", [None, {}, {"id": ""}, {"id": 7}])
@pytest.mark.parametrize("method", ["GET", "PUT", "DELETE"])
def test_a_missing_id_is_400(client: SystemClient, method: str, params: object) -> None:
    event = client.event(method, "/items/x", body="{}")
    event["pathParameters"], event["rawPath"] = params, "/items/"
    assert_problem(client.send(event), 400, "invalid-path")


def test_an_id_that_no_table_holds_is_400(client: SystemClient) -> None:
    assert_problem(client("GET", "/items/a%00b"), 400, "invalid-path")
    assert_problem(client("GET", "/items/" + "x" * 2049), 400, "invalid-path")


def test_updating_sets_the_given_attributes_and_when(client: SystemClient) -> None:
    create(client, id="a", kept=1, name="old", size=5)
    answer = client("PUT", "/items/a", {"name": "new", "size": {"w": 1}, "updatedAt": "a client's own", "id": "a"})
    item = answer.json
    assert answer.status == 200
    assert MOMENT.fullmatch(item["updatedAt"])
    assert item == {"id": "a", "kept": 1, "name": "new", "size": {"w": 1}, "updatedAt": item["updatedAt"]}
    assert client("GET", "/items/a").json == item


def test_an_id_cannot_change(client: SystemClient) -> None:
    create(client, id="a")
    answer = client("PUT", "/items/a", {"id": "b", "n": 1})
    assert_problem(answer, 400, "invalid-body")
    assert answer.pointers() == ["/id"]
    assert client("GET", "/items/a").json == {"id": "a"}


def test_attributes_named_like_words_of_the_tables_language_can_be_set(client: SystemClient) -> None:
    create(client, id="a")
    names = {"name": 1, "status": 2, "SET": 3, "a.b": 4, "#0": 5, ":0": 6, "x y": 7}
    assert names.items() <= client("PUT", "/items/a", names).json.items()


def test_more_attributes_than_an_expression_takes_are_400(client: SystemClient) -> None:
    create(client, id="a")
    most = {f"attribute-{n}": n for n in range(MAX_UPDATED - 1)}
    assert client("PUT", "/items/a", most).status == 200
    assert_problem(client("PUT", "/items/a", {**most, "one": 1}), 400, "invalid-body")


def test_deleting_answers_200_and_then_404(client: SystemClient) -> None:
    create(client, id="a")
    answer = client("DELETE", "/items/a")
    assert (answer.status, answer.json["id"]) == (200, "a")
    assert_problem(client("DELETE", "/items/a"), 404, "item-not-found")
    assert_problem(client("GET", "/items/a"), 404, "item-not-found")


def test_a_deletion_whose_reply_was_lost_succeeds(client: SystemClient, items: FakeTable) -> None:
    create(client, id="a")
    items.lose_replies = 1
    assert client("DELETE", "/items/a").status == 200


def test_a_listing_is_in_pages_without_gaps_or_repetitions(client: SystemClient) -> None:
    ids = {create(client, n=n).json["id"] for n in range(30)}
    first = client("GET", "/items").json
    assert len(first["items"]) == 25
    seen, cursor = [], ""
    while True:
        page = client("GET", "/items", query=f"limit=7{cursor}").json
        assert len(page["items"]) <= 7
        seen += [item["id"] for item in page["items"]]
        if "next" not in page:
            break
        cursor = f"&cursor={page['next']}"
    assert sorted(seen) == sorted(ids)


def test_the_last_page_has_no_next(client: SystemClient) -> None:
    assert client("GET", "/items").json == {"items": []}
    for n in range(3):
        create(client, n=n)
    assert "next" not in client("GET", "/items", query="limit=3").json


def test_a_page_fits_lambdas_6_mb(client: SystemClient) -> None:
    for n in range(12):
        create(client, id=str(n), text='"' * 380_000)
    page = client("GET", "/items", query="limit=100")
    assert len(page.text) + page.text.count('"') + page.text.count("\\") < 6_000_000
    assert 0 < len(page.json["items"]) < 12
    assert "next" in page.json


@pytest.mark.parametrize("limit", ["0", "101", "x", "1.5", "-1", "", "\u0661"])
def test_a_limit_that_is_none_is_400(client: SystemClient, limit: str) -> None:
    assert_problem(client("GET", "/items", query=f"limit={limit}"), 400, "invalid-limit")


def test_a_cursor_that_this_listing_did_not_give_is_400(client: SystemClient, items: FakeTable) -> None:
    for n in range(3):
        create(client, n=n)
    cursor = client("GET", "/items", query="limit=1").json["next"]
    elsewhere = SystemClient(HTTP_CRUD, Crud(items, "prod"), table=items)  # type: ignore[arg-type]
    assert client("GET", "/items", query=f"cursor={cursor}").status == 200
    assert_problem(elsewhere("GET", "/items", query=f"cursor={cursor}"), 400, "invalid-cursor")
    for wrong in ("", "x", cursor[:-1], cursor + "A", cursor.swapcase()):
        assert_problem(client("GET", "/items", query=f"cursor={wrong}"), 400, "invalid-cursor")


@pytest.mark.parametrize("path", ["/items", "/items/a"])
def test_another_method_is_405_and_the_answer_names_the_ones_there_are(client: SystemClient, path: str) -> None:
    allowed = "GET, POST, OPTIONS" if path == "/items" else "GET, PUT, DELETE, OPTIONS"
    for method in {"POST", "PUT", "DELETE", "PATCH", "HEAD"} - set(allowed.split(", ")):
        answer = client(method, path)
        assert_problem(answer, 405, "method-not-allowed")
        assert answer.headers["allow"] == allowed


def test_options_asks_no_table(client: SystemClient, items: FakeTable) -> None:
    assert client("OPTIONS", "/items").status == client("OPTIONS", "/items/a").status == 204
    assert not items.memory.requests


def test_an_unknown_path_is_404(client: SystemClient) -> None:
    assert_problem(client("GET", "/"), 404, "route-not-found")
    assert_problem(client("GET", "/items/a/b"), 404, "route-not-found")


@pytest.mark.parametrize("kind", ["throttled", "unavailable", "denied", "missing"])
@pytest.mark.parametrize("route", ["GET /items", "POST /items", "GET /items/a", "PUT /items/a", "DELETE /items/a"])
def test_a_table_that_fails_is_a_problem_that_tells_nothing_of_it(
    client: SystemClient, items: FakeTable, route: str, kind: str
) -> None:
    def fail(_action: str) -> None:
        raise TableError(kind, "arn:aws:dynamodb:tap-items-dev")

    items.before = fail
    method, path = route.split()
    answer = client(method, path, {})
    passing = kind in {"throttled", "unavailable"}
    assert_problem(answer, 503 if passing else 500, "unavailable" if passing else "internal-error")
    assert ("retry-after" in answer.headers) == passing
    assert "tap-items" not in answer.text
