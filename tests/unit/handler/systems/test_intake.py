"""The request intake's contract: object, execution and record agree, and what happens when one of the steps fails."""

from __future__ import annotations

import json
import threading
import uuid
from hashlib import sha256
from time import monotonic
from typing import Any

import pytest

from lib.handler.intake_api import INPUT_BYTES, NOTE_SECONDS, Intake
from lib.handler.service import ServiceError
from lib.handler.table import TableError
from lib.routes import INTAKE
from tests.unit.handler.client import Answer
from tests.unit.handler.systems.kit import SystemClient, assert_problem, table

MACHINE = "arn:aws:states:us-west-2:123456789012:stateMachine:tap-dev-statemachine"


class FakeBucket:
    """Objects by key; fails as often as `failures` says."""

    def __init__(self) -> None:
        self.objects: dict[str, bytes] = {}
        self.failures: list[ServiceError] = []

    def put(self, key: str, body: bytes, deadline: float) -> None:
        assert isinstance(deadline, float)
        if self.failures:
            raise self.failures.pop(0)
        self.objects[key] = body


class FakeMachine:
    """Executions by name, each started once as by Step Functions; `lose_replies` starts and then fails."""

    def __init__(self) -> None:
        self.executions: dict[str, str] = {}
        self.starts = 0
        self.failures: list[ServiceError] = []
        self.lose_replies = 0

    def start(self, name: str, text: str, deadline: float) -> str:
        assert isinstance(deadline, float)
        if self.failures:
            raise self.failures.pop(0)
        self.starts += 1
        self.executions.setdefault(name, text)
        if self.lose_replies:
            self.lose_replies -= 1
            raise unavailable()
        return f"{MACHINE.replace('stateMachine', 'execution')}:{name}"


def unavailable() -> ServiceError:
    return ServiceError("s3", "")


class Pipeline:
    """The handler over its three parts."""

    def __init__(self) -> None:
        self.table = table("tap-dev-requests", "request_id")
        self.bucket, self.machine = FakeBucket(), FakeMachine()
        actions = Intake(self.table, self.bucket, self.machine, "dev")  # type: ignore[arg-type]
        self.client = SystemClient(INTAKE, actions, kind="rest", table=self.table)

    def post(self, payload: object, key: str | None = None, user: str = "AIDAEXAMPLE") -> Answer:
        headers = {} if key is None else {"Idempotency-Key": key}
        body = payload if isinstance(payload, str) else json.dumps(payload)
        event = self.client.event("POST", "/", headers=headers, body=body)
        event["requestContext"]["identity"] = {"accountId": "123456789012", "user": user}
        return self.client.send(event)

    def records(self) -> list[dict[str, str]]:
        return [{name: value["S"] for name, value in item.items()} for item in self.table.memory.items.values()]

    def record(self) -> dict[str, str]:
        (record,) = self.records()
        return record

    def fail_table(self, *actions: str) -> None:
        """Let the table refuse these actions, each once, in this order."""
        left = list(actions)

        def before(action: str) -> None:
            if left and action == left[0]:
                left.pop(0)
                raise TableError("unavailable", "gone")

        self.table.before = before

    def assert_agree(self, answer: Answer, payload: object) -> None:
        """Object, execution, record and answer tell the same story."""
        assert answer.status == 200, answer.text
        request_id = answer.json["request_id"]
        assert json.loads(self.bucket.objects[f"requests/{request_id}.json"]) == payload
        assert json.loads(self.machine.executions[f"execution-{request_id}"]) == {
            "request_id": request_id,
            "payload": payload,
        }
        (record,) = [record for record in self.records() if record["request_id"] == request_id]
        assert record["status"] == "STARTED"
        assert record["s3_key"] == f"requests/{request_id}.json"
        assert record["step_function_execution_arn"] == answer.json["execution_arn"]
        assert record["timestamp"].endswith("Z")


@pytest.fixture
def pipeline() -> Pipeline:
    return Pipeline()


def test_a_request_becomes_an_object_an_execution_and_a_record(pipeline: Pipeline) -> None:
    payload = {"order": 7, "lines": [{"sku": "ü", "price": 1.5}], "note": None}
    answer = pipeline.post(payload)
    assert set(answer.json) == {"message", "request_id", "execution_arn"}
    assert uuid.UUID(answer.json["request_id"]).version == 4
    assert answer.json["execution_arn"].endswith(f":execution-{answer.json['request_id']}")
    pipeline.assert_agree(answer, payload)


@pytest.mark.parametrize("payload", [[], "text", 0, None, {}, True])
def test_any_json_is_a_payload(pipeline: Pipeline, payload: object) -> None:
    pipeline.assert_agree(pipeline.post(json.dumps(payload)), payload)


def test_numbers_are_handed_on_digit_for_digit(pipeline: Pipeline) -> None:
    request_id = pipeline.post('{"n": 12345678901234567890.123456789}').json["request_id"]
    assert pipeline.bucket.objects[f"requests/{request_id}.json"] == b'{"n":12345678901234567890.123456789}'
    assert "12345678901234567890.123456789" in pipeline.machine.executions[f"execution-{request_id}"]


def test_each_request_is_one_of_its_own_without_an_idempotency_key(pipeline: Pipeline) -> None:
    first, second = pipeline.post({"n": 1}), pipeline.post({"n": 1})
    assert first.json["request_id"] != second.json["request_id"]
    assert len(pipeline.machine.executions) == len(pipeline.records()) == 2


@pytest.mark.parametrize("body", ["", "{", "{} {}", '{"n": NaN}', "\ufeff{}"])
def test_what_is_no_json_is_400_and_leaves_no_trace(pipeline: Pipeline, body: str) -> None:
    assert_problem(pipeline.post(body), 400, "invalid-body")
    assert not pipeline.records()
    assert not pipeline.bucket.objects
    assert not pipeline.machine.executions


def test_what_does_not_survive_being_read_is_422_with_every_place(pipeline: Pipeline) -> None:
    answer = pipeline.post('{"a": 1, "a": 2, "n": 1e999, "s": "\\ud800"}')
    assert_problem(answer, 422, "invalid-item")
    assert sorted(answer.pointers()) == ["/a", "/n", "/s"]
    assert not pipeline.records()


def test_a_payload_that_step_functions_does_not_take_is_413_and_leaves_no_trace(pipeline: Pipeline) -> None:
    envelope = len(json.dumps({"request_id": str(uuid.uuid4()), "payload": ""}, separators=(",", ":")))
    assert_problem(pipeline.post(json.dumps("x" * (INPUT_BYTES - envelope + 1))), 413, "too-large")
    assert not pipeline.records()
    assert pipeline.post(json.dumps("x" * (INPUT_BYTES - envelope))).status == 200


@pytest.mark.parametrize("key", ["", "x" * 256, "with space", "ümlaut"])
def test_an_idempotency_key_that_is_none_is_400(pipeline: Pipeline, key: str) -> None:
    assert_problem(pipeline.post({}, key), 400, "invalid-header")


def test_a_retry_with_the_same_key_does_not_start_a_second_execution(pipeline: Pipeline) -> None:
    first = pipeline.post({"n": 1}, "key")
    pipeline.assert_agree(first, {"n": 1})
    assert pipeline.post({"n": 1}, "key").json == first.json
    assert pipeline.machine.starts == 1
    assert len(pipeline.records()) == 1


def test_the_same_key_with_another_body_is_422_and_changes_nothing(pipeline: Pipeline) -> None:
    first = pipeline.post({"n": 1}, "key")
    assert_problem(pipeline.post({"n": 2}, "key"), 422, "idempotency-key-reused")
    pipeline.assert_agree(first, {"n": 1})


def test_two_callers_may_choose_the_same_key(pipeline: Pipeline) -> None:
    mine, theirs = pipeline.post({"n": 1}, "key", "AIDAME"), pipeline.post({"n": 2}, "key", "AIDATHEM")
    assert mine.json["request_id"] != theirs.json["request_id"]
    pipeline.assert_agree(mine, {"n": 1})
    pipeline.assert_agree(theirs, {"n": 2})


def test_another_session_of_the_same_role_is_the_same_caller(pipeline: Pipeline) -> None:
    first = pipeline.post({"n": 1}, "key", "AROAEXAMPLE:yesterday")
    assert pipeline.post({"n": 1}, "key", "AROAEXAMPLE:today").json == first.json


def test_two_sendings_at_the_same_moment_are_one_request(pipeline: Pipeline) -> None:
    both = threading.Barrier(2)
    put = pipeline.bucket.put

    def together(key: str, body: bytes, deadline: float) -> None:
        both.wait(30)
        put(key, body, deadline)

    pipeline.bucket.put = together  # type: ignore[method-assign]
    answers: list[Answer] = []
    threads = [threading.Thread(target=lambda: answers.append(pipeline.post({"n": 1}, "key"))) for _ in range(2)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join(60)
    assert answers[0].json == answers[1].json
    pipeline.assert_agree(answers[0], {"n": 1})
    assert len(pipeline.machine.executions) == 1


# --- when a step fails


def test_without_a_record_nothing_is_begun(pipeline: Pipeline) -> None:
    pipeline.fail_table("PutItem")
    answer = pipeline.post({"n": 1}, "key")
    assert_problem(answer, 503, "unavailable")
    assert answer.headers["retry-after"]
    assert not pipeline.bucket.objects
    assert not pipeline.machine.executions
    pipeline.assert_agree(pipeline.post({"n": 1}, "key"), {"n": 1})


def test_an_object_that_cannot_be_stored_is_on_record_and_a_retry_resumes(pipeline: Pipeline) -> None:
    pipeline.bucket.failures = [unavailable()]
    answer = pipeline.post({"n": 1}, "key")
    assert_problem(answer, 503, "unavailable")
    assert pipeline.record()["status"] == "STORE_FAILED"
    assert "step_function_execution_arn" not in pipeline.record()
    assert not pipeline.machine.executions, "what is not stored is not started"
    pipeline.assert_agree(pipeline.post({"n": 1}, "key"), {"n": 1})
    assert len(pipeline.records()) == 1


def test_an_execution_that_cannot_be_started_is_on_record_and_a_retry_resumes(pipeline: Pipeline) -> None:
    pipeline.machine.failures = [unavailable()]
    assert_problem(pipeline.post({"n": 1}, "key"), 503, "unavailable")
    record = pipeline.record()
    assert record["status"] == "START_FAILED"
    assert json.loads(pipeline.bucket.objects[record["s3_key"]]) == {"n": 1}, "the payload is not lost"
    pipeline.assert_agree(pipeline.post({"n": 1}, "key"), {"n": 1})


def test_an_execution_that_was_started_with_its_reply_lost_is_not_started_again(pipeline: Pipeline) -> None:
    pipeline.machine.lose_replies = 1
    assert pipeline.post({"n": 1}, "key").status == 503
    pipeline.assert_agree(pipeline.post({"n": 1}, "key"), {"n": 1})
    assert len(pipeline.machine.executions) == 1


def test_a_record_that_stays_behind_is_an_error_that_a_retry_heals(pipeline: Pipeline) -> None:
    pipeline.fail_table("UpdateItem")
    assert_problem(pipeline.post({"n": 1}, "key"), 503, "unavailable")
    assert pipeline.record()["status"] == "RECEIVED", "what is on record is never more than what was done"
    pipeline.assert_agree(pipeline.post({"n": 1}, "key"), {"n": 1})
    assert len(pipeline.machine.executions) == 1


def test_a_failure_that_cannot_be_written_down_leaves_the_record_of_the_beginning(pipeline: Pipeline) -> None:
    pipeline.bucket.failures = [unavailable()]
    pipeline.fail_table("UpdateItem")
    assert_problem(pipeline.post({"n": 1}, "key"), 503, "unavailable")
    assert pipeline.record()["status"] == "RECEIVED"


def test_a_failure_does_not_overwrite_the_success_of_another_sending(pipeline: Pipeline) -> None:
    put = pipeline.bucket.put

    def overtaken(key: str, body: bytes, deadline: float) -> None:
        pipeline.bucket.put = put  # type: ignore[method-assign]
        assert pipeline.post({"n": 1}, "key").status == 200
        raise unavailable()

    pipeline.bucket.put = overtaken  # type: ignore[method-assign]
    assert pipeline.post({"n": 1}, "key").status == 503
    assert pipeline.record()["status"] == "STARTED"
    pipeline.assert_agree(pipeline.post({"n": 1}, "key"), {"n": 1})


def test_time_is_kept_to_write_down_that_a_step_failed(pipeline: Pipeline) -> None:
    given: list[float] = []

    def hang(key: str, body: bytes, deadline: float) -> None:
        given.append(deadline)
        raise unavailable()

    pipeline.bucket.put = hang  # type: ignore[method-assign]
    begun = monotonic()
    pipeline.post({"n": 1})
    patience = pipeline.client.context.milliseconds / 1000
    assert given[0] - begun < patience - NOTE_SECONDS, "a step that hangs to its end must leave the time for the note"


def test_rights_that_are_missing_are_a_500_that_tells_nothing(pipeline: Pipeline) -> None:
    pipeline.bucket.failures = [ServiceError("s3", "AccessDenied", 403)]
    answer = pipeline.post({"n": 1})
    assert_problem(answer, 500, "internal-error")
    assert "AccessDenied" not in answer.text
    assert pipeline.record()["status"] == "STORE_FAILED"


def test_the_record_guards_its_payload_with_a_digest(pipeline: Pipeline) -> None:
    request_id = pipeline.post({"n": 1}).json["request_id"]
    stored = pipeline.bucket.objects[f"requests/{request_id}.json"]
    assert pipeline.record()["payload_sha256"] == sha256(stored).hexdigest()


@pytest.mark.parametrize("method", ["GET", "PUT", "DELETE", "PATCH"])
def test_other_methods_are_405(pipeline: Pipeline, method: str) -> None:
    answer = pipeline.client(method, "/", {})
    assert_problem(answer, 405, "method-not-allowed")
    assert answer.headers["allow"] == "POST, OPTIONS"


def test_options_touches_nothing(pipeline: Pipeline) -> None:
    answer: Any = pipeline.client("OPTIONS", "/")
    assert answer.status == 204
    assert not pipeline.table.memory.requests
