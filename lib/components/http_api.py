"""An HTTP API (v2) in front of one function: the routes of a table and one for the rest, on a `$default` stage."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import pulumi
from pulumi_aws import apigatewayv2, cloudwatch, lambda_

from lib.components.rest_api import ACCESS_LOG_FORMAT
from lib.routes import Route, methods_by_path

DEFAULT = "$default"
# An HTTP API knows no resource path and no response type, but the route's key.
HTTP_ACCESS_LOG_FORMAT = {
    **{name: value for name, value in ACCESS_LOG_FORMAT.items() if name not in {"resource", "responseType"}},
    "route": "$context.routeKey",
}


@dataclass(frozen=True, kw_only=True)
class Cors:
    """What the gateway tells browsers; it answers preflights itself and replaces the function's own CORS headers."""

    origins: Sequence[str] = ("*",)
    methods: Sequence[str] = ("*",)
    headers: Sequence[str] = ("*",)
    exposed: Sequence[str] = ("*",)
    credentials: bool = False
    max_age: int


@dataclass(frozen=True, kw_only=True)
class HttpApiArgs:
    """What the API needs; without `routes`, the function alone decides."""

    name: str
    routes: Sequence[Route] = ()
    function_name: pulumi.Input[str]
    function_invoke_arn: pulumi.Input[str]
    cors: Cors
    throttle_rate: int
    throttle_burst: int
    access_logs: bool = False
    log_retention_days: int
    kms_key_arn: str | None = None
    tags: Mapping[str, str]


class HttpApi(pulumi.ComponentResource):
    """The API; `url` has no trailing slash."""

    id: pulumi.Output[str]
    url: pulumi.Output[str]
    execution_arn: pulumi.Output[str]

    def __init__(self, name: str, args: HttpApiArgs, opts: pulumi.ResourceOptions | None = None) -> None:
        super().__init__("tap:http_api:HttpApi", name, None, opts)
        mine = pulumi.ResourceOptions(parent=self)
        tags = dict(args.tags)
        api = apigatewayv2.Api(
            name,
            name=args.name,
            protocol_type="HTTP",
            cors_configuration=apigatewayv2.ApiCorsConfigurationArgs(
                allow_origins=list(args.cors.origins),
                allow_methods=list(args.cors.methods),
                allow_headers=list(args.cors.headers),
                expose_headers=list(args.cors.exposed),
                allow_credentials=args.cors.credentials,
                max_age=args.cors.max_age,
            ),
            tags=tags,
            opts=mine,
        )
        integration = apigatewayv2.Integration(
            name,
            api_id=api.id,
            integration_type="AWS_PROXY",
            integration_method="POST",
            integration_uri=args.function_invoke_arn,
            payload_format_version="2.0",
            opts=mine,
        )
        paths = methods_by_path(tuple(args.routes))
        keys = [f"{verb} {path}" for path, verbs in paths.items() for verb in verbs]
        # What no route takes goes to the function as well: an HTTP API can't word its own 404 as a problem document.
        keys.append(DEFAULT)
        routes = [
            apigatewayv2.Route(
                f"{name}-{_label(key)}",
                api_id=api.id,
                route_key=key,
                target=pulumi.Output.concat("integrations/", integration.id),
                opts=mine,
            )
            for key in keys
        ]
        access_log_settings = None
        if args.access_logs:
            logs = cloudwatch.LogGroup(
                f"{name}-access-logs",
                name=f"/aws/apigateway/{args.name}",
                retention_in_days=args.log_retention_days,
                kms_key_id=args.kms_key_arn,
                tags=tags,
                opts=mine,
            )
            access_log_settings = apigatewayv2.StageAccessLogSettingsArgs(
                destination_arn=logs.arn, format=pulumi.Output.json_dumps(HTTP_ACCESS_LOG_FORMAT)
            )
        apigatewayv2.Stage(
            name,
            api_id=api.id,
            name=DEFAULT,
            auto_deploy=True,
            default_route_settings=apigatewayv2.StageDefaultRouteSettingsArgs(
                throttling_rate_limit=args.throttle_rate, throttling_burst_limit=args.throttle_burst
            ),
            access_log_settings=access_log_settings,
            tags=tags,
            # A stage that deploys by itself before there is a route fails its first deployment.
            opts=pulumi.ResourceOptions(parent=self, depends_on=routes),
        )
        lambda_.Permission(
            name,
            action="lambda:InvokeFunction",
            function=args.function_name,
            principal="apigateway.amazonaws.com",
            source_arn=pulumi.Output.concat(api.execution_arn, "/*/*"),
            opts=mine,
        )
        self.id = api.id
        self.url = api.api_endpoint
        self.execution_arn = api.execution_arn
        self.register_outputs({"id": self.id, "url": self.url, "execution_arn": self.execution_arn})


def _label(key: str) -> str:
    """Return a route key as the end of a resource's name: GET /items/{id} is GET-items-id."""
    return key.translate(str.maketrans("/", "-", " {}+$"))
