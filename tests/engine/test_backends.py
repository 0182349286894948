"""The engine's state in a bucket of an S3-compatible store that is not where the programs are deployed to."""

from __future__ import annotations

import json
import os
from collections.abc import Callable, Iterator
from datetime import UTC, datetime, timedelta

import boto3
import pytest

from lib.local.emulator import Emulator
from tests.engine.machine import Checkout, dead_pid

pytestmark = pytest.mark.engine

LOCKS = "team/.pulumi/locks/organization/tap-data/s3/"


@pytest.fixture(scope="module")
def store() -> Iterator[Emulator]:
    """A second emulator: nothing of it is where AWS_ENDPOINT_URL points."""
    with Emulator() as store:
        yield store


def test_all_is_deployed_from_a_bucket_and_a_stale_lock_in_it_is_shown_and_removed(
    new_checkout: Callable[[str], Checkout], store: Emulator
) -> None:
    checkout = new_checkout("s3")
    bucket = boto3.client(
        "s3",
        endpoint_url=store.endpoint,
        region_name="us-east-1",
        aws_access_key_id=checkout.variables["AWS_ACCESS_KEY_ID"],
        aws_secret_access_key=checkout.variables["AWS_SECRET_ACCESS_KEY"],
    )
    bucket.create_bucket(Bucket="states")
    address = store.endpoint.removeprefix("http://")
    parameters = f"endpoint={address}&disableSSL=true&s3ForcePathStyle=true&region=us-east-1"
    checkout.variables["PULUMI_BACKEND_URL"] = f"s3://states/team?{parameters}"
    run = checkout.run("deploy_all", "--yes")
    assert run.code == 0, run
    stacks = bucket.list_objects_v2(Bucket="states", Prefix="team/.pulumi/stacks/")["Contents"]
    assert {item["Key"].split("/")[3] for item in stacks} == {"tap-data", "tap-compute", "tap-api", "tap-monitoring"}

    since = (datetime.now(UTC) - timedelta(minutes=90)).isoformat()
    pid = dead_pid()
    lock = {"pid": pid, "username": "ann", "hostname": os.uname().nodename, "timestamp": since}
    bucket.put_object(Bucket="states", Key=f"{LOCKS}0b1c.json", Body=json.dumps(lock).encode())
    run = checkout.run("deploy_all", "--yes")
    assert run.code == 12, run
    assert f"ann@{os.uname().nodename}, process {pid}, no longer running, held for 90 min" in run.found
    assert not run.summary["changed"]
    run = checkout.run("unlock", "data", "--yes")
    assert run.code == 0, run
    assert not bucket.list_objects_v2(Bucket="states", Prefix=LOCKS)["KeyCount"]
