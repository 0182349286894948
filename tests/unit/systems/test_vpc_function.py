"""The function in a VPC: every value of its specification, in development and production, in two regions."""

from __future__ import annotations

import ipaddress

import pulumi
import pytest

from lib.plan.recorder import record
from lib.systems import vpc_function
from tests.unit.systems.kit import allowed, document, named, statements, system

PLACES = pytest.mark.parametrize(
    ("environment", "region"),
    [("dev", "us-east-1"), ("dev", "us-west-2"), ("prod", "us-east-1"), ("prod", "us-west-2")],
)
NAME = "tap-vpc-dev"


@PLACES
def test_two_private_subnets_in_two_zones_of_the_region(environment: str, region: str) -> None:
    recording = system("vpc_function", environment, region)
    network = ipaddress.ip_network(recording.one("Vpc").inputs["cidrBlock"])
    subnets = recording.of("Subnet")
    assert len({subnet.inputs["availabilityZone"] for subnet in subnets}) == len(subnets) == 2
    assert all(subnet.inputs["availabilityZone"].startswith(region) for subnet in subnets)
    blocks = [ipaddress.ip_network(subnet.inputs["cidrBlock"]) for subnet in subnets]
    assert all(isinstance(b, ipaddress.IPv4Network) and b.subnet_of(network) for b in blocks)  # type: ignore[arg-type]
    assert not blocks[0].overlaps(blocks[1])
    assert not any(subnet.inputs["mapPublicIpOnLaunch"] for subnet in subnets)


@PLACES
def test_there_is_no_way_out_of_the_network_but_the_endpoint(environment: str, region: str) -> None:
    recording = system("vpc_function", environment, region)
    ways_out = {"InternetGateway", "NatGateway", "Route", "VpcPeeringConnection", "EgressOnlyInternetGateway"}
    assert not ways_out & {resource.kind for resource in recording.real}
    endpoint = recording.one("VpcEndpoint")
    assert endpoint.inputs["serviceName"] == f"com.amazonaws.{region}.dynamodb"
    assert endpoint.inputs["vpcEndpointType"] == "Gateway"
    assert endpoint.inputs["routeTableIds"] == ["${RouteTable.network.id}"]
    associated = {(a.inputs["subnetId"], a.inputs["routeTableId"]) for a in recording.of("RouteTableAssociation")}
    assert associated == {(f"${{Subnet.network-{n}.id}}", "${RouteTable.network.id}") for n in (0, 1)}
    (statement,) = statements(endpoint)
    assert statement["Resource"] == ["${Table.items.arn}", "${Table.items.arn}/index/*"]


def test_the_function_is_in_both_subnets_with_a_group_of_its_own() -> None:
    recording = system("vpc_function")
    assert recording.one("Function").inputs["vpcConfig"] == {
        "subnetIds": ["${Subnet.network-0.id}", "${Subnet.network-1.id}"],
        "securityGroupIds": ["${SecurityGroup.network.id}"],
    }


def test_the_group_lets_nothing_in_and_out_only_to_dynamodb_over_tls() -> None:
    recording = system("vpc_function")
    group = recording.one("SecurityGroup")
    assert not {"ingress", "egress"} & group.inputs.keys()
    assert not recording.of("SecurityGroupIngressRule")
    rule = recording.one("SecurityGroupEgressRule").inputs
    assert rule["prefixListId"] == "${VpcEndpoint.network-dynamodb.prefixListId}"
    assert (rule["ipProtocol"], rule["fromPort"], rule["toPort"]) == ("tcp", 443, 443)
    assert not {"cidrIpv4", "cidrIpv6", "referencedSecurityGroupId"} & rule.keys()


def test_the_table_has_one_key() -> None:
    recording = system("vpc_function")
    inputs = recording.one("Table").inputs
    assert (inputs["hashKey"], inputs["billingMode"]) == ("itemId", "PAY_PER_REQUEST")
    assert recording.exports["dynamodb_table_name"] == inputs["name"]


@PLACES
def test_the_role_writes_this_table_and_makes_interfaces_here_alone(environment: str, region: str) -> None:
    recording = system("vpc_function", environment, region)
    account = "${Vpc.network.ownerId}"
    granted = allowed(recording, f"tap-vpc-{environment}")
    granted.pop(("xray:PutTraceSegments", "xray:PutTelemetryRecords"), None)  # production traces
    assert granted == {
        ("dynamodb:PutItem",): ["${Table.items.arn}"],
        ("ec2:CreateNetworkInterface",): [
            "${Subnet.network-0.arn}",
            "${Subnet.network-1.arn}",
            "${SecurityGroup.network.arn}",
            f"arn:aws:ec2:{region}:{account}:network-interface/*",
        ],
        ("ec2:DeleteNetworkInterface", "ec2:AssignPrivateIpAddresses", "ec2:UnassignPrivateIpAddresses"): [
            f"arn:aws:ec2:{region}:{account}:*/*"
        ],
        ("ec2:DescribeNetworkInterfaces", "ec2:DescribeSubnets"): ["*"],
    }


def test_the_functions_own_code_may_not_touch_the_network() -> None:
    policy = statements(named(system("vpc_function"), "RolePolicy", "function-network"))
    (denied,) = [statement for statement in policy if statement["Effect"] == "Deny"]
    given = {action for s in policy if s["Effect"] == "Allow" for action in s["Action"]}
    assert set(denied["Action"]) == given
    assert denied["Condition"] == {
        "ArnEquals": {"lambda:SourceFunctionArn": f"arn:aws:lambda:us-east-1:${{Vpc.network.ownerId}}:function:{NAME}"}
    }


def test_the_api_is_get_item_with_its_preflight() -> None:
    recording = system("vpc_function")
    (resource,) = recording.of("Resource")
    assert (resource.inputs["pathPart"], resource.inputs["parentId"]) == ("item", "${RestApi.api.rootResourceId}")
    assert {method.inputs["httpMethod"] for method in recording.of("Method")} == {"GET", "OPTIONS"}
    assert recording.exports["api_gateway_url"] == "${Stage.api.invokeUrl}"


def test_one_error_in_one_period_sets_the_alarm_off() -> None:
    recording = system("vpc_function")
    inputs = recording.one("MetricAlarm").inputs
    assert (inputs["metricName"], inputs["statistic"]) == ("Errors", "Sum")
    assert (inputs["comparisonOperator"], inputs["threshold"]) == ("GreaterThanOrEqualToThreshold", 1)
    assert inputs["evaluationPeriods"] == 1
    assert recording.exports["alarm_name"] == inputs["name"]


def test_production_logs_what_the_network_lets_through() -> None:
    assert not system("vpc_function", "dev").of("FlowLog")
    recording = system("vpc_function", "prod")
    assert recording.one("FlowLog").inputs["trafficType"] == "ALL"
    (statement,) = document(named(recording, "RolePolicy", "network-flow-logs"))["Statement"]
    assert statement["Resource"] == "${LogGroup.network-flow-logs.arn}:*"


def test_a_region_with_too_few_zones_is_named(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(vpc_function, "ZONES", 9)

    def program() -> None:
        vpc_function.deploy(vpc_function.settings())

    with pytest.raises(pulumi.RunError, match="eu-west-3 has 3 zones for functions, and 9 are needed"):
        record(program, config={"aws:region": "eu-west-3"})
