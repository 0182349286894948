"""A client of the handler: requests as API Gateway delivers them, answers with their body parsed."""

from __future__ import annotations

import json
from decimal import Decimal
from typing import TYPE_CHECKING, Any
from urllib.parse import parse_qsl, quote, unquote, urlencode

from lib.handler.app import App
from lib.handler.items_api import Items
from lib.routes import ITEMS
from tests.unit.handler.fake_table import FakeTable

if TYPE_CHECKING:
    from collections.abc import Mapping

REQUEST_ID = "8b3c0e6a-0c6e-4f0b-9d3e-2f1f0b0f5a11"
PATHS = sorted({route.path for route in ITEMS}, key=len, reverse=True)


class Context:
    """What Lambda tells a handler of its invocation."""

    aws_request_id = "c6af9ac6-7b61-11e6-9a41-93e8deadbeef"

    def __init__(self, milliseconds: int = 5000) -> None:
        self.milliseconds = milliseconds

    def get_remaining_time_in_millis(self) -> int:
        return self.milliseconds


class Answer:
    """A response: `status`, `headers` by lower-case name, `text`, and `json` with numbers as Decimal."""

    def __init__(self, response: dict[str, Any]) -> None:
        self.response = response
        self.status: int = response["statusCode"]
        self.headers: dict[str, str] = {name.lower(): value for name, value in response["headers"].items()}
        self.text: str = response["body"]

    @property
    def json(self) -> Any:
        return json.loads(self.text, parse_float=Decimal, parse_int=Decimal)

    @property
    def etag(self) -> str:
        return self.headers["etag"]

    @property
    def code(self) -> str:
        return str(self.json["code"])

    def pointers(self) -> list[str]:
        return [error["pointer"] for error in self.json.get("errors", [])]


def template_of(path: str) -> tuple[str, dict[str, str]]:
    """Return the gateway's route for a path as the client sent it, and its parameters still encoded."""
    given = path.split("/")
    for template in PATHS:
        names = template.split("/")
        if len(names) == len(given) and names[1] == given[1] and all(given[2:]):
            return template, {name.strip("{}"): value for name, value in zip(names[2:], given[2:])}  # noqa: B905 - 3.9
    return "/{proxy+}", {"proxy": path[1:]}


def rest_event(
    method: str, path: str, *, query: str = "", headers: Mapping[str, str] | None = None, body: str | None = None
) -> dict[str, Any]:
    """An event of a REST API: the path encoded, the stage in the context's path alone."""
    template, params = template_of(path)
    pairs = parse_qsl(query, keep_blank_values=True)
    many: dict[str, list[str]] = {}
    for name, value in pairs:
        many.setdefault(name, []).append(value)
    sent = dict(headers or {})
    return {
        "resource": template,
        "path": path,
        "httpMethod": method,
        "headers": sent or None,
        "multiValueHeaders": {name: [value] for name, value in sent.items()} or None,
        "queryStringParameters": dict(pairs) or None,
        "multiValueQueryStringParameters": many or None,
        "pathParameters": params or None,
        "stageVariables": None,
        "requestContext": {
            "requestId": REQUEST_ID,
            "path": f"/prod{path}",
            "stage": "prod",
            "httpMethod": method,
            "resourcePath": template,
            "identity": {"sourceIp": "192.0.2.7"},
        },
        "body": body,
        "isBase64Encoded": False,
    }


def http_event(
    method: str, path: str, *, query: str = "", headers: Mapping[str, str] | None = None, body: str | None = None
) -> dict[str, Any]:
    """An event of an HTTP API: the path decoded, header names in lower case, repeated values joined."""
    template, params = template_of(path)
    joined: dict[str, str] = {}
    for name, value in parse_qsl(query, keep_blank_values=True):
        joined[name] = f"{joined[name]},{value}" if name in joined else value
    event: dict[str, Any] = {
        "version": "2.0",
        "routeKey": f"{method} {template}",
        "rawPath": unquote(path),
        "rawQueryString": query,
        "headers": {name.lower(): value for name, value in (headers or {}).items()},
        "requestContext": {
            "requestId": "JKJaXmPLvHcESHA=",
            "stage": "$default",
            "http": {"method": method, "path": unquote(path), "sourceIp": "192.0.2.7"},
        },
        "isBase64Encoded": False,
    }
    if joined:
        event["queryStringParameters"] = joined
    if template != "/{proxy+}":
        event["pathParameters"] = {name: unquote(value) for name, value in params.items()}
    if body is not None:
        event["body"] = body
    return event


class Client:
    """Sends requests to the items handler over a table of its own, as a REST API or as an HTTP API."""

    def __init__(self, kind: str = "rest", environment: Mapping[str, str] | None = None) -> None:
        environment = {"ENVIRONMENT": "dev", "AWS_LAMBDA_FUNCTION_NAME": "dev-items-lambda", **(environment or {})}
        self.table = FakeTable()
        items = Items(self.table, environment["ENVIRONMENT"], environment.get("REQUIRE_IF_MATCH") == "true")  # type: ignore[arg-type]
        self.app = App(ITEMS, items, environment, self.table)  # type: ignore[arg-type]
        self.event = {"rest": rest_event, "http": http_event}[kind]
        self.context = Context()

    def send(self, event: object) -> Answer:
        return Answer(self.app.handler(event, self.context))

    def __call__(self, method: str, path: str, body: object = None, *, query: str = "", **headers: str) -> Answer:
        """Send a request; `body` is JSON text or a value, `If_Match="..."` a header."""
        text = body if body is None or isinstance(body, str) else json.dumps(body)
        named = {name.replace("_", "-"): value for name, value in headers.items()}
        return self.send(self.event(method, path, query=query, headers=named, body=text))

    def post(self, body: object, **headers: str) -> Answer:
        return self("POST", "/items", body, **headers)

    def get(self, path: str, *, query: str = "", **headers: str) -> Answer:
        return self("GET", path, query=query, **headers)

    def page(self, path: str = "/items", **query: object) -> Answer:
        return self("GET", path, query=urlencode(query))

    def create(self, **attributes: object) -> tuple[str, Answer]:
        """Create an item and return its path and the answer."""
        answer = self.post(attributes)
        assert answer.status == 201, answer.text
        return path_of(answer.json), answer

    @property
    def requests(self) -> int:
        """How often the table was asked."""
        return len(self.table.memory.requests)

    def stored(self) -> list[dict[str, Any]]:
        """Everything in the table that is an item of a client's."""
        return [item for item in self.table.memory.items.values() if item["ItemId"]["S"][0] > "\x1f"]


def path_of(item: Mapping[str, str]) -> str:
    """The path of an item, encoded as a client would."""
    return f"/items/{quote(item['ItemId'], safe='')}/{quote(item['CreatedAt'], safe='')}"
