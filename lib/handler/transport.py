"""One HTTPS host spoken to over kept-alive connections, with an end to every wait.

It stands on `_socket` and `_ssl`, the C modules under `socket`, `ssl` and `http.client`: those three cost more in INIT
than the rest of the handler together, and parse each reply as an e-mail (docs/adr/0021).
"""

import _socket
import _ssl
import _thread
import select
from time import monotonic

from lib.handler import roots

TYPE_CHECKING = False  # what `typing` says too, without importing it in INIT
if TYPE_CHECKING:
    from typing import Any

CONNECT_SECONDS = 1.0
MAX_HEAD = 65_536
MAX_BODY = 32 * 1024 * 1024


class UnsentError(OSError):
    """The request did not leave whole, so the host cannot have acted on it."""


class LostError(OSError):
    """The request left and its reply did not arrive: the host may have acted on it.

    `stale` is true when a kept-alive connection was closed before a byte of the reply: the host gave up on the
    connection rather than on the request.
    """

    stale = False


class Host:
    """A host and the connections kept open to it; safe to use from several threads."""

    def __init__(self, url: str):
        scheme, _, rest = url.partition("://")
        authority, _, path = rest.partition("/")
        authority = authority.rpartition("@")[2]
        if authority[:1] == "[":
            name, _, port = authority[1:].partition("]")
            port = port[1:]
        else:
            name, _, port = authority.partition(":")
        if scheme not in {"http", "https"} or not (name and url.isascii() and (port or "0").isdigit()):
            raise ValueError("an endpoint is http://host[:port] or https://host[:port]")
        self.path = f"/{path}/" if (path := path.rstrip("/")) else "/"
        self.header = authority
        self._tls = scheme == "https"
        self._name = name
        self._port = int(port or (443 if self._tls else 80))
        self._context: "Any" = None
        self._trusted = 0
        self._idle: "list[_Connection]" = []

    def exchange(self, message: bytes, deadline: float, has_body: bool = True) -> tuple[int, bytes, bytes]:
        """Send one whole request and return (status, head, body) before `deadline` (of `time.monotonic`).

        The head is in lower case. `has_body` is false for HEAD. Raises `UnsentError` or `LostError`.
        """
        connection = self._reuse()
        reused = connection is not None
        try:
            if connection is None:
                connection = self.connect(deadline)
            connection.until(deadline)
            connection.write(message)
        except OSError as error:
            if connection is not None:
                connection.close()
            if reused:
                self.close()
                return self.exchange(message, deadline, has_body)
            raise UnsentError(str(error)) from error
        reply = Reply(connection, deadline)
        try:
            answer = reply.read(has_body)
        except (OSError, ValueError) as error:
            connection.close()
            lost = LostError(str(error))
            lost.stale = reused and not reply.data and not isinstance(error, _socket.timeout)
            if lost.stale:
                self.close()  # the others are as old
            raise lost from error
        except BaseException:
            connection.close()
            raise
        if reply.keep:
            self._idle.append(connection)
        else:
            connection.close()
        return answer

    def close(self) -> None:
        """Forget every idle connection."""
        while (connection := self._take()) is not None:
            connection.close()

    def connect(self, deadline: float) -> "_Connection":
        """Return a new connection, its TLS handshake done."""
        deadline = min(deadline, monotonic() + CONNECT_SECONDS)
        error: OSError = OSError("the name has no address")
        for family, kind, protocol, _, address in _resolve(self._name, self._port, deadline):
            connection = _Connection(family, kind, protocol)
            try:
                connection.until(deadline)
                connection.connect(address)
                connection.setsockopt(_socket.IPPROTO_TCP, _socket.TCP_NODELAY, 1)
                if self._tls:
                    connection.until(deadline)
                    connection.secure(self._trust(), self._name)
            except _ssl.SSLCertVerificationError:
                connection.close()
                if self._trusted == 2:
                    raise
                self._trusted += 1
                self._context = None
                return self.connect(deadline)
            except OSError as failure:
                connection.close()
                error = failure
            except BaseException:
                connection.close()
                raise
            else:
                return connection
        raise error

    def _trust(self) -> "Any":
        """Return the TLS context, made when it is first needed; it verifies the chain and the host's name.

        It trusts the root that AWS endpoints chain to today; then, if that was not it, all five of Amazon's; then, for
        what is not AWS, whatever the system trusts.
        """
        if self._context is None:
            context = _ssl._SSLContext(_ssl.PROTOCOL_TLS_CLIENT)  # noqa: SLF001 - docs/adr/0021
            context.minimum_version = _ssl.PROTO_TLSv1_2
            if self._trusted == 2:
                context.set_default_verify_paths()
            else:
                context.load_verify_locations(cadata=roots.FIRST + roots.OTHERS * self._trusted)
            self._context = context
        return self._context

    def _take(self) -> "_Connection | None":
        try:
            return self._idle.pop()
        except IndexError:
            return None

    def _reuse(self) -> "_Connection | None":
        """Return an idle connection that the host has not closed."""
        while (connection := self._take()) is not None:
            # Nothing was asked, so whatever there is to read is the end of the connection.
            poll = select.poll()
            poll.register(connection, select.POLLIN)
            if not poll.poll(0):
                return connection
            connection.close()
        return None


class _Connection(_socket.socket):
    """A socket that is read and written through TLS after `secure`."""

    read: "Any" = _socket.socket.recv
    write: "Any" = _socket.socket.sendall

    def secure(self, context: "Any", name: str) -> None:
        tls = context._wrap_socket(self, False, server_hostname=name)  # noqa: SLF001 - docs/adr/0021
        tls.do_handshake()
        self.read, self.write = tls.read, tls.write

    def until(self, deadline: float) -> None:
        """Let the next operation take until `deadline`."""
        left = deadline - monotonic()
        if left <= 0:
            raise _socket.timeout("no time is left")
        self.settimeout(left)


class Reply:
    """Reads one HTTP/1.1 reply; `keep` says whether the connection can carry another."""

    def __init__(self, connection: _Connection, deadline: float):
        self.connection = connection
        self.deadline = deadline
        self.data = b""
        self.keep = False

    def read(self, has_body: bool) -> tuple[int, bytes, bytes]:
        status = 100
        while status < 200:  # 1xx replies come before the one that counts
            while (end := self.data.find(b"\r\n\r\n")) < 0:
                if len(self.data) > MAX_HEAD:
                    raise ValueError("the reply's head has no end")
                self.more()
            head, self.data = self.data[:end].lower(), self.data[end + 4 :]
            if head[:7] != b"http/1.":
                raise ValueError("the reply is not HTTP/1")
            status = int(head[9:12])
        length = field(head, b"content-length")
        self.keep = head[7:8] == b"1" and field(head, b"connection") != b"close"
        if not has_body or status in {204, 304}:
            length = b"0"
        elif not length or field(head, b"transfer-encoding"):
            from lib.handler import unframed  # no AWS service this package talks to answers like that

            return status, head, unframed.read(self, head)
        body = self.take(int(length))
        self.keep = self.keep and not self.data  # more than was announced: whose is it?
        return status, head, body

    def more(self) -> None:
        self.connection.until(self.deadline)
        data = self.connection.read(65_536)
        if not data:
            raise ConnectionResetError("closed before the end of the reply")
        self.data = self.data + data if self.data else data

    def take(self, length: int) -> bytes:
        if not 0 <= length <= MAX_BODY:
            raise ValueError("the reply's length is out of bounds")
        if len(self.data) < length:
            parts, got = [self.data], len(self.data)
            while got < length:
                self.data = b""
                self.more()
                parts.append(self.data)
                got += len(self.data)
            self.data = b"".join(parts)
        taken, self.data = self.data[:length], self.data[length:]
        return taken


def field(head: bytes, name: bytes) -> bytes:
    """Return the value of a header of a reply, or b"" without one; all of it is in lower case."""
    start = head.find(b"\r\n" + name + b":")
    if start < 0:
        return b""
    start += len(name) + 3
    end = head.find(b"\r\n", start)
    return head[start : end if end >= 0 else len(head)].strip()


def message(method: str, path: str, headers: dict[str, str], body: bytes) -> bytes:
    """Return a request as it goes over the wire, in one piece so that it leaves in one write."""
    lines = [f"{name}: {value}\r\n" for name, value in headers.items()]
    return f"{method} {path} HTTP/1.1\r\n{''.join(lines)}content-length: {len(body)}\r\n\r\n".encode() + body


def _resolve(name: str, port: int, deadline: float) -> "list[Any]":
    """Return the addresses of `name`. The resolver has no timeout of its own, so it is left behind in a thread."""
    answer: "list[Any]" = []
    done = _thread.allocate_lock()
    done.acquire()

    def ask() -> None:
        try:
            # As bytes: text would go through the IDNA codec, whose tables cost as much as a TLS handshake.
            answer.append(_socket.getaddrinfo(name.encode("ascii"), port, type=_socket.SOCK_STREAM))
        except OSError as error:
            answer.append(error)
        finally:
            done.release()

    _thread.start_new_thread(ask, ())
    if not done.acquire(timeout=max(0, deadline - monotonic())):
        raise _socket.timeout("the name was not resolved in time")
    addresses: "list[Any] | OSError" = answer[0]
    if isinstance(addresses, OSError):
        raise addresses
    return addresses
