"""The whole handler over a misbehaving table: the contract's answer in time, healthy afterwards, nothing leaked."""

from __future__ import annotations

import time
from typing import TYPE_CHECKING, Any

import pytest

from lib.handler import request as requests
from lib.handler import transport
from lib.handler.app import App
from lib.handler.items_api import Items
from lib.handler.table import Table
from lib.routes import ITEMS
from tests.unit.handler.client import Answer, Client
from tests.unit.handler.table.server import BREAKS, HANGS, REFUSALS, TableServer

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    Operation = Callable[["Wire"], Answer]

PATH = "/items/a/2026-11-21T10%3A00%3A00Z"
BODY = {"ItemId": "a", "CreatedAt": "2026-11-21T10:00:00Z", "n": 1}
RETRIED = (*HANGS, *BREAKS, "throttle", "error_500", "error_503")
SLOW = {*HANGS, "stored_endless_head"}


class Wire(Client):
    """The handler over the real table client, over a connection, over the server's table."""

    def __init__(self, server: TableServer) -> None:
        super().__init__("rest")
        self.wire = Table(server.table.name, "us-east-1", server.url)
        self.app = App(ITEMS, Items(self.wire, "dev"), {"ENVIRONMENT": "dev"}, self.wire)


@pytest.fixture
def wire(server: TableServer) -> Iterator[Wire]:
    wire = Wire(server)
    yield wire
    wire.wire.host.close()


READS: dict[str, tuple[Operation, int]] = {
    "get": (lambda wire: wire.get(PATH), 200),
    "list": (lambda wire: wire.page(), 200),
    "versions": (lambda wire: wire.get("/items/a"), 200),
}
WRITES: dict[str, tuple[Operation, int]] = {
    "put": (lambda wire: wire("PUT", PATH, {"n": 2}), 200),
    "put the only version": (lambda wire: wire("PUT", "/items/a", {"n": 2}), 200),
    "delete": (lambda wire: wire("DELETE", PATH), 204),
    "delete the only version": (lambda wire: wire("DELETE", "/items/a"), 204),
}


def faults_for(name: str) -> list[str]:
    """Every fault for one read and one write; those that cost a second of waiting only for these two."""
    return [fault for fault in RETRIED if fault not in SLOW or name in {"get", "put"}]


def wait(wire: Wire, fault: str) -> None:
    """Give a hanging table little of the test's time, and any other fault plenty of it."""
    wire.context.milliseconds = 2300 if fault in SLOW else 20_000


@pytest.mark.parametrize(("name", "fault"), [(name, fault) for name in READS for fault in faults_for(name)])
def test_one_fault_is_not_seen_by_who_reads(server: TableServer, wire: Wire, name: str, fault: str) -> None:
    wire.post(BODY)
    operation, status = READS[name]
    server.faults.append(fault)
    wait(wire, fault)
    assert operation(wire).status == status
    assert operation(wire).status == status


@pytest.mark.parametrize(("name", "fault"), [(name, fault) for name in WRITES for fault in faults_for(name)])
def test_one_fault_is_not_seen_by_who_writes_and_nothing_is_written_twice(
    server: TableServer, wire: Wire, name: str, fault: str
) -> None:
    wire.post(BODY)
    operation, status = WRITES[name]
    server.table.writes = 0
    if "only" in name:
        server.faults.append("")  # the read that finds the version
    server.faults.append(fault)
    wait(wire, fault)
    assert operation(wire).status == status
    assert server.table.writes == 1


@pytest.mark.parametrize("fault", RETRIED)
def test_one_fault_makes_one_item(server: TableServer, wire: Wire, fault: str) -> None:
    server.faults.append(fault)
    wait(wire, fault)
    created = wire.post(BODY)
    assert created.status == 201, "a retry met the item it had stored itself, and took it for another's"
    assert server.table.writes == 1
    assert wire.get(PATH).etag == created.etag
    assert wire.post(BODY).status == 409


@pytest.mark.parametrize("guard", ["If-Match", "*"])
@pytest.mark.parametrize("fault", [fault for fault in RETRIED if fault.startswith("stored_") and fault not in SLOW])
def test_a_guarded_write_whose_reply_was_lost_is_no_stale_one(
    server: TableServer, wire: Wire, fault: str, guard: str
) -> None:
    etag = wire.post(BODY).etag
    server.table.writes = 0
    server.faults.append(fault)
    replaced = wire("PUT", PATH, {"n": 2}, If_Match=etag if guard == "If-Match" else "*")
    assert replaced.status == 200
    server.faults.append(fault)
    assert wire("DELETE", PATH, If_Match=replaced.etag).status == 204
    assert server.table.writes == 2


@pytest.mark.parametrize("fault", [fault for fault in RETRIED if fault not in SLOW])
def test_an_idempotent_creation_is_one_whatever_gets_lost(server: TableServer, wire: Wire, fault: str) -> None:
    for place in range(3):  # the record, the item, the record again
        server.table.items.clear()
        server.table.load([])
        server.faults.extend([*[""] * place, fault])
        first = wire.post({"n": 1}, Idempotency_Key="k")
        server.faults.clear()
        second = wire.post({"n": 1}, Idempotency_Key="k")
        assert (first.status, second.status) == (201, 201)
        assert first.json == second.json
        assert len(wire.page().json["items"]) == 1


@pytest.mark.parametrize("fault", RETRIED)
def test_a_fault_that_stays_is_a_503(server: TableServer, wire: Wire, fault: str) -> None:
    for operation in (READS["get"][0], READS["list"][0], lambda wire: wire.post(BODY)):
        server.faults.extend([fault] * 3)
        wire.context.milliseconds = 900 if fault in SLOW else 20_000
        answer = operation(wire)
        assert answer.status == 503
        assert int(answer.headers["retry-after"]) >= 1
        leaks_nothing(answer, server)
        server.faults.clear()
    wire.context.milliseconds = 20_000
    assert wire.page().status == 200


@pytest.mark.parametrize("fault", [fault for fault in REFUSALS if fault not in RETRIED and "throttle" not in fault])
def test_what_the_table_refuses_is_no_fault_of_the_client(server: TableServer, wire: Wire, fault: str) -> None:
    server.faults.append(fault)
    answer = wire.post(BODY)
    assert answer.status == 500
    leaks_nothing(answer, server)
    assert server.table.writes == 0
    assert wire.post(BODY).status == 201


def test_no_wait_reaches_into_the_last_300_milliseconds(
    server: TableServer, wire: Wire, monkeypatch: pytest.MonkeyPatch
) -> None:
    begun: list[float] = []
    waits: list[float] = []
    until = transport._Connection.until

    def clock() -> float:
        begun.append(time.monotonic())
        return begun[-1]

    def wait(connection: Any, deadline: float) -> None:
        waits.append(deadline)
        until(connection, deadline)

    monkeypatch.setattr(requests, "monotonic", clock)
    monkeypatch.setattr(transport._Connection, "until", wait)
    for fault in HANGS:
        server.faults.extend([fault] * 3)
        begun.clear()
        waits.clear()
        wire.context.milliseconds = 800
        assert wire.post(BODY).status == 503
        assert waits
        assert max(waits) <= begun[0] + 0.5, "Lambda would end the function before it answers"
        server.faults.clear()


def leaks_nothing(answer: Answer, server: TableServer) -> None:
    text = answer.text + "".join(f"{name}{value}" for name, value in answer.headers.items())
    for secret in ("arn:aws", "secret", server.table.name, "Exception", "127.0.0.1", "Traceback", "AKID", "<html>"):
        assert secret not in text
