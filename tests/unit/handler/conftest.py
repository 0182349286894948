from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

from tests.unit.handler.client import Client

if TYPE_CHECKING:
    from _pytest.fixtures import SubRequest


@pytest.fixture(params=["rest", "http"])
def client(request: SubRequest) -> Client:
    """A client of a fresh table, through either kind of API: the contract is the same."""
    return Client(request.param)
