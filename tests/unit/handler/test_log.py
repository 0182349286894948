"""One bounded JSON line per request, which is its metrics too, and nothing in it that a client could have put there."""

from __future__ import annotations

import json
from typing import Any

import pytest

from lib.handler.app import App
from lib.handler.table import TableError
from lib.routes import Route
from tests.unit.handler.client import REQUEST_ID, Client, Context, rest_event
from tests.unit.handler.test_contract import KEY, PATH

SECRET = "zq-secret-xj"


def lines(capsys: pytest.CaptureFixture[str]) -> list[dict[str, Any]]:
    """What was written since the last look, each line parsed."""
    out, err = capsys.readouterr()
    assert err == ""
    assert out == "" or out.endswith("\n")
    return [json.loads(line) for line in out.splitlines()]


def test_each_request_is_one_line(capsys: pytest.CaptureFixture[str]) -> None:
    client = Client()
    client.create(**KEY)
    client.post({"n": 1}, Idempotency_Key="k")
    client.get(PATH)
    client.get("/nowhere")
    client("PATCH", PATH)
    client.post("{")
    created, keyed, got, nowhere, patched, bad = lines(capsys)
    assert {
        name: created[name] for name in ("level", "requestId", "route", "status", "tableCalls", "cold", "fault")
    } == {
        "level": "INFO",
        "requestId": REQUEST_ID,
        "route": "POST /items",
        "status": 201,
        "tableCalls": 1,
        "cold": True,
        "fault": 0,
    }
    assert 0 < created["milliseconds"] < 60_000
    assert keyed["tableCalls"] == 3
    assert got["cold"] is False
    assert got["route"] == "GET /items/{ItemId}/{CreatedAt}", "the table's route, not the client's path"
    assert (nowhere["route"], nowhere["code"], nowhere["level"]) == ("-", "route-not-found", "WARNING")
    assert (patched["route"], patched["code"]) == ("* /items/{ItemId}/{CreatedAt}", "method-not-allowed")
    assert (bad["status"], bad["code"], bad["tableCalls"]) == (400, "invalid-body", 0)


def test_a_line_is_an_embedded_metric(capsys: pytest.CaptureFixture[str]) -> None:
    # https://docs.aws.amazon.com/AmazonCloudWatch/latest/monitoring/CloudWatch_Embedded_Metric_Format_Specification.html
    client = Client()
    client.create()
    (line,) = lines(capsys)
    assert type(line["_aws"]["Timestamp"]) is int
    assert line["_aws"]["Timestamp"] > 1_700_000_000_000, "milliseconds"
    (directive,) = line["_aws"]["CloudWatchMetrics"]
    assert directive["Namespace"] == "tap"
    for dimensions in directive["Dimensions"]:
        assert all(isinstance(line[name], str) and line[name] for name in dimensions)
    assert {metric["Name"]: metric["Unit"] for metric in directive["Metrics"]} == {
        "milliseconds": "Milliseconds",
        "tableCalls": "Count",
        "fault": "Count",
    }
    assert all(type(line[metric["Name"]]) in {int, float} for metric in directive["Metrics"])
    assert line["FunctionName"] == "dev-items-lambda"


def test_a_handled_5xx_is_a_metric_and_an_error_with_its_cause(capsys: pytest.CaptureFixture[str]) -> None:
    client = Client()

    def fail(_: str) -> None:
        raise TableError("throttled", "ThrottlingException\n" + "x" * 1000)

    client.table.before = fail
    assert client.get(PATH).status == 503
    (line,) = lines(capsys)
    assert (line["level"], line["fault"], line["code"]) == ("ERROR", 1, "unavailable")
    assert line["cause"].startswith("throttled: ThrottlingException")
    assert len(line["cause"]) <= 200


def test_an_error_of_ours_is_a_500_with_its_place_and_without_its_words(capsys: pytest.CaptureFixture[str]) -> None:
    class Broken:
        def act(self, _: object) -> None:
            raise KeyError(SECRET)

    app = App((Route("GET", "/items", "act"),), Broken(), {})
    response = app.handler(rest_event("GET", "/items"), Context())
    assert response["statusCode"] == 500
    assert SECRET not in str(response)
    out = capsys.readouterr().out
    assert SECRET not in out
    line = json.loads(out)
    assert (line["error"], line["code"], line["fault"]) == ("KeyError", "internal-error", 1)
    assert line["at"][-1].startswith("test_log.py:")
    assert json.loads(str(response["body"]))["code"] == "internal-error"


def test_the_places_of_an_endless_recursion_are_a_few(capsys: pytest.CaptureFixture[str]) -> None:
    class Endless:
        def act(self, request: object) -> None:
            self.act(request)

    App((Route("GET", "/items", "act"),), Endless(), {}).handler(rest_event("GET", "/items"), None)
    (line,) = lines(capsys)
    assert (line["error"], len(line["at"])) == ("RecursionError", 8)


@pytest.mark.parametrize("level", ["DEBUG", "INFO"])
def test_nothing_a_client_sends_gets_into_a_line(capsys: pytest.CaptureFixture[str], level: str) -> None:
    client = Client(environment={"LOG_LEVEL": level})
    client.post({"ItemId": SECRET, SECRET: SECRET}, Idempotency_Key=SECRET, Authorization=SECRET, Origin=SECRET)
    client.post({"ItemId": SECRET + "\n", "tap:" + SECRET: 1})
    client.post(f'{{"{SECRET}": {SECRET}')
    client.post({}, Content_Type=SECRET)
    client.get(f"/items/{SECRET}", If_Match=SECRET)
    client.get(f"/items/{SECRET}/{SECRET}")
    client.get(f"/{SECRET}")
    client.page(cursor=SECRET, limit=SECRET)
    client(SECRET, "/items")
    out = capsys.readouterr().out
    assert out.count("\n") == 9
    assert SECRET not in out


@pytest.mark.parametrize("forged", ['"}\n{"level":"ERROR"', "\r\n{}", "\u2028", "x" * 100_000, "\x1b[2J", 5, None, {}])
def test_no_request_id_forges_or_floods_a_line(capsys: pytest.CaptureFixture[str], forged: object) -> None:
    client = Client()
    event = rest_event("GET", "/nowhere\n" + "x" * 10_000)
    event["requestContext"]["requestId"] = forged
    event["httpMethod"] = "GET\n"
    answer = client.send(event)
    (line,) = lines(capsys)
    assert line["requestId"] == Context.aws_request_id, "an id that is none gives way to Lambda's"
    assert answer.json["requestId"] == Context.aws_request_id
    assert len(json.dumps(line)) < 1000


@pytest.mark.parametrize(
    ("level", "statuses"),
    [
        ("DEBUG", [201, 404, 503]),
        ("INFO", [201, 404, 503]),
        ("info ", [201, 404, 503]),
        ("WARNING", [404, 503]),
        ("ERROR", [503]),
        ("CRITICAL", [503]),
        ("", [201, 404, 503]),
        ("LOUD", [201, 404, 503]),
        ("0", [201, 404, 503]),
    ],
)
def test_the_level_says_which_lines_and_nonsense_means_info(
    capsys: pytest.CaptureFixture[str], level: str, statuses: list[int]
) -> None:
    client = Client(environment={"LOG_LEVEL": level})
    client.create()
    client.get(PATH)

    def fail(_: str) -> None:
        raise TableError("unavailable", "")

    client.table.before = fail
    client.get(PATH)
    assert [line["status"] for line in lines(capsys)] == statuses
