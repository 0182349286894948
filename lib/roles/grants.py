"""What deploying each resource type takes: the calls of its create, read, update, delete and tagging.

Calls that read or write what is *inside* a resource (items, messages, log lines, invoking) are nobody's here. Names,
resources and condition keys are those of
https://docs.aws.amazon.com/service-authorization/latest/reference/reference_policies_actions-resources-contextkeys.html
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field

BOUNDARY = "{boundary}"


@dataclass(frozen=True, kw_only=True)
class Grant:
    """Calls of one service, on resources named with the planned inputs; `{arn:...}` and the like are filled in later.

    A grant with `needs` holds only where the resource has that input.
    """

    service: str
    calls: str
    on: tuple[str, ...]
    only_if: Mapping[str, Mapping[str, str]] = field(default_factory=dict)
    needs: str = ""

    @property
    def actions(self) -> list[str]:
        """The calls as IAM names them."""
        return [f"{self.service}:{call}" for call in self.calls.split()]


def _grant(service: str, calls: str, *on: str, needs: str = "", **only_if: Mapping[str, str]) -> Grant:
    return Grant(service=service, calls=calls, on=on, needs=needs, only_if=only_if)


_REGIONAL = "arn:aws:%s:{region}:{account}:"
_ROLE = "arn:aws:iam::{account}:role/"
_GATEWAY = "arn:aws:apigateway:{region}::"
_BOUNDED = {"iam:PermissionsBoundary": BOUNDARY}
# What a key's own policy has to allow as well; through the service alone, so the deployer can't decrypt by itself.
_KEY = "DescribeKey CreateGrant Decrypt GenerateDataKey"


def _key(service: str, needs: str) -> Grant:
    via = {"kms:ViaService": f"{service}.{{region}}.amazonaws.com"}
    return _grant("kms", _KEY, f"{{{needs}}}", needs=needs, StringEquals=via)


# An API's id is AWS's choice at its creation, so a policy written before can't name it.
_INSIDE_APIS = _grant("apigateway", "GET POST PUT PATCH DELETE", f"{_GATEWAY}/restapis/*")

GRANTS: Mapping[str, tuple[Grant, ...]] = {
    "dynamodb:Table": (
        _grant(
            "dynamodb",
            "CreateTable DescribeTable UpdateTable DeleteTable DescribeContinuousBackups UpdateContinuousBackups"
            " DescribeTimeToLive UpdateTimeToLive ListTagsOfResource TagResource UntagResource",
            f"{_REGIONAL % 'dynamodb'}table/{{name}}",
        ),
        _key("dynamodb", "serverSideEncryption.kmsKeyArn"),
    ),
    "iam:Role": (
        # Not UpdateAssumeRolePolicy: who may take the function's role is changed by an administrator.
        _grant(
            "iam",
            "GetRole DeleteRole UpdateRole TagRole UntagRole ListRoleTags ListRolePolicies ListAttachedRolePolicies"
            " ListInstanceProfilesForRole",
            f"{_ROLE}{{name}}",
        ),
        _grant("iam", "CreateRole PutRolePermissionsBoundary", f"{_ROLE}{{name}}", StringEquals=_BOUNDED),
    ),
    "iam:RolePolicy": (
        _grant("iam", "GetRolePolicy", f"{_ROLE}{{role}}"),
        _grant("iam", "PutRolePolicy DeleteRolePolicy", f"{_ROLE}{{role}}", StringEquals=_BOUNDED),
    ),
    "iam:RolePolicyAttachment": (
        _grant(
            "iam",
            "AttachRolePolicy DetachRolePolicy",
            f"{_ROLE}{{role}}",
            StringEquals=_BOUNDED,
            ArnEquals={"iam:PolicyARN": "{policyArn}"},
        ),
    ),
    "lambda:Function": (
        _grant(
            "lambda",
            "CreateFunction GetFunction GetFunctionConfiguration GetFunctionCodeSigningConfig GetFunctionConcurrency"
            " UpdateFunctionCode UpdateFunctionConfiguration DeleteFunction ListVersionsByFunction PublishVersion"
            " PutFunctionConcurrency DeleteFunctionConcurrency ListTags TagResource UntagResource",
            f"{_REGIONAL % 'lambda'}function:{{name}}",
            f"{_REGIONAL % 'lambda'}function:{{name}}:*",
        ),
        _grant("iam", "PassRole", "{role}", StringEquals={"iam:PassedToService": "lambda.amazonaws.com"}),
        _key("lambda", "kmsKeyArn"),
    ),
    "lambda:Permission": (
        _grant("lambda", "GetPolicy", f"{_REGIONAL % 'lambda'}function:{{function}}"),
        _grant(
            "lambda",
            "AddPermission RemovePermission",
            f"{_REGIONAL % 'lambda'}function:{{function}}",
            StringEquals={"lambda:Principal": "{principal}"},
        ),
    ),
    "cloudwatch:LogGroup": (
        _grant(
            "logs",
            "CreateLogGroup DeleteLogGroup PutRetentionPolicy DeleteRetentionPolicy ListTagsForResource TagResource"
            " UntagResource AssociateKmsKey DisassociateKmsKey",
            f"{_REGIONAL % 'logs'}log-group:{{name}}",
            f"{_REGIONAL % 'logs'}log-group:{{name}}:*",
        ),
        _grant("logs", "DescribeLogGroups", "*"),  # AWS gives it no resource
    ),
    "cloudwatch:MetricAlarm": (
        _grant(
            "cloudwatch",
            "PutMetricAlarm DeleteAlarms ListTagsForResource TagResource UntagResource",
            f"{_REGIONAL % 'cloudwatch'}alarm:{{name}}",
        ),
        # AWS asks for it on all alarms, also where the call names one.
        _grant("cloudwatch", "DescribeAlarms", f"{_REGIONAL % 'cloudwatch'}alarm:*"),
    ),
    "sns:Topic": (
        _grant(
            "sns",
            "CreateTopic GetTopicAttributes SetTopicAttributes DeleteTopic ListTagsForResource TagResource"
            " UntagResource",
            f"{_REGIONAL % 'sns'}{{name}}",
        ),
        _key("sns", "kmsMasterKeyId"),
    ),
    "sns:TopicPolicy": (_grant("sns", "GetTopicAttributes SetTopicAttributes", "{arn}"),),
    "sns:TopicSubscription": (
        _grant("sns", "Subscribe ListSubscriptionsByTopic", "{topic}"),
        # AWS gives these three no resource.
        _grant("sns", "GetSubscriptionAttributes SetSubscriptionAttributes Unsubscribe", "*"),
    ),
    "apigateway:RestApi": (
        _grant("apigateway", "POST", f"{_GATEWAY}/restapis"),
        _grant("apigateway", "GET PUT DELETE", f"{_GATEWAY}/tags/*"),
        _INSIDE_APIS,
    ),
    **dict.fromkeys(
        (
            "apigateway:Authorizer",
            "apigateway:Deployment",
            "apigateway:Integration",
            "apigateway:IntegrationResponse",
            "apigateway:Method",
            "apigateway:MethodResponse",
            "apigateway:MethodSettings",
            "apigateway:Resource",
            "apigateway:Response",
            "apigateway:Stage",
        ),
        (_INSIDE_APIS,),
    ),
    "apigateway:ApiKey": (
        _grant("apigateway", "POST", f"{_GATEWAY}/apikeys"),
        _grant("apigateway", "GET PATCH DELETE", f"{_GATEWAY}/apikeys/*"),
    ),
    "apigateway:UsagePlan": (
        _grant("apigateway", "POST", f"{_GATEWAY}/usageplans"),
        _grant("apigateway", "GET PATCH DELETE", f"{_GATEWAY}/usageplans/*"),
    ),
    "apigateway:UsagePlanKey": (_grant("apigateway", "GET POST DELETE", f"{_GATEWAY}/usageplans/*"),),
    "apigateway:DomainName": (
        _grant("apigateway", "POST", f"{_GATEWAY}/domainnames"),
        _grant("apigateway", "GET PATCH DELETE", f"{_GATEWAY}/domainnames/{{domainName}}"),
    ),
    "apigateway:BasePathMapping": (
        _grant("apigateway", "GET POST PATCH DELETE", f"{_GATEWAY}/domainnames/{{domainName}}/*"),
    ),
    "wafv2:WebAcl": (
        _grant(
            "wafv2",
            "CreateWebACL GetWebACL UpdateWebACL DeleteWebACL ListTagsForResource TagResource UntagResource",
            f"{_REGIONAL % 'wafv2'}regional/webacl/{{name}}/*",
        ),
        _grant("wafv2", "CreateWebACL UpdateWebACL", f"{_REGIONAL % 'wafv2'}regional/managedruleset/*/*"),
    ),
    "wafv2:WebAclLoggingConfiguration": (
        _grant("wafv2", "PutLoggingConfiguration GetLoggingConfiguration DeleteLoggingConfiguration", "{resourceArn}"),
        # WAF makes the delivery and the log group's policy in the deployer's name; AWS gives these no resource. Such a
        # policy can let an AWS service write log lines, and nobody read any:
        # https://docs.aws.amazon.com/AmazonCloudWatchLogs/latest/APIReference/API_PutResourcePolicy.html
        _grant("logs", "CreateLogDelivery DeleteLogDelivery PutResourcePolicy DescribeResourcePolicies", "*"),
    ),
    "wafv2:WebAclAssociation": (
        _grant(
            "wafv2",
            "AssociateWebACL DisassociateWebACL GetWebACLForResource",
            "{webAclArn}",
            f"{_GATEWAY}/restapis/*/stages/*",
        ),
        _grant("apigateway", "SetWebACL", f"{_GATEWAY}/restapis/*/stages/*"),
    ),
}

# The ARN of what a symbol such as ${Table.items-table.arn} stands for, where a policy needs it.
ARNS: Mapping[str, str] = {
    "dynamodb:Table": f"{_REGIONAL % 'dynamodb'}table/{{name}}",
    "iam:Role": f"{_ROLE}{{name}}",
    "lambda:Function": f"{_REGIONAL % 'lambda'}function:{{name}}",
    "sns:Topic": f"{_REGIONAL % 'sns'}{{name}}",
    "wafv2:WebAcl": f"{_REGIONAL % 'wafv2'}regional/webacl/{{name}}/*",
    "cloudwatch:LogGroup": f"{_REGIONAL % 'logs'}log-group:{{name}}",
}
