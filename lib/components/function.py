"""A Lambda function with a role of its own and a log group that is there before Lambda can make one."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from datetime import UTC, datetime
from typing import Literal

import pulumi
from pulumi_aws import cloudwatch, iam, lambda_

from lib import runtimes
from lib.archive import handler_archive

BASIC_EXECUTION = "arn:aws:iam::aws:policy/service-role/AWSLambdaBasicExecutionRole"
# X-Ray has no resource to name: https://docs.aws.amazon.com/service-authorization/latest/reference/list_awsx-ray.html
TRACING_ACTIONS = ("xray:PutTraceSegments", "xray:PutTelemetryRecords")


@dataclass(frozen=True, kw_only=True)
class Statement:
    """One thing the function may do, or never may: these actions, on these resources, under these conditions."""

    effect: Literal["Allow", "Deny"] = "Allow"
    actions: Sequence[str]
    resources: Sequence[pulumi.Input[str]]
    conditions: Mapping[str, Mapping[str, pulumi.Input[str]]] = field(default_factory=dict)

    def document(self) -> dict[str, object]:
        """The statement as IAM writes it."""
        statement: dict[str, object] = {
            "Effect": self.effect,
            "Action": list(self.actions),
            "Resource": list(self.resources),
        }
        if self.conditions:
            statement["Condition"] = self.conditions
        return statement


@dataclass(frozen=True, kw_only=True)
class FunctionArgs:
    """What a function needs: `entry` is a module of `lib.handler` with a `handler`, `policies` are inline, by name."""

    name: str
    entry: str
    runtime: str
    timeout: int
    memory: int
    role_name: str
    policies: Mapping[str, Sequence[Statement]] = field(default_factory=dict)
    environment: Mapping[str, pulumi.Input[str]] = field(default_factory=dict)
    log_retention_days: int
    log_format: Literal["JSON"] | None = None
    tracing: bool = False
    kms_key_arn: str | None = None
    permissions_boundary_arn: str | None = None
    reserved_concurrency: int | None = None
    vpc: lambda_.FunctionVpcConfigArgs | None = None
    tags: Mapping[str, str]


class Function(pulumi.ComponentResource):
    """The function, its role and its log group."""

    name: pulumi.Output[str]
    arn: pulumi.Output[str]
    invoke_arn: pulumi.Output[str]
    role_arn: pulumi.Output[str]
    role_name: pulumi.Output[str]
    log_group_name: pulumi.Output[str]

    def __init__(self, name: str, args: FunctionArgs, opts: pulumi.ResourceOptions | None = None) -> None:
        super().__init__("tap:function:Function", name, None, opts)
        if ageing := runtimes.warning(args.runtime, datetime.now(UTC).date()):
            pulumi.log.warn(ageing, self)
        mine = pulumi.ResourceOptions(parent=self)
        tags = dict(args.tags)

        role = iam.Role(
            f"{name}-role",
            name=args.role_name,
            assume_role_policy=pulumi.Output.json_dumps(
                {
                    "Version": "2012-10-17",
                    "Statement": [
                        {
                            "Effect": "Allow",
                            "Principal": {"Service": "lambda.amazonaws.com"},
                            "Action": "sts:AssumeRole",
                        }
                    ],
                }
            ),
            permissions_boundary=args.permissions_boundary_arn,
            tags=tags,
            opts=mine,
        )
        basic = iam.RolePolicyAttachment(
            f"{name}-basic-execution", role=role.name, policy_arn=BASIC_EXECUTION, opts=mine
        )
        policies = dict(args.policies)
        if args.tracing:
            policies["tracing"] = [Statement(actions=TRACING_ACTIONS, resources=["*"])]
        granted = [
            iam.RolePolicy(
                f"{name}-{policy}",
                role=role.name,
                policy=pulumi.Output.json_dumps(
                    {"Version": "2012-10-17", "Statement": [statement.document() for statement in statements]}
                ),
                opts=mine,
            )
            for policy, statements in policies.items()
        ]
        logs = cloudwatch.LogGroup(
            f"{name}-logs",
            name=f"/aws/lambda/{args.name}",
            retention_in_days=args.log_retention_days,
            kms_key_id=args.kms_key_arn,
            tags=tags,
            opts=mine,
        )
        function = lambda_.Function(
            name,
            name=args.name,
            role=role.arn,
            runtime=args.runtime,
            handler=f"{args.entry}.handler",
            code=handler_archive(args.entry),
            timeout=args.timeout,
            memory_size=args.memory,
            publish=True,
            reserved_concurrent_executions=args.reserved_concurrency,
            environment=lambda_.FunctionEnvironmentArgs(variables=dict(args.environment)) if args.environment else None,
            kms_key_arn=args.kms_key_arn,
            tracing_config=lambda_.FunctionTracingConfigArgs(mode="Active") if args.tracing else None,
            logging_config=lambda_.FunctionLoggingConfigArgs(log_format=args.log_format, log_group=logs.name)
            if args.log_format
            else None,
            vpc_config=args.vpc,
            tags=tags,
            # The log group first, or Lambda makes its own; the rights first, or the first request lacks them.
            opts=pulumi.ResourceOptions(parent=self, depends_on=[logs, basic, *granted]),
        )
        self.name = function.name
        self.arn = function.arn
        self.invoke_arn = function.invoke_arn
        self.role_arn = role.arn
        self.role_name = role.name
        self.log_group_name = logs.name
        self.register_outputs(
            {
                "name": self.name,
                "arn": self.arn,
                "invoke_arn": self.invoke_arn,
                "role_arn": self.role_arn,
                "role_name": self.role_name,
                "log_group_name": self.log_group_name,
            }
        )
