"""The first deployment's handler: every route answers, nothing is touched."""

from __future__ import annotations

import ast
import json
from pathlib import Path
from typing import Any

import pytest

from lib.handler import smoke
from lib.routes import ITEMS, methods_by_path


def answer_to(event: Any) -> dict[str, Any]:
    answer: dict[str, Any] = smoke.handler(event, None)
    return answer


ROUTES = [(method, path) for path, methods in methods_by_path(ITEMS).items() for method in methods]


@pytest.mark.parametrize(("method", "path"), ROUTES)
def test_every_route_answers(method: str, path: str) -> None:
    answer = answer_to({"httpMethod": method, "resource": path, "path": path})
    assert answer.keys() == {"statusCode", "headers", "body", "isBase64Encoded"}
    assert answer["isBase64Encoded"] is False
    assert answer["headers"]["Content-Type"] == "application/json"
    assert answer["headers"]["Access-Control-Allow-Origin"] == "*"
    assert answer["headers"]["Cache-Control"] == "no-store"
    if method == "OPTIONS":
        assert (answer["statusCode"], answer["body"]) == (204, "")
    else:
        assert answer["statusCode"] == 200
        assert json.loads(answer["body"]) == {"message": "ok", "method": method, "resource": path}


@pytest.mark.parametrize("event", [None, [], "x", 7, {}, {"httpMethod": None}, {"resource": {"a": [1]}}])
def test_any_event_is_answered(event: Any) -> None:
    answer = answer_to(event)
    assert answer["statusCode"] == 200
    assert json.loads(answer["body"])["message"] == "ok"
    json.dumps(answer)


def test_nothing_but_json_is_imported() -> None:
    tree = ast.parse(Path(str(smoke.__file__)).read_text(encoding="utf-8"))
    imported = {ast.unparse(node) for node in ast.walk(tree) if isinstance(node, (ast.Import, ast.ImportFrom))}
    assert imported - {"from __future__ import annotations"} == {"import json"}, (
        "it touches nothing, so it needs nothing"
    )
