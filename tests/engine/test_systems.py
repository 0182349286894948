"""The four systems on the real engine, each by itself: up, refreshed without changes, destroyed with nothing left."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import boto3
import pytest

from lib.plan.recorder import record_projects
from tests.engine.machine import ROOT, Checkout

pytestmark = pytest.mark.engine

REGIONS = {"http_service": "us-east-1", "http_crud": "us-east-1", "vpc_function": "us-east-1", "intake": "us-west-2"}
ENVIRONMENT = "sys"


@pytest.fixture(scope="module")
def checkout(new_checkout: Callable[[str], Checkout]) -> Checkout:
    return new_checkout(ENVIRONMENT)


def client(checkout: Checkout, service: str, region: str) -> Any:
    return boto3.client(
        service,
        endpoint_url=checkout.emulator.endpoint,
        region_name=region,
        aws_access_key_id=checkout.variables["AWS_ACCESS_KEY_ID"],
        aws_secret_access_key=checkout.variables["AWS_SECRET_ACCESS_KEY"],
    )


def left(checkout: Checkout, region: str) -> dict[str, list[str]]:
    """What is in the emulator of this environment, by service."""
    names = {
        "functions": [f["FunctionName"] for f in client(checkout, "lambda", region).list_functions()["Functions"]],
        "tables": client(checkout, "dynamodb", region).list_tables()["TableNames"],
        "roles": [role["RoleName"] for role in client(checkout, "iam", region).list_roles()["Roles"]],
        "buckets": [bucket["Name"] for bucket in client(checkout, "s3", region).list_buckets()["Buckets"]],
        "groups": [g["logGroupName"] for g in client(checkout, "logs", region).describe_log_groups()["logGroups"]],
        "http apis": [api["Name"] for api in client(checkout, "apigatewayv2", region).get_apis()["Items"]],
        "rest apis": [api["name"] for api in client(checkout, "apigateway", region).get_rest_apis()["items"]],
        "alarms": [a["AlarmName"] for a in client(checkout, "cloudwatch", region).describe_alarms()["MetricAlarms"]],
        "machines": [
            m["name"] for m in client(checkout, "stepfunctions", region).list_state_machines()["stateMachines"]
        ],
        "networks": [
            tag["Value"]
            for vpc in client(checkout, "ec2", region).describe_vpcs()["Vpcs"]
            for tag in vpc.get("Tags", [])
            if tag["Key"] == "Name"
        ],
    }
    mine = {kind: [name for name in found if f"-{ENVIRONMENT}" in name] for kind, found in names.items()}
    return {kind: found for kind, found in mine.items() if found}


@pytest.mark.parametrize("name", REGIONS)
def test_up_then_no_change_then_destroyed_with_nothing_left(checkout: Checkout, name: str) -> None:
    region = REGIONS[name]
    (planned,) = record_projects([ROOT / "systems" / name], ENVIRONMENT)
    up = checkout.run("deploy", name, "--yes")
    try:
        assert up.code == 0, up
        assert up.outputs.keys() == planned.exports.keys()
        resources = [r for r in checkout.state(f"systems/{name}")["resources"] if r["type"].startswith("aws:")]
        assert sorted(r["urn"] for r in resources) == sorted(r.urn for r in planned.real), "the plan tells the truth"
        refreshed = checkout.run("refresh", name, "--yes")
        assert (refreshed.code, refreshed.changes) == (0, {name: {}}), refreshed
        again = checkout.pulumi(
            f"systems/{name}", "preview", "--stack", ENVIRONMENT, "--refresh=false", "--expect-no-changes"
        )
        assert again.returncode == 0, again.stdout + again.stderr
        if name == "intake":
            body = {"Bucket": up.outputs["bucket_name"], "Key": "requests/1.json", "Body": b"{}"}
            client(checkout, "s3", region).put_object(**body)
    finally:
        # A table is destroyed by name only.
        by_name = [word for table in planned.of("Table") for word in ("--allow-data-loss", table.inputs["name"])]
        down = checkout.run("destroy", name, "--yes", *by_name)
    assert down.code == 0, down
    assert left(checkout, region) == {}, "also a bucket with objects is gone, in development"
