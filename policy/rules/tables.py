"""DynamoDB tables."""

from __future__ import annotations

from collections.abc import Iterator

from lib.plan.recorder import Recorded
from policy.model import View, nested, rule

CONTROLS = "https://docs.aws.amazon.com/securityhub/latest/userguide/dynamodb-controls.html"


@rule(
    "table-encrypted",
    "high",
    "dynamodb:Table",
    reason="A KMS key leaves a trail of every use and can be taken away; the key DynamoDB owns can't.",
    link="https://docs.aws.amazon.com/amazondynamodb/latest/developerguide/EncryptionAtRest.html",
    fix="Set server_side_encryption with enabled=True.",
)
def encrypted(table: Recorded, _view: View) -> Iterator[str]:
    if nested(table, "serverSideEncryption").get("enabled") is not True:
        yield "server-side encryption with a KMS key is not on"


@rule(
    "table-recoverable",
    "high",
    "dynamodb:Table",
    reason="A bad write is undone only by restoring the table to the second before it.",
    link=f"{CONTROLS}#dynamodb-2",
    fix="Set point_in_time_recovery with enabled=True.",
)
def recoverable(table: Recorded, _view: View) -> Iterator[str]:
    if nested(table, "pointInTimeRecovery").get("enabled") is not True:
        yield "point-in-time recovery is not on"


@rule(
    "table-protected",
    "high",
    "dynamodb:Table",
    reason="Production data must survive a wrong destroy, from Pulumi and from anywhere else.",
    link=f"{CONTROLS}#dynamodb-6",
    fix="Set tap:deletionProtection and tap:protect to true for the environment.",
)
def protected(table: Recorded, view: View) -> Iterator[str]:
    if not view.production:
        return
    if table.inputs.get("deletionProtectionEnabled") is not True:
        yield "deletion protection is not on in production"
    if not table.protect:
        yield "Pulumi does not protect it in production"


@rule(
    "table-on-demand",
    "medium",
    "dynamodb:Table",
    reason="Provisioned capacity throttles, or needs scaling policies, which this house does not use.",
    link=f"{CONTROLS}#dynamodb-1",
    fix="Set billing_mode to PAY_PER_REQUEST.",
)
def on_demand(table: Recorded, _view: View) -> Iterator[str]:
    if table.inputs.get("billingMode") != "PAY_PER_REQUEST":
        yield "it is not billed per request"
