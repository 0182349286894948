"""Requests to the other systems' handlers, as their gateways deliver them."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING, Any
from urllib.parse import unquote

from lib.handler.app import App
from tests.unit.handler.client import Answer, Context, http_event, rest_event
from tests.unit.handler.fake_table import FakeTable
from tests.unit.handler.table.engine import MemoryTable

if TYPE_CHECKING:
    from collections.abc import Mapping

    from lib.routes import Route

PROBLEM = {"type", "title", "status", "detail", "instance", "code", "requestId"}


def table(name: str, key: str) -> FakeTable:
    """A table of one key in memory."""
    made = FakeTable()
    made.name, made.memory = name, MemoryTable(name, (key,))
    return made


def assert_problem(answer: Answer, status: int, code: str) -> None:
    assert (answer.status, answer.json["code"]) == (status, code), answer.text
    assert answer.headers["content-type"] == "application/problem+json"
    assert set(answer.json) - {"errors"} == PROBLEM
    assert answer.json["status"] == status
    assert answer.headers["cache-control"] == "no-store"
    assert answer.headers["access-control-allow-origin"] == "*"


class SystemClient:
    """Sends requests to `actions` on `routes`; `catch_all` as behind an HTTP API's one `$default` route."""

    def __init__(
        self,
        routes: tuple[Route, ...],
        actions: object,
        *,
        kind: str = "http",
        catch_all: bool = False,
        table: FakeTable | None = None,
    ) -> None:
        self.app = App(routes, actions, {"AWS_LAMBDA_FUNCTION_NAME": "f"}, table)  # type: ignore[arg-type]
        self.templates = [] if catch_all else sorted({route.path for route in routes}, key=len, reverse=True)
        self.rest = kind == "rest"
        self.context = Context()

    def event(
        self,
        method: str,
        path: str,
        *,
        query: str = "",
        headers: Mapping[str, str] | None = None,
        body: str | None = None,
    ) -> dict[str, Any]:
        """The event of a request."""
        build = rest_event if self.rest else http_event
        event = build(method, path, query=query, headers=headers, body=body)
        event.pop("pathParameters", None)
        route, given = "$default", path.split("/")
        for template in self.templates:
            names = template.split("/")
            fits = [name == value or (name[:1] == "{" and value) for name, value in zip(names, given)]  # noqa: B905 - 3.9
            if len(names) == len(given) and all(fits):
                params = {name[1:-1]: value for name, value in zip(names, given) if name[:1] == "{"}  # noqa: B905
                route = template
                if params:
                    decode = str if self.rest else unquote
                    event["pathParameters"] = {name: decode(value) for name, value in params.items()}
                break
        if self.rest:
            event["resource"] = route
        else:
            event["routeKey"] = route if route == "$default" else f"{method} {route}"
        return event

    def send(self, event: object) -> Answer:
        return Answer(self.app.handler(event, self.context))

    def __call__(self, method: str, path: str, body: object = None, *, query: str = "", **headers: str) -> Answer:
        """Send a request; `body` is JSON text or a value, `Idempotency_Key="..."` a header."""
        text = body if body is None or isinstance(body, str) else json.dumps(body)
        named = {name.replace("_", "-"): value for name, value in headers.items()}
        return self.send(self.event(method, path, query=query, headers=named, body=text))
