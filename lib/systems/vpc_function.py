"""The function in a VPC: no way in, no way out but to its table."""

from __future__ import annotations

from collections.abc import Sequence

import pulumi
import pulumi_aws as aws

from lib.components.function import Function, Statement
from lib.components.monitoring import Monitoring, MonitoringArgs, any_sum
from lib.components.network import Network, NetworkArgs
from lib.components.rest_api import RestApi, RestApiArgs
from lib.components.table import Table, TableArgs
from lib.routes import VPC_FUNCTION
from lib.settings import Settings
from lib.systems import RUNTIME, WITHOUT, function_args

ZONES = 2
# Lambda has no hosts in this zone of us-east-1, whatever letter it has in an account.
WITHOUT_LAMBDA = ["use1-az3"]


def settings() -> Settings:
    """Return the running program's settings, with this system's own defaults."""
    return Settings.load(without=WITHOUT, lambda_runtime=RUNTIME)


def network_rights(name: str, network: Network, region: str) -> list[Statement]:
    """Return what Lambda needs to put the function into the network, as narrow as AWS takes it.

    https://docs.aws.amazon.com/lambda/latest/dg/configuration-vpc.html#configuration-vpc-permissions
    """
    here = pulumi.Output.concat("arn:aws:ec2:", region, ":", network.account)
    create, describe = ["ec2:CreateNetworkInterface"], ["ec2:DescribeNetworkInterfaces", "ec2:DescribeSubnets"]
    change = ["ec2:DeleteNetworkInterface", "ec2:AssignPrivateIpAddresses", "ec2:UnassignPrivateIpAddresses"]
    return [
        # In these subnets, with this group; the interface itself has no name before it is there.
        Statement(
            actions=create,
            resources=[
                *network.subnet_arns,
                network.security_group_arn,
                pulumi.Output.concat(here, ":network-interface/*"),
            ],
        ),
        # Lambda refuses a role whose DeleteNetworkInterface is narrower than all of one account's resources.
        Statement(actions=change, resources=[pulumi.Output.concat(here, ":*/*")]),
        # EC2 takes no resource for what only describes.
        Statement(actions=describe, resources=["*"]),
        # Lambda itself acts before the function runs; the function's code has no business with any of it.
        Statement(
            effect="Deny",
            actions=[*create, *change, *describe],
            resources=["*"],
            conditions={
                "ArnEquals": {
                    "lambda:SourceFunctionArn": pulumi.Output.concat(
                        "arn:aws:lambda:", region, ":", network.account, ":function:", name
                    )
                }
            },
        ),
    ]


def deploy(settings: Settings) -> dict[str, pulumi.Input[object]]:
    """Make the system and return what its program exports."""
    environment = settings.environment_suffix
    name = f"tap-vpc-{environment}"
    tags = {"Environment": environment, **settings.all_tags}
    zones = aws.get_availability_zones_output(
        state="available",
        exclude_zone_ids=WITHOUT_LAMBDA,
        # Local Zones are zones too, for who opted in to them.
        filters=[{"name": "opt-in-status", "values": ["opt-in-not-required"]}],
    ).names.apply(lambda names: _enough(names, settings.region))
    table = Table(
        "items",
        TableArgs(
            name=name,
            hash_key="itemId",
            kms_key_arn=settings.kms_key_arn,
            deletion_protection=settings.deletion_protection,
            protect=settings.protect,
            tags=tags,
        ),
    )
    network = Network(
        "network",
        NetworkArgs(
            name=name,
            region=settings.region,
            zones=[zones[index] for index in range(ZONES)],
            table_arn=table.arn,
            flow_logs=settings.access_logs,
            log_retention_days=settings.log_retention_days,
            kms_key_arn=settings.kms_key_arn,
            permissions_boundary_arn=settings.permissions_boundary_arn,
            tags=tags,
        ),
    )
    function = Function(
        "function",
        function_args(
            settings,
            name,
            "vpc_function",
            policies={
                "table": [Statement(actions=["dynamodb:PutItem"], resources=[table.arn])],
                "network": network_rights(name, network, settings.region),
            },
            environment={
                "DYNAMODB_TABLE_NAME": table.name,
                "ENVIRONMENT": environment,
                "LOG_LEVEL": settings.log_level,
                "CORS_ORIGINS": ",".join(settings.cors_origins),
                **({"CORS_CREDENTIALS": "true"} if settings.cors_credentials else {}),
            },
            vpc=aws.lambda_.FunctionVpcConfigArgs(
                subnet_ids=network.subnet_ids, security_group_ids=[network.security_group_id]
            ),
            tags=tags,
        ),
    )
    api = RestApi(
        "api",
        RestApiArgs(
            name=name,
            routes=VPC_FUNCTION,
            function_name=function.name,
            function_invoke_arn=function.invoke_arn,
            throttle_rate=settings.throttle_rate,
            throttle_burst=settings.throttle_burst,
            cors_origins=settings.cors_origins,
            cors_credentials=settings.cors_credentials,
            log_retention_days=settings.log_retention_days,
            access_logs=settings.access_logs,
            execution_logs=settings.execution_logs,
            tracing=settings.tracing,
            kms_key_arn=settings.kms_key_arn,
            tags=tags,
        ),
    )
    monitoring = Monitoring(
        "alarms",
        MonitoringArgs(
            topic_name=f"{name}-alarms",
            alarm_prefix=name,
            function_name=function.name,
            alarms=[any_sum("Errors")],
            emails=settings.alarm_emails,
            kms_key_arn=settings.kms_key_arn,
            tags=tags,
        ),
    )
    return {
        "vpc_id": network.vpc_id,
        "dynamodb_table_name": table.name,
        "lambda_role_name": function.role_name,
        "lambda_function_name": function.name,
        "lambda_function_arn": function.arn,
        "alarm_name": monitoring.alarm_names[0],
        "api_gateway_id": api.id,
        "api_gateway_url": api.url,
    }


def _enough(zones: Sequence[str], region: str) -> Sequence[str]:
    if len(zones) < ZONES:
        raise pulumi.RunError(f"{region} has {len(zones)} zones for functions, and {ZONES} are needed; set aws:region")
    return zones
