"""API Gateway, REST and HTTP."""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping
from typing import Any

from lib.plan.recorder import Recorded
from policy.model import View, conditions, listed, nested, principals, rule, statements

CONTROLS = "https://docs.aws.amazon.com/securityhub/latest/userguide/apigateway-controls.html"
WAF_CONTROLS = "https://docs.aws.amazon.com/securityhub/latest/userguide/waf-controls.html"
GUIDE = "https://docs.aws.amazon.com/apigateway/latest/developerguide"

# Access log variables that carry what a client sent or who it is.
_PRIVATE = re.compile(
    r"\$context\.(?:identity\.apiKey\b|authorizer\.|requestOverride\.|responseOverride\.)|\$(?:input|stageVariables)\b"
)


@rule(
    "api-regional",
    "low",
    "apigateway:RestApi",
    reason="An edge-optimized API has a CloudFront distribution that nobody here can see, log or change.",
    link=f"{GUIDE}/api-gateway-api-endpoint-types.html",
    fix="Set endpoint_configuration to REGIONAL (or PRIVATE).",
)
def regional(api: Recorded, _view: View) -> Iterator[str]:
    kind = nested(api, "endpointConfiguration").get("types")
    if kind not in {"REGIONAL", "PRIVATE"}:
        yield "it is edge-optimized" if kind in {None, "EDGE"} else f"its endpoint type is {kind}"


@rule(
    "api-throttled",
    "high",
    "apigateway:Stage",
    "apigatewayv2:Stage",
    whole_stack=True,
    reason="One client can use up the account's limit of every API, and the bill.",
    link=f"{GUIDE}/api-gateway-request-throttling.html",
    fix="Give the stage MethodSettings for */* (HTTP API: default_route_settings) with a rate and a burst.",
)
def throttled(stage: Recorded, view: View) -> Iterator[str]:
    if stage.type.startswith("aws:apigatewayv2"):
        limits = [nested(stage, "defaultRouteSettings")]
    else:
        limits = [
            nested(settings, "settings")
            for settings in view.about(stage, "stageName", "apigateway:MethodSettings")
            if settings.inputs.get("methodPath") == "*/*"
        ]
    if not any(_positive(item, "throttlingRateLimit") and _positive(item, "throttlingBurstLimit") for item in limits):
        yield "no rate and burst hold for all of its routes"


def _positive(settings: Mapping[str, Any], key: str) -> bool:
    value = settings.get(key)
    return isinstance(value, int | float) and value > 0


@rule(
    "api-no-body-logging",
    "high",
    "apigateway:MethodSettings",
    "apigateway:Stage",
    "apigatewayv2:Stage",
    reason="Bodies, keys and tokens in a log are a copy of the data without its protection.",
    link=f"{GUIDE}/set-up-logging.html",
    fix="Set data_trace_enabled to False and log only who, what, when and how it ended.",
)
def no_body_logging(resource: Recorded, _view: View) -> Iterator[str]:
    if resource.kind == "MethodSettings":
        if nested(resource, "settings").get("dataTraceEnabled"):
            yield "whole requests and responses are logged"
        return
    if nested(resource, "defaultRouteSettings").get("dataTraceEnabled"):
        yield "whole requests and responses are logged"
    form = nested(resource, "accessLogSettings").get("format") or ""
    if found := _PRIVATE.search(form):
        yield f"the access log holds {found.group()}"


@rule(
    "api-no-open-policy",
    "high",
    "apigateway:RestApi",
    "apigateway:RestApiPolicy",
    reason="A resource policy that allows everyone, or another account, goes past the API's own authorization.",
    link=f"{GUIDE}/apigateway-resource-policies.html",
    fix="Name the principals of this account, or leave the policy out.",
)
def no_open_policy(resource: Recorded, _view: View) -> Iterator[str]:
    for statement in statements(resource, "policy"):
        if statement.get("Effect") != "Allow" or conditions(statement):
            continue
        for kind, who in principals(statement):
            if who == "*" or kind == "AWS":
                yield f"its policy allows {who} without a condition"


@rule(
    "deployment-triggers",
    "high",
    "apigateway:Deployment",
    reason="A deployment without triggers is a snapshot: later routes are planned, made, and never reachable.",
    link="https://www.pulumi.com/registry/packages/aws/api-docs/apigateway/deployment/",
    fix="Set triggers to a digest of all that the deployment captures.",
)
def deployment_triggers(deployment: Recorded, _view: View) -> Iterator[str]:
    if not deployment.inputs.get("triggers"):
        yield "it has no triggers"


@rule(
    "deployment-complete",
    "high",
    "apigateway:Deployment",
    whole_stack=True,
    reason="What is made after the deployment is not in it.",
    link=f"{GUIDE}/how-to-deploy-api.html",
    fix="Let the deployment depend on every method, integration and gateway response of the API.",
)
def deployment_complete(deployment: Recorded, view: View) -> Iterator[str]:
    for other in view.of("apigateway:Method", "apigateway:Integration", "apigateway:Response"):
        key = "restApiId" if other.kind == "Response" else "restApi"
        same_api = set(other.sources.get(key, ())) & set(deployment.sources.get("restApi", ()))
        if same_api and other.urn not in deployment.depends_on:
            yield f"it does not wait for the {other.kind} {other.name}"


@rule(
    "api-logs",
    "medium",
    "apigateway:Stage",
    "apigatewayv2:Stage",
    whole_stack=True,
    reason="Who called, when, and how it ended is asked after every incident.",
    link=f"{CONTROLS}#apigateway-1",
    fix="Set tap:accessLogs to true and tap:executionLogs to ERROR for the environment.",
)
def logs(stage: Recorded, view: View) -> Iterator[str]:
    if not view.production:
        return
    if not nested(stage, "accessLogSettings").get("destinationArn"):
        yield "it has no access log in production"
    if stage.type.startswith("aws:apigateway/"):
        levels = [
            nested(settings, "settings").get("loggingLevel")
            for settings in view.about(stage, "stageName", "apigateway:MethodSettings")
        ]
        if not set(levels) & {"ERROR", "INFO"}:
            yield "it has no execution log in production"


@rule(
    "api-tracing",
    "low",
    "apigateway:Stage",
    reason="A slow request in production is explained by its trace or not at all.",
    link=f"{CONTROLS}#apigateway-3",
    fix="Set tap:tracing to true for the environment.",
)
def tracing(stage: Recorded, view: View) -> Iterator[str]:
    if view.production and stage.inputs.get("xrayTracingEnabled") is not True:
        yield "tracing is not on in production"


@rule(
    "api-authorization",
    "high",
    "apigateway:Method",
    "apigatewayv2:Route",
    advice=True,
    reason="Without authorization, anyone who finds the URL reads and changes production data.",
    link=f"{CONTROLS}#apigateway-8",
    fix="Set tap:authorization to AWS_IAM, API_KEY or COGNITO.",
)
def authorization(method: Recorded, view: View) -> Iterator[str]:
    preflight = method.inputs.get("httpMethod") == "OPTIONS" or str(method.inputs.get("routeKey")).startswith(
        "OPTIONS "
    )
    kind = method.inputs.get("authorization") or method.inputs.get("authorizationType") or "NONE"
    if view.production and not preflight and kind == "NONE" and not method.inputs.get("apiKeyRequired"):
        yield "anyone may call it in production"


@rule(
    "firewall-logs",
    "medium",
    "wafv2:WebAcl",
    whole_stack=True,
    reason="A client that is refused by mistake, and an attack, are found in the log or not at all.",
    link=f"{WAF_CONTROLS}#waf-11",
    fix="Give the web ACL a WebAclLoggingConfiguration.",
)
def firewall_logs(acl: Recorded, view: View) -> Iterator[str]:
    if view.production and not view.about(acl, "resourceArn", "wafv2:WebAclLoggingConfiguration"):
        yield "it logs nothing in production"


@rule(
    "firewall-no-credentials",
    "high",
    "wafv2:WebAcl",
    "wafv2:WebAclLoggingConfiguration",
    reason="Whoever may read the log, or the samples in the console, could call the API as its clients do.",
    link="https://docs.aws.amazon.com/waf/latest/developerguide/data-protection-masking.html",
    fix="Redact the query string and the headers that hold credentials, and switch sampled requests off.",
    config={"headers": ["authorization", "cookie", "x-amz-security-token", "x-api-key"]},
)
def firewall_no_credentials(resource: Recorded, view: View) -> Iterator[str]:
    if resource.kind == "WebAcl":
        looks = [resource.inputs, *_objects(resource, "rules")]
        if any((look.get("visibilityConfig") or {}).get("sampledRequestsEnabled") for look in looks):
            yield "it keeps samples of requests, with all their headers"
        return
    fields = _objects(resource, "redactedFields")
    redacted = {(field.get("singleHeader") or {}).get("name") for field in fields}
    shown = [name for name in view.config["headers"] if name not in redacted]
    if not any("queryString" in field for field in fields):
        shown.append("the query string")  # a request may be signed in its URL
    if shown:
        yield f"its log shows {', '.join(shown)}"


def _objects(resource: Recorded, key: str) -> list[Mapping[str, Any]]:
    return [item for item in listed(resource.inputs.get(key)) if isinstance(item, Mapping)]


@rule(
    "domain-tls",
    "medium",
    "apigateway:DomainName",
    "apigatewayv2:DomainName",
    reason="TLS 1.0 and 1.1 are broken.",
    link=f"{GUIDE}/apigateway-custom-domain-tls-version.html",
    fix="Set security_policy to TLS_1_2.",
)
def domain_tls(domain: Recorded, _view: View) -> Iterator[str]:
    inside = nested(domain, "domainNameConfiguration")
    if (domain.inputs.get("securityPolicy") or inside.get("securityPolicy")) != "TLS_1_2":
        yield "it accepts TLS before 1.2"
