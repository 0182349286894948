"""VPCs and security groups."""

from __future__ import annotations

from collections.abc import Iterator

from lib.plan.recorder import Recorded
from policy.model import View, listed, rule

CONTROLS = "https://docs.aws.amazon.com/securityhub/latest/userguide/ec2-controls.html"


@rule(
    "no-ingress",
    "high",
    "ec2:SecurityGroup",
    "ec2:SecurityGroupRule",
    "vpc:SecurityGroupIngressRule",
    "ec2:DefaultSecurityGroup",
    reason="Nothing in this house listens in a VPC: a function is invoked, not connected to.",
    link=f"{CONTROLS}#ec2-18",
    fix="Remove the ingress rule.",
)
def no_ingress(resource: Recorded, _view: View) -> Iterator[str]:
    if resource.kind == "SecurityGroupIngressRule" or resource.inputs.get("type") == "ingress":
        yield "it lets connections in"
    elif listed(resource.inputs.get("ingress")):
        yield "it has ingress rules"


@rule(
    "vpc-flow-logs",
    "medium",
    "ec2:Vpc",
    whole_stack=True,
    reason="Without flow logs nobody can say afterwards what left the network.",
    link=f"{CONTROLS}#ec2-6",
    fix="Make an ec2.FlowLog for the VPC in production.",
)
def flow_logs(vpc: Recorded, view: View) -> Iterator[str]:
    if view.production and not view.about(vpc, "vpcId", "ec2:FlowLog"):
        yield "it has no flow log in production"
