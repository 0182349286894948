"""The REST gateway's own errors, in the problem shape that the function uses for its own.

Response types and their statuses:
https://docs.aws.amazon.com/apigateway/latest/developerguide/supported-gateway-response-types.html
"""

from __future__ import annotations

import json
from collections.abc import Sequence
from typing import NamedTuple


class GatewayError(NamedTuple):
    """What a client sees for one of the gateway's response types."""

    status: int
    code: str
    title: str
    detail: str


_UNAUTHORIZED = GatewayError(401, "unauthorized", "Unauthorized", "The request carries no valid credentials.")
_FORBIDDEN = GatewayError(403, "forbidden", "Forbidden", "The credentials do not allow this request.")
_BAD_REQUEST = GatewayError(400, "bad-request", "Bad Request", "The request could not be read.")
_INTERNAL = GatewayError(500, "internal-error", "Internal Server Error", "The request could not be completed.")
_UNAVAILABLE = GatewayError(503, "unavailable", "Service Unavailable", "The service did not answer in time.")
_NOT_FOUND = GatewayError(404, "not-found", "Not Found", "There is nothing at this path for this method.")
_THROTTLED = GatewayError(429, "too-many-requests", "Too Many Requests", "Too many requests at the moment.")

GATEWAY_ERRORS = {
    "ACCESS_DENIED": _FORBIDDEN,
    "API_CONFIGURATION_ERROR": _INTERNAL,
    "AUTHORIZER_CONFIGURATION_ERROR": _INTERNAL,
    "AUTHORIZER_FAILURE": _INTERNAL,
    "BAD_REQUEST_BODY": _BAD_REQUEST,
    "BAD_REQUEST_PARAMETERS": _BAD_REQUEST,
    "DEFAULT_4XX": _BAD_REQUEST,
    "DEFAULT_5XX": _INTERNAL,
    "EXPIRED_TOKEN": _FORBIDDEN,
    "INTEGRATION_FAILURE": _UNAVAILABLE,
    "INTEGRATION_TIMEOUT": _UNAVAILABLE,
    "INVALID_API_KEY": _FORBIDDEN,
    "INVALID_SIGNATURE": _FORBIDDEN,
    # What AWS calls a missing token is a path or method without a route.
    "MISSING_AUTHENTICATION_TOKEN": _NOT_FOUND,
    "QUOTA_EXCEEDED": _THROTTLED,
    "REQUEST_TOO_LARGE": GatewayError(
        413, "payload-too-large", "Content Too Large", "The request is larger than the gateway takes."
    ),
    "RESOURCE_NOT_FOUND": _NOT_FOUND,
    "THROTTLED": _THROTTLED,
    "UNAUTHORIZED": _UNAUTHORIZED,
    "UNSUPPORTED_MEDIA_TYPE": GatewayError(
        415, "unsupported-media-type", "Unsupported Media Type", "The request's media type is not supported."
    ),
    "WAF_FILTERED": _FORBIDDEN,
}


def body(error: GatewayError) -> str:
    """Return the problem document; the gateway fills in the request's id and nothing that a client chose."""
    return json.dumps(
        {
            "type": "about:blank",
            "title": error.title,
            "status": error.status,
            "detail": error.detail,
            "instance": "urn:request:$context.requestId",
            "code": error.code,
            "requestId": "$context.requestId",
        }
    )


def headers(error: GatewayError, origins: Sequence[str], *, credentials: bool) -> dict[str, str]:
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
    if error.status in {429, 503}:
        values["Retry-After"] = "1"
    return {f"gatewayresponse.header.{name}": f"'{value}'" for name, value in values.items()}
