"""The other systems, each described once: from settings to components and what its program exports.

`docs/systems.md` says what each is and when to choose which.
"""

from __future__ import annotations

from typing import Any

from lib.components.function import FunctionArgs
from lib.settings import Settings

RUNTIME = "python3.12"
# What the items API alone has a use for. Ignoring these would leave an API open that somebody believes to be closed.
WITHOUT = (
    "handler",
    "require_if_match",
    "gateway",
    "authorization",
    "cognito_user_pool_arn",
    "domain_name",
    "certificate_arn",
    "waf",
    "detailed_metrics",
)
# No system's specification has a limit; without one, a single client can use up what the whole account may ask.
HTTP_THROTTLE: dict[str, Any] = {"throttle_rate": 100, "throttle_burst": 200}


def function_args(settings: Settings, name: str, entry: str, **own: Any) -> FunctionArgs:
    """Return what a system's function needs: from the settings what they hold, from the system its `own`.

    The role has the function's name: they live in different namespaces, and IAM's 64 characters are few.
    """
    return FunctionArgs(
        name=name,
        role_name=name,
        entry=f"lib.handler.{entry}",
        runtime=settings.lambda_runtime,
        timeout=settings.lambda_timeout,
        memory=settings.lambda_memory,
        reserved_concurrency=settings.lambda_reserved_concurrency,
        log_retention_days=settings.log_retention_days,
        tracing=settings.tracing,
        kms_key_arn=settings.kms_key_arn,
        permissions_boundary_arn=settings.permissions_boundary_arn,
        **own,
    )
