"""The HTTP API CRUD: every value of its specification, in development and production."""

from __future__ import annotations

import pytest

from tests.unit.systems.kit import allowed, configured, named, system

ENVIRONMENTS = pytest.mark.parametrize("environment", ["dev", "prod"])
ROUTES = {
    "GET /items",
    "POST /items",
    "OPTIONS /items",
    "GET /items/{id}",
    "PUT /items/{id}",
    "DELETE /items/{id}",
    "OPTIONS /items/{id}",
}


@ENVIRONMENTS
def test_the_table_has_one_key_and_bills_by_request(environment: str) -> None:
    recording = system("http_crud", environment)
    inputs = recording.one("Table").inputs
    assert inputs["name"] == recording.exports["table_name"] == f"tap-items-{environment}"
    assert (inputs["hashKey"], inputs["attributes"]) == ("id", [{"name": "id", "type": "S"}])
    assert "rangeKey" not in inputs
    assert inputs["billingMode"] == "PAY_PER_REQUEST"


@ENVIRONMENTS
def test_the_function_and_its_log_group(environment: str) -> None:
    recording = system("http_crud", environment)
    inputs = recording.one("Function").inputs
    assert inputs["name"] == recording.exports["function_name"] == f"tap-api-handler-{environment}"
    assert (inputs["memorySize"], inputs["timeout"]) == (256, 30)
    group = named(recording, "LogGroup", "api-handler-logs")
    assert group.inputs["name"] == f"/aws/lambda/tap-api-handler-{environment}"
    assert group.inputs["retentionInDays"] == 14
    assert inputs["loggingConfig"] == {"logFormat": "JSON", "logGroup": group.inputs["name"]}
    assert inputs["environment"]["variables"]["DYNAMODB_TABLE_NAME"] == f"tap-items-{environment}"


@ENVIRONMENTS
def test_the_api_has_these_routes_and_one_for_what_is_none_of_them(environment: str) -> None:
    recording = system("http_crud", environment)
    assert recording.one("Api").inputs["name"] == f"tap-serverless-api-{environment}"
    assert {route.inputs["routeKey"] for route in recording.of("Route")} == ROUTES | {"$default"}
    target = {route.inputs["target"] for route in recording.of("Route")}
    assert target == {"integrations/${Integration.serverless-api.id}"}
    assert recording.one("Integration").inputs["payloadFormatVersion"] == "2.0"
    stage = recording.one("Stage").inputs
    assert (stage["name"], stage["autoDeploy"]) == ("$default", True)


def test_the_gateway_answers_preflights_for_a_day() -> None:
    cors = system("http_crud").one("Api").inputs["corsConfiguration"]
    assert cors["maxAge"] == 86_400
    assert cors["allowOrigins"] == ["*"]
    assert set(cors["allowMethods"]) == {"GET", "POST", "PUT", "DELETE", "OPTIONS"}
    assert cors["allowCredentials"] is False


def test_origins_may_be_listed_and_then_credentials_allowed() -> None:
    recording = configured("http_crud", corsOrigins='["https://a.example"]', corsCredentials="true")
    cors = recording.one("Api").inputs["corsConfiguration"]
    assert (cors["allowOrigins"], cors["allowCredentials"]) == (["https://a.example"], True)
    assert "*" not in cors["allowHeaders"] + cors["allowMethods"], "browsers take no * with credentials"


def test_the_role_reaches_this_table_alone() -> None:
    recording = system("http_crud")
    (actions,) = granted = allowed(recording, "tap-api-handler-dev")
    assert granted[actions] == ["${Table.items.arn}"]
    assert set(actions) == {f"dynamodb:{verb}" for verb in ("GetItem", "PutItem", "UpdateItem", "DeleteItem", "Scan")}


@ENVIRONMENTS
def test_everything_that_can_be_tagged_has_a_name(environment: str) -> None:
    names = {r.inputs["tags"]["Name"] for r in system("http_crud", environment).real if "tags" in r.inputs}
    assert names == {f"{name}-{environment}" for name in ("tap-items", "tap-api-handler", "tap-serverless-api")}
