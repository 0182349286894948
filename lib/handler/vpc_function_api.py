"""The VPC function's action: a sample item into the table."""

from __future__ import annotations

from lib.handler import clock, store
from lib.handler.app import ok

TYPE_CHECKING = False  # what `typing` says too, without importing it in INIT
if TYPE_CHECKING:
    from lib.handler.app import Answer
    from lib.handler.request import Request
    from lib.handler.table import Table


class Sample:
    """The action of `routes.VPC_FUNCTION`."""

    def __init__(self, table: Table) -> None:
        self.table = table

    def write_sample(self, request: Request) -> Answer:
        """Write the item of this request: sent twice after a lost reply, it is still one item."""
        item_id = f"item_{request.id}"
        item = {"itemId": {"S": item_id}, "createdAt": {"S": clock.now()}}
        store.ask(self.table, "PutItem", {"Item": item}, request.deadline)
        return ok({"message": "Item written", "itemId": item_id, "tableName": self.table.name})
