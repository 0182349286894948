"""Why a JSON document cannot be an item: every place that is wrong, by JSON pointer.

`values.loads` reads quickly and only notices that something is wrong; this reads again, slowly, and says what.
"""

import json

from lib.handler.values import (
    MAX_DEPTH,
    TOO_DEEP,
    Number,
    RefusedError,
    UnparseableError,
    encodable,
    plain,
    refuse_constant,
)

TYPE_CHECKING = False  # what `typing` says too, without importing it in INIT
if TYPE_CHECKING:
    from typing import Any

MAX_ERRORS = 50
_SURROGATE = "a lone surrogate is not text"


class _Pairs(list):  # type: ignore[type-arg]  # subscripting `list` here would run at import
    """An object's members as sent, the repeated ones too."""


class _Token(str):
    """A number's token as sent."""

    __slots__ = ()


def explain(text: str) -> "Any":
    """Return the value after all, or raise `RefusedError` with every place that is wrong."""
    errors: "list[tuple[str, str]]" = []
    try:
        parsed = json.JSONDecoder(
            object_pairs_hook=_Pairs, parse_float=_Token, parse_int=_Token, parse_constant=refuse_constant
        ).decode(text)
        value = _check(parsed, "", 1, errors)
    except RecursionError:
        raise RefusedError([("", TOO_DEEP)]) from None
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
    elif kind is str and not encodable(value):
        errors.append((pointer, _SURROGATE))
    elif kind is not _Pairs and kind is not list:
        return value
    elif depth > MAX_DEPTH:
        errors.append((pointer, TOO_DEEP))
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
        elif not encodable(name):
            errors.append((place, _SURROGATE))
        elif name in members:
            errors.append((place, "the same member twice"))
        members[name] = _check(member, place, depth + 1, errors)
    return members
