"""The HTTP API service by real requests."""

from __future__ import annotations

import re
from collections.abc import Iterator

import pytest

from tests.local.deployed import Deployed
from tests.local.systems import assert_problem, deployed_system

pytestmark = pytest.mark.local

MOMENT = re.compile(r"\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d\.\d{6}Z")


@pytest.fixture(scope="module")
def service() -> Iterator[Deployed]:
    with deployed_system("http_service") as deployed:
        yield deployed


@pytest.mark.parametrize("path", ["", "/", "/health"])
def test_it_is_healthy(service: Deployed, path: str) -> None:
    answer = service.send("GET", path)
    assert answer.status == 200
    document = answer.json
    assert MOMENT.fullmatch(document.pop("timestamp"))
    assert document == {"status": "healthy", "environment": "dev", "region": "us-east-1"}


def test_it_says_what_it_is(service: Deployed) -> None:
    document = service.send("GET", "/info").json
    assert set(document) == {"service", "version", "environment", "region", "timestamp"}
    assert document["service"] == "TAP Serverless API"


@pytest.mark.parametrize("method", ["POST", "PUT"])
@pytest.mark.parametrize("path", ["/", "/info", "/orders/7", "/a%2Fb", "/%C3%BC"])
def test_what_is_sent_anywhere_comes_back(service: Deployed, method: str, path: str) -> None:
    answer = service.send(method, path, {"n": 1, "text": "ü"})
    assert answer.status == 200
    assert set(answer.json) == {"message", "path", "data", "timestamp"}
    assert answer.json["data"] == {"n": 1, "text": "ü"}


def test_delete_answers_without_data(service: Deployed) -> None:
    answer = service.send("DELETE", "/orders/7")
    assert answer.status == 200
    assert set(answer.json) == {"message", "path", "timestamp"}
    assert answer.json["path"] == "/orders/7"


@pytest.mark.parametrize("body", [b"", b"{", b"NaN", b"\xff", b"{} {}"])
def test_what_is_no_json_is_400(service: Deployed, body: bytes) -> None:
    assert_problem(service.send("POST", "/x", body), 400, "invalid-body")


def test_an_unknown_path_is_404_and_another_method_405(service: Deployed) -> None:
    assert_problem(service.send("GET", "/nothing"), 404, "route-not-found")
    for path in ("/", "/nothing"):
        answer = service.send("PATCH", path, {})
        assert_problem(answer, 405, "method-not-allowed")
        assert "POST" in answer.headers["allow"]


def test_a_preflight_is_answered_by_the_gateway(service: Deployed) -> None:
    asked = {"Origin": "https://a.example", "Access-Control-Request-Method": "PUT"}
    answer = service.send("OPTIONS", "/anything", headers=asked)
    assert answer.status == 204
    assert answer.headers["access-control-allow-origin"] == "*"
    assert answer.headers["access-control-allow-methods"] == "*"
    assert answer.headers["access-control-allow-headers"] == "*"
    assert answer.headers["access-control-max-age"] == "300"
    assert "access-control-allow-credentials" not in answer.headers


def test_answers_and_errors_carry_the_gateways_cors_headers(service: Deployed) -> None:
    for path in ("/health", "/nothing"):
        answer = service.send("GET", path, headers={"Origin": "https://a.example"})
        assert answer.headers["access-control-allow-origin"] == "*"
        assert answer.headers["access-control-expose-headers"] == "*"


def test_what_is_exported_is_what_is_there(service: Deployed) -> None:
    outputs = service.outputs
    function = service.client("lambda").get_function_configuration(FunctionName=outputs["lambda_function_name"])
    assert function["FunctionArn"].startswith(outputs["lambda_function_arn"])
    assert function["Role"] == outputs["lambda_role_arn"]
    assert (function["MemorySize"], function["Timeout"], function["Runtime"]) == (512, 60, "python3.12")
    (group,) = service.client("logs").describe_log_groups(logGroupNamePrefix=outputs["cloudwatch_log_group"])[
        "logGroups"
    ]
    assert group["retentionInDays"] == 30
    api = service.client("apigatewayv2").get_api(ApiId=outputs["api_gateway_id"])
    assert api["CorsConfiguration"]["MaxAge"] == 300


def test_alarms_and_dashboard_are_there(service: Deployed) -> None:
    cloudwatch = service.client("cloudwatch")
    name = service.outputs["lambda_function_name"]
    alarms = {alarm["MetricName"]: alarm for alarm in cloudwatch.describe_alarms(AlarmNamePrefix=name)["MetricAlarms"]}
    assert {metric: alarm["Threshold"] for metric, alarm in alarms.items()} == {
        "Errors": 5,
        "Duration": 45_000,
        "Throttles": 1,
    }
    assert name in cloudwatch.get_dashboard(DashboardName=name)["DashboardBody"]
