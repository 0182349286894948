"""Whatever arrives at one of the other systems, a well-formed answer leaves, and never a 5xx for what a client sent."""

from __future__ import annotations

import copy
import json
from decimal import Decimal
from typing import TYPE_CHECKING, Any

import pytest
from hypothesis import example, given, settings
from hypothesis import strategies as st

from lib.handler.http_crud_api import Crud
from lib.handler.http_service_api import Service
from lib.handler.vpc_function_api import Sample
from lib.routes import HTTP_CRUD, HTTP_SERVICE, VPC_FUNCTION
from tests.unit.handler.systems.kit import SystemClient, table
from tests.unit.handler.systems.test_intake import Pipeline
from tests.unit.handler.test_anything import JSON_VALUES, assert_well_formed

if TYPE_CHECKING:
    from collections.abc import Callable


def service() -> SystemClient:
    return SystemClient(HTTP_SERVICE, Service("dev", "us-east-1"), catch_all=True)


def crud() -> SystemClient:
    items = table("tap-items-dev", "id")
    client = SystemClient(HTTP_CRUD, Crud(items, "dev"), table=items)  # type: ignore[arg-type]
    client("POST", "/items", {"id": "a"})
    return client


def sample() -> SystemClient:
    items = table("tap-vpc-dev", "itemId")
    return SystemClient(VPC_FUNCTION, Sample(items), kind="rest", table=items)  # type: ignore[arg-type]


def intake() -> SystemClient:
    return Pipeline().client


SYSTEMS = pytest.mark.parametrize("system", [service, crud, sample, intake])


@SYSTEMS
@given(event=JSON_VALUES)
@example(event={"version": "2.0", "routeKey": "GET /items/{id}", "pathParameters": {"id": {}}})
@settings(max_examples=100)
def test_any_json_value_as_an_event_is_answered(system: Callable[[], SystemClient], event: object) -> None:
    assert_well_formed(system().app.handler(event, None))


@SYSTEMS
@given(data=st.data())
@settings(max_examples=150)
def test_any_damage_to_an_event_is_answered(system: Callable[[], SystemClient], data: st.DataObject) -> None:
    client = system()
    body = data.draw(st.none() | st.text(max_size=20) | JSON_VALUES.map(json.dumps))
    names = ["Idempotency-Key", "Content-Type", "Content-Encoding", "Origin"]
    event = client.event(
        data.draw(st.sampled_from(["GET", "POST", "PUT", "DELETE", "OPTIONS", "PATCH"])),
        data.draw(st.sampled_from(["/", "/items", "/items/a", "/item", "/x/y", "/items/%C3%A9"])),
        query=data.draw(st.sampled_from(["", "limit=1", "limit=x", "cursor=abc", "cursor=&limit="])),
        headers=data.draw(st.dictionaries(st.sampled_from(names), st.text(max_size=8))),
        body=body,
    )
    event["requestContext"]["identity"] = {"accountId": "1", "user": "AIDA"}
    for _ in range(data.draw(st.integers(0, 3))):
        place: Any = event
        while True:
            name = data.draw(st.sampled_from(sorted(place)))
            if not (isinstance(place[name], dict) and place[name] and data.draw(st.booleans())):
                break
            place = place[name]
        if data.draw(st.booleans()):
            place[name] = data.draw(JSON_VALUES)
        elif len(event) > 1:
            del place[name]
    assert_well_formed(client.app.handler(copy.deepcopy(event), client.context))


@given(JSON_VALUES.filter(lambda value: isinstance(value, dict)), st.data())
@settings(max_examples=200)
def test_what_the_crud_accepts_comes_back(item: dict[str, Any], data: st.DataObject) -> None:
    client = crud()
    answer = client("POST", "/items", json.dumps(item))
    if answer.status == 201:
        stored = client.send(client.event("GET", f"/items/{answer.json['id']}"))
        assert stored.json == {
            **json.loads(json.dumps(item), parse_float=Decimal, parse_int=Decimal),
            "id": answer.json["id"],
        }
    else:
        assert answer.status == 400, answer.text
