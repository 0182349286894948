"""The OpenAPI document is fresh and valid, and the handler does what it says: fuzzed with what the document allows and
with what it does not.
"""

from __future__ import annotations

import ast
import base64
import json
import urllib.parse
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest
import schemathesis
from hypothesis import HealthCheck, given, settings
from openapi_spec_validator import validate
from schemathesis.specs.openapi.checks import positive_data_acceptance

from lib import handler, openapi
from lib.handler.problem import CODES
from lib.routes import ITEMS, methods_by_path
from tests.unit.handler.client import Client, http_event, rest_event

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable
    from wsgiref.types import StartResponse, WSGIEnvironment

    from _pytest.fixtures import SubRequest

    from lib.routes import Route


def test_the_committed_document_is_what_the_handler_does() -> None:
    assert openapi.main(["--check"]) == 0, "run python -m lib.openapi"


def test_a_stale_document_is_told(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setattr(openapi, "PATH", tmp_path / "openapi.json")
    assert openapi.main(["--check"]) == 1
    assert "python -m lib.openapi" in capsys.readouterr().err
    assert openapi.main([]) == 0
    assert openapi.main(["--check"]) == 0


def test_the_document_is_valid_openapi() -> None:
    validate(openapi.document())


def test_every_route_and_its_preflight_is_in_the_document() -> None:
    paths = openapi.document()["paths"]
    documented = {path: sorted(set(about) - {"parameters"}) for path, about in paths.items()}
    assert documented == {path: sorted(map(str.lower, methods)) for path, methods in methods_by_path(ITEMS).items()}


def test_every_code_is_raised_somewhere_and_documented() -> None:
    sources = Path(handler.__file__).parent.glob("*.py")
    written = {
        node.value
        for source in sources
        if source.name != "problem.py"
        for node in ast.walk(ast.parse(source.read_text(encoding="utf-8")))
        if isinstance(node, ast.Constant) and isinstance(node.value, str)
    }
    only_a_gateways = {"bad-request"}
    assert set(CODES) - written == only_a_gateways
    text = json.dumps(openapi.document())
    assert [code for code in CODES if f'"{code}"' not in text] == []


class Gateway:
    """The handler as a WSGI application: every HTTP request becomes an event and every answer a response."""

    def __init__(self, kind: str) -> None:
        self.client = Client(kind)
        self.make: Callable[..., dict[str, Any]] = {"rest": rest_event, "http": http_event}[kind]

    def __call__(self, environ: WSGIEnvironment, start_response: StartResponse) -> Iterable[bytes]:
        if environ["PATH_INFO"] == "/openapi.json":
            start_response("200 OK", [("Content-Type", "application/json")])
            return [json.dumps(openapi.document()).encode()]
        # WSGI has decoded the path; REST APIs deliver it encoded, and it is the stage's first.
        path = environ.get("REQUEST_URI") or urllib.parse.quote(environ["PATH_INFO"].encode("latin-1"))
        path = path.partition("?")[0].replace("/prod", "", 1)
        headers = {name[5:].replace("_", "-"): value for name, value in environ.items() if name.startswith("HTTP_")}
        if environ.get("CONTENT_TYPE"):
            headers["Content-Type"] = environ["CONTENT_TYPE"]
        raw = environ["wsgi.input"].read(int(environ.get("CONTENT_LENGTH") or 0))
        query = environ.get("QUERY_STRING", "")
        event = self.make(environ["REQUEST_METHOD"], path, query=query, headers=headers)
        event["body"], event["isBase64Encoded"] = base64.b64encode(raw).decode() or None, bool(raw)
        answer = self.client.send(event)
        body = answer.text.encode()
        length = [] if answer.status in {204, 304} else [("Content-Length", str(len(body)))]
        start_response(f"{answer.status} -", [*answer.response["headers"].items(), *length])
        return [body]


@pytest.fixture(params=["rest", "http"], scope="module")
def api(request: SubRequest) -> Any:
    """The document's operations, on a handler with something to find."""
    gateway = Gateway(request.param)
    for number in range(3):
        gateway.client.create(ItemId="0", CreatedAt=f"2000-01-0{number + 1}T00:00:00Z")
    return schemathesis.openapi.from_wsgi("/openapi.json", gateway)


@pytest.mark.parametrize("mode", list(schemathesis.GenerationMode), ids=lambda mode: mode.name.lower())
@pytest.mark.parametrize("route", ITEMS, ids=lambda route: route.action)
def test_no_request_gets_what_the_document_does_not_say(api: Any, route: Route, mode: Any) -> None:
    """No 5xx, no undocumented status, media type or header, no body against its schema; what is invalid is refused."""
    # That a cursor was issued, that two keys agree and that a number has 38 digits is more than a schema can say.
    about = openapi.OPERATIONS[route.action]
    excluded = [positive_data_acceptance] if about.body or "cursor" in about.parameters else []

    @given(case=api[route.path][route.method].as_strategy(generation_mode=mode))
    @settings(max_examples=40, deadline=None, derandomize=True, suppress_health_check=list(HealthCheck), database=None)
    def run(case: Any) -> None:
        case.call_and_validate(excluded_checks=excluded)

    run()
