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
TOO_DEEP = f"nested more than {MAX_DEPTH} levels deep"
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
        doubtful = (
            _surrogate_escape(text)
            or not (text.isascii() or encodable(text))
            or (text.count("{") + text.count("[") > MAX_DEPTH and not _within(value, MAX_DEPTH))
        )
    except _DoubtfulError:
        doubtful = True
    except RecursionError:
        raise RefusedError([("", TOO_DEEP)]) from None
    except UnparseableError:
        raise
    except ValueError as error:
        raise UnparseableError(str(error)) from None
    if doubtful:
        from lib.handler.refusals import explain  # few requests need it, and compiling it is not free

        return explain(text)
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


def write(attribute: "dict[str, Any]") -> "Any":  # noqa: PLR0911 - one for each type
    """Return an attribute value as JSON (ASCII), its numbers digit for digit as DynamoDB tells them."""
    if "S" in attribute:
        return _quote(attribute["S"])
    if "N" in attribute:
        return attribute["N"]
    if "M" in attribute:
        return write_item(attribute["M"])
    if "L" in attribute:
        return f"[{','.join([write(element) for element in attribute['L']])}]"
    if "BOOL" in attribute:
        return "true" if attribute["BOOL"] else "false"
    if "NULL" in attribute:
        return "null"
    # The API writes no bytes and no sets; an item that another program wrote may have them.
    ((kind, value),) = attribute.items()
    if kind == "B":
        return _quote(value)
    return f"[{','.join([element if kind == 'NS' else _quote(element) for element in value])}]"


def write_item(item: "dict[str, Any]") -> str:
    """Return {name: attribute value} as a JSON object."""
    # Half of a page's instructions are spent in this line: most attributes are text, and names repeat.
    members = [_names[name] + (_quote(value["S"]) if "S" in value else write(value)) for name, value in item.items()]
    return f"{{{','.join(members)}}}"


def dumps(value: "Any") -> str:
    """Return any value of `loads` (or of plain str, int, bool, None, dict, list) as compact ASCII JSON."""
    return str(write(encode(value)))


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


class _Names(dict):  # type: ignore[type-arg]  # subscripting `dict` here would run at import
    """Attribute names as JSON begins a member with them, each written once."""

    def __missing__(self, name: str) -> str:
        if len(self) >= 1000:  # names are the clients' own, and memory is not
            self.clear()
        text = self[name] = _quote(name) + ":"
        return text


_names = _Names()


def refuse_constant(token: str) -> None:
    raise UnparseableError(f"{token} is not JSON")


_decoder = json.JSONDecoder(
    object_pairs_hook=_members, parse_float=_number, parse_int=_number, parse_constant=refuse_constant
)


def _within(value: "Any", levels: int) -> bool:
    if type(value) is dict:
        return levels > 0 and all(_within(member, levels - 1) for member in value.values())
    if type(value) is list:
        return levels > 0 and all(_within(element, levels - 1) for element in value)
    return True


def encodable(text: str) -> bool:
    try:
        text.encode()
    except UnicodeEncodeError:
        return False
    return True
