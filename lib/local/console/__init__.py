"""The console page, beside the API: try the routes, see what was deployed, what was asked, and how the alarms stand."""

from __future__ import annotations

import http.client
import json
import time
import urllib.parse
from collections.abc import Callable, Mapping
from dataclasses import asdict
from importlib import resources
from typing import Any, Self

from botocore.exceptions import BotoCoreError, ClientError

from lib.contracts import STACKS
from lib.local.gateway import Route
from lib.local.server import Headers, Request, Response, Server
from lib.local.session import Session
from lib.local.state import Resource, State
from lib.local.types.core import Aws
from lib.local.types.values import has_secret, reveal
from lib.program import ROOT

_FILES = {"/": "index.html", "/style.css": "style.css", "/script.js": "script.js"}
_TYPES = {"html": "text/html", "css": "text/css", "js": "text/javascript"}
_SECURITY: Headers = [
    ("Cache-Control", "no-store"),
    (
        "Content-Security-Policy",
        "default-src 'self'; img-src data:; base-uri 'none'; form-action 'none'; frame-ancestors 'none'",
    ),
    ("Referrer-Policy", "no-referrer"),
    ("X-Content-Type-Options", "nosniff"),
]
_TRY_TIMEOUT = 60


class Console:
    """Serves the page and what it shows, until it is closed."""

    def __init__(self, session: Session, port: int = 0) -> None:
        self._session = session
        self._server = Server(self._answer, port=port, body_limit=16 << 20)
        self.url = self._server.url

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    def close(self) -> None:
        """Stop serving."""
        self._server.close()

    def _answer(self, request: Request) -> Response:
        # Another site's page may neither read this one under a name of its own nor have it send requests.
        host, origin = request.header("Host") or "", request.header("Origin")
        if host.partition(":")[0] not in {"127.0.0.1", "localhost"} or origin not in {None, f"http://{host}"}:
            return _json(403, {"error": "this page is for this machine's own browser"})
        answers: dict[tuple[str, str], Callable[[Request], Response]] = {
            ("GET", "/state"): lambda _: _json(200, self._state()),
            ("GET", "/requests"): self._requests,
            ("GET", "/openapi.json"): lambda _: self._openapi(),
            ("POST", "/try"): self._try,
        }
        if request.method == "GET" and request.path in _FILES:
            return _file(_FILES[request.path])
        answer = answers.get((request.method, request.path))
        return answer(request) if answer else _json(404, {"error": "there is no such page"})

    def _requests(self, request: Request) -> Response:
        """The exchanges after the one with the given number."""
        after = urllib.parse.parse_qs(request.query).get("after", ["0"])[0]
        number = int(after) if after.isdigit() else 0
        return _json(200, [asdict(exchange) for exchange in list(self._session.exchanges) if exchange.number > number])

    def _openapi(self) -> Response:
        path = ROOT / "docs" / "openapi.json"
        # The document describes the items API; another system's routes are shown as they are deployed.
        if not path.is_file() or "dynamodb_table_name" not in self._session.outputs:
            return _json(200, {})
        return Response(status=200, headers=[("Content-Type", "application/json"), *_SECURITY], body=path.read_bytes())

    def _try(self, request: Request) -> Response:
        """Send a request to one of the session's APIs for the page, which then sees every header of the answer."""
        try:
            asked = json.loads(request.body or b"")
            url = urllib.parse.urlsplit(asked["url"])
            port = next(x.port for x in self._session.listeners.values() if x.url == f"http://{url.netloc}")
            method, headers, body = asked["method"], dict(asked.get("headers", {})), asked.get("body")
            started = time.perf_counter()
            connection = http.client.HTTPConnection("127.0.0.1", port, timeout=_TRY_TIMEOUT)
            try:
                target = url.path + (f"?{url.query}" if url.query else "")
                connection.request(method, target, body.encode() if body else None, headers)
                answer = connection.getresponse()
                text = answer.read().decode(errors="replace")
            finally:
                connection.close()
        except StopIteration:
            return _json(400, {"error": "the URL is not one of this session's APIs"})
        except (ValueError, KeyError, TypeError, AttributeError, http.client.HTTPException, OSError) as error:
            return _json(400, {"error": f"the request could not be sent: {error}"})
        milliseconds = round((time.perf_counter() - started) * 1000)
        shown = {"status": answer.status, "reason": answer.reason, "headers": answer.getheaders(), "body": text}
        return _json(200, {**shown, "milliseconds": milliseconds})

    def _state(self) -> dict[str, Any]:
        session = self._session
        apis = [
            {
                "url": url,
                "region": region,
                "routes": [{"method": r.method, "path": r.path, "authorization": _needs(r)} for r in routes],
            }
            for url, routes, region in session.served()
        ]
        environment = session.emulator.environment()
        return {
            "stack": session.stack,
            "apis": apis,
            "aws": {key: environment[key] for key in ("AWS_ENDPOINT_URL", "AWS_ACCESS_KEY_ID", "AWS_REGION")},
            "logs": str(session.log_path),
            "stacks": [self._stack(program.project) for program in session.programs],
            "alarms": self._alarms(),
        }

    def _stack(self, project: str) -> dict[str, Any]:
        state = State.of(self._session.stacks_directory, project, self._session.stack)
        reads = [read.project for contract in STACKS if contract.project == project for read in contract.reads]
        outputs = {k: "[secret]" if has_secret(v) else reveal(v) for k, v in state.outputs.items()}
        shown = [self._resource(resource) for resource in state.resources if resource.custom and not resource.doomed]
        return {"project": project, "reads": reads, "outputs": outputs, "resources": shown}

    def _resource(self, resource: Resource) -> dict[str, Any]:
        uses = set(resource.dependencies)
        for urns in resource.property_dependencies.values():
            uses |= set(urns)
        return {
            "urn": resource.urn,
            "name": resource.name,
            "type": resource.type,
            "parent": resource.parent,
            "id": resource.id,
            "uses": sorted(uses),
            "facts": self._facts(resource),
        }

    def _facts(self, resource: Resource) -> dict[str, Any]:
        look = _LIVE.get(resource.type)
        if look is None:
            return {}
        outputs = {key: "[secret]" if has_secret(value) else value for key, value in resource.outputs.items()}
        try:
            return look(self._session.aws, outputs)
        except (ClientError, BotoCoreError, KeyError, IndexError) as error:
            return {"problem": str(error)}

    def _alarms(self) -> list[dict[str, Any]]:
        found = self._session.aws.client("cloudwatch").describe_alarms()["MetricAlarms"]
        return [
            {
                "name": alarm["AlarmName"],
                "state": alarm["StateValue"],
                "reason": alarm.get("StateReason", ""),
                "description": alarm.get("AlarmDescription", ""),
            }
            for alarm in found
        ]


def _needs(route: Route) -> str:
    return "the header x-api-key" if route.needs_key else route.authorization


def _table(aws: Aws, outputs: Mapping[str, Any]) -> dict[str, Any]:
    table = aws.client("dynamodb").describe_table(TableName=outputs["name"])["Table"]
    return {"status": table["TableStatus"], "items": table["ItemCount"], "bytes": table["TableSizeBytes"]}


def _function(aws: Aws, outputs: Mapping[str, Any]) -> dict[str, Any]:
    found = aws.client("lambda").get_function_configuration(FunctionName=outputs["name"])
    names = {"Runtime": "runtime", "MemorySize": "MB", "Timeout": "seconds", "LastModified": "modified"}
    return {label: found[name] for name, label in names.items()} | {"code": f"{found['CodeSize']} bytes"}


def _log_group(aws: Aws, outputs: Mapping[str, Any]) -> dict[str, Any]:
    groups = aws.client("logs").describe_log_groups(logGroupNamePrefix=outputs["name"])["logGroups"]
    group = next(group for group in groups if group["logGroupName"] == outputs["name"])
    return {"days": group.get("retentionInDays", "for ever"), "bytes": group["storedBytes"]}


def _stage(aws: Aws, outputs: Mapping[str, Any]) -> dict[str, Any]:
    stage = aws.client("apigateway").get_stage(restApiId=outputs["restApi"], stageName=outputs["stageName"])
    limits = stage.get("methodSettings", {}).get("*/*", {})
    facts = {"deployment": stage["deploymentId"]}
    if "throttlingRateLimit" in limits:
        facts["throttle"] = f"{limits['throttlingRateLimit']:g}/s, burst {limits['throttlingBurstLimit']}"
    return facts


def _alarm(aws: Aws, outputs: Mapping[str, Any]) -> dict[str, Any]:
    alarm = aws.client("cloudwatch").describe_alarms(AlarmNames=[outputs["name"]])["MetricAlarms"][0]
    return {"state": alarm["StateValue"]}


def _topic(aws: Aws, outputs: Mapping[str, Any]) -> dict[str, Any]:
    found = aws.client("sns").list_subscriptions_by_topic(TopicArn=outputs["arn"])["Subscriptions"]
    return {"subscribers": len(found)}


# What is worth knowing of a resource right now, by its type.
_LIVE: dict[str, Callable[[Aws, Mapping[str, Any]], dict[str, Any]]] = {
    "aws:dynamodb/table:Table": _table,
    "aws:lambda/function:Function": _function,
    "aws:cloudwatch/logGroup:LogGroup": _log_group,
    "aws:apigateway/stage:Stage": _stage,
    "aws:cloudwatch/metricAlarm:MetricAlarm": _alarm,
    "aws:sns/topic:Topic": _topic,
}


def _file(name: str) -> Response:
    body = resources.files(__name__).joinpath(name).read_bytes()
    kind = _TYPES[name.rpartition(".")[2]]
    return Response(status=200, headers=[("Content-Type", f"{kind}; charset=utf-8"), *_SECURITY], body=body)


def _json(status: int, value: Any) -> Response:
    body = json.dumps(value, default=str).encode()
    return Response(status=status, headers=[("Content-Type", "application/json"), *_SECURITY], body=body)
