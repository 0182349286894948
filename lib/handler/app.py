"""What every entry module shares: an event becomes a request, its route's action answers, and nothing else gets out."""

from json import dumps
from time import perf_counter

from lib.handler.log import Log
from lib.handler.problem import Problem
from lib.handler.request import Request
from lib.handler.router import Router

TYPE_CHECKING = False  # what `typing` says too, without importing it in INIT
if TYPE_CHECKING:
    from collections.abc import Callable, Mapping

    from lib.handler.table import Table
    from lib.routes import Route

    # Status, body ("" for none) and headers beyond those that every answer has.
    Answer = tuple[int, str, dict[str, str]]

# Those of X-Amz are what a signed request carries.
ACCEPTED_HEADERS = (
    "Authorization, Content-Type, Idempotency-Key, If-Match, If-None-Match, "
    "X-Amz-Content-Sha256, X-Amz-Date, X-Amz-Security-Token, X-Api-Key"
)
EXPOSED_HEADERS = "ETag, Location, Retry-After"
PREFLIGHT_SECONDS = "600"


class App:
    """A Lambda handler for `routes`: each action's name is that of a method of `actions`, which takes a `Request`
    and returns an `Answer` or raises `Problem`. `environment` is the function's own; `table` is counted for the log.
    """

    def __init__(
        self,
        routes: "tuple[Route, ...]",
        actions: object,
        environment: "Mapping[str, str]",
        table: "Table | None" = None,
    ) -> None:
        self._router = Router(routes)
        self._actions: "dict[str, Callable[[Request], Answer]]" = {
            route.action: getattr(actions, route.action) for route in routes
        }
        self._table = table
        self._log = Log(environment.get("LOG_LEVEL", ""), environment.get("AWS_LAMBDA_FUNCTION_NAME", "-"))
        self._cold = True
        self._headers = {
            "Content-Type": "application/json",
            "Cache-Control": "no-store",
            "X-Content-Type-Options": "nosniff",
            "Access-Control-Expose-Headers": EXPOSED_HEADERS,
        }
        origins = [origin.strip() for origin in environment.get("CORS_ORIGINS", "*").split(",")]
        self._origins = None if "*" in origins else frozenset(origins)
        if self._origins is None:
            self._headers["Access-Control-Allow-Origin"] = "*"
        else:
            self._headers["Vary"] = "Origin"
        self._credentials = environment.get("CORS_CREDENTIALS") == "true"

    def handler(self, event: object, context: object) -> "dict[str, object]":
        """Return the proxy response to `event`, whatever it is."""
        started = perf_counter()
        if self._table is not None:
            self._table.calls = 0
        request = Request(event, context)
        about: "dict[str, object]" = {}
        try:
            status, body, more = self._answer(request)
        except Problem as problem:
            status, body, more = _describe(problem, request, about)
        except Exception as error:  # noqa: BLE001 - whatever it is, the client gets an answer and the log a place
            about["error"], about["at"] = type(error).__name__, _places(error)
            status, body, more = _describe(Problem("internal-error", "The request failed."), request, about)
        headers = {**self._headers, **more}
        if not body:
            del headers["Content-Type"]
        if self._origins is not None:
            self._allow(request.header("origin"), headers)
        response = {"statusCode": status, "headers": headers, "body": body, "isBase64Encoded": False}
        calls = 0 if self._table is None else self._table.calls
        spent = (perf_counter() - started) * 1000
        self._log.write(request, status, about, milliseconds=spent, calls=calls, cold=self._cold)
        self._cold = False
        return response

    def _answer(self, request: "Request") -> "Answer":
        action, allowed = self._router.find(request)
        if action:
            return self._actions[action](request)
        preflight = {
            "Allow": allowed,
            "Access-Control-Allow-Methods": allowed,
            "Access-Control-Allow-Headers": ACCEPTED_HEADERS,
            "Access-Control-Max-Age": PREFLIGHT_SECONDS,
        }
        return 204, "", preflight

    def _allow(self, origin: "str | None", headers: "dict[str, str]") -> None:
        if self._origins is not None and origin in self._origins:
            headers["Access-Control-Allow-Origin"] = origin
            if self._credentials:
                headers["Access-Control-Allow-Credentials"] = "true"


def ok(document: object, status: int = 200) -> "Answer":
    """Return the answer that carries a JSON document."""
    return status, dumps(document), {}


def _describe(problem: "Problem", request: "Request", about: "dict[str, object]") -> "Answer":
    about["code"] = problem.code
    if problem.cause:
        about["cause"] = problem.cause
    headers = {"Content-Type": "application/problem+json", **problem.headers}
    return problem.status, problem.document(request.id), headers


def _places(error: "BaseException") -> "list[str]":
    """Return where an exception came through, innermost last; never what it says, which may be a client's data."""
    places = []
    trace = error.__traceback__
    while trace is not None:
        places.append(f"{trace.tb_frame.f_code.co_filename.rpartition('/')[2]}:{trace.tb_lineno}")
        trace = trace.tb_next
    return places[-8:]
