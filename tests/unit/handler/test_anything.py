"""Whatever arrives, a well-formed answer leaves; whatever is accepted comes back; and no model of the API disagrees."""

from __future__ import annotations

import copy
import json
import string
import unicodedata
from decimal import Decimal
from typing import Any

import pytest
from hypothesis import HealthCheck, assume, example, given, settings
from hypothesis import strategies as st
from hypothesis.stateful import Bundle, RuleBasedStateMachine, invariant, rule

from lib.handler.items_api import _record_key
from tests.unit.handler.client import Answer, Client, http_event, path_of, rest_event
from tests.unit.handler.test_contract import CREATED, KEY, PATH

JSON_VALUES = st.recursive(
    st.none()
    | st.booleans()
    | st.integers()
    | st.floats()
    | st.text(max_size=8)
    | st.sampled_from(["é", "\ud800", "\x00"]),
    lambda inner: st.lists(inner, max_size=4) | st.dictionaries(st.text(max_size=6), inner, max_size=4),
    max_leaves=12,
)
MEMBERS = [
    *rest_event("GET", PATH, headers={"x": "y"}),
    *http_event("GET", PATH, query="limit=1", body="{}"),
]
METHODS = ["GET", "POST", "PUT", "DELETE", "OPTIONS", "PATCH"]
PATHS = ["/items", "/items/a", PATH, "/items/%C3%A9", "/nowhere", "/items/"]


def assert_well_formed(response: dict[str, Any]) -> None:
    assert set(response) == {"statusCode", "headers", "body", "isBase64Encoded"}
    assert type(response["statusCode"]) is int
    assert response["isBase64Encoded"] is False
    assert all(type(name) is type(value) is str for name, value in response["headers"].items())
    assert all(value.isascii() and value.isprintable() for value in response["headers"].values())
    assert len(json.dumps(response)) < 6 * 1024 * 1024
    response["body"].encode()
    if response["body"]:
        kind = "application/json" if response["statusCode"] < 400 else "application/problem+json"
        assert response["headers"]["Content-Type"] == kind
        json.loads(response["body"])
    else:
        assert response["statusCode"] in {204, 304}
    assert 200 <= response["statusCode"] < 500, "never a 5xx for what a client sent"


@given(JSON_VALUES | st.dictionaries(st.sampled_from(MEMBERS), JSON_VALUES))
@settings(max_examples=500)
def test_any_json_value_as_an_event_gets_a_well_formed_answer(event: object) -> None:
    assert_well_formed(Client().app.handler(event, None))


@st.composite
def events(draw: st.DrawFn) -> dict[str, Any]:
    """A gateway's event with some of its parts replaced by anything or taken away."""
    make = draw(st.sampled_from([rest_event, http_event]))
    body = draw(st.none() | st.text(max_size=20) | JSON_VALUES.map(json.dumps) | st.just(json.dumps({**KEY, "n": 1})))
    names = ["If-Match", "If-None-Match", "Idempotency-Key", "Content-Type", "Content-Encoding", "Origin"]
    headers = draw(st.dictionaries(st.sampled_from(names), st.text(max_size=8) | st.sampled_from(["*", '"x"'])))
    query = draw(st.sampled_from(["", "limit=1", "limit=x", "cursor=abc", "limit=1&limit=2", "cursor=&limit="]))
    event: dict[str, Any] = make(
        draw(st.sampled_from(METHODS)), draw(st.sampled_from(PATHS)), query=query, headers=headers, body=body
    )
    for _ in range(draw(st.integers(0, 3))):
        place: Any = event
        while True:
            name = draw(st.sampled_from(sorted(place)))
            if isinstance(place[name], dict) and place[name] and draw(st.booleans()):
                place = place[name]
                continue
            break
        if draw(st.booleans()):
            place[name] = draw(JSON_VALUES)
        else:
            del place[name]
        if not event:
            break
    return event


@given(events())
@settings(max_examples=1500)
@example({"httpMethod": "GET", "resource": "/items/{ItemId}", "pathParameters": {"other": "x"}})
@example({"httpMethod": "GET", "resource": "/items/{ItemId}", "pathParameters": {"ItemId": {}}})
def test_any_damage_to_an_event_gets_a_well_formed_answer(event: dict[str, Any]) -> None:
    client = Client()
    client.create(**KEY)
    assert_well_formed(client.app.handler(event, client.context))


BODY = json.dumps({"ItemId": "a", "l": [1.5, {"m": "é\n"}, None] * 10, "t": "x" * 50})


@given(st.integers(0, len(BODY) - 1), st.sampled_from(["rest", "http"]))
def test_any_truncation_of_a_body_is_a_400(length: int, kind: str) -> None:
    assert Client(kind)("POST", "/items", BODY[:length]).status == 400


# --- what is accepted comes back

TEXTS = st.text(st.characters(exclude_categories=["Cs"]), max_size=20)
NAMES = st.text(st.characters(exclude_categories=["Cs"]), min_size=1, max_size=10).filter(
    lambda name: not name.startswith("tap:") and name not in KEY
)


@st.composite
def numbers(draw: st.DrawFn) -> Decimal:
    """Any number that DynamoDB can hold, in any way JSON can write it."""
    digits = draw(st.text(string.digits, min_size=1, max_size=38))
    value = Decimal(digits).scaleb(draw(st.integers(-130, 125 - len(digits))))
    assume(not value or value.adjusted() >= -130)
    return value.copy_sign(draw(st.sampled_from([Decimal(1), Decimal(-1)])))


ITEM_VALUES = st.recursive(
    st.none() | st.booleans() | TEXTS | numbers(),
    lambda inner: st.lists(inner, max_size=4) | st.dictionaries(NAMES, inner, max_size=4),
    max_leaves=15,
)


def written(value: Any, ascii_only: bool) -> str:
    """JSON with numbers as they are."""
    if isinstance(value, Decimal):
        return str(value)
    if isinstance(value, list):
        return f"[{','.join([written(element, ascii_only) for element in value])}]"
    if isinstance(value, dict):
        members = [
            f"{json.dumps(name, ensure_ascii=ascii_only)}: {written(member, ascii_only)}"
            for name, member in value.items()
        ]
        return f"{{{','.join(members)}}}"
    return json.dumps(value, ensure_ascii=ascii_only)


@given(st.dictionaries(NAMES, ITEM_VALUES, max_size=5), st.sampled_from(["rest", "http"]), st.booleans())
@settings(max_examples=400)
def test_any_item_that_is_accepted_comes_back_equal(item: dict[str, Any], kind: str, ascii_only: bool) -> None:
    client = Client(kind)
    created = client("POST", "/items", written(item, ascii_only))
    assert created.status == 201, created.text
    path = path_of(created.json)
    expected = {**item, "ItemId": created.json["ItemId"], "CreatedAt": created.json["CreatedAt"]}
    replaced = client("PUT", path, written(item, not ascii_only))
    for answer in (created, replaced, client.get(path)):
        assert answer.json == expected
    assert client.page().json["items"] == client.page(path.rpartition("/")[0]).json["items"] == [expected]


@given(st.text(min_size=1, max_size=30), st.sampled_from(["rest", "http"]))
@example("%41", "rest")
@example("..", "http")
@example("\x9f", "rest")
def test_any_id_is_either_refused_or_found_by_its_path(item_id: str, kind: str) -> None:
    client = Client(kind)
    answer = client.post({"ItemId": item_id})
    control = any(unicodedata.category(character) in {"Cc", "Cs"} for character in item_id)
    assert answer.status == (422 if control else 201)
    if answer.status == 201:
        assert answer.headers["location"].endswith(path_of({**answer.json, "ItemId": item_id}))
        assert client.get(path_of(answer.json)).json == answer.json


# --- cursors


@pytest.fixture(scope="module")
def listing() -> tuple[Client, set[str]]:
    """A client of a table with five items, and every cursor of its listing."""
    client = Client()
    cursors: set[str] = set()
    for number in range(5):
        client.create(ItemId=f"é{number}", CreatedAt=CREATED)
    answer = client.page(limit=1)
    while "next" in answer.json:
        cursors.add(answer.json["next"])
        answer = client.page(limit=1, cursor=answer.json["next"])
    assert len(cursors) == 4
    return client, cursors


URL_SAFE = string.ascii_letters + string.digits + "-_"


@given(
    cursor=st.text(max_size=40)
    | st.text(URL_SAFE, max_size=120)
    | st.binary(max_size=60).map(lambda raw: raw.decode("latin-1"))
)
@example(cursor="")
@example(cursor="=")
@example(cursor="A" * 10_000)
@example(cursor="\ud800")
def test_any_string_that_was_not_issued_is_no_cursor(listing: tuple[Client, set[str]], cursor: str) -> None:
    client, issued = listing
    assume(cursor not in issued)
    event = rest_event("GET", "/items")
    event["queryStringParameters"] = {"cursor": cursor}
    answer = client.send(event)
    assert (answer.status, answer.code) == (400, "invalid-cursor")


@given(data=st.data())
@settings(max_examples=300)
def test_any_change_to_a_cursor_makes_it_none(listing: tuple[Client, set[str]], data: st.DataObject) -> None:
    client, issued = listing
    cursor = data.draw(st.sampled_from(sorted(issued)))
    place = data.draw(st.integers(0, len(cursor)))
    change = data.draw(st.sampled_from(["replace", "insert", "delete", "append", "swap case", "pad"]))
    letter = data.draw(st.sampled_from(URL_SAFE + "=+/ %.\n"))
    changed = {
        "replace": cursor[:place] + letter + cursor[place + 1 :],
        "insert": cursor[:place] + letter + cursor[place:],
        "delete": cursor[:place] + cursor[place + 1 :],
        "append": cursor + letter,
        "swap case": cursor[:place] + cursor[place:].swapcase(),
        "pad": cursor + "=" * (place % 4),
    }[change]
    assume(changed not in issued)
    assert client.page(cursor=changed).status == 400


@given(st.integers(0, 30), st.integers(1, 12), st.sampled_from(["/items", "/items/a"]), st.booleans())
@settings(max_examples=60)
def test_following_next_gives_each_item_once_whatever_the_limit(count: int, limit: int, path: str, keyed: bool) -> None:
    client = Client()
    for number in range(count):
        body = {"ItemId": "a" if path != "/items" else f"i{number}", "CreatedAt": f"2024-01-01T00:00:{number:02}Z"}
        client.post(body, **({"Idempotency_Key": f"k{number}"} if keyed else {}))
    seen: list[str] = []
    cursor: dict[str, object] = {}
    while True:
        answer = client.page(path, limit=limit, **cursor)
        if not count and path != "/items":
            assert answer.status == 404
            return
        seen += [path_of(item) for item in answer.json["items"]]
        if "next" not in answer.json:
            break
        cursor = {"cursor": answer.json["next"]}
    assert len(seen) == len(set(seen)) == count
    if path != "/items":
        assert seen == sorted(seen, reverse=True)


# --- a model of the whole API


class Model(RuleBasedStateMachine):
    """Any sequence of requests leaves the table as a dictionary would be left, and answers as it would."""

    paths = Bundle("paths")

    def __init__(self) -> None:
        super().__init__()
        self.client = Client()
        self.items: dict[tuple[str, str], dict[str, Any]] = {}
        self.etags: dict[tuple[str, str], str] = {}

    @rule(target=paths, item_id=st.sampled_from("ab"), day=st.integers(1, 3))
    def name(self, item_id: str, day: int) -> tuple[str, str]:
        return item_id, f"2024-01-0{day}T00:00:00.000000Z"

    @rule(key=paths, n=st.integers(0, 3), idempotency_key=st.none() | st.sampled_from("kl"))
    def create(self, key: tuple[str, str], n: int, idempotency_key: str | None) -> None:
        # One key for one body: what another body does is a test of its own.
        headers = {"Idempotency_Key": "-".join([idempotency_key, *key, str(n)])} if idempotency_key else {}
        before = copy.deepcopy(self.client.stored())
        replay = self._done(headers)
        answer = self.client.post({"ItemId": key[0], "CreatedAt": key[1], "n": n}, **headers)
        if replay:
            assert answer.status == 201
            assert self.client.stored() == before
        elif key in self.items:
            assert answer.status == 409
        else:
            self._remember(key, answer, 201, n)

    def _done(self, headers: dict[str, str]) -> bool:
        if not headers:
            return False
        key = _record_key(headers["Idempotency_Key"])
        return "done" in self.client.table.memory.items.get((key["ItemId"]["S"], key["CreatedAt"]["S"]), {})

    @rule(key=paths, n=st.integers(4, 9), short=st.booleans(), guard=st.sampled_from(["none", "etag", "stale", "*"]))
    def replace(self, key: tuple[str, str], n: int, short: bool, guard: str) -> None:
        answer = self.client("PUT", self._path(key, short), {"n": n}, **self._guard(key, guard))
        versions = [other for other in self.items if other[0] == key[0]]
        target = versions[0] if short and len(versions) == 1 else key
        if self._refused(answer, target, versions, short, guard):
            return
        assert answer.etag != self.etags[target]
        self._remember(target, answer, 200, n)

    @rule(key=paths, short=st.booleans(), guard=st.sampled_from(["none", "etag", "stale", "*"]))
    def delete(self, key: tuple[str, str], short: bool, guard: str) -> None:
        answer = self.client("DELETE", self._path(key, short), **self._guard(key, guard))
        versions = [other for other in self.items if other[0] == key[0]]
        target = versions[0] if short and len(versions) == 1 else key
        if self._refused(answer, target, versions, short, guard):
            return
        assert answer.status == 204
        del self.items[target], self.etags[target]

    @invariant()
    def every_item_is_listed_once(self) -> None:
        listed = self.client.page(limit=100).json["items"]
        assert sorted(listed, key=path_of) == sorted(self.items.values(), key=path_of)
        for key, item in self.items.items():
            answer = self.client.get(self._path(key, short=False))
            assert (answer.json, answer.etag) == (item, self.etags[key])

    def _refused(self, answer: Answer, target: tuple[str, str], versions: list[Any], short: bool, guard: str) -> bool:
        expected = None
        if short and len(versions) > 1:
            expected = 409
        elif target not in self.items:
            expected = 404
        elif guard == "stale" or (guard == "etag" and self._tag(target) != self._sent):
            expected = 412
        assert expected is None or answer.status == expected, answer.text
        return expected is not None

    def _guard(self, key: tuple[str, str], guard: str) -> dict[str, str]:
        self._sent = self._tag(key)
        return {"none": {}, "etag": {"If_Match": self._sent}, "stale": {"If_Match": '"stale"'}, "*": {"If_Match": "*"}}[
            guard
        ]

    def _tag(self, key: tuple[str, str]) -> str:
        return self.etags.get(key, '"never"')

    def _remember(self, key: tuple[str, str], answer: Answer, status: int, n: int) -> None:
        assert answer.status == status, answer.text
        self.items[key] = {"ItemId": key[0], "CreatedAt": key[1], "n": n}
        self.etags[key] = answer.etag
        assert answer.json == self.items[key]

    @staticmethod
    def _path(key: tuple[str, str], short: bool) -> str:
        return f"/items/{key[0]}" if short else path_of({"ItemId": key[0], "CreatedAt": key[1]})


Model.TestCase.settings = settings(
    max_examples=60, stateful_step_count=30, suppress_health_check=list(HealthCheck), deadline=None
)
test_the_api_agrees_with_its_model = Model.TestCase
