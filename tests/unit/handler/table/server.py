"""A server that speaks DynamoDB's protocol over a `MemoryTable`, and misbehaves on demand.

    with TableServer(MemoryTable()) as server:
        server.faults.append("cut")        # the next request gets half a reply
        ...                                # use server.url

Each request takes the next fault from `faults`; without one it is answered properly. A fault says in its name whether
the request was carried out before things went wrong: what starts with `stored_` was.
"""

# ruff: noqa: ARG005 - each way of spoiling a reply is given the whole of it
from __future__ import annotations

import collections
import contextlib
import json
import re
import socket
import struct
import threading
import zlib
from typing import TYPE_CHECKING, Any

from .engine import MemoryTable, Refusal

if TYPE_CHECKING:
    import ssl
    from collections.abc import Callable
    from types import TracebackType

# Answered with an error of DynamoDB's, nothing carried out.
REFUSALS = {
    "throttle": (400, "ProvisionedThroughputExceededException"),
    "throttle_requests": (400, "ThrottlingException"),
    "error_500": (500, "InternalServerError"),
    "error_503": (503, "ServiceUnavailable"),
    "expired_credentials": (400, "ExpiredTokenException"),
    "unknown_credentials": (400, "UnrecognizedClientException"),
    "access_denied": (400, "AccessDeniedException"),
    "missing_table": (400, "ResourceNotFoundException"),
}
# The client waits for what never comes.
HANGS = ("hang", "stored_hang", "stored_hang_in_head", "stored_hang_in_body", "stored_drip")
# The connection or its bytes are broken.
BREAKS = (
    "reset",
    "close",
    "stored_reset",
    "stored_close",
    "stored_cut_head",
    "stored_cut_body",
    "stored_garbage_json",
    "stored_not_an_object",
    "stored_not_http",
    "stored_not_utf8",
    "stored_error_500",
    "stored_html_502",
    "stored_short_length",
    "stored_bad_length",
    "stored_negative_length",
    "stored_huge_length",
    "stored_endless_head",
    "stored_bad_chunk",
)
# Proper replies in unusual shapes.
ODDITIES = ("chunked", "continue_first", "until_close", "byte_by_byte", "close_announced", "http_1_0")


class TableServer:
    """Listens on 127.0.0.1 between `with` and its end; `url` is where."""

    def __init__(self, table: MemoryTable, tls: ssl.SSLContext | None = None, host: str = "127.0.0.1") -> None:
        self.table = table
        self.faults: collections.deque[str] = collections.deque()
        self.heads: list[str] = []
        self.bodies: list[bytes] = []
        self.connections = 0
        self.refuse_handshake = False
        self._tls = tls
        self._stopped = threading.Event()
        self._listener = socket.create_server(("127.0.0.1", 0), backlog=64)
        self._open: set[socket.socket] = set()
        self._threads: list[threading.Thread] = []
        self.port = self._listener.getsockname()[1]
        self.url = f"http{'s' if tls else ''}://{host}:{self.port}"

    def __enter__(self) -> TableServer:  # noqa: PYI034 - `Self` is not in Python 3.9
        self._start(self._accept)
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._stopped.set()
        with contextlib.suppress(OSError):
            self._listener.shutdown(socket.SHUT_RDWR)
        self._listener.close()
        self.drop_connections()
        for thread in self._threads:
            thread.join(10)

    def drop_connections(self) -> None:
        """Close every connection, as a host does with those that were idle for long."""
        for connection in list(self._open):
            with contextlib.suppress(OSError):
                connection.shutdown(socket.SHUT_RDWR)

    @property
    def open_connections(self) -> int:
        return len(self._open)

    def _start(self, work: Any, *arguments: Any) -> None:
        thread = threading.Thread(target=work, args=arguments, daemon=True)
        self._threads.append(thread)
        thread.start()

    def _accept(self) -> None:
        while True:
            try:
                connection, _ = self._listener.accept()
            except OSError:
                return
            self.connections += 1
            connection.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
            self._start(self._serve, connection)

    def _serve(self, connection: socket.socket) -> None:
        plain = connection
        self._open.add(plain)
        try:
            if self.refuse_handshake:
                self._stopped.wait()
            if self._tls:
                connection = self._tls.wrap_socket(connection, server_side=True)
            while self._one(connection):
                pass
        except OSError:
            pass
        finally:
            self._open.discard(plain)
            connection.close()

    def _one(self, connection: socket.socket) -> bool:
        """Answer one request; say whether the connection stays open."""
        data = b""
        while b"\r\n\r\n" not in data:
            if not (more := connection.recv(65536)):
                return False
            data += more
        head, _, body = data.partition(b"\r\n\r\n")
        length = int(re.search(rb"(?i)content-length: *(\d+)", head)[1])  # type: ignore[index]
        while len(body) < length:
            if not (more := connection.recv(65536)):
                return False
            body += more
        self.heads.append(head.decode("ascii"))
        self.bodies.append(body)
        fault = self.faults.popleft() if self.faults else ""
        if fault in {"hang", "reset", "close"} or fault in REFUSALS:
            return self._without_table(connection, fault)
        action = re.search(r"(?i)x-amz-target: DynamoDB_20120810\.(\w+)", self.heads[-1])[1]  # type: ignore[index]
        try:
            status, answer = 200, self.table.apply(action, json.loads(body))
        except Refusal as refusal:
            status, answer = 400, _error(refusal.code, refusal.message)
            if refusal.item is not None:
                answer["Item"] = refusal.item
        return self._reply(connection, fault, _http(status, answer))

    def _without_table(self, connection: socket.socket, fault: str) -> bool:
        if fault == "hang":
            self._hang(connection)
        elif fault == "reset":
            _reset(connection)
        elif fault in REFUSALS:
            status, code = REFUSALS[fault]
            connection.sendall(_http(status, _error(code, f"arn:aws:dynamodb:secret-{code}")))
            return True
        return False

    def _reply(self, connection: socket.socket, fault: str, reply: bytes) -> bool:
        head, _, body = reply.partition(b"\r\n\r\n")
        if fault == "stored_reset":
            _reset(connection)
            return False
        if fault in {"stored_drip", "byte_by_byte"}:
            whole = fault == "byte_by_byte"
            for byte in reply if whole else reply[:-1]:
                connection.sendall(bytes([byte]))
                if self._stopped.wait(0 if whole else 0.1):
                    return False
            return whole
        text, after = _SPOILT[fault](head, body) if fault else (reply, "open")
        while True:
            connection.sendall(text)
            if after != "repeat" or self._stopped.is_set():
                break
        if after == "hang":
            self._hang(connection)
        return after == "open"

    def _hang(self, connection: socket.socket) -> None:
        """Say nothing until the other side gives up or the server stops."""
        connection.settimeout(0.05)
        while not self._stopped.is_set():
            with contextlib.suppress(TimeoutError, socket.timeout):
                if not connection.recv(1):
                    return


def _error(code: str, message: str) -> dict[str, Any]:
    return {"__type": f"com.amazonaws.dynamodb.v20120810#{code}", "message": message}


def _http(status: int, answer: dict[str, Any] | None = None, raw: bytes | None = None) -> bytes:
    body = json.dumps(answer, separators=(",", ":")).encode() if raw is None else raw
    return (
        f"HTTP/1.1 {status} Whatever\r\nServer: Server\r\nDate: Sat, 21 Nov 2026 10:00:00 GMT\r\n"
        f"Content-Type: application/x-amz-json-1.0\r\ncontent-length: {len(body)}\r\nConnection: keep-alive\r\n"
        f"x-amzn-RequestId: 0123456789ABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789ABCDEF\r\n"
        f"x-amz-crc32: {zlib.crc32(body)}\r\n\r\n"
    ).encode() + body


def _reset(connection: socket.socket) -> None:
    connection.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
    socket.socket(fileno=connection.detach()).close()  # without a TLS goodbye


def _chunks(body: bytes) -> bytes:
    half = len(body) // 2
    parts = [b"%x;a=b\r\n%b\r\n" % (len(part), part) for part in (body[:half], body[half:]) if part]
    return b"".join(parts) + b"0\r\nx-trailer: 1\r\n\r\n"


def _headed(head: bytes, body: bytes, instead: bytes) -> bytes:
    """Return the reply with something else where its length was announced."""
    return head.replace(b"content-length: ", instead) + b"\r\n\r\n" + body


# What is sent in place of the proper head and body, and whether the connection then stays open, hangs or is closed.
_SPOILT: dict[str, Callable[[bytes, bytes], tuple[bytes, str]]] = {
    "stored_hang": lambda head, body: (b"", "hang"),
    "stored_hang_in_head": lambda head, body: (head[: len(head) // 2], "hang"),
    "stored_hang_in_body": lambda head, body: (head + b"\r\n\r\n" + body[:-1], "hang"),
    "stored_close": lambda head, body: (b"", "close"),
    "stored_cut_head": lambda head, body: (head[: len(head) // 2], "close"),
    "stored_cut_body": lambda head, body: (head + b"\r\n\r\n" + body[:-1], "close"),
    "stored_garbage_json": lambda head, body: (_http(200, raw=b'{"Item": <html>'), "open"),
    "stored_not_an_object": lambda head, body: (_http(200, raw=b"[1, 2]"), "open"),
    "stored_not_utf8": lambda head, body: (_http(200, raw=b'{"Item": "\xff\xfe"}'), "open"),
    "stored_not_http": lambda head, body: (b"\x00\x01\x02 what is this\r\n\r\n", "close"),
    "stored_error_500": lambda head, body: (_http(500, _error("InternalServerError", "")), "open"),
    "stored_html_502": lambda head, body: (_http(502, raw=b"<html>Bad Gateway</html>"), "open"),
    "stored_short_length": lambda head, body: (_headed(head, body, b"content-length: 1\r\nx-was: "), "open"),
    "stored_bad_length": lambda head, body: (_headed(head, body, b"content-length: twelve"), "close"),
    "stored_negative_length": lambda head, body: (_headed(head, body, b"content-length: -1\r\nx-was: "), "close"),
    "stored_huge_length": lambda head, body: (_headed(head, body, b"content-length: 99999999999"), "close"),
    "stored_endless_head": lambda head, body: (b"x-more: of the same\r\n" * 100, "repeat"),
    "stored_bad_chunk": lambda head, body: (
        _headed(head, b"zz\r\n", b"transfer-encoding: chunked\r\nx-was: "),
        "close",
    ),
    "chunked": lambda head, body: (
        _headed(head, _chunks(body), b"transfer-encoding: Chunked\r\nx-was: "),
        "open",
    ),
    "continue_first": lambda head, body: (b"HTTP/1.1 100 Continue\r\n\r\n" + head + b"\r\n\r\n" + body, "open"),
    "until_close": lambda head, body: (_headed(head, body, b"x-was: "), "close"),
    "close_announced": lambda head, body: (
        head.replace(b"keep-alive", b"close") + b"\r\n\r\n" + body,
        "close",
    ),
    "http_1_0": lambda head, body: (head.replace(b"HTTP/1.1", b"HTTP/1.0") + b"\r\n\r\n" + body, "close"),
}
