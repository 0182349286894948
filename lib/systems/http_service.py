"""The HTTP API service: one function behind a catch-all route, with its alarms and a dashboard."""

from __future__ import annotations

import pulumi

from lib.components.dashboard import Dashboard, DashboardArgs, Graph
from lib.components.function import Function, Statement
from lib.components.http_api import Cors, HttpApi, HttpApiArgs
from lib.components.monitoring import Alarm, Monitoring, MonitoringArgs
from lib.settings import Settings
from lib.systems import HTTP_THROTTLE, RUNTIME, WITHOUT, function_args


def settings() -> Settings:
    """Return the running program's settings, with this system's own defaults."""
    return Settings.load(
        without=WITHOUT,
        gateway="http",
        lambda_runtime=RUNTIME,
        lambda_memory=512,
        lambda_timeout=60,
        log_retention_days=30,
        alarm_duration_ms=45_000,
        **HTTP_THROTTLE,
        in_production={"log_retention_days": 14, "alarm_duration_ms": 25_000},
    )


def alarms(settings: Settings) -> list[Alarm]:
    """Return the alarms: two periods of five minutes, stricter in production."""
    errors = 3 if settings.production else 5
    slow = settings.alarm_duration_ms
    return [
        Alarm(
            metric="Errors",
            statistic="Sum",
            comparison="GreaterThanThreshold",
            threshold=errors,
            period=300,
            evaluation_periods=2,
            description=f"More than {errors} errors in five minutes, twice in a row.",
        ),
        Alarm(
            metric="Duration",
            statistic="Average",
            comparison="GreaterThanThreshold",
            threshold=slow,
            period=300,
            evaluation_periods=2,
            description=f"The function takes over {slow} ms on average, for ten minutes.",
        ),
        Alarm(
            metric="Throttles",
            statistic="Sum",
            comparison="GreaterThanOrEqualToThreshold",
            threshold=1,
            period=300,
            evaluation_periods=2,
            description="Requests are throttled, for ten minutes.",
        ),
    ]


def deploy(settings: Settings) -> dict[str, pulumi.Input[object]]:
    """Make the system and return what its program exports."""
    environment = settings.environment_suffix
    name = f"tap-http-service-{environment}"
    tags = {"Environment": environment, **settings.all_tags}
    # The action knows no resource, so the namespace is all that can narrow it:
    # https://docs.aws.amazon.com/AmazonCloudWatch/latest/monitoring/iam-cw-condition-keys-namespace.html
    metrics = Statement(
        actions=["cloudwatch:PutMetricData"],
        resources=["*"],
        conditions={"StringEquals": {"cloudwatch:namespace": name}},
    )
    function = Function(
        "service",
        function_args(
            settings,
            name,
            "http_service",
            policies={"metrics": [metrics]},
            environment={"ENVIRONMENT": environment, "REGION": settings.region},
            tags=tags,
        ),
    )
    api = HttpApi(
        "service",
        HttpApiArgs(
            name=name,
            function_name=function.name,
            function_invoke_arn=function.invoke_arn,
            cors=Cors(max_age=300),
            throttle_rate=settings.throttle_rate,
            throttle_burst=settings.throttle_burst,
            access_logs=settings.access_logs,
            log_retention_days=settings.log_retention_days,
            kms_key_arn=settings.kms_key_arn,
            tags=tags,
        ),
    )
    Monitoring(
        "service",
        MonitoringArgs(
            topic_name=f"{name}-alarms",
            alarm_prefix=name,
            function_name=function.name,
            alarms=alarms(settings),
            emails=settings.alarm_emails,
            kms_key_arn=settings.kms_key_arn,
            tags=tags,
        ),
    )
    Dashboard(
        "service",
        DashboardArgs(
            name=name,
            function_name=function.name,
            region=settings.region,
            graphs=[
                Graph(title="Requests", metrics=["Invocations", "Errors", "Throttles"], statistic="Sum"),
                Graph(title="Duration", metrics=["Duration"], statistic="Average"),
            ],
        ),
    )
    return {
        "api_gateway_url": api.url,
        "api_gateway_id": api.id,
        "lambda_function_name": function.name,
        "lambda_function_arn": function.arn,
        "lambda_role_arn": function.role_arn,
        "cloudwatch_log_group": function.log_group_name,
        "environment_suffix": environment,
        "region": settings.region,
        "memory_size": settings.lambda_memory,
        "timeout": settings.lambda_timeout,
        "runtime": settings.lambda_runtime,
    }
