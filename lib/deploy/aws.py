"""The few questions a deploy asks AWS itself."""

from __future__ import annotations

import os
import time
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from datetime import UTC, datetime, timedelta
from types import ModuleType
from typing import Any

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


def read_objects(bucket: str, prefix: str, parameters: Mapping[str, str]) -> Iterator[str]:
    """The text of every object below a prefix; `parameters` are those of the engine's own URL of the bucket."""
    with _asking() as boto3:
        client = _bucket_client(boto3, parameters)
        for page in client.get_paginator("list_objects_v2").paginate(Bucket=bucket, Prefix=prefix):
            for item in page.get("Contents", []):
                try:
                    yield client.get_object(Bucket=bucket, Key=item["Key"])["Body"].read().decode()
                except client.exceptions.NoSuchKey:  # removed meanwhile
                    continue


def _bucket_client(boto3: ModuleType, parameters: Mapping[str, str]) -> Any:
    """A client that reaches a bucket as the engine does, which may be another store than AWS's."""
    from botocore.config import Config  # noqa: PLC0415 - as slow as boto3

    def is_on(*names: str) -> bool:
        return any(parameters.get(name, "").lower() in {"1", "t", "true"} for name in names)

    # The engine takes the region from either variable, boto3 from AWS_DEFAULT_REGION alone.
    region = parameters.get("region") or os.environ.get("AWS_REGION")
    session = boto3.Session(region_name=region, profile_name=parameters.get("profile"))
    endpoint = parameters.get("endpoint")
    if endpoint:
        scheme, _, address = endpoint.rpartition("://")
        endpoint = f"{'http' if is_on('disable_https', 'disableSSL') else scheme or 'https'}://{address}"
    keys = {}
    if role := parameters.get("role"):
        given = session.client("sts").assume_role(RoleArn=role, RoleSessionName="tap-deploy")["Credentials"]
        keys = {
            "aws_access_key_id": given["AccessKeyId"],
            "aws_secret_access_key": given["SecretAccessKey"],
            "aws_session_token": given["SessionToken"],
        }
    config = Config(s3={"addressing_style": "path" if is_on("use_path_style", "s3ForcePathStyle") else "auto"})
    return session.client("s3", endpoint_url=endpoint, config=config, **keys)
