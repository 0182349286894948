"""Ready-to-paste requests for whatever is deployed: one for each route, in an order in which they work as printed."""

from __future__ import annotations

import json
import shlex
from collections.abc import Iterable

from lib.local.emulator import ACCESS_KEY, SECRET_KEY
from lib.local.gateway import Route, split

_ID = "hello"
_ORDER = ("POST", "GET", "PUT", "DELETE")


def examples(base: str, routes: Iterable[Route], region: str, key: str = "") -> list[str]:
    """One curl command for each route with at most one parameter; what one creates, the next ones read and remove.

    `key` is the API key for routes that want one.
    """
    known = list(routes)
    commands = []
    for route in sorted(known, key=_place):
        parameters = [part[1:-1] for part in split(route.path) if part.startswith("{")]
        if route.path == "$default":
            if len(known) > 1:  # it only says that there is no such route
                continue
            commands.append(_curl("GET", f"{base}/", None, route, region=region, key=key))
        elif route.method in _ORDER and len(parameters) <= 1 and "+}" not in route.path:
            url = base + "/" + "/".join(_ID if part.startswith("{") else part for part in split(route.path))
            commands.append(_curl(route.method, url, _body(route, known), route, region=region, key=key))
    return commands


def _place(route: Route) -> tuple[int, int]:
    # Creating comes first and removing last; a collection comes before its items.
    return (_ORDER.index(route.method) if route.method in _ORDER else len(_ORDER), len(split(route.path)))


def _body(route: Route, routes: list[Route]) -> dict[str, str] | None:
    if route.method == "PUT":
        return {"note": "changed"}
    if route.method != "POST":
        return None
    below = [split(other.path)[-1] for other in routes if other.path.startswith(f"{route.path.rstrip('/')}/{{")]
    key = min(below, key=len, default="")[1:-1]
    return ({key: _ID} if key else {}) | {"note": "first"}


def _curl(method: str, url: str, body: dict[str, str] | None, route: Route, *, region: str, key: str) -> str:
    words = ["curl", "-sS", "-i"]
    if method != "GET":
        words += ["-X", method]
    if route.authorization == "AWS_IAM":
        words += ["--aws-sigv4", f"aws:amz:{region}:execute-api", "--user", f"{ACCESS_KEY}:{SECRET_KEY}"]
    if route.needs_key:
        words += ["-H", f"x-api-key: {key}"]
    if route.authorization == "COGNITO_USER_POOLS":
        words += ["-H", "Authorization: <an ID token of the user pool>"]
    if body is not None:
        words += ["-H", "Content-Type: application/json", "-d", json.dumps(body)]
    return shlex.join([*words, url])
