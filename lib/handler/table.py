"""One DynamoDB table over signed HTTPS: six actions, two attempts, an answer or a `TableError` before a deadline."""

import json
import os
from time import monotonic, sleep

from lib.handler import sigv4, transport

TYPE_CHECKING = False  # what `typing` says too, without importing it in INIT
if TYPE_CHECKING:
    from typing import Any

ACTIONS = frozenset({"GetItem", "PutItem", "UpdateItem", "DeleteItem", "Query", "Scan"})
ATTEMPTS = 2
ATTEMPT_SECONDS = 2.0
PAUSE_SECONDS = 0.05
WARM_UP_SECONDS = 3.0

# https://docs.aws.amazon.com/amazondynamodb/latest/developerguide/Programming.Errors.html
_KINDS = {
    "ConditionalCheckFailedException": "condition",
    "ProvisionedThroughputExceededException": "throttled",
    "RequestLimitExceeded": "throttled",
    "Throttling": "throttled",
    "ThrottlingException": "throttled",
    "TransactionConflictException": "throttled",
    "AccessDeniedException": "denied",
    "ExpiredTokenException": "denied",
    "IncompleteSignatureException": "denied",
    "InvalidSignatureException": "denied",
    "MissingAuthenticationTokenException": "denied",
    "UnrecognizedClientException": "denied",
    "ResourceNotFoundException": "missing",
}
_RETRIED = {"throttled", "unavailable"}
_encode = json.JSONEncoder(check_circular=False, separators=(",", ":")).encode
_decode = json.JSONDecoder().decode
LARGE = 262_144


class TableError(Exception):
    """What the table answered instead of a result, or that it did not answer.

    `kind`: `condition` (with the item there is as `item`, when the request asked for it), `throttled`, `unavailable`,
    `denied`, `missing` (the table itself) or `invalid` (the request). `attempts` counts the sendings of this request
    that the table may have acted on: above 1, a failed condition may be this very write's own doing.
    `retry_after` is in seconds.
    """

    def __init__(self, kind: str, detail: str = "", item: "dict[str, Any] | None" = None):
        super().__init__(f"{kind}: {detail}")
        self.kind = kind
        self.item = item
        self.attempts = 1
        self.retry_after = 1


class Table:
    """The table `name`; `endpoint` is a URL, by default what the environment says or AWS's own in `region`."""

    def __init__(self, name: str, region: str, endpoint: "str | None" = None):
        environ = os.environ
        suffix = "amazonaws.com.cn" if region.startswith("cn-") else "amazonaws.com"
        self.name = name
        self.region = region
        self.calls = 0
        self.host = transport.Host(
            endpoint
            or environ.get("AWS_ENDPOINT_URL_DYNAMODB")
            or environ.get("AWS_ENDPOINT_URL")
            or f"https://dynamodb.{region}.{suffix}"
        )

    def request(self, action: str, payload: "dict[str, Any]", deadline: float) -> "dict[str, Any]":
        """Return DynamoDB's answer to `payload` (without `TableName`) before `deadline`, or raise `TableError`.

        `deadline` is a value of `time.monotonic`. `calls` goes up by one for every sending.
        """
        message = self._message(action, payload)
        doubtful = 0  # earlier sendings that the table may have acted on
        forgiving = True
        left = ATTEMPTS
        while True:
            left -= 1
            try:
                return self._attempt(message, self._until(deadline, left))
            except transport.UnsentError as error:
                failure = TableError("unavailable", str(error))
            except transport.LostError as error:
                failure = TableError("unavailable", str(error))
                doubtful += 1
                if error.stale and forgiving:
                    # The host closed a connection that had been idle. Nearly always it never saw the request.
                    forgiving = False
                    left += 1
                    continue
            except TableError as error:
                error.attempts += doubtful
                if error.kind not in _RETRIED:
                    raise
                failure = error
                doubtful += error.kind == "unavailable"
            pause = PAUSE_SECONDS * (1 + os.urandom(1)[0] / 256)
            if not left or monotonic() + pause >= deadline:
                raise failure
            sleep(pause)

    def warm_up(self, seconds: float = WARM_UP_SECONDS) -> None:
        """Do now, in INIT, what the first request would wait for: the connection and one exchange over it."""
        nobody = {"Key": {"ItemId": {"S": "-"}, "CreatedAt": {"S": "-"}}}
        try:  # noqa: SIM105 - importing `contextlib` costs more than a request
            self.request("GetItem", nobody, monotonic() + seconds)
        except TableError:
            pass  # the table may not answer yet; requests will say so

    def _message(self, action: str, payload: "dict[str, Any]") -> bytes:
        if action not in ACTIONS:
            raise ValueError(f"{action} is not granted to the function")
        body = _encode({"TableName": self.name, **payload}).encode()
        headers = {
            "host": self.host.header,
            "content-type": "application/x-amz-json-1.0",
            "x-amz-target": f"DynamoDB_20120810.{action}",
        }
        try:
            signed = sigv4.sign("POST", self.host.path, headers, body, service="dynamodb", region=self.region)
        except sigv4.NoCredentialsError as error:
            raise TableError("denied", str(error)) from None
        return transport.message("POST", self.host.path, signed, body)

    @staticmethod
    def _until(deadline: float, left: int) -> float:
        """Return when this attempt is over: while another is left, half of the time is that one's."""
        now = monotonic()
        return now + min(ATTEMPT_SECONDS, (deadline - now) / (left + 1))

    def _attempt(self, message: bytes, deadline: float) -> "dict[str, Any]":
        self.calls += 1
        status, _, body = self.host.exchange(message, deadline)
        try:
            text = body.decode()
            if len(text) < LARGE:
                answer = _decode(text)
            else:
                from lib.handler.large import decode

                answer = decode(text)
        except (ValueError, RecursionError):
            answer = None
        if type(answer) is not dict:
            raise TableError("unavailable", f"status {status} with something that is not an answer")
        if status == 200:
            return answer
        code = str(answer.get("__type")).rpartition("#")[2]
        kind = _KINDS.get(code) or ("unavailable" if status >= 500 else "denied" if status == 403 else "invalid")
        raise TableError(kind, code, answer.get("Item"))
