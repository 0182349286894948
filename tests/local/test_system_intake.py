"""The request intake by signed requests: object, record and execution agree, also after a step has failed."""

from __future__ import annotations

import json
import time
import uuid
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from typing import Any

import pytest

from tests.local.deployed import Answer, Deployed
from tests.local.systems import assert_problem, deployed_system, signature

pytestmark = pytest.mark.local


@pytest.fixture(scope="module")
def intake() -> Iterator[Deployed]:
    with deployed_system("intake") as deployed:
        yield deployed


def post(intake: Deployed, payload: object, key: str | None = None) -> Answer:
    body = payload if isinstance(payload, bytes) else json.dumps(payload).encode()
    headers = {"Idempotency-Key": key} if key else {}
    return intake.send("POST", "/", body, signature(intake, body, headers))


def record(intake: Deployed, request_id: str) -> dict[str, str]:
    key = {"request_id": {"S": request_id}}
    found = intake.client("dynamodb").get_item(TableName=intake.outputs["table_name"], Key=key, ConsistentRead=True)
    return {name: value["S"] for name, value in found.get("Item", {}).items()}


def records(intake: Deployed) -> int:
    count: int = intake.client("dynamodb").scan(TableName=intake.outputs["table_name"], Select="COUNT")["Count"]
    return count


def executions(intake: Deployed) -> list[str]:
    found = intake.client("stepfunctions").list_executions(stateMachineArn=intake.outputs["state_machine_arn"])
    return [execution["name"] for execution in found["executions"]]


def assert_agree(intake: Deployed, answer: Answer, payload: object) -> None:
    """Object, record, execution and answer tell the same story, to its end."""
    assert answer.status == 200, answer.body
    assert set(answer.json) == {"message", "request_id", "execution_arn"}
    request_id, arn = answer.json["request_id"], answer.json["execution_arn"]
    stored = intake.client("s3").get_object(Bucket=intake.outputs["bucket_name"], Key=f"requests/{request_id}.json")
    assert json.loads(stored["Body"].read()) == payload
    assert stored["ContentType"] == "application/json"
    found = record(intake, request_id)
    assert found["s3_key"] == f"requests/{request_id}.json"
    assert (found["status"], found["step_function_execution_arn"]) == ("STARTED", arn)
    assert arn.endswith(f":execution-{request_id}")
    states = intake.client("stepfunctions")
    for _ in range(100):
        execution = states.describe_execution(executionArn=arn)
        if execution["status"] != "RUNNING":
            break
        time.sleep(0.1)
    assert execution["status"] == "SUCCEEDED"
    handed_on = {"request_id": request_id, "payload": payload}
    assert json.loads(execution["input"]) == json.loads(execution["output"]) == handed_on, "a Pass state passes on"
    events = [event["type"] for event in states.get_execution_history(executionArn=arn)["events"]]
    assert [event for event in events if event.startswith("PassState")] == ["PassStateEntered", "PassStateExited"]


class TestSigned:
    @pytest.mark.parametrize("payload", [{"order": 7, "lines": [1.5, None, "ü"]}, [], "text", 0, None])
    def test_a_request_becomes_an_object_a_record_and_an_execution(self, intake: Deployed, payload: object) -> None:
        answer = post(intake, payload)
        assert uuid.UUID(answer.json["request_id"]).version == 4
        assert_agree(intake, answer, payload)

    def test_numbers_are_handed_on_digit_for_digit(self, intake: Deployed) -> None:
        answer = post(intake, b'{"n": 12345678901234567890.123456789}')
        arn = answer.json["execution_arn"]
        execution = intake.client("stepfunctions").describe_execution(executionArn=arn)
        assert "12345678901234567890.123456789" in execution["input"]

    @pytest.mark.parametrize("body", [b"", b"{", b"{} {}", b'{"n": NaN}', b"\xff"])
    def test_what_is_no_json_is_400_and_leaves_no_record(self, intake: Deployed, body: bytes) -> None:
        before = records(intake)
        assert_problem(post(intake, body), 400, "invalid-body")
        assert records(intake) == before

    def test_what_does_not_survive_being_read_is_422(self, intake: Deployed) -> None:
        answer = post(intake, b'{"a": 1, "a": 2, "n": 1e999}')
        assert_problem(answer, 422, "invalid-item")
        assert sorted(error["pointer"] for error in answer.json["errors"]) == ["/a", "/n"]

    def test_what_step_functions_does_not_take_is_413(self, intake: Deployed) -> None:
        assert_problem(post(intake, "x" * 262_144), 413, "too-large")
        assert post(intake, "x" * 262_000).status == 200


class TestRefused:
    def refused(self, intake: Deployed, body: bytes, headers: dict[str, Any]) -> None:
        before = records(intake)
        answer = intake.send("POST", "/", body, headers)
        assert_problem(answer, 403, "forbidden")
        assert answer.headers["access-control-allow-origin"] == "*", "a browser page must see errors too"
        assert records(intake) == before, "what is refused never reaches the function"

    def test_without_a_signature(self, intake: Deployed) -> None:
        self.refused(intake, b"{}", {"Content-Type": "application/json"})

    def test_with_an_unknown_key(self, intake: Deployed) -> None:
        self.refused(intake, b"{}", signature(intake, b"{}", credentials=("AKIDUNKNOWN", "test")))

    def test_with_a_wrong_secret(self, intake: Deployed) -> None:
        self.refused(intake, b"{}", signature(intake, b"{}", credentials=("test", "wrong")))

    def test_with_another_body_than_was_signed(self, intake: Deployed) -> None:
        self.refused(intake, b'{"n": 2}', signature(intake, b'{"n": 1}'))

    def test_the_preflight_needs_no_signature(self, intake: Deployed) -> None:
        asked = {"Origin": "https://a.example", "Access-Control-Request-Method": "POST"}
        answer = intake.send("OPTIONS", "/", headers=asked)
        assert (answer.status, answer.headers["access-control-allow-methods"]) == (204, "POST, OPTIONS")
        assert "X-Amz-Date" in answer.headers["access-control-allow-headers"], "or no browser could sign"


class TestSentAgain:
    def test_the_same_key_and_body_is_one_request(self, intake: Deployed) -> None:
        key, before = str(uuid.uuid4()), len(executions(intake))
        first = post(intake, {"n": 1}, key)
        assert_agree(intake, first, {"n": 1})
        assert post(intake, {"n": 1}, key).json == first.json
        assert len(executions(intake)) == before + 1

    def test_at_the_same_moment_too(self, intake: Deployed) -> None:
        key, before = str(uuid.uuid4()), len(executions(intake))
        with ThreadPoolExecutor(4) as pool:
            answers = list(pool.map(lambda _: post(intake, {"n": 1}, key), range(4)))
        assert {answer.status for answer in answers} == {200}, [answer.body for answer in answers]
        assert len({answer.json["request_id"] for answer in answers}) == 1
        assert_agree(intake, answers[0], {"n": 1})
        assert len(executions(intake)) == before + 1

    def test_the_same_key_with_another_body_is_422(self, intake: Deployed) -> None:
        key = str(uuid.uuid4())
        first = post(intake, {"n": 1}, key)
        assert_problem(post(intake, {"n": 2}, key), 422, "idempotency-key-reused")
        assert_agree(intake, first, {"n": 1})


class TestAFailedStep:
    """A part of the pipeline is taken away, and put back."""

    def only_record(self, intake: Deployed, before: set[str]) -> dict[str, str]:
        (request_id,) = self.request_ids(intake) - before
        return record(intake, request_id)

    def request_ids(self, intake: Deployed) -> set[str]:
        items = intake.client("dynamodb").scan(TableName=intake.outputs["table_name"])["Items"]
        return {item["request_id"]["S"] for item in items}

    def test_storing(self, intake: Deployed) -> None:
        key, before = str(uuid.uuid4()), self.request_ids(intake)
        s3, bucket = intake.client("s3"), intake.outputs["bucket_name"]
        policy = json.loads(s3.get_bucket_policy(Bucket=bucket)["Policy"])
        closed = {"Effect": "Deny", "Principal": "*", "Action": "s3:PutObject", "Resource": f"arn:aws:s3:::{bucket}/*"}
        s3.put_bucket_policy(Bucket=bucket, Policy=json.dumps({**policy, "Statement": [*policy["Statement"], closed]}))
        try:
            answer = post(intake, {"n": 1}, key)
        finally:
            s3.put_bucket_policy(Bucket=bucket, Policy=json.dumps(policy))
        assert_problem(answer, 500, "internal-error")
        found = self.only_record(intake, before)
        assert found["status"] == "STORE_FAILED"
        assert f"execution-{found['request_id']}" not in executions(intake)
        assert_agree(intake, post(intake, {"n": 1}, key), {"n": 1})
        assert self.only_record(intake, before)["request_id"] == found["request_id"]

    def test_starting(self, intake: Deployed) -> None:
        key, before = str(uuid.uuid4()), self.request_ids(intake)
        iam, role = intake.client("iam"), intake.outputs["function_name"]
        (policy,) = [name for name in iam.list_role_policies(RoleName=role)["PolicyNames"] if "statemachine" in name]
        document = iam.get_role_policy(RoleName=role, PolicyName=policy)["PolicyDocument"]
        iam.delete_role_policy(RoleName=role, PolicyName=policy)
        try:
            answer = post(intake, {"n": 1}, key)
        finally:
            iam.put_role_policy(RoleName=role, PolicyName=policy, PolicyDocument=json.dumps(document))
        assert_problem(answer, 500, "internal-error")
        found = self.only_record(intake, before)
        assert found["status"] == "START_FAILED"
        stored = intake.client("s3").get_object(Bucket=intake.outputs["bucket_name"], Key=found["s3_key"])
        assert json.loads(stored["Body"].read()) == {"n": 1}, "the payload is not lost"
        assert_agree(intake, post(intake, {"n": 1}, key), {"n": 1})


class TestTheBucket:
    def test_it_is_private_encrypted_and_refuses_plain_http(self, intake: Deployed) -> None:
        s3, bucket = intake.client("s3"), intake.outputs["bucket_name"]
        blocks = s3.get_public_access_block(Bucket=bucket)["PublicAccessBlockConfiguration"]
        assert all(blocks.values())
        assert len(blocks) == 4
        (rule,) = s3.get_bucket_encryption(Bucket=bucket)["ServerSideEncryptionConfiguration"]["Rules"]
        assert rule["ApplyServerSideEncryptionByDefault"]["SSEAlgorithm"] == "AES256"
        (statement,) = json.loads(s3.get_bucket_policy(Bucket=bucket)["Policy"])["Statement"]
        assert statement["Condition"] == {"Bool": {"aws:SecureTransport": "false"}}
