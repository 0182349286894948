"""The in-memory table behind the same interface as `lib.handler.table.Table`, and faults where tests want them."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from lib.handler.table import TableError
from tests.unit.handler.table.engine import MemoryTable, Refusal

if TYPE_CHECKING:
    from collections.abc import Callable

KINDS = {"ConditionalCheckFailedException": "condition", "ValidationException": "invalid"}


class FakeTable:
    """Answers as `Table.request` does, from memory.

    `before(action)` runs ahead of each request: it may raise `TableError`, wait or change the table.
    `lose_replies` is how many of the next writes are carried out with their reply lost, and then sent again.
    """

    def __init__(self) -> None:
        self.name = "dev-items-table"
        self.memory = MemoryTable(self.name)
        self.calls = 0
        self.lose_replies = 0
        self.before: Callable[[str], None] = lambda _: None

    def request(self, action: str, payload: dict[str, Any], deadline: float) -> dict[str, Any]:
        assert isinstance(deadline, float)
        self.calls += 1
        self.before(action)
        attempts = 1
        if self.lose_replies and action in {"PutItem", "UpdateItem", "DeleteItem"}:
            self.lose_replies -= 1
            attempts = 2
            self._apply(action, payload, 1)
        return self._apply(action, payload, attempts)

    def _apply(self, action: str, payload: dict[str, Any], attempts: int) -> dict[str, Any]:
        try:
            return self.memory.apply(action, {"TableName": self.name, **payload})
        except Refusal as refusal:
            error = TableError(KINDS[refusal.code], refusal.message, refusal.item)
            error.attempts = attempts
            raise error from None
