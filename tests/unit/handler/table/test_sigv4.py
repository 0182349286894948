"""The oracle for signatures is botocore: equal byte for byte, whatever is signed."""

from __future__ import annotations

import datetime as dt
import time
from typing import TYPE_CHECKING, Any
from urllib.parse import quote

import botocore.auth
import pytest
from botocore.awsrequest import AWSRequest
from botocore.credentials import Credentials
from hypothesis import given, settings
from hypothesis import strategies as st

from lib.handler import sigv4
from lib.handler.table import ACTIONS, Table

if TYPE_CHECKING:
    from tests.unit.handler.table.server import TableServer

WHEN = st.datetimes(dt.datetime(2020, 1, 1), dt.datetime(2037, 1, 1))  # noqa: DTZ001 - as botocore has it
SECRET = st.text(st.characters(min_codepoint=33, max_codepoint=126), min_size=1, max_size=60)
TEXT = st.text(st.characters(min_codepoint=32, max_codepoint=126), min_size=1, max_size=40)
REGION = st.sampled_from(["us-east-1", "us-west-2", "eu-central-2", "cn-north-1", "us-gov-east-1", "mx-central-1"])
NAME = st.text("abcdefghijklmnopqrstuvwxyzABCXYZ0123456789_.-", min_size=3, max_size=255)


def botocore_headers(
    request: AWSRequest, service: str, region: str, credentials: tuple[str, str, str | None], when: dt.datetime
) -> dict[str, str]:
    """Return what botocore sends for `request`, names in lower case."""
    signer = botocore.auth.S3SigV4Auth if service == "s3" else botocore.auth.SigV4Auth
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(botocore.auth, "get_current_datetime", lambda: when)
        signer(Credentials(*credentials), service, region).add_auth(request)
    return {name.lower(): value for name, value in request.headers.items()}


def signed(
    monkeypatch: pytest.MonkeyPatch,
    credentials: tuple[str, str, str | None],
    when: dt.datetime,
    *arguments: Any,
    **named: Any,
) -> dict[str, str]:
    with monkeypatch.context() as patch:
        patch.setenv("AWS_ACCESS_KEY_ID", credentials[0])
        patch.setenv("AWS_SECRET_ACCESS_KEY", credentials[1])
        patch.setenv("AWS_SESSION_TOKEN", credentials[2] or "")
        patch.setattr(time, "gmtime", when.timetuple)
        return sigv4.sign(*arguments, **named)


CREDENTIALS = st.tuples(SECRET, SECRET, st.none() | SECRET)


@settings(max_examples=1000, deadline=None)
@given(CREDENTIALS, WHEN, REGION, NAME, st.sampled_from(sorted(ACTIONS)), st.text(max_size=200))
def test_a_table_request_is_signed_as_botocore_signs_it(  # noqa: PLR0917 - what is generated
    credentials: tuple[str, str, str | None],
    when: dt.datetime,
    region: str,
    name: str,
    action: str,
    text: str,
) -> None:
    body = f'{{"TableName":"{name}","x":"{text}"}}'.encode("utf-8", "surrogatepass")
    host = f"dynamodb.{region}.amazonaws.com"
    headers = {
        "host": host,
        "content-type": "application/x-amz-json-1.0",
        "x-amz-target": f"DynamoDB_20120810.{action}",
    }
    with pytest.MonkeyPatch.context() as patch:
        ours = signed(patch, credentials, when, "POST", "/", headers, body, service="dynamodb", region=region)
    theirs = botocore_headers(
        AWSRequest("POST", f"https://{host}/", dict(headers), body), "dynamodb", region, credentials, when
    )
    assert ours == theirs, "AWS would refuse the request, or accept what botocore would not send"


@settings(max_examples=1000, deadline=None)
@given(
    CREDENTIALS,
    WHEN,
    REGION,
    st.sampled_from(["s3", "states", "dynamodb", "execute-api"]),
    st.sampled_from(["GET", "PUT", "POST", "DELETE", "HEAD"]),
    st.lists(st.text(min_size=1, max_size=12).filter(lambda part: part not in {".", ".."}), max_size=4),
    st.dictionaries(st.text(min_size=1, max_size=8), st.text(max_size=12), max_size=4),
    st.dictionaries(st.sampled_from(["x-amz-meta-a", "content-type", "x-amz-acl", "x-zz"]), TEXT, max_size=4),
    st.binary(max_size=200),
)
def test_any_service_is_signed_as_botocore_signs_it(  # noqa: PLR0917 - what is generated
    credentials: tuple[str, str, str | None],
    when: dt.datetime,
    region: str,
    service: str,
    method: str,
    parts: list[str],
    query: dict[str, str],
    extra: dict[str, str],
    body: bytes,
) -> None:
    host = f"bucket.{service}.{region}.amazonaws.com"
    path = "/" + "/".join(quote(part.encode("utf-8", "surrogatepass"), safe="~") for part in parts)
    pairs = sorted(
        (quote(name.encode("utf-8", "replace"), safe="-_.~"), quote(value.encode("utf-8", "replace"), safe="-_.~"))
        for name, value in query.items()
    )
    encoded = "&".join(f"{name}={value}" for name, value in pairs)
    headers = {"host": host, **extra}
    with pytest.MonkeyPatch.context() as patch:
        ours = signed(
            patch, credentials, when, method, path, headers, body, service=service, region=region, query=encoded
        )
    url = f"https://{host}{path}" + (f"?{encoded}" if encoded else "")
    request = AWSRequest(method, url, dict(headers), body)
    assert ours == botocore_headers(request, service, region, credentials, when)


def test_credentials_are_read_at_each_call(table: Table, server: TableServer, monkeypatch: pytest.MonkeyPatch) -> None:
    key = {"Key": {"ItemId": {"S": "a"}, "CreatedAt": {"S": "b"}}}
    table.request("GetItem", key, time.monotonic() + 20)
    monkeypatch.setenv("AWS_ACCESS_KEY_ID", "AKIDROTATED")
    monkeypatch.setenv("AWS_SESSION_TOKEN", "fresh")
    table.request("GetItem", key, time.monotonic() + 20)
    first, second = server.heads
    assert "Credential=AKIDEXAMPLE/" in first
    assert "security-token" not in first
    assert "Credential=AKIDROTATED/" in second, "Lambda rotates credentials while the function stays warm"
    assert "x-amz-security-token: fresh" in second


def test_the_signing_key_follows_the_secret(monkeypatch: pytest.MonkeyPatch) -> None:
    when = dt.datetime(2026, 11, 21, 10, 0, 0)  # noqa: DTZ001
    arguments = ("POST", "/", {"host": "h"}, b"{}")
    one = [
        signed(monkeypatch, ("A", f"secret{number}", None), when, *arguments, service="dynamodb", region="us-east-1")
        for number in range(20)
    ]
    assert len({headers["authorization"] for headers in one}) == 20, "a rotated secret signed with the old key"
