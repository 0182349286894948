"""The function has 128 MB: what a client sends, or has stored, never takes more than is left beside the runtime."""

from __future__ import annotations

import json
import tracemalloc
from typing import TYPE_CHECKING, Any

import pytest

from lib.handler import large
from lib.handler.app import App
from lib.handler.items_api import Items
from lib.handler.limits import BODY_LIMIT, VALUES_LIMIT
from lib.handler.table import Table
from lib.routes import ITEMS
from tests.unit.handler.client import Client, rest_event

if TYPE_CHECKING:
    from collections.abc import Callable

# Beside the runtime's 25 MB, and some for what an allocator cannot give back.
ROOM = 80 * 1024 * 1024


def peak(act: Callable[[], Any]) -> tuple[Any, int]:
    tracemalloc.start()
    try:
        return act(), tracemalloc.get_traced_memory()[1]
    finally:
        tracemalloc.stop()


def many(value: str) -> str:
    """As many values as a body has room for."""
    return '{"a":[' + ",".join([value] * ((BODY_LIMIT - 8) // (len(value) + 1))) + "]}"


@pytest.mark.parametrize(
    "body",
    [
        *(
            many(value)
            for value in ("1", "{}", "[]", '""', '"ab"', "null", "1e999", '{"b":1}', '"\\ud800"', "[[[[]]]]")
        ),
        "[" * BODY_LIMIT,
        '{"a":' * (BODY_LIMIT // 5),
        '{"' + "a" * (BODY_LIMIT - 10) + '":1}',
        "{" + ",".join([f'"{number:x}":1' for number in range(BODY_LIMIT // 10)]) + "}",
        '{"a":"' + '\\"' * (BODY_LIMIT // 2 - 10) + '"}',
        '{"a":"' + "\\\\" * (BODY_LIMIT // 2 - 10) + '"}',
    ],
    ids=lambda body: body[:12],
)
def test_no_body_fills_the_memory(body: str) -> None:
    client = Client()
    event = rest_event("POST", "/items", body=body)
    answer, bytes_ = peak(lambda: client.send(event))
    assert answer.status in {400, 413, 422}
    assert bytes_ < ROOM


@pytest.mark.parametrize("value", ['"b,[{"', '"\\\\"', '"\\","', '"\\\\\\","'])
def test_only_values_are_counted_and_not_what_strings_look_like(value: str) -> None:
    fits = '{"a":[' + ",".join([value] * 20_000) + "]}"
    assert Client()("POST", "/items", fits).status == 201
    assert Client()("POST", "/items", '{"a":' + json.dumps("a,[{" * 100_000) + "}").status == 201


def test_as_many_values_as_are_allowed_are_stored_and_read() -> None:
    body = '{"a":[' + ",".join(["true"] * (VALUES_LIMIT - 2)) + "]}"
    client = Client()
    event = rest_event("POST", "/items", body=body)
    assert peak(lambda: client.send(event))[1] < ROOM
    assert client.stored()
    assert client("POST", "/items", body.replace("[", "[1,1,")).status == 413


@pytest.mark.parametrize("kind", ["bools", "numbers"])
def test_the_densest_page_there_can_be_is_read(kind: str) -> None:
    """1 MB by DynamoDB's count can be a million values; as many dictionaries would be twice the function's memory."""
    value = {"bools": {"BOOL": True}, "numbers": {"N": "7"}}[kind]
    count = 80_000 if kind == "numbers" else 99_000
    item = {"CreatedAt": {"S": "2024-05-06T07:08:09.123456Z"}, "x": {"L": [value] * count}}
    items = [{**item, "ItemId": {"S": str(number)}} for number in range(3 if kind == "numbers" else 10)]
    text = json.dumps({"Items": items}, separators=(",", ":")).encode()

    class Host:
        path, header = "/", "host"

        def exchange(self, *_: object) -> tuple[int, bytes, bytes]:
            return 200, b"", bytes(text)

    table = Table("dev-items-table", "us-east-1", "http://127.0.0.1:1")
    table.host = Host()  # type: ignore[assignment]
    app = App(ITEMS, Items(table, "dev"), {}, table)
    response, bytes_ = peak(lambda: app.handler(rest_event("GET", "/items"), None))
    assert response["statusCode"] == 200
    assert bytes_ < ROOM
    listed = json.loads(response["body"])["items"]
    assert listed
    assert all(len(item["x"]) == count for item in listed)


def test_a_large_answer_is_the_same_document() -> None:
    values = [{"S": str(number)} for number in range(5_000)]
    document = {"Items": [{"x": {"L": values}, "m": {"M": {"S": {"S": "1"}, "N": {"N": "1"}}}, "e": {"M": {}}}] * 2}
    assert large.decode(json.dumps(document)) == document


@pytest.fixture(autouse=True)
def _credentials(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("AWS_ACCESS_KEY_ID", "AKIDEXAMPLE")
    monkeypatch.setenv("AWS_SECRET_ACCESS_KEY", "wJalrXUtnFEMI")
