"""Breaking a property of the real plan is caught: one row for each thing that must not be lost unseen.

The plan of production keeps every mandatory rule; each row changes one thing in it and names the rule that notices.
"""

from __future__ import annotations

import copy
import dataclasses
import json
from collections.abc import Callable
from datetime import date
from typing import Any

import pytest

from lib.plan.recorder import Recorded, Recording
from policy.check import Config, Report, check
from tests import kit

TODAY = date(2026, 11, 21)
Change = Callable[[dict[str, Any]], None]


def judged(*recordings: Recording) -> Report:
    return check(recordings, config=Config(), waivers=[], today=TODAY)


def production() -> Recording:
    """Every option that production has, and those that could be on in it."""
    key = "arn:aws:kms:us-east-1:123456789012:key/00000000-0000-0000-0000-000000000000"
    return kit.deployed("stacks", "prod", kmsKeyArn=key, waf="true", alarmEmails='["team@example.com"]')


def lose(*path: str) -> Change:
    """Return the change that removes what is at the path."""

    def change(inputs: dict[str, Any]) -> None:
        *above, last = path
        for step in above:
            inputs = inputs[step]
        del inputs[last]

    return change


def put(value: Any, *path: str) -> Change:
    """Return the change that puts a value at the path."""

    def change(inputs: dict[str, Any]) -> None:
        *above, last = path
        for step in above:
            inputs = inputs.setdefault(step, {})
        inputs[last] = value

    return change


def statement(key: str, index: int, **changes: Any) -> Change:
    """Return the change of one statement of a policy document; None removes a part of it."""

    def change(inputs: dict[str, Any]) -> None:
        document = json.loads(inputs[key])
        document["Statement"][index].update(changes)
        document["Statement"][index] = {k: v for k, v in document["Statement"][index].items() if v is not None}
        inputs[key] = json.dumps(document)

    return change


def without_statement(key: str, index: int) -> Change:
    def change(inputs: dict[str, Any]) -> None:
        document = json.loads(inputs[key])
        del document["Statement"][index]
        inputs[key] = json.dumps(document)

    return change


def without_item(key: str, index: int) -> Change:
    def change(inputs: dict[str, Any]) -> None:
        del inputs[key][index]

    return change


INPUTS: list[tuple[str, str, Change]] = [
    ("table-encrypted", "Table items-table", lose("serverSideEncryption")),
    ("table-encrypted", "Table items-table", put(False, "serverSideEncryption", "enabled")),
    ("table-recoverable", "Table items-table", lose("pointInTimeRecovery")),
    ("table-recoverable", "Table items-table", put(False, "pointInTimeRecovery", "enabled")),
    ("table-protected", "Table items-table", put(False, "deletionProtectionEnabled")),
    ("table-on-demand", "Table items-table", put("PROVISIONED", "billingMode")),
    ("required-tags", "Table items-table", lose("tags", "Owner")),
    ("required-tags", "Function items-lambda", lose("tags")),
    ("role-one-service", "Role items-lambda-role", statement("assumeRolePolicy", 0, Principal="*")),
    ("role-one-service", "Role items-lambda-role", statement("assumeRolePolicy", 0, Principal={"AWS": "123456789012"})),
    ("role-one-service", "Role items-lambda-role", statement("assumeRolePolicy", 0, Action="sts:*")),
    ("role-separate-policies", "Role items-lambda-role", put(["arn:aws:iam::aws:policy/X"], "managedPolicyArns")),
    ("role-named-actions", "RolePolicy items-lambda-table", statement("policy", 0, Action="dynamodb:*")),
    ("role-named-resources", "RolePolicy items-lambda-table", statement("policy", 0, Resource="*")),
    (
        "role-named-resources",
        "RolePolicy items-lambda-table",
        statement("policy", 0, Resource="arn:aws:dynamodb:us-east-1:123456789012:table/*"),
    ),
    (
        "role-named-resources",
        "RolePolicy items-lambda-table",
        statement("policy", 0, Resource="arn:aws:dynamodb:us-east-1:123456789012:table/prod-items-table*"),
    ),
    (
        "role-known-managed-policies",
        "RolePolicyAttachment items-lambda-basic-execution",
        put("arn:aws:iam::aws:policy/AdministratorAccess", "policyArn"),
    ),
    ("function-explicit-limits", "Function items-lambda", lose("timeout")),
    ("function-explicit-limits", "Function items-lambda", lose("memorySize")),
    ("function-supported-runtime", "Function items-lambda", put("python3.9", "runtime")),
    ("function-log-group", "LogGroup items-lambda-logs", put("/aws/lambda/another", "name")),
    ("log-retention", "LogGroup items-lambda-logs", lose("retentionInDays")),
    ("log-retention", "LogGroup items-api-access-logs", lose("retentionInDays")),
    ("log-retention", "LogGroup items-api-execution-logs", lose("retentionInDays")),
    ("function-no-secrets", "Function items-lambda", put("x", "environment", "variables", "API_TOKEN")),
    ("function-tracing", "Function items-lambda", lose("tracingConfig")),
    ("permission-source", "Permission items-api", lose("sourceArn")),
    ("permission-source", "Permission items-api", put("arn:aws:execute-api:*:*:*/prod/*", "sourceArn")),
    ("permission-source", "Permission items-api", put("*", "principal")),
    ("permission-source", "Permission items-api", put("lambda:*", "action")),
    ("api-regional", "RestApi items-api", put("EDGE", "endpointConfiguration", "types")),
    ("api-regional", "RestApi items-api", lose("endpointConfiguration")),
    (
        "api-no-open-policy",
        "RestApi items-api",
        put('{"Statement": {"Effect": "Allow", "Principal": "*", "Action": "execute-api:Invoke"}}', "policy"),
    ),
    ("api-throttled", "MethodSettings items-api", lose("settings", "throttlingRateLimit")),
    ("api-throttled", "MethodSettings items-api", put(-1, "settings", "throttlingBurstLimit")),
    ("api-throttled", "MethodSettings items-api", put("items/GET", "methodPath")),
    ("api-no-body-logging", "MethodSettings items-api", put(True, "settings", "dataTraceEnabled")),
    ("api-no-body-logging", "Stage items-api", put("$context.authorizer.claims.sub", "accessLogSettings", "format")),
    ("api-logs", "MethodSettings items-api", put("OFF", "settings", "loggingLevel")),
    ("api-logs", "Stage items-api", lose("accessLogSettings")),
    ("api-tracing", "Stage items-api", put(False, "xrayTracingEnabled")),
    ("log-retention", "LogGroup items-api-firewall-logs", lose("retentionInDays")),
    ("firewall-no-credentials", "WebAcl items-api-firewall", put(True, "visibilityConfig", "sampledRequestsEnabled")),
    ("firewall-no-credentials", "WebAclLoggingConfiguration items-api-firewall", lose("redactedFields")),
    *(
        (
            "firewall-no-credentials",
            "WebAclLoggingConfiguration items-api-firewall",
            without_item("redactedFields", index),
        )
        for index in range(5)
    ),
    ("deployment-triggers", "Deployment items-api", lose("triggers")),
    ("topic-not-public", "TopicPolicy items-alarms", statement("policy", 0, Principal="*", Condition=None)),
    ("topic-not-public", "TopicPolicy items-alarms", statement("policy", 0, Condition=None)),
    ("topic-tls-only", "TopicPolicy items-alarms", without_statement("policy", 1)),
    ("topic-tls-only", "TopicPolicy items-alarms", statement("policy", 1, Effect="Allow")),
    ("alarm-delivers", "TopicPolicy items-alarms", without_statement("policy", 0)),
    ("alarm-delivers", "TopicPolicy items-alarms", statement("policy", 0, Principal={"Service": "s3.amazonaws.com"})),
    ("alarm-delivers", "Topic items-alarms", put("alias/aws/sns", "kmsMasterKeyId")),
    *(
        row
        for metric in ("duration", "errors", "throttles")
        for row in (
            ("alarm-actions", f"MetricAlarm items-alarms-{metric}", lose("alarmActions")),
            ("alarm-actions", f"MetricAlarm items-alarms-{metric}", put(False, "actionsEnabled")),
            ("alarm-statistic", f"MetricAlarm items-alarms-{metric}", put("SampleCount", "statistic")),
            ("alarm-statistic", f"MetricAlarm items-alarms-{metric}", lose("dimensions")),
            ("alarm-missing-data", f"MetricAlarm items-alarms-{metric}", lose("treatMissingData")),
        )
    ),
]


def mutated(recording: Recording, identity: str, change: Callable[[Recorded], Recorded]) -> Recording:
    changed = copy.copy(recording)
    names = [f"{resource.kind} {resource.name}" if resource.custom else "" for resource in recording.resources]
    assert identity in names, f"there is no {identity} to break; a row that breaks nothing proves nothing"
    changed.resources = [
        change(resource) if name == identity else resource
        for name, resource in zip(names, recording.resources, strict=True)
    ]
    return changed


def test_production_as_it_is_keeps_every_mandatory_rule() -> None:
    report = judged(production())
    assert not report.failed, report.text()
    assert {finding.rule.id for finding in report.findings} == {"api-authorization"}


def test_development_as_it_is_is_advised_of_its_runtime_alone() -> None:
    findings = judged(kit.deployed("stacks", "dev")).findings
    assert {finding.rule.id for finding in findings} == {"function-supported-runtime"}


def test_one_program_or_four_have_the_same_findings() -> None:
    both = [
        {
            (finding.rule.id, finding.resource.rpartition("/")[2])
            for finding in judged(kit.deployed(shape, "prod")).findings
        }
        for shape in ("stacks", "tap")
    ]
    assert both[0] == both[1]


@pytest.mark.parametrize(("rule", "identity", "change"), INPUTS)
def test_a_broken_input_is_caught(rule: str, identity: str, change: Change) -> None:
    def altered(resource: Recorded) -> Recorded:
        inputs = copy.deepcopy(dict(resource.inputs))
        change(inputs)
        return dataclasses.replace(resource, inputs=inputs)

    report = judged(mutated(production(), identity, altered))
    assert rule in {finding.rule.id for finding in report.findings}
    assert report.failed, f"{rule} must stop a deploy of production"


@pytest.mark.parametrize(
    ("rule", "identity", "change"),
    [
        ("table-protected", "Table items-table", {"protect": False}),
        ("function-log-group", "Function items-lambda", {"depends_on": ()}),
        ("deployment-complete", "Deployment items-api", {"depends_on": ()}),
    ],
)
def test_a_broken_option_is_caught(rule: str, identity: str, change: dict[str, Any]) -> None:
    report = judged(mutated(production(), identity, lambda resource: dataclasses.replace(resource, **change)))
    assert rule in {finding.rule.id for finding in report.findings}
    assert report.failed


@pytest.mark.parametrize(
    ("rule", "kind"),
    [
        ("function-log-group", "LogGroup"),
        ("api-throttled", "MethodSettings"),
        ("firewall-logs", "WebAclLoggingConfiguration"),
        ("topic-tls-only", "TopicPolicy"),
        ("alarm-delivers", "TopicPolicy"),
    ],
)
def test_a_resource_that_is_gone_is_missed(rule: str, kind: str) -> None:
    changed = copy.copy(production())
    changed.resources = [resource for resource in changed.resources if resource.kind != kind]
    assert rule in {finding.rule.id for finding in judged(changed).findings}


def test_every_row_breaks_what_was_whole() -> None:
    before = {finding.rule.id for finding in judged(production()).findings}
    assert not before & {rule for rule, _, _ in INPUTS}, "a rule that was broken before shows nothing"
