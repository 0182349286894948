"""The items API's contract by real requests; tests/live runs the same tests against a stack on AWS."""

from __future__ import annotations

import json
import re
import threading
import time
from concurrent.futures import ThreadPoolExecutor
from typing import Any

import pytest

from lib.routes import ITEMS, methods_by_path
from tests.local.deployed import Answer, Deployed, items_path, path_of

pytestmark = pytest.mark.local

EARLY, LATE = "2024-01-01T00:00:00.000000Z", "2024-01-02T00:00:00.000000Z"


def assert_problem(answer: Answer, status: int, code: str) -> None:
    assert (answer.status, answer.json.get("code")) == (status, code), answer.body
    assert answer.headers["content-type"] == "application/problem+json"
    members = {"type", "title", "status", "detail", "instance", "code", "requestId"}
    assert set(answer.json) - {"errors"} == members
    assert answer.json["status"] == status
    assert_common_headers(answer)


def assert_common_headers(answer: Answer) -> None:
    assert answer.headers["cache-control"] == "no-store"
    assert answer.headers["x-content-type-options"] == "nosniff"
    assert answer.headers["access-control-allow-origin"] == "*", "a browser page must see errors too"
    assert answer.headers["access-control-expose-headers"] == "ETag, Location, Retry-After"


class TestCreating:
    def test_the_keys_are_made_and_the_item_is_found_under_its_location(self, deployed: Deployed) -> None:
        answer = deployed.send("POST", "/items", {"name": "first", "n": 1})
        assert answer.status == 201
        assert_common_headers(answer)
        item = answer.json
        assert set(item) == {"ItemId", "CreatedAt", "name", "n"}, "the server adds nothing but the keys"
        assert re.fullmatch(r"\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d\.\d{6}Z", item["CreatedAt"])
        assert answer.headers["location"] == f"/{deployed.outputs['api_stage']}{path_of(item)}"
        read = deployed.send("GET", path_of(item))
        assert (read.status, read.json, read.etag) == (200, item, answer.etag)

    @pytest.mark.parametrize(
        "item_id", ["a/b", "100%", "a+b c", "é☃😀", "..", "?x=1&y#z", "%2F", "'\"<>\\", "a" * 2048], ids=lambda i: i[:8]
    )
    def test_any_id_comes_back_by_its_location(self, deployed: Deployed, item_id: str) -> None:
        sent = item_id if len(item_id) > 2000 else f"{deployed.new_id()}{item_id}"
        answer = deployed.send("POST", "/items", {"ItemId": sent})
        assert answer.status == 201, answer.body
        place = answer.headers["location"].removeprefix(f"/{deployed.outputs['api_stage']}")
        read = deployed.send("GET", place)
        assert (read.status, read.json) == (200, answer.json), "path parameters are decoded exactly once"
        assert deployed.send("GET", items_path(sent)).json["items"][0]["ItemId"] == sent
        assert deployed.send("DELETE", place).status == 204

    def test_the_time_is_stored_as_utc(self, deployed: Deployed) -> None:
        item, _ = deployed.create(CreatedAt="2024-01-01T02:00:00+02:00")
        assert item["CreatedAt"] == EARLY

    def test_an_existing_key_is_409_and_the_stored_item_stays(self, deployed: Deployed) -> None:
        item, _ = deployed.create(CreatedAt=EARLY, name="first")
        assert_problem(deployed.send("POST", "/items", {**item, "name": "second"}), 409, "item-exists")
        assert deployed.send("GET", path_of(item)).json["name"] == "first"

    def test_an_idempotency_key_makes_one_item(self, deployed: Deployed) -> None:
        headers = {"Idempotency-Key": deployed.new_id()}
        first, again = (deployed.send("POST", "/items", {"a": 1}, headers) for _ in range(2))
        assert (first.status, again.status) == (201, 201)
        assert (first.json, first.etag, first.headers["location"]) == (
            again.json,
            again.etag,
            again.headers["location"],
        )
        assert len(deployed.send("GET", items_path(first.json["ItemId"])).json["items"]) == 1
        other = deployed.send("POST", "/items", {"a": 2}, headers)
        assert_problem(other, 422, "idempotency-key-reused")

    def test_numbers_keep_their_value(self, deployed: Deployed) -> None:
        body = '{"big": 12345678901234567890123456789012345678, "small": 0.1, "tiny": 1E-100, "zero": -0.0}'
        answer = deployed.send("POST", "/items", body.encode())
        text = deployed.send("GET", path_of(answer.json)).body.decode()
        assert "12345678901234567890123456789012345678" in text
        assert '"small":0.1' in text.replace(" ", "")

    @pytest.mark.parametrize(
        ("body", "status", "code"),
        [
            (b"{", 400, "invalid-body"),
            (b'{"a":NaN}', 400, "invalid-body"),
            (b'{"a":1,"a":2}', 422, "invalid-item"),
            (b"{} {}", 400, "invalid-body"),
            (b"[]", 422, "invalid-item"),
            (b'{"ItemId":""}', 422, "invalid-item"),
            (b'{"ItemId":1,"CreatedAt":"today"}', 422, "invalid-item"),
            (b'{"tap:version":"x"}', 422, "invalid-item"),
            (b'{"a":' + b"[" * 40 + b"]" * 40 + b"}", 422, "invalid-item"),
            (b'{"a":"' + b"x" * 410_000 + b'"}', 413, "too-large"),
        ],
        ids=lambda value: str(value)[:24],
    )
    def test_a_bad_body_is_a_problem(self, deployed: Deployed, body: bytes, status: int, code: str) -> None:
        answer = deployed.send("POST", "/items", body)
        assert_problem(answer, status, code)
        assert b"xxxxxxxx" not in answer.body, "a problem never echoes the input"

    def test_every_error_comes_at_once(self, deployed: Deployed) -> None:
        answer = deployed.send("POST", "/items", {"ItemId": 5, "CreatedAt": "today"})
        assert_problem(answer, 422, "invalid-item")
        assert {error["pointer"] for error in answer.json["errors"]} == {"/ItemId", "/CreatedAt"}

    def test_other_media_types_and_encodings_are_415(self, deployed: Deployed) -> None:
        for headers in ({"Content-Type": "text/plain"}, {"Content-Encoding": "gzip"}):
            assert deployed.send("POST", "/items", b"{}", headers).status == 415
        taken = deployed.send("POST", "/items", b"{}", {"Content-Type": "Application/JSON; charset=UTF-8"})
        assert taken.status == 201


class TestReading:
    def test_a_known_etag_is_304_without_a_body(self, deployed: Deployed) -> None:
        item, created = deployed.create()
        answer = deployed.send("GET", path_of(item), headers={"If-None-Match": created.etag})
        assert (answer.status, answer.body) == (304, b"")

    def test_versions_come_newest_first_in_pages(self, deployed: Deployed) -> None:
        item_id = deployed.new_id()
        for day in range(1, 6):
            deployed.create(ItemId=item_id, CreatedAt=f"2024-01-0{day}T00:00:00Z")
        days, cursor = [], ""
        while True:
            page = deployed.send("GET", f"{items_path(item_id)}?limit=2{cursor}").json
            days += [item["CreatedAt"][8:10] for item in page["items"]]
            if "next" not in page:
                break
            cursor = f"&cursor={page['next']}"
        assert days == ["05", "04", "03", "02", "01"]

    def test_a_walk_over_all_items_gives_each_exactly_once(self, deployed: Deployed) -> None:
        mine = {deployed.create()[0]["ItemId"] for _ in range(7)}
        seen, cursor = [], ""
        while True:
            page = deployed.send("GET", f"/items?limit=20{cursor}").json
            seen += [(item["ItemId"], item["CreatedAt"]) for item in page["items"]]
            if "next" not in page:
                break
            cursor = f"&cursor={page['next']}"
        assert len(seen) == len(set(seen)), "no item twice"
        assert mine <= {item_id for item_id, _ in seen}, "no item lost"

    def test_a_cursor_is_bound_to_its_listing(self, deployed: Deployed) -> None:
        first, second = deployed.new_id(), deployed.new_id()
        for item_id in (first, second):
            for day in (1, 2):
                deployed.create(ItemId=item_id, CreatedAt=f"2024-01-0{day}T00:00:00Z")
        cursor = deployed.send("GET", f"{items_path(first)}?limit=1").json["next"]
        assert deployed.send("GET", f"{items_path(first)}?limit=1&cursor={cursor}").status == 200
        for path in (items_path(second), "/items"):
            assert_problem(deployed.send("GET", f"{path}?cursor={cursor}"), 400, "invalid-cursor")
        for other in (cursor[:-1], cursor + "A", "", "null", cursor.swapcase()):
            assert_problem(deployed.send("GET", f"{items_path(first)}?cursor={other}"), 400, "invalid-cursor")

    @pytest.mark.parametrize("limit", ["0", "101", "-1", "x", "", "1.5"])
    def test_a_limit_out_of_bounds_is_400(self, deployed: Deployed, limit: str) -> None:
        assert_problem(deployed.send("GET", f"/items?limit={limit}"), 400, "invalid-limit")

    def test_what_is_not_there_is_404(self, deployed: Deployed) -> None:
        nowhere = deployed.new_id()
        for method, body in (("GET", None), ("PUT", {}), ("DELETE", None)):
            for path in (items_path(nowhere), f"{items_path(nowhere)}/{EARLY}"):
                assert_problem(deployed.send(method, path, body), 404, "item-not-found")

    def test_a_path_that_names_no_possible_item_is_400(self, deployed: Deployed) -> None:
        for path in ("/items/a/today", "/items/%00", "/items/%FF", f"/items/{'a' * 2049}"):
            assert_problem(deployed.send("GET", path), 400, "invalid-path")


class TestChanging:
    def test_put_replaces_all_attributes_but_the_keys(self, deployed: Deployed) -> None:
        item, created = deployed.create(name="first", more=True)
        answer = deployed.send("PUT", path_of(item), {"name": "second"})
        assert answer.status == 200
        assert answer.json == {"ItemId": item["ItemId"], "CreatedAt": item["CreatedAt"], "name": "second"}
        assert answer.etag != created.etag
        assert deployed.send("GET", path_of(item)).etag == answer.etag

    def test_a_body_with_other_keys_is_422(self, deployed: Deployed) -> None:
        item, _ = deployed.create()
        assert_problem(deployed.send("PUT", path_of(item), {"ItemId": "other"}), 422, "invalid-item")

    def test_the_short_path_acts_on_the_only_version_and_is_409_for_several(self, deployed: Deployed) -> None:
        item, _ = deployed.create(CreatedAt=EARLY)
        assert deployed.send("PUT", items_path(item["ItemId"]), {"name": "x"}).json["CreatedAt"] == EARLY
        deployed.create(ItemId=item["ItemId"], CreatedAt=LATE)
        for method, body in (("PUT", {}), ("DELETE", None)):
            assert_problem(deployed.send(method, items_path(item["ItemId"]), body), 409, "several-versions")
        assert deployed.send("DELETE", path_of({**item, "CreatedAt": LATE})).status == 204
        assert deployed.send("DELETE", items_path(item["ItemId"])).status == 204
        assert deployed.send("GET", items_path(item["ItemId"])).status == 404

    @pytest.mark.parametrize("method", ["PUT", "DELETE"])
    def test_if_match_guards_a_write(self, deployed: Deployed, method: str) -> None:
        item, created = deployed.create(name="first")
        body = {"name": "second"} if method == "PUT" else None
        stale = deployed.send(method, path_of(item), body, {"If-Match": '"000000000000000000000000"'})
        assert_problem(stale, 412, "precondition-failed")
        assert deployed.send("GET", path_of(item)).json["name"] == "first"
        assert deployed.send(method, path_of(item), body, {"If-Match": created.etag}).status in {200, 204}

    def test_delete_answers_204_without_a_body(self, deployed: Deployed) -> None:
        item, _ = deployed.create()
        answer = deployed.send("DELETE", path_of(item))
        assert (answer.status, answer.body) == (204, b"")
        assert_problem(deployed.send("DELETE", path_of(item)), 404, "item-not-found")


class TestTheEdges:
    @pytest.mark.parametrize("path", methods_by_path(ITEMS))
    def test_options_answers_the_preflight(self, deployed: Deployed, path: str) -> None:
        headers = {"Origin": "https://example.com", "Access-Control-Request-Method": "PUT"}
        answer = deployed.send("OPTIONS", path.replace("{ItemId}", "a").replace("{CreatedAt}", EARLY), None, headers)
        assert (answer.status, answer.body) == (204, b"")
        methods = set(methods_by_path(ITEMS)[path])
        assert set(answer.headers["allow"].split(", ")) == methods
        assert answer.headers["access-control-allow-origin"] == "*"
        assert set(answer.headers["access-control-allow-methods"].split(", ")) >= methods - {"OPTIONS"}
        assert "if-match" in answer.headers["access-control-allow-headers"].lower()

    @pytest.mark.parametrize(
        ("method", "path"),
        [("GET", "/"), ("GET", "/nowhere"), ("PATCH", "/items"), ("POST", "/items/a"), ("GET", "/items/a/b/c")],
    )
    def test_an_unknown_route_is_a_404_of_the_gateways(self, deployed: Deployed, method: str, path: str) -> None:
        answer = deployed.send(method, path, {} if method in {"PATCH", "POST"} else None)
        assert_problem(answer, 404, "route-not-found")

    def test_a_body_over_10_mb_is_a_413(self, deployed: Deployed) -> None:
        assert_problem(deployed.send("POST", "/items", b" " * (10 * 1024 * 1024 + 1)), 413, "too-large")

    def test_every_answer_names_its_request(self, deployed: Deployed) -> None:
        answer = deployed.send("GET", "/items/a/today")
        assert answer.json["instance"] == f"urn:request:{answer.json['requestId']}"
        assert answer.json["requestId"] == answer.headers["x-amzn-requestid"], "what a user reports is what logs say"

    def test_header_values_are_ascii(self, deployed: Deployed) -> None:
        answer = deployed.send("POST", "/items", {"ItemId": f"{deployed.new_id()}-é☃"})
        assert all(value.isascii() for value in answer.headers.values())


class TestManyClients:
    def test_nothing_is_lost_and_nothing_doubled(self, deployed: Deployed) -> None:
        item_id = deployed.new_id()

        def create(number: int) -> int:
            created_at = f"2024-01-01T00:00:00.{number:06}Z"
            return deployed.send("POST", "/items", {"ItemId": item_id, "CreatedAt": created_at}).status

        with ThreadPoolExecutor(8) as clients:
            # Every key twice, from different clients.
            statuses = list(clients.map(create, [*range(20), *range(20)]))
        assert sorted(statuses) == [201] * 20 + [409] * 20
        page = deployed.send("GET", f"{items_path(item_id)}?limit=100").json
        assert len(page["items"]) == 20

    def test_one_idempotency_key_at_the_same_moment_makes_one_item(self, deployed: Deployed) -> None:
        headers, together = {"Idempotency-Key": deployed.new_id()}, threading.Barrier(6)

        def create(_: int) -> Answer:
            together.wait()
            return deployed.send("POST", "/items", {"a": 1}, headers)

        with ThreadPoolExecutor(6) as clients:
            answers = list(clients.map(create, range(6)))
        assert {answer.status for answer in answers} == {201}
        assert len({json.dumps(answer.json, sort_keys=True) for answer in answers}) == 1
        assert len({answer.etag for answer in answers}) == 1

    def test_of_writers_with_the_same_etag_one_wins(self, deployed: Deployed) -> None:
        item, created = deployed.create(n=0)

        def replace(number: int) -> tuple[int, int]:
            answer = deployed.send("PUT", path_of(item), {"n": number}, {"If-Match": created.etag})
            return answer.status, number

        with ThreadPoolExecutor(6) as clients:
            results = list(clients.map(replace, range(1, 7)))
        winners = [number for status, number in results if status == 200]
        assert len(winners) == 1, results
        assert [status for status, _ in results].count(412) == 5
        assert deployed.send("GET", path_of(item)).json["n"] == winners[0]


class TestThrottling:
    def test_after_the_burst_429_and_then_it_recovers(self, deployed: Deployed) -> None:
        def probe(_: int) -> Answer:
            return deployed.send("OPTIONS", "/items", patient=False)

        time.sleep(4)  # the tests before this one have emptied the bucket; it takes 3 s to fill
        with ThreadPoolExecutor(16) as clients:
            answers: list[Any] = list(clients.map(probe, range(150)))
        refused = [answer for answer in answers if answer.status == 429]
        assert refused, "150 requests at once are more than a burst of 50"
        assert_problem(refused[0], 429, "too-many-requests")
        assert int(refused[0].headers["retry-after"]) >= 1
        assert len(answers) - len(refused) >= 50, "the burst itself is served"
        assert deployed.send("OPTIONS", "/items").status == 204, "and it recovers by itself"
