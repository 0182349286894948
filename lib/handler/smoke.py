"""A first deployment's handler: answers every route with a small JSON document and touches nothing."""

import json

HEADERS = {
    "Access-Control-Allow-Headers": "*",
    "Access-Control-Allow-Methods": "GET,POST,PUT,DELETE,OPTIONS",
    "Access-Control-Allow-Origin": "*",
    "Cache-Control": "no-store",
    "Content-Type": "application/json",
    "X-Content-Type-Options": "nosniff",
}


def handler(event: object, _context: object) -> "dict[str, object]":
    """Return 204 for OPTIONS and otherwise 200 with the route that was asked for."""
    asked = event if isinstance(event, dict) else {}
    method, resource = asked.get("httpMethod"), asked.get("resource")
    if method == "OPTIONS":
        return {"statusCode": 204, "headers": HEADERS, "body": "", "isBase64Encoded": False}
    body = json.dumps({"message": "ok", "method": method, "resource": resource})
    return {"statusCode": 200, "headers": HEADERS, "body": body, "isBase64Encoded": False}
