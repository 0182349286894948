"""The intake's action: a request becomes an object, an execution, and a record that says how far it got.

docs/adr/0073 has what happens when a step fails.
"""

from __future__ import annotations

from contextlib import suppress
from hashlib import sha256

from lib.handler import clock, store
from lib.handler.app import ok
from lib.handler.problem import Problem
from lib.handler.service import ServiceError
from lib.handler.table import TableError
from lib.handler.values import dumps

TYPE_CHECKING = False  # what `typing` says too, without importing it in INIT
if TYPE_CHECKING:
    from typing import Any

    from lib.handler.app import Answer
    from lib.handler.bucket import Bucket
    from lib.handler.request import Request
    from lib.handler.state_machine import StateMachine
    from lib.handler.table import Table

    Record = dict[str, dict[str, Any]]  # {name: attribute value}

# How far a request got. The first is written before the work, the others after what they say.
RECEIVED, STORE_FAILED, START_FAILED, STARTED = "RECEIVED", "STORE_FAILED", "START_FAILED", "STARTED"
# Step Functions takes no longer input: https://docs.aws.amazon.com/step-functions/latest/dg/service-quotas.html
INPUT_BYTES = 256 * 1024
# Kept from the time for storing and starting, to write down that they failed.
NOTE_SECONDS = 1.0


class Intake:
    """The action of `routes.INTAKE`; `environment` keeps the idempotency keys of two environments apart."""

    def __init__(self, table: Table, bucket: Bucket, machine: StateMachine, environment: str) -> None:
        self.table = table
        self.bucket = bucket
        self.machine = machine
        self.environment = environment

    def take_in(self, request: Request) -> Answer:
        key = request.idempotency_key()
        payload, errors = request.json()
        if errors:
            raise Problem("invalid-item", "The payload cannot be handed on as it is.", errors)
        text = dumps(payload)
        request_id = clock.new_id() if key is None else clock.id_of(self.environment, _caller(request), key)
        handed_on = f'{{"request_id":"{request_id}","payload":{text}}}'
        if len(handed_on) > INPUT_BYTES:
            raise Problem("too-large", "A payload has at most 256 KB.")
        s3_key = f"requests/{request_id}.json"
        record = self._claim(request_id, s3_key, text, request.deadline)
        if record["status"]["S"] == STARTED:
            return _accepted(request_id, record["step_function_execution_arn"]["S"])
        until = request.deadline - NOTE_SECONDS
        try:
            self.bucket.put(s3_key, text.encode(), until)
        except ServiceError as error:
            self._note_failure(request_id, STORE_FAILED, request.deadline)
            raise error.problem() from None
        try:
            arn = self.machine.start(f"execution-{request_id}", handed_on, until)
        except ServiceError as error:
            self._note_failure(request_id, START_FAILED, request.deadline)
            raise error.problem() from None
        # Without this note the record is behind: better an error, whose retry writes it, than a record that never does.
        self._note(
            request_id, "SET #s = :s, step_function_execution_arn = :a", {":s": STARTED, ":a": arn}, request.deadline
        )
        return _accepted(request_id, arn)

    def _claim(self, request_id: str, s3_key: str, text: str, deadline: float) -> Record:
        """Return the record of this request: a new one, or the one that an earlier sending of it made."""
        record = {
            "request_id": {"S": request_id},
            "timestamp": {"S": clock.now()},
            "s3_key": {"S": s3_key},
            "status": {"S": RECEIVED},
            "payload_sha256": {"S": sha256(text.encode()).hexdigest()},
        }
        payload = {
            "Item": record,
            "ConditionExpression": "attribute_not_exists(request_id)",
            "ReturnValuesOnConditionCheckFailure": "ALL_OLD",
        }
        try:
            store.ask(self.table, "PutItem", payload, deadline)
        except TableError as error:
            first = error.item or record
            if first["payload_sha256"] != record["payload_sha256"]:
                raise Problem("idempotency-key-reused", "Send another key with another body.") from None
            return first
        return record

    def _note_failure(self, request_id: str, status: str, deadline: float) -> None:
        """Write how far it got, if that can be written, and unless the same request succeeded by another sending."""
        with suppress(Problem, TableError):
            self._note(request_id, "SET #s = :s", {":s": status}, deadline, unless=STARTED)

    def _note(
        self, request_id: str, change: str, values: dict[str, str], deadline: float, unless: str | None = None
    ) -> None:
        payload: dict[str, Any] = {
            "Key": {"request_id": {"S": request_id}},
            "UpdateExpression": change,
            "ExpressionAttributeNames": {"#s": "status"},
            "ExpressionAttributeValues": {name: {"S": value} for name, value in values.items()},
        }
        if unless:
            payload["ConditionExpression"] = "#s <> :unless"
            payload["ExpressionAttributeValues"][":unless"] = {"S": unless}
        store.ask(self.table, "UpdateItem", payload, deadline)


def _caller(request: Request) -> str:
    """Return who signed the request, whatever session it was: two callers may choose the same idempotency key."""
    identity = request.identity()
    return f"{identity.get('accountId')}/{str(identity.get('user')).partition(':')[0]}"


def _accepted(request_id: str, arn: str) -> Answer:
    return ok({"message": "Request accepted", "request_id": request_id, "execution_arn": arn})
