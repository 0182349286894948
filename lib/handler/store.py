"""The table as actions see it: what it cannot do becomes the client's problem document."""

from __future__ import annotations

from lib.handler.problem import Problem
from lib.handler.table import TableError

TYPE_CHECKING = False  # what `typing` says too, without importing it in INIT
if TYPE_CHECKING:
    from typing import Any

    from lib.handler.table import Table


def ask(table: Table, action: str, payload: dict[str, Any], deadline: float) -> dict[str, Any]:
    """Return the table's answer; only a failed condition comes back as `TableError`."""
    try:
        return table.request(action, payload, deadline)
    except TableError as error:
        if error.kind == "condition":
            raise
        cause = str(error)[:200]
        if error.kind in {"throttled", "unavailable"}:
            again = {"Retry-After": str(error.retry_after)}
            raise Problem("unavailable", "Try again.", headers=again, cause=cause) from None
        # Rights, the table's name or a request it does not take: nothing that a client can change.
        raise Problem("internal-error", "The request failed.", cause=cause) from None
