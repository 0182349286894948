"""A DynamoDB table in memory: the six actions, real conditions, real pages, and refusals where DynamoDB refuses.

It is stricter than lenient where the two differ: an argument it does not know is refused, as are unused placeholders,
so that a request which passes here is one that DynamoDB accepts. `reads` counts the items a request examined.
"""

from __future__ import annotations

import bisect
import copy
import json
import operator
import re
import threading
from decimal import Decimal
from typing import Any

PAGE_BYTES = 1024 * 1024
ITEM_BYTES = 400 * 1024

Item = dict[str, Any]

_COMMON = {"TableName", "ExpressionAttributeNames", "ExpressionAttributeValues"}
_WRITE = _COMMON | {"ConditionExpression", "ReturnValues", "ReturnValuesOnConditionCheckFailure"}
_READ = _COMMON | {"ProjectionExpression", "ConsistentRead"}
_PAGE = _READ | {"FilterExpression", "Limit", "ExclusiveStartKey", "Select"}
_KNOWN = {
    "GetItem": _READ | {"Key"},
    "PutItem": _WRITE | {"Item"},
    "UpdateItem": _WRITE | {"Key", "UpdateExpression"},
    "DeleteItem": _WRITE | {"Key"},
    "Query": _PAGE | {"KeyConditionExpression", "ScanIndexForward"},
    "Scan": _PAGE,
}
_TOKEN = re.compile(r"\s*(<=|>=|<>|[=<>(),.+\-\[\]]|[#:]?[A-Za-z0-9_]+)")
_ORDER = {"<": operator.lt, "<=": operator.le, ">": operator.gt, ">=": operator.ge}
_NUMBER = re.compile(r"[+-]?(\d+\.?\d*|\.\d+)([eE][+-]?\d+)?")


class Refusal(Exception):  # noqa: N818 - an answer of the table, not a fault in it
    """DynamoDB's answer to what it will not do."""

    def __init__(self, code: str, message: str = "", item: Item | None = None) -> None:
        super().__init__(f"{code}: {message}")
        self.code = code
        self.message = message
        self.item = item


def invalid(message: str) -> Refusal:
    return Refusal("ValidationException", message)


class MemoryTable:
    """`apply(action, payload)` returns what DynamoDB would, or raises `Refusal`; safe from several threads."""

    def __init__(self, name: str = "dev-items-table", key: tuple[str, ...] = ("ItemId", "CreatedAt")) -> None:
        self.name = name
        self.key = key
        self.items: dict[tuple[str, ...], Item] = {}
        self._order: list[tuple[str, ...]] = []
        self._lock = threading.RLock()
        self.requests: list[tuple[str, Item]] = []
        self.reads = 0
        self.writes = 0

    def load(self, items: list[Item]) -> None:
        """Fill the table without counting."""
        self.items.update({self._key_of(item): item for item in items})
        self._order = sorted(self.items)

    def apply(self, action: str, payload: Item) -> Item:
        with self._lock:
            self.requests.append((action, payload))
            if action not in _KNOWN:
                raise Refusal("UnknownOperationException", action)
            if unknown := payload.keys() - _KNOWN[action]:
                raise invalid(f"unknown arguments {sorted(unknown)}")
            if payload.get("TableName") != self.name:
                raise Refusal("ResourceNotFoundException", "Requested resource not found")
            expression = _Expressions(payload)
            answer: Item = getattr(self, f"_{action}")(payload, expression)
            expression.finish()
            return answer

    def _GetItem(self, payload: Item, expression: _Expressions) -> Item:  # noqa: N802 - named as the action
        self.reads += 1
        item = self.items.get(self._key_given(payload["Key"]))
        return {} if item is None else {"Item": copy.deepcopy(expression.project(item))}

    def _PutItem(self, payload: Item, expression: _Expressions) -> Item:  # noqa: N802
        item = check_item(payload["Item"])
        return self._write(self._key_of(item), item, payload, expression)

    def _DeleteItem(self, payload: Item, expression: _Expressions) -> Item:  # noqa: N802
        return self._write(self._key_given(payload["Key"]), None, payload, expression)

    def _UpdateItem(self, payload: Item, expression: _Expressions) -> Item:  # noqa: N802
        key = self._key_given(payload["Key"])
        self._check(self.items.get(key), payload, expression)
        before: Item = self.items.get(key) or payload["Key"]
        after = check_item(expression.update(payload.get("UpdateExpression", ""), before))
        if self._key_of(after) != key:
            raise invalid("Cannot update attribute. This attribute is part of the key")
        return self._write(key, after, payload, expression, checked=True)

    def _Query(self, payload: Item, expression: _Expressions) -> Item:  # noqa: N802
        if "KeyConditionExpression" not in payload:
            raise invalid("a query needs a KeyConditionExpression")
        matches = expression.condition(payload["KeyConditionExpression"])
        hashes = [values["S"] for values in expression.values.values() if "S" in values]
        keys: list[tuple[str, ...]] = []
        for value in hashes:  # the partition is one of the values that the condition compares with
            start = bisect.bisect_left(self._order, (value,))
            while start < len(self._order) and self._order[start][0] == value:
                if self._order[start] not in keys and matches(self.items[self._order[start]]):
                    keys.append(self._order[start])
                start += 1
        keys.sort(reverse=not payload.get("ScanIndexForward", True))
        if "ExclusiveStartKey" in payload:
            after = self._key_given(payload["ExclusiveStartKey"])
            forward = payload.get("ScanIndexForward", True)
            keys = [key for key in keys if (key > after if forward else key < after)]
        return self._page(iter(keys), payload, expression)

    def _Scan(self, payload: Item, expression: _Expressions) -> Item:  # noqa: N802
        start = 0
        if "ExclusiveStartKey" in payload:
            start = bisect.bisect_right(self._order, self._key_given(payload["ExclusiveStartKey"]))
        return self._page((self._order[index] for index in range(start, len(self._order))), payload, expression)

    def _page(self, keys: Any, payload: Item, expression: _Expressions) -> Item:
        limit = payload.get("Limit", 1 << 62)
        if type(limit) is not int or limit < 1:
            raise invalid("Limit must be at least 1")
        filters = expression.condition(payload["FilterExpression"]) if "FilterExpression" in payload else None
        found: list[Item] = []
        examined = size = 0
        last = None
        for key in keys:
            if examined >= limit or size >= PAGE_BYTES:
                return self._page_answer(found, examined, last)
            item = self.items[key]
            examined, size, last = examined + 1, size + _item_size(item), key
            if filters is None or filters(item):
                found.append(copy.deepcopy(expression.project(item)))
        # DynamoDB says where it stopped also when nothing follows, if it stopped because of the limit.
        return self._page_answer(found, examined, last if examined >= limit else None)

    def _page_answer(self, found: list[Item], examined: int, last: tuple[str, ...] | None) -> Item:
        self.reads += examined
        answer: Item = {"Items": found, "Count": len(found), "ScannedCount": examined}
        if last is not None:
            answer["LastEvaluatedKey"] = {name: {"S": value} for name, value in zip(self.key, last)}  # noqa: B905 - Python 3.9
        return answer

    def _check(self, before: Item | None, payload: Item, expression: _Expressions) -> None:
        if "ConditionExpression" in payload and not expression.condition(payload["ConditionExpression"])(before or {}):
            told = payload.get("ReturnValuesOnConditionCheckFailure") == "ALL_OLD"
            raise Refusal("ConditionalCheckFailedException", "The conditional request failed", before if told else None)

    def _write(
        self,
        key: tuple[str, ...],
        after: Item | None,
        payload: Item,
        expression: _Expressions,
        *,
        checked: bool = False,
    ) -> Item:
        before = self.items.get(key)
        if not checked:
            self._check(before, payload, expression)
        if after is None:
            if before is not None:
                del self.items[key]
                del self._order[bisect.bisect_left(self._order, key)]
        else:
            self.items[key] = copy.deepcopy(after)
            if before is None:
                bisect.insort(self._order, key)
        self.writes += 1
        returned = {"ALL_OLD": before, "ALL_NEW": after}.get(payload.get("ReturnValues", "NONE"))
        return {"Attributes": copy.deepcopy(returned)} if returned is not None else {}

    def _key_of(self, item: Item) -> tuple[str, ...]:
        try:
            key = tuple(item[name]["S"] for name in self.key)
        except KeyError as error:
            raise invalid(f"Missing the key {error} in the item") from None
        if not all(key):
            raise invalid("a key attribute is empty")
        if len(key[0].encode()) > 2048 or any(len(part.encode()) > 1024 for part in key[1:]):
            raise invalid("a key attribute is too long")
        return key

    def _key_given(self, key: Item) -> tuple[str, ...]:
        if key.keys() != set(self.key):
            raise invalid("The provided key element does not match the schema")
        return self._key_of(key)


def check_item(item: Item) -> Item:
    """Return the item as DynamoDB would keep it, numbers in its notation, or raise `Refusal`."""
    checked = {name: _check_attribute(attribute, 1) for name, attribute in item.items()}
    if _item_size(checked) > ITEM_BYTES:
        raise invalid("Item size has exceeded the maximum allowed size")
    return checked


def _check_attribute(attribute: Item, depth: int) -> Item:
    if type(attribute) is not dict or len(attribute) != 1:
        raise invalid("Supplied AttributeValue must contain exactly one of the supported datatypes")
    ((kind, value),) = attribute.items()
    if depth > 32:
        raise invalid("Nesting Levels have exceeded supported limits")
    if kind == "M" and type(value) is dict:
        return {"M": {name: _check_attribute(member, depth + 1) for name, member in value.items()}}
    if kind == "L" and type(value) is list:
        return {"L": [_check_attribute(element, depth + 1) for element in value]}
    if kind == "N" and type(value) is str:
        return {"N": _number(value)}
    right = {"S": str, "BOOL": bool, "NULL": bool, "B": str, "SS": list, "NS": list, "BS": list}
    if type(value) is not right.get(kind):
        raise invalid("Supplied AttributeValue is empty or of another type")
    return attribute


def _number(text: str) -> str:
    if not _NUMBER.fullmatch(text):
        raise invalid("The parameter cannot be converted to a numeric value")
    number = Decimal(text)
    digits = "".join(map(str, number.as_tuple().digits)).strip("0")
    if len(digits) > 38 or (number and not -130 <= number.adjusted() <= 125):
        raise invalid("Number overflow, underflow or more than 38 significant digits")
    if not number:
        return "0"
    plain = format(number, "f")
    return plain.rstrip("0").rstrip(".") if "." in plain else plain


def _item_size(item: Item) -> int:
    return sum(len(name.encode()) + _attribute_size(attribute) for name, attribute in item.items())


def _attribute_size(attribute: Item) -> int:
    ((kind, value),) = attribute.items()
    if kind == "M":
        return 3 + len(value) + _item_size(value)
    if kind == "L":
        return 3 + len(value) + sum(map(_attribute_size, value))
    if kind in {"BOOL", "NULL"}:
        return 1
    if kind == "N":
        return len(value) // 2 + 2
    return len(value.encode()) if isinstance(value, str) else len(json.dumps(value))


class _Expressions:
    """The expressions of one request, their placeholders resolved; each has to be used."""

    def __init__(self, payload: Item) -> None:
        self.names: dict[str, str] = payload.get("ExpressionAttributeNames", {})
        self.values: Item = payload.get("ExpressionAttributeValues", {})
        self._unused = {*self.names, *self.values}
        self._projection = payload.get("ProjectionExpression")

    def finish(self) -> None:
        if self._unused:
            raise invalid(f"unused in expressions: {sorted(self._unused)}")

    def project(self, item: Item) -> Item:
        if self._projection is None:
            return item
        wanted = {self._name(part.strip()) for part in self._projection.split(",")}
        return {name: attribute for name, attribute in item.items() if name in wanted}

    def condition(self, text: str) -> Any:
        """Return a function item -> bool."""
        parser = _Parser(text)
        test = self._either(parser)
        parser.end()
        return test

    def update(self, text: str, item: Item) -> Item:
        """Return the item after SET and REMOVE clauses of top-level attributes."""
        after = dict(item)
        parser = _Parser(text)
        while clause := parser.next():
            if clause.upper() not in {"SET", "REMOVE"}:
                raise invalid(f"unsupported clause {clause}")
            while True:
                name = self._name(parser.next())
                if clause.upper() == "REMOVE":
                    after.pop(name, None)
                else:
                    parser.expect("=")
                    after[name] = self._operand(parser)(item)
                if parser.peek() != ",":
                    break
                parser.next()
        return after

    def _either(self, parser: _Parser) -> Any:
        tests = [self._both(parser)]
        while parser.peek().upper() == "OR":
            parser.next()
            tests.append(self._both(parser))
        return lambda item: any(test(item) for test in tests)

    def _both(self, parser: _Parser) -> Any:
        tests = [self._one(parser)]
        while parser.peek().upper() == "AND":
            parser.next()
            tests.append(self._one(parser))
        return lambda item: all(test(item) for test in tests)

    def _one(self, parser: _Parser) -> Any:
        token = parser.peek()
        if token.upper() == "NOT":
            parser.next()
            test = self._one(parser)
            return lambda item: not test(item)
        if token == "(":
            parser.next()
            test = self._either(parser)
            parser.expect(")")
            return test
        if token in {"attribute_exists", "attribute_not_exists"}:
            parser.next()
            parser.expect("(")
            name = self._name(parser.next())
            parser.expect(")")
            return lambda item: (name in item) is (token == "attribute_exists")
        if token == "begins_with":
            parser.next()
            parser.expect("(")
            left = self._operand(parser)
            parser.expect(",")
            right = self._operand(parser)
            parser.expect(")")
            return lambda item: (left(item) or {}).get("S", "").startswith(right(item)["S"])
        left = self._operand(parser)
        comparator = parser.next()
        if comparator.upper() == "BETWEEN":
            low = self._operand(parser)
            if parser.next().upper() != "AND":
                raise invalid("BETWEEN needs AND")
            high = self._operand(parser)
            return lambda item: _compare(left(item), ">=", low(item)) and _compare(left(item), "<=", high(item))
        right = self._operand(parser)
        return lambda item: _compare(left(item), comparator, right(item))

    def _operand(self, parser: _Parser) -> Any:
        token = parser.next()
        if token == "if_not_exists":
            parser.expect("(")
            name = self._name(parser.next())
            parser.expect(",")
            other = self._operand(parser)
            parser.expect(")")
            return lambda item: item.get(name) or other(item)
        if token.startswith(":"):
            if token not in self.values:
                raise invalid(f"undefined value {token}")
            self._unused.discard(token)
            value = self.values[token]
            return lambda _: value
        name = self._name(token)
        return lambda item: item.get(name)

    def _name(self, token: str) -> str:
        if token.startswith("#"):
            if token not in self.names:
                raise invalid(f"undefined name {token}")
            self._unused.discard(token)
            return self.names[token]
        if not re.fullmatch(r"[A-Za-z]\w*", token):
            raise invalid(f"not an attribute name: {token!r}")
        return token


def _compare(left: Item | None, comparator: str, right: Item | None) -> bool:
    if comparator == "<>":
        return left != right
    if left is None or right is None or left.keys() != right.keys():
        return False
    ((kind, one),) = left.items()
    ((_, other),) = right.items()
    if kind == "N":
        one, other = Decimal(one), Decimal(other)
    if comparator == "=":
        return bool(one == other)
    if kind not in {"S", "N", "B"} or comparator not in _ORDER:
        raise invalid(f"unsupported comparison {comparator}")
    if kind == "S":
        one, other = one.encode(), other.encode()
    return bool(_ORDER[comparator](one, other))


class _Parser:
    def __init__(self, text: str) -> None:
        if not text.strip():
            raise invalid("The expression can not be empty")
        self._tokens = _TOKEN.findall(text)
        if "".join(self._tokens) != re.sub(r"\s", "", text):
            raise invalid(f"syntax error in {text!r}")

    def peek(self) -> str:
        return self._tokens[0] if self._tokens else ""

    def next(self) -> str:
        return self._tokens.pop(0) if self._tokens else ""

    def expect(self, token: str) -> None:
        if self.next() != token:
            raise invalid(f"syntax error: {token} expected")

    def end(self) -> None:
        if self._tokens:
            raise invalid(f"syntax error at {self._tokens[0]}")
