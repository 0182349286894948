"""The clients of S3 and Step Functions, against a host that answers as it is told."""

from __future__ import annotations

import json
import threading
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from time import monotonic
from typing import TYPE_CHECKING, Any

import pytest

from lib.handler.bucket import Bucket
from lib.handler.service import ServiceError
from lib.handler.state_machine import StateMachine

if TYPE_CHECKING:
    from collections.abc import Iterator

ARN = "arn:aws:states:us-west-2:123456789012:stateMachine:tap-dev-statemachine"
EXECUTION = "arn:aws:states:us-west-2:123456789012:execution:tap-dev-statemachine:execution-1"
XML = "<?xml version='1.0'?><Error><Code>{}</Code><Message>arn:aws:s3:::secret</Message></Error>"


class Host:
    """A server on 127.0.0.1; `replies` are (status, body) in turn, or "hang" or "drop", and then 200."""

    def __init__(self) -> None:
        self.replies: list[tuple[int, str] | str] = []
        self.requests: list[tuple[str, str, dict[str, str], bytes]] = []
        self.ended = threading.Event()
        host = self

        class Handler(BaseHTTPRequestHandler):
            protocol_version = "HTTP/1.1"

            def answer(self) -> None:
                body = self.rfile.read(int(self.headers["content-length"]))
                headers = {name.lower(): value for name, value in self.headers.items()}
                host.requests.append((self.command, self.path, headers, body))
                reply: Any = host.replies.pop(0) if host.replies else (200, json.dumps({"executionArn": EXECUTION}))
                if reply == "hang":
                    host.ended.wait(30)
                if isinstance(reply, str):
                    self.close_connection = True
                    return
                self.send_response(reply[0])
                self.send_header("content-length", str(len(reply[1])))
                self.end_headers()
                self.wfile.write(reply[1].encode())

            do_GET = do_PUT = do_POST = answer  # noqa: N815 - the server's names

            def log_message(self, format: str, *args: Any) -> None:  # noqa: A002 - the server's name
                pass

        self.server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
        self.url = f"http://127.0.0.1:{self.server.server_port}"


@pytest.fixture
def host(monkeypatch: pytest.MonkeyPatch) -> Iterator[Host]:
    made = Host()
    thread = threading.Thread(target=made.server.serve_forever, args=(0.02,))
    thread.start()
    for name, value in {
        "AWS_ACCESS_KEY_ID": "AKID",
        "AWS_SECRET_ACCESS_KEY": "secret",
        "AWS_SESSION_TOKEN": "t",
    }.items():
        monkeypatch.setenv(name, value)
    monkeypatch.setenv("AWS_ENDPOINT_URL", made.url)
    yield made
    made.ended.set()
    made.server.shutdown()
    thread.join()
    made.server.server_close()


@pytest.fixture
def bucket(host: Host) -> Iterator[Bucket]:
    made = Bucket("tap-dev-bucket", "us-west-2")
    yield made
    made.service.host.close()


@pytest.fixture
def machine(host: Host) -> Iterator[StateMachine]:
    made = StateMachine(ARN, "us-west-2")
    yield made
    made.service.host.close()


def soon() -> float:
    return monotonic() + 20


def test_an_object_is_put_whole_signed_and_typed(host: Host, bucket: Bucket) -> None:
    bucket.put("requests/1.json", b'{"n":1}', soon())
    ((method, path, headers, body),) = host.requests
    assert (method, path, body) == ("PUT", "/tap-dev-bucket/requests/1.json", b'{"n":1}')
    assert headers["content-type"] == "application/json"
    assert "/us-west-2/s3/aws4_request" in headers["authorization"]
    assert "x-amz-content-sha256" in headers["authorization"], "S3 checks what it stores against the signed digest"
    assert headers["x-amz-security-token"] == "t"


def test_without_an_endpoint_of_its_own_the_buckets_name_is_the_hosts(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("AWS_ENDPOINT_URL", raising=False)
    sent: list[bytes] = []

    def exchange(self: Any, message: bytes, deadline: float) -> tuple[int, bytes, bytes]:
        sent.append(message)
        return 200, b"", b""

    monkeypatch.setenv("AWS_ACCESS_KEY_ID", "AKID")
    monkeypatch.setenv("AWS_SECRET_ACCESS_KEY", "secret")
    monkeypatch.setattr("lib.handler.transport.Host.exchange", exchange)
    Bucket("tap-dev-bucket", "us-west-2").put("requests/1.json", b"{}", soon())
    assert sent[0].startswith(b"PUT /requests/1.json HTTP/1.1\r\nhost: tap-dev-bucket.s3.us-west-2.amazonaws.com\r\n")


def test_an_execution_is_started_by_name_with_its_input(host: Host, machine: StateMachine) -> None:
    assert machine.start("execution-1", '{"n":1}', soon()) == EXECUTION
    ((method, path, headers, body),) = host.requests
    assert (method, path) == ("POST", "/")
    assert headers["x-amz-target"] == "AWSStepFunctions.StartExecution"
    assert "/us-west-2/states/aws4_request" in headers["authorization"]
    assert json.loads(body) == {"stateMachineArn": ARN, "name": "execution-1", "input": '{"n":1}'}


def test_an_execution_that_is_there_already_is_the_one(host: Host, machine: StateMachine) -> None:
    host.replies = [(400, json.dumps({"__type": "com.amazonaws.swf.service.v2.model#ExecutionAlreadyExists"}))]
    assert machine.start("execution-1", "{}", soon()) == EXECUTION


@pytest.mark.parametrize(
    "reply", ["drop", (500, ""), (503, XML.format("SlowDown")), (400, '{"__type": "ThrottlingException"}')]
)
def test_what_may_pass_is_tried_a_second_time(host: Host, bucket: Bucket, reply: tuple[int, str] | str) -> None:
    host.replies = [reply]
    bucket.put("k", b"{}", soon())
    assert len(host.requests) == 2


@pytest.mark.parametrize("reply", ["drop", (500, ""), (503, XML.format("SlowDown"))])
def test_what_does_not_pass_is_a_503(host: Host, bucket: Bucket, reply: tuple[int, str] | str) -> None:
    host.replies = [reply] * 9
    with pytest.raises(ServiceError) as failure:
        bucket.put("k", b"{}", soon())
    assert len(host.requests) == 2
    assert failure.value.problem().status == 503


@pytest.mark.parametrize(
    ("status", "body", "code"),
    [
        (403, XML.format("AccessDenied"), "AccessDenied"),
        (404, XML.format("NoSuchBucket"), "NoSuchBucket"),
        (400, '{"__type": "x#StateMachineDoesNotExist"}', "StateMachineDoesNotExist"),
        (400, "<html>", "-"),
        (400, "[]", "-"),
        (301, "", "-"),
    ],
)
def test_what_no_retry_helps_is_a_500_at_once_that_tells_nothing(
    host: Host, bucket: Bucket, status: int, body: str, code: str
) -> None:
    host.replies = [(status, body)]
    with pytest.raises(ServiceError) as failure:
        bucket.put("k", b"{}", soon())
    assert len(host.requests) == 1
    assert failure.value.code == code
    problem = failure.value.problem()
    assert problem.status == 500
    assert "secret" not in problem.document("r") + problem.cause


def test_a_host_that_hangs_is_given_up_before_the_deadline(host: Host, bucket: Bucket) -> None:
    host.replies = ["hang", "hang"]
    deadline = monotonic() + 0.6
    with pytest.raises(ServiceError) as failure:
        bucket.put("k", b"{}", deadline)
    assert failure.value.problem().status == 503
    assert len(host.requests) == 2, "half of the time is kept for a second attempt"


def test_warming_up_leaves_a_connection_for_the_first_request(host: Host, bucket: Bucket) -> None:
    bucket.service.warm_up()
    ((method, _, headers, _),) = host.requests
    assert method == "GET"
    assert "authorization" not in headers, "it asks for nothing, so it proves nothing"
    assert len(bucket.service.host._idle) == 1


def test_warming_up_survives_a_host_that_is_not_there_yet(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("AWS_ENDPOINT_URL", "http://127.0.0.1:9")
    Bucket("b", "us-west-2").service.warm_up()


def test_without_credentials_nothing_is_sent(host: Host, bucket: Bucket, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("AWS_ACCESS_KEY_ID")
    with pytest.raises(ServiceError) as failure:
        bucket.put("k", b"{}", soon())
    assert failure.value.problem().status == 500
    assert not host.requests
