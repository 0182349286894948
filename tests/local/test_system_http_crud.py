"""The HTTP API CRUD by real requests."""

from __future__ import annotations

import urllib.parse
import uuid
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from typing import Any

import pytest

from tests.local.deployed import Deployed
from tests.local.systems import assert_problem, deployed_system

pytestmark = pytest.mark.local


@pytest.fixture(scope="module")
def crud() -> Iterator[Deployed]:
    with deployed_system("http_crud") as deployed:
        yield deployed


def create(crud: Deployed, **attributes: Any) -> str:
    answer = crud.send("POST", "/items", attributes)
    assert answer.status == 201, answer.body
    assert set(answer.json) == {"message", "id"}
    assert answer.headers["location"] == path_of(answer.json["id"])
    return str(answer.json["id"])


def path_of(item_id: str) -> str:
    return f"/items/{urllib.parse.quote(item_id, safe='')}"


def stored(crud: Deployed, item_id: str) -> dict[str, Any]:
    key = {"id": {"S": item_id}}
    found: dict[str, Any] = (
        crud.client("dynamodb").get_item(TableName=crud.outputs["table_name"], Key=key).get("Item", {})
    )
    return found


def test_an_items_life(crud: Deployed) -> None:
    item_id = create(crud, name="first", n=1)
    assert uuid.UUID(item_id).version == 4
    assert crud.send("GET", path_of(item_id)).json == {"id": item_id, "name": "first", "n": 1}
    answer = crud.send("PUT", path_of(item_id), {"name": "second"})
    assert answer.status == 200
    assert {"id": item_id, "name": "second", "n": 1}.items() <= answer.json.items()
    assert stored(crud, item_id)["updatedAt"]["S"] == answer.json["updatedAt"]
    deleted = crud.send("DELETE", path_of(item_id))
    assert (deleted.status, deleted.json["id"]) == (200, item_id)
    assert not stored(crud, item_id)
    for method in ("GET", "PUT", "DELETE"):
        assert_problem(crud.send(method, path_of(item_id), {}), 404, "item-not-found")


@pytest.mark.parametrize("given", ["plain", "a/b", "100%", "a+b c", "é☃😀", "%2F", "a" * 2000], ids=lambda i: i[:6])
def test_any_id_is_found_by_its_location(crud: Deployed, given: str) -> None:
    item_id = f"{uuid.uuid4().hex[:6]}{given}"
    assert create(crud, id=item_id, n=1) == item_id
    assert crud.send("GET", path_of(item_id)).json == {"id": item_id, "n": 1}
    assert crud.send("PUT", path_of(item_id), {"n": 2}).json["n"] == 2


def test_numbers_keep_their_value(crud: Deployed) -> None:
    answer = crud.send("POST", "/items", b'{"n": 12345678901234567890123456789012345678, "f": 0.1, "e": -1e-30}')
    item_id = answer.json["id"]
    assert b'"n":12345678901234567890123456789012345678' in crud.send("GET", path_of(item_id)).body
    assert stored(crud, item_id)["f"] == {"N": "0.1"}


def test_an_existing_id_is_409_and_stays_as_it_was(crud: Deployed) -> None:
    item_id = create(crud, n=1)
    assert_problem(crud.send("POST", "/items", {"id": item_id, "n": 2}), 409, "item-exists")
    assert crud.send("GET", path_of(item_id)).json["n"] == 1


def test_of_two_at_the_same_moment_one_wins(crud: Deployed) -> None:
    item_id = str(uuid.uuid4())
    with ThreadPoolExecutor(2) as pool:
        answers = list(pool.map(lambda n: crud.send("POST", "/items", {"id": item_id, "n": n}), (1, 2)))
    assert sorted(answer.status for answer in answers) == [201, 409]


@pytest.mark.parametrize("body", [b"", b"{", b"[]", b"7", b'{"id": 7}', b'{"a": 1, "a": 2}', b'{"n": 1e999}', b"\xff"])
@pytest.mark.parametrize("method", ["POST", "PUT"])
def test_a_bad_body_is_400(crud: Deployed, method: str, body: bytes) -> None:
    path = "/items" if method == "POST" else path_of(create(crud))
    assert_problem(crud.send(method, path, body), 400, "invalid-body")


def test_an_id_cannot_change(crud: Deployed) -> None:
    item_id = create(crud)
    assert_problem(crud.send("PUT", path_of(item_id), {"id": "another"}), 400, "invalid-body")
    assert crud.send("PUT", path_of(item_id), {"id": item_id, "n": 1}).status == 200


def test_an_item_that_grows_over_400_kb_is_413_and_stays_as_it_was(crud: Deployed) -> None:
    item_id = create(crud, text="x" * 300_000)
    assert_problem(crud.send("PUT", path_of(item_id), {"text": "x" * 410_000}), 413, "too-large")
    assert "more" not in stored(crud, item_id)


def test_another_media_type_is_415(crud: Deployed) -> None:
    answer = crud.send("POST", "/items", b"<a/>", {"Content-Type": "application/xml"})
    assert_problem(answer, 415, "unsupported-media-type")


def test_pages_have_no_gaps_and_no_repetitions(crud: Deployed) -> None:
    made = {create(crud, n=n) for n in range(12)}
    seen: list[str] = []
    path = "/items?limit=5"
    while True:
        page = crud.send("GET", path).json
        assert len(page["items"]) <= 5
        seen += [item["id"] for item in page["items"]]
        if "next" not in page:
            break
        path = f"/items?limit=5&cursor={page['next']}"
    assert len(seen) == len(set(seen))
    assert made <= set(seen)


@pytest.mark.parametrize(
    ("query", "code"), [("limit=0", "invalid-limit"), ("limit=x", "invalid-limit"), ("cursor=x", "invalid-cursor")]
)
def test_a_page_that_is_none_is_400(crud: Deployed, query: str, code: str) -> None:
    assert_problem(crud.send("GET", f"/items?{query}"), 400, code)


def test_another_method_is_405_and_another_path_404(crud: Deployed) -> None:
    for path, allowed in (("/items", "GET, POST, OPTIONS"), ("/items/a", "GET, PUT, DELETE, OPTIONS")):
        answer = crud.send("PATCH", path, {})
        assert_problem(answer, 405, "method-not-allowed")
        assert answer.headers["allow"] == allowed
    assert_problem(crud.send("GET", "/"), 404, "route-not-found")
    assert_problem(crud.send("GET", "/items/a/b"), 404, "route-not-found")


@pytest.mark.parametrize("path", ["/items", "/items/a"])
def test_preflights_and_plain_options(crud: Deployed, path: str) -> None:
    asked = {"Origin": "https://a.example", "Access-Control-Request-Method": "PUT"}
    preflight = crud.send("OPTIONS", path, headers=asked)
    assert preflight.status == 204
    assert preflight.headers["access-control-max-age"] == "86400"
    assert "PUT" in preflight.headers["access-control-allow-methods"]
    plain = crud.send("OPTIONS", path)
    assert (plain.status, plain.headers["allow"][:3]) == (204, "GET")


def test_errors_carry_cors_headers_too(crud: Deployed) -> None:
    answer = crud.send("GET", "/items/none", headers={"Origin": "https://a.example"})
    assert answer.headers["access-control-allow-origin"] == "*"


def test_the_function_logs_json_into_its_own_group(crud: Deployed) -> None:
    name = crud.outputs["function_name"]
    settings = crud.client("lambda").get_function_configuration(FunctionName=name)
    assert settings["LoggingConfig"]["LogFormat"] == "JSON"
    assert settings["LoggingConfig"]["LogGroup"] == f"/aws/lambda/{name}"
