"""The HTTP API CRUD's actions: items with one key, `id`."""

from __future__ import annotations

from urllib.parse import quote

from lib.handler import clock, pages, store
from lib.handler.app import ok
from lib.handler.limits import check_size, is_key
from lib.handler.problem import Problem
from lib.handler.table import TableError
from lib.handler.values import encode_item, write_item

TYPE_CHECKING = False  # what `typing` says too, without importing it in INIT
if TYPE_CHECKING:
    from typing import Any

    from lib.handler.app import Answer
    from lib.handler.request import Request
    from lib.handler.table import Table

    Item = dict[str, dict[str, Any]]  # {name: attribute value}

UPDATED = "updatedAt"
# An update names each attribute twice in an expression of at most 4 KB and 300 operators:
# https://docs.aws.amazon.com/amazondynamodb/latest/developerguide/Constraints.html
MAX_UPDATED = 250
_KEY_DETAIL = "A string of 1 to 2048 bytes without control characters."


class Crud:
    """The actions of `routes.HTTP_CRUD` on one table; `environment` binds cursors."""

    def __init__(self, table: Table, environment: str) -> None:
        self.table = table
        self.environment = environment

    def list_items(self, request: Request) -> Answer:
        limit = pages.limit(request)
        scope = (self.environment, request.route)
        # One more than the page holds tells whether another follows.
        query: dict[str, Any] = {"ConsistentRead": True, "Limit": limit + 1}
        cursor = request.query("cursor")
        if cursor is not None:
            (key,) = pages.unseal(scope, cursor)
            query["ExclusiveStartKey"] = {"id": {"S": key}}
        answer = store.ask(self.table, "Scan", query, request.deadline)
        found, last = answer["Items"], answer.get("LastEvaluatedKey")
        texts = pages.fitting([write_item(item) for item in found[:limit]])
        if len(texts) < len(found):
            last = found[len(texts) - 1]
        if last is None:
            return pages.answer(texts)
        return pages.answer(texts, pages.seal(scope, (last["id"]["S"],)))

    def create_item(self, request: Request) -> Answer:
        attributes = _attributes(request)
        item = {"id": {"S": clock.new_id()}, **attributes}
        check_size(item)
        payload = {
            "Item": item,
            "ConditionExpression": "attribute_not_exists(id)",
            "ReturnValuesOnConditionCheckFailure": "ALL_OLD",
        }
        try:
            store.ask(self.table, "PutItem", payload, request.deadline)
        except TableError as error:
            # Ours when the reply to the first attempt was lost.
            if error.attempts == 1 or error.item != item:
                raise Problem("item-exists", "Choose another id, or change it.") from None
        key = item["id"]["S"]
        place = quote(request.prefix("/items"), safe="/%") + "/items/" + quote(key, safe="")
        status, body, headers = ok({"message": "Item created", "id": key}, 201)
        return status, body, {**headers, "Location": place}

    def get_item(self, request: Request) -> Answer:
        payload = {"Key": _key(request), "ConsistentRead": True}
        item = store.ask(self.table, "GetItem", payload, request.deadline).get("Item")
        if item is None:
            raise _missing()
        return 200, write_item(item), {}

    def update_item(self, request: Request) -> Answer:
        key = _key(request)
        attributes = _attributes(request)
        if attributes.pop("id", key["id"]) != key["id"]:
            raise _refused([("/id", "Differs from the path; an id can't change.")])
        attributes[UPDATED] = {"S": clock.now()}
        if len(attributes) > MAX_UPDATED:
            raise _refused([("", f"Change at most {MAX_UPDATED - 1} attributes at once.")])
        check_size({**key, **attributes})
        names = {f"#{index}": name for index, name in enumerate(attributes)}
        payload = {
            "Key": key,
            "UpdateExpression": "SET " + ", ".join([f"{name} = :{name[1:]}" for name in names]),
            "ConditionExpression": "attribute_exists(id)",
            "ExpressionAttributeNames": names,
            "ExpressionAttributeValues": {f":{name[1:]}": attributes[attribute] for name, attribute in names.items()},
            "ReturnValues": "ALL_NEW",
        }
        try:
            item = self.table.request("UpdateItem", payload, request.deadline)["Attributes"]
        except TableError as error:
            if error.kind == "condition":
                raise _missing() from None
            if error.kind == "invalid":
                # All else was checked: with what is stored already, the item would be over 400 KB.
                raise Problem("too-large", "An item has at most 400 KB.", cause=str(error)[:200]) from None
            raise store.problem(error) from None
        return 200, write_item(item), {}

    def delete_item(self, request: Request) -> Answer:
        key = _key(request)
        try:
            payload = {"Key": key, "ConditionExpression": "attribute_exists(id)"}
            store.ask(self.table, "DeleteItem", payload, request.deadline)
        except TableError as error:
            # With an earlier attempt whose reply was lost, that is what deleted it.
            if error.attempts == 1:
                raise _missing() from None
        return ok({"message": "Item deleted", "id": key["id"]["S"]})


def _key(request: Request) -> Item:
    key = request.param("id")
    if not key:
        raise Problem("invalid-path", "The path names no id.")
    if not is_key(key):
        raise Problem("invalid-path", "An id is 1 to 2048 bytes without control characters.")
    return {"id": {"S": key}}


def _attributes(request: Request) -> Item:
    """Return the body's attributes, or raise with all that is wrong with them."""
    value, errors = request.json()
    if not isinstance(value, dict):
        raise _refused(errors or [("", "An item is a JSON object.")])
    if "id" in value and not (isinstance(value["id"], str) and is_key(value["id"])):
        errors.append(("/id", _KEY_DETAIL))
    if errors:
        raise _refused(errors)
    return encode_item(value)


def _missing() -> Problem:
    return Problem("item-not-found", "Nothing is stored under this id.")


def _refused(errors: list[tuple[str, str]]) -> Problem:
    return Problem("invalid-body", "The item cannot be stored as it is.", errors)
