"""The console page, beside the API: try the routes, see what was deployed, what was asked, and how the alarms stand."""

from __future__ import annotations

from typing import Self

from lib.local.server import Request, Response, Server
from lib.local.session import Session


class Console:
    """Serves the page and what it shows, until it is closed."""

    def __init__(self, session: Session) -> None:
        self._session = session
        self._server = Server(self._answer)
        self.url = self._server.url

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self._server.close()

    def _answer(self, request: Request) -> Response:
        return Response(status=404)
