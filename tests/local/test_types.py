"""Every resource type on the emulator, directly and as a provider plugin: made, read, changed, replaced, deleted.

One table of cases, two drivers. What a case says AWS must have is asked of boto3, not of the type under test.
"""

from __future__ import annotations

import json
import re
import subprocess
import uuid
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Protocol

import boto3
import grpc
import jmespath
import pytest
from pulumi._types import resource_types
from pulumi.runtime.proto import provider_pb2, provider_pb2_grpc, status_pb2
from pulumi.runtime.rpc import deserialize_properties, translate_output_properties

from lib.local.emulator import ACCESS_KEY, SECRET_KEY, Emulator
from lib.local.provider import Provider, install, serve
from lib.local.types import TYPES, find
from lib.local.types.archive import ARCHIVE, ASSET, SIGNATURE, hashed
from lib.local.types.core import UNKNOWN, Aws, Diff, RefusedError, ResourceError, UnknownInputError, Values
from lib.local.types.values import decode, encode
from tests.unit.local_types.test_against_pulumi_aws import promised, sdk

pytestmark = pytest.mark.local

TRUST = json.dumps(
    {
        "Version": "2012-10-17",
        "Statement": [
            {"Effect": "Allow", "Principal": {"Service": "lambda.amazonaws.com"}, "Action": "sts:AssumeRole"}
        ],
    }
)


def allow(action: str, resource: str = "*") -> str:
    statement = {"Effect": "Allow", "Action": action, "Resource": resource}
    return json.dumps({"Version": "2012-10-17", "Statement": [statement]})


def code(text: str) -> Values:
    return {SIGNATURE: ARCHIVE, "assets": {"index.py": {SIGNATURE: ASSET, "text": text}}}


@dataclass(frozen=True)
class Case:
    """What one type is tested with.

    `<name>` is a unique name, `${x.y}` the output `y` of the need `x`, `${self.y}` the resource's own.
    """

    token: str
    inputs: Values
    outputs: Values = field(default_factory=dict)  # what the resource must answer, beside its inputs
    seen: tuple[
        tuple[str, str, Values, Values], ...
    ] = ()  # (service, call, parameters, {JMESPath: value}) after creating
    update: Values | None = None  # inputs that change in place; None removes
    seen_after: tuple[tuple[str, str, Values, Values], ...] = ()
    replace: Values | None = None  # inputs whose change replaces it
    needs: tuple[tuple[str, str, Values], ...] = ()  # (name, token, inputs), made before it
    unread: frozenset[str] = frozenset()  # inputs that AWS never tells
    label: str = ""


TABLE = {
    "name": "<name>",
    "hashKey": "ItemId",
    "rangeKey": "CreatedAt",
    "billingMode": "PAY_PER_REQUEST",
    "attributes": [{"name": "ItemId", "type": "S"}, {"name": "CreatedAt", "type": "S"}],
}
ROLE = ("role", "aws:iam/role:Role", {"name": "<name>", "assumeRolePolicy": TRUST})
FUNCTION = (
    "function",
    "aws:lambda/function:Function",
    {
        "name": "<name>",
        "role": "${role.arn}",
        "runtime": "python3.12",
        "handler": "index.handler",
        "code": code("def handler(event, context): return 1"),
    },
)
API = ("api", "aws:apigateway/restApi:RestApi", {"name": "<name>"})
RESOURCE = (
    "resource",
    "aws:apigateway/resource:Resource",
    {"restApi": "${api.id}", "parentId": "${api.rootResourceId}", "pathPart": "things"},
)
AT = {"restApi": "${api.id}", "resourceId": "${resource.id}", "httpMethod": "GET"}
METHOD = (
    "method",
    "aws:apigateway/method:Method",
    {**AT, "authorization": "NONE"},
)
INTEGRATION = (
    "integration",
    "aws:apigateway/integration:Integration",
    {**AT, "type": "MOCK"},
)
DEPLOYMENT = ("deployment", "aws:apigateway/deployment:Deployment", {"restApi": "${api.id}"})
STAGE = (
    "stage",
    "aws:apigateway/stage:Stage",
    {"restApi": "${api.id}", "deployment": "${deployment.id}", "stageName": "prod"},
)
STAGED = (API, RESOURCE, METHOD, INTEGRATION, DEPLOYMENT, STAGE)
TOPIC = ("topic", "aws:sns/topic:Topic", {"name": "<name>"})
HTTP_API = ("api", "aws:apigatewayv2/api:Api", {"name": "<name>", "protocolType": "HTTP"})
VPC = ("vpc", "aws:ec2/vpc:Vpc", {"cidrBlock": "10.0.0.0/16"})
SUBNET = ("subnet", "aws:ec2/subnet:Subnet", {"vpcId": "${vpc.id}", "cidrBlock": "10.0.1.0/24"})
ROUTES = ("routes", "aws:ec2/routeTable:RouteTable", {"vpcId": "${vpc.id}"})
GROUP = ("group", "aws:ec2/securityGroup:SecurityGroup", {"name": "<name>", "vpcId": "${vpc.id}"})
BUCKET = ("bucket", "aws:s3/bucket:Bucket", {"bucket": "<name>"})
VISIBILITY = {"cloudwatchMetricsEnabled": True, "metricName": "m", "sampledRequestsEnabled": True}
ACL = (
    "acl",
    "aws:wafv2/webAcl:WebAcl",
    {"name": "<name>", "scope": "REGIONAL", "defaultAction": {"allow": {}}, "visibilityConfig": VISIBILITY},
)

CASES = [
    Case(
        "aws:dynamodb/table:Table",
        {
            **TABLE,
            "pointInTimeRecovery": {"enabled": True},
            "serverSideEncryption": {"enabled": True},
            "deletionProtectionEnabled": False,
            "ttl": {"attributeName": "expires", "enabled": True},
            "tags": {"Project": "tap", "Owner": "me"},
        },
        outputs={"id": "<name>", "arn": "arn:aws:dynamodb:us-east-1:123456789012:table/<name>", "streamArn": ""},
        seen=(
            (
                "dynamodb",
                "describe_table",
                {"TableName": "<name>"},
                {
                    "Table.BillingModeSummary.BillingMode": "PAY_PER_REQUEST",
                    "Table.KeySchema[0]": {"AttributeName": "ItemId", "KeyType": "HASH"},
                    "Table.KeySchema[1]": {"AttributeName": "CreatedAt", "KeyType": "RANGE"},
                    "Table.SSEDescription.Status": "ENABLED",
                },
            ),
            (
                "dynamodb",
                "describe_continuous_backups",
                {"TableName": "<name>"},
                {"ContinuousBackupsDescription.PointInTimeRecoveryDescription.PointInTimeRecoveryStatus": "ENABLED"},
            ),
            (
                "dynamodb",
                "list_tags_of_resource",
                {"ResourceArn": "${self.arn}"},
                {"sort_by(Tags, &Key)": [{"Key": "Owner", "Value": "me"}, {"Key": "Project", "Value": "tap"}]},
            ),
        ),
        update={
            "pointInTimeRecovery": {"enabled": False},
            "deletionProtectionEnabled": True,
            "ttl": None,
            "tags": {"Project": "other"},
        },
        seen_after=(
            (
                "dynamodb",
                "describe_table",
                {"TableName": "<name>"},
                {"Table.DeletionProtectionEnabled": True},
            ),
            (
                "dynamodb",
                "describe_continuous_backups",
                {"TableName": "<name>"},
                {"ContinuousBackupsDescription.PointInTimeRecoveryDescription.PointInTimeRecoveryStatus": "DISABLED"},
            ),
        ),
        replace={"hashKey": "Other"},
    ),
    Case(
        "aws:dynamodb/table:Table",
        {
            **TABLE,
            "attributes": [*TABLE["attributes"], {"name": "Kind", "type": "S"}],
            "globalSecondaryIndexes": [{"name": "kinds", "hashKey": "Kind", "projectionType": "ALL"}],
            "localSecondaryIndexes": [{"name": "local", "rangeKey": "Kind", "projectionType": "KEYS_ONLY"}],
            "streamEnabled": True,
            "streamViewType": "NEW_IMAGE",
        },
        outputs={"streamViewType": "NEW_IMAGE"},
        seen=(
            (
                "dynamodb",
                "describe_table",
                {"TableName": "<name>"},
                {
                    "Table.GlobalSecondaryIndexes[].IndexName": ["kinds"],
                    "Table.LocalSecondaryIndexes[].IndexName": ["local"],
                    "Table.StreamSpecification": {"StreamEnabled": True, "StreamViewType": "NEW_IMAGE"},
                },
            ),
        ),
        update={"globalSecondaryIndexes": [{"name": "kinds2", "hashKey": "Kind", "projectionType": "ALL"}]},
        seen_after=(
            (
                "dynamodb",
                "describe_table",
                {"TableName": "<name>"},
                {"Table.GlobalSecondaryIndexes[].IndexName": ["kinds2"]},
            ),
        ),
        replace={"localSecondaryIndexes": None},
        label="with indexes and a stream",
    ),
    Case(
        "aws:iam/role:Role",
        {"name": "<name>", "assumeRolePolicy": TRUST, "description": "one", "tags": {"a": "b"}},
        outputs={"id": "<name>", "arn": "arn:aws:iam::123456789012:role/<name>", "managedPolicyArns": []},
        seen=(("iam", "get_role", {"RoleName": "<name>"}, {"Role.Description": "one", "Role.RoleName": "<name>"}),),
        update={"description": "two", "maxSessionDuration": 7200, "tags": {"a": "c"}},
        seen_after=(
            ("iam", "get_role", {"RoleName": "<name>"}, {"Role.Description": "two", "Role.MaxSessionDuration": 7200}),
        ),
        replace={"path": "/other/"},
    ),
    Case(
        "aws:iam/rolePolicy:RolePolicy",
        {"name": "<name>", "role": "${role.name}", "policy": allow("dynamodb:GetItem")},
        outputs={"id": "${role.name}:<name>"},
        seen=(
            (
                "iam",
                "get_role_policy",
                {"RoleName": "${role.name}", "PolicyName": "<name>"},
                {"PolicyDocument.Statement[0].Action": "dynamodb:GetItem"},
            ),
        ),
        update={"policy": allow("dynamodb:Query")},
        seen_after=(
            (
                "iam",
                "get_role_policy",
                {"RoleName": "${role.name}", "PolicyName": "<name>"},
                {"PolicyDocument.Statement[0].Action": "dynamodb:Query"},
            ),
        ),
        replace={"name": "<name>-2"},
        needs=(ROLE,),
    ),
    Case(
        "aws:iam/rolePolicyAttachment:RolePolicyAttachment",
        {
            "role": "${role.name}",
            "policyArn": "arn:aws:iam::aws:policy/service-role/AWSLambdaBasicExecutionRole",
        },
        seen=(
            (
                "iam",
                "list_attached_role_policies",
                {"RoleName": "${role.name}"},
                {"AttachedPolicies[].PolicyName": ["AWSLambdaBasicExecutionRole"]},
            ),
        ),
        replace={"policyArn": "arn:aws:iam::aws:policy/AWSXrayWriteOnlyAccess"},
        needs=(ROLE,),
    ),
    Case(
        "aws:cloudwatch/logGroup:LogGroup",
        {"name": "/aws/lambda/<name>", "retentionInDays": 14, "tags": {"a": "b"}},
        outputs={"id": "/aws/lambda/<name>", "arn": "arn:aws:logs:us-east-1:123456789012:log-group:/aws/lambda/<name>"},
        seen=(
            (
                "logs",
                "describe_log_groups",
                {"logGroupNamePrefix": "/aws/lambda/<name>"},
                {"logGroups[0].retentionInDays": 14},
            ),
        ),
        update={"retentionInDays": None, "tags": {"a": "c", "d": "e"}},
        seen_after=(
            (
                "logs",
                "describe_log_groups",
                {"logGroupNamePrefix": "/aws/lambda/<name>"},
                {"logGroups[0].retentionInDays": None},
            ),
        ),
        replace={"name": "/other/<name>"},
    ),
    Case(
        "aws:lambda/function:Function",
        {
            **FUNCTION[2],
            "timeout": 5,
            "memorySize": 256,
            "publish": True,
            "description": "one",
            "environment": {"variables": {"DYNAMODB_TABLE_NAME": "t"}},
            "tracingConfig": {"mode": "Active"},
            "reservedConcurrentExecutions": 3,
            "tags": {"a": "b"},
        },
        outputs={
            "version": "1",
            "arn": "arn:aws:lambda:us-east-1:123456789012:function:<name>",
            "qualifiedArn": "arn:aws:lambda:us-east-1:123456789012:function:<name>:1",
            "invokeArn": "arn:aws:apigateway:us-east-1:lambda:path/2015-03-31/functions/"
            "arn:aws:lambda:us-east-1:123456789012:function:<name>/invocations",
        },
        seen=(
            (
                "lambda",
                "get_function",
                {"FunctionName": "<name>"},
                {
                    "Configuration.Timeout": 5,
                    "Configuration.MemorySize": 256,
                    "Configuration.Environment.Variables": {"DYNAMODB_TABLE_NAME": "t"},
                    "Configuration.TracingConfig.Mode": "Active",
                    "Concurrency.ReservedConcurrentExecutions": 3,
                    "Tags": {"a": "b"},
                },
            ),
        ),
        update={
            "code": code("def handler(event, context): return 2"),
            "timeout": None,
            "environment": None,
            "reservedConcurrentExecutions": None,
            "tags": None,
        },
        seen_after=(
            ("lambda", "get_function", {"FunctionName": "<name>"}, {"Configuration.Timeout": 3, "Tags": {}}),
            (
                "lambda",
                "list_versions_by_function",
                {"FunctionName": "<name>"},
                {"Versions[].Version": ["$LATEST", "1", "2"]},
            ),
        ),
        replace={"name": "<name>-2"},
        needs=(ROLE,),
        unread=frozenset({"code", "publish"}),
    ),
    Case(
        "aws:lambda/permission:Permission",
        {
            "statementId": "api",
            "function": "${function.name}",
            "action": "lambda:InvokeFunction",
            "principal": "apigateway.amazonaws.com",
            "sourceArn": "arn:aws:execute-api:us-east-1:123456789012:abc/prod/*",
        },
        outputs={"id": "api"},
        replace={"sourceArn": "arn:aws:execute-api:us-east-1:123456789012:abc/other/*"},
        needs=(ROLE, FUNCTION),
        unread=frozenset({"function"}),
    ),
    Case(
        "aws:apigateway/restApi:RestApi",
        {
            "name": "<name>",
            "description": "one",
            "endpointConfiguration": {"types": "REGIONAL"},
            "tags": {"a": "b"},
        },
        outputs={"arn": "arn:aws:apigateway:us-east-1::/restapis/${self.id}", "apiKeySource": "HEADER"},
        seen=(
            (
                "apigateway",
                "get_rest_api",
                {"restApiId": "${self.id}"},
                {"name": "<name>", "endpointConfiguration.types": ["REGIONAL"], "tags": {"a": "b"}},
            ),
        ),
        update={"name": "<name>-2", "description": None, "tags": {"a": "c"}},
        seen_after=(
            ("apigateway", "get_rest_api", {"restApiId": "${self.id}"}, {"name": "<name>-2"}),
            ("apigateway", "get_tags", {"resourceArn": "${self.arn}"}, {"tags": {"a": "c"}}),
        ),
    ),
    Case(
        "aws:apigateway/resource:Resource",
        {"restApi": "${api.id}", "parentId": "${api.rootResourceId}", "pathPart": "{id}"},
        outputs={"path": "/{id}"},
        replace={"restApi": "another"},
        needs=(API,),
        unread=frozenset({"restApi"}),
    ),
    Case(
        "aws:apigateway/method:Method",
        {
            **METHOD[2],
            "requestParameters": {"method.request.path.id": True},
            "operationName": "get",
        },
        outputs={"id": "agm-${api.id}-${resource.id}-GET"},
        seen=(
            (
                "apigateway",
                "get_method",
                {"restApiId": "${api.id}", "resourceId": "${resource.id}", "httpMethod": "GET"},
                {"authorizationType": "NONE", "requestParameters": {"method.request.path.id": True}},
            ),
        ),
        update={"apiKeyRequired": True, "authorization": "AWS_IAM", "requestParameters": None},
        replace={"httpMethod": "POST"},
        needs=(API, RESOURCE),
        unread=frozenset({"restApi", "resourceId"}),
    ),
    Case(
        "aws:apigateway/methodResponse:MethodResponse",
        {
            **AT,
            "statusCode": "200",
            "responseModels": {"application/json": "Empty"},
        },
        outputs={"id": "agmr-${api.id}-${resource.id}-GET-200"},
        replace={"statusCode": "201"},
        needs=(API, RESOURCE, METHOD),
        unread=frozenset({"restApi", "resourceId", "httpMethod"}),
    ),
    Case(
        "aws:apigateway/integration:Integration",
        {
            "restApi": "${api.id}",
            "resourceId": "${resource.id}",
            "httpMethod": "GET",
            "type": "AWS_PROXY",
            "integrationHttpMethod": "POST",
            "uri": "${function.invokeArn}",
            "timeoutMilliseconds": 10000,
            "requestTemplates": {"application/json": "{}"},
        },
        outputs={"id": "agi-${api.id}-${resource.id}-GET", "passthroughBehavior": "WHEN_NO_MATCH"},
        seen=(
            (
                "apigateway",
                "get_integration",
                {"restApiId": "${api.id}", "resourceId": "${resource.id}", "httpMethod": "GET"},
                {"type": "AWS_PROXY", "httpMethod": "POST", "uri": "${function.invokeArn}", "timeoutInMillis": 10000},
            ),
        ),
        update={"timeoutMilliseconds": None, "requestTemplates": {"text/plain": "x"}},
        seen_after=(
            (
                "apigateway",
                "get_integration",
                {"restApiId": "${api.id}", "resourceId": "${resource.id}", "httpMethod": "GET"},
                {"timeoutInMillis": 29000, "requestTemplates": {"text/plain": "x"}},
            ),
        ),
        replace={"type": "MOCK"},
        needs=(ROLE, FUNCTION, API, RESOURCE, METHOD),
        unread=frozenset({"restApi", "resourceId", "httpMethod"}),
    ),
    Case(
        "aws:apigateway/integrationResponse:IntegrationResponse",
        {**AT, "statusCode": "200", "responseTemplates": {"application/json": "{}"}},
        outputs={"id": "agir-${api.id}-${resource.id}-GET-200"},
        update={"responseTemplates": {"application/json": '{"a": 1}'}},
        replace={"statusCode": "201"},
        needs=(
            API,
            RESOURCE,
            METHOD,
            INTEGRATION,
            (
                "response",
                "aws:apigateway/methodResponse:MethodResponse",
                {**AT, "statusCode": "200"},
            ),
        ),
        unread=frozenset({"restApi", "resourceId", "httpMethod"}),
    ),
    Case(
        "aws:apigateway/response:Response",
        {
            "restApiId": "${api.id}",
            "responseType": "THROTTLED",
            "statusCode": "429",
            "responseParameters": {"gatewayresponse.header.Retry-After": "'1'"},
            "responseTemplates": {"application/json": '{"code": "too-many-requests"}'},
        },
        outputs={"id": "aggr-${api.id}-THROTTLED"},
        seen=(
            (
                "apigateway",
                "get_gateway_response",
                {"restApiId": "${api.id}", "responseType": "THROTTLED"},
                {
                    "statusCode": "429",
                    "responseParameters": {"gatewayresponse.header.Retry-After": "'1'"},
                    "responseTemplates": {"application/json": '{"code": "too-many-requests"}'},
                },
            ),
        ),
        update={"statusCode": "503"},
        replace={"responseType": "WAF_FILTERED"},
        needs=(API,),
        unread=frozenset({"restApiId"}),
    ),
    Case(
        "aws:apigateway/deployment:Deployment",
        {"restApi": "${api.id}", "description": "one", "triggers": {"routes": "abc"}},
        update={"description": "two"},
        replace={"triggers": {"routes": "def"}},
        needs=(API, RESOURCE, METHOD, INTEGRATION),
        unread=frozenset({"restApi", "triggers"}),
    ),
    Case(
        "aws:apigateway/stage:Stage",
        {
            **STAGE[2],
            "description": "one",
            "variables": {"a": "1", "b": "2"},
            "xrayTracingEnabled": True,
            "accessLogSettings": {"destinationArn": "${logs.arn}", "format": "$context.requestId"},
            "tags": {"a": "b"},
        },
        outputs={
            "id": "ags-${api.id}-prod",
            "arn": "arn:aws:apigateway:us-east-1::/restapis/${api.id}/stages/prod",
            "executionArn": "arn:aws:execute-api:us-east-1:123456789012:${api.id}/prod",
            "invokeUrl": "https://${api.id}.execute-api.us-east-1.amazonaws.com/prod",
        },
        seen=(
            (
                "apigateway",
                "get_stage",
                {"restApiId": "${api.id}", "stageName": "prod"},
                {
                    "variables": {"a": "1", "b": "2"},
                    "accessLogSettings.format": "$context.requestId",
                    "tags": {"a": "b"},
                },
            ),
        ),
        update={"variables": {"a": "3"}, "xrayTracingEnabled": None, "accessLogSettings": None, "tags": {"a": "c"}},
        seen_after=(
            (
                "apigateway",
                "get_stage",
                {"restApiId": "${api.id}", "stageName": "prod"},
                {"variables": {"a": "3"}, "accessLogSettings": None},
            ),
        ),
        replace={"stageName": "other"},
        needs=(*STAGED[:-1], ("logs", "aws:cloudwatch/logGroup:LogGroup", {"name": "<name>"})),
        unread=frozenset({"restApi"}),
    ),
    Case(
        "aws:apigateway/methodSettings:MethodSettings",
        {
            "restApi": "${api.id}",
            "stageName": "${stage.stageName}",
            "methodPath": "*/*",
            "settings": {"throttlingRateLimit": 17, "throttlingBurstLimit": 50, "metricsEnabled": True},
        },
        outputs={"id": "${api.id}-prod-*/*"},
        seen=(
            (
                "apigateway",
                "get_stage",
                {"restApiId": "${api.id}", "stageName": "prod"},
                {'methodSettings."*/*".throttlingRateLimit': 17.0, 'methodSettings."*/*".throttlingBurstLimit': 50},
            ),
        ),
        update={"settings": {"throttlingRateLimit": 1.5, "throttlingBurstLimit": 2}},
        seen_after=(
            (
                "apigateway",
                "get_stage",
                {"restApiId": "${api.id}", "stageName": "prod"},
                {'methodSettings."*/*".throttlingRateLimit': 1.5, 'methodSettings."*/*".throttlingBurstLimit': 2},
            ),
        ),
        replace={"methodPath": "things/GET"},
        needs=STAGED,
        unread=frozenset({"restApi", "stageName", "methodPath"}),
    ),
    Case(
        "aws:apigateway/account:Account",
        {"cloudwatchRoleArn": "${role.arn}"},
        outputs={"id": "api-gateway-account"},
        seen=(("apigateway", "get_account", {}, {"cloudwatchRoleArn": "${role.arn}"}),),
        needs=(ROLE,),
    ),
    Case(
        "aws:apigateway/authorizer:Authorizer",
        {
            "restApi": "${api.id}",
            "name": "<name>",
            "type": "TOKEN",
            "authorizerUri": "${function.invokeArn}",
            "authorizerResultTtlInSeconds": 0,
        },
        update={"authorizerResultTtlInSeconds": 60},
        replace={"restApi": "another"},
        needs=(ROLE, FUNCTION, API),
        unread=frozenset({"restApi"}),
    ),
    Case(
        "aws:apigateway/apiKey:ApiKey",
        {"name": "<name>", "description": "one", "value": "0123456789abcdefghijklmnop", "tags": {"a": "b"}},
        outputs={"arn": "arn:aws:apigateway:us-east-1::/apikeys/${self.id}"},
        update={"description": "two", "enabled": False, "tags": {"a": "c"}},
        replace={"name": "<name>-2"},
    ),
    Case(
        "aws:apigateway/usagePlan:UsagePlan",
        {
            "name": "<name>",
            "apiStages": [{"apiId": "${api.id}", "stage": "${stage.stageName}"}],
            "quotaSettings": {"limit": 100, "period": "DAY"},
            "throttleSettings": {"rateLimit": 10, "burstLimit": 20},
            "tags": {"a": "b"},
        },
        outputs={"arn": "arn:aws:apigateway:us-east-1::/usageplans/${self.id}"},
        seen=(
            (
                "apigateway",
                "get_usage_plan",
                {"usagePlanId": "${self.id}"},
                {"throttle.burstLimit": 20, "quota.limit": 100, "apiStages[0].stage": "prod"},
            ),
        ),
        update={"throttleSettings": {"rateLimit": 10, "burstLimit": 40}, "tags": {"a": "c"}},
        needs=STAGED,
    ),
    Case(
        "aws:apigateway/usagePlanKey:UsagePlanKey",
        {"keyId": "${key.id}", "keyType": "API_KEY", "usagePlanId": "${plan.id}"},
        outputs={"name": "${key.name}"},
        needs=(
            ("key", "aws:apigateway/apiKey:ApiKey", {"name": "<name>"}),
            ("plan", "aws:apigateway/usagePlan:UsagePlan", {"name": "<name>"}),
        ),
        replace={"keyId": "another"},
        unread=frozenset({"usagePlanId"}),
    ),
    Case(
        "aws:apigateway/domainName:DomainName",
        {
            "domainName": "<name>.example.com",
            "regionalCertificateArn": "arn:aws:acm:us-east-1:123456789012:certificate/1",
            "endpointConfiguration": {"types": "REGIONAL"},
            "securityPolicy": "TLS_1_2",
        },
        outputs={"id": "<name>.example.com"},
        replace={"domainName": "other.example.com"},
    ),
    Case(
        "aws:apigateway/basePathMapping:BasePathMapping",
        {"domainName": "${domain.domainName}", "restApi": "${api.id}", "stageName": "prod", "basePath": "v1"},
        outputs={"id": "${domain.domainName}/v1"},
        replace={"domainName": "other.example.com"},
        needs=(*STAGED, ("domain", "aws:apigateway/domainName:DomainName", {"domainName": "<name>.example.com"})),
        unread=frozenset({"domainName"}),
    ),
    Case(
        "aws:sns/topic:Topic",
        {"name": "<name>", "displayName": "one", "tags": {"a": "b"}},
        outputs={"id": "arn:aws:sns:us-east-1:123456789012:<name>", "owner": "123456789012"},
        seen=(("sns", "get_topic_attributes", {"TopicArn": "${self.arn}"}, {"Attributes.DisplayName": "one"}),),
        update={"displayName": None, "tags": None},
        seen_after=(("sns", "get_topic_attributes", {"TopicArn": "${self.arn}"}, {"Attributes.DisplayName": ""}),),
        replace={"name": "<name>-2"},
    ),
    Case(
        "aws:sns/topicPolicy:TopicPolicy",
        {"arn": "${topic.arn}", "policy": allow("sns:Publish", "${topic.arn}")},
        outputs={"id": "${topic.arn}", "owner": "123456789012"},
        update={"policy": allow("sns:Subscribe", "${topic.arn}")},
        replace={"arn": "arn:aws:sns:us-east-1:123456789012:other"},
        needs=(TOPIC,),
    ),
    Case(
        "aws:sns/topicSubscription:TopicSubscription",
        {
            "topic": "${topic.arn}",
            "protocol": "sqs",
            "endpoint": "arn:aws:sqs:us-east-1:123456789012:q",
            "rawMessageDelivery": True,
            "filterPolicy": '{"kind": ["a"]}',
        },
        outputs={"ownerId": "123456789012"},
        update={"rawMessageDelivery": None, "filterPolicy": '{"kind": ["b"]}'},
        replace={"endpoint": "arn:aws:sqs:us-east-1:123456789012:other"},
        needs=(TOPIC,),
    ),
    Case(
        "aws:cloudwatch/metricAlarm:MetricAlarm",
        {
            "name": "<name>",
            "alarmDescription": "one",
            "namespace": "AWS/Lambda",
            "metricName": "Errors",
            "dimensions": {"FunctionName": "f"},
            "statistic": "Sum",
            "comparisonOperator": "GreaterThanOrEqualToThreshold",
            "threshold": 1,
            "period": 60,
            "evaluationPeriods": 1,
            "treatMissingData": "notBreaching",
            "alarmActions": ["${topic.arn}"],
            "tags": {"a": "b"},
        },
        outputs={"id": "<name>", "arn": "arn:aws:cloudwatch:us-east-1:123456789012:alarm:<name>"},
        seen=(
            (
                "cloudwatch",
                "describe_alarms",
                {"AlarmNames": ["<name>"]},
                {
                    "MetricAlarms[0].Dimensions": [{"Name": "FunctionName", "Value": "f"}],
                    "MetricAlarms[0].TreatMissingData": "notBreaching",
                    "MetricAlarms[0].AlarmActions": ["${topic.arn}"],
                },
            ),
        ),
        update={"threshold": 2.5, "treatMissingData": None, "alarmActions": None, "tags": {"a": "c"}},
        seen_after=(
            (
                "cloudwatch",
                "describe_alarms",
                {"AlarmNames": ["<name>"]},
                {"MetricAlarms[0].Threshold": 2.5, "MetricAlarms[0].AlarmActions": []},
            ),
        ),
        replace={"name": "<name>-2"},
        needs=(TOPIC,),
    ),
    Case(
        "aws:cloudwatch/dashboard:Dashboard",
        {"dashboardName": "<name>", "dashboardBody": json.dumps({"widgets": []})},
        outputs={"id": "<name>"},
        update={"dashboardBody": json.dumps({"widgets": [{"type": "text", "properties": {"markdown": "hi"}}]})},
        replace={"dashboardName": "<name>-2"},
    ),
    Case(
        "aws:wafv2/webAcl:WebAcl",
        {
            **ACL[2],
            "rules": [
                {
                    "name": "rate",
                    "priority": 1,
                    "action": {"block": {}},
                    "statement": {"rateBasedStatement": {"limit": 1000, "aggregateKeyType": "IP"}},
                    "visibilityConfig": VISIBILITY,
                }
            ],
            "tags": {"a": "b"},
        },
        seen=(
            (
                "wafv2",
                "get_web_acl",
                {"Name": "<name>", "Scope": "REGIONAL", "Id": "${self.id}"},
                {
                    "WebACL.Rules[0].Statement.RateBasedStatement.Limit": 1000,
                    "WebACL.VisibilityConfig.CloudWatchMetricsEnabled": True,
                    "WebACL.DefaultAction": {"Allow": {}},
                },
            ),
        ),
        update={"defaultAction": {"block": {}}, "rules": None, "tags": {"a": "c"}},
        seen_after=(
            (
                "wafv2",
                "get_web_acl",
                {"Name": "<name>", "Scope": "REGIONAL", "Id": "${self.id}"},
                {"WebACL.DefaultAction": {"Block": {}}, "WebACL.Rules": []},
            ),
        ),
        replace={"scope": "CLOUDFRONT"},
        unread=frozenset({"scope"}),
    ),
    Case(
        "aws:wafv2/webAclAssociation:WebAclAssociation",
        {"webAclArn": "${acl.arn}", "resourceArn": "${stage.arn}"},
        outputs={"id": "${acl.arn},${stage.arn}"},
        replace={"resourceArn": "another"},
        needs=(ACL, *STAGED),
        unread=frozenset({"resourceArn"}),
    ),
    Case(
        "aws:wafv2/webAclLoggingConfiguration:WebAclLoggingConfiguration",
        {
            "resourceArn": "${acl.arn}",
            "logDestinationConfigs": ["${logs.arn}"],
            "redactedFields": [{"queryString": {}}, {"singleHeader": {"name": "cookie"}}],
            "loggingFilter": {
                "defaultBehavior": "DROP",
                "filters": [
                    {
                        "behavior": "KEEP",
                        "requirement": "MEETS_ANY",
                        "conditions": [{"actionCondition": {"action": "BLOCK"}}],
                    }
                ],
            },
        },
        outputs={"id": "${acl.arn}"},
        update={"redactedFields": None},
        replace={"logDestinationConfigs": ["another"]},
        needs=(ACL, ("logs", "aws:cloudwatch/logGroup:LogGroup", {"name": "aws-waf-logs-<name>"})),
        unread=frozenset({"logDestinationConfigs", "redactedFields", "loggingFilter"}),
    ),
    Case(
        "aws:apigatewayv2/api:Api",
        {
            "name": "<name>",
            "protocolType": "HTTP",
            "corsConfiguration": {"allowOrigins": ["*"], "allowMethods": ["*"], "allowHeaders": ["*"], "maxAge": 300},
            "tags": {"a": "b"},
        },
        outputs={
            "apiEndpoint": "https://${self.id}.execute-api.us-east-1.amazonaws.com",
            "executionArn": "arn:aws:execute-api:us-east-1:123456789012:${self.id}",
        },
        seen=(
            (
                "apigatewayv2",
                "get_api",
                {"ApiId": "${self.id}"},
                {"Name": "<name>", "CorsConfiguration.MaxAge": 300, "Tags": {"a": "b"}},
            ),
        ),
        update={"corsConfiguration": None, "description": "two", "tags": {"a": "c"}},
        seen_after=(("apigatewayv2", "get_api", {"ApiId": "${self.id}"}, {"CorsConfiguration": None}),),
        replace={"protocolType": "WEBSOCKET"},
    ),
    Case(
        "aws:apigatewayv2/stage:Stage",
        {
            "apiId": "${api.id}",
            "name": "$default",
            "autoDeploy": True,
            "defaultRouteSettings": {"throttlingRateLimit": 10, "throttlingBurstLimit": 20},
            "routeSettings": [{"routeKey": "GET /", "throttlingRateLimit": 1}],
            "tags": {"a": "b"},
        },
        outputs={"id": "$default", "invokeUrl": "https://${api.id}.execute-api.us-east-1.amazonaws.com/"},
        update={"defaultRouteSettings": {"throttlingRateLimit": 5, "throttlingBurstLimit": 20}, "description": "two"},
        replace={"name": "other"},
        needs=(HTTP_API,),
        unread=frozenset({"apiId"}),
    ),
    Case(
        "aws:apigatewayv2/integration:Integration",
        {
            "apiId": "${api.id}",
            "integrationType": "AWS_PROXY",
            "integrationUri": "${function.invokeArn}",
            "payloadFormatVersion": "2.0",
            "integrationMethod": "POST",
        },
        update={"timeoutMilliseconds": 5000},
        replace={"integrationType": "HTTP_PROXY"},
        needs=(ROLE, FUNCTION, HTTP_API),
        unread=frozenset({"apiId"}),
    ),
    Case(
        "aws:apigatewayv2/route:Route",
        {"apiId": "${api.id}", "routeKey": "GET /items", "target": "integrations/abc"},
        update={"routeKey": "POST /items", "authorizationType": "AWS_IAM"},
        replace={"apiId": "another"},
        needs=(HTTP_API,),
        unread=frozenset({"apiId"}),
    ),
    Case(
        "aws:apigatewayv2/authorizer:Authorizer",
        {
            "apiId": "${api.id}",
            "name": "<name>",
            "authorizerType": "JWT",
            "identitySources": ["$request.header.Authorization"],
            "jwtConfiguration": {"audiences": ["me"], "issuer": "https://example.com"},
        },
        update={"jwtConfiguration": {"audiences": ["you"], "issuer": "https://example.com"}},
        needs=(HTTP_API,),
        unread=frozenset({"apiId"}),
    ),
    Case(
        "aws:ec2/vpc:Vpc",
        {"cidrBlock": "10.1.0.0/16", "enableDnsHostnames": True, "tags": {"Name": "<name>"}},
        outputs={"arn": "arn:aws:ec2:us-east-1:123456789012:vpc/${self.id}"},
        update={"enableDnsHostnames": None, "tags": {"Name": "other"}},
        replace={"cidrBlock": "10.2.0.0/16"},
    ),
    Case(
        "aws:ec2/subnet:Subnet",
        {**SUBNET[2], "availabilityZone": "us-east-1b", "tags": {"Name": "<name>"}},
        seen=(
            (
                "ec2",
                "describe_subnets",
                {"SubnetIds": ["${self.id}"]},
                {"Subnets[0].AvailabilityZone": "us-east-1b", "Subnets[0].CidrBlock": "10.0.1.0/24"},
            ),
        ),
        update={"mapPublicIpOnLaunch": True},
        replace={"cidrBlock": "10.0.2.0/24"},
        needs=(VPC,),
    ),
    Case(
        "aws:ec2/routeTable:RouteTable",
        {"vpcId": "${vpc.id}", "tags": {"Name": "<name>"}},
        update={"tags": {"Name": "other"}},
        replace={"vpcId": "another"},
        needs=(VPC,),
    ),
    Case(
        "aws:ec2/routeTableAssociation:RouteTableAssociation",
        {"routeTableId": "${routes.id}", "subnetId": "${subnet.id}"},
        replace={"routeTableId": "another"},
        needs=(VPC, SUBNET, ROUTES),
    ),
    Case(
        "aws:ec2/securityGroup:SecurityGroup",
        {
            "name": "<name>",
            "description": "one",
            "vpcId": "${vpc.id}",
            "egress": [{"protocol": "tcp", "fromPort": 443, "toPort": 443, "cidrBlocks": ["10.0.0.0/16"]}],
            "tags": {"Name": "<name>"},
        },
        seen=(
            (
                "ec2",
                "describe_security_groups",
                {"GroupIds": ["${self.id}"]},
                {
                    "SecurityGroups[0].IpPermissions": [],
                    "SecurityGroups[0].IpPermissionsEgress[].IpRanges[].CidrIp": ["10.0.0.0/16"],
                },
            ),
        ),
        update={
            "egress": [],
            "ingress": [{"protocol": "-1", "fromPort": 0, "toPort": 0, "cidrBlocks": ["10.0.0.0/8"]}],
        },
        seen_after=(
            (
                "ec2",
                "describe_security_groups",
                {"GroupIds": ["${self.id}"]},
                {"SecurityGroups[0].IpPermissionsEgress": []},
            ),
        ),
        replace={"description": "two"},
        needs=(VPC,),
    ),
    Case(
        "aws:vpc/securityGroupEgressRule:SecurityGroupEgressRule",
        {
            "securityGroupId": "${group.id}",
            "ipProtocol": "tcp",
            "fromPort": 443,
            "toPort": 443,
            "cidrIpv4": "10.0.0.0/16",
            "description": "to the endpoint",
        },
        update={"toPort": 444},
        replace={"securityGroupId": "another"},
        needs=(VPC, GROUP),
    ),
    Case(
        "aws:vpc/securityGroupIngressRule:SecurityGroupIngressRule",
        {"securityGroupId": "${group.id}", "ipProtocol": "-1", "referencedSecurityGroupId": "${group.id}"},
        needs=(VPC, GROUP),
    ),
    Case(
        "aws:ec2/vpcEndpoint:VpcEndpoint",
        {
            "vpcId": "${vpc.id}",
            "serviceName": "com.amazonaws.us-east-1.dynamodb",
            "vpcEndpointType": "Gateway",
            "routeTableIds": ["${routes.id}"],
            "tags": {"Name": "<name>"},
        },
        seen=(
            (
                "ec2",
                "describe_vpc_endpoints",
                {"VpcEndpointIds": ["${self.id}"]},
                {"VpcEndpoints[0].RouteTableIds": ["${routes.id}"]},
            ),
        ),
        update={"routeTableIds": None},
        replace={"serviceName": "com.amazonaws.us-east-1.s3"},
        needs=(VPC, ROUTES),
    ),
    Case(
        "aws:ec2/flowLog:FlowLog",
        {
            "vpcId": "${vpc.id}",
            "trafficType": "ALL",
            "logDestination": "${logs.arn}",
            "iamRoleArn": "${role.arn}",
            "tags": {"Name": "<name>"},
        },
        update={"tags": {"Name": "other"}},
        replace={"trafficType": "REJECT"},
        needs=(VPC, ROLE, ("logs", "aws:cloudwatch/logGroup:LogGroup", {"name": "<name>"})),
        unread=frozenset({"iamRoleArn"}),  # AWS tells it, the emulator does not keep it
    ),
    Case(
        "aws:s3/bucket:Bucket",
        {"bucket": "<name>", "forceDestroy": True, "tags": {"a": "b"}},
        outputs={
            "id": "<name>",
            "arn": "arn:aws:s3:::<name>",
            "bucketRegionalDomainName": "<name>.s3.us-east-1.amazonaws.com",
        },
        seen=(("s3", "get_bucket_tagging", {"Bucket": "<name>"}, {"TagSet": [{"Key": "a", "Value": "b"}]}),),
        update={"tags": {"c": "d"}},
        replace={"bucket": "<name>-2"},
        unread=frozenset({"forceDestroy"}),
    ),
    Case(
        "aws:s3/bucketPublicAccessBlock:BucketPublicAccessBlock",
        {"bucket": "${bucket.id}", "blockPublicAcls": True, "blockPublicPolicy": True, "ignorePublicAcls": True},
        seen=(
            (
                "s3",
                "get_public_access_block",
                {"Bucket": "${bucket.id}"},
                {"PublicAccessBlockConfiguration.BlockPublicPolicy": True},
            ),
        ),
        update={"restrictPublicBuckets": True, "blockPublicAcls": None},
        replace={"bucket": "another"},
        needs=(BUCKET,),
    ),
    Case(
        "aws:s3/bucketServerSideEncryptionConfiguration:BucketServerSideEncryptionConfiguration",
        {
            "bucket": "${bucket.id}",
            "rules": [{"applyServerSideEncryptionByDefault": {"sseAlgorithm": "AES256"}, "bucketKeyEnabled": False}],
        },
        seen=(
            (
                "s3",
                "get_bucket_encryption",
                {"Bucket": "${bucket.id}"},
                {"*.Rules[0].ApplyServerSideEncryptionByDefault.SSEAlgorithm": ["AES256"]},
            ),
        ),
        update={
            "rules": [{"applyServerSideEncryptionByDefault": {"sseAlgorithm": "aws:kms"}, "bucketKeyEnabled": True}]
        },
        needs=(BUCKET,),
    ),
    Case(
        "aws:s3/bucketOwnershipControls:BucketOwnershipControls",
        {"bucket": "${bucket.id}", "rule": {"objectOwnership": "BucketOwnerEnforced"}},
        update={"rule": {"objectOwnership": "BucketOwnerPreferred"}},
        needs=(BUCKET,),
    ),
    Case(
        "aws:s3/bucketPolicy:BucketPolicy",
        {
            "bucket": "${bucket.id}",
            "policy": json.dumps(
                {
                    "Version": "2012-10-17",
                    "Statement": [
                        {
                            "Effect": "Deny",
                            "Principal": "*",
                            "Action": "s3:*",
                            "Resource": "${bucket.arn}/*",
                            "Condition": {"Bool": {"aws:SecureTransport": "false"}},
                        }
                    ],
                }
            ),
        },
        needs=(BUCKET,),
    ),
    Case(
        "aws:sfn/stateMachine:StateMachine",
        {
            "name": "<name>",
            "roleArn": "${role.arn}",
            "definition": json.dumps({"StartAt": "Only", "States": {"Only": {"Type": "Pass", "End": True}}}),
            "loggingConfiguration": {"level": "ALL", "includeExecutionData": False, "logDestination": "${logs.arn}:*"},
            "tags": {"a": "b"},
        },
        outputs={"id": "arn:aws:states:us-east-1:123456789012:stateMachine:<name>", "status": "ACTIVE"},
        update={
            "definition": json.dumps({"StartAt": "One", "States": {"One": {"Type": "Pass", "End": True}}}),
            "tags": {"a": "c"},
        },
        replace={"type": "EXPRESS"},
        needs=(ROLE, ("logs", "aws:cloudwatch/logGroup:LogGroup", {"name": "<name>"})),
    ),
]


# AWS has these whether anybody asks or not; deleting one puts AWS's own back.
ALWAYS_THERE = {
    "aws:apigateway/account:Account",
    "aws:s3/bucketServerSideEncryptionConfiguration:BucketServerSideEncryptionConfiguration",
}
# The emulator has no call for these (docs/emulator.md), so nothing of one is left in it, and nothing is missed.
ONLY_IN_STATE = {"aws:wafv2/webAclLoggingConfiguration:WebAclLoggingConfiguration"}


class Driver(Protocol):
    """Either way to a type."""

    def check(self, token: str, news: Values, olds: Values) -> Values: ...
    def create(self, token: str, inputs: Values) -> tuple[str, Values]: ...
    def diff(self, token: str, olds: Values, news: Values, state: Values) -> Diff: ...
    def read(self, token: str, resource_id: str, inputs: Values, state: Values) -> tuple[Values, Values] | None: ...
    def update(self, token: str, resource_id: str, olds: Values, news: Values, state: Values) -> Values: ...
    def delete(self, token: str, resource_id: str, state: Values) -> None: ...


class Direct:
    """As the engine-free deploy calls them."""

    def __init__(self, aws: Aws) -> None:
        self._aws = aws

    def check(self, token: str, news: Values, olds: Values) -> Values:
        return find(token).check(self._aws, "logical", hashed(news), olds)

    def create(self, token: str, inputs: Values) -> tuple[str, Values]:
        return find(token).create_resource(self._aws, inputs)

    def diff(self, token: str, olds: Values, news: Values, state: Values) -> Diff:  # noqa: ARG002
        return find(token).diff(olds, news)

    def read(self, token: str, resource_id: str, inputs: Values, state: Values) -> tuple[Values, Values] | None:
        return find(token).read_resource(self._aws, resource_id, inputs, state)

    def update(self, token: str, resource_id: str, olds: Values, news: Values, state: Values) -> Values:
        return find(token).update_resource(self._aws, resource_id, olds, news, state)

    def delete(self, token: str, resource_id: str, state: Values) -> None:
        find(token).delete_resource(self._aws, resource_id, state)


class Plugin:
    """As the Pulumi engine calls them, over gRPC."""

    def __init__(self, port: int) -> None:
        self._stub = provider_pb2_grpc.ResourceProviderStub(grpc.insecure_channel(f"127.0.0.1:{port}"))
        configuration = encode({"region": "us-east-1"})
        self._stub.CheckConfig(provider_pb2.CheckRequest(urn="urn:p", news=configuration))
        self._stub.Configure(provider_pb2.ConfigureRequest(args=configuration))

    @staticmethod
    def _urn(token: str) -> str:
        return f"urn:pulumi:dev::tap::tap:x:X${token}::logical"

    def check(self, token: str, news: Values, olds: Values) -> Values:
        request = provider_pb2.CheckRequest(urn=self._urn(token), news=encode(news), olds=encode(olds))
        answer = self._stub.Check(request)
        if answer.failures:
            raise UnknownInputError(token, answer.failures[0].property, [])
        return decode(answer.inputs)

    def create(self, token: str, inputs: Values) -> tuple[str, Values]:
        request = provider_pb2.CreateRequest(urn=self._urn(token), properties=encode(inputs), preview=True)
        planned = self._stub.Create(request)
        assert not planned.id, "an id in a preview makes the engine take the resource for real"
        request.preview = False
        answer = self._stub.Create(request)
        outputs = decode(answer.properties)
        unknown = {key for key, value in decode(planned.properties).items() if value is UNKNOWN}
        assert set(outputs) - set(inputs) - {"id"} - unknown <= {*find(token).empty, *find(token).fields, "tagsAll"}
        return answer.id, outputs

    def diff(self, token: str, olds: Values, news: Values, state: Values) -> Diff:
        request = provider_pb2.DiffRequest(
            id="x", urn=self._urn(token), olds=encode(state), news=encode(news), old_inputs=encode(olds)
        )
        answer = self._stub.Diff(request)
        assert (answer.changes == provider_pb2.DiffResponse.DIFF_SOME) == bool(answer.diffs)
        return Diff(frozenset(answer.diffs), frozenset(answer.replaces), answer.deleteBeforeReplace)

    def read(self, token: str, resource_id: str, inputs: Values, state: Values) -> tuple[Values, Values] | None:
        request = provider_pb2.ReadRequest(
            id=resource_id, urn=self._urn(token), properties=encode(state), inputs=encode(inputs)
        )
        answer = self._stub.Read(request)
        return (decode(answer.inputs), decode(answer.properties)) if answer.id else None

    def update(self, token: str, resource_id: str, olds: Values, news: Values, state: Values) -> Values:
        request = provider_pb2.UpdateRequest(
            id=resource_id, urn=self._urn(token), olds=encode(state), news=encode(news), old_inputs=encode(olds)
        )
        return decode(self._stub.Update(request).properties)

    def delete(self, token: str, resource_id: str, state: Values) -> None:
        self._stub.Delete(provider_pb2.DeleteRequest(id=resource_id, urn=self._urn(token), properties=encode(state)))


@pytest.fixture(scope="module")
def types_aws(emulator: Emulator) -> Aws:
    return Aws(emulator.endpoint)


@pytest.fixture(scope="module")
def plugin(emulator: Emulator) -> Iterator[Plugin]:
    server, port = serve(Provider(emulator.endpoint))
    yield Plugin(port)
    server.stop(None)


@pytest.fixture(params=["direct", "plugin"])
def driver(request: pytest.FixtureRequest, types_aws: Aws, plugin: Plugin) -> Driver:
    return plugin if request.param == "plugin" else Direct(types_aws)


class World:
    """The resources of one test: fills in names and references, and deletes everything at the end."""

    def __init__(self, emulator: Emulator, driver: Driver, aws: Aws) -> None:
        self.driver = driver
        self._cleaner = Direct(aws)
        self._emulator = emulator
        self._name = f"t-{uuid.uuid4().hex[:10]}"
        self._outputs: dict[str, Values] = {}
        self._made: list[tuple[str, str, Values]] = []

    def fill(self, value: Any) -> Any:
        if isinstance(value, dict):
            return {key: self.fill(inner) for key, inner in value.items()}
        if isinstance(value, (list, tuple)):
            return [self.fill(inner) for inner in value]
        if isinstance(value, str):
            value = value.replace("<name>", self._name)
            return re.sub(r"\$\{(\w+)\.(\w+)\}", lambda found: str(self._outputs[found[1]][found[2]]), value)
        return value

    def make(self, name: str, token: str, inputs: Values) -> tuple[str, Values, Values]:
        checked = self.driver.check(token, self.fill(inputs), {})
        resource_id, outputs = self.driver.create(token, checked)
        assert {key for key in promised(token) if outputs.get(key) is None} == set(), (
            "a program that reads it gets None"
        )
        readable(token, outputs)
        self._made.append((token, resource_id, outputs))
        self._outputs[name] = {**outputs, "id": resource_id}
        return resource_id, checked, outputs

    def look(self, service: str, call: str, params: Values, expected: Values) -> None:
        """Ask boto3 what AWS has."""
        client = boto3.client(
            service,
            region_name="us-east-1",
            endpoint_url=self._emulator.endpoint,
            aws_access_key_id=ACCESS_KEY,
            aws_secret_access_key=SECRET_KEY,
        )
        answer = getattr(client, call)(**self.fill(params))
        found = {path: jmespath.search(path, answer) for path in expected}
        assert found == self.fill(expected), f"AWS does not have what was asked for: {call}"

    def clear(self) -> None:
        for token, resource_id, outputs in reversed(self._made):
            self._cleaner.delete(token, resource_id, outputs)


@pytest.fixture
def world(emulator: Emulator, driver: Driver, types_aws: Aws) -> Iterator[World]:
    world = World(emulator, driver, types_aws)
    yield world
    world.clear()


def readable(token: str, outputs: Values) -> None:
    """Read the outputs as the SDK does for a program; it raises for a list where it wants a text, and the like."""
    cls, _ = sdk(token)
    kinds = resource_types(cls)
    for key, value in deserialize_properties(encode(outputs)).items():
        translate_output_properties(value, lambda name: name, kinds.get(key), transform_using_type_metadata=True)


def given(inputs: Values) -> Values:
    return {key: value for key, value in inputs.items() if value is not None and key != "__defaults"}


@pytest.mark.parametrize("case", CASES, ids=lambda case: f"{case.token.rpartition(':')[0]} {case.label}".strip())
def test_a_resource_is_made_read_back_changed_and_deleted(case: Case, world: World, types_aws: Aws) -> None:
    driver, token = world.driver, case.token
    for need in case.needs:
        world.make(*need)

    resource_id, inputs, outputs = world.make("self", token, case.inputs)
    expected = world.fill(case.outputs)
    assert {key: {**outputs, "id": resource_id}.get(key) for key in expected} == expected
    assert {key: outputs.get(key) for key in given(inputs)} == given(inputs), "a program reads back what it asked for"
    for look in case.seen:
        world.look(*look)

    # A refresh finds no difference, and really asked: what it answers does not come from what it was told.
    read = driver.read(token, resource_id, inputs, outputs)
    assert read is not None
    assert read[0] == inputs, "a refresh right after a deploy must find no drift"
    found = find(token).read(types_aws, {**outputs, "id": resource_id})
    assert found is not None
    asked = {key for key in given(inputs) if key not in case.unread}
    assert {key for key in asked if found.get(key) is not None} == asked, "the read call must ask AWS for every input"

    # The same program again changes nothing.
    again = driver.check(token, world.fill(case.inputs), inputs)
    assert not driver.diff(token, inputs, again, outputs).changed

    news, state = inputs, outputs
    if case.update is not None:
        changes = world.fill(case.update)
        wanted = {key: value for key, value in {**world.fill(case.inputs), **changes}.items() if value is not None}
        news = driver.check(token, wanted, inputs)
        diff = driver.diff(token, inputs, news, outputs)
        assert (diff.changed, diff.replaces) == (frozenset(changes), frozenset())
        state = driver.update(token, resource_id, inputs, news, outputs)
        assert {key: state.get(key) for key in given(news)} == given(news)
        for look in case.seen_after:
            world.look(*look)
        read = driver.read(token, resource_id, news, state)
        assert read is not None
        assert read[0] == news, "a refresh right after an update must find no drift"

    if case.replace is not None:
        changes = world.fill(case.replace)
        wanted = {key: value for key, value in {**given(news), **changes}.items() if value is not None}
        assert driver.diff(token, news, driver.check(token, wanted, news), state).replaces == frozenset(changes)

    if token == "aws:dynamodb/table:Table" and news.get("deletionProtectionEnabled"):
        open_again = driver.check(token, {**given(news), "deletionProtectionEnabled": False}, news)
        state = driver.update(token, resource_id, news, open_again, state)
    driver.delete(token, resource_id, state)
    gone = driver.read(token, resource_id, news, state)
    assert gone is None or token in ALWAYS_THERE | ONLY_IN_STATE, "what was deleted must not be found"
    driver.delete(token, resource_id, state)  # and deleting it again is no error


def places(value: Any, path: tuple[Any, ...] = ()) -> Iterator[tuple[Any, ...]]:
    """Every place in some inputs whose value a preview may not know."""
    if path:
        yield path
    if isinstance(value, dict) and SIGNATURE not in value:
        for key, inner in value.items():
            yield from places(inner, (*path, key))
    if isinstance(value, list):
        for index, inner in enumerate(value):
            yield from places(inner, (*path, index))


def unknown_at(value: Any, path: tuple[Any, ...]) -> Any:
    if not path:
        return UNKNOWN
    copy = dict(value) if isinstance(value, dict) else list(value)
    copy[path[0]] = unknown_at(value[path[0]], path[1:])
    return copy


@pytest.mark.parametrize("case", CASES, ids=lambda case: f"{case.token.rpartition(':')[0]} {case.label}".strip())
def test_a_preview_may_not_know_any_of_the_inputs(case: Case, types_aws: Aws) -> None:
    type_ = find(case.token)
    olds = type_.check(types_aws, "logical", hashed(case.inputs), {})
    for path in places(case.inputs):
        inputs = type_.check(types_aws, "logical", unknown_at(hashed(case.inputs), path), {})
        assert path[0] in type_.diff(olds, inputs).changed
        assert type_.planned(inputs)


def test_every_type_has_a_case() -> None:
    assert {case.token for case in CASES} == set(TYPES), "a type without a case is a type nobody has tried"


@pytest.mark.parametrize("case", CASES, ids=lambda case: f"{case.token.rpartition(':')[0]} {case.label}".strip())
def test_an_input_that_a_type_does_not_know_is_refused_by_name(case: Case, driver: Driver) -> None:
    with pytest.raises(UnknownInputError, match="surprise"):
        driver.check(case.token, {"surprise": 1}, {})


def test_an_unknown_name_inside_an_input_is_refused_too(driver: Driver) -> None:
    with pytest.raises(UnknownInputError, match=r"environment\.wariables"):
        driver.check("aws:lambda/function:Function", {"name": "f", "environment": {"wariables": {"A": "1"}}}, {})


def test_a_firewall_that_is_not_there_can_t_be_logged(driver: Driver) -> None:
    token = "aws:wafv2/webAclLoggingConfiguration:WebAclLoggingConfiguration"
    nowhere = f"arn:aws:wafv2:us-east-1:123456789012:regional/webacl/gone/{uuid.uuid4()}"
    inputs = driver.check(token, {"resourceArn": nowhere, "logDestinationConfigs": ["arn:logs"]}, {})
    with pytest.raises((RefusedError, grpc.RpcError), match="WAFNonexistentItem"):
        driver.create(token, inputs)
    assert driver.read(token, nowhere, inputs, {}) is None, "with its firewall, its log is gone"


def test_a_resource_without_a_name_gets_a_unique_one_and_keeps_it(driver: Driver) -> None:
    first = driver.check("aws:sns/topic:Topic", {}, {})
    assert re.fullmatch(r"logical-[0-9a-f]{7}", first["name"])
    assert driver.check("aws:sns/topic:Topic", {"displayName": "x"}, first)["name"] == first["name"]
    assert driver.check("aws:sns/topic:Topic", {}, {})["name"] != first["name"]


def test_a_replacement_comes_first_unless_it_needs_the_name_of_what_it_replaces(driver: Driver) -> None:
    token = "aws:iam/role:Role"
    named = driver.check(token, {"name": "mine", "assumeRolePolicy": TRUST}, {})
    elsewhere = driver.check(token, {"name": "mine", "assumeRolePolicy": TRUST, "path": "/x/"}, named)
    assert driver.diff(token, named, elsewhere, {}).delete_before_replace
    unnamed = driver.check(token, {"assumeRolePolicy": TRUST}, {})
    moved = driver.check(token, {"assumeRolePolicy": TRUST, "path": "/x/"}, unnamed)
    diff = driver.diff(token, unnamed, moved, {})
    assert diff.replaces == {"path"}
    assert not diff.delete_before_replace


def test_what_somebody_else_made_is_refused_not_adopted(world: World) -> None:
    _, inputs, _ = world.make("first", *ROLE[1:])
    with pytest.raises((RefusedError, grpc.RpcError), match="EntityAlreadyExists"):
        world.driver.create(ROLE[1], inputs)


def test_a_change_made_behind_its_back_is_found(world: World, types_aws: Aws) -> None:
    resource_id, inputs, outputs = world.make(
        "logs", "aws:cloudwatch/logGroup:LogGroup", {"name": "<name>", "retentionInDays": 14}
    )
    types_aws.call("logs", "put_retention_policy", logGroupName=resource_id, retentionInDays=30)
    read = world.driver.read("aws:cloudwatch/logGroup:LogGroup", resource_id, inputs, outputs)
    assert read is not None
    assert read[0]["retentionInDays"] == 30
    assert world.driver.diff("aws:cloudwatch/logGroup:LogGroup", read[0], inputs, read[1]).changed == {
        "retentionInDays"
    }


def test_what_is_imported_by_its_identifier_needs_no_change(world: World) -> None:
    inputs = {**TABLE, "pointInTimeRecovery": {"enabled": True}, "tags": {"a": "b"}}
    resource_id, checked, _ = world.make("table", "aws:dynamodb/table:Table", inputs)
    read = world.driver.read("aws:dynamodb/table:Table", resource_id, {}, {})
    assert read is not None
    assert world.driver.diff("aws:dynamodb/table:Table", read[0], checked, read[1]).replaces == frozenset()
    assert "region" not in read[0], "a program that does not name the region would replace the table"


def test_an_update_that_broke_off_is_made_again(world: World, types_aws: Aws) -> None:
    token = "aws:cloudwatch/logGroup:LogGroup"
    resource_id, inputs, outputs = world.make("logs", token, {"name": "<name>", "retentionInDays": 14})
    types_aws.call("logs", "delete_retention_policy", logGroupName=resource_id)
    assert world.driver.update(token, resource_id, inputs, inputs, outputs)["retentionInDays"] == 14
    world.look("logs", "describe_log_groups", {"logGroupNamePrefix": "<name>"}, {"logGroups[0].retentionInDays": 14})


def test_what_is_half_made_is_told_to_the_engine(emulator: Emulator, plugin: Plugin) -> None:
    token, name = "aws:cloudwatch/logGroup:LogGroup", f"/{uuid.uuid4().hex}"
    with pytest.raises(grpc.RpcError, match="PutRetentionPolicy") as failed:
        plugin.create(token, {"name": name, "retentionInDays": 2})
    metadata = {each.key: each.value for each in failed.value.trailing_metadata()}
    status = status_pb2.Status.FromString(metadata["grpc-status-details-bin"])
    told = provider_pb2.ErrorResourceInitFailed()
    assert status.details[0].Unpack(told)
    assert told.id == name, "without its id the engine would not know that it exists"
    assert decode(told.properties)["name"] == name
    Direct(Aws(emulator.endpoint)).delete(token, name, {"name": name})


def test_the_plugin_is_a_program_that_the_engine_finds_on_path(emulator: Emulator, tmp_path: Path) -> None:
    plugin = install(tmp_path / "bin")
    assert plugin.name == "pulumi-resource-aws"
    environment = {"PATH": "/usr/bin:/bin", "AWS_ENDPOINT_URL": emulator.endpoint}
    with subprocess.Popen([plugin], env=environment, cwd=tmp_path, stdout=subprocess.PIPE, text=True) as process:
        try:
            assert process.stdout is not None
            Plugin(int(process.stdout.readline())).check("aws:sns/topic:Topic", {"name": "x"}, {})
        finally:
            process.terminate()


@pytest.mark.parametrize(
    "endpoint", ["https://dynamodb.us-east-1.amazonaws.com", "http://10.0.0.1:4566", "http://example.com"]
)
def test_no_address_but_this_machines_is_ever_called(endpoint: str) -> None:
    with pytest.raises(ResourceError, match="loopback"):
        Aws(endpoint)


def test_the_plugin_refuses_to_work_without_the_emulators_address() -> None:
    server, port = serve(Provider(None))
    try:
        with pytest.raises(grpc.RpcError, match="AWS_ENDPOINT_URL"):
            Plugin(port)
    finally:
        server.stop(None)
