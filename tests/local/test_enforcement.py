"""What is only configuration elsewhere has effect here: the role limits the function, alarms reach subscribers."""

from __future__ import annotations

import json
import time
import uuid
from typing import Any

import pytest

from lib.local.session import Session
from tests.local.conftest import zipped
from tests.local.deployed import Deployed

pytestmark = pytest.mark.local

# Calls what the event says with the credentials that the function was given, and says how that went.
PROBE = """
import boto3

def handler(event, context):
    client = boto3.client(event["service"])
    try:
        getattr(client, event["call"])(**event["with"])
        return "allowed"
    except client.exceptions.ClientError as error:
        return error.response["Error"]["Code"]
"""


@pytest.fixture
def probe(session: Session) -> Any:
    """Runs a call under the items function's own role."""
    client = session.aws.client("lambda")
    name = f"probe-{uuid.uuid4().hex[:8]}"
    client.create_function(
        FunctionName=name,
        Role=session.outputs["lambda_role_arn"],
        Runtime="python3.12",
        Handler="index.handler",
        Timeout=60,
        Code={"ZipFile": zipped({"index.py": PROBE})},
    )

    def call(service: str, operation: str, **arguments: Any) -> str:
        event = json.dumps({"service": service, "call": operation, "with": arguments})
        answer = json.loads(client.invoke(FunctionName=name, Payload=event)["Payload"].read())
        assert isinstance(answer, str), answer
        return answer

    yield call
    client.delete_function(FunctionName=name)


def test_the_role_allows_six_actions_and_refuses_a_seventh(probe: Any, deployed: Deployed) -> None:
    table = {"TableName": deployed.outputs["dynamodb_table_name"]}
    key = {"ItemId": {"S": deployed.new_id()}, "CreatedAt": {"S": "2024-01-01T00:00:00.000000Z"}}
    by_id = {"KeyConditionExpression": "ItemId = :i", "ExpressionAttributeValues": {":i": key["ItemId"]}}
    allowed: dict[str, dict[str, Any]] = {
        "put_item": {"Item": key},
        "get_item": {"Key": key},
        "update_item": {"Key": key, "UpdateExpression": "SET a = :a", "ExpressionAttributeValues": {":a": {"N": "1"}}},
        "query": by_id,
        "scan": {"Limit": 1},
        "delete_item": {"Key": key},
    }
    assert {call: probe("dynamodb", call, **table, **rest) for call, rest in allowed.items()} == dict.fromkeys(
        allowed, "allowed"
    )
    refused: dict[str, dict[str, Any]] = {
        "describe_table": table,
        "delete_table": table,
        "batch_write_item": {"RequestItems": {table["TableName"]: [{"PutRequest": {"Item": key}}]}},
        "create_backup": {**table, "BackupName": "mine"},
        "list_tables": {},
    }
    assert {call: probe("dynamodb", call, **rest) for call, rest in refused.items()} == dict.fromkeys(
        refused, "AccessDeniedException"
    )


def test_the_role_is_for_its_own_table_alone(probe: Any, session: Session) -> None:
    name = f"other-{uuid.uuid4().hex[:8]}"
    session.aws.client("dynamodb").create_table(
        TableName=name,
        KeySchema=[{"AttributeName": "a", "KeyType": "HASH"}],
        AttributeDefinitions=[{"AttributeName": "a", "AttributeType": "S"}],
        BillingMode="PAY_PER_REQUEST",
    )
    assert probe("dynamodb", "scan", TableName=name) == "AccessDeniedException"
    assert probe("s3", "list_buckets") == "AccessDenied"
    assert probe("iam", "list_users") == "AccessDenied"


def test_an_alarm_reaches_a_subscriber_of_the_topic(session: Session, deployed: Deployed) -> None:
    sqs, sns, cloudwatch = (session.aws.client(service) for service in ("sqs", "sns", "cloudwatch"))
    queue = sqs.create_queue(QueueName=f"alarms-{uuid.uuid4().hex[:8]}")["QueueUrl"]
    arn = sqs.get_queue_attributes(QueueUrl=queue, AttributeNames=["QueueArn"])["Attributes"]["QueueArn"]
    policy = {
        "Version": "2012-10-17",
        "Statement": [
            {
                "Effect": "Allow",
                "Principal": {"Service": "sns.amazonaws.com"},
                "Action": "sqs:SendMessage",
                "Resource": arn,
            }
        ],
    }
    sqs.set_queue_attributes(QueueUrl=queue, Attributes={"Policy": json.dumps(policy)})
    sns.subscribe(TopicArn=deployed.outputs["alarm_topic_arn"], Protocol="sqs", Endpoint=arn)
    name = f"{deployed.outputs['lambda_function_name']}-errors"
    cloudwatch.set_alarm_state(AlarmName=name, StateValue="ALARM", StateReason="a test")
    messages: list[dict[str, Any]] = []
    deadline = time.monotonic() + 30
    while not messages and time.monotonic() < deadline:
        messages = sqs.receive_message(QueueUrl=queue, WaitTimeSeconds=1).get("Messages", [])
    cloudwatch.set_alarm_state(AlarmName=name, StateValue="OK", StateReason="the test is over")
    assert messages, "an alarm that nobody hears of is no alarm"
    notice = json.loads(json.loads(messages[0]["Body"])["Message"])
    assert (notice["AlarmName"], notice["NewStateValue"]) == (name, "ALARM")
