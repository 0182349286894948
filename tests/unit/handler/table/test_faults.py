"""Whatever the table does, the client answers in time, applies nothing twice, and the next request finds it healthy."""

from __future__ import annotations

import _socket
import contextlib
import socket
import ssl
import threading
import time
from typing import TYPE_CHECKING, Any

import botocore
import pytest
import trustme

from lib.handler import roots, transport
from lib.handler.table import Table, TableError
from tests.unit.handler.table.engine import MemoryTable
from tests.unit.handler.table.server import BREAKS, HANGS, ODDITIES, REFUSALS, TableServer

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator
    from pathlib import Path

    Ask = Callable[..., dict[str, Any]]

KEY = {"ItemId": {"S": "a"}, "CreatedAt": {"S": "2026-11-21T10:00:00.000000Z"}}
ITEM = {**KEY, "name": {"S": "Ünïcode"}, "n": {"N": "1.5"}}
CREATE = {
    "Item": ITEM,
    "ConditionExpression": "attribute_not_exists(ItemId)",
    "ReturnValuesOnConditionCheckFailure": "ALL_OLD",
}
# What makes the client send again: nobody answered, or the answer was no answer.
UNANSWERED = (*HANGS, *BREAKS)
AGAIN = (*UNANSWERED, "throttle", "throttle_requests", "error_500", "error_503")
# A hang costs an attempt's whole time, so those tests give an attempt little of it.
SHORT, LONG = 2.0, 20.0


def seconds(fault: str) -> float:
    return SHORT if fault in HANGS or fault == "stored_endless_head" else LONG


@pytest.fixture(autouse=True)
def _nothing_is_left_open(server: TableServer, table: Table) -> Iterator[None]:
    yield
    table.host.close()
    deadline = time.monotonic() + 10
    while server.open_connections and time.monotonic() < deadline:
        time.sleep(0.01)
    assert server.open_connections == 0, "every failure leaks a connection until the sandbox has no descriptors"


@pytest.mark.parametrize("fault", AGAIN)
def test_a_read_survives_one_fault(server: TableServer, ask: Ask, fault: str) -> None:
    server.table.load([ITEM])
    server.faults.append(fault)
    assert ask("GetItem", seconds(fault), Key=KEY) == {"Item": ITEM}
    assert ask("GetItem", Key=KEY) == {"Item": ITEM}, "the next request found the connection spoilt"


@pytest.mark.parametrize("fault", AGAIN)
def test_a_fault_that_stays_is_reported_in_time(server: TableServer, table: Table, fault: str) -> None:
    server.faults.extend([fault] * 3)
    deadline = time.monotonic() + (0.6 if fault in HANGS or fault == "stored_endless_head" else LONG)
    with pytest.raises(TableError) as failed:
        table.request("GetItem", {"Key": KEY}, deadline)
    assert time.monotonic() < deadline + 5, "the Lambda would have been killed instead of answering 503"
    assert failed.value.kind == ("throttled" if fault.startswith("throttle") else "unavailable")
    assert failed.value.retry_after >= 1
    server.faults.clear()
    assert table.request("GetItem", {"Key": KEY}, time.monotonic() + LONG) == {}


@pytest.mark.parametrize("fault", AGAIN)
def test_a_write_is_applied_once_and_the_caller_can_tell(server: TableServer, ask: Ask, fault: str) -> None:
    server.faults.append(fault)
    if fault.startswith("stored_"):
        with pytest.raises(TableError) as failed:
            ask("PutItem", seconds(fault), **CREATE)
        assert failed.value.kind == "condition"
        assert failed.value.attempts == 2, "the caller has to know that the item it collides with may be its own"
        assert failed.value.item == ITEM
    else:
        assert ask("PutItem", seconds(fault), **CREATE) == {}
    assert server.table.writes == 1
    with pytest.raises(TableError) as again:
        ask("PutItem", **CREATE)
    assert again.value.kind == "condition"
    assert again.value.attempts == 1, "a real conflict would be taken for a lost reply"


@pytest.mark.parametrize("fault", [fault for fault in REFUSALS if fault not in AGAIN])
def test_a_refusal_is_not_asked_twice(server: TableServer, table: Table, ask: Ask, fault: str) -> None:
    server.faults.append(fault)
    with pytest.raises(TableError) as failed:
        ask("PutItem", **CREATE)
    assert failed.value.kind == ("missing" if fault == "missing_table" else "denied")
    assert failed.value.attempts == table.calls == 1
    assert server.table.writes == 0
    assert ask("PutItem", **CREATE) == {}, "rotated credentials work at once"
    assert server.connections == 1, "a refusal is an answer like another: the connection stays"


@pytest.mark.parametrize("fault", ["throttle", "error_503"])
def test_a_conflict_after_being_turned_away_is_a_conflict(server: TableServer, ask: Ask, fault: str) -> None:
    server.table.load([ITEM])
    server.faults.append(fault)
    with pytest.raises(TableError) as failed:
        ask("PutItem", **CREATE)
    assert failed.value.kind == "condition"
    # A throttled write was not applied. After a 5xx nobody knows.
    assert failed.value.attempts == (1 if fault == "throttle" else 2)


@pytest.mark.parametrize("shape", ODDITIES)
def test_an_unusual_reply_is_still_a_reply(server: TableServer, table: Table, ask: Ask, shape: str) -> None:
    server.table.load([ITEM])
    for _ in range(2):
        server.faults.append(shape)
        assert ask("GetItem", Key=KEY) == {"Item": ITEM}
    assert ask("GetItem", Key=KEY) == {"Item": ITEM}
    assert table.calls == 3
    assert server.connections == (1 if shape in {"chunked", "continue_first", "byte_by_byte"} else 3)


def test_one_connection_serves_many_requests(server: TableServer, ask: Ask) -> None:
    for _ in range(20):
        ask("GetItem", Key=KEY)
    assert server.connections == 1, "a TLS handshake costs more than everything else in a request"


@pytest.mark.parametrize("action", ["GetItem", "PutItem"])
def test_a_connection_closed_between_requests_is_reopened_unseen(
    server: TableServer, table: Table, ask: Ask, action: str
) -> None:
    ask("GetItem", Key=KEY)
    server.drop_connections()
    deadline = time.monotonic() + 10
    while server.open_connections and time.monotonic() < deadline:
        time.sleep(0.01)
    table.calls = 0
    assert ask(action, **(CREATE if action == "PutItem" else {"Key": KEY})) == {}
    assert table.calls == 1, "nothing was sent over the dead connection, so nothing was tried twice"
    assert server.connections == 2


def test_a_connection_that_dies_while_it_is_asked_costs_no_attempt(server: TableServer, ask: Ask) -> None:
    ask("GetItem", Key=KEY)
    server.faults.extend(["close", "throttle"])
    assert ask("PutItem", **CREATE) == {}
    assert server.table.writes == 1


def test_a_connection_that_says_more_than_it_announced_is_not_used_again(server: TableServer, ask: Ask) -> None:
    server.faults.append("stored_short_length")
    assert ask("GetItem", Key=KEY) == {}
    assert server.connections == 2, "what is left of one reply would begin the next"


def test_when_one_idle_connection_is_dead_the_others_are_not_trusted(
    server: TableServer, table: Table, ask: Ask
) -> None:
    for _ in range(2):
        table.host._idle.append(table.host.connect(time.monotonic() + LONG))
    server.faults.append("close")
    assert ask("GetItem", Key=KEY) == {}
    assert server.connections == 3, "what is as old is as dead, and only one such loss is free"


def test_a_write_lost_on_a_dying_connection_is_owned_up_to(server: TableServer, ask: Ask) -> None:
    ask("GetItem", Key=KEY)
    server.faults.append("stored_close")
    with pytest.raises(TableError) as failed:
        ask("PutItem", **CREATE)
    assert (failed.value.kind, failed.value.attempts) == ("condition", 2)
    assert server.table.writes == 1


def test_a_host_that_closes_every_connection_is_not_asked_for_ever(server: TableServer, table: Table, ask: Ask) -> None:
    ask("GetItem", Key=KEY)
    table.calls = 0
    server.faults.extend(["close"] * 10)
    with pytest.raises(TableError, match="unavailable"):
        ask("GetItem", Key=KEY)
    assert table.calls == 3, "two attempts, and one for the connection that had been idle"


def test_a_big_item_goes_both_ways(server: TableServer, ask: Ask) -> None:
    item = {**KEY, "big": {"S": "é" * 190_000}}
    ask("PutItem", Item=item)
    assert ask("GetItem", Key=KEY) == {"Item": item}
    assert server.connections == 1


def test_many_threads_share_a_table(server: TableServer, table: Table) -> None:
    server.table.load([{**KEY, "ItemId": {"S": str(number)}} for number in range(8)])
    wrong: list[Any] = []

    def work(number: int) -> None:
        key = {**KEY, "ItemId": {"S": str(number)}}
        for turn in range(15):
            if turn == 7:
                server.drop_connections()
            with contextlib.suppress(TableError):
                answer = table.request("GetItem", {"Key": key}, time.monotonic() + LONG)
                if answer != {"Item": key}:
                    wrong.append(answer)

    threads = [threading.Thread(target=work, args=(number,)) for number in range(8)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert wrong == [], "one request got the answer of another"


def test_only_the_granted_actions_are_ever_sent(server: TableServer, ask: Ask) -> None:
    for action in ("DeleteTable", "BatchGetItem", "getitem", ""):
        with pytest.raises(ValueError, match="not granted"):
            ask(action)
    assert server.heads == []


def test_no_credentials_is_denied_without_asking(
    server: TableServer, ask: Ask, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.delenv("AWS_SECRET_ACCESS_KEY")
    with pytest.raises(TableError) as failed:
        ask("GetItem", Key=KEY)
    assert failed.value.kind == "denied"
    assert server.connections == 0


def test_a_request_the_table_finds_invalid_is_the_callers_fault(ask: Ask) -> None:
    with pytest.raises(TableError) as failed:
        ask("GetItem", Key={"ItemId": {"S": "a"}})
    assert failed.value.kind == "invalid"


def test_nothing_is_begun_when_no_time_is_left(server: TableServer, ask: Ask) -> None:
    with pytest.raises(TableError, match="unavailable"):
        ask("PutItem", -1, **CREATE)
    assert server.table.requests == []


def test_warming_up_opens_the_connection_and_never_fails(
    server: TableServer, table: Table, monkeypatch: pytest.MonkeyPatch
) -> None:
    table.warm_up()
    assert [action for action, _ in server.table.requests] == ["GetItem"]
    server.faults.extend(["access_denied"])
    table.warm_up()
    server.faults.extend(["hang", "hang"])
    table.warm_up(0.3)
    monkeypatch.delenv("AWS_ACCESS_KEY_ID")
    table.warm_up()
    Table("t", "us-east-1", "http://127.0.0.1:1").warm_up(1)


def test_a_resolver_that_hangs_does_not_hold_the_answer(monkeypatch: pytest.MonkeyPatch) -> None:
    released = threading.Event()

    def hang(*_: Any, **__: Any) -> list[Any]:
        released.wait(30)
        return []

    monkeypatch.setattr(_socket, "getaddrinfo", hang)
    try:
        with pytest.raises(TableError, match="resolved in time"):
            Table("t", "us-east-1", "http://table.invalid").request("GetItem", {}, time.monotonic() + 0.5)
    finally:
        released.set()


def test_an_unknown_host_is_unavailable(monkeypatch: pytest.MonkeyPatch) -> None:
    def unknown(*_: Any, **__: Any) -> list[Any]:
        raise socket.gaierror(-2, "Name or service not known")

    monkeypatch.setattr(_socket, "getaddrinfo", unknown)
    with pytest.raises(TableError, match="not known"):
        Table("t", "us-east-1", "http://table.invalid").request("GetItem", {}, time.monotonic() + 5)


@pytest.mark.parametrize(
    ("environment", "region", "host"),
    [
        ({}, "us-west-2", "dynamodb.us-west-2.amazonaws.com"),
        ({}, "cn-north-1", "dynamodb.cn-north-1.amazonaws.com.cn"),
        ({"AWS_ENDPOINT_URL": "http://127.0.0.1:4566"}, "us-east-1", "127.0.0.1:4566"),
        ({"AWS_ENDPOINT_URL": "http://a", "AWS_ENDPOINT_URL_DYNAMODB": "https://b:8443/x"}, "us-east-1", "b:8443"),
    ],
)
def test_the_endpoint_is_what_the_environment_says(
    monkeypatch: pytest.MonkeyPatch, environment: dict[str, str], region: str, host: str
) -> None:
    for name, value in environment.items():
        monkeypatch.setenv(name, value)
    assert Table("t", region).host.header == host


@pytest.mark.parametrize(
    ("url", "parts"),
    [
        ("http://a", ("a", 80, "a", "/")),
        ("https://a.b/", ("a.b", 443, "a.b", "/")),
        ("https://a:8443/x/y/", ("a", 8443, "a:8443", "/x/y/")),
        ("http://user:word@a:1", ("a", 1, "a:1", "/")),
        ("http://[::1]:4566/", ("::1", 4566, "[::1]:4566", "/")),
        ("http://[::1]", ("::1", 80, "[::1]", "/")),
    ],
)
def test_an_endpoint_has_a_name_a_port_a_host_header_and_a_path(url: str, parts: tuple[str, int, str, str]) -> None:
    host = transport.Host(url)
    assert (host._name, host._port, host.header, host.path) == parts


@pytest.mark.parametrize("url", ["ftp://x", "x", "https://", "", "http://a:b", "http://:80", "http://ä"])
def test_an_endpoint_that_is_none_is_refused(url: str) -> None:
    with pytest.raises(ValueError, match="an endpoint is"):
        transport.Host(url)


class TestTls:
    """TLS with certificates of our own; what they chain to is set per test."""

    @pytest.fixture
    def authority(self) -> trustme.CA:
        return trustme.CA()

    @pytest.fixture
    def secure(self, authority: trustme.CA) -> Iterator[TableServer]:
        context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
        authority.create_child_ca().issue_cert("localhost").configure_cert(context)
        with TableServer(MemoryTable(), context, "localhost") as server:
            yield server

    @staticmethod
    def get(server: TableServer, seconds: float = LONG) -> dict[str, Any]:
        table = Table(server.table.name, "us-east-1", server.url)
        try:
            return table.request("GetItem", {"Key": KEY}, time.monotonic() + seconds)
        finally:
            table.host.close()

    @pytest.mark.parametrize(("place", "connections"), [("FIRST", 1), ("OTHERS", 2)])
    def test_amazons_roots_are_enough(
        self,
        secure: TableServer,
        authority: trustme.CA,
        monkeypatch: pytest.MonkeyPatch,
        place: str,
        connections: int,
    ) -> None:
        monkeypatch.setattr(roots, place, authority.cert_pem.bytes().decode())
        monkeypatch.setenv("SSL_CERT_FILE", "/nonexistent")
        assert self.get(secure) == {}
        assert secure.connections == connections

    def test_the_system_bundle_is_the_second_choice(
        self, secure: TableServer, authority: trustme.CA, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
    ) -> None:
        bundle = tmp_path / "bundle.crt"
        authority.cert_pem.write_to_path(bundle)
        monkeypatch.setenv("SSL_CERT_FILE", str(bundle))
        assert self.get(secure) == {}

    @pytest.mark.usefixtures("authority")
    def test_a_stranger_is_not_spoken_to(self, secure: TableServer) -> None:
        with pytest.raises(TableError, match="certificate verify failed"):
            self.get(secure)
        assert secure.heads == [], "credentials went to a host that is not AWS"

    def test_a_certificate_of_another_host_is_refused(
        self, secure: TableServer, authority: trustme.CA, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        monkeypatch.setattr(roots, "FIRST", authority.cert_pem.bytes().decode())
        secure.url = secure.url.replace("localhost", "127.0.0.1")
        with pytest.raises(TableError, match="certificate"):
            self.get(secure)
        assert secure.heads == []

    @pytest.mark.parametrize("fault", ["stored_reset", "stored_cut_body", "stored_close", "stored_hang_in_body"])
    def test_a_fault_under_tls_is_survived(
        self, secure: TableServer, authority: trustme.CA, monkeypatch: pytest.MonkeyPatch, fault: str
    ) -> None:
        monkeypatch.setattr(roots, "FIRST", authority.cert_pem.bytes().decode())
        secure.faults.append(fault)
        assert self.get(secure, seconds(fault)) == {}

    def test_a_big_item_goes_both_ways_under_tls(
        self, secure: TableServer, authority: trustme.CA, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        monkeypatch.setattr(roots, "FIRST", authority.cert_pem.bytes().decode())
        table = Table(secure.table.name, "us-east-1", secure.url)
        item = {**KEY, "big": {"S": "é" * 190_000}}
        table.request("PutItem", {"Item": item}, time.monotonic() + LONG)
        assert table.request("GetItem", {"Key": KEY}, time.monotonic() + LONG) == {"Item": item}
        assert secure.connections == 1
        table.host.close()

    def test_a_handshake_that_hangs_ends_in_time(self, secure: TableServer) -> None:
        secure.refuse_handshake = True
        with pytest.raises(TableError, match="unavailable"):
            self.get(secure, 0.6)

    def test_the_roots_are_amazons(self) -> None:
        ours = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
        ours.load_verify_locations(cadata=roots.FIRST + roots.OTHERS)
        subjects: list[Any] = [root["subject"] for root in ours.get_ca_certs()]
        names = {value for subject in subjects for ((name, value),) in subject if name == "commonName"}
        assert names == {
            *(f"Amazon Root CA {number}" for number in range(1, 5)),
            "Starfield Services Root Certificate Authority - G2",
        }
        theirs = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
        theirs.load_verify_locations(cafile=f"{botocore.__path__[0]}/cacert.pem")
        public = set(theirs.get_ca_certs(binary_form=True))
        assert set(ours.get_ca_certs(binary_form=True)) <= public, "not the certificates the public stores trust"
