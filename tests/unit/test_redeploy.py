"""API Gateway serves what a deployment froze: each change of the API makes a new one, and nothing else does."""

from __future__ import annotations

import dataclasses
import json
from typing import Any

import pytest

from lib.components import gateway_errors, rest_api
from lib.components.rest_api import RestApi, RestApiArgs
from lib.plan.recorder import Recording, walk
from lib.routes import ITEMS, Route
from tests import kit

BASE = RestApiArgs(
    name="api",
    routes=ITEMS,
    function_name="function",
    function_invoke_arn="arn:function",
    throttle_rate=17,
    throttle_burst=50,
    log_retention_days=14,
    tags={"a": "b"},
)


def recorded(**changes: Any) -> Recording:
    return kit.recorded(lambda: RestApi("api", dataclasses.replace(BASE, **changes)))


def trigger(**changes: Any) -> dict[str, str]:
    found: dict[str, str] = recorded(**changes).one("Deployment").inputs["triggers"]
    return found


@pytest.mark.parametrize(
    "change",
    [
        pytest.param({"routes": (*ITEMS, Route("GET", "/health", "health"))}, id="route added"),
        pytest.param({"routes": ITEMS[:-1]}, id="route removed"),
        pytest.param({"routes": (*ITEMS, Route("PATCH", "/items", "patch_items"))}, id="method added"),
        pytest.param(
            {"routes": tuple(route._replace(path=route.path.replace("{ItemId}", "{Id}")) for route in ITEMS)},
            id="path renamed",
        ),
        pytest.param({"function_invoke_arn": "arn:other"}, id="function"),
        pytest.param({"authorization": "AWS_IAM"}, id="signature"),
        pytest.param({"authorization": "API_KEY"}, id="key"),
        pytest.param({"authorization": "COGNITO", "cognito_user_pool_arn": "arn:pool"}, id="user pool"),
        pytest.param({"execute_api_endpoint": False}, id="endpoint"),
        pytest.param({"cors_origins": ("https://a.example",)}, id="origin"),
        pytest.param({"cors_origins": ("https://a.example",), "cors_credentials": True}, id="credentials"),
    ],
)
def test_a_change_of_the_api_is_deployed(change: dict[str, Any]) -> None:
    assert trigger(**change) != trigger(), "the change would be made and never served"


def test_another_user_pool_is_deployed() -> None:
    one, other = (trigger(authorization="COGNITO", cognito_user_pool_arn=f"arn:{name}") for name in "ab")
    assert one != other, "the old pool's users would still be let in"


def test_a_change_of_the_gateway_s_own_errors_is_deployed(monkeypatch: pytest.MonkeyPatch) -> None:
    before = trigger()
    monkeypatch.setitem(gateway_errors.GATEWAY_ERRORS, "THROTTLED", "unavailable")
    assert trigger() != before


@pytest.mark.parametrize(
    "change",
    [
        {},
        {"routes": ITEMS[::-1]},
        {"routes": tuple(route._replace(action="other") for route in ITEMS)},
        {"tags": {"a": "c"}},
        {"throttle_rate": 18, "throttle_burst": 51},
        {"log_retention_days": 30},
        {"tracing": True, "access_logs": True, "execution_logs": "INFO"},
        {"name": "other"},
    ],
    ids=["nothing", "order of routes", "handler's actions", "tags", "throttling", "retention", "logs", "name"],
)
def test_nothing_else_is_deployed(change: dict[str, Any]) -> None:
    assert trigger(**change) == trigger(), "a deployment without a change"


def test_every_input_of_what_a_deployment_freezes_is_in_its_trigger(monkeypatch: pytest.MonkeyPatch) -> None:
    """An input that somebody adds to a method, an integration or a gateway response has to be captured as well."""
    monkeypatch.setattr(rest_api, "_digest", lambda text: text)
    system = recorded()
    captured = json.loads(system.one("Deployment").inputs["triggers"]["captured"])
    paths = {resource.inputs["resourceId"]: "" for resource in system.of("Method")}
    for resource in system.of("Resource"):
        parent = paths.get(resource.inputs["parentId"], "")
        paths[f"${{Resource.{resource.name}.id}}"] = f"{parent}/{resource.inputs['pathPart']}"
    places = {"restApi", "restApiId", "resourceId"}
    for kind in ("Method", "Integration"):
        for resource in system.of(kind):
            frozen = captured[f"{resource.inputs['httpMethod']} {paths[resource.inputs['resourceId']]}"]
            given = {value for key, value in resource.inputs.items() if key not in places}
            known = {value for _, value in walk(frozen)} | {captured["function"]}
            assert given <= known, f"{kind} {resource.name}: {given - known} changes without a deployment"
    for resource in system.of("Response"):
        frozen = captured[resource.inputs["responseType"]]
        given = {value for path, value in walk(resource.inputs) if path not in places}
        known = {value for _, value in walk(frozen)}
        assert given <= known, f"Response {resource.name}: {given - known} changes without a deployment"
