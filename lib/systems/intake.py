"""The request intake pipeline: a signed request becomes an object, a record and an execution."""

from __future__ import annotations

import pulumi

from lib.components.bucket import Bucket, BucketArgs
from lib.components.function import Function, Statement
from lib.components.rest_api import RestApi, RestApiArgs
from lib.components.state_machine import StateMachine, StateMachineArgs
from lib.components.table import Table, TableArgs
from lib.routes import INTAKE
from lib.settings import Settings
from lib.systems import RUNTIME, WITHOUT, function_args

REGION = "us-west-2"
# Where the work will go; today it hands its input on.
DEFINITION = {
    "Comment": "Takes a request in and hands it on.",
    "StartAt": "Accept",
    "States": {"Accept": {"Type": "Pass", "End": True}},
}


def settings() -> Settings:
    """Return the running program's settings, with this system's own defaults."""
    return Settings.load(without=WITHOUT, region=REGION, lambda_runtime=RUNTIME, lambda_timeout=15, lambda_memory=256)


def deploy(settings: Settings) -> dict[str, pulumi.Input[object]]:
    """Make the system and return what its program exports."""
    environment = settings.environment_suffix
    tags = {"Environment": environment, **settings.all_tags}

    def name(resource: str) -> str:
        return f"tap-{environment}-{resource}"

    bucket = Bucket(
        "bucket",
        BucketArgs(
            name=name("bucket"),
            emptied=not settings.production,
            protect=settings.protect,
            kms_key_arn=settings.kms_key_arn,
            tags=tags,
        ),
    )
    table = Table(
        "requests",
        TableArgs(
            name=name("requests"),
            hash_key="request_id",
            kms_key_arn=settings.kms_key_arn,
            deletion_protection=settings.deletion_protection,
            protect=settings.protect,
            tags=tags,
        ),
    )
    machine = StateMachine(
        "statemachine",
        StateMachineArgs(
            name=name("statemachine"),
            role_name=name("statemachine"),
            definition=DEFINITION,
            logs="ALL" if settings.execution_logs == "INFO" else settings.execution_logs,
            log_retention_days=settings.log_retention_days,
            tracing=settings.tracing,
            kms_key_arn=settings.kms_key_arn,
            permissions_boundary_arn=settings.permissions_boundary_arn,
            tags=tags,
        ),
    )
    policies = {
        "bucket": [Statement(actions=["s3:PutObject"], resources=[pulumi.Output.concat(bucket.arn, "/requests/*")])],
        "table": [Statement(actions=["dynamodb:PutItem", "dynamodb:UpdateItem"], resources=[table.arn])],
        "statemachine": [Statement(actions=["states:StartExecution"], resources=[machine.arn])],
    }
    if settings.kms_key_arn:
        # S3 encrypts with the caller's rights on the key.
        policies["key"] = [Statement(actions=["kms:GenerateDataKey"], resources=[settings.kms_key_arn])]
    function = Function(
        "processor",
        function_args(
            settings,
            name("processor"),
            "intake",
            policies=policies,
            environment={
                "BUCKET_NAME": bucket.name,
                "DYNAMODB_TABLE_NAME": table.name,
                "STATE_MACHINE_ARN": machine.arn,
                "ENVIRONMENT": environment,
                "LOG_LEVEL": settings.log_level,
                "CORS_ORIGINS": ",".join(settings.cors_origins),
                **({"CORS_CREDENTIALS": "true"} if settings.cors_credentials else {}),
            },
            tags=tags,
        ),
    )
    api = RestApi(
        "api",
        RestApiArgs(
            name=name("api"),
            routes=INTAKE,
            function_name=function.name,
            function_invoke_arn=function.invoke_arn,
            authorization="AWS_IAM",
            throttle_rate=settings.throttle_rate,
            throttle_burst=settings.throttle_burst,
            cors_origins=settings.cors_origins,
            cors_credentials=settings.cors_credentials,
            log_retention_days=settings.log_retention_days,
            access_logs=settings.access_logs,
            execution_logs=settings.execution_logs,
            tracing=settings.tracing,
            kms_key_arn=settings.kms_key_arn,
            tags=tags,
        ),
    )
    return {
        "api_url": api.url,
        "api_id": api.id,
        "bucket_name": bucket.name,
        "bucket_arn": bucket.arn,
        "table_name": table.name,
        "table_arn": table.arn,
        "function_name": function.name,
        "function_arn": function.arn,
        "state_machine_name": machine.name,
        "state_machine_arn": machine.arn,
    }
