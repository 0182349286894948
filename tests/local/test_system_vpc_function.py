"""The function in a VPC, by real requests and as EC2 tells it, in two regions."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import pytest

from tests.local.deployed import Deployed
from tests.local.systems import assert_problem, deployed_system

pytestmark = pytest.mark.local


@pytest.fixture(scope="module", params=["us-east-1", "us-west-2"])
def placed(request: pytest.FixtureRequest) -> Iterator[tuple[Deployed, str]]:
    with deployed_system("vpc_function", region=request.param) as deployed:
        yield deployed, request.param


@pytest.fixture
def deployed(placed: tuple[Deployed, str]) -> Deployed:
    return placed[0]


@pytest.fixture
def region(placed: tuple[Deployed, str]) -> str:
    return placed[1]


def test_get_item_writes_a_sample_of_this_request(deployed: Deployed) -> None:
    answer = deployed.send("GET", "/item")
    assert answer.status == 200
    document = answer.json
    assert set(document) == {"message", "itemId", "tableName"}
    assert document["tableName"] == deployed.outputs["dynamodb_table_name"]
    assert document["itemId"] == f"item_{answer.headers['x-amzn-requestid']}"
    key = {"itemId": {"S": document["itemId"]}}
    assert "Item" in deployed.client("dynamodb").get_item(TableName=document["tableName"], Key=key)


def test_each_request_writes_an_item_of_its_own(deployed: Deployed) -> None:
    ids = {deployed.send("GET", "/item").json["itemId"] for _ in range(3)}
    assert len(ids) == 3


def test_the_preflight_and_what_is_not_there(deployed: Deployed) -> None:
    answer = deployed.send("OPTIONS", "/item", headers={"Origin": "https://a.example"})
    assert (answer.status, answer.headers["access-control-allow-origin"]) == (204, "*")
    assert answer.headers["access-control-allow-methods"] == "GET, OPTIONS"
    assert_problem(deployed.send("GET", "/items"), 404, "route-not-found")
    assert_problem(deployed.send("POST", "/item", {}), 404, "route-not-found")


def test_the_function_is_in_two_zones_behind_its_own_group(deployed: Deployed, region: str) -> None:
    ec2 = deployed.client("ec2")
    name = deployed.outputs["lambda_function_name"]
    inside = deployed.client("lambda").get_function_configuration(FunctionName=name)["VpcConfig"]
    subnets = ec2.describe_subnets(SubnetIds=inside["SubnetIds"])["Subnets"]
    assert {subnet["VpcId"] for subnet in subnets} == {deployed.outputs["vpc_id"]}
    zones = {subnet["AvailabilityZone"] for subnet in subnets}
    assert len(zones) == 2
    assert all(zone.startswith(region) for zone in zones)
    (group,) = ec2.describe_security_groups(GroupIds=inside["SecurityGroupIds"])["SecurityGroups"]
    assert group["IpPermissions"] == []
    (rule,) = group["IpPermissionsEgress"]
    assert (rule["IpProtocol"], rule["FromPort"], rule["ToPort"]) == ("tcp", 443, 443)
    # To the prefix list of the endpoint, which the emulator drops (tests/unit/systems shows it); so, to no address.
    assert not rule.get("IpRanges")
    assert not rule.get("Ipv6Ranges")


def test_the_only_way_out_is_the_endpoint(deployed: Deployed, region: str) -> None:
    ec2 = deployed.client("ec2")
    vpc = [{"Name": "vpc-id", "Values": [deployed.outputs["vpc_id"]]}]
    (endpoint,) = endpoints(deployed)
    assert endpoint["ServiceName"] == f"com.amazonaws.{region}.dynamodb"
    assert endpoint["VpcEndpointType"] == "Gateway"
    assert ec2.describe_nat_gateways(Filters=vpc)["NatGateways"] == []
    attached = [{"Name": "attachment.vpc-id", "Values": [deployed.outputs["vpc_id"]]}]
    assert ec2.describe_internet_gateways(Filters=attached)["InternetGateways"] == []


def test_the_alarm_and_the_role_are_the_exported_ones(deployed: Deployed) -> None:
    outputs = deployed.outputs
    (alarm,) = deployed.client("cloudwatch").describe_alarms(AlarmNames=[outputs["alarm_name"]])["MetricAlarms"]
    assert (alarm["MetricName"], alarm["Threshold"], alarm["EvaluationPeriods"]) == ("Errors", 1, 1)
    role = deployed.client("iam").get_role(RoleName=outputs["lambda_role_name"])["Role"]
    settings = deployed.client("lambda").get_function_configuration(FunctionName=outputs["lambda_function_name"])
    assert settings["Role"] == role["Arn"]


def endpoints(deployed: Deployed) -> list[dict[str, Any]]:
    vpc = [{"Name": "vpc-id", "Values": [deployed.outputs["vpc_id"]]}]
    found: list[dict[str, Any]] = deployed.client("ec2").describe_vpc_endpoints(Filters=vpc)["VpcEndpoints"]
    return found
