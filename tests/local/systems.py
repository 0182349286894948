"""What the tests of the other systems need: each deployed once as committed, and an assertion on problem documents."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

from botocore.auth import SigV4Auth
from botocore.awsrequest import AWSRequest
from botocore.credentials import Credentials

from lib.local.emulator import ACCESS_KEY, SECRET_KEY
from lib.local.session import Session, programs
from tests.local.deployed import Answer, Deployed

PROBLEM = {"type", "title", "status", "detail", "instance", "code", "requestId"}


@contextmanager
def deployed_system(name: str, **config: str) -> Iterator[Deployed]:
    """Deploy a system onto an emulator of its own; `config` is in the `aws` namespace."""
    with Session(
        programs(system=name), stack="dev", config={f"aws:{key}": value for key, value in config.items()}
    ) as session:
        yield Deployed({**session.outputs, "api_url": session.api_url}, session.aws.client)


def assert_problem(answer: Answer, status: int, code: str) -> None:
    assert (answer.status, answer.json.get("code")) == (status, code), answer.body
    assert answer.headers["content-type"] == "application/problem+json"
    assert set(answer.json) - {"errors"} == PROBLEM
    assert answer.json["status"] == status
    assert answer.headers["cache-control"] == "no-store"


def signature(
    deployed: Deployed,
    body: bytes,
    headers: dict[str, str] | None = None,
    credentials: tuple[str, str] = (ACCESS_KEY, SECRET_KEY),
    region: str = "us-west-2",
) -> dict[str, Any]:
    """The headers of `POST /` with this body, signed for API Gateway."""
    given = {"Content-Type": "application/json", **(headers or {})}
    request = AWSRequest("POST", f"{deployed.outputs['api_url']}/", data=body, headers=given)
    SigV4Auth(Credentials(*credentials), "execute-api", region).add_auth(request)
    return dict(request.headers)
