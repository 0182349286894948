"""A proxy between the provider and the emulator that can refuse a call, or swallow its answer for good.

What it swallows has happened in AWS, and nobody will ever know: the state an engine is in when it is killed in time.
"""

from __future__ import annotations

import threading
import urllib.error
import urllib.request
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer


@dataclass(frozen=True)
class Call:
    """One call of AWS's API, as far as it tells which one it is."""

    method: str
    path: str
    target: str
    body: bytes

    def is_(self, name: str) -> bool:
        """Whether it is this operation, by its target, its form or its method and path."""
        return (
            self.target.endswith(f".{name}")
            or f"Action={name}&".encode() in self.body + b"&"
            or name == f"{self.method} {self.path.partition('?')[0]}"
        )


class Gate:
    """The proxy; `endpoint` is what AWS_ENDPOINT_URL is to be."""

    def __init__(self, behind: str) -> None:
        self._behind = behind
        self._refused = ""
        self._swallowed = ""
        self._stopped = ""
        self.caught = threading.Event()
        gate = self

        class Handler(BaseHTTPRequestHandler):
            protocol_version = "HTTP/1.1"

            def handle_one_request(self) -> None:
                self.close_connection = True
                self.raw_requestline = self.rfile.readline(65537)
                if self.raw_requestline and self.parse_request():
                    gate.pass_on(self)

            def log_message(self, format: str, *args: object) -> None:  # noqa: A002 - the base's name
                """Say nothing."""

        self._server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
        self._server.daemon_threads = True
        self.endpoint = f"http://127.0.0.1:{self._server.server_address[1]}"
        threading.Thread(target=self._server.serve_forever, daemon=True).start()

    @contextmanager
    def refusing(self, operation: str) -> Iterator[None]:
        """Answer this operation with an error, as if the caller had no right to it."""
        self._refused = operation
        try:
            yield
        finally:
            self._refused = ""

    @contextmanager
    def swallowing(self, operation: str, *, before: bool = False) -> Iterator[threading.Event]:
        """Let this operation happen (or not, with `before`) and never answer it; the event says it has been caught."""
        self.caught.clear()
        self._swallowed, self._stopped = ("", operation) if before else (operation, "")
        try:
            yield self.caught
        finally:
            self._swallowed = self._stopped = ""

    def pass_on(self, request: BaseHTTPRequestHandler) -> None:
        """Deal with one call."""
        body = request.rfile.read(int(request.headers.get("Content-Length") or 0))
        call = Call(request.command, request.path, request.headers.get("X-Amz-Target", ""), body)
        if self._refused and call.is_(self._refused):
            refusal = b'{"__type": "AccessDeniedException", "message": "the gate refuses it"}'
            self._answer(request, 400, [("x-amzn-errortype", "AccessDeniedException")], refusal)
            return
        if self._stopped and call.is_(self._stopped):
            self._never()
        headers = {key: value for key, value in request.headers.items() if key.lower() != "connection"}
        onward = urllib.request.Request(  # noqa: S310 - the emulator of this machine
            self._behind + request.path, data=body or None, headers=headers, method=request.command
        )
        try:
            with urllib.request.urlopen(onward, timeout=120) as answer:  # noqa: S310 - same
                status, answered, content = answer.status, answer.headers.items(), answer.read()
        except urllib.error.HTTPError as error:
            status, answered, content = error.code, error.headers.items(), error.read()
        if self._swallowed and call.is_(self._swallowed):
            self._never()
        self._answer(request, status, list(answered), content)

    def _never(self) -> None:
        self.caught.set()
        threading.Event().wait()  # this thread ends with the process

    def _answer(
        self, request: BaseHTTPRequestHandler, status: int, headers: list[tuple[str, str]], body: bytes
    ) -> None:
        request.send_response_only(status)
        skipped = {"content-length", "transfer-encoding", "connection", "content-encoding"}
        for key, value in headers:
            if key.lower() not in skipped:
                request.send_header(key, value)
        request.send_header("Content-Length", str(len(body)))
        request.send_header("Connection", "close")
        request.end_headers()
        request.wfile.write(body)

    def close(self) -> None:
        """Stop listening."""
        self._server.shutdown()
        self._server.server_close()
