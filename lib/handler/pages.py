"""Pages of a listing: how many, and from where on."""

from binascii import a2b_base64, b2a_base64

from lib.handler.digest import sha256
from lib.handler.limits import PAGE_CHARACTERS
from lib.handler.problem import Problem
from lib.handler.request import Request

DEFAULT_LIMIT, MAX_LIMIT = 25, 100
MAX_CURSOR = 8192
_DIGEST = 12
_STANDARD, _URL_SAFE = b"+/", b"-_"


def limit(request: "Request") -> int:
    """Return how many items the page may have."""
    text = request.query("limit")
    if text is None:
        return DEFAULT_LIMIT
    if not (text.isascii() and text.isdigit() and len(text) <= 3 and 1 <= int(text) <= MAX_LIMIT):
        raise Problem("invalid-limit", f"The limit is a whole number from 1 to {MAX_LIMIT}.")
    return int(text)


def fitting(texts: "list[str]") -> "list[str]":
    """Return as many of the items, as JSON, as an answer can carry; one at least."""
    room = PAGE_CHARACTERS
    if sum(map(len, texts)) * 2 < room:
        return texts
    for count, text in enumerate(texts):
        room -= len(text) + text.count('"') + text.count("\\") + 1
        if room < 0 and count:
            return texts[:count]
    return texts


def answer(texts: "list[str]", following: "str | None" = None) -> "tuple[int, str, dict[str, str]]":
    """Return the page with these items; without a cursor to what follows, it is the last."""
    more = f',"next":"{following}"' if following else ""
    return 200, f'{{"items":[{",".join(texts)}]{more}}}', {}


def seal(scope: "tuple[str, ...]", keys: "tuple[str, ...]") -> str:
    """Return the cursor for what comes after `keys` in the listing `scope`. No string may have a NUL.

    The checksum ties it to the listing; it is no secret, for the keys are the client's own (docs/adr/0011).
    """
    payload = "\0".join(keys).encode()
    digest = sha256("\0".join((*scope, "")).encode() + payload).digest()[:_DIGEST]
    text = b2a_base64(digest + payload, newline=False).rstrip(b"=")
    return text.translate(bytes.maketrans(_STANDARD, _URL_SAFE)).decode()


def unseal(scope: "tuple[str, ...]", cursor: str) -> "tuple[str, ...]":
    """Return the keys of a cursor that was sealed for `scope`."""
    try:
        raw = cursor[:MAX_CURSOR].encode("ascii").translate(bytes.maketrans(_URL_SAFE, _STANDARD))
        keys = tuple(a2b_base64(raw + b"=" * (-len(raw) % 4))[_DIGEST:].decode().split("\0"))
    except ValueError:
        keys = ()
    # Only one string is right: this also refuses other spellings of the same bytes.
    if keys and seal(scope, keys) == cursor:
        return keys
    raise Problem("invalid-cursor", "Start again without a cursor, or use one that this very listing gave.")
