"""The table as actions see it: what it cannot do becomes the client's problem document."""

from lib.handler.problem import Problem
from lib.handler.table import TableError

TYPE_CHECKING = False  # what `typing` says too, without importing it in INIT
if TYPE_CHECKING:
    from typing import Any

    from lib.handler.table import Table


def ask(table: "Table", action: str, payload: "dict[str, Any]", deadline: float) -> "dict[str, Any]":
    """Return the table's answer; only a failed condition comes back as `TableError`."""
    try:
        return table.request(action, payload, deadline)
    except TableError as error:
        if error.kind == "condition":
            raise
        raise problem(error) from None


def problem(error: "TableError") -> "Problem":
    """Return what a client is told of it."""
    cause = str(error)[:200]
    if error.kind in {"throttled", "unavailable"}:
        return Problem("unavailable", "Try again.", headers={"Retry-After": str(error.retry_after)}, cause=cause)
    # Rights, the table's name or a request it does not take: nothing that a client can change.
    return Problem("internal-error", "The request failed.", cause=cause)
