"""A Step Functions state machine with a role of its own."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, Literal

import pulumi
from pulumi_aws import cloudwatch, iam, sfn

from lib.components.function import TRACING_ACTIONS

# These know no resource: https://docs.aws.amazon.com/step-functions/latest/dg/cw-logs.html
DELIVERY_ACTIONS = (
    "logs:CreateLogDelivery",
    "logs:GetLogDelivery",
    "logs:UpdateLogDelivery",
    "logs:DeleteLogDelivery",
    "logs:ListLogDeliveries",
    "logs:PutResourcePolicy",
    "logs:DescribeResourcePolicies",
    "logs:DescribeLogGroups",
)


@dataclass(frozen=True, kw_only=True)
class StateMachineArgs:
    """What a state machine needs; `definition` is in Amazon's States Language, of steps that need no rights."""

    name: str
    role_name: str
    definition: Mapping[str, Any]
    logs: Literal["OFF", "ERROR", "ALL"] = "OFF"
    log_retention_days: int
    tracing: bool = False
    kms_key_arn: str | None = None
    permissions_boundary_arn: str | None = None
    tags: Mapping[str, str]


class StateMachine(pulumi.ComponentResource):
    """The state machine, of the standard kind: it keeps a history, and starts an execution of one name once."""

    name: pulumi.Output[str]
    arn: pulumi.Output[str]

    def __init__(self, name: str, args: StateMachineArgs, opts: pulumi.ResourceOptions | None = None) -> None:
        super().__init__("tap:state_machine:StateMachine", name, None, opts)
        mine = pulumi.ResourceOptions(parent=self)
        tags = dict(args.tags)
        role = iam.Role(
            f"{name}-role",
            name=args.role_name,
            permissions_boundary=args.permissions_boundary_arn,
            assume_role_policy=pulumi.Output.json_dumps(
                {
                    "Version": "2012-10-17",
                    "Statement": [
                        {
                            "Effect": "Allow",
                            "Principal": {"Service": "states.amazonaws.com"},
                            "Action": "sts:AssumeRole",
                        }
                    ],
                }
            ),
            tags=tags,
            opts=mine,
        )
        statements: list[dict[str, Any]] = []
        logging = None
        if args.logs != "OFF":
            group = cloudwatch.LogGroup(
                f"{name}-logs",
                # Under this prefix, the resource policy that lets the delivery write does not grow with each group.
                name=f"/aws/vendedlogs/states/{args.name}",
                retention_in_days=args.log_retention_days,
                kms_key_id=args.kms_key_arn,
                tags=tags,
                opts=mine,
            )
            streams = pulumi.Output.concat(group.arn, ":*")
            statements += [
                {"Effect": "Allow", "Action": DELIVERY_ACTIONS, "Resource": "*"},
                {"Effect": "Allow", "Action": ["logs:CreateLogStream", "logs:PutLogEvents"], "Resource": streams},
            ]
            logging = sfn.StateMachineLoggingConfigurationArgs(
                level=args.logs, include_execution_data=False, log_destination=streams
            )
        if args.tracing:
            statements.append({"Effect": "Allow", "Action": TRACING_ACTIONS, "Resource": "*"})
        granted: list[pulumi.Resource] = []
        if statements:
            policy = pulumi.Output.json_dumps({"Version": "2012-10-17", "Statement": statements})
            granted.append(iam.RolePolicy(f"{name}-observed", role=role.name, policy=policy, opts=mine))
        machine = sfn.StateMachine(
            name,
            name=args.name,
            type="STANDARD",
            role_arn=role.arn,
            definition=pulumi.Output.json_dumps(args.definition),
            logging_configuration=logging,
            tracing_configuration=sfn.StateMachineTracingConfigurationArgs(enabled=True) if args.tracing else None,
            tags=tags,
            opts=pulumi.ResourceOptions(parent=self, depends_on=granted),
        )
        self.name = machine.name
        self.arn = machine.arn
        self.register_outputs({"name": self.name, "arn": self.arn})
