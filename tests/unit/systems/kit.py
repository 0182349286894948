"""The other systems' programs, run whole and recorded."""

from __future__ import annotations

import functools
import json
from typing import Any

from lib.plan.recorder import Recorded, Recording, record_projects
from lib.program import ROOT

SYSTEMS = ("http_service", "http_crud", "vpc_function", "intake")
BASIC_EXECUTION = "arn:aws:iam::aws:policy/service-role/AWSLambdaBasicExecutionRole"
# What carries no tags: https://docs.aws.amazon.com/resourcegroupstagging/latest/APIReference/supported-services.html
UNTAGGED = {
    "BucketOwnershipControls",
    "BucketPolicy",
    "BucketPublicAccessBlock",
    "BucketServerSideEncryptionConfiguration",
    "Dashboard",
    "Deployment",
    "Integration",
    "Method",
    "MethodSettings",
    "Permission",
    "Resource",
    "Response",
    "RolePolicy",
    "RolePolicyAttachment",
    "Route",
    "RouteTableAssociation",
    "TopicPolicy",
    "TopicSubscription",
}


@functools.cache
def system(name: str, environment: str = "dev", region: str | None = None) -> Recording:
    """What a system's program registers and exports in an environment, with its committed configuration."""
    config = {"aws:region": region} if region else None
    (recording,) = record_projects([ROOT / "systems" / name], environment, config)
    return recording


def configured(name: str, environment: str = "dev", **config: str) -> Recording:
    """The same with settings laid over what is committed: `lambdaTimeout="7"`."""
    values = {f"tap:{key}": value for key, value in config.items()}
    (recording,) = record_projects([ROOT / "systems" / name], environment, values)
    return recording


def named(recording: Recording, kind: str, name: str) -> Recorded:
    """The resource of a kind with this logical name."""
    (found,) = [resource for resource in recording.of(kind) if resource.name == name]
    return found


def document(resource: Recorded, key: str = "policy") -> Any:
    """A policy or definition, as JSON."""
    return json.loads(resource.inputs[key])


def statements(resource: Recorded) -> list[dict[str, Any]]:
    """The statements of a policy."""
    found: list[dict[str, Any]] = document(resource)["Statement"]
    return found


def allowed(recording: Recording, role: str) -> dict[tuple[str, ...], list[str]]:
    """What the inline policies of a role allow: {actions: resources}."""
    granted = {}
    for policy in recording.of("RolePolicy"):
        if policy.inputs["role"] == role:
            for statement in statements(policy):
                if statement["Effect"] == "Allow":
                    granted[tuple(statement["Action"])] = statement["Resource"]
    return granted
