from __future__ import annotations

from typing import TYPE_CHECKING

import pytest
from hypothesis import HealthCheck, settings

from tests.unit.handler.client import Client

if TYPE_CHECKING:
    from _pytest.fixtures import SubRequest

# Counts and not times: seven things may run on this machine at once.
settings.register_profile("handler", deadline=None, suppress_health_check=[HealthCheck.too_slow], print_blob=True)
settings.load_profile("handler")


@pytest.fixture(params=["rest", "http"])
def client(request: SubRequest) -> Client:
    """A client of a fresh table, through either kind of API: the contract is the same."""
    return Client(request.param)
