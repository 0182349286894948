"""The few questions a deploy asks AWS itself."""

from __future__ import annotations

import time
from collections.abc import Iterator
from contextlib import contextmanager
from datetime import UTC, datetime, timedelta
from types import ModuleType

_BACKUP_SECONDS = 600.0


class AwsError(Exception):
    """AWS, or the way to it, says no."""


@contextmanager
def _asking() -> Iterator[ModuleType]:
    """Give boto3, and make its errors ours."""
    # Its import takes longer than most questions: where one is asked beside an engine, that costs a run nothing.
    import boto3  # noqa: PLC0415
    from botocore.exceptions import BotoCoreError, ClientError  # noqa: PLC0415

    try:
        yield boto3
    except (BotoCoreError, ClientError) as error:
        raise AwsError(str(error)) from None


def caller(region: str) -> tuple[str | None, timedelta | None]:
    """The account of the credentials and how long they last, when they end; no account without credentials."""
    with _asking() as boto3:
        session = boto3.Session(region_name=region)
        credentials = session.get_credentials()
        if credentials is None:
            return None, None
        account = str(session.client("sts").get_caller_identity()["Account"])
    expiry = getattr(credentials, "_expiry_time", None)  # botocore has no public name for it
    return account, expiry - datetime.now(UTC) if isinstance(expiry, datetime) else None


def has_log_role(region: str) -> bool:
    """Whether API Gateway may write logs in this account and region."""
    with _asking() as boto3:
        return bool(boto3.client("apigateway", region_name=region).get_account().get("cloudwatchRoleArn"))


def back_up_table(table: str, name: str, region: str) -> bool:
    """Make an on-demand backup and wait until it can be restored from; False when there is no such table."""
    deadline = time.monotonic() + _BACKUP_SECONDS
    with _asking() as boto3:
        client = boto3.client("dynamodb", region_name=region)
        try:
            made = client.create_backup(TableName=table, BackupName=name)["BackupDetails"]
        except client.exceptions.TableNotFoundException:
            return False
        status = made["BackupStatus"]
        while status == "CREATING" and time.monotonic() < deadline:
            time.sleep(1)
            described = client.describe_backup(BackupArn=made["BackupArn"])["BackupDescription"]
            status = described["BackupDetails"]["BackupStatus"]
    if status != "AVAILABLE":
        raise AwsError(f"the backup {name} is {status} after {_BACKUP_SECONDS:.0f} s")
    return True


def read_objects(bucket: str, prefix: str, region: str | None) -> Iterator[str]:
    """The text of every object below a prefix."""
    with _asking() as boto3:
        client = boto3.client("s3", region_name=region)
        for page in client.get_paginator("list_objects_v2").paginate(Bucket=bucket, Prefix=prefix):
            for item in page.get("Contents", []):
                yield client.get_object(Bucket=bucket, Key=item["Key"])["Body"].read().decode()
