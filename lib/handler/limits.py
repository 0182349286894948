"""What a table can hold and an answer can carry."""

from lib.handler.problem import Problem
from lib.handler.values import size, write_item

TYPE_CHECKING = False  # what `typing` says too, without importing it in INIT
if TYPE_CHECKING:
    from typing import Any

KEY_BYTES, ITEM_BYTES = 2048, 400 * 1024
BODY_LIMIT = 6 * ITEM_BYTES  # every byte of an item written as an escape
VALUES_LIMIT = 100_000  # a value takes this function's memory some 500 bytes, however small it is
# Lambda takes 6 MB, and the body is a JSON string in it, where quotes and backslashes count twice.
PAGE_CHARACTERS = 5_500_000


def is_key(text: str) -> bool:
    """Return whether `text` can be a key: 1 to 2048 bytes without control characters."""
    try:
        if not 1 <= len(text.encode()) <= KEY_BYTES:
            return False
    except UnicodeEncodeError:
        return False
    return text.isprintable() or not any(c < " " or "\x7f" <= c < "\xa0" for c in text)


def check_size(item: "dict[str, dict[str, Any]]") -> None:
    """Raise `Problem` for attribute values that are too large to be stored, or too long to be answered."""
    stored = size(item)
    # DynamoDB keeps 1E-130 in two bytes and tells it in 132.
    if stored > ITEM_BYTES or (stored > ITEM_BYTES // 8 and len(write_item(item)) > PAGE_CHARACTERS):
        raise Problem("too-large", "An item has at most 400 KB.")
