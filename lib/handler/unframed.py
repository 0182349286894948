"""Replies that do not say their length beforehand: chunked ones, and those that end with their connection."""

from lib.handler.transport import MAX_BODY, MAX_HEAD, field

TYPE_CHECKING = False  # what `typing` says too, without importing it in INIT
if TYPE_CHECKING:
    from lib.handler.transport import Reply


def read(reply: "Reply", head: bytes) -> bytes:
    """Return the body that follows `head`."""
    if field(head, b"transfer-encoding") == b"chunked":
        return _chunked(reply)
    reply.keep = False
    try:
        while len(reply.data) <= MAX_BODY:
            reply.more()
    except ConnectionResetError:
        return reply.data
    raise ValueError("the reply's length is out of bounds")


def _chunked(reply: "Reply") -> bytes:
    parts: "list[bytes]" = []
    got = 0
    while size := int(_line(reply).partition(b";")[0], 16):
        got += size
        if got > MAX_BODY:
            raise ValueError("the reply's length is out of bounds")
        parts.append(reply.take(size))
        if _line(reply):
            raise ValueError("a chunk is longer than it said")
    while _line(reply):  # trailers
        pass
    reply.keep = reply.keep and not reply.data
    return b"".join(parts)


def _line(reply: "Reply") -> bytes:
    while (end := reply.data.find(b"\r\n")) < 0:
        if len(reply.data) > MAX_HEAD:
            raise ValueError("a line of the reply has no end")
        reply.more()
    line, reply.data = reply.data[:end], reply.data[end + 2 :]
    return line
