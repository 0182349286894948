"""The items API's four parts, each described once: from settings and upstream outputs to a component and its contract.

The four stack programs call one of these each; TapStack calls all four.
"""

from __future__ import annotations

import pulumi

from lib.components.api_key import ApiKey, ApiKeyArgs
from lib.components.domain import Domain, DomainArgs
from lib.components.firewall import Firewall, FirewallArgs
from lib.components.function import Function, FunctionArgs, Statement
from lib.components.monitoring import Monitoring, MonitoringArgs, any_sum, slow
from lib.components.rest_api import RestApi, RestApiArgs
from lib.components.table import Table, TableArgs
from lib.contracts import ApiOutputs, ComputeOutputs, DataOutputs, MonitoringOutputs
from lib.routes import ITEMS
from lib.settings import Settings

TABLE_ACTIONS = tuple(
    f"dynamodb:{verb}" for verb in ("GetItem", "PutItem", "UpdateItem", "DeleteItem", "Query", "Scan")
)


def data(settings: Settings, opts: pulumi.ResourceOptions | None = None) -> DataOutputs:
    """Make the table."""
    table = Table(
        "items-table",
        TableArgs(
            name=f"{settings.environment_suffix}-items-table",
            hash_key="ItemId",
            range_key="CreatedAt",
            # Only the handler's idempotency records have it; no client can write an attribute of this name.
            expires_attribute="tap:expires",
            kms_key_arn=settings.kms_key_arn,
            deletion_protection=settings.deletion_protection,
            protect=settings.protect,
            tags=settings.all_tags,
        ),
        opts,
    )
    return DataOutputs(dynamodb_table_name=table.name, dynamodb_table_arn=table.arn)


def compute(settings: Settings, upstream: DataOutputs, opts: pulumi.ResourceOptions | None = None) -> ComputeOutputs:
    """Make the function, with rights on the upstream table alone."""
    name = f"{settings.environment_suffix}-items-lambda"
    environment = {
        "DYNAMODB_TABLE_NAME": upstream.dynamodb_table_name,
        "ENVIRONMENT": settings.environment_suffix,
        "LOG_LEVEL": settings.log_level,
        "CORS_ORIGINS": ",".join(settings.cors_origins),
        **({"CORS_CREDENTIALS": "true"} if settings.cors_credentials else {}),
        **({"REQUIRE_IF_MATCH": "true"} if settings.require_if_match else {}),
    }
    function = Function(
        "items-lambda",
        FunctionArgs(
            name=name,
            role_name=f"{name}-role",
            entry=f"lib.handler.{settings.handler}",
            runtime=settings.lambda_runtime,
            timeout=settings.lambda_timeout,
            memory=settings.lambda_memory,
            reserved_concurrency=settings.lambda_reserved_concurrency,
            policies={"table": [Statement(actions=TABLE_ACTIONS, resources=[upstream.dynamodb_table_arn])]},
            environment=environment,
            log_retention_days=settings.log_retention_days,
            tracing=settings.tracing,
            kms_key_arn=settings.kms_key_arn,
            permissions_boundary_arn=settings.permissions_boundary_arn,
            tags=settings.all_tags,
        ),
        opts,
    )
    return ComputeOutputs(
        lambda_function_name=function.name,
        lambda_function_arn=function.arn,
        lambda_invoke_arn=function.invoke_arn,
        lambda_role_arn=function.role_arn,
        lambda_log_group_name=function.log_group_name,
    )


def api(settings: Settings, upstream: ComputeOutputs, opts: pulumi.ResourceOptions | None = None) -> ApiOutputs:
    """Make the REST API in front of the upstream function, and what the settings put in front of that."""
    if settings.production and settings.authorization == "NONE":
        pulumi.log.warn(
            "ANYONE who finds its URL may read and change production's items: tap:authorization is NONE. "
            "Set it to AWS_IAM, API_KEY or COGNITO (docs/security-options.md)."
        )
    name = f"{settings.environment_suffix}-items-api"
    rest = RestApi(
        "items-api",
        RestApiArgs(
            name=name,
            routes=ITEMS,
            function_name=upstream.lambda_function_name,
            function_invoke_arn=upstream.lambda_invoke_arn,
            throttle_rate=settings.throttle_rate,
            throttle_burst=settings.throttle_burst,
            authorization=settings.authorization,
            cognito_user_pool_arn=settings.cognito_user_pool_arn,
            execute_api_endpoint=settings.domain_name is None,
            cors_origins=settings.cors_origins,
            cors_credentials=settings.cors_credentials,
            log_retention_days=settings.log_retention_days,
            access_logs=settings.access_logs,
            execution_logs=settings.execution_logs,
            detailed_metrics=settings.detailed_metrics,
            tracing=settings.tracing,
            kms_key_arn=settings.kms_key_arn,
            tags=settings.all_tags,
        ),
        opts,
    )
    url = rest.url
    if settings.authorization == "API_KEY":
        key = ApiKeyArgs(name=f"{name}-key", api_id=rest.id, stage=rest.stage, tags=settings.all_tags)
        ApiKey("items-api-key", key, opts)
    if settings.waf:
        firewall = FirewallArgs(
            name=f"{name}-firewall",
            stage_arn=rest.stage_arn,
            log_retention_days=settings.log_retention_days,
            kms_key_arn=settings.kms_key_arn,
            tags=settings.all_tags,
        )
        Firewall("items-api-firewall", firewall, opts)
    if settings.certificate_arn and settings.domain_name:
        domain = DomainArgs(
            domain_name=settings.domain_name,
            certificate_arn=settings.certificate_arn,
            api_id=rest.id,
            stage=rest.stage,
            tags=settings.all_tags,
        )
        url = Domain("items-api-domain", domain, opts).url
    return ApiOutputs(api_rest_id=rest.id, api_stage=rest.stage, api_url=url)


def monitoring(
    settings: Settings, upstream: ComputeOutputs, opts: pulumi.ResourceOptions | None = None
) -> MonitoringOutputs:
    """Make the alarms on the upstream function and the topic they notify."""
    alarms = Monitoring(
        "items-alarms",
        MonitoringArgs(
            topic_name=f"{settings.environment_suffix}-items-alarms",
            alarm_prefix=f"{settings.environment_suffix}-items-lambda",
            function_name=upstream.lambda_function_name,
            alarms=[slow(settings.alarm_duration_ms), any_sum("Errors"), any_sum("Throttles")],
            emails=settings.alarm_emails,
            kms_key_arn=settings.kms_key_arn,
            tags=settings.all_tags,
        ),
        opts,
    )
    return MonitoringOutputs(alarm_topic_arn=alarms.topic_arn)
