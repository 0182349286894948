"""The items API as an OpenAPI document, from the route table and the handler's own limits and codes.

python -m lib.openapi            write docs/openapi.json
python -m lib.openapi --check    fail when that file is not what would be written
"""

from __future__ import annotations

import argparse
import json
import sys
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from lib.components.gateway_errors import ALL_CODES, GATEWAY_ERRORS
from lib.handler import pages
from lib.handler.app import EXPOSED_HEADERS
from lib.handler.items_api import RESERVED
from lib.handler.limits import ITEM_BYTES, KEY_BYTES
from lib.handler.problem import TYPE
from lib.handler.values import MAX_DEPTH, MAX_DIGITS
from lib.routes import ITEMS, Route, methods_by_path

PATH = Path(__file__).resolve().parents[1] / "docs" / "openapi.json"

PLACE = ("invalid-path", "item-not-found")
GUARD = ("invalid-header", "precondition-failed", "precondition-required")
BODY = ("invalid-body", "too-large", "unsupported-media-type", "unsupported-encoding", "invalid-item")
PAGING = ("invalid-limit", "invalid-cursor")


@dataclass(frozen=True)
class Operation:
    """What one action of the route table takes and answers, beside what its path says."""

    summary: str
    status: int
    codes: tuple[str, ...]
    answer: str | None = None
    body: str | None = None
    parameters: tuple[str, ...] = ()
    headers: tuple[str, ...] = ()


OPERATIONS = {
    "list_items": Operation("A page of all items", 200, PAGING, "Page", parameters=("limit", "cursor")),
    "create_item": Operation(
        "Create an item",
        201,
        ("invalid-header", "item-exists", "idempotency-key-reused", *BODY),
        "Item",
        "NewItem",
        ("Idempotency-Key", "If-None-Match-Any"),
        ("ETag", "Location"),
    ),
    "list_versions": Operation(
        "A page of an item's versions, newest first", 200, (*PAGING, *PLACE), "Page", parameters=("limit", "cursor")
    ),
    "replace_only_version": Operation(
        "Replace the attributes of an item that has one version",
        200,
        (*PLACE, *GUARD, *BODY, "several-versions"),
        "Item",
        "Replacement",
        ("If-Match",),
        ("ETag",),
    ),
    "delete_only_version": Operation(
        "Delete an item that has one version", 204, (*PLACE, *GUARD, "several-versions"), parameters=("If-Match",)
    ),
    "get_item": Operation(
        "One item", 200, (*PLACE, "precondition-failed"), "Item", None, ("If-Match", "If-None-Match"), ("ETag",)
    ),
    "replace_item": Operation(
        "Replace an item's attributes", 200, (*PLACE, *GUARD, *BODY), "Item", "Replacement", ("If-Match",), ("ETag",)
    ),
    "delete_item": Operation("Delete an item", 204, (*PLACE, *GUARD), parameters=("If-Match",)),
}

ITEM_ID = {
    "type": "string",
    "minLength": 1,
    "maxLength": KEY_BYTES,
    "pattern": "^[^\\u0000-\\u001f\\u007f-\\u009f]+$",
    "description": f"1 to {KEY_BYTES} bytes of UTF-8 without control characters.",
}
CREATED_AT = {
    "type": "string",
    "format": "date-time",
    "description": "RFC 3339 with a zone, to the microsecond at most; stored and answered as UTC.",
}
STRING = {"type": "string"}


def document() -> dict[str, Any]:
    """Return the OpenAPI document."""
    paths: dict[str, Any] = {}
    shared: dict[str, Any] = {}
    for path, methods in methods_by_path(ITEMS).items():
        names = [part.strip("{}") for part in path.split("/") if part.startswith("{")]
        operations = {route.method.lower(): _operation(route, shared) for route in ITEMS if route.path == path}
        operations["options"] = _preflight(path, methods, shared)
        parameters = [{"$ref": f"#/components/parameters/{name}"} for name in names]
        paths[path] = {**({"parameters": parameters} if parameters else {}), **operations}
    return {
        "openapi": "3.1.0",
        "info": {
            "title": "Items API",
            "version": "1.0.0",
            "description": "An item is a JSON object: its keys ItemId and CreatedAt and any other attributes. It has "
            f"at most {ITEM_BYTES // 1024} KB, {MAX_DEPTH} levels of nesting and numbers of {MAX_DIGITS} digits, whose "
            "value is kept exactly. Errors are problem documents (RFC 9457) with a stable code.",
            "license": {"name": "Apache-2.0", "identifier": "Apache-2.0"},
        },
        "servers": [
            {
                "url": "https://{api}.execute-api.{region}.amazonaws.com/prod",
                "variables": {"api": {"default": "api-id"}, "region": {"default": "us-east-1"}},
            }
        ],
        "paths": paths,
        "components": {
            "schemas": _schemas(),
            "parameters": _parameters(),
            "responses": shared,
            "headers": _headers(),
        },
    }


def _operation(route: Route, shared: dict[str, Any]) -> dict[str, Any]:
    about = OPERATIONS[route.action]
    operation: dict[str, Any] = {"operationId": route.action, "summary": about.summary}
    if about.parameters:
        operation["parameters"] = [{"$ref": f"#/components/parameters/{name}"} for name in about.parameters]
    if about.body:
        operation["requestBody"] = {
            "required": True,
            "content": {"application/json": {"schema": {"$ref": f"#/components/schemas/{about.body}"}}},
        }
    success: dict[str, Any] = {"description": about.summary, "headers": _answer_headers(*about.headers)}
    if about.answer:
        success["content"] = {"application/json": {"schema": {"$ref": f"#/components/schemas/{about.answer}"}}}
    responses = {str(about.status): success}
    if "If-None-Match" in about.parameters:
        responses["304"] = {"description": "The item is the one that is known", "headers": _answer_headers("ETag")}
    operation["responses"] = {**responses, **_problems(shared, about.codes)}
    return operation


def _problems(shared: dict[str, Any], codes: tuple[str, ...] = ()) -> dict[str, Any]:
    """Return {status: reference} for `codes` and those that any request may get; add to `shared` what they name."""
    by_status: dict[int, list[str]] = {}
    for code in sorted({*codes, "internal-error", "unavailable", *GATEWAY_ERRORS.values()}):
        by_status.setdefault(ALL_CODES[code][0], []).append(code)
    responses = {}
    for status, same in sorted(by_status.items()):
        name = f"{status}.{'.'.join(same)}"
        shared[name] = _problem(status, same)
        responses[str(status)] = {"$ref": f"#/components/responses/{name}"}
    return responses


def _problem(status: int, codes: list[str]) -> dict[str, Any]:
    schema = {
        "allOf": [{"$ref": "#/components/schemas/Problem"}],
        "properties": {
            "status": {"const": status},
            "code": {"enum": codes},
            "type": {"enum": [TYPE + c for c in codes]},
        },
    }
    return {
        "description": "; ".join([f"{code}: {ALL_CODES[code][1].lower()}" for code in codes]),
        "headers": _answer_headers(*(("Retry-After",) if status in {429, 503} else ())),
        "content": {"application/problem+json": {"schema": schema}},
    }


def _preflight(path: str, methods: tuple[str, ...], shared: dict[str, Any]) -> dict[str, Any]:
    allowed = ", ".join(methods)
    name = {"type": "string", "const": allowed}
    headers = {
        **_answer_headers(),
        "Allow": {"required": True, "schema": name},
        "Access-Control-Allow-Methods": {"required": True, "schema": name},
        "Access-Control-Allow-Headers": {"required": True, "schema": STRING},
        "Access-Control-Max-Age": {"required": True, "schema": STRING},
    }
    return {
        "operationId": "preflight_" + path.strip("/").replace("/", "_").replace("{", "").replace("}", ""),
        "summary": "What a browser may send here",
        "responses": {"204": {"description": "The methods and headers", "headers": headers}, **_problems(shared)},
    }


def _answer_headers(*names: str) -> dict[str, Any]:
    every = ("Cache-Control", "X-Content-Type-Options", "Access-Control-Expose-Headers", "Access-Control-Allow-Origin")
    return {name: {"$ref": f"#/components/headers/{name}"} for name in (*names, *every)}


def _schemas() -> dict[str, Any]:
    # `propertyNames` is what no item may have a member of.
    item = {
        "type": "object",
        "properties": {"ItemId": ITEM_ID, "CreatedAt": CREATED_AT},
        "propertyNames": {"minLength": 1, "not": {"pattern": f"^{RESERVED}"}},
        "additionalProperties": True,
    }
    problem: dict[str, Any] = {
        "type": {"type": "string", "format": "uri"},
        "title": STRING,
        "status": {"type": "integer"},
        "detail": STRING,
        "instance": {"type": "string", "format": "uri"},
        "code": {"enum": sorted(ALL_CODES), "description": "Stable: what a program should look at."},
        "requestId": STRING,
    }
    error = {
        "type": "object",
        "properties": {"pointer": {"type": "string", "format": "json-pointer"}, "detail": STRING},
        "required": ["pointer", "detail"],
    }
    return {
        "Item": {**item, "required": ["ItemId", "CreatedAt"], "description": "An item as it is stored."},
        "NewItem": {
            **item,
            "description": "ItemId defaults to a new UUID, CreatedAt to this moment.",
            "examples": [{"name": "first", "price": 9.95}],
        },
        "Replacement": {**item, "description": "All attributes but the keys, which need not be repeated."},
        "Page": {
            "type": "object",
            "properties": {
                "items": {"type": "array", "maxItems": pages.MAX_LIMIT, "items": {"$ref": "#/components/schemas/Item"}},
                "next": {"type": "string", "description": "The cursor of the next page; absent on the last."},
            },
            "required": ["items"],
            "additionalProperties": False,
        },
        "Problem": {
            "type": "object",
            "properties": {**problem, "errors": {"type": "array", "minItems": 1, "items": error}},
            "required": list(problem),
        },
    }


def _parameters() -> dict[str, Any]:
    tags = {"type": "string", "pattern": '^(\\*|(W/)?"[!#-~]*"(, *(W/)?"[!#-~]*")*)$'}
    return {
        "ItemId": {"name": "ItemId", "in": "path", "required": True, "schema": ITEM_ID},
        "CreatedAt": {"name": "CreatedAt", "in": "path", "required": True, "schema": CREATED_AT},
        "limit": {
            "name": "limit",
            "in": "query",
            "schema": {"type": "integer", "minimum": 1, "maximum": pages.MAX_LIMIT, "default": pages.DEFAULT_LIMIT},
        },
        "cursor": {
            "name": "cursor",
            "in": "query",
            "description": "The `next` of the page before, of this very listing.",
            "schema": {"type": "string", "minLength": 1},
        },
        "Idempotency-Key": {
            "name": "Idempotency-Key",
            "in": "header",
            "description": "The same key and body within 24 hours create one item and get the same answer.",
            "schema": {"type": "string", "pattern": "^[!-~]{1,255}$"},
        },
        "If-Match": {
            "name": "If-Match",
            "in": "header",
            "description": "ETags of the item that is expected, or *.",
            "schema": tags,
        },
        "If-None-Match": {
            "name": "If-None-Match",
            "in": "header",
            "description": "ETags of the item that is known: 304 when it is still that one.",
            "schema": tags,
        },
        "If-None-Match-Any": {
            "name": "If-None-Match",
            "in": "header",
            "description": "Says aloud what POST does anyway: nothing that exists is replaced.",
            "schema": {"const": "*"},
        },
    }


def _headers() -> dict[str, Any]:
    return {
        "ETag": {"description": "The item's version.", "required": True, "schema": {"type": "string", "pattern": '^"'}},
        "Location": {
            "description": "The item's path, percent-encoded.",
            "required": True,
            "schema": {"type": "string", "format": "uri-reference"},
        },
        "Retry-After": {"required": True, "schema": {"type": "string", "pattern": "^[0-9]+$"}},
        "Cache-Control": {"required": True, "schema": {"const": "no-store"}},
        "X-Content-Type-Options": {"required": True, "schema": {"const": "nosniff"}},
        "Access-Control-Expose-Headers": {"required": True, "schema": {"const": EXPOSED_HEADERS}},
        "Access-Control-Allow-Origin": {"description": "Absent for an origin that is not allowed.", "schema": STRING},
    }


def text() -> str:
    """Return the file's text."""
    return json.dumps(document(), indent=2) + "\n"


def main(arguments: list[str] | None = None) -> int:
    """Write the file, or compare it."""
    parser = argparse.ArgumentParser(prog="python -m lib.openapi", description="Write docs/openapi.json.")
    parser.add_argument("--check", action="store_true", help="fail when the file is not what would be written")
    if not parser.parse_args(arguments).check:
        PATH.write_text(text(), encoding="utf-8")
        return 0
    if PATH.is_file() and PATH.read_text(encoding="utf-8") == text():
        return 0
    print(f"{PATH.name} is not what the handler does: run python -m lib.openapi", file=sys.stderr)
    return 1


if __name__ == "__main__":
    sys.exit(main())
