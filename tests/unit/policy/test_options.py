"""What production can have on top of the specification: each off until it is asked for, whole when it is."""

from __future__ import annotations

import json

import pytest

from lib.plan.recorder import Recorded, Recording
from policy.check import Config, check
from tests import kit

KEY = "arn:aws:kms:us-east-1:123456789012:key/00000000-0000-0000-0000-000000000000"
POOL = "arn:aws:cognito-idp:us-east-1:123456789012:userpool/us-east-1_abc"
CERTIFICATE = "arn:aws:acm:us-east-1:123456789012:certificate/00000000-0000-0000-0000-000000000000"
BOUNDARY = "arn:aws:iam::123456789012:policy/prod-function-boundary"
OPTIONS: dict[str, dict[str, str]] = {
    "signed requests": {"authorization": "AWS_IAM"},
    "API key": {"authorization": "API_KEY"},
    "Cognito": {"authorization": "COGNITO", "cognitoUserPoolArn": POOL},
    "firewall": {"waf": "true"},
    "domain": {"domainName": "api.example.com", "certificateArn": CERTIFICATE},
    "key": {"kmsKeyArn": KEY},
    "reserved concurrency": {"lambdaReservedConcurrency": "50"},
    "boundary": {"permissionsBoundaryArn": BOUNDARY},
    "detailed metrics": {"detailedMetrics": "true"},
}
ADDED = {
    "signed requests": set(),
    "API key": {("ApiKey", "items-api-key"), ("UsagePlan", "items-api-key"), ("UsagePlanKey", "items-api-key")},
    "Cognito": {("Authorizer", "items-api")},
    "firewall": {
        ("LogGroup", "items-api-firewall-logs"),
        ("WebAcl", "items-api-firewall"),
        ("WebAclAssociation", "items-api-firewall"),
        ("WebAclLoggingConfiguration", "items-api-firewall"),
    },
    "domain": {("DomainName", "items-api-domain"), ("BasePathMapping", "items-api-domain")},
    "key": set(),
    "reserved concurrency": set(),
    "boundary": set(),
    "detailed metrics": set(),
}


def with_option(name: str, stack: str = "spec") -> Recording:
    return kit.deployed("stacks", stack, **OPTIONS[name])


def calls(recording: Recording, *, preflight: bool) -> list[Recorded]:
    return [m for m in recording.of("Method") if (m.inputs["httpMethod"] == "OPTIONS") is preflight]


def digest(recording: Recording) -> str:
    triggers: dict[str, str] = recording.one("Deployment").inputs["triggers"]
    return triggers["captured"]


@pytest.mark.parametrize("option", OPTIONS)
def test_an_option_adds_its_resources_and_no_others(option: str) -> None:
    before, after = kit.deployed("stacks"), with_option(option)
    assert kit.identities(after.real) - kit.identities(before.real) == ADDED[option]
    assert kit.identities(before.real) <= kit.identities(after.real)


@pytest.mark.parametrize("option", OPTIONS)
def test_production_keeps_every_mandatory_rule_with_each_option(option: str) -> None:
    report = check([with_option(option, "prod")], config=Config(), waivers=[])
    assert not report.failed, report.text()


@pytest.mark.parametrize("option", OPTIONS)
def test_one_program_has_the_options_that_four_have(option: str) -> None:
    assert not kit.differences(with_option(option), kit.deployed("tap", **OPTIONS[option]))


@pytest.mark.parametrize(
    ("option", "inputs"),
    [
        ("signed requests", {"authorization": "AWS_IAM"}),
        ("API key", {"authorization": "NONE", "apiKeyRequired": True}),
        ("Cognito", {"authorization": "COGNITO_USER_POOLS", "authorizerId": "${Authorizer.items-api.id}"}),
    ],
)
def test_authorization_is_asked_of_every_method_but_the_preflight(option: str, inputs: dict[str, object]) -> None:
    recording = with_option(option)
    assert len(calls(recording, preflight=False)) == 8
    for method in calls(recording, preflight=False):
        assert inputs.items() <= method.inputs.items()
    for method in calls(recording, preflight=True):
        assert method.inputs["authorization"] == "NONE", "a browser's preflight carries no credentials"
        assert not {"apiKeyRequired", "authorizerId"} & set(method.inputs)


@pytest.mark.parametrize("option", ["signed requests", "API key", "Cognito"])
def test_another_authorization_is_deployed_at_once(option: str) -> None:
    assert digest(with_option(option)) != digest(kit.deployed("stacks")), (
        "the stage would go on serving the methods as they were, open to anyone"
    )


def test_cognito_asks_the_given_pool() -> None:
    authorizer = with_option("Cognito").one("Authorizer")
    assert authorizer.inputs["type"] == "COGNITO_USER_POOLS"
    assert authorizer.inputs["providerArns"] == [POOL]
    assert authorizer.inputs["identitySource"] == "method.request.header.Authorization"


def test_the_api_key_is_for_this_stage_and_no_output() -> None:
    recording = with_option("API key")
    (stage,) = recording.one("UsagePlan").inputs["apiStages"]
    assert stage == {"apiId": "${RestApi.items-api.id}", "stage": "prod"}
    assert recording.one("UsagePlanKey").inputs["keyId"] == "${ApiKey.items-api-key.id}"
    assert "value" not in recording.one("ApiKey").inputs, "a key that is chosen here is a secret in the code"
    assert "ApiKey" not in json.dumps(recording.exports), "outputs are readable by every stack"


def test_the_firewall_is_asked_about_the_stage_and_lets_large_items_through() -> None:
    recording = with_option("firewall")
    association = recording.one("WebAclAssociation").inputs
    assert association["resourceArn"] == "${Stage.items-api.arn}"
    assert association["webAclArn"] == "${WebAcl.items-api-firewall.arn}"
    acl = recording.one("WebAcl").inputs
    assert acl["scope"] == "REGIONAL"
    groups = {rule["name"]: rule["statement"]["managedRuleGroupStatement"] for rule in acl["rules"]}
    assert "AWSManagedRulesKnownBadInputsRuleSet" in groups
    (provider,) = groups["AWSManagedRulesAnonymousIpList"]["ruleActionOverrides"]
    assert provider["name"] == "HostingProviderIPList", "clients of an API are servers, and those stand in data centres"
    assert set(provider["actionToUse"]) == {"count"}
    (override,) = groups["AWSManagedRulesCommonRuleSet"]["ruleActionOverrides"]
    assert override["name"] == "SizeRestrictions_BODY", "it refuses bodies over 8 KB; an item may have 400 KB"
    assert set(override["actionToUse"]) == {"count"}
    configs = [acl["visibilityConfig"], *(rule["visibilityConfig"] for rule in acl["rules"])]
    assert not any(config["sampledRequestsEnabled"] for config in configs), "a sample holds the client's credentials"


def test_the_firewalls_log_keeps_whom_it_met_and_no_credential() -> None:
    recording = kit.deployed("stacks", "prod", **OPTIONS["firewall"], **OPTIONS["key"])
    config = recording.one("WebAclLoggingConfiguration").inputs
    assert config["resourceArn"] == "${WebAcl.items-api-firewall.arn}"
    assert config["logDestinationConfigs"] == ["${LogGroup.items-api-firewall-logs.arn}"]
    (group,) = (group.inputs for group in recording.of("LogGroup") if group.name == "items-api-firewall-logs")
    assert group["name"] == "aws-waf-logs-prod-items-api-firewall", "WAF refuses any other prefix"
    assert (group["retentionInDays"], group["kmsKeyId"]) == (365, KEY)
    assert {"queryString": {}} in config["redactedFields"], "a request may be signed in its URL"
    headers = {field["singleHeader"]["name"] for field in config["redactedFields"] if "singleHeader" in field}
    assert headers == {"authorization", "cookie", "x-amz-security-token", "x-api-key"}
    assert config["loggingFilter"]["defaultBehavior"] == "DROP", "requests that no rule minds are in the access log"
    (kept,) = config["loggingFilter"]["filters"]
    assert (kept["behavior"], kept["requirement"]) == ("KEEP", "MEETS_ANY")
    assert {condition["actionCondition"]["action"] for condition in kept["conditions"]} == {
        "BLOCK",
        "COUNT",
        "EXCLUDED_AS_COUNT",
    }


def test_metrics_of_each_method_can_be_on_and_are_switched_off_aloud() -> None:
    settings = {
        name: recording.one("MethodSettings").inputs["settings"]["metricsEnabled"]
        for name, recording in {
            "off": kit.deployed("stacks", "prod"),
            "on": with_option("detailed metrics", "prod"),
        }.items()
    }
    assert settings == {"off": False, "on": True}, "left out, the real provider would leave paid metrics on"


def test_the_domain_is_the_url_and_the_only_way_in() -> None:
    recording = with_option("domain")
    assert recording.exports["api_url"] == "https://api.example.com"
    assert recording.one("RestApi").inputs["disableExecuteApiEndpoint"] is True
    domain = recording.one("DomainName").inputs
    assert domain["securityPolicy"] == "TLS_1_2"
    assert domain["regionalCertificateArn"] == CERTIFICATE
    mapping = recording.one("BasePathMapping").inputs
    assert (mapping["restApi"], mapping["stageName"]) == ("${RestApi.items-api.id}", "prod")
    assert "basePath" not in mapping, "the stage answers at the domain's root"


def test_without_a_domain_the_api_keeps_its_own_address() -> None:
    assert kit.deployed("stacks").one("RestApi").inputs["disableExecuteApiEndpoint"] is False


def test_the_customers_key_encrypts_everything_that_is_stored() -> None:
    recording = kit.deployed("stacks", "prod", **OPTIONS["key"])
    assert recording.one("Table").inputs["serverSideEncryption"]["kmsKeyArn"] == KEY
    assert recording.one("Function").inputs["kmsKeyArn"] == KEY
    assert recording.one("Topic").inputs["kmsMasterKeyId"] == KEY
    groups = recording.of("LogGroup")
    assert len(groups) == 3
    assert {group.inputs["kmsKeyId"] for group in groups} == {KEY}


def test_the_functions_role_can_be_bounded() -> None:
    assert with_option("boundary").one("Role").inputs["permissionsBoundary"] == BOUNDARY
    assert "permissionsBoundary" not in kit.deployed("stacks").one("Role").inputs


def test_reserved_concurrency_limits_the_function() -> None:
    assert with_option("reserved concurrency").one("Function").inputs["reservedConcurrentExecutions"] == 50


def test_production_without_authorization_is_said_aloud() -> None:
    (loud,) = [warning for warning in kit.deployed("stacks", "prod").warnings if "ANYONE" in warning]
    assert "tap:authorization" in loud


@pytest.mark.parametrize(
    "recording",
    [
        pytest.param(lambda: kit.deployed("stacks", "dev"), id="development"),
        pytest.param(lambda: with_option("signed requests", "prod"), id="signed"),
        pytest.param(lambda: with_option("API key", "prod"), id="with a key"),
    ],
)
def test_who_is_protected_or_not_in_production_hears_nothing(recording: object) -> None:
    assert callable(recording)
    assert not [warning for warning in recording().warnings if "ANYONE" in warning]


def test_production_has_all_that_it_should() -> None:
    recording = kit.deployed("stacks", "prod")
    table, stage = recording.one("Table"), recording.one("Stage")
    assert table.protect
    assert table.inputs["deletionProtectionEnabled"] is True
    assert recording.one("Function").inputs["tracingConfig"] == {"mode": "Active"}
    assert stage.inputs["xrayTracingEnabled"] is True
    assert stage.inputs["accessLogSettings"]["destinationArn"] == "${LogGroup.items-api-access-logs.arn}"
    assert recording.one("MethodSettings").inputs["settings"]["loggingLevel"] == "ERROR"
    assert {group.inputs["retentionInDays"] for group in recording.of("LogGroup")} == {365}


def test_access_logs_hold_nothing_that_a_client_sent_but_the_route() -> None:
    form = json.loads(kit.deployed("stacks", "prod").one("Stage").inputs["accessLogSettings"]["format"])
    private = ("identity", "authorizer", "body", "querystring", "header", "$context.path")
    assert not [name for name in form.values() if any(word in name for word in private)]
