"""A REST API (v1) in front of one function: every route of a table proxied to it, one throttled stage."""

from __future__ import annotations

import hashlib
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Literal

import pulumi
from pulumi_aws import apigateway, cloudwatch, lambda_

from lib.components.gateway_errors import GATEWAY_ERRORS, SIGNED_GATEWAY_ERRORS, body, headers, status
from lib.routes import Route, methods_by_path

# What CloudWatch keeps of each request: enough to find and explain it, nothing a client sent but the path.
ACCESS_LOG_FORMAT = {
    "requestId": "$context.requestId",
    "requestTime": "$context.requestTimeEpoch",
    "method": "$context.httpMethod",
    "resource": "$context.resourcePath",
    "status": "$context.status",
    "latency": "$context.responseLatency",
    "integrationLatency": "$context.integrationLatency",
    "responseType": "$context.error.responseType",
}


@dataclass(frozen=True, kw_only=True)
class RestApiArgs:
    """What the API needs; the function is given by name and invoke ARN, so it may live in another stack."""

    name: str
    stage: str = "prod"
    routes: tuple[Route, ...]
    function_name: pulumi.Input[str]
    function_invoke_arn: pulumi.Input[str]
    throttle_rate: int
    throttle_burst: int
    authorization: Literal["NONE", "AWS_IAM", "API_KEY", "COGNITO"] = "NONE"
    cognito_user_pool_arn: str | None = None
    # Off where the API has a domain of its own, so that nobody goes around it.
    execute_api_endpoint: bool = True
    cors_origins: Sequence[str] = ("*",)
    cors_credentials: bool = False
    log_retention_days: int
    access_logs: bool = False
    execution_logs: Literal["OFF", "ERROR", "INFO"] = "OFF"
    detailed_metrics: bool = False
    tracing: bool = False
    kms_key_arn: str | None = None
    tags: Mapping[str, str]


class RestApi(pulumi.ComponentResource):
    """The API and its stage; `url` ends with the stage and has no trailing slash."""

    id: pulumi.Output[str]
    stage: pulumi.Output[str]
    url: pulumi.Output[str]
    execution_arn: pulumi.Output[str]
    stage_arn: pulumi.Output[str]

    def __init__(self, name: str, args: RestApiArgs, opts: pulumi.ResourceOptions | None = None) -> None:
        super().__init__("tap:rest_api:RestApi", name, None, opts)
        mine = pulumi.ResourceOptions(parent=self)
        tags = dict(args.tags)
        api = apigateway.RestApi(
            name,
            name=args.name,
            endpoint_configuration=apigateway.RestApiEndpointConfigurationArgs(types="REGIONAL"),
            # False is said aloud: left out, an endpoint that was switched off once would stay off.
            disable_execute_api_endpoint=not args.execute_api_endpoint,
            tags=tags,
            opts=mine,
        )
        authorized = _authorized(name, args, api, mine)

        resources: dict[str, pulumi.Output[str]] = {"": api.root_resource_id, "/": api.root_resource_id}
        methods: list[pulumi.Resource] = []
        # All that a deployment freezes, for the deployment's trigger: what is missing here is never redeployed.
        captured: dict[str, Any] = {
            "function": args.function_invoke_arn,
            "endpoint": args.execute_api_endpoint,
            "user pool": args.cognito_user_pool_arn,
        }
        for path, verbs in methods_by_path(args.routes).items():
            resource_id = _resource(name, path, api, resources, mine)
            for verb in verbs:
                label = f"{name}-{verb}{_label(path)}"
                # A browser sends its preflight without credentials.
                method_inputs: dict[str, Any] = {
                    "http_method": verb,
                    **({"authorization": "NONE"} if verb == "OPTIONS" else authorized),
                }
                method = apigateway.Method(label, rest_api=api.id, resource_id=resource_id, **method_inputs, opts=mine)
                integration_inputs: dict[str, Any] = {"type": "AWS_PROXY", "integration_http_method": "POST"}
                integration = apigateway.Integration(
                    label,
                    rest_api=api.id,
                    resource_id=resource_id,
                    http_method=method.http_method,
                    **integration_inputs,
                    uri=args.function_invoke_arn,
                    opts=mine,
                )
                methods += [method, integration]
                captured[f"{verb} {path}"] = [method_inputs, integration_inputs]

        errors = SIGNED_GATEWAY_ERRORS if args.authorization == "AWS_IAM" else GATEWAY_ERRORS
        for kind, code in errors.items():
            response_inputs: dict[str, Any] = {
                "response_type": kind,
                "status_code": str(status(code)),
                "response_templates": {"application/json": body(code)},
                "response_parameters": headers(code, args.cors_origins, credentials=args.cors_credentials),
            }
            methods.append(apigateway.Response(f"{name}-{kind}", rest_api_id=api.id, **response_inputs, opts=mine))
            captured[kind] = response_inputs

        deployment = apigateway.Deployment(
            name,
            rest_api=api.id,
            triggers={"captured": pulumi.Output.json_dumps(captured, sort_keys=True).apply(_digest)},
            opts=pulumi.ResourceOptions(parent=self, depends_on=methods),
        )

        before_stage: list[pulumi.Resource] = []
        if args.execution_logs != "OFF":
            # API Gateway would make this group itself, without retention, at the first logged request.
            before_stage.append(
                cloudwatch.LogGroup(
                    f"{name}-execution-logs",
                    name=pulumi.Output.format("API-Gateway-Execution-Logs_{}/{}", api.id, args.stage),
                    retention_in_days=args.log_retention_days,
                    kms_key_id=args.kms_key_arn,
                    tags=tags,
                    opts=mine,
                )
            )
        access_log_settings = None
        if args.access_logs:
            access_logs = cloudwatch.LogGroup(
                f"{name}-access-logs",
                name=f"/aws/apigateway/{args.name}",
                retention_in_days=args.log_retention_days,
                kms_key_id=args.kms_key_arn,
                tags=tags,
                opts=mine,
            )
            access_log_settings = apigateway.StageAccessLogSettingsArgs(
                destination_arn=access_logs.arn, format=pulumi.Output.json_dumps(ACCESS_LOG_FORMAT)
            )
        stage = apigateway.Stage(
            name,
            rest_api=api.id,
            deployment=deployment.id,
            stage_name=args.stage,
            access_log_settings=access_log_settings,
            xray_tracing_enabled=args.tracing,
            tags=tags,
            opts=pulumi.ResourceOptions(parent=self, depends_on=before_stage),
        )
        apigateway.MethodSettings(
            name,
            rest_api=api.id,
            stage_name=stage.stage_name,
            method_path="*/*",
            settings=apigateway.MethodSettingsSettingsArgs(
                throttling_rate_limit=args.throttle_rate,
                throttling_burst_limit=args.throttle_burst,
                logging_level=args.execution_logs,
                data_trace_enabled=False,
                # False is said aloud: left out, metrics that were on once would stay on, and go on costing.
                metrics_enabled=args.detailed_metrics,
            ),
            opts=mine,
        )
        lambda_.Permission(
            name,
            action="lambda:InvokeFunction",
            function=args.function_name,
            principal="apigateway.amazonaws.com",
            source_arn=pulumi.Output.format("{}/{}/*", api.execution_arn, args.stage),
            opts=mine,
        )

        self.id = api.id
        self.stage = stage.stage_name
        self.url = stage.invoke_url
        self.execution_arn = api.execution_arn
        self.stage_arn = stage.arn
        self.register_outputs(
            {"id": self.id, "stage": self.stage, "url": self.url, "execution_arn": self.execution_arn}
        )


def _authorized(name: str, args: RestApiArgs, api: apigateway.RestApi, opts: pulumi.ResourceOptions) -> dict[str, Any]:
    """Return the inputs of a method that say who may call it, having made the authorizer if there has to be one."""
    if args.authorization == "API_KEY":
        return {"authorization": "NONE", "api_key_required": True}
    if args.authorization != "COGNITO":
        return {"authorization": args.authorization}
    if args.cognito_user_pool_arn is None:
        raise ValueError("authorization COGNITO needs the ARN of a user pool")
    authorizer = apigateway.Authorizer(
        name,
        rest_api=api.id,
        name=args.name,
        type="COGNITO_USER_POOLS",
        provider_arns=[args.cognito_user_pool_arn],
        identity_source="method.request.header.Authorization",
        opts=opts,
    )
    return {"authorization": "COGNITO_USER_POOLS", "authorizer_id": authorizer.id}


def _resource(
    name: str,
    path: str,
    api: apigateway.RestApi,
    known: dict[str, pulumi.Output[str]],
    opts: pulumi.ResourceOptions,
) -> pulumi.Output[str]:
    """Return the id of the gateway resource for `path`, making it and the ones above it where they are missing."""
    if path not in known:
        above, _, part = path.rpartition("/")
        parent_id = _resource(name, above, api, known, opts)
        made = apigateway.Resource(
            f"{name}{_label(path)}", rest_api=api.id, parent_id=parent_id, path_part=part, opts=opts
        )
        known[path] = made.id
    return known[path]


def _label(path: str) -> str:
    """Return the path as the end of a resource's name: /items/{ItemId} is -items-ItemId, and the root is nothing."""
    return path.rstrip("/").replace("/", "-").replace("{", "").replace("}", "")


def _digest(text: str) -> str:
    return hashlib.sha256(text.encode()).hexdigest()
