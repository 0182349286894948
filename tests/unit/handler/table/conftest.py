"""A table server on 127.0.0.1 and a client of it, with made-up credentials."""

from __future__ import annotations

import time
from typing import TYPE_CHECKING, Any

import pytest

from lib.handler.table import Table
from tests.unit.handler.table.engine import MemoryTable
from tests.unit.handler.table.server import TableServer

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator


@pytest.fixture(autouse=True)
def _environment(monkeypatch: pytest.MonkeyPatch) -> None:
    for name in ("AWS_ENDPOINT_URL", "AWS_ENDPOINT_URL_DYNAMODB", "AWS_SESSION_TOKEN"):
        monkeypatch.delenv(name, raising=False)
    monkeypatch.setenv("AWS_ACCESS_KEY_ID", "AKIDEXAMPLE")
    monkeypatch.setenv("AWS_SECRET_ACCESS_KEY", "wJalrXUtnFEMI/K7MDENG+bPxRfiCYEXAMPLEKEY")


@pytest.fixture
def server() -> Iterator[TableServer]:
    with TableServer(MemoryTable()) as server:
        yield server


@pytest.fixture
def table(server: TableServer) -> Iterator[Table]:
    table = Table(server.table.name, "us-east-1", server.url)
    yield table
    table.host.close()


@pytest.fixture
def ask(table: Table) -> Callable[..., dict[str, Any]]:
    """Send one request with `seconds` to answer it."""

    def ask(action: str, seconds: float = 20, **payload: Any) -> dict[str, Any]:
        return table.request(action, payload, time.monotonic() + seconds)

    return ask
