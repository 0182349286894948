"""The HTTP API service's contract."""

from __future__ import annotations

import json
import re

import pytest

from lib.handler.http_service_api import Service
from lib.routes import HTTP_SERVICE
from tests.unit.handler.systems.kit import SystemClient, assert_problem

MOMENT = re.compile(r"\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d\.\d{6}Z")


@pytest.fixture
def client() -> SystemClient:
    return SystemClient(HTTP_SERVICE, Service("dev", "us-east-1"), catch_all=True)


@pytest.mark.parametrize("path", ["/", "/health", "/health/"])
def test_it_says_that_it_is_healthy_and_where(client: SystemClient, path: str) -> None:
    answer = client("GET", path)
    document = answer.json
    assert answer.status == 200
    assert MOMENT.fullmatch(document.pop("timestamp"))
    assert document == {"status": "healthy", "environment": "dev", "region": "us-east-1"}
    assert answer.headers["content-type"] == "application/json"


def test_it_says_what_it_is(client: SystemClient) -> None:
    answer = client("GET", "/info")
    document = answer.json
    assert answer.status == 200
    assert MOMENT.fullmatch(document.pop("timestamp"))
    assert re.fullmatch(r"\d+\.\d+\.\d+", document.pop("version"))
    assert document == {"service": "TAP Serverless API", "environment": "dev", "region": "us-east-1"}


@pytest.mark.parametrize("method", ["POST", "PUT"])
@pytest.mark.parametrize("path", ["/", "/health", "/info", "/orders", "/orders/7/lines", "/a//b", "/grüße/ß"])
@pytest.mark.parametrize("data", [{"a": {"b": [1, 2.5, None, True, "ü"]}}, [], "text", 0, {}])
def test_what_is_sent_anywhere_comes_back_as_data(client: SystemClient, method: str, path: str, data: object) -> None:
    answer = client(method, path, data if not isinstance(data, str) else json.dumps(data))
    assert answer.status == 200
    document = json.loads(answer.text)
    assert set(document) == {"message", "path", "data", "timestamp"}
    assert (document["path"], document["data"]) == (path, data)


def test_a_null_is_data_too(client: SystemClient) -> None:
    answer = client("POST", "/x", "null")
    assert answer.status == 200
    assert answer.json["data"] is None


def test_numbers_come_back_digit_for_digit(client: SystemClient) -> None:
    answer = client("POST", "/x", '{"n": 12345678901234567890.123456789}')
    assert '"n":12345678901234567890.123456789' in answer.text


@pytest.mark.parametrize("path", ["/", "/orders/7"])
def test_delete_answers_without_data(client: SystemClient, path: str) -> None:
    answer = client("DELETE", path)
    assert answer.status == 200
    assert set(answer.json) == {"message", "path", "timestamp"}
    assert answer.json["path"] == path


def test_the_three_messages_differ(client: SystemClient) -> None:
    messages = {client(method, "/x", {}).json["message"] for method in ("POST", "PUT", "DELETE")}
    assert len(messages) == 3, "a client can tell what was done"


@pytest.mark.parametrize(
    "body",
    [
        "",
        "{",
        "{'a': 1}",
        "NaN",
        '{"a": Infinity}',
        "{} {}",
        '{"a": 1, "a": 2}',
        '"\\ud800"',
        "[" * 40 + "]" * 40,
        "1e999",
    ],
)
@pytest.mark.parametrize("method", ["POST", "PUT"])
def test_what_is_no_json_is_400(client: SystemClient, method: str, body: str) -> None:
    assert_problem(client(method, "/x", body or None), 400, "invalid-body")


def test_a_body_in_another_media_type_is_415(client: SystemClient) -> None:
    assert_problem(client("POST", "/x", "<a/>", Content_Type="application/xml"), 415, "unsupported-media-type")
    assert_problem(client("PUT", "/x", "{}", Content_Encoding="gzip"), 415, "unsupported-encoding")


@pytest.mark.parametrize("path", ["/nothing", "/health/deep", "/INFO", "/info.json"])
def test_an_unknown_path_is_404_for_get(client: SystemClient, path: str) -> None:
    assert_problem(client("GET", path), 404, "route-not-found")


@pytest.mark.parametrize("path", ["/", "/health", "/x"])
@pytest.mark.parametrize("method", ["PATCH", "HEAD", "TRACE", "BREW"])
def test_another_method_is_405_and_the_answer_names_the_ones_there_are(
    client: SystemClient, method: str, path: str
) -> None:
    answer = client(method, path)
    assert_problem(answer, 405, "method-not-allowed")
    assert set(answer.headers["allow"].split(", ")) == {"GET", "POST", "PUT", "DELETE", "OPTIONS"}


@pytest.mark.parametrize("path", ["/", "/info", "/x/y"])
def test_options_tells_the_methods(client: SystemClient, path: str) -> None:
    answer = client("OPTIONS", path)
    assert (answer.status, answer.text) == (204, "")
    assert "POST" in answer.headers["allow"]
    assert answer.headers["access-control-allow-origin"] == "*"


def test_a_fault_in_the_service_is_a_500_that_tells_nothing(
    client: SystemClient, monkeypatch: pytest.MonkeyPatch
) -> None:
    def fail() -> str:
        raise RuntimeError("secret")

    monkeypatch.setattr("lib.handler.clock.now", fail)
    answer = client("GET", "/health")
    assert_problem(answer, 500, "internal-error")
    assert "secret" not in answer.text


@pytest.mark.parametrize("event", [None, {}, {"version": "2.0"}, {"version": "2.0", "rawPath": 7}, []])
def test_an_event_that_is_none_is_answered(client: SystemClient, event: object) -> None:
    assert 400 <= client.send(event).status < 500
