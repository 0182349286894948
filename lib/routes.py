"""The one route table.

It feeds the API's resources, methods and CORS, the function's permission, the handler's routing, the OpenAPI document
and the redeploy hash. Adding a route is one line. The Lambda carries this file, so it parses and runs on Python 3.9.
"""

from collections import namedtuple

Route = namedtuple("Route", ("method", "path", "action"))  # noqa: PYI024 - `typing` is an import Lambda's INIT would pay for

ITEMS = (
    Route("GET", "/items", "list_items"),
    Route("POST", "/items", "create_item"),
    Route("GET", "/items/{ItemId}", "list_versions"),
    Route("PUT", "/items/{ItemId}", "replace_only_version"),
    Route("DELETE", "/items/{ItemId}", "delete_only_version"),
    Route("GET", "/items/{ItemId}/{CreatedAt}", "get_item"),
    Route("PUT", "/items/{ItemId}/{CreatedAt}", "replace_item"),
    Route("DELETE", "/items/{ItemId}/{CreatedAt}", "delete_item"),
)

HTTP_SERVICE = (
    Route("GET", "/", "health"),
    Route("GET", "/health", "health"),
    Route("GET", "/info", "info"),
    # Behind one catch-all route of the gateway, these are the handler's alone.
    *(
        Route(method, path, action)
        for path in ("/", "/health", "/info", "/{path+}")
        for method, action in (("POST", "receive"), ("PUT", "receive"), ("DELETE", "remove"))
    ),
    Route("GET", "/{path+}", "unknown"),
)

HTTP_CRUD = (
    Route("GET", "/items", "list_items"),
    Route("POST", "/items", "create_item"),
    Route("GET", "/items/{id}", "get_item"),
    Route("PUT", "/items/{id}", "update_item"),
    Route("DELETE", "/items/{id}", "delete_item"),
)

VPC_FUNCTION = (Route("GET", "/item", "write_sample"),)

INTAKE = (Route("POST", "/", "take_in"),)


def methods_by_path(routes: "tuple[Route, ...]") -> "dict[str, tuple[str, ...]]":
    """Return {path: methods} in the table's order; every path also answers OPTIONS."""
    paths: dict[str, list[str]] = {}
    for route in routes:
        paths.setdefault(route.path, []).append(route.method)
    return {path: (*methods, "OPTIONS") for path, methods in paths.items()}
