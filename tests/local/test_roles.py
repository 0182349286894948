"""Each team's role deploys its stack, all of it, and nobody else's: on the emulator, which enforces IAM.

What is enforced here is actions and resources. Conditions on `iam:PermissionsBoundary`, `iam:PolicyARN`,
`iam:PassedToService` and `lambda:Principal` are left out of the documents for the emulator, which does not know these
keys of a request; tests/unit/roles asserts them. Nor does it know what resource the calls in `NO_RESOURCE_HERE` are on.
"""

from __future__ import annotations

import json
import threading
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import boto3
import pytest

from lib.contracts import STACKS
from lib.local.emulator import ACCOUNT_ID, REGION, Emulator
from lib.local.monitor import Monitor
from lib.local.state import State
from lib.local.types.core import Aws
from lib.plan.recorder import record_projects
from lib.program import ROOT, Program, run
from lib.roles.documents import Document, Target, documents

pytestmark = pytest.mark.local

ENVIRONMENT = "roles"
UNKNOWN_HERE = {"iam:PermissionsBoundary", "iam:PolicyARN", "iam:PassedToService", "lambda:Principal", "kms:ViaService"}
NO_RESOURCE_HERE = {
    "cloudwatch:DeleteAlarms",
    "cloudwatch:DescribeAlarms",
    "cloudwatch:ListTagsForResource",
    "cloudwatch:TagResource",
    "cloudwatch:UntagResource",
    "dynamodb:ListTagsOfResource",
    "dynamodb:TagResource",
    "dynamodb:UntagResource",
    "lambda:CreateFunction",
    "sns:ListTagsForResource",
    "sns:TagResource",
    "sns:UntagResource",
}
TARGET = Target(
    environment=ENVIRONMENT, account=ACCOUNT_ID, region=REGION, repository="acme/tap", state_bucket="acme-state"
)
# What production has, without what the emulator's API Gateway has no account role for.
CONFIG = {"tap:lambdaRuntime": "python3.13", "tap:tracing": "true", "tap:accessLogs": "true"}
PROGRAMS = {contract.stack: Program(ROOT / contract.directory) for contract in STACKS}


class Recorder:
    """The calls that clients make, as IAM names them."""

    def __init__(self) -> None:
        self.actions: set[str] = set()

    def __call__(self, model: Any, params: Any, **_: Any) -> None:
        service = model.service_model.signing_name
        name = params["method"] if service == "apigateway" else model.name
        service = {"monitoring": "cloudwatch"}.get(service, service)
        self.actions.add(f"{service}:{name}")


class RoleAws(Aws):
    """Clients that have taken a role."""

    def __init__(self, emulator: Emulator, credentials: dict[str, str], recorder: Recorder) -> None:
        super().__init__(emulator.endpoint, REGION, credentials["AccessKeyId"], credentials["SecretAccessKey"])
        self._session.set_credentials(
            credentials["AccessKeyId"], credentials["SecretAccessKey"], credentials.get("SessionToken")
        )
        self._recorder = recorder
        self._token = credentials.get("SessionToken")
        self._watched: set[int] = set()
        self._watching = threading.Lock()

    def client(self, service: str, region: str | None = None) -> Any:
        client = super().client(service, region)
        with self._watching:
            if id(client) not in self._watched:
                self._watched.add(id(client))
                client._request_signer._credentials.token = self._token
                client.meta.events.register("before-call", self._recorder)
        return client


@pytest.fixture(scope="module")
def house() -> Iterator[Emulator]:
    """An emulator of this module's own, so that nothing else has made what these roles may not touch."""
    with Emulator() as running:
        yield running


@pytest.fixture(scope="module")
def written() -> dict[str, Document]:
    recordings = record_projects([ROOT / contract.directory for contract in STACKS], ENVIRONMENT, CONFIG)
    return documents(recordings, TARGET)


def for_emulator(document: Document) -> str:
    statements = []
    for statement in document["Statement"]:
        kept = {
            test: {key: value for key, value in keys.items() if key not in UNKNOWN_HERE}
            for test, keys in statement.get("Condition", {}).items()
        }
        statements.append({**statement, "Condition": {test: keys for test, keys in kept.items() if keys}})
        if open_ := sorted(NO_RESOURCE_HERE & set(statement["Action"])):
            statements.append({"Effect": "Allow", "Action": open_, "Resource": "*"})
    return json.dumps({**document, "Statement": statements})


@pytest.fixture(scope="module")
def roles(house: Emulator, written: dict[str, Document]) -> dict[str, dict[str, str]]:
    """Make every deploy role and return the credentials of each."""
    root = boto3.Session("test", "test", region_name=REGION)
    iam = root.client("iam", endpoint_url=house.endpoint)
    sts = root.client("sts", endpoint_url=house.endpoint)
    # OIDC is between GitHub and AWS; here the account's root takes the roles.
    trust = {"Effect": "Allow", "Principal": {"AWS": f"arn:aws:iam::{ACCOUNT_ID}:root"}, "Action": "sts:AssumeRole"}
    found = {}
    for contract in STACKS:
        name = TARGET.role(contract.stack)
        iam.create_role(
            RoleName=name, AssumeRolePolicyDocument=json.dumps({"Version": "2012-10-17", "Statement": [trust]})
        )
        iam.put_role_policy(
            RoleName=name, PolicyName="deploy", PolicyDocument=for_emulator(written[f"{name}.policy.json"])
        )
        arn = f"arn:aws:iam::{ACCOUNT_ID}:role/{name}"
        found[contract.stack] = sts.assume_role(RoleArn=arn, RoleSessionName="deploy")["Credentials"]
    return found


def deploy(stack: str, aws: Aws, states: Path, *, own: Path | None = None, destroy: bool = False) -> list[str]:
    """Deploy or destroy a stack as somebody, and return what failed; `own` is where its state is, if apart."""
    program = PROGRAMS[stack]
    config = {**program.config(ENVIRONMENT), **CONFIG}

    def read_stack(name: str) -> dict[str, Any]:
        _, project, environment = name.split("/")
        return State.of(states, project, environment).outputs

    monitor = Monitor(
        project=program.project,
        stack=ENVIRONMENT,
        state=State.of(own or states, program.project, ENVIRONMENT),
        aws=aws,
        tell=lambda _: None,
        read_stack=read_stack,
    )
    try:
        if destroy:
            monitor.destroy()
        else:
            run(program.run, monitor, project=program.project, stack=ENVIRONMENT, config=config, engine=monitor)
            monitor.finish()
    except Exception as error:  # noqa: BLE001 - what the program or the monitor raised
        return [*(failure["message"] for failure in monitor.failures), str(error)]
    return [failure["message"] for failure in monitor.failures]


def allowed(written: dict[str, Document], stack: str) -> set[str]:
    return {a for s in written[f"{TARGET.role(stack)}.policy.json"]["Statement"] for a in s["Action"]}


def test_each_stack_deploys_changes_and_goes_with_its_own_role_and_with_no_other(
    house: Emulator, roles: dict[str, dict[str, str]], written: dict[str, Document], tmp_path: Path
) -> None:
    names = [contract.stack for contract in STACKS]
    for stack in names:
        for other in names:
            if other != stack:
                aws = RoleAws(house, roles[other], Recorder())
                refused = deploy(stack, aws, tmp_path, own=tmp_path / f"{stack}-by-{other}")
                denied = "is not authorized to perform" in "".join(refused)
                assert denied, f"the {other} team may deploy {stack}: {refused}"
        recorder = Recorder()
        own = RoleAws(house, roles[stack], recorder)
        assert deploy(stack, own, tmp_path) == [], f"the {stack} team can't deploy its stack"
        assert deploy(stack, own, tmp_path) == [], f"the {stack} team can't deploy its stack again"
        assert recorder.actions, "nothing was recorded, so nothing is shown"
        assert recorder.actions <= allowed(written, stack) | {"sts:GetCallerIdentity"}
    for stack in reversed(names):
        recorder = Recorder()
        assert deploy(stack, RoleAws(house, roles[stack], recorder), tmp_path, destroy=True) == []
        assert recorder.actions <= allowed(written, stack) | {"sts:GetCallerIdentity"}
