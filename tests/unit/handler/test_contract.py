"""The HTTP contract, row by row: what each route does and answers."""

from __future__ import annotations

import base64
import json
import re
from decimal import Decimal
from typing import Any
from urllib.parse import quote, unquote

import pytest

from lib.handler.problem import CODES
from lib.routes import ITEMS, methods_by_path
from tests.unit.handler.client import REQUEST_ID, Answer, Client, http_event, path_of, rest_event

CREATED = "2024-05-06T07:08:09.123456Z"
KEY = {"ItemId": "a", "CreatedAt": CREATED}
PATH = path_of(KEY)
UUID = re.compile(r"[0-9a-f]{8}-[0-9a-f]{4}-4[0-9a-f]{3}-[89ab][0-9a-f]{3}-[0-9a-f]{12}")
MOMENT = re.compile(r"\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d\.\d{6}Z")


def assert_problem(answer: Answer, status: int, code: str) -> None:
    assert (answer.status, answer.json["code"]) == (status, code), answer.text
    assert answer.headers["content-type"] == "application/problem+json"
    document = answer.json
    assert document["status"] == status
    assert set(document) - {"errors"} == {"type", "title", "status", "detail", "instance", "code", "requestId"}
    assert document["type"].endswith(code)
    assert document["instance"].endswith(document["requestId"])


# --- POST /items


def test_creating_answers_201_with_the_item_its_place_and_its_etag(client: Client) -> None:
    answer = client.post({"name": "first", "n": 1})
    item = answer.json
    assert answer.status == 201
    assert answer.headers["content-type"] == "application/json"
    assert set(item) == {"ItemId", "CreatedAt", "name", "n"}, "the server adds nothing but the two keys"
    assert UUID.fullmatch(item["ItemId"])
    assert MOMENT.fullmatch(item["CreatedAt"])
    assert re.fullmatch(r'"[0-9a-f]{24}"', answer.etag)
    assert answer.headers["location"].endswith(path_of(item))
    assert client.get(path_of(item)).json == item


def test_location_has_the_stage_where_the_clients_url_has_one() -> None:
    rest, http = Client("rest"), Client("http")
    assert rest.post(KEY).headers["location"] == "/prod" + PATH
    assert http.post(KEY).headers["location"] == PATH
    staged = http_event("POST", "/items", body="{}")
    staged["rawPath"] = "/v1/items"
    staged["requestContext"]["stage"] = "v1"
    staged["routeKey"] = "$default"
    assert http.send(staged).headers["location"].startswith("/v1/items/")
    custom = rest_event("POST", "/items", body="{}")
    custom["path"] = custom["requestContext"]["path"] = "/base/items"
    assert rest.send(custom).headers["location"].startswith("/base/items/")


def test_both_keys_may_be_given_and_the_time_is_stored_as_utc(client: Client) -> None:
    answer = client.post({"ItemId": "a", "CreatedAt": "2024-05-06T09:08:09.1+02:00", "x": None})
    assert answer.json == {"ItemId": "a", "CreatedAt": "2024-05-06T07:08:09.100000Z", "x": None}
    assert client.get("/items/a/2024-05-06T07:08:09.1Z").status == 200
    assert client.get("/items/a/" + quote("2024-05-06T00:08:09.100-07:00")).status == 200


def test_an_existing_key_is_409_and_the_stored_item_stays_as_it_was(client: Client) -> None:
    path, first = client.create(**KEY, n=1)
    for headers in ({}, {"If_None_Match": "*"}):
        assert_problem(client.post({**KEY, "n": 2}, **headers), 409, "item-exists")
    assert client.get(path).json == first.json
    assert client.get(path).etag == first.etag


def test_if_none_match_star_is_allowed_on_post_and_nothing_else_is(client: Client) -> None:
    assert client.post({}, If_None_Match="*").status == 201
    for value in ('"x"', "", "**", "*, *"):
        assert_problem(client.post({}, If_None_Match=value), 400, "invalid-header")


@pytest.mark.parametrize(
    "item_id", ["a b", "a/b", "a%2Fb", "a+b", "ü€😀", "..", "?#&=", "'\"\\", "a" * 2048, "é" * 1024]
)
def test_any_printable_id_can_be_stored_and_read_back_by_its_location(client: Client, item_id: str) -> None:
    path, answer = client.create(ItemId=item_id)
    assert answer.headers["location"].isascii()
    assert unquote(answer.headers["location"]).endswith(f"/{item_id}/{answer.json['CreatedAt']}")
    assert client.get(path).json["ItemId"] == item_id
    assert client.get(path.rpartition("/")[0]).json["items"] == [answer.json]


@pytest.mark.parametrize(
    "item_id", ["", "a" * 2049, "é" * 1025, "a\n", "\x00", "\x7f", "\x85", 1, None, [], {}, True, 1.5]
)
def test_an_id_out_of_bounds_is_422(client: Client, item_id: object) -> None:
    answer = client.post({"ItemId": item_id})
    assert_problem(answer, 422, "invalid-item")
    assert answer.pointers() == ["/ItemId"]


@pytest.mark.parametrize(
    "created_at", ["", "now", "2024-05-06", "2024-05-06T07:08:09", "2024-02-30T00:00:00Z", 1714979289, None, [CREATED]]
)
def test_a_time_that_is_none_is_422(client: Client, created_at: object) -> None:
    answer = client.post({"CreatedAt": created_at})
    assert_problem(answer, 422, "invalid-item")
    assert answer.pointers() == ["/CreatedAt"]


def test_every_error_of_an_item_comes_at_once(client: Client) -> None:
    body = (
        '{"ItemId": "", "CreatedAt": "x", "tap:version": 1, "tap:~/x": 2, "n": 1e999, "": 1, "l": [{"s": "\\ud800"}]}'
    )
    answer = client.post(body)
    assert_problem(answer, 422, "invalid-item")
    assert sorted(answer.pointers()) == sorted(
        ["/ItemId", "/CreatedAt", "/tap:version", "/tap:~0~1x", "/n", "/", "/l/0/s"]
    )
    assert all(error["detail"] for error in answer.json["errors"])


@pytest.mark.parametrize("method", ["POST", "PUT"])
@pytest.mark.parametrize("body", ["[]", '"a"', "1", "null", "true"])
def test_an_item_is_an_object(client: Client, method: str, body: str) -> None:
    path = client.create()[0] if method == "PUT" else "/items"
    answer = client(method, path, body)
    assert_problem(answer, 422, "invalid-item")
    assert answer.pointers() == [""]


# --- the body


@pytest.mark.parametrize(
    "body",
    [
        "",
        "{",
        "{}{}",
        "{} x",
        "{'a': 1}",
        '{"a": NaN}',
        '{"a": Infinity}',
        '{"a": -Infinity}',
        '{"a": 01}',
        '{"a": +1}',
        '{"a": .5}',
        '{"a": 1.}',
        '{"a": "\n"}',
        "\ufeff{}",
        '{"a": tru}',
        '{"a"}',
        "[1,]",
        '{"a": "\\x"}',
        "\x00",
        "{" * 50,
    ],
)
def test_what_is_not_one_json_document_is_400(client: Client, body: str) -> None:
    assert_problem(client("POST", "/items", body), 400, "invalid-body")
    assert client.requests == 0


@pytest.mark.parametrize(
    ("body", "pointer"),
    [
        ('{"a": 1, "a": 1}', "/a"),
        ('{"a": {"b": [0, {"c": 1, "c": 2}]}}', "/a/b/1/c"),
        ('{"a": "\\ud800"}', "/a"),
        ('{"a": "\\udc00\\ud800"}', "/a"),
        ('{"a": 123456789012345678901234567890123456789}', "/a"),
        ('{"a": 1e126}', "/a"),
        ('{"a": 1e-131}', "/a"),
        ('{"a": 1e' + "9" * 5000 + "}", "/a"),
        ('{"a": ' + "[" * 32 + "]" * 32 + "}", "/a" + "/0" * 31),
        ('{"tap:version": "x"}', "/tap:version"),
        ('{"": 1}', "/"),
    ],
)
def test_what_the_table_would_not_take_is_refused_before_it_is_asked(client: Client, body: str, pointer: str) -> None:
    answer = client("POST", "/items", body)
    assert_problem(answer, 422, "invalid-item")
    assert answer.pointers() == [pointer]
    assert client.requests == 0


def test_32_levels_are_taken_and_more_refused(client: Client) -> None:
    assert client("POST", "/items", '{"a": ' + "[" * 31 + "]" * 31 + "}").status == 201
    deep = "[" * 10_000 + "]" * 10_000
    assert_problem(client("POST", "/items", f'{{"a": {deep}}}'), 422, "invalid-item")
    assert_problem(client("POST", "/items", f'{{"a": {deep * 100}}}'), 413, "too-large")


def test_an_item_of_400_kb_is_taken_and_a_larger_one_is_413(client: Client) -> None:
    room = 400 * 1024 - len("ItemIdaCreatedAt" + CREATED + "tap:versionx") - 24
    path, _ = client.create(**KEY, x="é" * (room // 2))
    assert client.get(path).json["x"] == "é" * (room // 2)
    requests = client.requests
    for method, where in (("POST", "/items"), ("PUT", path)):
        for body in ({**KEY, "x": "é" * (room // 2 + 1)}, {"x": [0] * 200_000}, {"x": "y" * 5_000_000}):
            assert_problem(client(method, where, body), 413, "too-large")
    assert client.requests == requests


@pytest.mark.parametrize("given", [{}, {"ItemId": "a" * 2000}, {"CreatedAt": CREATED}])
def test_the_keys_count_wherever_they_come_from(client: Client, given: dict[str, str]) -> None:
    keys = {"ItemId": "-" * 36, "CreatedAt": CREATED, **given}
    room = 400 * 1024 - sum([len(name) + len(value) for name, value in keys.items()]) - len("tap:versionx") - 24
    assert client.post({**given, "x": "y" * (room + 1)}).status == 413
    answer = client.post({**given, "x": "y" * room})
    assert answer.status == 201
    assert client("PUT", path_of(answer.json), {"x": "y" * (room + 1)}).status == 413
    assert client("PUT", path_of(answer.json), {"x": "y" * room}).status == 200


@pytest.mark.parametrize(
    "text",
    [
        "0",
        "-0",
        "1",
        "-1",
        "1.10",
        "0.1",
        "12345678901234567890123456789012345678",
        "1e125",
        "9.9e125",
        "1E-130",
        "1e2",
        "0.30000000000000004",
        "1234567890123456789.0123456789012345678",
        "-1.7976931348623157e+100",
        "0e999",
        "100",
        "2.50",
    ],
)
def test_numbers_keep_their_value_exactly(client: Client, text: str) -> None:
    answer = client("POST", "/items", f'{{"n": {text}, "l": [{text}]}}')
    assert answer.status == 201
    for copy in (answer, client.get(path_of(answer.json))):
        assert copy.json["n"] == copy.json["l"][0] == Decimal(text)


@pytest.mark.parametrize(
    "kind",
    [
        "application/json",
        "Application/JSON",
        "application/json; charset=utf-8",
        'application/json;charset="UTF-8"',
        None,
    ],
)
def test_json_media_types_are_taken_and_none_is_json(client: Client, kind: str | None) -> None:
    assert client("POST", "/items", {}, **({"Content_Type": kind} if kind else {})).status == 201


@pytest.mark.parametrize(
    "kind",
    [
        "text/plain",
        "application/x-www-form-urlencoded",
        "application/json; charset=latin-1",
        "application/jsonx",
        "json",
        "application/json; profile=x",
        "application/json, application/json",
        "application/problem+json",
        "*/*",
    ],
)
def test_any_other_media_type_is_415(client: Client, kind: str) -> None:
    for method, path in (("POST", "/items"), ("PUT", PATH)):
        assert_problem(client(method, path, {}, Content_Type=kind), 415, "unsupported-media-type")


@pytest.mark.parametrize(
    ("encoding", "status"), [("identity", 201), ("Identity", 201), ("gzip", 415), ("br, identity", 415)]
)
def test_only_the_identity_encoding_is_taken(client: Client, encoding: str, status: int) -> None:
    assert client.post({}, Content_Encoding=encoding).status == status


def test_base64_bodies_are_decoded_strictly(client: Client) -> None:
    text = base64.b64encode('{"ItemId": "é"}'.encode()).decode()
    bad = [
        "e30",
        "e31=",
        "e3 0=",
        "e30=\n",
        "e30==",
        "é",
        "====",
        "e30=e30=",
        base64.b64encode(b'{"a":"\xff"}').decode(),
    ]
    for body, status in [(text, 201), *((body, 400) for body in bad)]:
        event = client.event("POST", "/items", body=body)
        event["isBase64Encoded"] = True
        assert client.send(event).status == status, body


def test_a_body_is_text(client: Client) -> None:
    bodies: list[object] = [None, 5, {}, ["{}"], True]
    for body in bodies:
        event = client.event("POST", "/items")
        event["body"] = body
        assert_problem(client.send(event), 400, "invalid-body")


# --- GET


def test_an_item_is_read_with_its_etag_and_304_when_it_is_known(client: Client) -> None:
    path, created = client.create(n=1)
    assert client.get(path).etag == created.etag
    for known in (created.etag, "W/" + created.etag, f'"x", {created.etag}', "*"):
        answer = client.get(path, If_None_Match=known)
        assert (answer.status, answer.text, answer.etag) == (304, "", created.etag)
        assert "content-type" not in answer.headers
    assert client.get(path, If_None_Match='"x"').status == 200


def test_if_match_on_a_read_is_412_when_stale(client: Client) -> None:
    path, created = client.create()
    assert client.get(path, If_Match=created.etag).status == client.get(path, If_Match="*").status == 200
    assert_problem(client.get(path, If_Match='"x"'), 412, "precondition-failed")


@pytest.mark.parametrize("method", ["GET", "PUT", "DELETE"])
def test_what_is_not_there_is_404_on_both_paths(client: Client, method: str) -> None:
    client.create(ItemId="b", CreatedAt=CREATED)
    for path in (PATH, "/items/a"):
        for headers in ({}, {"If_Match": "*"}, {"If_Match": '"x"'}):
            answer = client(method, path, {} if method == "PUT" else None, **headers)
            assert_problem(answer, 404, "item-not-found")
    assert len(client.stored()) == 1, "PUT never creates"


@pytest.mark.parametrize(
    "path",
    [
        "/items/%00",
        "/items/a%0Ab",
        "/items/" + "a" * 2049,
        "/items/a/yesterday",
        "/items/a/2024-05-06T07:08:09",
        "/items/a/2024-05-06T07:08:09%2B25:00",
        "/items/%7F/2024-05-06T07:08:09Z",
    ],
)
@pytest.mark.parametrize("method", ["GET", "PUT", "DELETE"])
def test_a_path_that_names_no_possible_item_is_400(client: Client, method: str, path: str) -> None:
    assert_problem(client(method, path, {} if method == "PUT" else None), 400, "invalid-path")
    assert client.requests == 0


@pytest.mark.parametrize("segment", ["%", "%4", "%zz", "a%", "%+1", "%ff", "%c3", "%ed%a0%80"])
def test_a_rest_path_that_is_not_percent_encoded_utf_8_is_400(segment: str) -> None:
    client = Client("rest")
    assert_problem(client.get(f"/items/{segment}"), 400, "invalid-path")
    assert_problem(client.get(f"/items/a/{segment}"), 400, "invalid-path")


def test_a_lone_surrogate_in_a_path_is_400() -> None:
    """No client can send one, but an event can hold one."""
    client = Client("http")
    event = http_event("GET", "/items/a")
    event["pathParameters"]["ItemId"] = "\ud800"
    assert_problem(client.send(event), 400, "invalid-path")
    assert_problem(client.post('{"ItemId": "\ud800"}'), 422, "invalid-item")


def test_path_parameters_are_decoded_exactly_once_and_a_plus_stays() -> None:
    for kind in ("rest", "http"):
        client = Client(kind)
        client.create(ItemId="a+b%20c", CreatedAt=CREATED)
        assert client.get("/items/a+b%2520c").json["items"][0]["ItemId"] == "a+b%20c"
        assert client.get("/items/a+b%20c").status == 404
        assert client.get("/items/a%2Bb%2520c/2024-05-06T08:08:09.123456+01:00").status == 200


# --- PUT


def test_put_replaces_all_attributes_but_the_keys_and_gives_a_new_etag(client: Client) -> None:
    path, created = client.create(**KEY, a=1, b=2)
    for where, body in (
        (path, {"b": 3}),
        ("/items/a", {**KEY, "b": 4}),
        (path, {"CreatedAt": "2024-05-06T08:08:09.123456+01:00"}),
    ):
        answer = client("PUT", where, body)
        assert answer.status == 200
        assert answer.json == {**body, **KEY}
        assert answer.etag != created.etag
        read = client.get(path)
        assert (read.json, read.etag) == (answer.json, answer.etag)


@pytest.mark.parametrize(
    ("body", "pointers"),
    [
        ({"ItemId": "b"}, ["/ItemId"]),
        ({"CreatedAt": "2024-05-06T07:08:09.123457Z"}, ["/CreatedAt"]),
        ({"ItemId": "b", "CreatedAt": "2025-05-06T07:08:09Z"}, ["/ItemId", "/CreatedAt"]),
    ],
)
def test_a_body_whose_keys_differ_from_the_path_is_422(
    client: Client, body: dict[str, str], pointers: list[str]
) -> None:
    _, created = client.create(**KEY)
    for path in (PATH, "/items/a"):
        answer = client("PUT", path, body)
        assert_problem(answer, 422, "invalid-item")
        assert set(answer.pointers()) <= set(pointers)
        assert answer.pointers()
    assert client("PUT", PATH, body).pointers() == pointers
    assert client.get(PATH).etag == created.etag


# --- DELETE


def test_delete_answers_204_and_the_item_is_gone(client: Client) -> None:
    for where in (PATH, "/items/a"):
        client.create(**KEY)
        answer = client("DELETE", where)
        assert (answer.status, answer.text) == (204, "")
        assert "content-type" not in answer.headers
        assert client.get(PATH).status == 404


@pytest.mark.parametrize("method", ["PUT", "DELETE"])
def test_the_short_path_acts_on_the_only_version_and_is_409_for_several(client: Client, method: str) -> None:
    client.create(**KEY, n=1)
    client.create(ItemId="a", CreatedAt="2023-01-01T00:00:00Z", n=2)
    before = client.stored()
    for headers in ({}, {"If_Match": "*"}):
        answer = client(method, "/items/a", {} if method == "PUT" else None, **headers)
        assert_problem(answer, 409, "several-versions")
    assert client.stored() == before
    assert client("DELETE", PATH).status == 204
    assert client(method, "/items/a", {} if method == "PUT" else None).status in {200, 204}


# --- If-Match


@pytest.mark.parametrize("method", ["PUT", "DELETE"])
@pytest.mark.parametrize("path", [PATH, "/items/a"])
def test_if_match_guards_a_write(client: Client, method: str, path: str) -> None:
    _, created = client.create(**KEY, n=1)
    body = {"n": 2} if method == "PUT" else None
    plain = created.etag.strip('"')
    stale = [
        '"x"',
        "W/" + created.etag,
        plain,
        "",
        '""',
        f"'{plain}'",
        '"*"',
        ", ",
        f'"{plain}',
        '"a","b"',
        '"' + "x" * 9000 + '"',
    ]
    for tag in stale:
        assert_problem(client(method, path, body, If_Match=tag), 412, "precondition-failed")
    assert client.get(PATH).etag == created.etag
    assert client(method, path, body, If_Match=f'"x", {created.etag}').status in {200, 204}


@pytest.mark.parametrize("method", ["PUT", "DELETE"])
def test_if_none_match_on_a_write_is_refused_rather_than_ignored(client: Client, method: str) -> None:
    _, created = client.create(**KEY)
    for path in (PATH, "/items/a"):
        for headers in ({}, {"If_Match": created.etag}):
            answer = client(method, path, {} if method == "PUT" else None, If_None_Match="*", **headers)
            assert_problem(answer, 400, "invalid-header")
    assert client.get(PATH).etag == created.etag


def test_a_header_sent_twice_counts_as_one_list() -> None:
    client = Client("rest")
    _, created = client.create(**KEY)
    event = rest_event("PUT", PATH, body="{}", headers={"If-Match": '"x"'})
    event["multiValueHeaders"]["If-Match"] = [created.etag, '"x"']
    assert client.send(event).status == 200
    event = rest_event("POST", "/items", body="{}", headers={"Idempotency-Key": "k"})
    event["multiValueHeaders"]["Idempotency-Key"] = ["k", "k"]
    assert_problem(client.send(event), 400, "invalid-header")


@pytest.mark.parametrize("method", ["PUT", "DELETE"])
def test_if_match_star_means_it_exists(client: Client, method: str) -> None:
    client.create(**KEY)
    assert client(method, PATH, {} if method == "PUT" else None, If_Match="*").status in {200, 204}


@pytest.mark.parametrize("method", ["PUT", "DELETE"])
def test_hundreds_of_tags_are_no_fault_of_the_server(client: Client, method: str) -> None:
    client.create(**KEY)
    tags = ", ".join([f'"{number:024x}"' for number in range(350)])
    assert client(method, PATH, {} if method == "PUT" else None, If_Match=tags).status == 412


@pytest.mark.parametrize("method", ["PUT", "DELETE"])
def test_428_where_a_precondition_is_required(method: str) -> None:
    client = Client(environment={"REQUIRE_IF_MATCH": "true"})
    _, created = client.create(**KEY)
    body: dict[str, str] | None = {} if method == "PUT" else None
    requests = client.requests
    for path in (PATH, "/items/a"):
        assert_problem(client(method, path, body), 428, "precondition-required")
    assert client.requests == requests
    assert client(method, PATH, body, If_Match=created.etag).status in {200, 204}


def test_an_item_that_another_program_wrote_has_no_etag_and_can_be_read_and_replaced(client: Client) -> None:
    key = {name: {"S": value} for name, value in KEY.items()}
    sets = {"s": {"SS": ["x"]}, "n": {"NS": ["1.50"]}, "b": {"B": "AAE="}}
    client.table.memory.load([{**key, **sets}])
    answer = client.get(PATH)
    assert answer.json == {**KEY, "s": ["x"], "n": [Decimal("1.5")], "b": "AAE="}
    assert "etag" not in answer.headers
    assert client.get(PATH, If_None_Match='""').status == 200
    assert_problem(client("PUT", PATH, {}, If_Match='""'), 412, "precondition-failed")
    assert client("PUT", PATH, {}, If_Match="*").etag


# --- pages


def walk(client: Client, path: str, **query: Any) -> list[list[dict[str, Any]]]:
    pages = []
    while True:
        answer = client.page(path, **query)
        assert answer.status == 200, answer.text
        pages.append(answer.json["items"])
        if "next" not in answer.json:
            return pages
        query["cursor"] = answer.json["next"]


@pytest.mark.parametrize("limit", [1, 2, 3, 5, 7, 8, 100])
def test_following_next_gives_each_item_exactly_once(client: Client, limit: int) -> None:
    items = [client.create(n=number)[1].json for number in range(7)]
    pages = walk(client, "/items", limit=limit)
    listed = [item for page in pages for item in page]
    assert sorted(listed, key=path_of) == sorted(items, key=path_of)
    assert [len(page) for page in pages[:-1]] == [limit] * (len(pages) - 1)
    assert pages[-1], "the last page is not an empty one"


@pytest.mark.parametrize("limit", [1, 2, 3, 4, 100])
def test_versions_come_newest_first(client: Client, limit: int) -> None:
    times = [f"2024-01-0{day}T00:00:00.000000Z" for day in (3, 1, 4, 2)]
    for moment in times:
        client.create(ItemId="a", CreatedAt=moment)
    client.create(ItemId="b")
    listed = [item["CreatedAt"] for page in walk(client, "/items/a", limit=limit) for item in page]
    assert listed == sorted(times, reverse=True)


def test_a_page_has_25_items_unless_told(client: Client) -> None:
    for number in range(26):
        client.create(ItemId=str(number))
    answer = client.page()
    assert len(answer.json["items"]) == 25
    assert len(client.page(cursor=answer.json["next"]).json["items"]) == 1


def test_an_empty_table_is_an_empty_page(client: Client) -> None:
    assert client.page().json == {"items": []}


@pytest.mark.parametrize(
    "limit", ["0", "101", "-1", "1.0", "", " 1", "1e1", "abc", "0x1", "²", "٣", "+1", "9999999999"]
)
@pytest.mark.parametrize("path", ["/items", "/items/a"])
def test_a_limit_out_of_bounds_is_400(client: Client, path: str, limit: str) -> None:
    assert_problem(client.page(path, limit=limit), 400, "invalid-limit")
    assert_problem(client.get(path, query="limit=1&limit=1"), 400, "invalid-limit")
    assert client.requests == 0


def test_a_cursor_works_for_its_own_listing_alone(client: Client) -> None:
    for item_id in ("a", "b"):
        for day in (1, 2):
            client.create(ItemId=item_id, CreatedAt=f"2024-01-0{day}T00:00:00Z")
    cursors = {path: client.page(path, limit=1).json["next"] for path in ("/items", "/items/a", "/items/b")}
    for path in cursors:
        for source, cursor in cursors.items():
            assert client.page(path, cursor=cursor).status == (200 if path == source else 400)
    other = Client(environment={"ENVIRONMENT": "prod"})
    other.create(ItemId="a")
    assert_problem(other.page("/items", cursor=cursors["/items"]), 400, "invalid-cursor")
    assert_problem(
        client.get("/items", query=f"cursor={cursors['/items']}&cursor={cursors['/items']}"), 400, "invalid-cursor"
    )
    assert client.page("/items", cursor=cursors["/items"], limit=100).status == 200, "the limit may change"


def test_the_cost_of_a_page_does_not_depend_on_the_size_of_the_table(client: Client) -> None:
    costs = set()
    for size in (100, 10_000):
        key = [{"ItemId": {"S": f"{number}"}, "CreatedAt": {"S": CREATED}} for number in range(size)]
        client.table.memory.load(key)
        client.table.memory.reads = 0
        assert len(client.page().json["items"]) == 25
        costs.add((client.table.calls, client.table.memory.reads))
    assert costs == {(1, 26)}


@pytest.mark.parametrize("character", ["x", "é", '"', "\\", "\x01", "😀"])
def test_a_page_always_fits_what_lambda_can_answer(client: Client, character: str) -> None:
    size = 399_000 // len(character.encode())
    bodies = [
        json.dumps({"ItemId": "a", "CreatedAt": f"2024-01-0{day}T00:00:00Z", "x": character * size})
        for day in range(1, 7)
    ]
    assert {client("POST", "/items", body).status for body in bodies} == {201}
    for path in ("/items", "/items/a"):
        seen = []
        cursor: dict[str, Any] | None = {}
        while cursor is not None:
            answer = client.page(path, limit=100, **cursor)
            assert len(json.dumps(answer.response)) < 6 * 1024 * 1024
            assert answer.json["items"], "a page that helps nobody"
            seen += [item["CreatedAt"] for item in answer.json["items"]]
            cursor = {"cursor": answer.json["next"]} if "next" in answer.json else None
        assert len(seen) == len(set(seen)) == 6


def test_a_million_digits_do_not_grow_past_what_lambda_can_answer(client: Client) -> None:
    """DynamoDB's plain notation makes 133 characters of 1E-130, which it counts as two bytes."""
    answer = client("POST", "/items", '{"ItemId": "a", "x": [' + ",".join(["1e-130"] * 90_000) + "]}")
    if answer.status == 201:
        assert len(json.dumps(client.get("/items/a").response)) < 6 * 1024 * 1024
    else:
        assert_problem(answer, 413, "too-large")


# --- OPTIONS, 404, 405


@pytest.mark.parametrize(
    ("path", "where"), [("/items", "/items"), ("/items/a", "/items/{ItemId}"), (PATH, "/items/{ItemId}/{CreatedAt}")]
)
def test_options_answers_the_preflight_and_asks_no_table(client: Client, path: str, where: str) -> None:
    answer = client("OPTIONS", path, Origin="https://example.org", Access_Control_Request_Method="PUT")
    allowed = ", ".join(methods_by_path(ITEMS)[where])
    assert (answer.status, answer.text, client.requests) == (204, "", 0)
    assert answer.headers["allow"] == answer.headers["access-control-allow-methods"] == allowed
    assert answer.headers["access-control-allow-origin"] == "*"
    for name in ("Content-Type", "If-Match", "If-None-Match", "Idempotency-Key"):
        assert name in answer.headers["access-control-allow-headers"]


@pytest.mark.parametrize("method", ["PATCH", "HEAD", "TRACE", "get", "", "PUT ", "DELETE"])
def test_another_method_is_405_with_allow(client: Client, method: str) -> None:
    answer = client(method, "/items")
    assert_problem(answer, 405, "method-not-allowed")
    assert answer.headers["allow"] == "GET, POST, OPTIONS"
    assert client.requests == 0


@pytest.mark.parametrize("path", ["/", "/item", "/items/a/b/c", "/itemsa", "//items", "", "/prod/items", "/items//x"])
@pytest.mark.parametrize("method", ["GET", "OPTIONS", "BREW"])
def test_another_path_is_404(client: Client, method: str, path: str) -> None:
    assert_problem(client(method, path), 404, "route-not-found")


def test_a_path_is_found_without_the_gateways_help() -> None:
    """A catch-all route tells the handler nothing but the path."""
    for kind in ("rest", "http"):
        client = Client(kind)
        client.create(ItemId="a/b", CreatedAt=CREATED)
        for path, status in (
            ("/items", 200),
            ("/items/", 200),
            (f"/items/{'a%2Fb' if kind == 'rest' else 'nothing'}", None),
        ):
            event = client.event("GET", path)
            event["resource"], event["routeKey"], event["pathParameters"] = "/{proxy+}", "$default", {"proxy": path[1:]}
            assert client.send(event).status == (status or {"rest": 200, "http": 404}[kind])


# --- what every answer has


def every_answer(environment: dict[str, str] | None = None, **headers: str) -> list[Answer]:
    client = Client(environment=environment)
    client.create(**KEY)
    answers = [
        client("GET", "/items", **headers),
        client("GET", PATH, **headers),
        client("GET", PATH, If_None_Match="*", **headers),
        client("POST", "/items", {}, **headers),
        client("POST", "/items", KEY, **headers),
        client("POST", "/items", "{", **headers),
        client("POST", "/items", "[]", **headers),
        client("POST", "/items", {}, Content_Type="x", **headers),
        client("POST", "/items", {"x": "y" * 500_000}, **headers),
        client("PUT", PATH, {}, **headers),
        client("PUT", PATH, {}, If_Match="x", **headers),
        client("DELETE", PATH, **headers),
        client("DELETE", PATH, **headers),
        client("PATCH", PATH, **headers),
        client("OPTIONS", PATH, **headers),
        client("GET", "/nowhere", **headers),
    ]
    assert sorted({answer.status for answer in answers}) == [200, 201, 204, 304, 400, 404, 405, 409, 412, 413, 415, 422]
    return answers


def test_every_answer_is_not_stored_not_sniffed_and_readable_from_a_browser() -> None:
    for answer in every_answer(Origin="https://example.org"):
        assert answer.headers["cache-control"] == "no-store"
        assert answer.headers["x-content-type-options"] == "nosniff"
        assert answer.headers["access-control-allow-origin"] == "*"
        assert "access-control-allow-credentials" not in answer.headers
        assert answer.headers["access-control-expose-headers"] == "ETag, Location, Retry-After"
        assert all(value.isascii() and value.isprintable() for value in answer.headers.values())


@pytest.mark.parametrize("credentials", [True, False])
def test_an_origin_is_reflected_only_when_it_is_in_the_list(credentials: bool) -> None:
    environment = {
        "CORS_ORIGINS": "https://a.example, https://b.example",
        **({"CORS_CREDENTIALS": "true"} if credentials else {}),
    }
    for answer in every_answer(environment, Origin="https://b.example"):
        assert answer.headers["access-control-allow-origin"] == "https://b.example"
        assert answer.headers.get("access-control-allow-credentials") == ("true" if credentials else None)
        assert answer.headers["vary"] == "Origin"
    for origin in ("https://c.example", "https://a.example.evil", "HTTPS://A.EXAMPLE", "null", "*", ""):
        for answer in every_answer(environment, Origin=origin):
            assert "access-control-allow-origin" not in answer.headers
            assert "access-control-allow-credentials" not in answer.headers
            assert answer.headers["vary"] == "Origin", "a cache must not keep this for the origins that are allowed"


def test_any_origin_never_comes_with_credentials() -> None:
    for answer in every_answer(
        {"CORS_ORIGINS": "https://a.example,*", "CORS_CREDENTIALS": "true"}, Origin="https://a.example"
    ):
        assert answer.headers["access-control-allow-origin"] == "*"
        assert "access-control-allow-credentials" not in answer.headers


def test_a_problem_names_its_request_and_repeats_nothing_of_it() -> None:
    for kind in ("rest", "http"):
        client = Client(kind)
        marker = "zqxjk"
        answers = [
            client("GET", f"/items/{marker}"),
            client("GET", f"/items/{marker}/{marker}"),
            client("GET", f"/{marker}"),
            client("GET", "/items", query=f"limit={marker}"),
            client("GET", "/items", query=f"cursor={marker}"),
            client("POST", "/items", f'{{"a": {marker}'),
            client("POST", "/items", {"CreatedAt": marker, "ItemId": marker * 500}),
            client("POST", "/items", {}, Content_Type=marker, Origin=marker),
            client("POST", "/items", {}, If_None_Match=marker),
            client("POST", "/items", {}, Idempotency_Key=marker + " "),
            client(marker, "/items"),
        ]
        for answer in answers:
            assert 400 <= answer.status < 500
            assert marker not in json.dumps(answer.response)
            assert answer.json["requestId"] == (REQUEST_ID if kind == "rest" else "JKJaXmPLvHcESHA=")


def test_every_code_has_a_slug_a_status_and_a_title() -> None:
    for code, (status, title) in CODES.items():
        assert re.fullmatch(r"[a-z]+(-[a-z]+)*", code)
        assert status in {400, 404, 405, 409, 412, 413, 415, 422, 428, 500, 503}
        assert title
