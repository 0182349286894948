"""Every value of the specification's sections 1.1 to 1.5, as the four programs and as TapStack register it."""

from __future__ import annotations

import inspect
import json
from typing import Any

import pytest

from lib.components.gateway_errors import GATEWAY_ERRORS
from lib.plan.recorder import Recording, record_projects, resource_class, walk
from lib.routes import ITEMS, methods_by_path
from tests import kit

TAGS = {"Project": "IaC-Nova-Test", "Owner": "LLM-Eval"}
TABLE_ARN = "${Table.items-table.arn}"
METHODS = {
    ("GET", "items"),
    ("POST", "items"),
    ("OPTIONS", "items"),
    ("GET", "items-ItemId"),
    ("PUT", "items-ItemId"),
    ("DELETE", "items-ItemId"),
    ("OPTIONS", "items-ItemId"),
    ("GET", "items-ItemId-CreatedAt"),
    ("PUT", "items-ItemId-CreatedAt"),
    ("DELETE", "items-ItemId-CreatedAt"),
    ("OPTIONS", "items-ItemId-CreatedAt"),
}
RESOURCES = {
    ("Table", "items-table"),
    ("Role", "items-lambda-role"),
    ("RolePolicyAttachment", "items-lambda-basic-execution"),
    ("RolePolicy", "items-lambda-table"),
    ("LogGroup", "items-lambda-logs"),
    ("Function", "items-lambda"),
    ("RestApi", "items-api"),
    ("Resource", "items-api-items"),
    ("Resource", "items-api-items-ItemId"),
    ("Resource", "items-api-items-ItemId-CreatedAt"),
    *(("Method", f"items-api-{verb}-{path}") for verb, path in METHODS),
    *(("Integration", f"items-api-{verb}-{path}") for verb, path in METHODS),
    *(("Response", f"items-api-{kind}") for kind in GATEWAY_ERRORS),
    ("Deployment", "items-api"),
    ("Stage", "items-api"),
    ("MethodSettings", "items-api"),
    ("Permission", "items-api"),
    ("Topic", "items-alarms"),
    ("TopicPolicy", "items-alarms"),
    ("MetricAlarm", "items-alarms-duration"),
    ("MetricAlarm", "items-alarms-errors"),
    ("MetricAlarm", "items-alarms-throttles"),
}
EXPORTS = {
    "dynamodb_table_name": "spec-items-table",
    "dynamodb_table_arn": TABLE_ARN,
    "lambda_function_name": "spec-items-lambda",
    "lambda_function_arn": "${Function.items-lambda.arn}",
    "lambda_invoke_arn": "${Function.items-lambda.invokeArn}",
    "lambda_role_arn": "${Role.items-lambda-role.arn}",
    "lambda_log_group_name": "/aws/lambda/spec-items-lambda",
    "api_rest_id": "${RestApi.items-api.id}",
    "api_stage": "prod",
    "api_url": "${Stage.items-api.invokeUrl}",
    "alarm_topic_arn": "${Topic.items-alarms.arn}",
}


@pytest.fixture(params=kit.SHAPES)
def system(request: pytest.FixtureRequest) -> Recording:
    """The same facts have to hold for the four programs and for TapStack."""
    return kit.deployed(request.param)


def inputs(recording: Recording, kind: str, *without: str) -> dict[str, Any]:
    """All inputs of the only resource of a kind, so that an unexpected one fails as well."""
    return {key: value for key, value in recording.one(kind).inputs.items() if key not in without}


def test_the_set_of_resources_is_exact(system: Recording) -> None:
    assert kit.identities(system.real) == RESOURCES
    assert len(system.real) == len(RESOURCES)


def test_the_set_of_exports_is_exact(system: Recording) -> None:
    assert system.exports == EXPORTS


def test_each_stack_exports_its_own_part() -> None:
    assert [recording.exports.keys() for recording in record_projects(kit.STACK_DIRECTORIES, "spec")] == [
        {"dynamodb_table_name", "dynamodb_table_arn"},
        {
            "lambda_function_name",
            "lambda_function_arn",
            "lambda_invoke_arn",
            "lambda_role_arn",
            "lambda_log_group_name",
        },
        {"api_rest_id", "api_stage", "api_url"},
        {"alarm_topic_arn"},
    ]


def test_tapstack_and_the_four_programs_register_the_same() -> None:
    lines = kit.differences(kit.deployed("stacks"), kit.deployed("tap"))
    assert not lines, "the two ways to deploy have grown apart:\n" + "\n".join(lines)


@pytest.mark.parametrize("stack", ["dev", "prod"])
def test_tapstack_and_the_four_programs_register_the_same_as_configured(stack: str) -> None:
    lines = kit.differences(kit.deployed("stacks", stack), kit.deployed("tap", stack))
    assert not lines, "the two ways to deploy have grown apart:\n" + "\n".join(lines)
    assert kit.deployed("stacks", stack).exports == kit.deployed("tap", stack).exports


def test_a_child_stays_in_its_component() -> None:
    """Also when the caller gives options of its own: merging them would let the caller's parent win."""
    system = kit.deployed("tap")
    types = {resource.urn: resource.type for resource in system.resources}
    parents = {resource.kind: types.get(resource.parent, "") for resource in system.real}
    assert all(parent.startswith("tap:") and parent != "tap:tap_stack:TapStack" for parent in parents.values()), parents
    components = [resource for resource in system.resources if not resource.custom]
    assert {resource.type: types.get(resource.parent) for resource in components} == {
        "tap:tap_stack:TapStack": None,
        "tap:table:Table": "tap:tap_stack:TapStack",
        "tap:function:Function": "tap:tap_stack:TapStack",
        "tap:rest_api:RestApi": "tap:tap_stack:TapStack",
        "tap:monitoring:Monitoring": "tap:tap_stack:TapStack",
    }


# 1.1 Data


def test_the_table(system: Recording) -> None:
    assert inputs(system, "Table") == {
        "name": "spec-items-table",
        "hashKey": "ItemId",
        "rangeKey": "CreatedAt",
        "attributes": [{"name": "ItemId", "type": "S"}, {"name": "CreatedAt", "type": "S"}],
        "billingMode": "PAY_PER_REQUEST",
        "pointInTimeRecovery": {"enabled": True},
        "serverSideEncryption": {"enabled": True},
        "deletionProtectionEnabled": False,
        # The handler's idempotency records expire; an item has no such attribute, since its names are the client's.
        "ttl": {"attributeName": "tap:expires", "enabled": True},
        "tags": TAGS,
    }


# 1.2 Compute


def test_the_role_trusts_lambda_alone(system: Recording) -> None:
    role = inputs(system, "Role", "assumeRolePolicy")
    assert role == {"name": "spec-items-lambda-role", "tags": TAGS}, "inline role arguments are deprecated"
    assert kit.policy(system.one("Role").inputs["assumeRolePolicy"]) == [
        {"Effect": "Allow", "Principal": {"Service": "lambda.amazonaws.com"}, "Action": "sts:AssumeRole"}
    ]


def test_basic_execution_is_attached(system: Recording) -> None:
    assert inputs(system, "RolePolicyAttachment") == {
        "role": "spec-items-lambda-role",
        "policyArn": "arn:aws:iam::aws:policy/service-role/AWSLambdaBasicExecutionRole",
    }


def test_the_function_may_do_six_things_with_this_table_alone(system: Recording) -> None:
    policy = inputs(system, "RolePolicy")
    assert policy["role"] == "spec-items-lambda-role"
    assert kit.policy(policy["policy"]) == [
        {
            "Effect": "Allow",
            "Action": [
                "dynamodb:GetItem",
                "dynamodb:PutItem",
                "dynamodb:UpdateItem",
                "dynamodb:DeleteItem",
                "dynamodb:Query",
                "dynamodb:Scan",
            ],
            "Resource": [TABLE_ARN],
        }
    ], "any other action or resource is a right that the handler does not need"


def test_the_function(system: Recording) -> None:
    assert inputs(system, "Function", "code", "environment") == {
        "name": "spec-items-lambda",
        "role": "${Role.items-lambda-role.arn}",
        "runtime": "python3.9",
        "timeout": 5,
        "memorySize": 128,
        "handler": "lib.handler.items.handler",
        "publish": True,
        "tags": TAGS,
    }, "no layer, no provisioned concurrency, nothing that the specification does not name"


def test_the_function_s_environment(system: Recording) -> None:
    assert inputs(system, "Function")["environment"] == {
        "variables": {
            "DYNAMODB_TABLE_NAME": "spec-items-table",
            "ENVIRONMENT": "spec",
            "LOG_LEVEL": "INFO",
            "CORS_ORIGINS": "*",
        }
    }


def test_the_function_s_code_is_embedded(system: Recording) -> None:
    code = inputs(system, "Function")["code"]
    assert {"lib/__init__.py", "lib/routes.py", "lib/handler/__init__.py", "lib/handler/items.py"} <= code.keys()
    assert code["lib/routes.py"] == (kit.ROOT / "lib" / "routes.py").read_text(encoding="utf-8")


def test_the_log_group_keeps_14_days(system: Recording) -> None:
    assert inputs(system, "LogGroup") == {
        "name": "/aws/lambda/spec-items-lambda",
        "retentionInDays": 14,
        "tags": TAGS,
    }


def test_the_log_group_and_the_rights_are_there_before_the_function(system: Recording) -> None:
    before = kit.dependencies(system, system.one("Function"))
    assert ("LogGroup", "items-lambda-logs") in before, "Lambda would make its own group, kept for ever"
    assert {("RolePolicy", "items-lambda-table"), ("RolePolicyAttachment", "items-lambda-basic-execution")} <= before


def test_nothing_scales_by_itself(system: Recording) -> None:
    kinds = {resource.type for resource in system.real}
    assert not [kind for kind in kinds if "appautoscaling" in kind or "rovisionedConcurrency" in kind]


# 1.3 API


def test_the_api_is_regional(system: Recording) -> None:
    assert inputs(system, "RestApi") == {
        "name": "spec-items-api",
        "endpointConfiguration": {"types": "REGIONAL"},
        "disableExecuteApiEndpoint": False,
        "tags": TAGS,
    }


def test_the_paths(system: Recording) -> None:
    root, items, item = (
        "${RestApi.items-api.rootResourceId}",
        "${Resource.items-api-items.id}",
        "${Resource.items-api-items-ItemId.id}",
    )
    paths = {(resource.inputs["parentId"], resource.inputs["pathPart"]) for resource in system.of("Resource")}
    assert paths == {(root, "items"), (items, "{ItemId}"), (item, "{CreatedAt}")}
    assert {resource.inputs["restApi"] for resource in system.of("Resource")} == {"${RestApi.items-api.id}"}


def test_the_route_table_is_the_specification_s() -> None:
    assert methods_by_path(ITEMS) == {
        "/items": ("GET", "POST", "OPTIONS"),
        "/items/{ItemId}": ("GET", "PUT", "DELETE", "OPTIONS"),
        "/items/{ItemId}/{CreatedAt}": ("GET", "PUT", "DELETE", "OPTIONS"),
    }


@pytest.mark.parametrize(("verb", "path"), sorted(METHODS))
def test_a_method_and_its_integration(system: Recording, verb: str, path: str) -> None:
    name = f"items-api-{verb}-{path}"
    method, integration = (
        next(resource for resource in system.of(kind) if resource.name == name) for kind in ("Method", "Integration")
    )
    place = {
        "restApi": "${RestApi.items-api.id}",
        "resourceId": f"${{Resource.items-api-{path}.id}}",
        "httpMethod": verb,
    }
    assert method.inputs == {**place, "authorization": "NONE"}
    assert integration.inputs == {
        **place,
        "type": "AWS_PROXY",
        "integrationHttpMethod": "POST",
        "uri": "${Function.items-lambda.invokeArn}",
    }, "Lambda takes POST alone, whatever the client sent"
    assert ("Method", name) in kit.dependencies(system, integration)


def test_this_api_s_stage_and_only_it_may_invoke(system: Recording) -> None:
    assert inputs(system, "Permission") == {
        "action": "lambda:InvokeFunction",
        "function": "spec-items-lambda",
        "principal": "apigateway.amazonaws.com",
        "sourceArn": "${RestApi.items-api.executionArn}/prod/*",
    }


def test_the_stage(system: Recording) -> None:
    assert inputs(system, "Stage") == {
        "restApi": "${RestApi.items-api.id}",
        "deployment": "${Deployment.items-api.id}",
        "stageName": "prod",
        "xrayTracingEnabled": False,
        "tags": TAGS,
    }


def test_the_whole_stage_is_throttled(system: Recording) -> None:
    assert inputs(system, "MethodSettings") == {
        "restApi": "${RestApi.items-api.id}",
        "stageName": "prod",
        "methodPath": "*/*",
        "settings": {
            "throttlingRateLimit": 17,
            "throttlingBurstLimit": 50,
            "loggingLevel": "OFF",
            "dataTraceEnabled": False,
            "metricsEnabled": False,
        },
    }


def test_a_deployment_waits_for_all_that_it_captures(system: Recording) -> None:
    captured = {identity for identity in RESOURCES if identity[0] in {"Method", "Integration", "Response"}}
    assert captured <= kit.dependencies(system, system.one("Deployment"))
    assert inputs(system, "Deployment").keys() == {"restApi", "triggers"}


@pytest.mark.parametrize("kind", sorted(GATEWAY_ERRORS))
def test_the_gateway_s_own_errors_are_problem_documents(system: Recording, kind: str) -> None:
    response = next(resource for resource in system.of("Response") if resource.name == f"items-api-{kind}")
    assert response.inputs["restApiId"] == "${RestApi.items-api.id}"
    assert response.inputs["responseType"] == kind
    (media_type, template), *others = response.inputs["responseTemplates"].items()
    assert not others
    assert media_type == "application/json"
    problem = json.loads(template)
    assert problem.keys() == {"type", "title", "status", "detail", "instance", "code", "requestId"}
    assert str(problem["status"]) == response.inputs["statusCode"]
    assert problem["requestId"] == "$context.requestId"
    assert "$context.path" not in template, "what a client chose must not come back"
    headers = response.inputs["responseParameters"]
    assert all(name.startswith("gatewayresponse.header.") for name in headers)
    headers = {name.removeprefix("gatewayresponse.header."): value for name, value in headers.items()}
    assert headers["Content-Type"] == "'application/problem+json'"
    assert headers["Access-Control-Allow-Origin"] == "'*'"
    assert headers["Access-Control-Expose-Headers"] == "'ETag, Location, Retry-After'"
    assert headers["Cache-Control"] == "'no-store'"
    assert headers["X-Content-Type-Options"] == "'nosniff'"
    assert ("Retry-After" in headers) == (problem["status"] in {429, 503})


@pytest.mark.parametrize(
    ("kind", "status"),
    {
        "MISSING_AUTHENTICATION_TOKEN": 404,
        "RESOURCE_NOT_FOUND": 404,
        "THROTTLED": 429,
        "QUOTA_EXCEEDED": 429,
        "REQUEST_TOO_LARGE": 413,
        "UNSUPPORTED_MEDIA_TYPE": 415,
        "UNAUTHORIZED": 401,
        "ACCESS_DENIED": 403,
        "INTEGRATION_TIMEOUT": 503,
        "INTEGRATION_FAILURE": 503,
        "DEFAULT_4XX": 400,
        "DEFAULT_5XX": 500,
    }.items(),
)
def test_a_gateway_error_s_status(system: Recording, kind: str, status: int) -> None:
    response = next(resource for resource in system.of("Response") if resource.name == f"items-api-{kind}")
    assert response.inputs["statusCode"] == str(status)


# 1.4 Monitoring


@pytest.mark.parametrize(
    ("metric", "statistic", "operator", "threshold"),
    [
        ("Duration", "Average", "GreaterThanThreshold", 4000),
        ("Errors", "Sum", "GreaterThanOrEqualToThreshold", 1),
        ("Throttles", "Sum", "GreaterThanOrEqualToThreshold", 1),
    ],
)
def test_an_alarm(system: Recording, metric: str, statistic: str, operator: str, threshold: int) -> None:
    alarm = next(found for found in system.of("MetricAlarm") if found.inputs["metricName"] == metric)
    assert {key: value for key, value in alarm.inputs.items() if key != "alarmDescription"} == {
        "name": f"spec-items-lambda-{metric.lower()}",
        "namespace": "AWS/Lambda",
        "metricName": metric,
        "dimensions": {"FunctionName": "spec-items-lambda"},
        "statistic": statistic,
        "comparisonOperator": operator,
        "threshold": threshold,
        "period": 60,
        "evaluationPeriods": 1,
        "treatMissingData": "notBreaching",
        "alarmActions": ["${Topic.items-alarms.arn}"],
        "tags": TAGS,
    }


def test_the_topic_has_no_key_that_cloudwatch_cannot_use(system: Recording) -> None:
    assert inputs(system, "Topic") == {"name": "spec-items-alarms", "tags": TAGS}


def test_cloudwatch_of_this_account_may_publish_and_nobody_without_tls(system: Recording) -> None:
    policy = inputs(system, "TopicPolicy")
    assert policy["arn"] == "${Topic.items-alarms.arn}"
    assert [{key: value for key, value in one.items() if key != "Sid"} for one in kit.policy(policy["policy"])] == [
        {
            "Effect": "Allow",
            "Principal": {"Service": "cloudwatch.amazonaws.com"},
            "Action": "sns:Publish",
            "Resource": "${Topic.items-alarms.arn}",
            "Condition": {"StringEquals": {"aws:SourceAccount": "${Topic.items-alarms.owner}"}},
        },
        {
            "Effect": "Deny",
            "Principal": "*",
            "Action": "sns:Publish",
            "Resource": "${Topic.items-alarms.arn}",
            "Condition": {"Bool": {"aws:SecureTransport": "false"}},
        },
    ]


@pytest.mark.parametrize("shape", kit.SHAPES)
def test_addresses_are_subscribed_when_they_are_configured(shape: str) -> None:
    system = kit.deployed(shape, alarmEmails='["a@example.com", "b@example.com"]')
    assert [subscription.inputs for subscription in system.of("TopicSubscription")] == [
        {"topic": "${Topic.items-alarms.arn}", "protocol": "email", "endpoint": address}
        for address in ("a@example.com", "b@example.com")
    ]


# 1.5 Tags and settings


def _takes_tags(token: str) -> bool:
    # By reflection: a new resource that can carry tags and does not is found without being listed here.
    cls = resource_class(token)
    assert cls, f"{token} is not of pulumi-aws: say here whether it takes tags"
    return "tags" in inspect.signature(cls._internal_init).parameters  # type: ignore[attr-defined]


def test_everything_that_can_carry_tags_carries_them(system: Recording) -> None:
    tagged = [resource for resource in system.real if _takes_tags(resource.type)]
    assert {resource.kind for resource in tagged} == {
        "Table",
        "Role",
        "LogGroup",
        "Function",
        "RestApi",
        "Stage",
        "Topic",
        "MetricAlarm",
    }
    for resource in tagged:
        assert resource.inputs.get("tags") == TAGS, f"{resource.kind} {resource.name} is not tagged"


@pytest.mark.parametrize("shape", kit.SHAPES)
@pytest.mark.parametrize("stack", ["spec", "prod"])
def test_given_tags_are_merged_over_the_defaults(shape: str, stack: str) -> None:
    given = kit.deployed(shape, stack, tags='{"Owner": "me", "Team": "data"}')
    tags = {"Project": "IaC-Nova-Test", "Owner": "me", "Team": "data"}
    for resource in given.real:
        if _takes_tags(resource.type):
            assert resource.inputs.get("tags") == tags, f"{resource.kind} {resource.name}"


# Each setting that shows in a resource, all given at once: (setting, value, kind, input, what it becomes).
GIVEN: list[tuple[str, str, str, str, Any]] = [
    ("lambdaRuntime", "python3.13", "Function", "runtime", "python3.13"),
    ("lambdaTimeout", "29", "Function", "timeout", 29),
    ("lambdaMemory", "512", "Function", "memorySize", 512),
    ("lambdaReservedConcurrency", "10", "Function", "reservedConcurrentExecutions", 10),
    ("handler", "smoke", "Function", "handler", "lib.handler.smoke.handler"),
    ("logLevel", "ERROR", "Function", "environment.variables.LOG_LEVEL", "ERROR"),
    ("requireIfMatch", "true", "Function", "environment.variables.REQUIRE_IF_MATCH", "true"),
    ("environmentSuffix", "blue", "Function", "environment.variables.ENVIRONMENT", "blue"),
    ("environmentSuffix", "blue", "Function", "environment.variables.DYNAMODB_TABLE_NAME", "blue-items-table"),
    (
        "corsOrigins",
        '["https://a.example", "https://b.example"]',
        "Function",
        "environment.variables.CORS_ORIGINS",
        "https://a.example,https://b.example",
    ),
    ("environmentSuffix", "blue", "Function", "name", "blue-items-lambda"),
    ("environmentSuffix", "blue", "Role", "name", "blue-items-lambda-role"),
    ("environmentSuffix", "blue", "LogGroup", "name", "/aws/lambda/blue-items-lambda"),
    ("logRetentionDays", "30", "LogGroup", "retentionInDays", 30),
    ("environmentSuffix", "blue", "Table", "name", "blue-items-table"),
    ("deletionProtection", "true", "Table", "deletionProtectionEnabled", True),
    ("environmentSuffix", "blue", "RestApi", "name", "blue-items-api"),
    ("throttleRate", "50", "MethodSettings", "settings.throttlingRateLimit", 50),
    ("throttleBurst", "60", "MethodSettings", "settings.throttlingBurstLimit", 60),
    ("detailedMetrics", "true", "MethodSettings", "settings.metricsEnabled", True),
    ("environmentSuffix", "blue", "Topic", "name", "blue-items-alarms"),
    ("tracing", "true", "Function", "tracingConfig.mode", "Active"),
    ("tracing", "true", "Stage", "xrayTracingEnabled", True),
    ("alarmDurationMs", "2500", "MetricAlarm items-alarms-duration", "threshold", 2500),
    ("environmentSuffix", "blue", "MetricAlarm items-alarms-errors", "name", "blue-items-lambda-errors"),
]


@pytest.mark.parametrize("shape", kit.SHAPES)
@pytest.mark.parametrize("given", GIVEN)
def test_a_setting_reaches_its_resource(shape: str, given: tuple[str, str, str, str, Any]) -> None:
    setting, value, resource, path, expected = given
    system = kit.deployed(shape, **{name: text for name, text, *_ in GIVEN})
    kind, _, name = resource.partition(" ")
    (found,) = (one for one in system.of(kind) if name in {"", one.name})
    assert dict(walk(found.inputs))[path] == expected, f"{setting}={value} does not reach {resource}"


def test_credentials_need_origins_and_are_then_allowed_everywhere() -> None:
    system = kit.deployed("stacks", corsOrigins='["https://a.example"]', corsCredentials="true")
    assert system.one("Function").inputs["environment"]["variables"]["CORS_CREDENTIALS"] == "true"
    for response in system.of("Response"):
        headers = response.inputs["responseParameters"]
        assert headers["gatewayresponse.header.Access-Control-Allow-Origin"] == "'https://a.example'"
        assert headers["gatewayresponse.header.Access-Control-Allow-Credentials"] == "'true'"
        assert headers["gatewayresponse.header.Vary"] == "'Origin'"


def test_with_several_origins_the_gateway_s_own_errors_name_none() -> None:
    system = kit.deployed("stacks", corsOrigins='["https://a.example", "https://b.example"]')
    for response in system.of("Response"):
        assert "gatewayresponse.header.Access-Control-Allow-Origin" not in response.inputs["responseParameters"]


# dev and prod


def test_dev_is_the_specification_with_louder_logs() -> None:
    spec = kit.deployed("stacks", environmentSuffix="same")
    dev = kit.deployed("stacks", "dev", environmentSuffix="same")
    assert kit.differences(spec, dev) == [
        "Function items-lambda: environment.variables.LOG_LEVEL is 'INFO' in stacks, 'DEBUG' in stacks"
    ]


@pytest.mark.parametrize("shape", kit.SHAPES)
def test_production_keeps_its_data(shape: str) -> None:
    table = kit.deployed(shape, "prod").one("Table")
    assert table.inputs["name"] == "prod-items-table"
    assert table.inputs["deletionProtectionEnabled"] is True, "AWS itself refuses to delete it"
    assert table.protect, "and so does Pulumi, before it asks AWS"
    assert not kit.deployed(shape, "dev").one("Table").protect


@pytest.mark.parametrize("shape", kit.SHAPES)
def test_production_is_observable(shape: str) -> None:
    prod = kit.deployed(shape, "prod")
    assert prod.one("Function").inputs["tracingConfig"] == {"mode": "Active"}
    assert prod.one("Stage").inputs["xrayTracingEnabled"] is True
    assert prod.one("MethodSettings").inputs["settings"]["loggingLevel"] == "ERROR"
    assert prod.one("MethodSettings").inputs["settings"]["dataTraceEnabled"] is False, "bodies are not for logs"
    groups = {group.name: group.inputs for group in prod.of("LogGroup")}
    assert {group["name"] for group in groups.values()} == {
        "/aws/lambda/prod-items-lambda",
        "/aws/apigateway/prod-items-api",
        "API-Gateway-Execution-Logs_${RestApi.items-api.id}/prod",
    }
    assert {group["retentionInDays"] for group in groups.values()} == {365}
    stage = prod.one("Stage")
    assert stage.inputs["accessLogSettings"]["destinationArn"] == "${LogGroup.items-api-access-logs.arn}"
    assert ("LogGroup", "items-api-execution-logs") in kit.dependencies(prod, stage), (
        "API Gateway would make the group itself, kept for ever"
    )


@pytest.mark.parametrize("shape", kit.SHAPES)
def test_production_runs_on_a_runtime_that_is_patched(shape: str) -> None:
    assert kit.deployed(shape, "prod").one("Function").inputs["runtime"] == "python3.13"
    assert not [text for text in kit.deployed(shape, "prod").warnings if "untime" in text]
    (warning,) = [text for text in kit.deployed(shape).warnings if "untime" in text]
    assert "tap:lambdaRuntime" in warning, "the warning names the setting that ends it"


def test_tracing_adds_its_two_rights_and_no_more() -> None:
    policies = {
        policy.name: kit.policy(policy.inputs["policy"]) for policy in kit.deployed("stacks", "prod").of("RolePolicy")
    }
    assert policies["items-lambda-tracing"] == [
        {"Effect": "Allow", "Action": ["xray:PutTraceSegments", "xray:PutTelemetryRecords"], "Resource": ["*"]}
    ]
    assert policies.keys() == {"items-lambda-tracing", "items-lambda-table"}


def test_access_logs_hold_nothing_that_a_client_sent_but_the_path() -> None:
    stage = kit.deployed("stacks", "prod").one("Stage")
    fields = json.loads(stage.inputs["accessLogSettings"]["format"])
    assert set(fields.values()) <= {
        "$context.requestId",
        "$context.requestTimeEpoch",
        "$context.httpMethod",
        "$context.resourcePath",
        "$context.status",
        "$context.responseLatency",
        "$context.integrationLatency",
        "$context.error.responseType",
    }
