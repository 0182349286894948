"""An HTTP API (API Gateway v2): routing, gateway CORS, limits, events of payload format 2.0."""

import base64
import json
import time
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any
from urllib.parse import unquote

from lib.local.emulator import ACCESS_KEY, ACCOUNT_ID
from lib.local.gateway import (
    Api,
    Exchange,
    Invocation,
    Route,
    choose,
    decoded_body,
    function_arn,
    query_values,
    refused_signature,
    split,
)
from lib.local.server import Headers, Request, Response

DEFAULT_RATE, DEFAULT_BURST = 10_000.0, 5_000.0
_TEXT_TYPES = {"application/json", "application/javascript", "application/xml"}
_DROPPED = {"content-length", "transfer-encoding", "connection", "date", "server"}


@dataclass
class Stage:
    """One stage and the routes it serves."""

    name: str
    routes: list[Route] = field(default_factory=list)
    default: Mapping[str, Any] = field(default_factory=dict)
    by_route: Mapping[str, Mapping[str, Any]] = field(default_factory=dict)
    variables: Mapping[str, str] | None = None


class HttpApi(Api):
    """Serves the `$default` stage at the root and any other at `/{stage}`."""

    _stages: dict[str, Stage]
    _cors: Mapping[str, Any]

    def load(self) -> None:
        client = self.aws.client("apigatewayv2")
        self._cors = client.get_api(ApiId=self.id).get("CorsConfiguration") or {}
        integrations = {i["IntegrationId"]: i for i in client.get_integrations(ApiId=self.id)["Items"]}
        routes = []
        for found in client.get_routes(ApiId=self.id)["Items"]:
            method, _, path = found["RouteKey"].partition(" ")
            integration = integrations.get(found.get("Target", "").removeprefix("integrations/"), {})
            routes.append(
                Route(method, path or "$default", integration, authorization=found.get("AuthorizationType", "NONE"))
            )
        self._stages = {
            stage["StageName"]: Stage(
                stage["StageName"],
                # A stage that does not deploy by itself has nothing before its first deployment.
                routes if stage.get("AutoDeploy") or stage.get("DeploymentId") else [],
                stage.get("DefaultRouteSettings") or {},
                stage.get("RouteSettings") or {},
                stage.get("StageVariables") or None,
            )
            for stage in client.get_stages(ApiId=self.id)["Items"]
        }

    def routes(self) -> dict[str, list[Route]]:
        return {"" if name == "$default" else f"/{name}": stage.routes for name, stage in self._stages.items()}

    def answer(self, request: Request, exchange: Exchange) -> Response:
        response = self._answer(request, exchange)
        cors = self._cors_headers(request)
        if not cors:
            return response
        # The gateway's CORS headers replace those of the integration.
        kept = [(key, value) for key, value in response.headers if not key.lower().startswith("access-control-")]
        return Response(status=response.status, headers=kept + cors, body=response.body)

    def _answer(self, request: Request, exchange: Exchange) -> Response:
        if self._cors and self._is_preflight(request):
            return Response(status=204, headers=self._own(exchange))
        segments = split(request.path)
        stage = self._stages.get(unquote(segments[0])) if segments else None
        if stage is not None:
            segments = segments[1:]
        else:
            stage = self._stages.get("$default")
        chosen = choose(stage.routes, request.method, segments) if stage else None
        if stage is None or chosen is None:
            return self._message(404, "Not Found", exchange)
        route, parameters = chosen
        exchange.route = route.path if route.path == "$default" else f"{route.method} {route.path}"
        if route.authorization == "AWS_IAM" and refused_signature(request, request.body or b""):
            return self._message(403, "Forbidden", exchange)
        limits = {**stage.default, **stage.by_route.get(exchange.route, {})}
        rate, burst = limits.get("ThrottlingRateLimit") or DEFAULT_RATE, limits.get("ThrottlingBurstLimit")
        key = (stage.name, exchange.route if exchange.route in stage.by_route else "")
        if not self.throttle(key, float(rate), float(burst or DEFAULT_BURST)).admit():
            return self._message(429, "Too Many Requests", exchange)
        if request.body is None:
            return self._message(413, "Request Entity Too Large", exchange)
        return self._integrate(request, stage, route, parameters, exchange)

    def _integrate(
        self, request: Request, stage: Stage, route: Route, parameters: Mapping[str, str], exchange: Exchange
    ) -> Response:
        integration = route.integration
        if integration.get("IntegrationType") != "AWS_PROXY" or integration.get("PayloadFormatVersion") != "2.0":
            exchange.logs.append("gateway: only AWS_PROXY integrations of payload format 2.0 are served locally")
            return self._message(500, "Internal Server Error", exchange)
        function = exchange.function = function_arn(integration["IntegrationUri"])
        if not self.functions.permitted(function, self.source_arn(stage.name, route)):
            exchange.logs.append(f"gateway: the policy of {function} does not let this route call it")
            return self._message(500, "Internal Server Error", exchange)
        event = self._event(request, stage, route, parameters, exchange)
        timeout = float(integration.get("TimeoutInMillis", 30_000)) / 1000
        done = self.functions.invoke(function, event, timeout)
        exchange.logs += done.logs
        return self._result(done, exchange)

    def _result(self, done: Invocation, exchange: Exchange) -> Response:
        if done.error is not None:
            exchange.logs.append(f"gateway: {done.error}")
            if done.too_large:
                return self._message(413, "Request Entity Too Large", exchange)
            return self._message(503, "Service Unavailable", exchange) if done.timed_out else self._failed(exchange)
        result = done.result
        if not isinstance(result, dict) or "statusCode" not in result:
            # Format 2.0: anything that is not a proxy result is the JSON body of a 200.
            body = result if isinstance(result, str) else json.dumps(result)
            return Response(
                status=200, headers=[*self._own(exchange), ("content-type", "application/json")], body=body.encode()
            )
        try:
            status, body_bytes = int(result["statusCode"]), decoded_body(result)
        except (TypeError, ValueError) as error:
            exchange.logs.append(f"gateway: not a proxy result: {error}")
            return self._failed(exchange)
        headers = self._own(exchange)
        for key, value in (result.get("headers") or {}).items():
            if key.lower() not in _DROPPED:
                headers.append((key.lower(), str(value).lower() if isinstance(value, bool) else str(value)))
        headers += [("set-cookie", cookie) for cookie in result.get("cookies") or []]
        if body_bytes and not any(key == "content-type" for key, _ in headers):
            headers.append(("content-type", "text/plain; charset=utf-8"))
        return Response(status=status, headers=headers, body=body_bytes)

    def _event(
        self, request: Request, stage: Stage, route: Route, parameters: Mapping[str, str], exchange: Exchange
    ) -> dict[str, Any]:
        """The event of payload format 2.0; paths and path parameters are decoded, as AWS hands them on."""
        headers: dict[str, str] = {}
        for key, value in request.headers:
            name = key.lower()
            if name != "cookie":
                headers[name] = f"{headers[name]},{value}" if name in headers else value
        host = request.header("Host") or ""
        headers |= {
            "x-amzn-trace-id": f"Root=1-{int(time.time()):08x}-{exchange.request_id.replace('-', '')[:24]}",
            "x-forwarded-for": request.client,
            "x-forwarded-port": host.rpartition(":")[2],
            "x-forwarded-proto": "http",
        }
        cookies = [c.strip() for key, value in request.headers if key.lower() == "cookie" for c in value.split(";")]
        query = query_values(request.query)
        path = unquote(request.path)
        context: dict[str, Any] = {
            "accountId": ACCOUNT_ID,
            "apiId": self.id,
            "domainName": host,
            "domainPrefix": self.id,
            "http": {
                "method": request.method,
                "path": path,
                "protocol": request.protocol,
                "sourceIp": request.client,
                "userAgent": request.header("User-Agent") or "",
            },
            "requestId": exchange.request_id,
            "routeKey": exchange.route,
            "stage": stage.name,
            "time": time.strftime("%d/%b/%Y:%H:%M:%S +0000", time.gmtime(exchange.started)),
            "timeEpoch": int(exchange.started * 1000),
        }
        if route.authorization == "AWS_IAM":
            root = f"arn:aws:iam::{ACCOUNT_ID}:root"
            context["authorizer"] = {"iam": {"accessKey": ACCESS_KEY, "accountId": ACCOUNT_ID, "userArn": root}}
        event: dict[str, Any] = {
            "version": "2.0",
            "routeKey": exchange.route,
            "rawPath": path,
            "rawQueryString": request.query,
            "headers": headers,
            "requestContext": context,
            "isBase64Encoded": False,
        }
        optional = {
            "cookies": cookies,
            "queryStringParameters": {key: ",".join(values) for key, values in query.items()},
            "pathParameters": {key: unquote(value) for key, value in parameters.items()},
            "stageVariables": stage.variables,
        }
        event |= {key: value for key, value in optional.items() if value}
        if request.body:
            media = (headers.get("content-type") or "").partition(";")[0].strip().lower()
            text = media in _TEXT_TYPES or media.startswith("text/") or not media
            event["isBase64Encoded"] = not text
            event["body"] = request.body.decode(errors="replace") if text else base64.b64encode(request.body).decode()
        return event

    def _is_preflight(self, request: Request) -> bool:
        asked = request.header("Origin"), request.header("Access-Control-Request-Method")
        return request.method == "OPTIONS" and None not in asked

    def _cors_headers(self, request: Request) -> Headers:
        origin, cors = request.header("Origin"), self._cors
        allowed = cors.get("AllowOrigins", [])
        if origin is None or not ("*" in allowed or origin in allowed):
            return []
        headers = [("access-control-allow-origin", "*" if "*" in allowed else origin)]
        if cors.get("AllowCredentials"):
            headers.append(("access-control-allow-credentials", "true"))
        if cors.get("ExposeHeaders"):
            headers.append(("access-control-expose-headers", ",".join(cors["ExposeHeaders"])))
        if self._is_preflight(request):
            lists = {name: cors[f"Allow{name}"] for name in ("Methods", "Headers") if cors.get(f"Allow{name}")}
            headers += [(f"access-control-allow-{name.lower()}", ",".join(value)) for name, value in lists.items()]
            if "MaxAge" in cors:
                headers.append(("access-control-max-age", str(cors["MaxAge"])))
        return headers

    def _own(self, exchange: Exchange) -> Headers:
        return [("apigw-requestid", exchange.request_id)]

    def _message(self, status: int, message: str, exchange: Exchange) -> Response:
        headers = [*self._own(exchange), ("content-type", "application/json")]
        return Response(status=status, headers=headers, body=json.dumps({"message": message}).encode())

    def _failed(self, exchange: Exchange) -> Response:
        return self._message(500, "Internal Server Error", exchange)
