"""JSON as a client sends it, attribute values as DynamoDB keeps them, and nothing lost between the two.

A number is never a float: it is `Number`, the token's text in DynamoDB's own plain notation. Everything that a JSON
parser might forgive and a table would not is refused here, in one place.
"""

import json
import re

TYPE_CHECKING = False  # what `typing` says too, without importing it in INIT
if TYPE_CHECKING:
    from typing import Any

MAX_DEPTH = 32
MAX_DIGITS = 38
MAX_ERRORS = 50
_quote = json.encoder.encode_basestring_ascii
_surrogate_escape = re.compile(r"\\u[dD][89a-fA-F]").search


class UnparseableError(ValueError):
    """The text is not one JSON document."""


class RefusedError(ValueError):
    """The text is JSON that an item cannot hold; `errors` has a (JSON pointer, detail) for everything wrong with it.

    `value` is what there is beside that, None in the place of what is wrong.
    """

    def __init__(self, errors: "list[tuple[str, str]]", value: "Any" = None):
        super().__init__("; ".join([f"{pointer or '/'}: {detail}" for pointer, detail in errors]))
        self.errors = errors
        self.value = value


class Number:
    """A number by its exact text, such as `12`, `-0.5` or `1000`. Equal values have equal texts."""

    __slots__ = ("text",)

    def __init__(self, text: str):
        self.text = text

    def __eq__(self, other: object) -> bool:
        return type(other) is Number and other.text == self.text

    def __hash__(self) -> int:
        return hash(self.text)

    def __repr__(self) -> str:
        return f"Number({self.text!r})"


def plain(token: str) -> str:
    """Return a JSON number in the notation DynamoDB answers with; ValueError says what it cannot hold."""
    if token.isdigit() and len(token) <= MAX_DIGITS:
        return token
    sign, token = ("-", token[1:]) if token[0] == "-" else ("", token)
    mantissa, _, exponent = token.lower().partition("e")
    whole, _, fraction = mantissa.partition(".")
    digits = (whole + fraction).lstrip("0")
    significant = digits.rstrip("0")
    if not significant:
        return "0"
    if len(significant) > MAX_DIGITS:
        raise ValueError(f"a number has at most {MAX_DIGITS} significant digits")
    if len(exponent.lstrip("+-0")) > 9:
        raise ValueError("a number's magnitude is 1E-130 to 9.9E+125")
    power = int(exponent or 0) - len(fraction) + len(digits) - len(significant)
    point = len(significant) + power
    if not -130 < point <= 126:
        raise ValueError("a number's magnitude is 1E-130 to 9.9E+125")
    if power >= 0:
        return f"{sign}{significant}{'0' * power}"
    if point > 0:
        return f"{sign}{significant[:point]}.{significant[point:]}"
    return f"{sign}0.{'0' * -point}{significant}"


def loads(text: str) -> "Any":
    """Return the one JSON document in `text`: dict, list, str, Number, bool or None.

    Raises `UnparseableError` for what is not JSON, `RefusedError` for what an item cannot hold, every place at once.
    """
    try:
        value = _decoder.decode(text)
    except _DoubtfulError:
        return _explain(text)
    except RecursionError:
        raise RefusedError([("", _TOO_DEEP)]) from None
    except UnparseableError:
        raise
    except ValueError as error:
        raise UnparseableError(str(error)) from None
    if (
        _surrogate_escape(text)
        or not (text.isascii() or _encodable(text))
        or (text.count("{") + text.count("[") > MAX_DEPTH and not _within(value, MAX_DEPTH))
    ):
        return _explain(text)
    return value


def encode(value: "Any") -> "dict[str, Any]":  # noqa: PLR0911 - one for each type
    """Return the attribute value of what `loads` gave."""
    kind = type(value)
    if kind is str:
        return {"S": value}
    if kind is Number:
        return {"N": value.text}
    if kind is dict:
        return {"M": encode_item(value)}
    if kind is list:
        return {"L": [encode(element) for element in value]}
    if value is None:
        return {"NULL": True}
    if kind is bool:
        return {"BOOL": value}
    if kind is int:
        return {"N": str(value)}
    raise TypeError(f"{kind.__name__} has no attribute value")


def encode_item(item: "dict[str, Any]") -> "dict[str, Any]":
    """Return {name: attribute value} of a JSON object."""
    return {name: encode(value) for name, value in item.items()}


def decode(attribute: "dict[str, Any]") -> "Any":
    """Return the value `loads` would give for `write(attribute)`."""
    ((kind, value),) = attribute.items()
    if kind in {"S", "BOOL", "B"}:
        return value
    if kind == "N":
        return Number(plain(value))
    if kind == "M":
        return {name: decode(member) for name, member in value.items()}
    if kind == "L":
        return [decode(element) for element in value]
    if kind == "NULL":
        return None
    # The API writes no sets; an item written by another program may have one.
    return [Number(plain(element)) for element in value] if kind == "NS" else list(value)


def write(attribute: "dict[str, Any]") -> str:  # noqa: PLR0911 - one for each type
    """Return an attribute value as JSON (ASCII), its numbers digit for digit."""
    for kind, value in attribute.items():
        if kind == "S":
            return _quote(value)
        if kind == "N":
            return value if value.isdigit() else plain(value)
        if kind == "M":
            return write_item(value)
        if kind == "L":
            return f"[{','.join([write(element) for element in value])}]"
        if kind == "BOOL":
            return "true" if value else "false"
        if kind == "NULL":
            return "null"
        if kind == "B":
            return _quote(value)
        return f"[{','.join([plain(element) if kind == 'NS' else _quote(element) for element in value])}]"
    raise ValueError("an attribute value has exactly one type")


def write_item(item: "dict[str, Any]") -> str:
    """Return {name: attribute value} as a JSON object."""
    return f"{{{','.join([f'{_quote(name)}:{write(attribute)}' for name, attribute in item.items()])}}}"


def dumps(value: "Any") -> str:
    """Return any value of `loads` (or of plain str, int, bool, None, dict, list) as compact ASCII JSON."""
    return write(encode(value))


def size(item: "dict[str, Any]") -> int:
    """Return the bytes DynamoDB counts against its 400 KB for {name: attribute value}.

    https://docs.aws.amazon.com/amazondynamodb/latest/developerguide/CapacityUnitCalculations.html
    """
    return sum([len(name.encode()) + _size(attribute) for name, attribute in item.items()])


def _size(attribute: "dict[str, Any]") -> int:
    ((kind, value),) = attribute.items()
    if kind == "S":
        return len(value) if value.isascii() else len(value.encode())
    if kind == "N":
        # "approximately (number of significant digits / 2) + 1": one more for a sign, never less than it stores.
        return len(value.strip("-0.")) // 2 + 3
    if kind == "M":
        return 3 + len(value) + size(value)
    if kind == "L":
        return 3 + len(value) + sum([_size(element) for element in value])
    return 1


class _DoubtfulError(Exception):
    """Something the table would not hold: parse again, slowly, to say where."""


def _number(token: str) -> Number:
    try:
        return Number(plain(token))
    except ValueError:
        raise _DoubtfulError from None


def _members(pairs: "list[tuple[str, Any]]") -> "dict[str, Any]":
    members = dict(pairs)
    if len(members) != len(pairs) or "" in members:
        raise _DoubtfulError
    return members


def _constant(token: str) -> None:
    raise UnparseableError(f"{token} is not JSON")


_decoder = json.JSONDecoder(
    object_pairs_hook=_members, parse_float=_number, parse_int=_number, parse_constant=_constant
)
_SURROGATE = "a lone surrogate is not text"
_TOO_DEEP = f"nested more than {MAX_DEPTH} levels deep"


def _within(value: "Any", levels: int) -> bool:
    if type(value) is dict:
        return levels > 0 and all(_within(member, levels - 1) for member in value.values())
    if type(value) is list:
        return levels > 0 and all(_within(element, levels - 1) for element in value)
    return True


def _encodable(text: str) -> bool:
    try:
        text.encode()
    except UnicodeEncodeError:
        return False
    return True


class _Pairs(list):  # type: ignore[type-arg]  # subscripting `list` here would run at import
    """An object's members as sent, the repeated ones too."""


class _Token(str):
    """A number's token as sent."""

    __slots__ = ()


def _explain(text: str) -> "Any":
    """Return the value after all, or raise `RefusedError` with every place that is wrong."""
    errors: "list[tuple[str, str]]" = []
    try:
        parsed = json.JSONDecoder(
            object_pairs_hook=_Pairs, parse_float=_Token, parse_int=_Token, parse_constant=_constant
        ).decode(text)
        value = _check(parsed, "", 1, errors)
    except RecursionError:
        raise RefusedError([("", _TOO_DEEP)]) from None
    except UnparseableError:
        raise
    except ValueError as error:
        raise UnparseableError(str(error)) from None
    if errors:
        raise RefusedError(errors[:MAX_ERRORS], value)
    return value


def _check(value: "Any", pointer: str, depth: int, errors: "list[tuple[str, str]]") -> "Any":
    kind = type(value)
    if kind is _Token:
        try:
            return Number(str(plain(value)))
        except ValueError as error:
            errors.append((pointer, str(error)))
    elif kind is str and not _encodable(value):
        errors.append((pointer, _SURROGATE))
    elif kind is not _Pairs and kind is not list:
        return value
    elif depth > MAX_DEPTH:
        errors.append((pointer, _TOO_DEEP))
    elif kind is list:
        return [_check(element, f"{pointer}/{index}", depth + 1, errors) for index, element in enumerate(value)]
    else:
        return _check_members(value, pointer, depth, errors)
    return None


def _check_members(pairs: "Any", pointer: str, depth: int, errors: "list[tuple[str, str]]") -> "dict[str, Any]":
    members: "dict[str, Any]" = {}
    for name, member in pairs:
        shown = name.encode("utf-8", "replace").decode().replace("~", "~0").replace("/", "~1")
        place = f"{pointer}/{shown}"
        if not name:
            errors.append((place, "a member's name is at least one character"))
        elif not _encodable(name):
            errors.append((place, _SURROGATE))
        elif name in members:
            errors.append((place, "the same member twice"))
        members[name] = _check(member, place, depth + 1, errors)
    return members
