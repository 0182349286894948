"""The few questions a deploy asks AWS itself."""

from __future__ import annotations

import os
import time
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from datetime import UTC, datetime, timedelta
from types import ModuleType
from typing import Any

Config = Mapping[str, Any]
"""A stack's configuration, of which the keys of the AWS provider say where it is and who may change it."""

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


def _soon() -> Any:
    """How a client asks that somebody waits for: by itself boto3 would try a silent network for five minutes."""
    from botocore.config import Config as ClientConfig  # noqa: PLC0415 - as slow as boto3

    return ClientConfig(connect_timeout=5, read_timeout=10, retries={"mode": "standard", "total_max_attempts": 2})


def region(config: Config) -> str:
    """The region of a stack."""
    return str(config.get("aws:region", "us-east-1"))


def _own(boto3: ModuleType, config: Config) -> Any:
    """A session with the caller's own credentials."""
    return boto3.Session(region_name=region(config), profile_name=config.get("aws:profile"))


def _acting(boto3: ModuleType, session: Any, config: Config) -> Any:
    """A session as what the AWS provider acts as: the last of the roles that it is told to assume."""
    for role in config.get("aws:assumeRoles") or ():
        session = _assumed(boto3, session, role["roleArn"], role.get("sessionName"), role.get("externalId"))
    return session


def _assumed(boto3: ModuleType, session: Any, role: str, name: str | None = None, external: str | None = None) -> Any:
    """The session that a role gives the caller of another."""
    more = {"ExternalId": external} if external else {}
    sts = session.client("sts", config=_soon())
    given = sts.assume_role(RoleArn=role, RoleSessionName=name or "tap-deploy", **more)["Credentials"]
    return boto3.Session(
        region_name=session.region_name,
        aws_access_key_id=given["AccessKeyId"],
        aws_secret_access_key=given["SecretAccessKey"],
        aws_session_token=given["SessionToken"],
    )


def caller(config: Config) -> tuple[str | None, timedelta | None]:
    """The account that is deployed to and how long the credentials last, when they end; no account without any."""
    with _asking() as boto3:
        session = _own(boto3, config)
        credentials = session.get_credentials()
        if credentials is None:
            return None, None
        account = str(_acting(boto3, session, config).client("sts", config=_soon()).get_caller_identity()["Account"])
    expiry = getattr(credentials, "_expiry_time", None)  # botocore has no public name for it
    return account, expiry - datetime.now(UTC) if isinstance(expiry, datetime) else None


def _client(service: str, boto3: ModuleType, config: Config) -> Any:
    """A client that acts as the AWS provider will."""
    return _acting(boto3, _own(boto3, config), config).client(service, config=_soon())


def has_log_role(config: Config) -> bool:
    """Whether API Gateway may write logs in this account and region."""
    with _asking() as boto3:
        return bool(_client("apigateway", boto3, config).get_account().get("cloudwatchRoleArn"))


def back_up_table(table: str, name: str, config: Config) -> bool:
    """Make an on-demand backup and wait until it can be restored from; False when there is no such table."""
    deadline = time.monotonic() + _BACKUP_SECONDS
    with _asking() as boto3:
        client = _client("dynamodb", boto3, config)
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
    from botocore.config import Config as ClientConfig  # noqa: PLC0415 - as slow as boto3

    def is_on(*names: str) -> bool:
        return any(parameters.get(name, "").lower() in {"1", "t", "true"} for name in names)

    # The engine takes the region from either variable, boto3 from AWS_DEFAULT_REGION alone.
    place = parameters.get("region") or os.environ.get("AWS_REGION")
    session = boto3.Session(region_name=place, profile_name=parameters.get("profile"))
    if role := parameters.get("role"):
        session = _assumed(boto3, session, role)
    endpoint = parameters.get("endpoint")
    if endpoint:
        scheme, _, address = endpoint.rpartition("://")
        endpoint = f"{'http' if is_on('disable_https', 'disableSSL') else scheme or 'https'}://{address}"
    how = ClientConfig(s3={"addressing_style": "path" if is_on("use_path_style", "s3ForcePathStyle") else "auto"})
    return session.client("s3", endpoint_url=endpoint, config=how)
