"""A REST API (API Gateway v1) as its last deployment left it: routing, limits, events, gateway responses."""

import base64
import json
import re
import time
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from typing import Any, NamedTuple
from urllib.parse import unquote

from lib.local.emulator import ACCESS_KEY, ACCOUNT_ID
from lib.local.gateway import (
    Api,
    Exchange,
    Functions,
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
from lib.local.types.core import Aws

# What an account has unless a stage says otherwise.
DEFAULT_RATE, DEFAULT_BURST = 10_000.0, 5_000.0
_PROXY_KEYS = {"statusCode", "headers", "multiValueHeaders", "body", "isBase64Encoded", "statusDescription"}
# https://docs.aws.amazon.com/apigateway/latest/developerguide/api-gateway-known-issues.html
_NOT_FORWARDED = {"connection", "expect", "keep-alive", "proxy-authenticate", "te", "transfer-encoding", "upgrade"}
_REMAPPED = {"connection", "content-md5", "date", "server", "trailer", "www-authenticate"}
_DROPPED = {"content-length", "transfer-encoding"}
_VARIABLE = re.compile(r"\$(?:\{(context(?:\.\w+)+)\}|(context(?:\.[A-Za-z]\w*)+))")


class Refusal(NamedTuple):
    """A gateway response: its type, AWS's message, the status and the error type when it is not customized."""

    kind: str
    message: str
    status: int
    error: str


NO_ROUTE = Refusal(
    "MISSING_AUTHENTICATION_TOKEN", "Missing Authentication Token", 403, "MissingAuthenticationTokenException"
)
THROTTLED = Refusal("THROTTLED", "Too Many Requests", 429, "TooManyRequestsException")
TOO_LARGE = Refusal("REQUEST_TOO_LARGE", "Request Too Long", 413, "RequestTooLargeException")
NO_KEY = Refusal("INVALID_API_KEY", "Forbidden", 403, "ForbiddenException")
UNAUTHORIZED = Refusal("UNAUTHORIZED", "Unauthorized", 401, "UnauthorizedException")
MISCONFIGURED = Refusal("API_CONFIGURATION_ERROR", "Internal server error", 500, "InternalServerErrorException")
TIMED_OUT = Refusal("INTEGRATION_TIMEOUT", "Endpoint request timed out", 504, "InternalServerErrorException")
FAILED = Refusal("DEFAULT_5XX", "Internal server error", 502, "InternalServerErrorException")


@dataclass
class Stage:
    """One stage: the routes and gateway responses of its deployment, and its own settings."""

    name: str
    deployment: str
    routes: list[Route] = field(default_factory=list)
    responses: dict[str, Any] = field(default_factory=dict)
    settings: dict[str, Any] = field(default_factory=dict)
    variables: dict[str, str] | None = None

    def limits(self, route: Route) -> tuple[str, float, float]:
        """The throttle that counts this route: its key, rate and burst."""
        own = f"{route.path.strip('/').replace('/', '~1')}/{route.method}"
        named = {key.removeprefix("~1"): (key, value) for key, value in self.settings.items()}
        key, setting = named.get(own) or named.get("*/*") or ("", {})
        rate, burst = setting.get("throttlingRateLimit", -1), setting.get("throttlingBurstLimit", -1)
        return key, DEFAULT_RATE if rate < 0 else float(rate), DEFAULT_BURST if burst < 0 else float(burst)


class RestApi(Api):
    """Serves `/{stage}/...`, or what a domain name of one's own has mapped to this API."""

    _stages: dict[str, Stage]
    _binary: list[str]
    _closed: bool  # to those who come by AWS's own name
    _mapped: dict[str, str]  # by the domain's base path, which is (none) for the root: the stage that answers

    def __init__(self, aws: Aws, functions: Functions, api_id: str, domain: str | None = None) -> None:
        super().__init__(aws, functions, api_id)
        self._domain = domain

    def load(self) -> None:
        client = self.aws.client("apigateway")
        known = getattr(self, "_stages", {})
        stages = {}
        for found in client.get_stages(restApiId=self.id)["item"]:
            name, deployment = found["stageName"], found["deploymentId"]
            old = known.get(name)
            # What a deployment captured does not change after it; only the stage's own settings do.
            stage = old if old and old.deployment == deployment else self._captured(name, deployment)
            stage.settings = found.get("methodSettings", {})
            stage.variables = found.get("variables") or None
            stages[name] = stage
        self._stages = stages
        api = client.get_rest_api(restApiId=self.id)
        self._binary = api.get("binaryMediaTypes", [])
        # The emulator answers what a patch wrote as the text it was.
        self._closed = str(api.get("disableExecuteApiEndpoint")).lower() == "true"
        mappings = client.get_base_path_mappings(domainName=self._domain)["items"] if self._domain else []
        self._mapped = {each["basePath"]: each["stage"] for each in mappings if each["restApiId"] == self.id}

    def routes(self) -> dict[str, list[Route]]:
        if self._domain is None:
            return {f"/{name}": stage.routes for name, stage in self._stages.items()}
        return {
            "" if base == "(none)" else f"/{base}": self._stages[name].routes
            for base, name in self._mapped.items()
            if name in self._stages
        }

    def _found(self, segments: list[str]) -> tuple[Stage | None, list[str]]:
        """The stage that these segments of a path lead to, if any, and those behind it."""
        first, behind = (unquote(segments[0]), segments[1:]) if segments else ("", [])
        if self._domain is None:
            return None if self._closed else self._stages.get(first), behind
        if first in self._mapped:
            return self._stages.get(self._mapped[first]), behind
        return self._stages.get(self._mapped.get("(none)", "")), segments

    def _captured(self, name: str, deployment: str) -> Stage:
        client = self.aws.client("apigateway")
        summary = client.get_deployment(restApiId=self.id, deploymentId=deployment, embed=["apisummary"])["apiSummary"]
        pages = client.get_paginator("get_resources").paginate(restApiId=self.id, embed=["methods"])
        resources = {resource["path"]: resource for page in pages for resource in page["items"]}
        authorizers = {each["id"]: each for each in client.get_authorizers(restApiId=self.id)["items"]}
        stage = Stage(name, deployment)
        for path, methods in summary.items():
            for method in methods:
                found = resources.get(path, {}).get("resourceMethods", {}).get(method)
                if found is None:  # deleted after it was deployed: nothing is left that says what it called
                    continue
                stage.routes.append(
                    Route(
                        method,
                        path,
                        found.get("methodIntegration", {}),
                        authorization=found.get("authorizationType", "NONE"),
                        needs_key=found.get("apiKeyRequired", False),
                        resource_id=resources[path]["id"],
                        pools=tuple(authorizers.get(found.get("authorizerId"), {}).get("providerARNs", ())),
                    )
                )
        responses = client.get_gateway_responses(restApiId=self.id)["items"]
        stage.responses = {r["responseType"]: r for r in responses if not r.get("defaultResponse")}
        return stage

    def answer(self, request: Request, exchange: Exchange) -> Response:
        stage, segments = self._found(split(request.path))
        if stage is None:
            body = json.dumps({"message": "Forbidden"}).encode()
            headers = [("Content-Type", "application/json"), ("x-amzn-ErrorType", "ForbiddenException")]
            return Response(status=403, headers=self._own(exchange) + headers, body=body)
        chosen = choose(stage.routes, request.method, segments)
        if chosen is None:
            return self._refuse(NO_ROUTE, stage, request, exchange)
        route, parameters = chosen
        exchange.route = f"{route.method} {route.path}"
        identity: dict[str, Any] = {}
        refusal = (
            self._unauthorized(route, request, identity)
            or self._without_key(route, stage, request, identity)
            or self._throttled(route, stage)
            or (TOO_LARGE if request.body is None else None)
        )
        if refusal is not None:
            return self._refuse(refusal, stage, request, exchange)
        event = self._event(request, stage, route, exchange, parameters=parameters, identity=identity)
        return self._integrate(request, stage, route, event, exchange)

    def _integrate(
        self, request: Request, stage: Stage, route: Route, event: Mapping[str, Any], exchange: Exchange
    ) -> Response:
        if route.integration.get("type") != "AWS_PROXY":
            exchange.logs.append(f"gateway: the integration {route.integration.get('type')} is not served locally")
            return self._refuse(MISCONFIGURED, stage, request, exchange)
        function = exchange.function = function_arn(route.integration["uri"])
        if not self.functions.permitted(function, self.source_arn(stage.name, route)):
            exchange.logs.append(f"gateway: the policy of {function} does not let this method call it")
            return self._refuse(MISCONFIGURED, stage, request, exchange)
        timeout = float(route.integration.get("timeoutInMillis", 29_000)) / 1000
        done = self.functions.invoke(function, event, timeout)
        exchange.logs += done.logs
        try:
            return self._result(done, request, exchange)
        except _RefusedError as refused:
            exchange.logs.append(f"gateway: {refused.why}")
            return self._refuse(refused.refusal, stage, request, exchange)

    def _result(self, done: Invocation, request: Request, exchange: Exchange) -> Response:
        if done.error is not None:
            refusal = TIMED_OUT if done.timed_out else TOO_LARGE if done.too_large else FAILED
            raise _RefusedError(refusal, done.error)
        result = done.result
        if not isinstance(result, dict) or not result.keys() <= _PROXY_KEYS:
            raise _RefusedError(FAILED, "malformed Lambda proxy response: not an object of the known members")
        try:
            status = int(result.get("statusCode", 200))
            # Without a binary media type that matches, API Gateway sends base64 as the text it is.
            accepted = (request.header("Accept") or "").split(",")[0]
            binary = result.get("isBase64Encoded") and _matches_media(accepted, self._binary)
            body = decoded_body(result if binary else {**result, "isBase64Encoded": False})
        except (TypeError, ValueError) as error:
            raise _RefusedError(FAILED, f"malformed Lambda proxy response: {error}") from error
        headers = self._own(exchange)
        many = result.get("multiValueHeaders") or {}
        for key, value in (result.get("headers") or {}).items():
            if key.lower() not in {name.lower() for name in many}:
                headers.append((key, _text(value)))
        headers += [(key, _text(value)) for key, values in many.items() for value in values]
        headers = [
            (f"x-amzn-Remapped-{key}" if key.lower() in _REMAPPED else key, value)
            for key, value in headers
            if key.lower() not in _DROPPED
        ]
        if not any(key.lower() == "content-type" for key, _ in headers):
            headers.append(("Content-Type", "application/json"))
        return Response(status=status, headers=headers, body=body)

    def _unauthorized(self, route: Route, request: Request, identity: dict[str, Any]) -> Refusal | None:
        if route.authorization == "AWS_IAM":
            wrong = refused_signature(request, request.body or b"")
            if wrong is not None:
                return _signature_refusal(*wrong)
            root = f"arn:aws:iam::{ACCOUNT_ID}:root"
            identity.update(
                accessKey=ACCESS_KEY, accountId=ACCOUNT_ID, caller=ACCOUNT_ID, user=ACCOUNT_ID, userArn=root
            )
        elif route.authorization == "COGNITO_USER_POOLS" and not _claims(request, route.pools):
            return UNAUTHORIZED
        return None

    def _without_key(self, route: Route, stage: Stage, request: Request, identity: dict[str, Any]) -> Refusal | None:
        if not route.needs_key:
            return None
        client = self.aws.client("apigateway")
        given = request.header("x-api-key")
        keys = client.get_api_keys(includeValues=True)["items"]
        key = next((key for key in keys if key.get("enabled") and key["value"] == given), None)
        if key is None:
            return NO_KEY
        for plan in client.get_usage_plans()["items"]:
            members = client.get_usage_plan_keys(usagePlanId=plan["id"])["items"]
            stages = {(at["apiId"], at["stage"]) for at in plan.get("apiStages", [])}
            if (self.id, stage.name) in stages and any(member["id"] == key["id"] for member in members):
                identity.update(apiKey=given, apiKeyId=key["id"])
                limits = plan.get("throttle")
                bucket = limits and self.throttle(("key", key["id"]), limits["rateLimit"], limits["burstLimit"])
                return THROTTLED if bucket and not bucket.admit() else None
        return NO_KEY

    def _throttled(self, route: Route, stage: Stage) -> Refusal | None:
        key, rate, burst = stage.limits(route)
        return None if self.throttle((stage.name, key), rate, burst).admit() else THROTTLED

    def _event(
        self,
        request: Request,
        stage: Stage,
        route: Route,
        exchange: Exchange,
        *,
        parameters: Mapping[str, str],
        identity: Mapping[str, Any],
    ) -> dict[str, Any]:
        """The event of payload format 1.0; path parameters stay percent-encoded, as AWS leaves them."""
        headers = [(key, value) for key, value in request.headers if key.lower() not in _NOT_FORWARDED]
        host = request.header("Host") or ""
        headers += [
            ("X-Amzn-Trace-Id", f"Root=1-{int(time.time()):08x}-{exchange.request_id.replace('-', '')[:24]}"),
            ("X-Forwarded-For", request.client),
            ("X-Forwarded-Port", host.rpartition(":")[2]),
            ("X-Forwarded-Proto", "http"),
        ]
        single, many = _single_and_many(headers)
        query = query_values(request.query)
        # A stage is no part of the path, a domain's base path is.
        path = request.path if self._domain else request.path[1 + len(stage.name) :] or "/"
        body, is_base64 = self._body(request)
        context = {
            "accountId": ACCOUNT_ID,
            "apiId": self.id,
            "deploymentId": stage.deployment,
            "domainName": self._domain or host,
            "domainPrefix": (self._domain or self.id).partition(".")[0],
            "extendedRequestId": exchange.request_id,
            "httpMethod": request.method,
            "identity": dict.fromkeys(
                (
                    "accessKey",
                    "accountId",
                    "caller",
                    "cognitoAuthenticationProvider",
                    "cognitoAuthenticationType",
                    "cognitoIdentityId",
                    "cognitoIdentityPoolId",
                    "principalOrgId",
                    "user",
                    "userArn",
                )
            )
            | {"sourceIp": request.client, "userAgent": request.header("User-Agent")}
            | dict(identity),
            "path": request.path,
            "protocol": request.protocol,
            "requestId": exchange.request_id,
            "requestTime": time.strftime("%d/%b/%Y:%H:%M:%S +0000", time.gmtime(exchange.started)),
            "requestTimeEpoch": int(exchange.started * 1000),
            "resourceId": route.resource_id,
            "resourcePath": route.path,
            "stage": stage.name,
        }
        if route.authorization == "COGNITO_USER_POOLS":
            context["authorizer"] = {"claims": _claims(request, route.pools)}
        return {
            "resource": route.path,
            "path": path,
            "httpMethod": request.method,
            "headers": single,
            "multiValueHeaders": many,
            "queryStringParameters": {key: values[-1] for key, values in query.items()} or None,
            "multiValueQueryStringParameters": query or None,
            "pathParameters": dict(parameters) or None,
            "stageVariables": stage.variables,
            "requestContext": context,
            "body": body,
            "isBase64Encoded": is_base64,
        }

    def _body(self, request: Request) -> tuple[str | None, bool]:
        if not request.body:
            return None, False
        if _matches_media(request.header("Content-Type") or "", self._binary):
            return base64.b64encode(request.body).decode(), True
        return request.body.decode(errors="replace"), False

    def _own(self, exchange: Exchange) -> Headers:
        return [("x-amzn-RequestId", exchange.request_id), ("x-amz-apigw-id", exchange.request_id[:8])]

    def _refuse(self, refusal: Refusal, stage: Stage, request: Request, exchange: Exchange) -> Response:
        """The gateway response for a refusal: its own when customized, else its family's."""
        family = "DEFAULT_5XX" if refusal.status >= 500 else "DEFAULT_4XX"
        response = stage.responses.get(refusal.kind) or stage.responses.get(family) or {}
        status = int(response.get("statusCode") or refusal.status)
        template = (response.get("responseTemplates") or {}).get("application/json")
        template = template or '{"message":$context.error.messageString}'
        variables = {
            "context.error.message": refusal.message,
            "context.error.messageString": json.dumps(refusal.message),
            "context.error.responseType": refusal.kind,
            "context.requestId": exchange.request_id,
            "context.extendedRequestId": exchange.request_id,
            "context.apiId": self.id,
            "context.httpMethod": request.method,
            "context.path": request.path,
            "context.resourcePath": exchange.route.partition(" ")[2],
            "context.stage": stage.name,
            "context.identity.sourceIp": request.client,
        }
        body = _VARIABLE.sub(lambda found: variables.get(found[1] or found[2], ""), template)
        headers = {"Content-Type": "application/json", "x-amzn-ErrorType": refusal.error}
        for target, source in (response.get("responseParameters") or {}).items():
            value = _mapped(source, request, variables)
            if target.startswith("gatewayresponse.header.") and value is not None:
                name = target.removeprefix("gatewayresponse.header.")
                headers = {key: old for key, old in headers.items() if key.lower() != name.lower()} | {name: value}
        return Response(status=status, headers=self._own(exchange) + list(headers.items()), body=body.encode())


class _RefusedError(Exception):
    def __init__(self, refusal: Refusal, why: str) -> None:
        super().__init__(why)
        self.refusal, self.why = refusal, why


def _mapped(source: str, request: Request, variables: Mapping[str, str]) -> str | None:
    if source[:1] == source[-1:] == "'":
        return source[1:-1]
    if source.startswith("method.request.header."):
        return request.header(source.removeprefix("method.request.header."))
    return variables.get(source)


def _signature_refusal(code: str, message: str) -> Refusal:
    if code == "MissingAuthenticationToken":
        return NO_ROUTE
    if code in {"SignatureDoesNotMatch", "RequestTimeTooSkewed", "CredentialDateMismatch"}:
        return Refusal("INVALID_SIGNATURE", message, 403, "InvalidSignatureException")
    return Refusal("DEFAULT_4XX", message, 403, f"{code}Exception")


def _claims(request: Request, pools: Iterable[str]) -> dict[str, Any]:
    """The claims of the caller's ID token, if one of these pools has issued it and it is alive.

    Its signature is not checked: the pool may be one of AWS's, whose keys are not on a laptop.
    """
    token = (request.header("Authorization") or "").removeprefix("Bearer ").split(".")
    try:
        claims = json.loads(base64.urlsafe_b64decode(token[1] + "=" * (-len(token[1]) % 4)))
    except (IndexError, ValueError):
        return {}
    if not isinstance(claims, dict) or len(token) != 3:
        return {}
    issuers = {f"https://cognito-idp.{arn.split(':')[3]}.amazonaws.com/{arn.rpartition('/')[2]}" for arn in pools}
    mine = claims.get("iss") in issuers and claims.get("token_use") == "id"
    expires = claims.get("exp")
    return claims if mine and isinstance(expires, int | float) and expires > time.time() else {}


def _single_and_many(headers: Headers) -> tuple[dict[str, str], dict[str, list[str]]]:
    spelling: dict[str, str] = {}
    many: dict[str, list[str]] = {}
    for key, value in headers:
        many.setdefault(spelling.setdefault(key.lower(), key), []).append(value)
    return {key: values[-1] for key, values in many.items()}, many


def _matches_media(given: str, patterns: list[str]) -> bool:
    media = given.partition(";")[0].strip().lower()
    kind = media.partition("/")[0]
    return bool(media) and any(p.lower() in {"*/*", media, f"{kind}/*"} for p in patterns)


def _text(value: Any) -> str:
    return str(value).lower() if isinstance(value, bool) else str(value)
