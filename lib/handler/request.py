"""A Lambda proxy event, of a REST API (1.0) or of an HTTP API (2.0), as one kind of request."""

from binascii import Error as Base64Error
from binascii import a2b_base64, b2a_base64
from time import monotonic

from lib.handler.limits import VALUES_LIMIT
from lib.handler.problem import Problem
from lib.handler.values import RefusedError, UnparseableError, loads

MARGIN = 0.3  # seconds kept from the function's remaining time to send the answer
_HEX = frozenset("0123456789abcdefABCDEF")
UNRESERVED = frozenset("ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789-._~")
PATH = UNRESERVED | frozenset("/%:@!$&'()*+,;=")


class Request:
    """What a client asked for. Reading it never fails: what cannot be read is empty, and then no route matches.

    `template` is the gateway's own route, where it told one; `path` the path behind the stage, its segments still
    encoded when `encoded`; `prefix` what the client's URL has before it; `params` what the router found in it.
    """

    def __init__(self, event: object, context: object) -> None:
        self.event = event = event if isinstance(event, dict) else {}
        about = _dict(event.get("requestContext"))
        remaining = getattr(context, "get_remaining_time_in_millis", None)
        self.deadline = monotonic() + (remaining() / 1000 if remaining else 3) - MARGIN
        self.id = _identifier(about.get("requestId")) or _identifier(getattr(context, "aws_request_id", None)) or "-"
        self.given = _dict(event.get("pathParameters"))
        self.params: "dict[str, str]" = {}
        self.route = "-"
        self.encoded = event.get("version") != "2.0"
        if self.encoded:
            self.method = _str(event.get("httpMethod"))
            self.template = _str(event.get("resource"))
            self.path = _str(event.get("path"))
            self._full_path = _str(about.get("path")) or self.path
        else:
            self.method = _str(_dict(about.get("http")).get("method"))
            self.template = _str(event.get("routeKey")).partition(" ")[2]
            self.path = self._full_path = _str(event.get("rawPath"))
            stage = "/" + _str(about.get("stage"))
            if self.path == stage or self.path.startswith(stage + "/"):
                self.path = self.path[len(stage) :]
        self._headers: "dict[str, str] | None" = None

    def prefix(self, path: str) -> str:
        """Return what the client's URL has before `path`: a stage, a base path, or nothing."""
        full = self._full_path.rstrip("/")
        return full[: -len(path)] if full.endswith(path) else ""

    def header(self, name: str) -> "str | None":
        """Return a header by its lower-case name, repeated ones joined by commas."""
        headers = _dict(self.event.get("headers"))
        if self._headers is None:
            self._headers = {key.lower(): key for key in headers}
        key = self._headers.get(name)
        if key is None:
            return None
        lines = _dict(self.event.get("multiValueHeaders")).get(key)
        if isinstance(lines, list) and len(lines) > 1:
            return ", ".join([_str(line) for line in lines])
        return _str(headers[key])

    def query(self, name: str) -> "str | None":
        """Return a query parameter; one that is repeated is as good as none that can be read."""
        values = _dict(self.event.get("multiValueQueryStringParameters")).get(name)
        if isinstance(values, list) and len(values) > 1:
            return ""
        value = _dict(self.event.get("queryStringParameters")).get(name)
        return None if value is None else _str(value)

    def param(self, name: str) -> str:
        """Return a path parameter, decoded exactly once; a REST API leaves that to the function."""
        value = self.params.get(name, "")
        return decode_segment(value) if self.encoded else value

    def idempotency_key(self) -> "str | None":
        """Return the key under which a client may send this request again."""
        key = self.header("idempotency-key")
        if key is not None and not (1 <= len(key) <= 255 and all("!" <= c <= "~" for c in key)):
            raise Problem("invalid-header", "An Idempotency-Key is 1 to 255 visible ASCII characters.")
        return key

    def identity(self) -> "dict[str, object]":
        """Return what a REST API tells of who called."""
        return _dict(_dict(self.event.get("requestContext")).get("identity"))

    def json(self) -> "tuple[object, list[tuple[str, str]]]":
        """Return the body's JSON value, its numbers `values.Number`, and (pointer, detail) of what no item can hold."""
        encoding = self.header("content-encoding")
        if encoding is not None and encoding.lower() != "identity":
            raise Problem("unsupported-encoding", "Send the body without a content coding.")
        kind, *parameters = [part.strip().lower() for part in (self.header("content-type") or _JSON).split(";")]
        if kind != _JSON or not _CHARSETS.issuperset(parameters):
            raise Problem("unsupported-media-type", "Send application/json in UTF-8.")
        text = self._text()
        try:
            return loads(text), []
        except UnparseableError:
            raise Problem("invalid-body", "The body is not one JSON document.") from None
        except RefusedError as refused:
            return refused.value, refused.errors

    def _text(self) -> str:
        body = self.event.get("body")
        if not isinstance(body, str) or not body:
            raise Problem("invalid-body", "There is no body.")
        if self.event.get("isBase64Encoded"):
            try:
                raw = a2b_base64(body)
                if b2a_base64(raw, newline=False).decode() != body:
                    raise Problem("invalid-body", "The body is not in canonical base64.")
                body = raw.decode()
            except (Base64Error, ValueError):
                raise Problem("invalid-body", "The body is not UTF-8 in base64.") from None
        if len(body) > VALUES_LIMIT:
            from lib.handler.large import check

            check(body)
        return body


_JSON = "application/json"
_CHARSETS = {"charset=utf-8", 'charset="utf-8"'}


def decode_segment(text: str) -> str:
    """Return a percent-encoded path segment as text; `+` stays a plus sign."""
    if "%" not in text:
        return text
    first, *parts = text.split("%")
    raw = [first.encode("utf-8", "surrogatepass")]
    for part in parts:
        if len(part) < 2 or part[0] not in _HEX or part[1] not in _HEX:
            raise Problem("invalid-path", "A percent sign is followed by two hexadecimal digits.")
        raw.append(bytes.fromhex(part[:2]) + part[2:].encode("utf-8", "surrogatepass"))
    try:
        return b"".join(raw).decode()
    except ValueError:
        raise Problem("invalid-path", "The path is not UTF-8.") from None


def encode_segment(text: str, safe: "frozenset[str]" = UNRESERVED) -> str:
    """Return text as a path segment: percent-encoded but for the characters that mean themselves everywhere."""
    if safe.issuperset(text):
        return text
    return "".join([chr(byte) if chr(byte) in safe else f"%{byte:02X}" for byte in text.encode("utf-8", "replace")])


def _dict(value: object) -> "dict[str, object]":
    return value if isinstance(value, dict) else {}


def _str(value: object) -> str:
    return value if isinstance(value, str) else ""


def _identifier(value: object) -> str:
    """Return a request id if it is one: it goes into headers' company, documents and logs."""
    text = _str(value)
    return (
        text
        if len(text) <= 128 and text.replace("-", "").replace("_", "").rstrip("=").isalnum() and text.isascii()
        else ""
    )
