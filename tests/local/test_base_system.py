"""The base system as deployed: read back through AWS's own APIs, it is what the specification says (1.1 to 1.5)."""

from __future__ import annotations

import json
import urllib.parse
from typing import Any

import pytest

from lib.routes import ITEMS, methods_by_path
from tests.local.deployed import Deployed

pytestmark = pytest.mark.local

TAGS = {"Project": "IaC-Nova-Test", "Owner": "LLM-Eval"}


def tags(listed: list[dict[str, str]]) -> dict[str, str]:
    return {tag["Key"]: tag["Value"] for tag in listed}


class TestTheTable:
    @pytest.fixture
    def table(self, deployed: Deployed) -> dict[str, Any]:
        name = deployed.outputs["dynamodb_table_name"]
        found: dict[str, Any] = deployed.client("dynamodb").describe_table(TableName=name)["Table"]
        return found

    def test_it_has_the_two_keys_and_bills_per_request(self, deployed: Deployed, table: dict[str, Any]) -> None:
        assert table["TableName"] == f"{deployed.prefix}-items-table"
        keys = [("ItemId", "HASH"), ("CreatedAt", "RANGE")]
        assert [(key["AttributeName"], key["KeyType"]) for key in table["KeySchema"]] == keys
        assert {(a["AttributeName"], a["AttributeType"]) for a in table["AttributeDefinitions"]} == {
            ("ItemId", "S"),
            ("CreatedAt", "S"),
        }
        assert table["BillingModeSummary"]["BillingMode"] == "PAY_PER_REQUEST"

    def test_it_is_encrypted_and_can_be_restored(self, deployed: Deployed, table: dict[str, Any]) -> None:
        assert table["SSEDescription"]["Status"] == "ENABLED"
        backups = deployed.client("dynamodb").describe_continuous_backups(TableName=table["TableName"])
        recovery = backups["ContinuousBackupsDescription"]["PointInTimeRecoveryDescription"]
        assert recovery["PointInTimeRecoveryStatus"] == "ENABLED"

    def test_it_is_tagged(self, deployed: Deployed, table: dict[str, Any]) -> None:
        found = deployed.client("dynamodb").list_tags_of_resource(ResourceArn=table["TableArn"])["Tags"]
        assert tags(found) == TAGS


class TestTheFunction:
    @pytest.fixture
    def function(self, deployed: Deployed) -> dict[str, Any]:
        name = deployed.outputs["lambda_function_name"]
        found: dict[str, Any] = deployed.client("lambda").get_function(FunctionName=name)
        return found

    def test_it_has_the_specified_size_and_settings(self, deployed: Deployed, function: dict[str, Any]) -> None:
        settings = function["Configuration"]
        assert settings["FunctionName"] == f"{deployed.prefix}-items-lambda"
        assert (settings["Runtime"], settings["Timeout"], settings["MemorySize"]) == ("python3.9", 5, 128)
        assert settings["Handler"] == "lib.handler.items.handler"
        assert settings["Environment"]["Variables"]["DYNAMODB_TABLE_NAME"] == deployed.outputs["dynamodb_table_name"]
        assert function["Tags"] == TAGS

    def test_it_is_published(self, deployed: Deployed) -> None:
        name = deployed.outputs["lambda_function_name"]
        versions = deployed.client("lambda").list_versions_by_function(FunctionName=name)["Versions"]
        assert {version["Version"] for version in versions} >= {"$LATEST", "1"}

    def test_its_role_may_use_its_table_and_write_its_logs(self, deployed: Deployed) -> None:
        iam = deployed.client("iam")
        role = deployed.outputs["lambda_role_arn"].rpartition("/")[2]
        found = iam.get_role(RoleName=role)["Role"]
        trust = found["AssumeRolePolicyDocument"]
        trust = json.loads(urllib.parse.unquote(trust)) if isinstance(trust, str) else trust
        assert [s["Principal"] for s in trust["Statement"]] == [{"Service": "lambda.amazonaws.com"}]
        attached = iam.list_attached_role_policies(RoleName=role)["AttachedPolicies"]
        assert [policy["PolicyName"] for policy in attached] == ["AWSLambdaBasicExecutionRole"]
        (name,) = iam.list_role_policies(RoleName=role)["PolicyNames"]
        document = iam.get_role_policy(RoleName=role, PolicyName=name)["PolicyDocument"]
        (statement,) = document["Statement"]
        verbs = ("GetItem", "PutItem", "UpdateItem", "DeleteItem", "Query", "Scan")
        assert set(statement["Action"]) == {f"dynamodb:{verb}" for verb in verbs}
        assert statement["Resource"] == [deployed.outputs["dynamodb_table_arn"]]
        assert tags(iam.list_role_tags(RoleName=role)["Tags"]) == TAGS

    def test_its_log_group_keeps_14_days(self, deployed: Deployed) -> None:
        name = f"/aws/lambda/{deployed.outputs['lambda_function_name']}"
        (group,) = deployed.client("logs").describe_log_groups(logGroupNamePrefix=name)["logGroups"]
        assert (group["logGroupName"], group["retentionInDays"]) == (name, 14)

    def test_only_this_api_may_call_it(self, deployed: Deployed) -> None:
        name = deployed.outputs["lambda_function_name"]
        policy = json.loads(deployed.client("lambda").get_policy(FunctionName=name)["Policy"])
        (statement,) = policy["Statement"]
        assert statement["Principal"] == {"Service": "apigateway.amazonaws.com"}
        (condition,) = statement["Condition"].values()
        (source,) = condition.values()
        assert source.endswith(f":{deployed.outputs['api_rest_id']}/{deployed.outputs['api_stage']}/*")


class TestTheApi:
    def test_it_is_regional_and_has_a_method_for_each_route(self, deployed: Deployed) -> None:
        client, api_id = deployed.client("apigateway"), deployed.outputs["api_rest_id"]
        api = client.get_rest_api(restApiId=api_id)
        assert api["name"] == f"{deployed.prefix}-items-api"
        assert api["endpointConfiguration"]["types"] == ["REGIONAL"]
        assert api["tags"] == TAGS
        pages = client.get_paginator("get_resources").paginate(restApiId=api_id, embed=["methods"])
        resources = [resource for page in pages for resource in page["items"]]
        served = {r["path"]: set(r["resourceMethods"]) for r in resources if r.get("resourceMethods")}
        assert served == {path: set(methods) for path, methods in methods_by_path(ITEMS).items()}
        for resource in resources:
            for method in resource.get("resourceMethods", {}).values():
                assert method["methodIntegration"]["type"] == "AWS_PROXY"
                assert deployed.outputs["lambda_function_arn"] in method["methodIntegration"]["uri"]

    def test_its_stage_is_prod_and_throttled_as_a_whole(self, deployed: Deployed) -> None:
        stage = deployed.client("apigateway").get_stage(
            restApiId=deployed.outputs["api_rest_id"], stageName=deployed.outputs["api_stage"]
        )
        assert stage["stageName"] == "prod"
        limits = stage["methodSettings"]["*/*"]
        assert (limits["throttlingRateLimit"], limits["throttlingBurstLimit"]) == (17, 50)
        assert stage["tags"] == TAGS
        assert deployed.outputs["api_url"].endswith("/prod")


class TestTheAlarms:
    def test_three_alarms_notify_one_topic(self, deployed: Deployed) -> None:
        name = deployed.outputs["lambda_function_name"]
        found = deployed.client("cloudwatch").describe_alarms(AlarmNamePrefix=name)["MetricAlarms"]
        conditions = {
            alarm["MetricName"]: (alarm["Statistic"], alarm["ComparisonOperator"], alarm["Threshold"])
            for alarm in found
        }
        assert conditions == {
            "Duration": ("Average", "GreaterThanThreshold", 4000),
            "Errors": ("Sum", "GreaterThanOrEqualToThreshold", 1),
            "Throttles": ("Sum", "GreaterThanOrEqualToThreshold", 1),
        }
        for alarm in found:
            assert alarm["TreatMissingData"] == "notBreaching"
            assert alarm["AlarmActions"] == [deployed.outputs["alarm_topic_arn"]]
            assert alarm["Dimensions"] == [{"Name": "FunctionName", "Value": name}], "a metric of this function"
            listed = deployed.client("cloudwatch").list_tags_for_resource(ResourceARN=alarm["AlarmArn"])["Tags"]
            assert tags(listed) == TAGS

    def test_the_topic_is_named_and_tagged(self, deployed: Deployed) -> None:
        arn = deployed.outputs["alarm_topic_arn"]
        assert arn.endswith(f":{deployed.prefix}-items-alarms")
        assert tags(deployed.client("sns").list_tags_for_resource(ResourceArn=arn)["Tags"]) == TAGS
