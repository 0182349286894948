"""What the tests over HTTP need of an API that is deployed somewhere: here, or on AWS."""

from __future__ import annotations

import http.client
import json
import time
import urllib.parse
import uuid
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import Any


@dataclass(frozen=True)
class Answer:
    """One HTTP answer; header names are lower-case."""

    status: int
    headers: Mapping[str, str]
    body: bytes

    @property
    def json(self) -> Any:
        return json.loads(self.body)

    @property
    def etag(self) -> str:
        return self.headers["etag"]


@dataclass
class Deployed:
    """A deployed items API: its outputs, a way to make AWS clients, and the items that a test has made."""

    outputs: Mapping[str, str]
    client: Callable[[str], Any]
    made: list[str] = field(default_factory=list)

    @property
    def prefix(self) -> str:
        """The environment suffix, as every name begins."""
        return self.outputs["dynamodb_table_name"].removesuffix("-items-table")

    def send(
        self,
        method: str,
        path: str,
        body: Any = None,
        headers: Mapping[str, str] | None = None,
        *,
        patient: bool = True,
    ) -> Answer:
        """Send a request; a dict or list goes as JSON. A throttled one is sent again, unless that is the point."""
        url = urllib.parse.urlsplit(self.outputs["api_url"])
        given = {"Content-Type": "application/json", **(headers or {})} if body is not None else dict(headers or {})
        data = json.dumps(body).encode() if isinstance(body, dict | list) else body
        for _ in range(60):
            make = http.client.HTTPSConnection if url.scheme == "https" else http.client.HTTPConnection
            connection = make(url.hostname or "", url.port, timeout=60)
            try:
                connection.request(method, url.path + path, data, given)
                response = connection.getresponse()
                found = Answer(response.status, {k.lower(): v for k, v in response.getheaders()}, response.read())
            finally:
                connection.close()
            if found.status != 429 or not patient:
                break
            time.sleep(0.25)
        return found

    def create(self, **attributes: Any) -> tuple[dict[str, Any], Answer]:
        """Create an item and return it and the answer."""
        answer = self.send("POST", "/items", {"ItemId": self.new_id(), **attributes})
        assert answer.status == 201, answer.body
        return answer.json, answer

    def new_id(self) -> str:
        """An ItemId of this test's own, so that tests can share a table, also one with data."""
        return f"test-{uuid.uuid4()}"


def path_of(item: Mapping[str, Any]) -> str:
    """The path of one item."""
    quoted = [urllib.parse.quote(item[key], safe="") for key in ("ItemId", "CreatedAt")]
    return f"/items/{quoted[0]}/{quoted[1]}"


def items_path(item_id: str) -> str:
    """The path of all versions of an item."""
    return f"/items/{urllib.parse.quote(item_id, safe='')}"
