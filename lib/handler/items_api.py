"""The items API's actions: docs/handler.md has the contract, docs/adr/0010 to 0012 the reasons."""

from json import dumps
from os import urandom
from time import time

from lib.handler import clock, pages
from lib.handler.digest import sha256
from lib.handler.limits import check_size, is_key
from lib.handler.problem import Problem
from lib.handler.request import PATH, encode_segment
from lib.handler.store import ask
from lib.handler.table import TableError
from lib.handler.values import encode_item, write_item

TYPE_CHECKING = False  # what `typing` says too, without importing it in INIT
if TYPE_CHECKING:
    from typing import Any

    from lib.handler.app import Answer
    from lib.handler.request import Request
    from lib.handler.table import Table

    Item = dict[str, dict[str, Any]]  # {name: attribute value}

RESERVED = "tap:"  # no attribute of a client's item begins with it
VERSION = "tap:version"
RECORD = "\x1f"  # begins the key of an idempotency record: no ItemId has a control character
DAY = 86400
PAGE_CALLS = 4


class Items:
    """The actions of `routes.ITEMS` on one table; `environment` binds cursors."""

    def __init__(self, table: "Table", environment: str, require_if_match: bool = False) -> None:
        self.table = table
        self.environment = environment
        self.require_if_match = require_if_match

    def list_items(self, request: "Request") -> "Answer":
        return self._page(request, "Scan", {}, "")

    def list_versions(self, request: "Request") -> "Answer":
        item_id = _path_item_id(request)
        query = {
            "KeyConditionExpression": "ItemId = :i",
            "ExpressionAttributeValues": {":i": {"S": item_id}},
            "ScanIndexForward": False,
        }
        return self._page(request, "Query", query, item_id)

    def get_item(self, request: "Request") -> "Answer":
        item = self._read(_path_key(request), request.deadline)
        if item is None:
            raise _missing()
        version = item.pop(VERSION, _NONE)["S"]
        etag = f'"{version}"'
        expected, known = request.header("if-match"), request.header("if-none-match")
        if expected is not None and expected.strip() != "*" and etag not in _tags(expected):
            raise _stale()
        headers = {"ETag": etag} if version else {}
        if known is not None and (known.strip() == "*" or (version and etag in _tags(known.replace("W/", "")))):
            return 304, "", headers
        return 200, write_item(item), headers

    def create_item(self, request: "Request") -> "Answer":
        if request.header("if-none-match") not in {None, "*"}:
            raise Problem("invalid-header", "If-None-Match is * here.")
        idempotency_key = request.idempotency_key()
        attributes = _attributes(request)
        key = {"ItemId": attributes.get("ItemId") or {"S": clock.new_id()}}
        key["CreatedAt"] = attributes.get("CreatedAt") or {"S": clock.now()}
        item = _with_version({**key, **attributes})
        done = False
        if idempotency_key is not None:
            record = self._claim(idempotency_key, attributes, item, request.deadline)
            item = {**item, "ItemId": record["item"], "CreatedAt": record["created"], VERSION: record[VERSION]}
            done = "done" in record
        if not done:
            try:
                self._put(item, "attribute_not_exists(ItemId)", {}, request.deadline)
            except TableError as error:
                stored = error.item or self._read(_key(item), request.deadline) or {}
                if stored.get(VERSION) != item[VERSION]:
                    raise Problem("item-exists", "Choose another ItemId or CreatedAt, or replace it.") from None
            if idempotency_key is not None:
                self._settle(idempotency_key, item, request.deadline)
        base = encode_segment(request.prefix("/items"), PATH)
        place = [encode_segment(item[name]["S"]) for name in ("ItemId", "CreatedAt")]
        headers = {"Location": "/".join([f"{base}/items", *place])}
        return _answer(201, item, headers)

    def replace_item(self, request: "Request") -> "Answer":
        return self._replace(request, _path_key(request))

    def replace_only_version(self, request: "Request") -> "Answer":
        return self._replace(request, {"ItemId": {"S": _path_item_id(request)}})

    def delete_item(self, request: "Request") -> "Answer":
        return self._delete(request, _path_key(request))

    def delete_only_version(self, request: "Request") -> "Answer":
        return self._delete(request, {"ItemId": {"S": _path_item_id(request)}})

    def _page(self, request: "Request", action: str, query: "dict[str, Any]", item_id: str) -> "Answer":
        limit = pages.limit(request)
        scope = (self.environment, request.route, item_id)
        cursor = request.query("cursor")
        # One more than the page holds tells whether another follows.
        query = {**query, "ConsistentRead": True, "Limit": limit + 1}
        if cursor is not None:
            item, created = pages.unseal(scope, cursor)
            query["ExclusiveStartKey"] = {"ItemId": {"S": item}, "CreatedAt": {"S": created}}
        found, last = self._found(action, query, request.deadline)
        if item_id and not found and cursor is None:
            raise _missing()
        texts = pages.fitting([_visible(item) for item in found[:limit]])
        if len(texts) < len(found):
            last = found[len(texts) - 1]
        if last is None:
            return pages.answer(texts)
        return pages.answer(texts, pages.seal(scope, (last["ItemId"]["S"], last["CreatedAt"]["S"])))

    def _found(self, action: str, query: "dict[str, Any]", deadline: float) -> "tuple[list[Item], Item | None]":
        """Return `Limit` items, or all there are, and the key to go on from; idempotency records are not items."""
        found: "list[Item]" = []
        for _ in range(PAGE_CALLS):
            answer = ask(self.table, action, query, deadline)
            items, last = answer["Items"], answer.get("LastEvaluatedKey")
            found += [item for item in items if item["ItemId"]["S"][:1] != RECORD]
            # DynamoDB stops early at 1 MB: enough for a page, and for this function's memory.
            if last is None or len(found) >= query["Limit"] or len(items) < query["Limit"]:
                break
            query = {**query, "ExclusiveStartKey": last}
        return found, last

    def _replace(self, request: "Request", key: "Item") -> "Answer":
        condition, values = self._expected(request)
        attributes = _attributes(request, key)
        if "CreatedAt" not in key:
            key = self._only_version(key, request.deadline)
            _same_keys(attributes, key)
        item = _with_version({**key, **attributes, **key})
        if not values:  # then nothing else keeps a retry from writing what the first attempt wrote
            condition, values = condition + " AND #v <> :v", {":v": item[VERSION]}
        try:
            self._put(item, condition, values, request.deadline)
        except TableError as error:
            if error.item is None:
                raise _missing() from None
            # Ours when the reply to the first attempt was lost.
            if error.item.get(VERSION) != item[VERSION]:
                raise _stale() from None
        return _answer(200, item, {})

    def _delete(self, request: "Request", key: "Item") -> "Answer":
        condition, values = self._expected(request)
        if "CreatedAt" not in key:
            key = self._only_version(key, request.deadline)
        try:
            ask(self.table, "DeleteItem", {"Key": key, **_conditional(condition, values)}, request.deadline)
        except TableError as error:
            if error.item is not None:
                raise _stale() from None
            # With an earlier attempt whose reply was lost, that is what deleted it.
            if error.attempts == 1:
                raise _missing() from None
        return 204, "", {}

    def _read(self, key: "Item", deadline: float) -> "Item | None":
        return ask(self.table, "GetItem", {"Key": key, "ConsistentRead": True}, deadline).get("Item")

    def _put(self, item: "Item", condition: str, values: "Item", deadline: float) -> None:
        ask(self.table, "PutItem", {"Item": item, **_conditional(condition, values)}, deadline)

    def _only_version(self, key: "Item", deadline: float) -> "Item":
        query = {
            "KeyConditionExpression": "ItemId = :i",
            "ExpressionAttributeValues": {":i": key["ItemId"]},
            "ProjectionExpression": "ItemId, CreatedAt",
            "ConsistentRead": True,
            "Limit": 2,
        }
        found = ask(self.table, "Query", query, deadline)["Items"]
        if not found:
            raise _missing()
        if len(found) > 1:
            raise Problem("several-versions", "Name the version: /items/{ItemId}/{CreatedAt}.")
        return _key(found[0])

    def _expected(self, request: "Request") -> "tuple[str, Item]":
        """Return the condition that `If-Match` puts on a write, and its values."""
        header = request.header("if-match")
        if request.header("if-none-match") is not None:
            raise Problem("invalid-header", "If-None-Match is for GET and POST.")
        if header is None and self.require_if_match:
            raise Problem("precondition-required", "Send If-Match with the item's ETag.")
        if header is None or header.strip() == "*":
            return "attribute_exists(ItemId)", {}
        # What is no strong ETag matches nothing, nor does an empty one.
        tags = [tag[1:-1] for tag in _tags(header) if tag[:1] == tag[-1:] == '"' and 2 < len(tag) < 99][:100]
        values = {f":v{index}": {"S": tag} for index, tag in enumerate(tags or ["-"])}
        return " OR ".join([f"#v = {name}" for name in values]), values

    def _claim(self, idempotency_key: str, attributes: "Item", item: "Item", deadline: float) -> "Item":
        """Return the record of this key: a new one, or the one that the first request with it made."""
        moment = int(time())
        record = {
            **_record_key(idempotency_key),
            "request": {"S": sha256(dumps(attributes, sort_keys=True).encode()).hexdigest()},
            "item": item["ItemId"],
            "created": item["CreatedAt"],
            VERSION: item[VERSION],
            "tap:expires": {"N": str(moment + DAY)},
        }
        free = {
            "ConditionExpression": "attribute_not_exists(ItemId) OR #e <= :now",
            "ExpressionAttributeNames": {"#e": "tap:expires"},
            "ExpressionAttributeValues": {":now": {"N": str(moment)}},
            "ReturnValuesOnConditionCheckFailure": "ALL_OLD",
        }
        try:
            ask(self.table, "PutItem", {"Item": record, **free}, deadline)
        except TableError as error:
            first = error.item or self._read(_record_key(idempotency_key), deadline) or record
            if first["request"] != record["request"]:
                raise Problem("idempotency-key-reused", "Send another key with another body.") from None
            return first
        return record

    def _settle(self, idempotency_key: str, item: "Item", deadline: float) -> None:
        """Note that the item was stored, so that no later request with this key stores it again."""
        update = {
            "Key": _record_key(idempotency_key),
            "UpdateExpression": "SET #d = :t",
            "ConditionExpression": "#v = :v",
            "ExpressionAttributeNames": {"#d": "done", "#v": VERSION},
            "ExpressionAttributeValues": {":t": {"BOOL": True}, ":v": item[VERSION]},
        }
        try:  # noqa: SIM105 - contextlib is an import that INIT would pay for
            ask(self.table, "UpdateItem", update, deadline)
        except (TableError, Problem):
            pass  # the item is stored, and that is the answer


_RESERVED_DETAIL = f"No attribute's name begins with {RESERVED}"
# As long as what an item gets where the client gives none.
_ADDED = {"ItemId": {"S": "-" * 36}, "CreatedAt": {"S": "-" * 27}, VERSION: {"S": "-" * 24}}
_NONE = {"S": ""}  # the version of an item that something else than this API wrote


def _path_item_id(request: "Request") -> str:
    item_id = request.param("ItemId")
    if not is_key(item_id):
        raise Problem("invalid-path", "An ItemId is 1 to 2048 bytes without control characters.")
    return item_id


def _path_key(request: "Request") -> "Item":
    created_at = clock.to_utc(request.param("CreatedAt"))
    if created_at is None:
        raise Problem("invalid-path", "CreatedAt is an RFC 3339 date-time with a zone, to the microsecond.")
    return {"ItemId": {"S": _path_item_id(request)}, "CreatedAt": {"S": created_at}}


def _attributes(request: "Request", key: "Item | None" = None) -> "Item":
    """Return the body's attributes, its keys in the form that is stored, or raise with all that is wrong with them."""
    value, errors = request.json()
    if not isinstance(value, dict):
        raise _invalid(errors or [("", "An item is a JSON object.")])
    if "ItemId" in value and (not isinstance(value["ItemId"], str) or not is_key(value["ItemId"])):
        errors.append(("/ItemId", "A string of 1 to 2048 bytes without control characters."))
    if "CreatedAt" in value:
        created_at = value["CreatedAt"]
        value["CreatedAt"] = clock.to_utc(created_at) if isinstance(created_at, str) else None
        if value["CreatedAt"] is None:
            errors.append(("/CreatedAt", "An RFC 3339 date-time with a zone, to the microsecond."))
    reserved = [name for name in value if name.startswith(RESERVED)]
    errors += [("/" + name.replace("~", "~0").replace("/", "~1"), _RESERVED_DETAIL) for name in reserved]
    if errors:
        raise _invalid(errors)
    attributes = encode_item(value)
    if key is not None:
        _same_keys(attributes, key)
    check_size({**_ADDED, **(key or {}), **attributes})
    return attributes


def _same_keys(attributes: "Item", key: "Item") -> None:
    differ = [("/" + name, "Differs from the path.") for name in key if attributes.get(name, key[name]) != key[name]]
    if differ:
        raise _invalid(differ)


def _with_version(item: "Item") -> "Item":
    item[VERSION] = {"S": urandom(12).hex()}
    return item


def _key(item: "Item") -> "Item":
    return {"ItemId": item["ItemId"], "CreatedAt": item["CreatedAt"]}


def _record_key(idempotency_key: str) -> "Item":
    return {"ItemId": {"S": RECORD + sha256(idempotency_key.encode()).hexdigest()}, "CreatedAt": {"S": "-"}}


def _conditional(condition: str, values: "Item") -> "dict[str, Any]":
    payload: "dict[str, Any]" = {
        "ConditionExpression": condition,
        "ReturnValuesOnConditionCheckFailure": "ALL_OLD",
    }
    if values:
        payload["ExpressionAttributeNames"] = {"#v": VERSION}
        payload["ExpressionAttributeValues"] = values
    return payload


def _answer(status: int, item: "Item", headers: "dict[str, str]") -> "Answer":
    headers["ETag"] = f'"{item.pop(VERSION)["S"]}"'
    return status, write_item(item), headers


def _visible(item: "Item") -> str:
    item.pop(VERSION, None)
    return write_item(item)


def _tags(header: str) -> "list[str]":
    return [tag.strip() for tag in header.split(",")]


def _missing() -> "Problem":
    return Problem("item-not-found", "Nothing is stored under this key.")


def _stale() -> "Problem":
    return Problem("precondition-failed", "Read it again: its ETag is another one.")


def _invalid(errors: "list[tuple[str, str]]") -> "Problem":
    return Problem("invalid-item", "The item cannot be stored as it is.", errors)
