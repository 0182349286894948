"""The HTTP API CRUD: items with one key, a table, a function and an HTTP API with a route for each of its methods."""

from __future__ import annotations

import pulumi

from lib.components.function import Function, Statement
from lib.components.http_api import Cors, HttpApi, HttpApiArgs
from lib.components.table import Table, TableArgs
from lib.routes import HTTP_CRUD, methods_by_path
from lib.settings import Settings
from lib.systems import HTTP_THROTTLE, RUNTIME, WITHOUT, function_args

TABLE_ACTIONS = tuple(f"dynamodb:{verb}" for verb in ("GetItem", "PutItem", "UpdateItem", "DeleteItem", "Scan"))
ACCEPTED_HEADERS = ("Authorization", "Content-Type")
EXPOSED_HEADERS = ("Location", "Retry-After")


def settings() -> Settings:
    """Return the running program's settings, with this system's own defaults."""
    return Settings.load(
        without=WITHOUT, gateway="http", lambda_runtime=RUNTIME, lambda_memory=256, lambda_timeout=30, **HTTP_THROTTLE
    )


def deploy(settings: Settings) -> dict[str, pulumi.Input[object]]:
    """Make the system and return what its program exports."""
    environment = settings.environment_suffix

    def tags(name: str) -> dict[str, str]:
        return {"Name": name, "Environment": environment, **settings.all_tags}

    table_name = f"tap-items-{environment}"
    table = Table(
        "items",
        TableArgs(
            name=table_name,
            hash_key="id",
            kms_key_arn=settings.kms_key_arn,
            deletion_protection=settings.deletion_protection,
            protect=settings.protect,
            tags=tags(table_name),
        ),
    )
    function_name = f"tap-api-handler-{environment}"
    function = Function(
        "api-handler",
        function_args(
            settings,
            function_name,
            "http_crud",
            policies={"table": [Statement(actions=TABLE_ACTIONS, resources=[table.arn])]},
            environment={
                "DYNAMODB_TABLE_NAME": table.name,
                "ENVIRONMENT": environment,
                "LOG_LEVEL": settings.log_level,
                "CORS_ORIGINS": ",".join(settings.cors_origins),
            },
            log_format="JSON",
            tags=tags(function_name),
        ),
    )
    api_name = f"tap-serverless-api-{environment}"
    api = HttpApi(
        "serverless-api",
        HttpApiArgs(
            name=api_name,
            routes=HTTP_CRUD,
            function_name=function.name,
            function_invoke_arn=function.invoke_arn,
            cors=Cors(
                origins=settings.cors_origins,
                methods=sorted({method for methods in methods_by_path(HTTP_CRUD).values() for method in methods}),
                headers=ACCEPTED_HEADERS,
                exposed=EXPOSED_HEADERS,
                credentials=settings.cors_credentials,
                max_age=86_400,
            ),
            throttle_rate=settings.throttle_rate,
            throttle_burst=settings.throttle_burst,
            access_logs=settings.access_logs,
            log_retention_days=settings.log_retention_days,
            kms_key_arn=settings.kms_key_arn,
            tags=tags(api_name),
        ),
    )
    return {"api_url": api.url, "table_name": table.name, "function_name": function.name}
