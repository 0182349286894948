"""A DynamoDB table that bills per request, can be restored to any second, and is encrypted."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

import pulumi
from pulumi_aws import dynamodb


@dataclass(frozen=True, kw_only=True)
class TableArgs:
    """What a table needs; the keys are strings."""

    name: str
    hash_key: str
    range_key: str | None = None
    expires_attribute: str | None = None
    kms_key_arn: str | None = None
    deletion_protection: bool = False
    protect: bool = False
    tags: Mapping[str, str]


class Table(pulumi.ComponentResource):
    """The table; `name` and `arn` are what others need of it."""

    name: pulumi.Output[str]
    arn: pulumi.Output[str]

    def __init__(self, name: str, args: TableArgs, opts: pulumi.ResourceOptions | None = None) -> None:
        super().__init__("tap:table:Table", name, None, opts)
        keys = [args.hash_key, *([args.range_key] if args.range_key else [])]
        table = dynamodb.Table(
            name,
            name=args.name,
            billing_mode="PAY_PER_REQUEST",
            hash_key=args.hash_key,
            range_key=args.range_key,
            attributes=[dynamodb.TableAttributeArgs(name=key, type="S") for key in keys],
            ttl=dynamodb.TableTtlArgs(attribute_name=args.expires_attribute, enabled=True)
            if args.expires_attribute
            else None,
            point_in_time_recovery=dynamodb.TablePointInTimeRecoveryArgs(enabled=True),
            server_side_encryption=dynamodb.TableServerSideEncryptionArgs(enabled=True, kms_key_arn=args.kms_key_arn),
            # False is said aloud, so that switching it off again is a change and not silence.
            deletion_protection_enabled=args.deletion_protection,
            tags=dict(args.tags),
            opts=pulumi.ResourceOptions(parent=self, protect=args.protect),
        )
        self.name = table.name
        self.arn = table.arn
        self.register_outputs({"name": self.name, "arn": self.arn})
