"""What only large bodies and large answers need, for a function of 128 MB; compiled when one comes."""

import json

from lib.handler.limits import BODY_LIMIT, VALUES_LIMIT
from lib.handler.problem import Problem

TYPE_CHECKING = False  # what `typing` says too, without importing it in INIT
if TYPE_CHECKING:
    from typing import Any

_KNOWN = 4096


def check(text: str) -> None:
    """Raise `Problem` for a body that would fill the memory once it is parsed."""
    if len(text) > BODY_LIMIT or (_marks(text) > VALUES_LIMIT and _marks(_outside(text)) > VALUES_LIMIT):
        raise Problem("too-large", f"An item has at most 400 KB and {VALUES_LIMIT:,} values.")


def _marks(text: str) -> int:
    """Return how many values a JSON text has, or a few more; what is in strings counts too."""
    return text.count(",") + text.count("[") + text.count("{")


def _outside(text: str) -> str:
    """Return a JSON text without its strings."""
    return "".join(text.replace("\\\\", "").replace('\\"', "").split('"')[::2])


def decode(text: str) -> "Any":
    """Return the JSON document, equal small attribute values being one: a page can have a million of them."""
    known: "dict[Any, Any]" = {}

    def share(pairs: "Any") -> "Any":
        if len(pairs) != 1 or type(pairs[0][1]) not in {str, bool}:
            return dict(pairs)
        value = known.get(pairs[0])
        if value is None:
            value = dict(pairs)
            if len(known) < _KNOWN:
                known[pairs[0]] = value
        return value

    return json.JSONDecoder(object_pairs_hook=share).decode(text)
