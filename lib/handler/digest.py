"""SHA-256 and its HMAC from the interpreter's own module: importing `hashlib` costs as much as twenty warm requests."""

try:
    from _sha2 import sha256  # type: ignore[import-not-found,unused-ignore]  # Python 3.12 and later
except ImportError:
    try:
        from _sha256 import sha256  # type: ignore[import-not-found,unused-ignore]  # up to 3.11
    except ImportError:
        from hashlib import sha256

__all__ = ["hmac_sha256", "sha256"]
_BLOCK = 64
_INNER, _OUTER = bytes([byte ^ 0x36 for byte in range(256)]), bytes([byte ^ 0x5C for byte in range(256)])


def hmac_sha256(key: bytes, message: bytes) -> bytes:
    """Return the HMAC (RFC 2104) of `message`."""
    key = (sha256(key).digest() if len(key) > _BLOCK else key).ljust(_BLOCK, b"\0")
    inner: bytes = sha256(key.translate(_INNER) + message).digest()
    outer: bytes = sha256(key.translate(_OUTER) + inner).digest()
    return outer
