"""An AWS service over signed HTTPS, for requests that may be sent twice: two attempts, an answer before a deadline."""

from __future__ import annotations

import os
from contextlib import suppress
from json import loads
from time import monotonic, sleep

from lib.handler import sigv4, transport
from lib.handler.problem import Problem

ATTEMPTS = 2
ATTEMPT_SECONDS = 3.0
PAUSE_SECONDS = 0.05
_PASSING = {
    "ExecutionLimitExceeded",
    "OperationAborted",
    "RequestTimeout",
    "SlowDown",
    "Throttling",
    "ThrottlingException",
    "TooManyRequestsException",
}


class ServiceError(Exception):
    """What a service answered instead of a result, or that it did not answer: `code` is its own, or "" for none."""

    def __init__(self, service: str, code: str, status: int = 0) -> None:
        super().__init__(f"{service}: {code or 'no answer'} {status or ''}".rstrip())
        self.code = code
        self.passing = status == 0 or status >= 500 or code in _PASSING

    def problem(self) -> Problem:
        """Return what a client is told of it."""
        if self.passing:
            return Problem("unavailable", "Try again.", headers={"Retry-After": "1"}, cause=str(self))
        return Problem("internal-error", "The request failed.", cause=str(self))


class Service:
    """The service called `name` in signatures, in one region; `host` is where it is without an endpoint of its own."""

    def __init__(self, name: str, region: str, host: str, endpoint_variable: str) -> None:
        environ = os.environ
        endpoint = environ.get(endpoint_variable) or environ.get("AWS_ENDPOINT_URL")
        self.name = name
        self.region = region
        self.elsewhere = endpoint is not None
        self.host = transport.Host(endpoint or f"https://{host}")

    def warm_up(self, seconds: float = 3.0) -> None:
        """Do now, in INIT, what the first request would wait for: the connection, with one exchange over it."""
        message = transport.message("GET", self.host.path, {"host": self.host.header}, b"")
        with suppress(OSError):  # the service may not answer yet; requests will say so
            self.host.exchange(message, monotonic() + seconds)

    def send(self, method: str, path: str, headers: dict[str, str], body: bytes, deadline: float) -> bytes:
        """Return the body of a 2xx answer before `deadline` (of `time.monotonic`), or raise `ServiceError`."""
        path = self.host.path + path
        headers = {"host": self.host.header, **headers}
        try:
            signed = sigv4.sign(method, path, headers, body, service=self.name, region=self.region)
        except sigv4.NoCredentialsError:
            raise ServiceError(self.name, "NoCredentials", 403) from None
        message = transport.message(method, path, signed, body)
        left = ATTEMPTS
        while True:
            left -= 1
            # While another attempt is left, half of the time is that one's.
            until = monotonic() + min(ATTEMPT_SECONDS, (deadline - monotonic()) / (left + 1))
            try:
                status, _, answer = self.host.exchange(message, until)
                if 200 <= status < 300:
                    return answer
                failure = ServiceError(self.name, _code(answer), status)
            except OSError:
                failure = ServiceError(self.name, "")
            if not failure.passing or not left or monotonic() + PAUSE_SECONDS >= deadline:
                raise failure
            sleep(PAUSE_SECONDS)


def _code(answer: bytes) -> str:
    """Return the error's code, of a JSON service or of S3's XML."""
    try:
        found = str(loads(answer).get("__type", "")).rpartition("#")[2]
    except (ValueError, AttributeError):
        found = answer.partition(b"<Code>")[2].partition(b"</Code>")[0].decode("ascii", "replace")
    return found if len(found) <= 64 and found.isalnum() else "-"
