"""A VPC without a way out: private subnets, and DynamoDB through a gateway endpoint, so that no NAT is needed."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import pulumi
from pulumi_aws import cloudwatch, ec2, iam, vpc

CIDR = "10.0.0.0/16"
HTTPS = 443


@dataclass(frozen=True, kw_only=True)
class NetworkArgs:
    """What the network needs: a subnet in each of `zones`, and the one table that may be reached.

    `name` begins the `Name` tags, which are all that EC2 shows.
    """

    name: str
    region: str
    zones: Sequence[pulumi.Input[str]]
    table_arn: pulumi.Input[str]
    flow_logs: bool = False
    log_retention_days: int
    kms_key_arn: str | None = None
    permissions_boundary_arn: str | None = None
    tags: Mapping[str, str]


class Network(pulumi.ComponentResource):
    """The VPC, its subnets, and a security group whose members reach that table and nothing else."""

    vpc_id: pulumi.Output[str]
    account: pulumi.Output[str]
    subnet_ids: list[pulumi.Output[str]]
    subnet_arns: list[pulumi.Output[str]]
    security_group_id: pulumi.Output[str]
    security_group_arn: pulumi.Output[str]

    def __init__(self, name: str, args: NetworkArgs, opts: pulumi.ResourceOptions | None = None) -> None:
        super().__init__("tap:network:Network", name, None, opts)
        mine = pulumi.ResourceOptions(parent=self)

        def tags(part: str) -> dict[str, str]:
            return {"Name": f"{args.name}-{part}", **args.tags}

        network = ec2.Vpc(
            name,
            cidr_block=CIDR,
            enable_dns_support=True,  # the function finds DynamoDB by its public name
            enable_dns_hostnames=True,
            tags=tags("vpc"),
            opts=mine,
        )
        subnets = [
            ec2.Subnet(
                f"{name}-{index}",
                vpc_id=network.id,
                availability_zone=zone,
                cidr_block=f"10.0.{index}.0/24",
                map_public_ip_on_launch=False,
                tags=tags(f"private-{index}"),
                opts=mine,
            )
            for index, zone in enumerate(args.zones)
        ]
        table = ec2.RouteTable(name, vpc_id=network.id, tags=tags("private"), opts=mine)
        for index, subnet in enumerate(subnets):
            ec2.RouteTableAssociation(f"{name}-{index}", subnet_id=subnet.id, route_table_id=table.id, opts=mine)
        endpoint = ec2.VpcEndpoint(
            f"{name}-dynamodb",
            vpc_id=network.id,
            service_name=f"com.amazonaws.{args.region}.dynamodb",
            vpc_endpoint_type="Gateway",
            route_table_ids=[table.id],
            # Whoever holds credentials of another account can't carry anything out to a table there.
            policy=pulumi.Output.json_dumps(
                {
                    "Version": "2012-10-17",
                    "Statement": [
                        {
                            "Effect": "Allow",
                            "Principal": "*",
                            "Action": "dynamodb:*",
                            "Resource": [args.table_arn, pulumi.Output.concat(args.table_arn, "/index/*")],
                        }
                    ],
                }
            ),
            tags=tags("dynamodb"),
            opts=mine,
        )
        # Without rules given here, the provider removes the rule that AWS adds to let everything out.
        group = ec2.SecurityGroup(
            name,
            name=args.name,
            description="Out to DynamoDB, and nothing in.",
            vpc_id=network.id,
            tags=tags("function"),
            opts=mine,
        )
        vpc.SecurityGroupEgressRule(
            f"{name}-dynamodb",
            security_group_id=group.id,
            description="DynamoDB, through the gateway endpoint.",
            prefix_list_id=endpoint.prefix_list_id,
            ip_protocol="tcp",
            from_port=HTTPS,
            to_port=HTTPS,
            tags=tags("dynamodb"),
            opts=mine,
        )
        if args.flow_logs:
            _flow_logs(name, args, network, tags("flow-logs"), mine)
        self.vpc_id = network.id
        self.account = network.owner_id
        self.subnet_ids = [subnet.id for subnet in subnets]
        self.subnet_arns = [subnet.arn for subnet in subnets]
        self.security_group_id = group.id
        self.security_group_arn = group.arn
        self.register_outputs(
            {
                "vpc_id": self.vpc_id,
                "account": self.account,
                "subnet_ids": self.subnet_ids,
                "subnet_arns": self.subnet_arns,
                "security_group_id": self.security_group_id,
                "security_group_arn": self.security_group_arn,
            }
        )


def _flow_logs(
    name: str, args: NetworkArgs, network: ec2.Vpc, tags: dict[str, str], opts: pulumi.ResourceOptions
) -> None:
    """Log what is let through and what is refused; EC2 writes with a role that may do that alone."""
    group = cloudwatch.LogGroup(
        f"{name}-flow-logs",
        name=f"/aws/vpc/{args.name}",
        retention_in_days=args.log_retention_days,
        kms_key_id=args.kms_key_arn,
        tags=tags,
        opts=opts,
    )
    role = iam.Role(
        f"{name}-flow-logs",
        name=f"{args.name}-flow-logs",
        permissions_boundary=args.permissions_boundary_arn,
        assume_role_policy=pulumi.Output.json_dumps(
            {
                "Version": "2012-10-17",
                "Statement": [
                    {
                        "Effect": "Allow",
                        "Principal": {"Service": "vpc-flow-logs.amazonaws.com"},
                        "Action": "sts:AssumeRole",
                    }
                ],
            }
        ),
        tags=tags,
        opts=opts,
    )
    write = {
        "Effect": "Allow",
        "Action": ["logs:CreateLogStream", "logs:PutLogEvents", "logs:DescribeLogStreams"],
        "Resource": pulumi.Output.concat(group.arn, ":*"),
    }
    granted = iam.RolePolicy(
        f"{name}-flow-logs",
        role=role.name,
        policy=pulumi.Output.json_dumps({"Version": "2012-10-17", "Statement": [write]}),
        opts=opts,
    )
    ec2.FlowLog(
        name,
        vpc_id=network.id,
        traffic_type="ALL",
        log_destination=group.arn,
        iam_role_arn=role.arn,
        tags=tags,
        opts=pulumi.ResourceOptions.merge(opts, pulumi.ResourceOptions(depends_on=[granted])),
    )
