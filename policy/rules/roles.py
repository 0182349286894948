"""IAM roles: who may take them and what they may do."""

from __future__ import annotations

from collections.abc import Iterator

from lib.plan.recorder import Recorded
from policy.model import View, conditions, listed, principals, rule, statements

CONTROLS = "https://docs.aws.amazon.com/securityhub/latest/userguide/iam-controls.html"
LEAST_PRIVILEGE = "https://docs.aws.amazon.com/IAM/latest/UserGuide/best-practices.html#grant-least-privilege"
POLICIES = ("iam:RolePolicy", "iam:Policy")

# AWS gives these no resource to name:
# https://docs.aws.amazon.com/service-authorization/latest/reference/reference_policies_actions-resources-contextkeys.html
WITHOUT_RESOURCE = {
    "ec2:CreateNetworkInterface",
    "ec2:DeleteNetworkInterface",
    "ec2:DescribeNetworkInterfaces",
    "ec2:DescribeSecurityGroups",
    "ec2:DescribeSubnets",
    "ec2:DescribeVpcs",
    "ec2:AssignPrivateIpAddresses",
    "ec2:UnassignPrivateIpAddresses",
    "logs:CreateLogDelivery",
    "logs:DeleteLogDelivery",
    "logs:DescribeLogGroups",
    "logs:DescribeResourcePolicies",
    "logs:GetLogDelivery",
    "logs:ListLogDeliveries",
    "logs:PutResourcePolicy",
    "logs:UpdateLogDelivery",
    "xray:GetSamplingRules",
    "xray:GetSamplingTargets",
    "xray:PutTelemetryRecords",
    "xray:PutTraceSegments",
}
# Nor has this, but a condition can hold it to a namespace.
METRICS = "cloudwatch:PutMetricData"


@rule(
    "role-separate-policies",
    "medium",
    "iam:Role",
    reason="Inline arguments of a role are deprecated and silently undo what is attached elsewhere.",
    link="https://www.pulumi.com/registry/packages/aws/api-docs/iam/role/",
    fix="Use RolePolicy and RolePolicyAttachment resources.",
)
def separate_policies(role: Recorded, _view: View) -> Iterator[str]:
    for key in ("inlinePolicies", "managedPolicyArns"):
        if role.inputs.get(key):
            yield f"it has {key} as an argument"


@rule(
    "role-one-service",
    "critical",
    "iam:Role",
    reason="Who can assume a role can do all it may; one service is enough for each.",
    link=LEAST_PRIVILEGE,
    fix='Trust exactly {"Service": "<service>.amazonaws.com"} with sts:AssumeRole.',
)
def one_service(role: Recorded, _view: View) -> Iterator[str]:
    allowed = [item for item in statements(role, "assumeRolePolicy") if item.get("Effect") == "Allow"]
    trusted = [principal for statement in allowed for principal in principals(statement)]
    if len(trusted) != 1:
        yield f"{len(trusted)} principals are trusted, not one service"
    for kind, who in trusted:
        if kind != "Service" or not who.endswith(".amazonaws.com") or "*" in who:
            yield f"{kind} {who} is trusted, which is no single AWS service"
    for statement in allowed:
        if "NotPrincipal" in statement or listed(statement.get("Action")) != ["sts:AssumeRole"]:
            yield "the trust allows something other than sts:AssumeRole to named principals"


@rule(
    "role-named-actions",
    "high",
    *POLICIES,
    reason="A wildcard also allows what AWS adds to the service next year.",
    link=f"{CONTROLS}#iam-21",
    fix="List the actions the code calls.",
)
def named_actions(policy: Recorded, _view: View) -> Iterator[str]:
    for statement in statements(policy, "policy"):
        if statement.get("Effect") != "Allow":
            continue
        if "NotAction" in statement:
            yield "it allows everything but some actions (NotAction)"
        for action in listed(statement.get("Action")):
            if "*" in action or "?" in action:
                yield f"the action {action} is a wildcard"


@rule(
    "role-named-resources",
    "high",
    *POLICIES,
    reason="A role reaches every table, bucket or function that its resources match, also those of others.",
    link=LEAST_PRIVILEGE,
    fix="Name the resource by its ARN; `*` only for actions that AWS gives no resource.",
)
def named_resources(policy: Recorded, _view: View) -> Iterator[str]:
    for statement in statements(policy, "policy"):
        if statement.get("Effect") != "Allow":
            continue
        if "NotResource" in statement:
            yield "it allows every resource but some (NotResource)"
        actions = set(listed(statement.get("Action")))
        for resource in listed(statement.get("Resource")):
            if resource == "*":
                needless = actions - WITHOUT_RESOURCE
                if METRICS in needless and "cloudwatch:namespace" in conditions(statement):
                    needless.remove(METRICS)
                if needless:
                    yield f"all resources (*) for {', '.join(sorted(needless))}"
            elif names_many(resource) and actions - WITHOUT_RESOURCE:
                yield f"{resource} names more than one resource"


def names_many(arn: str) -> bool:
    """Whether an ARN leaves open account, region or which resource; what lies inside one resource may be open.

    `table/x/index/*` and `bucket/requests/*` lie inside one, `table/*` and `table/x*` do not.
    """
    parts = arn.split(":", 5)
    if parts[0] != "arn" or len(parts) < 6:  # begins with another resource's ARN
        return "*" in arn.removesuffix(":*").partition("/")[0]  # :* are the streams of one log group
    *head, rest = parts
    if any("*" in part or "?" in part for part in head):
        return True
    named = rest.split("/")[0] if head[2] == "s3" else "/".join(rest.split("/")[:2])
    if head[2] == "logs":
        named = rest.removesuffix(":*")  # the streams of one group
    return "*" in named or "?" in named


@rule(
    "role-known-managed-policies",
    "high",
    "iam:RolePolicyAttachment",
    reason="AWS's own policies are broad and change under you.",
    link=f"{CONTROLS}#iam-1",
    fix="Write a RolePolicy, or allow this policy in the rule's configuration.",
    config={
        "allowed": [
            "arn:aws:iam::aws:policy/service-role/AWSLambdaBasicExecutionRole",
            "arn:aws:iam::aws:policy/service-role/AWSLambdaVPCAccessExecutionRole",
            "arn:aws:iam::aws:policy/service-role/AmazonAPIGatewayPushToCloudWatchLogs",
        ]
    },
)
def known_managed_policies(attachment: Recorded, view: View) -> Iterator[str]:
    arn = str(attachment.inputs.get("policyArn"))
    if "iam::aws:policy/" in arn and arn not in view.config["allowed"]:
        yield f"{arn} is attached"


@rule(
    "no-long-lived-credentials",
    "critical",
    "iam:User",
    "iam:AccessKey",
    "iam:UserLoginProfile",
    reason="Keys that do not expire leak; roles need none.",
    link=f"{CONTROLS}#iam-3",
    fix="Use a role; for CI, OIDC (see `nox -s roles`).",
)
def no_long_lived_credentials(resource: Recorded, _view: View) -> Iterator[str]:
    yield f"the program makes an IAM {resource.kind}"
