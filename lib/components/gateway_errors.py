"""The REST gateway's own errors, in the problem shape that the function uses for its own.

Response types and their statuses:
https://docs.aws.amazon.com/apigateway/latest/developerguide/supported-gateway-response-types.html
"""

from __future__ import annotations

import json
from collections.abc import Sequence

from lib.handler.problem import CODES, TYPE

# What only a gateway says; its other codes are the handler's.
GATEWAY_CODES = {
    "unauthorized": (401, "The request carries no valid credentials"),
    "forbidden": (403, "The credentials do not allow this request"),
    "too-many-requests": (429, "There are too many requests"),
}
ALL_CODES = {**CODES, **GATEWAY_CODES}

# Response type: code. Where AWS has 504, a client hears 503, as when the function finds that the table does not answer.
GATEWAY_ERRORS = {
    "ACCESS_DENIED": "forbidden",
    "API_CONFIGURATION_ERROR": "internal-error",
    "AUTHORIZER_CONFIGURATION_ERROR": "internal-error",
    "AUTHORIZER_FAILURE": "internal-error",
    "BAD_REQUEST_BODY": "bad-request",
    "BAD_REQUEST_PARAMETERS": "bad-request",
    "DEFAULT_4XX": "bad-request",
    "DEFAULT_5XX": "internal-error",
    "EXPIRED_TOKEN": "forbidden",
    "INTEGRATION_FAILURE": "unavailable",
    "INTEGRATION_TIMEOUT": "unavailable",
    "INVALID_API_KEY": "forbidden",
    "INVALID_SIGNATURE": "forbidden",
    # What AWS calls a missing token is a path or method without a route.
    "MISSING_AUTHENTICATION_TOKEN": "route-not-found",
    "QUOTA_EXCEEDED": "too-many-requests",
    "REQUEST_TOO_LARGE": "too-large",
    "RESOURCE_NOT_FOUND": "route-not-found",
    "THROTTLED": "too-many-requests",
    "UNAUTHORIZED": "unauthorized",
    "UNSUPPORTED_MEDIA_TYPE": "unsupported-media-type",
    "WAF_FILTERED": "forbidden",
}
# Where requests are signed, a token that is missing is what it says; AWS does not tell it from a missing route there.
# What has no type of its own is an access key that nobody has.
SIGNED_GATEWAY_ERRORS = {**GATEWAY_ERRORS, "MISSING_AUTHENTICATION_TOKEN": "forbidden", "DEFAULT_4XX": "forbidden"}


def status(code: str) -> int:
    """Return the HTTP status of a code."""
    return ALL_CODES[code][0]


def body(code: str) -> str:
    """Return the problem document; the gateway fills in the request's id and nothing that a client chose."""
    title = ALL_CODES[code][1]
    return json.dumps(
        {
            "type": TYPE + code,
            "title": title,
            "status": status(code),
            "detail": f"{title}.",
            "instance": "urn:request:$context.requestId",
            "code": code,
            "requestId": "$context.requestId",
        }
    )


def headers(code: str, origins: Sequence[str], *, credentials: bool) -> dict[str, str]:
    """Return the response's headers as the gateway wants them: static values in single quotes.

    The gateway can't choose between origins, so with several of them its own errors name none; a browser page then
    sees a failed request instead of the problem document, and never another page's origin.
    """
    values = {
        "Content-Type": "application/problem+json",
        "Cache-Control": "no-store",
        "X-Content-Type-Options": "nosniff",
        "Access-Control-Expose-Headers": "ETag, Location, Retry-After",
    }
    if len(origins) == 1:
        values["Access-Control-Allow-Origin"] = origins[0]
        if origins[0] != "*":
            values["Vary"] = "Origin"
        if credentials:
            values["Access-Control-Allow-Credentials"] = "true"
    if status(code) in {429, 503}:
        values["Retry-After"] = "1"
    return {f"gatewayresponse.header.{name}": f"'{value}'" for name, value in values.items()}
