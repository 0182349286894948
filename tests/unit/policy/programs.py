"""For each rule, a program that breaks it and one that keeps it.

Each is as small as the rule allows, so that what differs between the two is what the rule is about.
"""

from __future__ import annotations

import json
from collections.abc import Callable
from typing import Any, NamedTuple

import pulumi
from pulumi_aws import apigateway, apigatewayv2, cloudwatch, dynamodb, ec2, iam, kms, lambda_, s3, sfn, sns, vpc, wafv2

Program = Callable[[], object]


class Case(NamedTuple):
    """`breaks` must be found in the environment, `keeps` must not."""

    breaks: Program
    keeps: Program
    environment: str = "dev"


def document(**statement: Any) -> str:
    """A policy document of one statement."""
    return json.dumps({"Version": "2012-10-17", "Statement": [{"Effect": "Allow", **statement}]})


def table(**inputs: Any) -> dynamodb.Table:
    return dynamodb.Table("t", **inputs)


def role(trust: str, **inputs: Any) -> iam.Role:
    return iam.Role("r", assume_role_policy=trust, **inputs)


LAMBDA = document(Principal={"Service": "lambda.amazonaws.com"}, Action="sts:AssumeRole")
TABLE = "arn:aws:dynamodb:us-east-1:123456789012:table/items"
API = "arn:aws:execute-api:us-east-1:123456789012:abc123/prod/*"


def grants(**statement: Any) -> Program:
    return lambda: iam.RolePolicy("p", role="r", policy=document(**statement))


def function(**inputs: Any) -> lambda_.Function:
    return lambda_.Function("f", role="arn:aws:iam::123456789012:role/r", **inputs)


def environment(**variables: str) -> Program:
    return lambda: function(environment={"variables": variables})


def logged(*, waits: bool) -> Program:
    def program() -> None:
        group = cloudwatch.LogGroup("g", name="/aws/lambda/f", retention_in_days=14)
        lambda_.Function(
            "f",
            name="f",
            role="arn:aws:iam::123456789012:role/r",
            opts=pulumi.ResourceOptions(depends_on=[group] if waits else []),
        )

    return program


def stage(settings: apigateway.MethodSettingsSettingsArgsDict | None, **inputs: Any) -> Program:
    def program() -> None:
        made = apigateway.Stage("s", rest_api="a", deployment="d", stage_name="prod", **inputs)
        if settings is not None:
            apigateway.MethodSettings(
                "s", rest_api="a", stage_name=made.stage_name, method_path="*/*", settings=settings
            )

    return program


def deployment(*, waits: bool) -> Program:
    def program() -> None:
        api = apigateway.RestApi("a")
        method = apigateway.Method("m", rest_api=api.id, resource_id="r", http_method="GET", authorization="NONE")
        opts = pulumi.ResourceOptions(depends_on=[method] if waits else [])
        apigateway.Deployment("d", rest_api=api.id, opts=opts)

    return program


VISIBILITY: wafv2.WebAclVisibilityConfigArgsDict = {
    "cloudwatch_metrics_enabled": True,
    "metric_name": "m",
    "sampled_requests_enabled": False,
}
CREDENTIALS: list[wafv2.WebAclLoggingConfigurationRedactedFieldArgsDict] = [
    {"query_string": {}},
    {"single_header": {"name": "authorization"}},
    {"single_header": {"name": "cookie"}},
    {"single_header": {"name": "x-amz-security-token"}},
    {"single_header": {"name": "x-api-key"}},
]


def firewall(
    redacted: list[wafv2.WebAclLoggingConfigurationRedactedFieldArgsDict] | None = None, *, samples: bool = False
) -> Program:
    """A web ACL, and its log where it is said what that does not show."""

    def program() -> None:
        rule: wafv2.WebAclRuleArgsDict = {
            "name": "r",
            "priority": 0,
            "statement": {"ip_set_reference_statement": {"arn": "arn:ips"}},
            "visibility_config": {**VISIBILITY, "sampled_requests_enabled": samples},
        }
        acl = wafv2.WebAcl("w", scope="REGIONAL", default_action={}, visibility_config=VISIBILITY, rules=[rule])
        if redacted is not None:
            wafv2.WebAclLoggingConfiguration(
                "w", resource_arn=acl.arn, log_destination_configs=["arn:logs"], redacted_fields=redacted
            )

    return program


def alarm(**inputs: Any) -> cloudwatch.MetricAlarm:
    return cloudwatch.MetricAlarm(
        "a", comparison_operator="GreaterThanOrEqualToThreshold", evaluation_periods=1, **inputs
    )


def errors(**inputs: Any) -> Program:
    dimensions = {"FunctionName": "f"}
    return lambda: alarm(namespace="AWS/Lambda", metric_name="Errors", dimensions=dimensions, **inputs)


def topic(*statements: dict[str, Any]) -> Program:
    def program() -> None:
        made = sns.Topic("t")
        sns.TopicPolicy("t", arn=made.arn, policy=json.dumps({"Version": "2012-10-17", "Statement": list(statements)}))

    return program


PLAIN_DENIED = {
    "Effect": "Deny",
    "Principal": "*",
    "Action": "sns:Publish",
    "Condition": {"Bool": {"aws:SecureTransport": "false"}},
}
PUBLISH = {"Principal": {"Service": "cloudwatch.amazonaws.com"}, "Action": "sns:Publish", "Resource": "*"}
USE_KEY = {
    "Principal": {"Service": "cloudwatch.amazonaws.com"},
    "Action": ["kms:Decrypt", "kms:GenerateDataKey*"],
    "Resource": "*",
}


NOTHING = {"Principal": {"AWS": "arn:aws:iam::123456789012:root"}, "Action": "sns:GetTopicAttributes", "Resource": "*"}


def chain(publish: dict[str, Any] = NOTHING, use_key: dict[str, Any] = NOTHING, key: str | None = None) -> Program:
    """An alarm, its topic, and the key of that: the one given by name, or one that the program makes."""

    def program() -> None:
        target = sns.Topic("t", kms_master_key_id=key or kms.Key("k", policy=document(**use_key)).arn)
        sns.TopicPolicy("t", arn=target.arn, policy=document(**publish))
        alarm(alarm_actions=[target.arn])

    return program


def bucket(policy: dict[str, Any] | None = None, block: s3.BucketPublicAccessBlockArgs | None = None) -> Program:
    def program() -> None:
        made = s3.Bucket("b")
        if block:
            block.bucket = made.id
            s3.BucketPublicAccessBlock("b", block)
        if policy:
            s3.BucketPolicy("b", bucket=made.id, policy=json.dumps({"Statement": [policy]}))

    return program


def encrypted_bucket() -> None:
    rule = s3.BucketServerSideEncryptionConfigurationRuleArgs(bucket_key_enabled=True)
    s3.BucketServerSideEncryptionConfiguration("b", bucket=s3.Bucket("b").id, rules=[rule])


def blocked(*, restrict: bool) -> s3.BucketPublicAccessBlockArgs:
    return s3.BucketPublicAccessBlockArgs(
        bucket="b",
        block_public_acls=True,
        block_public_policy=True,
        ignore_public_acls=True,
        restrict_public_buckets=restrict,
    )


def network(*, flow_logs: bool) -> Program:
    def program() -> None:
        made = ec2.Vpc("v", cidr_block="10.0.0.0/16")
        if flow_logs:
            ec2.FlowLog("v", vpc_id=made.id, traffic_type="ALL")

    return program


def machine(**inputs: Any) -> Program:
    return lambda: sfn.StateMachine("m", role_arn="arn:aws:iam::123456789012:role/r", definition="{}", **inputs)


CASES: dict[str, Case] = {
    "table-encrypted": Case(table, lambda: table(server_side_encryption={"enabled": True})),
    "table-recoverable": Case(
        lambda: table(point_in_time_recovery={"enabled": False}),
        lambda: table(point_in_time_recovery={"enabled": True}),
    ),
    "table-protected": Case(
        lambda: table(deletion_protection_enabled=True),
        lambda: table(deletion_protection_enabled=True, opts=pulumi.ResourceOptions(protect=True)),
        "prod",
    ),
    "table-on-demand": Case(lambda: table(billing_mode="PROVISIONED"), lambda: table(billing_mode="PAY_PER_REQUEST")),
    "role-separate-policies": Case(
        lambda: role(LAMBDA, managed_policy_arns=["arn:aws:iam::aws:policy/ReadOnlyAccess"]), lambda: role(LAMBDA)
    ),
    "role-one-service": Case(
        lambda: role(document(Principal={"AWS": "*"}, Action="sts:AssumeRole")), lambda: role(LAMBDA)
    ),
    "role-named-actions": Case(
        grants(Action="dynamodb:*", Resource=TABLE), grants(Action=["dynamodb:GetItem"], Resource=TABLE)
    ),
    "role-named-resources": Case(
        grants(Action=["xray:PutTraceSegments", "dynamodb:GetItem"], Resource="*"),
        grants(Action=["xray:PutTraceSegments"], Resource="*"),
    ),
    "role-known-managed-policies": Case(
        lambda: iam.RolePolicyAttachment("p", role="r", policy_arn="arn:aws:iam::aws:policy/AdministratorAccess"),
        lambda: iam.RolePolicyAttachment(
            "p", role="r", policy_arn="arn:aws:iam::aws:policy/service-role/AWSLambdaBasicExecutionRole"
        ),
    ),
    "no-long-lived-credentials": Case(lambda: iam.User("u"), lambda: role(LAMBDA)),
    "function-explicit-limits": Case(lambda: function(timeout=5), lambda: function(timeout=5, memory_size=128)),
    "function-supported-runtime": Case(lambda: function(runtime="python3.9"), lambda: function(runtime="python3.13")),
    "function-log-group": Case(logged(waits=False), logged(waits=True)),
    "log-retention": Case(lambda: cloudwatch.LogGroup("g"), lambda: cloudwatch.LogGroup("g", retention_in_days=14)),
    "function-no-secrets": Case(environment(DATABASE_PASSWORD="hunter2"), environment(TABLE="items")),
    "function-tracing": Case(function, lambda: function(tracing_config={"mode": "Active"}), "prod"),
    "permission-source": Case(
        lambda: lambda_.Permission(
            "p", action="lambda:InvokeFunction", function="f", principal="apigateway.amazonaws.com"
        ),
        lambda: lambda_.Permission(
            "p", action="lambda:InvokeFunction", function="f", principal="apigateway.amazonaws.com", source_arn=API
        ),
    ),
    "api-regional": Case(
        lambda: apigateway.RestApi("a"),
        lambda: apigateway.RestApi("a", endpoint_configuration={"types": "REGIONAL"}),
    ),
    "api-throttled": Case(
        stage({"throttling_rate_limit": 17}), stage({"throttling_rate_limit": 17, "throttling_burst_limit": 50})
    ),
    "api-no-body-logging": Case(stage({"data_trace_enabled": True}), stage({"data_trace_enabled": False})),
    "api-no-open-policy": Case(
        lambda: apigateway.RestApi("a", policy=document(Principal="*", Action="execute-api:Invoke", Resource="*")),
        lambda: apigateway.RestApi("a"),
    ),
    "deployment-triggers": Case(
        lambda: apigateway.Deployment("d", rest_api="a"),
        lambda: apigateway.Deployment("d", rest_api="a", triggers={"captured": "digest"}),
    ),
    "deployment-complete": Case(deployment(waits=False), deployment(waits=True)),
    "api-logs": Case(
        stage({"logging_level": "ERROR"}),
        stage({"logging_level": "ERROR"}, access_log_settings={"destination_arn": "arn:logs", "format": "{}"}),
        "prod",
    ),
    "api-tracing": Case(stage(None), stage(None, xray_tracing_enabled=True), "prod"),
    "api-authorization": Case(
        lambda: apigateway.Method("m", rest_api="a", resource_id="r", http_method="GET", authorization="NONE"),
        lambda: apigateway.Method("m", rest_api="a", resource_id="r", http_method="GET", authorization="AWS_IAM"),
        "prod",
    ),
    "firewall-logs": Case(firewall(), firewall(CREDENTIALS), "prod"),
    "firewall-no-credentials": Case(firewall(CREDENTIALS[1:]), firewall(CREDENTIALS)),
    "domain-tls": Case(
        lambda: apigateway.DomainName("d", domain_name="a.example.com", security_policy="TLS_1_0"),
        lambda: apigateway.DomainName("d", domain_name="a.example.com", security_policy="TLS_1_2"),
    ),
    "alarm-actions": Case(alarm, lambda: alarm(alarm_actions=["arn:aws:sns:us-east-1:123456789012:t"])),
    "alarm-statistic": Case(errors(statistic="Average"), errors(statistic="Sum")),
    "alarm-missing-data": Case(alarm, lambda: alarm(treat_missing_data="notBreaching")),
    "alarm-delivers": Case(chain(PUBLISH), chain(PUBLISH, USE_KEY)),
    "topic-not-public": Case(
        topic({"Effect": "Allow", "Principal": "*", "Action": "sns:Publish"}),
        topic(
            {
                "Effect": "Allow",
                "Principal": {"Service": "cloudwatch.amazonaws.com"},
                "Action": "sns:Publish",
                "Condition": {"StringEquals": {"aws:SourceAccount": "123456789012"}},
            }
        ),
    ),
    "topic-tls-only": Case(topic({**PLAIN_DENIED, "Action": "sns:Subscribe"}), topic(PLAIN_DENIED)),
    "key-rotates": Case(lambda: kms.Key("k"), lambda: kms.Key("k", enable_key_rotation=True)),
    "key-not-public": Case(
        lambda: kms.Key("k", policy=document(Principal={"AWS": "*"}, Action="kms:Decrypt", Resource="*")),
        lambda: kms.Key("k", policy=document(Principal={"AWS": "me"}, Action="kms:Decrypt", Resource="*")),
    ),
    "bucket-private": Case(bucket(block=blocked(restrict=False)), bucket(block=blocked(restrict=True))),
    "bucket-encrypted": Case(lambda: s3.Bucket("b"), encrypted_bucket),
    "bucket-tls-only": Case(
        bucket({**PLAIN_DENIED, "Action": "s3:GetObject"}), bucket({**PLAIN_DENIED, "Action": "s3:*"})
    ),
    "bucket-policy-not-public": Case(
        bucket({"Effect": "Allow", "Principal": "*", "Action": "s3:GetObject"}),
        bucket({"Effect": "Allow", "Principal": {"AWS": "me"}, "Action": "s3:GetObject"}),
    ),
    "bucket-kept": Case(lambda: s3.Bucket("b", force_destroy=True), lambda: s3.Bucket("b"), "prod"),
    "no-ingress": Case(
        lambda: vpc.SecurityGroupIngressRule("i", security_group_id="sg", ip_protocol="tcp", cidr_ipv4="0.0.0.0/0"),
        lambda: ec2.SecurityGroup("g", egress=[{"from_port": 443, "to_port": 443, "protocol": "tcp"}]),
    ),
    "vpc-flow-logs": Case(network(flow_logs=False), network(flow_logs=True), "prod"),
    "required-tags": Case(
        lambda: sns.Topic("t", tags={"Project": "p"}), lambda: sns.Topic("t", tags={"Project": "p", "Owner": "o"})
    ),
    "state-machine-logs": Case(
        machine(logging_configuration={"level": "ERROR"}),
        machine(logging_configuration={"level": "ERROR"}, tracing_configuration={"enabled": True}),
        "prod",
    ),
}

# More ways to break a rule than one; each names the rule.
ALSO_BREAKS: list[tuple[str, str, Program]] = [
    ("table-protected", "prod", lambda: table(opts=pulumi.ResourceOptions(protect=True))),
    (
        "role-one-service",
        "dev",
        lambda: role(document(Principal={"AWS": "999999999999"}, Action="sts:AssumeRole")),
    ),
    (
        "role-one-service",
        "dev",
        lambda: role(
            document(Principal={"Service": ["lambda.amazonaws.com", "ec2.amazonaws.com"]}, Action="sts:AssumeRole")
        ),
    ),
    ("role-named-actions", "dev", grants(NotAction="iam:*", Resource=TABLE)),
    ("role-named-actions", "dev", grants(Action="dynamodb:Get*", Resource=TABLE)),
    ("role-named-resources", "dev", grants(Action="dynamodb:GetItem", Resource=TABLE.replace("items", "*"))),
    ("role-named-resources", "dev", grants(Action="dynamodb:GetItem", Resource=TABLE.replace("items", "it*"))),
    ("role-named-resources", "dev", grants(Action="dynamodb:GetItem", Resource=TABLE.replace("us-east-1", "*"))),
    ("role-named-resources", "dev", grants(Action="s3:GetObject", Resource="arn:aws:s3:::*/requests/*")),
    ("role-named-resources", "dev", grants(Action="cloudwatch:PutMetricData", Resource="*")),
    ("role-named-resources", "dev", grants(Action="dynamodb:GetItem", NotResource=TABLE)),
    ("function-log-group", "dev", lambda: function(name="f")),
    ("function-no-secrets", "dev", environment(URL="postgres://app:hunter2@db/items")),
    ("function-no-secrets", "dev", environment(A="AKIA" + "IOSFODNN7EXAMPLE")),
    ("function-no-secrets", "dev", environment(A="-----BEGIN " + "PRIVATE KEY-----")),
    ("function-supported-runtime", "dev", lambda: function(runtime="nodejs8.10")),
    (
        "permission-source",
        "dev",
        lambda: lambda_.Permission(
            "p", action="lambda:*", function="f", principal="apigateway.amazonaws.com", source_arn=API
        ),
    ),
    (
        "permission-source",
        "dev",
        lambda: lambda_.Permission(
            "p",
            action="lambda:InvokeFunction",
            function="f",
            principal="apigateway.amazonaws.com",
            source_arn="arn:aws:execute-api:us-east-1:123456789012:*",
        ),
    ),
    ("api-throttled", "dev", stage(None)),
    ("api-throttled", "dev", stage({"throttling_rate_limit": -1, "throttling_burst_limit": -1})),
    ("api-throttled", "dev", lambda: apigatewayv2.Stage("s", api_id="a")),
    (
        "api-no-body-logging",
        "dev",
        stage(None, access_log_settings={"destination_arn": "x", "format": "$context.identity.apiKey"}),
    ),
    ("api-logs", "prod", stage({"logging_level": "OFF"}, access_log_settings={"destination_arn": "x", "format": "{}"})),
    ("api-authorization", "prod", lambda: apigatewayv2.Route("r", api_id="a", route_key="$default")),
    ("firewall-no-credentials", "dev", firewall(CREDENTIALS[:-1])),
    ("firewall-no-credentials", "dev", firewall([])),
    ("firewall-no-credentials", "dev", firewall(samples=True)),
    ("alarm-actions", "dev", lambda: alarm(alarm_actions=["arn"], actions_enabled=False)),
    ("alarm-statistic", "dev", lambda: alarm(namespace="AWS/Lambda", metric_name="Errors", statistic="Sum")),
    ("alarm-missing-data", "dev", lambda: alarm(treat_missing_data="missing")),
    ("alarm-delivers", "dev", chain(use_key=USE_KEY)),
    ("alarm-delivers", "dev", chain(PUBLISH, key="alias/aws/sns")),
    ("alarm-delivers", "dev", chain(PUBLISH, {**USE_KEY, "Action": "kms:Decrypt"})),
    (
        "topic-not-public",
        "dev",
        topic({"Effect": "Allow", "Principal": {"Service": "s3.amazonaws.com"}, "Action": "sns:Publish"}),
    ),
    ("topic-tls-only", "dev", lambda: sns.Topic("t")),
    ("bucket-private", "dev", lambda: s3.Bucket("b")),
    ("no-ingress", "dev", lambda: ec2.SecurityGroup("g", ingress=[{"from_port": 1, "to_port": 1, "protocol": "tcp"}])),
    ("state-machine-logs", "prod", machine(tracing_configuration={"enabled": True})),
]

# What looks broken and is not.
ALSO_KEEPS: list[tuple[str, str, Program]] = [
    ("table-protected", "dev", table),
    ("role-named-resources", "dev", grants(Action="dynamodb:Query", Resource=f"{TABLE}/index/*")),
    ("role-named-resources", "dev", grants(Action="s3:PutObject", Resource="arn:aws:s3:::intake/requests/*")),
    (
        "role-named-resources",
        "dev",
        grants(
            Action="cloudwatch:PutMetricData",
            Resource="*",
            Condition={"StringEquals": {"cloudwatch:namespace": "TAP"}},
        ),
    ),
    ("role-named-resources", "dev", grants(Effect="Deny", Action="dynamodb:GetItem", Resource="*")),
    ("function-no-secrets", "dev", environment(TOKEN_SECRET_ARN="arn:aws:secretsmanager:us-east-1:1:secret:x")),
    ("function-no-secrets", "dev", environment(TOKENIZER="whitespace", URL="https://example.com")),
    (
        "api-throttled",
        "dev",
        lambda: apigatewayv2.Stage(
            "s", api_id="a", default_route_settings={"throttling_rate_limit": 17, "throttling_burst_limit": 50}
        ),
    ),
    ("api-authorization", "dev", CASES["api-authorization"].breaks),
    (
        "api-authorization",
        "prod",
        lambda: apigateway.Method("m", rest_api="a", resource_id="r", http_method="OPTIONS", authorization="NONE"),
    ),
    (
        "api-authorization",
        "prod",
        lambda: apigateway.Method(
            "m", rest_api="a", resource_id="r", http_method="GET", authorization="NONE", api_key_required=True
        ),
    ),
    ("firewall-logs", "dev", firewall()),
    ("alarm-delivers", "dev", chain(PUBLISH, key="arn:aws:kms:us-east-1:123456789012:key/1")),
    ("bucket-kept", "dev", CASES["bucket-kept"].breaks),
]
