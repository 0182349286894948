"""What the four systems have in common: names, tags, settings, a role each, a log group before its function."""

from __future__ import annotations

import re

import pytest

from lib.archive import ROOT, sources
from lib.plan.recorder import Recording
from lib.program import Program
from lib.settings import MAX_SUFFIX, SettingsError
from policy.check import check
from tests.unit.systems.kit import BASIC_EXECUTION, SYSTEMS, UNTAGGED, configured, system

EXPORTS = {
    "http_service": {
        "api_gateway_url",
        "lambda_function_name",
        "lambda_function_arn",
        "api_gateway_id",
        "cloudwatch_log_group",
        "environment_suffix",
        "lambda_role_arn",
        "region",
        "memory_size",
        "timeout",
        "runtime",
    },
    "http_crud": {"api_url", "table_name", "function_name"},
    "vpc_function": {
        "vpc_id",
        "dynamodb_table_name",
        "lambda_role_name",
        "lambda_function_name",
        "lambda_function_arn",
        "alarm_name",
        "api_gateway_id",
        "api_gateway_url",
    },
    "intake": {
        "api_url",
        "api_id",
        "bucket_name",
        "bucket_arn",
        "table_name",
        "table_arn",
        "function_name",
        "function_arn",
        "state_machine_name",
        "state_machine_arn",
    },
}
REGIONS = {"http_service": "us-east-1", "http_crud": "us-east-1", "vpc_function": "us-east-1", "intake": "us-west-2"}
# IAM, Lambda, S3 and the others refuse longer names: only what the suffix is a part of can grow.
LONGEST = {"Role": 64, "Function": 64, "Bucket": 63, "StateMachine": 80, "Table": 255, "Api": 128, "RestApi": 1024}


@pytest.fixture(params=SYSTEMS)
def name(request: pytest.FixtureRequest) -> str:
    return str(request.param)


@pytest.fixture(params=["dev", "prod"])
def environment(request: pytest.FixtureRequest) -> str:
    return str(request.param)


@pytest.fixture
def recording(name: str, environment: str) -> Recording:
    return system(name, environment)


def test_it_exports_exactly_what_the_specification_lists(name: str, recording: Recording) -> None:
    assert recording.exports.keys() == EXPORTS[name]
    assert all(value not in {"", None} for value in recording.exports.values())


def test_it_is_a_project_of_its_own_in_its_region(name: str) -> None:
    program = Program(ROOT / "systems" / name)
    assert program.project == f"tap-{name.replace('_', '-')}"
    assert program.config("dev")["aws:region"] == REGIONS[name]


def test_everything_that_can_be_tagged_says_its_environment(recording: Recording, environment: str) -> None:
    for resource in recording.real:
        assert ("tags" in resource.inputs) == (resource.kind not in UNTAGGED), resource.urn
        if "tags" in resource.inputs:
            tags = resource.inputs["tags"]
            assert tags["Environment"] == environment, resource.urn
            assert {"Project": "IaC-Nova-Test", "Owner": "LLM-Eval"}.items() <= tags.items(), resource.urn


def test_given_tags_win(name: str) -> None:
    recording = configured(name, tags='{"Owner": "us", "Environment": "shared", "Team": "x"}')
    for resource in recording.real:
        if "tags" in resource.inputs:
            given = {"Owner": "us", "Environment": "shared", "Team": "x", "Project": "IaC-Nova-Test"}
            assert given.items() <= resource.inputs["tags"].items(), resource.urn


def test_the_function_has_a_role_for_lambda_alone_with_basic_execution(recording: Recording) -> None:
    function = recording.one("Function")
    (role,) = [role for role in recording.of("Role") if role.urn in function.sources["role"]]
    assert '"Service": "lambda.amazonaws.com"' in role.inputs["assumeRolePolicy"]
    (attached,) = recording.of("RolePolicyAttachment")
    assert (attached.inputs["role"], attached.inputs["policyArn"]) == (role.inputs["name"], BASIC_EXECUTION)


def test_the_log_group_is_there_before_lambda_makes_its_own(recording: Recording) -> None:
    function = recording.one("Function")
    (group,) = [g for g in recording.of("LogGroup") if g.inputs["name"] == f"/aws/lambda/{function.inputs['name']}"]
    assert group.urn in function.depends_on


def test_only_this_api_may_call_the_function(recording: Recording) -> None:
    permission = recording.one("Permission")
    assert permission.inputs["principal"] == "apigateway.amazonaws.com"
    assert permission.inputs["function"] == recording.one("Function").inputs["name"]
    api = (recording.of("Api") or recording.of("RestApi"))[0]
    assert permission.inputs["sourceArn"].startswith(f"${{{api.kind}.{api.name}.executionArn}}/")


def test_a_stage_has_a_limit_for_every_route(recording: Recording) -> None:
    if recording.of("Api"):
        limits = recording.one("Stage").inputs["defaultRouteSettings"]
        assert limits == {"throttlingRateLimit": 100, "throttlingBurstLimit": 200}
    else:
        settings = recording.one("MethodSettings").inputs
        assert settings["methodPath"] == "*/*"
        limits = settings["settings"]
        assert (limits["throttlingRateLimit"], limits["throttlingBurstLimit"]) == (17, 50)


def test_the_code_is_the_entry_and_what_it_imports(name: str, recording: Recording) -> None:
    function = recording.one("Function")
    assert function.inputs["handler"] == f"lib.handler.{name}.handler"
    assert function.inputs["code"] == sources(f"lib.handler.{name}")
    assert f"lib/handler/{name}.py" in function.inputs["code"]
    assert not any(path.endswith("items_api.py") for path in function.inputs["code"]), "no other system's code"


def test_the_functions_source_uses_no_sdk(name: str) -> None:
    for path, text in sources(f"lib.handler.{name}").items():
        assert not re.search(r"(import|from)\s+boto", text), (
            f"{path}: its import alone costs more than all that the handler does"
        )


def test_a_name_fits_with_the_longest_suffix(name: str) -> None:
    recording = configured(name, environmentSuffix="x" * MAX_SUFFIX, accessLogs="true", executionLogs="ERROR")
    for resource in recording.real:
        given = resource.inputs.get("bucket" if resource.kind == "Bucket" else "name", "")
        if resource.kind in LONGEST:
            assert len(given) <= LONGEST[resource.kind], resource.urn


def test_two_environments_share_no_name(name: str) -> None:
    def names(environment: str) -> set[tuple[str, str]]:
        return {
            (resource.kind, resource.inputs[key])
            for resource in system(name, environment).real
            for key in ("name", "bucket", "dashboardName")
            if resource.kind != "Stage" and key in resource.inputs
        }

    assert not names("dev") & names("prod"), "a second environment must not touch the first"


def test_what_holds_data_is_protected_in_production(name: str) -> None:
    for kind in ("Table", "Bucket"):
        for environment in ("dev", "prod"):
            for resource in system(name, environment).of(kind):
                assert resource.protect == (environment == "prod"), resource.urn
                if kind == "Table":
                    assert resource.inputs["deletionProtectionEnabled"] == (environment == "prod")


def test_wrong_settings_are_named_before_any_resource_exists(name: str) -> None:
    with pytest.raises(SettingsError, match=r"(?s)lambdaMemory.*lambdaTimout"):
        configured(name, lambdaTimout="7", lambdaMemory="1")


@pytest.mark.parametrize(
    ("key", "value"),
    [
        ("authorization", "AWS_IAM"),
        ("waf", "true"),
        ("detailedMetrics", "true"),
        ("domainName", "a.example"),
        ("handler", "smoke"),
        ("gateway", "http"),
    ],
)
def test_a_setting_without_effect_is_refused(name: str, key: str, value: str) -> None:
    with pytest.raises(SettingsError, match=f"tap:{key} does nothing in tap-{name.replace('_', '-')}"):
        configured(name, **{key: value})


def test_every_role_has_the_permissions_boundary(name: str) -> None:
    boundary = "arn:aws:iam::123456789012:policy/boundary"
    recording = configured(name, "prod", permissionsBoundaryArn=boundary)
    assert {role.inputs.get("permissionsBoundary") for role in recording.of("Role")} == {boundary}


def test_the_policies_find_nothing_that_has_to_be_fixed(recording: Recording) -> None:
    report = check([recording])
    wrong = [f"{f.rule.id} {f.urn}: {f.message}" for f in report.findings if f.level == "mandatory" and not f.waived]
    assert not wrong
