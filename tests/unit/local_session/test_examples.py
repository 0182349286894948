"""The requests that a session prints: one for each route, in an order that works, quoted for a shell."""

from __future__ import annotations

import shlex

from lib.local.examples import examples
from lib.local.gateway import Route
from lib.routes import ITEMS, methods_by_path

BASE = "http://127.0.0.1:1/prod"


def routes(*named: str, authorization: str = "NONE") -> list[Route]:
    pairs = [name.split() for name in named]
    return [Route(method, path, {}, authorization=authorization) for method, path in pairs]


def test_creating_comes_first_and_deleting_last() -> None:
    table = [Route(method, path, {}) for path, methods in methods_by_path(ITEMS).items() for method in methods]
    words = [shlex.split(command) for command in examples(BASE, table, "us-east-1")]
    assert [each[-1].removeprefix(BASE) for each in words] == ["/items", "/items", "/items/hello"] + [
        "/items/hello"
    ] * 2
    assert '{"ItemId": "hello", "note": "first"}' in words[0], "what is created is what the next ones ask for"
    assert "DELETE" in words[-1]


def test_a_default_route_is_asked_at_the_root() -> None:
    assert examples("http://127.0.0.1:1", [Route("$default", "$default", {})], "us-east-1") == [
        "curl -sS -i http://127.0.0.1:1/"
    ]


def test_a_signed_route_is_signed() -> None:
    (command,) = examples(BASE, routes("POST /", authorization="AWS_IAM"), "us-west-2")
    assert "--aws-sigv4 aws:amz:us-west-2:execute-api --user test:test" in command


def test_a_route_that_wants_a_key_gets_it() -> None:
    (command,) = examples(BASE, [Route("GET", "/items", {}, needs_key=True)], "us-east-1", "the-key")
    assert shlex.split(command)[3:] == ["-H", "x-api-key: the-key", f"{BASE}/items"]


def test_a_route_of_a_user_pool_says_what_to_fill_in() -> None:
    (command,) = examples(BASE, routes("GET /items", authorization="COGNITO_USER_POOLS"), "us-east-1")
    assert "-H 'Authorization: <an ID token of the user pool>'" in command


def test_greedy_and_deep_routes_are_left_out() -> None:
    assert examples(BASE, routes("GET /{proxy+}", "GET /a/{b}/{c}", "OPTIONS /a"), "us-east-1") == []
