"""Writes that race, are retried or lose their reply: nothing happens twice, no two answers contradict each other."""

from __future__ import annotations

import itertools
import threading
import time
from collections import Counter
from typing import TYPE_CHECKING, Any

import pytest

from lib.handler.table import TableError
from tests.unit.handler.client import Client, path_of
from tests.unit.handler.test_contract import KEY, PATH, assert_problem

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    from tests.unit.handler.client import Answer


class Turns:
    """Lets two requests reach the table in the order of a schedule such as "ABBA", each call one turn."""

    def __init__(self, schedule: str) -> None:
        self._left = list(schedule)
        self._alive = set(schedule)
        self._condition = threading.Condition()

    def wait(self, _action: str) -> None:
        me = threading.current_thread().name
        with self._condition:
            assert self._condition.wait_for(lambda: not self._left or self._left[0] == me, timeout=60)
            if self._left:
                self._left.pop(0)
            self._skip()

    def end(self) -> None:
        with self._condition:
            self._alive.discard(threading.current_thread().name)
            self._skip()

    def _skip(self) -> None:
        while self._left and self._left[0] not in self._alive:
            self._left.pop(0)
        self._condition.notify_all()


def race(client: Client, schedule: str, **requests: Callable[[], Answer]) -> dict[str, Answer]:
    """Run the requests at the same moment, their calls to the table in the order of `schedule`."""
    turns = Turns(schedule)
    answers: dict[str, Answer] = {}

    def run(name: str, request: Callable[[], Answer]) -> None:
        try:
            answers[name] = request()
        finally:
            turns.end()

    client.table.before = turns.wait
    threads = [threading.Thread(target=run, args=each, name=each[0]) for each in requests.items()]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    client.table.before = lambda _: None
    return answers


def schedules(a: int, b: int) -> Iterator[str]:
    """Every order of `a` turns of A and `b` of B."""
    for places in itertools.combinations(range(a + b), a):
        yield "".join(["A" if place in places else "B" for place in range(a + b)])


# --- two writers


@pytest.mark.parametrize("methods", ["PUT PUT", "PUT DELETE", "DELETE PUT", "DELETE DELETE"])
@pytest.mark.parametrize("path", [PATH, "/items/a"])
def test_of_two_writers_with_one_etag_one_succeeds_and_the_other_is_told(methods: str, path: str) -> None:
    calls = 1 if path == PATH else 2
    for schedule in schedules(calls, calls):
        client = Client()
        etag = client.create(**KEY)[1].etag
        bodies = {"PUT": {"n": 1}, "DELETE": None}

        def write(method: str) -> Callable[[], Answer]:
            return lambda: client(method, path, bodies[method], If_Match=etag)  # noqa: B023 - called in this round

        first, second = methods.split()
        statuses = Counter(
            [answer.status for answer in race(client, schedule, A=write(first), B=write(second)).values()]
        )
        assert len([status for status in statuses.elements() if status < 300]) == 1, (schedule, statuses)
        assert set(statuses) <= {200, 204, 412, 404}
        assert 412 in statuses or "DELETE" in methods, "only where nothing is left is it 404"


def test_many_writers_with_one_etag_are_one_success() -> None:
    client = Client()
    etag = client.create(**KEY, n=-1)[1].etag
    answers: list[Answer] = []
    start = threading.Barrier(8)

    def write(number: int) -> None:
        start.wait()
        answers.append(client("PUT", PATH, {"n": number}, If_Match=etag))

    threads = [threading.Thread(target=write, args=(number,)) for number in range(8)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert Counter([answer.status for answer in answers]) == {200: 1, 412: 7}
    (winner,) = [answer for answer in answers if answer.status == 200]
    assert client.get(PATH).json == winner.json
    assert client.get(PATH).etag == winner.etag


def test_two_creators_of_one_key_are_one_item_and_a_conflict() -> None:
    for schedule in schedules(2, 2):
        client = Client()
        answers = race(client, schedule, A=lambda: client.post({**KEY, "n": 1}), B=lambda: client.post({**KEY, "n": 2}))  # noqa: B023
        assert sorted([answer.status for answer in answers.values()]) == [201, 409]
        (winner,) = [answer for answer in answers.values() if answer.status == 201]
        assert client.get(PATH).json == winner.json


# --- Idempotency-Key


@pytest.mark.parametrize("body", [{"n": 1}, {"ItemId": "a", "n": 1}, {**KEY, "n": 1}])
def test_two_posts_with_one_key_at_the_same_moment_are_one_item_and_the_same_answer(body: dict[str, Any]) -> None:
    for schedule in schedules(4, 4):
        client = Client()
        post = lambda: client.post(body, Idempotency_Key="k")  # noqa: B023, E731
        answers = race(client, schedule, A=post, B=post)
        assert [answer.status for answer in answers.values()] == [201, 201], schedule
        one, other = answers.values()
        assert (one.json, one.etag, one.headers["location"]) == (other.json, other.etag, other.headers["location"])
        assert len(client.stored()) == 1
        assert client.get(path_of(one.json)).json == one.json
        assert client.get(path_of(one.json)).etag == one.etag


def test_two_bodies_with_one_key_at_the_same_moment_are_one_item_and_one_refusal() -> None:
    for schedule in schedules(4, 4):
        client = Client()
        answers = race(
            client,
            schedule,
            A=lambda: client.post({"n": 1}, Idempotency_Key="k"),  # noqa: B023
            B=lambda: client.post({"n": 2}, Idempotency_Key="k"),  # noqa: B023
        )
        assert sorted([answer.status for answer in answers.values()]) == [201, 422]
        assert len(client.stored()) == 1


def test_the_same_key_and_body_give_the_same_201_and_one_item(client: Client) -> None:
    first = client("POST", "/items", '{"n": 1.0, "m": {"a": 1, "b": 2}}', Idempotency_Key="k")
    again = client("POST", "/items", '{ "m": {"b": 2, "a": 1}, "n": 1 }', Idempotency_Key="k")
    assert first.status == again.status == 201
    assert (first.json, first.etag, first.headers["location"]) == (again.json, again.etag, again.headers["location"])
    assert len(client.stored()) == 1


def test_the_answer_stays_the_same_after_the_item_changed_or_went(client: Client) -> None:
    first = client.post({"n": 1}, Idempotency_Key="k")
    path = path_of(first.json)
    client("PUT", path, {"n": 2})
    again = client.post({"n": 1}, Idempotency_Key="k")
    assert (again.status, again.json, again.etag) == (201, first.json, first.etag)
    assert client.get(path).json["n"] == 2, "a repeated request must not undo what came after it"
    client("DELETE", path)
    again = client.post({"n": 1}, Idempotency_Key="k")
    assert (again.status, again.json) == (201, first.json)
    assert client.stored() == [], "a repeated request must not bring back what was deleted"


def test_the_same_key_with_another_body_is_422(client: Client) -> None:
    client.post({"n": 1}, Idempotency_Key="k")
    for body in ({"n": 2}, {}, {"n": "1"}, {"n": [1]}, {"n": 1, "m": None}, {"n": 1, "ItemId": "a"}):
        assert_problem(client.post(body, Idempotency_Key="k"), 422, "idempotency-key-reused")
    assert client.post({"n": 2}, Idempotency_Key="K").status == 201, "keys are compared as they are"
    assert len(client.stored()) == 2


def test_a_key_is_forgotten_after_24_hours(client: Client, monkeypatch: pytest.MonkeyPatch) -> None:
    start = time.time()
    first = client.post({"n": 1}, Idempotency_Key="k")
    monkeypatch.setattr("lib.handler.items_api.time", lambda: start + 86_390)
    assert client.post({"n": 1}, Idempotency_Key="k").json == first.json
    monkeypatch.setattr("lib.handler.items_api.time", lambda: start + 86_402)
    second = client.post({"n": 2}, Idempotency_Key="k")
    assert second.status == 201
    assert second.json["ItemId"] != first.json["ItemId"]
    assert client.post({"n": 2}, Idempotency_Key="k").json == second.json


@pytest.mark.parametrize("key", ["", "a b", "é", "x" * 256, "\t", "a\x7f", "a,\u2028"])
def test_a_key_is_1_to_255_visible_ascii_characters(client: Client, key: str) -> None:
    assert_problem(client.post({}, Idempotency_Key=key), 400, "invalid-header")
    assert client.requests == 0
    for good in ("!", "~" * 255, '"quoted"'):
        assert client.post({}, Idempotency_Key=good).status == 201


def test_a_conflict_stays_a_conflict_with_a_key(client: Client) -> None:
    client.create(**KEY, n=0)
    for _ in range(2):
        assert_problem(client.post({**KEY, "n": 1}, Idempotency_Key="k"), 409, "item-exists")
    assert client.get(PATH).json["n"] == 0


def test_what_remembers_a_key_is_no_item(client: Client) -> None:
    """No listing shows the records, and pages are still full."""
    for number in range(12):
        assert client.post({"n": number}, Idempotency_Key=f"k{number}").status == 201
    assert len(client.table.memory.items) == 24
    seen = []
    query: dict[str, Any] = {"limit": 4}
    while query.get("cursor") != "end":
        answer = client.page(**query)
        assert len(answer.json["items"]) == 4
        seen += [item["ItemId"] for item in answer.json["items"]]
        query["cursor"] = answer.json.get("next", "end")
    assert len(set(seen)) == len(seen) == 12
    for key in client.table.memory.items:
        if key[0][0] == "\x1f":
            assert client.get("/items/%1F" + key[0][1:]).status == 400, "and none can be addressed"


def test_a_page_stops_looking_after_a_few_calls(client: Client) -> None:
    """However many records lie between two items, a page costs the same; the client follows `next`."""
    record = {"CreatedAt": {"S": "-"}}
    client.table.memory.load([{"ItemId": {"S": f"\x1f{number:04}"}, **record} for number in range(200)])
    client.create(ItemId="a")
    seen, calls, cursor = [], [], None
    while cursor != "end":
        answer = client.page(limit=4, **({"cursor": cursor} if cursor else {}))
        seen += answer.json["items"]
        calls.append(client.table.calls)
        cursor = answer.json.get("next", "end")
    assert [item["ItemId"] for item in seen] == ["a"]
    assert max(calls) == 4


# --- replies that are lost


@pytest.mark.parametrize("lost", [1, 2, 3])
@pytest.mark.parametrize("headers", [{}, {"Idempotency_Key": "k"}])
def test_a_create_whose_reply_was_lost_succeeds(client: Client, headers: dict[str, str], lost: int) -> None:
    for body in ({"n": 1}, {**KEY, "n": 2}):
        client.table.lose_replies = lost
        answer = client.post(body, **({"Idempotency_Key": f"k{body['n']}"} if headers else {}))
        assert answer.status == 201, answer.text
        assert client.get(path_of(answer.json)).etag == answer.etag
        client.table.lose_replies = 0
    assert len(client.stored()) == 2


@pytest.mark.parametrize("path", [PATH, "/items/a"])
@pytest.mark.parametrize("guard", ["etag", "*", None])
def test_a_write_whose_reply_was_lost_succeeds(client: Client, path: str, guard: str | None) -> None:
    for method in ("PUT", "DELETE"):
        etag = client.create(**KEY)[1].etag
        headers = {"If_Match": etag if guard == "etag" else guard} if guard else {}
        client.table.lose_replies = 1
        answer = client(method, path, {"n": 1} if method == "PUT" else None, **headers)
        assert answer.status == (200 if method == "PUT" else 204), answer.text
        if method == "PUT":
            assert client.get(PATH).etag == answer.etag
            client("DELETE", PATH)
    assert client.stored() == []


def test_a_lost_reply_is_no_excuse_for_a_stale_etag(client: Client) -> None:
    client.create(**KEY, n=0)
    for method in ("PUT", "DELETE"):
        client.table.lose_replies = 1
        assert_problem(
            client(method, PATH, {} if method == "PUT" else None, If_Match='"x"'), 412, "precondition-failed"
        )
    client.table.lose_replies = 1
    assert_problem(client.post({**KEY, "n": 1}), 409, "item-exists")
    assert client.get(PATH).json["n"] == 0


@pytest.mark.parametrize("fails", [1, 2, 3])
@pytest.mark.parametrize("done", [True, False])
def test_a_post_that_died_halfway_is_finished_by_its_repetition(client: Client, fails: int, done: bool) -> None:
    """With or without the table having done what it did not answer."""
    calls = itertools.count(1)

    def fail(action: str) -> None:
        if next(calls) == fails:
            if done:
                client.table.before = lambda _: None
                client.table.memory.apply(action, {"TableName": client.table.name, **pending[-1]})
            raise TableError("unavailable", "the function was stopped here")

    pending: list[Any] = []
    request = client.table.request

    def record(action: str, payload: dict[str, Any], deadline: float) -> dict[str, Any]:
        pending.append(payload)
        return request(action, payload, deadline)

    client.table.request = record  # type: ignore[method-assign]
    client.table.before = fail
    first = client.post({"n": 1}, Idempotency_Key="k")
    assert first.status == (503 if fails < 3 else 201), "once the item is stored, that is the answer"
    client.table.before = lambda _: None
    again = client.post({"n": 1}, Idempotency_Key="k")
    assert again.status == 201
    assert len(client.stored()) == 1
    assert client.get(path_of(again.json)).etag == again.etag


# --- a table that does not answer


@pytest.mark.parametrize(
    ("kind", "status", "code"),
    [
        ("throttled", 503, "unavailable"),
        ("unavailable", 503, "unavailable"),
        ("denied", 500, "internal-error"),
        ("missing", 500, "internal-error"),
        ("invalid", 500, "internal-error"),
    ],
)
def test_a_fault_of_the_table_is_a_problem_that_tells_little(client: Client, kind: str, status: int, code: str) -> None:
    path, _ = client.create(ItemId="a")
    secret = "arn:aws:dynamodb:us-east-1:123456789012:table/dev-items-table"

    def fail(_: str) -> None:
        error = TableError(kind, secret)
        error.retry_after = 7
        raise error

    requests: list[Callable[[], Answer]] = [
        lambda: client.get(path),
        client.page,
        lambda: client.page("/items/a"),
        lambda: client.post({}),
        lambda: client.post({}, Idempotency_Key="k"),
        lambda: client("PUT", path, {}),
        lambda: client("PUT", "/items/a", {}),
        lambda: client("DELETE", path),
        lambda: client("DELETE", "/items/a"),
    ]
    for request in requests:
        client.table.before = fail
        answer = request()
        assert_problem(answer, status, code)
        assert answer.headers.get("retry-after") == ("7" if status == 503 else None)
        assert secret not in answer.text
        assert "dev-items" not in answer.text
        client.table.before = lambda _: None
        assert client.get(path).status == 200, "the next request is healthy"


def test_every_request_gives_the_table_what_is_left_less_300_ms(client: Client) -> None:
    deadlines = []
    request = client.table.request

    def record(action: str, payload: dict[str, Any], deadline: float) -> dict[str, Any]:
        deadlines.append(deadline)
        return request(action, payload, deadline)

    client.table.request = record  # type: ignore[method-assign]
    client.context.milliseconds = 1500
    before = time.monotonic()
    client.post({}, Idempotency_Key="k")
    assert len(deadlines) == 3
    assert len(set(deadlines)) == 1, "one deadline for a request, however many calls it makes"
    assert before + 1.2 <= deadlines[0] <= time.monotonic() + 1.2
