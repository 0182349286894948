"""What is read from an exported state, and the locks beside it."""

from __future__ import annotations

import json
import os
import socket
import subprocess
from datetime import UTC, datetime
from pathlib import Path
from types import SimpleNamespace
from typing import Any
from urllib.parse import parse_qsl

import boto3
import pytest

from lib.deploy import aws
from lib.deploy.locks import locks
from lib.deploy.state import SECRET, State, masked, short

TABLE_URN = "urn:pulumi:dev::tap-data::tap:table:Table$aws:dynamodb/table:Table::items-table"


def resource(kind: str, name: str, **more: Any) -> dict[str, Any]:
    """One resource of a state."""
    return {"urn": f"urn:pulumi:dev::tap-data::{kind}::{name}", "type": kind, "custom": True, **more}


def state(*resources: dict[str, Any], pending: list[dict[str, Any]] | None = None) -> State:
    """A state with these resources."""
    return State({"version": 3, "deployment": {"resources": list(resources), "pending_operations": pending or []}})


STACK = {"urn": "urn:pulumi:dev::tap-data::pulumi:pulumi:Stack::tap-data-dev", "type": "pulumi:pulumi:Stack"}


def test_a_stack_that_was_never_deployed_has_nothing() -> None:
    empty = State({})
    assert (empty.deployed, empty.outputs, empty.owned, empty.pending) == (False, {}, [], [])


def test_owned_is_what_a_destroy_would_delete() -> None:
    found = state(
        STACK,
        resource("pulumi:providers:aws", "default"),
        resource("pulumi:pulumi:StackReference", "up", external=True),
        resource("aws:sns/topic:Topic", "read", external=True),
        {**resource("tap:table:Table", "items"), "custom": False},
        resource("aws:dynamodb/table:Table", "items-table", inputs={"name": "dev-items-table"}),
    )
    assert [item["urn"].rpartition("::")[2] for item in found.owned] == ["items-table"]
    assert list(found.names()) == [("aws:dynamodb/table:Table", "dev-items-table")]


def test_an_encrypted_output_is_never_shown() -> None:
    secret = {SECRET: "1b47061264138c4ac30d75fd1eb44270", "ciphertext": "v1:abc"}
    found = state({**STACK, "outputs": {"key": secret, "name": "x"}})
    assert masked(found.outputs) == {"key": "[secret]", "name": "x"}


def test_places_are_read_from_arns_that_have_them() -> None:
    found = state(
        resource("a:b:C", "one", outputs={"arn": "arn:aws:dynamodb:eu-west-1:123456789012:table/t"}),
        resource("a:b:C", "two", outputs={"arn": "arn:aws:iam::123456789012:role/r"}),
        resource("a:b:C", "three", outputs={"arn": "arn:aws:apigateway:us-east-1::/restapis/x"}),
    )
    assert [(account, region) for _, account, region in found.places()] == [("123456789012", "eu-west-1")]


def test_how_interrupted_creations_ended_is_taken_in_and_the_rest_left_alone() -> None:
    table = {
        **resource("aws:dynamodb/table:Table", "items-table", inputs={"name": "dev-items-table"}),
        "urn": TABLE_URN,
    }
    topic = resource("aws:sns/topic:Topic", "alarms", inputs={"name": "dev-items-alarms"})
    role = resource("aws:iam/role:Role", "role", inputs={})
    found = state(
        STACK,
        pending=[
            {"type": "creating", "resource": table},
            {"type": "creating", "resource": topic},
            {"type": "updating", "resource": role},
        ],
    )
    assert found.creating == {TABLE_URN: "dev-items-table", topic["urn"]: None}, "a topic's id is not its name"
    resolved = found.resolved({TABLE_URN: "dev-items-table"}, {topic["urn"]})
    assert [operation["type"] for operation in resolved.pending] == ["updating"]
    assert [(item["urn"], item["id"]) for item in resolved.owned] == [(TABLE_URN, "dev-items-table")]
    assert len(found.pending) == 3, "the state it was made from stays as it was"


def test_a_saved_state_is_for_its_user_alone(tmp_path: Path) -> None:
    path = tmp_path / "runs" / "one" / "data.before.json"
    state(STACK).save(path)
    assert path.stat().st_mode & 0o777 == 0o600
    assert path.parent.stat().st_mode & 0o077 == 0
    assert json.loads(path.read_text())["version"] == 3


def test_a_urn_is_shown_by_type_and_name() -> None:
    assert short(TABLE_URN) == "dynamodb/table:Table items-table"


@pytest.fixture
def backend(tmp_path: Path) -> Path:
    """A backend with a lock directory."""
    (tmp_path / ".pulumi" / "locks" / "organization" / "tap-data" / "dev").mkdir(parents=True)
    return tmp_path


def write_lock(backend: Path, pid: int, host: str, since: str) -> None:
    """A lock as the engine writes it."""
    path = backend / ".pulumi" / "locks" / "organization" / "tap-data" / "dev" / "x.json"
    path.write_text(json.dumps({"pid": pid, "username": "ann", "hostname": host, "timestamp": since}))


def test_a_lock_says_whether_its_process_still_runs(backend: Path) -> None:
    now = datetime.now(UTC).isoformat()
    stack = "organization/tap-data/dev"
    write_lock(backend, os.getpid(), socket.gethostname(), now)
    [lock] = locks(f"file://{backend}", stack) or []
    assert lock.alive is True
    ended = subprocess.Popen(["true"])
    ended.wait()
    write_lock(backend, ended.pid, socket.gethostname(), now)
    [lock] = locks(f"file://{backend}", stack) or []
    assert lock.alive is False
    write_lock(backend, os.getpid(), "elsewhere", now)
    [lock] = locks(f"file://{backend}", stack) or []
    assert lock.alive is None
    assert "ann@elsewhere" in str(lock)


def test_a_number_that_another_process_has_got_since_is_not_the_holder(backend: Path) -> None:
    write_lock(backend, os.getpid(), socket.gethostname(), "2001-02-03T04:05:06.123456789Z")
    [lock] = locks(f"file://{backend}", "organization/tap-data/dev") or []
    assert lock.alive is False, "this process began after the lock was taken"
    assert lock.since.microsecond == 123456, "the engine writes nanoseconds"


def test_a_process_that_nobody_waited_for_does_not_hold_a_lock(backend: Path) -> None:
    zombie = subprocess.Popen(["true"])
    os.waitid(os.P_PID, zombie.pid, os.WEXITED | os.WNOWAIT)
    write_lock(backend, zombie.pid, socket.gethostname(), datetime.now(UTC).isoformat())
    [lock] = locks(f"file://{backend}", "organization/tap-data/dev") or []
    assert lock.alive is False
    zombie.wait()


def test_where_locks_cannot_be_looked_at_nothing_is_claimed() -> None:
    assert locks("https://api.pulumi.com", "organization/tap-data/dev") is None


@pytest.mark.parametrize(
    ("query", "endpoint", "style"),
    [
        ("region=eu-west-1", "https://s3.eu-west-1.amazonaws.com", "auto"),
        ("endpoint=minio.local:9000&s3ForcePathStyle=true&region=eu-west-1", "https://minio.local:9000", "path"),
        ("endpoint=127.0.0.1:9000&disableSSL=true&use_path_style=1&region=eu-west-1", "http://127.0.0.1:9000", "path"),
        ("endpoint=https://minio.local&disable_https=true&region=eu-west-1", "http://minio.local", "auto"),
        ("profile=states", "https://s3.eu-west-1.amazonaws.com", "auto"),
        ("awssdk=v2&ssetype=AES256", "https://s3.eu-west-1.amazonaws.com", "auto"),
    ],
)
def test_a_bucket_is_reached_as_the_engine_reaches_it(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, query: str, endpoint: str, style: str
) -> None:
    (tmp_path / "config").write_text("[profile states]\nregion = eu-west-1\n")
    monkeypatch.setenv("AWS_CONFIG_FILE", str(tmp_path / "config"))
    monkeypatch.setenv("AWS_EC2_METADATA_DISABLED", "true")
    monkeypatch.delenv("AWS_DEFAULT_REGION", raising=False)
    if "profile" in query:
        monkeypatch.delenv("AWS_REGION", raising=False)
    else:
        monkeypatch.setenv("AWS_REGION", "us-west-2" if "region" in query else "eu-west-1")
    client = aws._bucket_client(boto3, dict(parse_qsl(query)))
    assert client.meta.endpoint_url == endpoint
    assert client.meta.region_name == "eu-west-1"
    assert client.meta.config.s3["addressing_style"] == style


def test_a_bucket_that_only_a_role_may_read_is_read_with_it(monkeypatch: pytest.MonkeyPatch) -> None:
    keys = {"AccessKeyId": "id", "SecretAccessKey": "key", "SessionToken": "token"}
    asked: list[dict[str, str]] = []

    def assume_role(**request: str) -> dict[str, Any]:
        asked.append(request)
        return {"Credentials": keys}

    def client(session: boto3.Session, service: str, **_how: Any) -> Any:
        return SimpleNamespace(assume_role=assume_role) if service == "sts" else session.get_credentials()

    monkeypatch.setattr(boto3.Session, "client", client)
    role = "arn:aws:iam::123456789012:role/states"
    given = aws._bucket_client(boto3, {"role": role, "region": "eu-west-1"})
    assert asked == [{"RoleArn": role, "RoleSessionName": "tap-deploy"}]
    assert [given.access_key, given.secret_key, given.token] == [*keys.values()]


def test_aws_is_asked_as_the_profile_and_the_roles_that_the_provider_is_told_of(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    keys = {"AccessKeyId": "given", "SecretAccessKey": "key", "SessionToken": "token"}
    (tmp_path / "credentials").write_text("[team]\naws_access_key_id = own\naws_secret_access_key = key\n")
    monkeypatch.setenv("AWS_SHARED_CREDENTIALS_FILE", str(tmp_path / "credentials"))
    monkeypatch.setenv("AWS_ACCESS_KEY_ID", "another")
    monkeypatch.setenv("AWS_SECRET_ACCESS_KEY", "key")
    asked: list[tuple[str, dict[str, str]]] = []

    def client(session: boto3.Session, service: str, **_how: Any) -> Any:
        by = session.get_credentials()
        assert by is not None

        def assume_role(**request: str) -> dict[str, Any]:
            asked.append((by.access_key, request))
            return {"Credentials": keys}

        return SimpleNamespace(
            assume_role=assume_role,
            get_caller_identity=lambda: {"Account": f"{service} of {by.access_key} in {session.region_name}"},
        )

    monkeypatch.setattr(boto3.Session, "client", client)
    there = {"aws:region": "eu-west-1", "aws:profile": "team"}
    assert aws.caller(there) == ("sts of own in eu-west-1", None)
    role = {"roleArn": "arn:aws:iam::123456789012:role/deploy", "externalId": "x"}
    assert aws.caller({**there, "aws:assumeRoles": [role]}) == ("sts of given in eu-west-1", None)
    request = {"RoleArn": role["roleArn"], "RoleSessionName": "tap-deploy", "ExternalId": "x"}
    assert asked == [("own", request)], "the account that counts is the one that is deployed to"
