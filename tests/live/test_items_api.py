"""The same tests as on this machine, against a stack on AWS."""

from __future__ import annotations

import pytest

from tests.local.test_base_system import TestTheAlarms, TestTheApi, TestTheFunction, TestTheTable
from tests.local.test_items_api import (
    TestChanging,
    TestCreating,
    TestManyClients,
    TestReading,
    TestTheEdges,
    TestThrottling,
)

__all__ = [
    "TestChanging",
    "TestCreating",
    "TestManyClients",
    "TestReading",
    "TestTheAlarms",
    "TestTheApi",
    "TestTheEdges",
    "TestTheFunction",
    "TestTheTable",
    "TestThrottling",
]

pytestmark = pytest.mark.live
