"""The few questions a deploy asks AWS itself."""

from __future__ import annotations

import time
from collections.abc import Iterator
from datetime import UTC, datetime, timedelta

import boto3
from botocore.exceptions import BotoCoreError, ClientError

_BACKUP_SECONDS = 600.0


class AwsError(Exception):
    """AWS, or the way to it, says no."""


def caller(region: str) -> tuple[str | None, timedelta | None]:
    """The account of the credentials and how long they last, when they end; no account without credentials."""
    try:
        session = boto3.Session(region_name=region)
        credentials = session.get_credentials()
        if credentials is None:
            return None, None
        account = str(session.client("sts").get_caller_identity()["Account"])
    except (BotoCoreError, ClientError) as error:
        raise AwsError(str(error)) from None
    expiry = getattr(credentials, "_expiry_time", None)  # botocore has no public name for it
    return account, expiry - datetime.now(UTC) if isinstance(expiry, datetime) else None


def has_log_role(region: str) -> bool:
    """Whether API Gateway may write logs in this account and region."""
    try:
        return bool(boto3.client("apigateway", region_name=region).get_account().get("cloudwatchRoleArn"))
    except (BotoCoreError, ClientError) as error:
        raise AwsError(str(error)) from None


def back_up_table(table: str, name: str, region: str) -> bool:
    """Make an on-demand backup and wait until it can be restored from; False when there is no such table."""
    client = boto3.client("dynamodb", region_name=region)
    deadline = time.monotonic() + _BACKUP_SECONDS
    try:
        made = client.create_backup(TableName=table, BackupName=name)["BackupDetails"]
        status = made["BackupStatus"]
        while status == "CREATING" and time.monotonic() < deadline:
            time.sleep(1)
            described = client.describe_backup(BackupArn=made["BackupArn"])["BackupDescription"]
            status = described["BackupDetails"]["BackupStatus"]
    except client.exceptions.TableNotFoundException:
        return False
    except (BotoCoreError, ClientError) as error:
        raise AwsError(str(error)) from None
    if status != "AVAILABLE":
        raise AwsError(f"the backup {name} is {status} after {_BACKUP_SECONDS:.0f} s")
    return True


def read_objects(bucket: str, prefix: str, region: str | None) -> Iterator[str]:
    """The text of every object below a prefix."""
    client = boto3.client("s3", region_name=region)
    try:
        for page in client.get_paginator("list_objects_v2").paginate(Bucket=bucket, Prefix=prefix):
            for item in page.get("Contents", []):
                yield client.get_object(Bucket=bucket, Key=item["Key"])["Body"].read().decode()
    except (BotoCoreError, ClientError) as error:
        raise AwsError(str(error)) from None
