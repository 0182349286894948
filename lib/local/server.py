"""A small HTTP server for the gateway and the console: threads, keep-alive, 127.0.0.1 only.

The standard library's, because API Gateway hands header names to the function as the client spelt them and paths as
the client encoded them; the ASGI servers at hand lower-case the one and decode the other.
"""

import http
import socket
import sys
import threading
from collections.abc import Callable
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any, Self

Headers = list[tuple[str, str]]


class PortTakenError(RuntimeError):
    """The port that was asked for cannot be listened on."""


@dataclass(frozen=True, kw_only=True)
class Request:
    """One request as it came in: `path` and `query` are still percent-encoded; `body` is None when over the limit."""

    method: str
    path: str
    query: str
    headers: Headers
    body: bytes | None
    protocol: str
    client: str

    def header(self, name: str) -> str | None:
        """The last value of this header, or None."""
        values = [value for key, value in self.headers if key.lower() == name.lower()]
        return values[-1] if values else None


@dataclass(frozen=True, kw_only=True)
class Response:
    """One answer. Content-Length is added, and no body is sent where HTTP has none."""

    status: int
    headers: Headers = field(default_factory=list)
    body: bytes = b""


class Server:
    """Answers on 127.0.0.1 with `answer(request)` until it is closed; `port` 0 is any free one."""

    def __init__(self, answer: Callable[[Request], Response], *, port: int = 0, body_limit: int = 1 << 20) -> None:
        try:
            self._server = _Listener(("127.0.0.1", port), _Handler, answer, body_limit)
        except OSError as error:
            raise PortTakenError(f"cannot listen on 127.0.0.1:{port}: {error.strerror}") from error
        self.port: int = self._server.server_address[1]
        self._thread = threading.Thread(
            target=self._server.serve_forever, kwargs={"poll_interval": 0.05}, name=f"http-{self.port}", daemon=True
        )
        self._thread.start()

    @property
    def url(self) -> str:
        """The address, without a slash at its end."""
        return f"http://127.0.0.1:{self.port}"

    def close(self) -> None:
        """Stop listening. Requests being answered are not waited for."""
        self._server.shutdown()
        self._server.server_close()

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()


class _Listener(ThreadingHTTPServer):
    daemon_threads = True
    block_on_close = False
    request_queue_size = 128

    def __init__(
        self,
        address: tuple[str, int],
        handler: type[BaseHTTPRequestHandler],
        answer: Callable[[Request], Response],
        body_limit: int,
    ) -> None:
        self.answer = answer
        self.body_limit = body_limit
        super().__init__(address, handler)

    def server_bind(self) -> None:
        # HTTPServer's own asks the resolver for this machine's name, which can hang without a network.
        socket_server_bind(self)

    def handle_error(self, request: Any, client_address: Any) -> None:
        # A client that hangs up is not worth a traceback; all else is a mistake of ours and is.
        if not isinstance(sys.exception(), ConnectionError | TimeoutError):
            super().handle_error(request, client_address)


def socket_server_bind(server: ThreadingHTTPServer) -> None:
    """Bind without looking names up."""
    server.socket.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
    server.socket.bind(server.server_address)
    server.server_address = server.socket.getsockname()
    server.server_name, server.server_port = "127.0.0.1", server.server_address[1]


class _Handler(BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"
    disable_nagle_algorithm = True
    wbufsize = -1
    timeout = 75
    server: _Listener

    def __getattr__(self, name: str) -> Any:
        # Every method is the same to this server; http.server looks for do_GET, do_POST and so on.
        if name.startswith("do_"):
            return self._answer
        raise AttributeError(name)

    def _answer(self) -> None:
        try:
            body = self._body()
        except ValueError as error:
            self.close_connection = True
            self._send(Response(status=http.HTTPStatus.BAD_REQUEST, body=f"{error}\n".encode()))
            return
        path, _, query = self.path.partition("?")
        response = self.server.answer(
            Request(
                method=self.command,
                path=path,
                query=query,
                headers=list(self.headers.items()),
                body=body,
                protocol=self.request_version,
                client=self.client_address[0],
            )
        )
        self._send(response)

    def _body(self) -> bytes | None:
        if "chunked" in (self.headers.get("Transfer-Encoding") or "").lower():
            return self._chunks()
        length = int(self.headers.get("Content-Length") or 0)
        if length < 0:
            raise ValueError("Content-Length is negative")
        if length > self.server.body_limit:
            self._skip(length)
            return None
        body = self.rfile.read(length)
        if len(body) < length:
            raise ConnectionAbortedError("the client left in the middle of its request")
        return body

    def _skip(self, length: int) -> None:
        # A client that is still sending does not see the answer; so take a while longer what will not be used.
        self.close_connection = True
        left = min(length, 4 * self.server.body_limit)
        while left > 0 and (taken := len(self.rfile.read(min(left, 1 << 16)))):
            left -= taken

    def _chunks(self) -> bytes | None:
        parts, total = [], 0
        while size := int(self.rfile.readline(1024).split(b";")[0] or b"0", 16):
            total += size
            if total > self.server.body_limit:
                self.close_connection = True
                return None
            parts.append(self.rfile.read(size))
            self.rfile.readline(8)
        while self.rfile.readline(1024).strip():
            pass
        return b"".join(parts)

    def _send(self, response: Response) -> None:
        bodiless = response.status in {204, 304} or response.status < 200 or self.command == "HEAD"
        self.send_response_only(response.status)
        self.send_header("Date", self.date_time_string())
        for name, value in response.headers:
            self.send_header(name, value)
        if response.status not in {204, 304}:
            self.send_header("Content-Length", str(len(response.body)))
        self.end_headers()
        if not bodiless:
            self.wfile.write(response.body)

    def send_header(self, keyword: str, value: str) -> None:
        # A line break in a value would let it write headers of its own.
        super().send_header(keyword, value.replace("\r", " ").replace("\n", " "))

    def log_message(self, format: str, *args: Any) -> None:  # noqa: A002 - the name is http.server's
        """Say nothing: what there is to say about a request is said by those who answer it."""
