"""API Gateway on this machine: serves what is deployed in the emulator the way AWS serves it.

MiniStack has a data plane of its own, which hands functions other events than AWS does (docs/emulator.md says which).
So requests are answered here, from what the emulator's API Gateway *has deployed*, by invoking the function through
the emulator's Lambda API. Each API gets a port of its own: a REST API is `http://127.0.0.1:PORT/{stage}/...`, an HTTP
API's `$default` stage is at the root, and the handler sees the same paths as on AWS.
"""

import base64
import binascii
import contextlib
import fnmatch
import json
import re
import threading
import time
import uuid
from abc import ABC, abstractmethod
from collections.abc import Callable, Iterable, Iterator, Mapping
from dataclasses import dataclass, field
from typing import Any
from urllib.parse import parse_qs, unquote

import botocore.exceptions
from ministack.core import sigv4  # type: ignore[import-untyped]

from lib.local.emulator import ACCESS_KEY, ACCOUNT_ID, SECRET_KEY
from lib.local.server import Headers, Request, Response, Server
from lib.local.types.core import Aws

PAYLOAD_LIMIT = (
    10 * 1024 * 1024
)  # of API Gateway: https://docs.aws.amazon.com/apigateway/latest/developerguide/limits.html
INVOKE_LIMIT = 6 * 1024 * 1024  # of Lambda, for one synchronous event or result
# A laptop is not a fleet: more requests than this wait for each other instead of starting one more process each.
CONCURRENCY = 16
_SHOWN = 16 * 1024  # bytes of a body in the console
_STALE_AFTER = 0.5  # seconds; a deployment made by somebody else than the session is served after that


@dataclass(kw_only=True)
class Exchange:
    """One request and what became of it: what the session prints and the console shows."""

    number: int = 0  # in the order of the answers, from 1
    request_id: str
    api: str
    method: str
    path: str
    started: float
    request_headers: Headers
    request_body: str
    route: str = ""
    function: str = ""
    status: int = 0
    milliseconds: int = 0
    response_headers: Headers = field(default_factory=list)
    response_body: str = ""
    logs: list[str] = field(default_factory=list)


class Throttle:
    """A token bucket as API Gateway has one: `burst` at once, refilled at `rate` a second."""

    def __init__(self, rate: float, burst: float, clock: Callable[[], float] = time.monotonic) -> None:
        self.rate, self.burst = rate, burst
        self._clock = clock
        self._tokens, self._at = burst, clock()
        self._lock = threading.Lock()

    def admit(self) -> bool:
        """Take a token, if there is one."""
        with self._lock:
            now = self._clock()
            self._tokens = min(self.burst, self._tokens + (now - self._at) * self.rate)
            self._at = now
            if self._tokens < 1:
                return False
            self._tokens -= 1
            return True


@dataclass(frozen=True)
class Route:
    """One method on one path of one API, with what it calls and what it asks of the caller."""

    method: str  # or ANY
    path: str  # with {parameters}; $default for an HTTP API's fallback
    integration: Mapping[str, Any]
    authorization: str = "NONE"
    needs_key: bool = False
    resource_id: str = ""
    pools: tuple[str, ...] = ()  # the ARNs of the user pools whose tokens count

    def match(self, method: str, segments: list[str]) -> tuple[tuple[int, ...], dict[str, str]] | None:
        """How specific the match is, and the path parameters as sent; None when it is none."""
        if self.method not in {method, "ANY", "$default"}:
            return None
        exact = int(self.method == method)
        if self.path == "$default":
            return (-1, exact), {}
        pattern = split(self.path)
        greedy = bool(pattern) and pattern[-1].endswith("+}")
        if len(segments) < len(pattern) or (len(segments) > len(pattern) and not greedy):
            return None
        rank: list[int] = []
        parameters = {}
        for index, part in enumerate(pattern):
            if part.endswith("+}"):
                parameters[part[1:-2]] = "/".join(segments[index:])
                rank.append(0)
            elif part.startswith("{"):
                parameters[part[1:-1]] = segments[index]
                rank.append(1)
            elif part == unquote(segments[index]):
                rank.append(2)
            else:
                return None
        return (*rank, exact), parameters


def split(path: str) -> list[str]:
    """The segments of a path; empty ones do not count."""
    return [segment for segment in path.split("/") if segment]


def choose(routes: Iterable[Route], method: str, segments: list[str]) -> tuple[Route, dict[str, str]] | None:
    """The most specific route for a request and its path parameters."""
    matches = [(match[0], route, match[1]) for route in routes if (match := route.match(method, segments))]
    if not matches:
        return None
    _, route, parameters = max(matches, key=lambda match: match[0])
    return route, parameters


@dataclass(frozen=True, kw_only=True)
class Invocation:
    """What a function did with an event: `result` is its JSON, `error` says why there is none."""

    result: Any = None
    error: str | None = None
    logs: tuple[str, ...] = ()
    timed_out: bool = False
    too_large: bool = False


class Functions:
    """Invokes functions of the emulator as API Gateway does: with permission, limits and a timeout."""

    def __init__(self, aws: Aws) -> None:
        self._aws = aws
        self._slots = threading.BoundedSemaphore(CONCURRENCY)

    @contextlib.contextmanager
    def still(self) -> Iterator[None]:
        """Let what is running finish and nothing new begin, while something about a function changes.

        AWS lets invocations run out on the old code. The emulator ends them, and one that is just beginning can leave
        the old code serving for good.
        """
        with contextlib.ExitStack() as held:
            for _ in range(CONCURRENCY):
                held.enter_context(self._slots)
            yield

    def permitted(self, function: str, source_arn: str) -> bool:
        """Whether the function's resource policy lets API Gateway call it from `source_arn`."""
        try:
            policy = json.loads(self._aws.client("lambda").get_policy(FunctionName=function)["Policy"])
        except botocore.exceptions.ClientError:
            return False
        return any(_allows(statement, source_arn) for statement in policy["Statement"])

    def invoke(self, function: str, event: Mapping[str, Any], timeout: float) -> Invocation:
        """Call the function with an event; never raises for what the function or the emulator did."""
        payload = json.dumps(event, ensure_ascii=False).encode()
        if len(payload) > INVOKE_LIMIT:
            return Invocation(error="the event is over Lambda's 6 MB", too_large=True)
        started = time.monotonic()
        try:
            with self._slots:
                answer = self._aws.client("lambda").invoke(FunctionName=function, Payload=payload, LogType="Tail")
                body = answer["Payload"].read()
        except (botocore.exceptions.ClientError, botocore.exceptions.BotoCoreError) as error:
            return Invocation(error=str(error))
        logs = tuple(base64.b64decode(answer.get("LogResult", "")).decode(errors="replace").splitlines())
        if "FunctionError" in answer:
            return Invocation(error=_function_error(body), logs=logs)
        if len(body) > INVOKE_LIMIT:
            return Invocation(error="the result is over Lambda's 6 MB", logs=logs)
        if time.monotonic() - started > timeout:
            return Invocation(error=f"no answer within {timeout:g} s", logs=logs, timed_out=True)
        return Invocation(result=json.loads(body or b"null"), logs=logs)


def _function_error(body: bytes) -> str:
    try:
        return str(json.loads(body).get("errorMessage", body.decode(errors="replace")))
    except (ValueError, AttributeError):
        return body.decode(errors="replace")


def _allows(statement: Mapping[str, Any], source_arn: str) -> bool:
    principal = statement.get("Principal", {})
    services = principal.get("Service", []) if isinstance(principal, dict) else []
    if statement.get("Effect") != "Allow" or "apigateway.amazonaws.com" not in (
        services if isinstance(services, list) else [services]
    ):
        return False
    for tests in statement.get("Condition", {}).values():
        pattern = {key.lower(): value for key, value in tests.items()}.get("aws:sourcearn", "*")
        if not fnmatch.fnmatchcase(source_arn, pattern):
            return False
    return True


class Api(ABC):
    """One API as deployed. Subclasses know the two kinds' events, answers and errors."""

    def __init__(self, aws: Aws, functions: Functions, api_id: str) -> None:
        self.aws, self.functions, self.id = aws, functions, api_id
        self._loaded_at = 0.0
        self._lock = threading.Lock()
        self._throttles: dict[Any, Throttle] = {}

    @abstractmethod
    def load(self) -> None:
        """Read what is deployed."""

    @abstractmethod
    def answer(self, request: Request, exchange: Exchange) -> Response:
        """Serve a request, and note in `exchange` what was done."""

    @abstractmethod
    def routes(self) -> dict[str, list[Route]]:
        """The deployed routes of each place where the API answers: the path of a stage, or the root."""

    def fresh(self) -> None:
        """Read again what is deployed, unless it was read a moment ago."""
        with self._lock:
            if time.monotonic() - self._loaded_at > _STALE_AFTER:
                self.load()
                self._loaded_at = time.monotonic()

    def stale(self) -> None:
        """Have the next request read what is deployed."""
        self._loaded_at = 0.0

    def throttle(self, key: Any, rate: float, burst: float) -> Throttle:
        """The bucket of this key; a new one when its limits were changed."""
        with self._lock:
            bucket = self._throttles.get(key)
            if bucket is None or (bucket.rate, bucket.burst) != (rate, burst):
                bucket = self._throttles[key] = Throttle(rate, burst)
            return bucket

    def source_arn(self, stage: str, route: Route) -> str:
        """The ARN by which a function's policy knows this method of this API."""
        path = route.path.lstrip("/")
        return f"arn:aws:execute-api:{self.aws.region}:{ACCOUNT_ID}:{self.id}/{stage}/{route.method}/{path}"


def function_arn(uri: str) -> str:
    """The function in an integration's URI, which is a plain ARN or wrapped in API Gateway's own."""
    wrapped = re.search(r"/functions/(arn:[^/]+)/invocations", uri)
    return wrapped[1] if wrapped else uri


def query_values(query: str) -> dict[str, list[str]]:
    """The decoded values of each query parameter, in order."""
    return parse_qs(query, keep_blank_values=True)


def refused_signature(request: Request, body: bytes) -> tuple[str, str] | None:
    """The code and message of what is wrong with a request's SigV4 signature, or None for a good one."""
    headers = {name.lower(): value for name, value in request.headers}
    if "authorization" not in headers:
        return "MissingAuthenticationToken", "Missing Authentication Token"
    signature = sigv4.parse_header_signature(headers)
    if not isinstance(signature, sigv4.HeaderSignature):
        return str(signature[0]), str(signature[1])
    if signature.access_key_id != ACCESS_KEY:
        return "UnrecognizedClient", "The security token included in the request is invalid."
    late = sigv4.request_time_failure(signature)
    if late is not None:
        return str(late[0]), str(late[1])
    wrong = sigv4.header_signature_failure(
        signature, SECRET_KEY, request.method, request.path, query_values(request.query), headers, body
    )
    return None if wrong is None else (str(wrong[0]), str(wrong[1]))


def decoded_body(result: Mapping[str, Any]) -> bytes:
    """The body of a proxy result; a ValueError when it is none."""
    body = result.get("body")
    if body is None:
        return b""
    if not isinstance(body, str):
        raise ValueError("the body is not a string")  # noqa: TRY004 - a wrong value, from the function's point of view
    if not result.get("isBase64Encoded"):
        return body.encode()
    try:
        return base64.b64decode(body, validate=True)
    except binascii.Error as error:
        raise ValueError("the body is not base64") from error


def request_id() -> str:
    """A new request id."""
    return str(uuid.uuid4())


def _shown(body: bytes) -> str:
    """As much of a body as is worth remembering."""
    more = f"\n… {len(body)} bytes" if len(body) > _SHOWN else ""
    return body[:_SHOWN].decode(errors="replace") + more


class Listener:
    """One API on one port, remembering its last exchanges."""

    def __init__(self, api: Api, port: int, on_exchange: Callable[[Exchange], None]) -> None:
        self.api = api
        self._on_exchange = on_exchange
        self._server = Server(self._answer, port=port, body_limit=PAYLOAD_LIMIT)
        self.port, self.url = self._server.port, self._server.url

    def close(self) -> None:
        """Stop listening."""
        self._server.close()

    def _answer(self, request: Request) -> Response:
        exchange = Exchange(
            request_id=request_id(),
            api=self.api.id,
            method=request.method,
            path=request.path + (f"?{request.query}" if request.query else ""),
            started=time.time(),
            request_headers=request.headers,
            request_body=_shown(request.body or b""),
        )
        started = time.perf_counter()
        try:
            self.api.fresh()
            response = self.api.answer(request, exchange)
        except (botocore.exceptions.ClientError, botocore.exceptions.BotoCoreError) as error:
            exchange.logs.append(f"gateway: the emulator does not answer: {error}")
            response = Response(
                status=502,
                headers=[("Content-Type", "application/json")],
                body=json.dumps({"message": "The local AWS is not reachable"}).encode(),
            )
        exchange.milliseconds = round((time.perf_counter() - started) * 1000)
        exchange.status, exchange.response_headers = response.status, response.headers
        exchange.response_body = _shown(response.body)
        self._on_exchange(exchange)
        return response
