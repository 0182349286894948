"""The HTTP API service's actions: how it is, what it is, and an echo of what is sent to it."""

from __future__ import annotations

from json import dumps as text_of

from lib.handler import clock
from lib.handler.app import ok
from lib.handler.problem import Problem
from lib.handler.values import dumps

TYPE_CHECKING = False  # what `typing` says too, without importing it in INIT
if TYPE_CHECKING:
    from lib.handler.app import Answer
    from lib.handler.request import Request

SERVICE, VERSION = "TAP Serverless API", "1.0.0"
MESSAGES = {"POST": "Received", "PUT": "Updated", "DELETE": "Deleted"}


class Service:
    """The actions of `routes.HTTP_SERVICE`."""

    def __init__(self, environment: str, region: str) -> None:
        self._place = {"environment": environment, "region": region}

    def health(self, _request: Request) -> Answer:
        return ok({"status": "healthy", "timestamp": clock.now(), **self._place})

    def info(self, _request: Request) -> Answer:
        return ok({"service": SERVICE, "version": VERSION, **self._place, "timestamp": clock.now()})

    def receive(self, request: Request) -> Answer:
        data, errors = request.json()
        if errors:
            raise Problem("invalid-body", "The body is JSON that does not survive being read.", errors)
        # The values' own writer, for numbers are answered digit for digit.
        return 200, f'{{{_said(request)},"data":{dumps(data)},"timestamp":"{clock.now()}"}}', {}

    def remove(self, request: Request) -> Answer:
        return 200, f'{{{_said(request)},"timestamp":"{clock.now()}"}}', {}

    def unknown(self, _request: Request) -> Answer:
        raise Problem("route-not-found", "The API has no such path.")


def _said(request: Request) -> str:
    return f'"message":{text_of(MESSAGES[request.method])},"path":{text_of(request.path)}'
