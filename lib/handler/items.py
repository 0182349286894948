"""The items API's Lambda entry module."""

import json

from lib.routes import ITEMS, methods_by_path

_METHODS = methods_by_path(ITEMS)


def handler(event: dict, _context: object) -> dict:
    """Return the proxy response of one request."""
    headers = {"Access-Control-Allow-Origin": "*", "Cache-Control": "no-store", "Content-Type": "application/json"}
    allowed = _METHODS.get(event.get("resource", ""))
    if allowed is None:
        return {"statusCode": 404, "headers": headers, "body": json.dumps({"status": 404}), "isBase64Encoded": False}
    if event.get("httpMethod") == "OPTIONS":
        headers["Allow"] = headers["Access-Control-Allow-Methods"] = ", ".join(allowed)
        return {"statusCode": 204, "headers": headers, "body": "", "isBase64Encoded": False}
    return {"statusCode": 503, "headers": headers, "body": json.dumps({"status": 503}), "isBase64Encoded": False}
