"""Property values between Pulumi's wire form (a protobuf Struct) and plain Python."""

from typing import Any

from google.protobuf import json_format, struct_pb2

from lib.local.types.archive import SIGNATURE
from lib.local.types.core import UNKNOWN, Values

SECRET = "1b47061264138c4ac30d75fd1eb44270"
REFERENCE = "5cf8f73096256a8f31e491e813e4eb8e"
OUTPUT = "d0e6a833031e9bbcd3f4e8bde6ca49a4"
# One for each kind of value; the first is what is sent.
UNKNOWNS = (
    "04da6b54-80e4-46f7-96ec-b56ff0331ba9",
    "1c4a061d-8072-4f0a-a4cb-0ff528b18fe7",
    "3eeb2bf0-c639-47a8-9e75-3b44932eb421",
    "6a19a0b0-7e62-4c92-b797-7f8e31da9cc2",
    "030794c1-ac77-496b-92df-f27374a8bd58",
    "e48ece36-62e2-4504-bad9-02848725956a",
    "dd056dcd-154b-4c76-9bd3-c8f88648b5ff",
)


def decode(struct: struct_pb2.Struct) -> Values:
    """The values of a message; secrets keep their mark (see `reveal`)."""
    return {key: _decode(value) for key, value in json_format.MessageToDict(struct).items()}


def _decode(value: Any) -> Any:  # noqa: PLR0911 - one for each case
    match value:
        case float() if value.is_integer():
            return int(value)
        case str() if value in UNKNOWNS:
            return UNKNOWN
        case list():
            return [_decode(inner) for inner in value]
        case dict() if value.get(SIGNATURE) == REFERENCE:
            return _decode(value.get("id") or value["urn"])
        case dict() if value.get(SIGNATURE) == OUTPUT:
            inner = _decode(value["value"]) if "value" in value else UNKNOWN
            return secret(inner) if value.get("secret") else inner
        case dict():
            return {key: _decode(inner) for key, inner in value.items()}
        case _:
            return value


def encode(values: Values) -> struct_pb2.Struct:
    struct = struct_pb2.Struct()
    struct.update({key: _encode(value) for key, value in values.items()})
    return struct


def _encode(value: Any) -> Any:
    if value is UNKNOWN:
        return UNKNOWNS[0]
    if isinstance(value, (list, tuple)):
        return [_encode(inner) for inner in value]
    if isinstance(value, dict):
        return {key: _encode(inner) for key, inner in value.items()}
    return value


def secret(value: Any) -> Values:
    return {SIGNATURE: SECRET, "value": value}


def is_secret(value: Any) -> bool:
    return isinstance(value, dict) and value.get(SIGNATURE) == SECRET


def has_secret(value: Any) -> bool:
    """Whether anything inside is marked secret."""
    if is_secret(value):
        return True
    if isinstance(value, dict):
        return any(has_secret(inner) for inner in value.values())
    return isinstance(value, list) and any(has_secret(inner) for inner in value)


def reveal(value: Any) -> Any:
    """The value with every secret in the clear: what AWS is told, never what is shown."""
    if is_secret(value):
        return reveal(value["value"])
    if isinstance(value, dict):
        return {key: reveal(inner) for key, inner in value.items()}
    if isinstance(value, list):
        return [reveal(inner) for inner in value]
    return value


def secret_texts(value: Any, *, inside: bool = False) -> set[str]:
    """Every text inside a secret, to keep it out of messages."""
    if is_secret(value):
        return secret_texts(value["value"], inside=True)
    if isinstance(value, dict):
        return {text for inner in value.values() for text in secret_texts(inner, inside=inside)}
    if isinstance(value, list):
        return {text for inner in value for text in secret_texts(inner, inside=inside)}
    return {value} if inside and isinstance(value, str) and len(value) >= 4 else set()
