"""One emulator for the whole run; what each test makes in it has a name of its own."""

from __future__ import annotations

import io
import json
import uuid
import zipfile
from collections.abc import Callable, Iterator
from typing import Any

import pytest

from lib.local.emulator import Emulator
from lib.local.session import Session, programs
from lib.local.types.core import Aws
from tests.local.deployed import Deployed

# Answers with the event it was given, or with what the test asks for in the body: {"answer": <result>}.
ECHO = """
import json

def handler(event, context):
    body = json.loads(event.get("body") or "{}") if not event.get("isBase64Encoded") else {}
    if "raise" in body:
        raise RuntimeError(body["raise"])
    print("echo", context.aws_request_id)
    if "answer" in body:
        return body["answer"]
    return {"statusCode": 200, "headers": {"Content-Type": "application/json"}, "body": json.dumps(event)}
"""


@pytest.fixture(scope="session")
def emulator() -> Iterator[Emulator]:
    with Emulator() as running:
        yield running


@pytest.fixture(scope="session")
def aws(emulator: Emulator) -> Aws:
    return Aws(emulator.endpoint, "us-east-1")


def zipped(files: dict[str, str]) -> bytes:
    buffer = io.BytesIO()
    with zipfile.ZipFile(buffer, "w") as archive:
        for name, text in files.items():
            archive.writestr(name, text)
    return buffer.getvalue()


@pytest.fixture(scope="session")
def make_function(aws: Aws) -> Callable[..., str]:
    """Create a function with a role that may only write logs; returns its ARN."""

    def make(source: str, *, policy: dict[str, Any] | None = None, **settings: Any) -> str:
        name = f"test-{uuid.uuid4().hex[:8]}"
        trust = {"Effect": "Allow", "Principal": {"Service": "lambda.amazonaws.com"}, "Action": "sts:AssumeRole"}
        iam = aws.client("iam")
        document = json.dumps({"Version": "2012-10-17", "Statement": [trust]})
        role = iam.create_role(RoleName=name, AssumeRolePolicyDocument=document)["Role"]["Arn"]
        if policy is not None:
            iam.put_role_policy(RoleName=name, PolicyName="test", PolicyDocument=json.dumps(policy))
        arn: str = aws.client("lambda").create_function(
            FunctionName=name,
            Role=role,
            Runtime="python3.12",
            Handler="index.handler",
            Code={"ZipFile": zipped({"index.py": source})},
            **settings,
        )["FunctionArn"]
        return arn

    return make


@pytest.fixture(scope="session")
def echo(aws: Aws, make_function: Callable[..., str]) -> str:
    """The ARN of a function that any API may call and that answers with its event."""
    arn = make_function(ECHO)
    aws.client("lambda").add_permission(
        FunctionName=arn, StatementId="any", Action="lambda:InvokeFunction", Principal="apigateway.amazonaws.com"
    )
    return arn


@pytest.fixture(scope="session", params=["stacks", "single"])
def session(request: pytest.FixtureRequest) -> Iterator[Session]:
    """The base system as committed, deployed and served: four stacks, and then TapStack alone."""
    with Session(programs(single=request.param == "single"), stack="dev") as running:
        yield running


@pytest.fixture(scope="session")
def deployed(session: Session) -> Deployed:
    return Deployed(session.outputs, session.aws.client)
