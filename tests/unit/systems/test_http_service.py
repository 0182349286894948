"""The HTTP API service: every value of its specification, in development and production."""

from __future__ import annotations

import json
from typing import Any

import pytest

from tests.unit.systems.kit import allowed, configured, document, named, system

ENVIRONMENTS = pytest.mark.parametrize("environment", ["dev", "prod", "staging"])


@ENVIRONMENTS
def test_one_default_route_on_one_stage_that_deploys_itself(environment: str) -> None:
    recording = system("http_service", environment)
    api, integration, route, stage = (recording.one(kind) for kind in ("Api", "Integration", "Route", "Stage"))
    assert api.inputs["protocolType"] == "HTTP"
    assert route.inputs["routeKey"] == "$default"
    assert route.inputs["target"] == f"integrations/${{Integration.{integration.name}.id}}"
    assert (stage.inputs["name"], stage.inputs["autoDeploy"]) == ("$default", True)
    assert route.urn in stage.depends_on, "a stage that deploys itself before there is a route fails"
    assert integration.inputs["integrationType"] == "AWS_PROXY"
    assert integration.inputs["payloadFormatVersion"] == "2.0"
    assert integration.inputs["integrationUri"] == "${Function.service.invokeArn}"


def test_the_gateway_lets_any_origin_in_without_credentials() -> None:
    assert system("http_service").one("Api").inputs["corsConfiguration"] == {
        "allowOrigins": ["*"],
        "allowMethods": ["*"],
        "allowHeaders": ["*"],
        "exposeHeaders": ["*"],
        "allowCredentials": False,
        "maxAge": 300,
    }


@ENVIRONMENTS
def test_the_function_has_512_mb_60_s_and_knows_where_it_is(environment: str) -> None:
    recording = system("http_service", environment)
    inputs = recording.one("Function").inputs
    assert (inputs["memorySize"], inputs["timeout"], inputs["runtime"]) == (512, 60, "python3.12")
    assert inputs["environment"] == {"variables": {"ENVIRONMENT": environment, "REGION": "us-east-1"}}
    assert recording.exports["environment_suffix"] == environment
    exported = [recording.exports[key] for key in ("region", "memory_size", "timeout", "runtime")]
    assert exported == ["us-east-1", 512, 60, "python3.12"]


def test_another_region_reaches_function_dashboard_and_exports() -> None:
    recording = system("http_service", "dev", "eu-west-1")
    assert recording.one("Function").inputs["environment"]["variables"]["REGION"] == "eu-west-1"
    assert recording.exports["region"] == "eu-west-1"
    assert '"region": "eu-west-1"' in recording.one("Dashboard").inputs["dashboardBody"]


@pytest.mark.parametrize(("environment", "days"), [("dev", 30), ("staging", 30), ("prod", 14), ("production", 14)])
def test_logs_stay_14_days_in_production_and_30_elsewhere(environment: str, days: int) -> None:
    recording = system("http_service", environment)
    group = named(recording, "LogGroup", "service-logs")
    assert group.inputs["retentionInDays"] == days
    assert recording.exports["cloudwatch_log_group"] == group.inputs["name"]


def test_the_environments_name_may_be_configured_too() -> None:
    recording = configured("http_service", environmentSuffix="prod")
    assert named(recording, "LogGroup", "service-logs").inputs["retentionInDays"] == 14
    assert named(recording, "MetricAlarm", "service-errors").inputs["threshold"] == 3


@pytest.mark.parametrize(
    ("environment", "errors", "slow"), [("dev", 5, 45_000), ("staging", 5, 45_000), ("prod", 3, 25_000)]
)
def test_alarms_look_at_two_periods_of_five_minutes(environment: str, errors: int, slow: int) -> None:
    recording = system("http_service", environment)
    expected: dict[str, tuple[str, str, int]] = {
        "Errors": ("Sum", "GreaterThanThreshold", errors),
        "Duration": ("Average", "GreaterThanThreshold", slow),
        "Throttles": ("Sum", "GreaterThanOrEqualToThreshold", 1),
    }
    alarms = {alarm.inputs["metricName"]: alarm.inputs for alarm in recording.of("MetricAlarm")}
    assert alarms.keys() == expected.keys()
    for metric, (statistic, comparison, threshold) in expected.items():
        inputs = alarms[metric]
        assert (inputs["statistic"], inputs["comparisonOperator"], inputs["threshold"]) == (
            statistic,
            comparison,
            threshold,
        )
        assert (inputs["period"], inputs["evaluationPeriods"]) == (300, 2)
        assert inputs["dimensions"] == {"FunctionName": recording.one("Function").inputs["name"]}
        assert inputs["treatMissingData"] == "notBreaching"
        assert inputs["alarmActions"], "an alarm that notifies nobody is a dot on a page"


def test_the_dashboard_shows_requests_and_beside_them_the_duration() -> None:
    recording = system("http_service")
    widgets: list[dict[str, Any]] = json.loads(recording.one("Dashboard").inputs["dashboardBody"])["widgets"]
    left, right = widgets
    assert (left["x"], left["y"], left["width"]) == (0, 0, 12)
    assert (right["x"], right["y"], right["width"]) == (12, 0, 12)
    name = recording.one("Function").inputs["name"]
    rows = [["AWS/Lambda", metric, "FunctionName", name] for metric in ("Invocations", "Errors", "Throttles")]
    assert left["properties"]["metrics"] == rows
    assert right["properties"]["metrics"] == [["AWS/Lambda", "Duration", "FunctionName", name]]


def test_the_role_may_write_metrics_of_its_own_namespace_and_nothing_else() -> None:
    recording = system("http_service")
    policy = recording.one("RolePolicy")
    assert allowed(recording, policy.inputs["role"]) == {("cloudwatch:PutMetricData",): ["*"]}
    (statement,) = document(policy)["Statement"]
    assert statement["Condition"] == {"StringEquals": {"cloudwatch:namespace": "tap-http-service-dev"}}
