"""The roles that deploy: each allowed its own stack and nothing else, and none a way to more.

That the calls of a real deploy are allowed, and another team's refused, is shown in tests/local/test_roles.py.
"""

from __future__ import annotations

import dataclasses
import itertools
import json
import subprocess
import sys
from collections.abc import Iterator, Mapping
from fnmatch import fnmatchcase
from pathlib import Path
from typing import Any

import pytest
from pulumi_aws import ecr, sqs

from lib.contracts import STACKS
from lib.plan import recorder
from lib.plan.recorder import record_projects
from lib.roles import __main__ as cli
from lib.roles.documents import Document, RolesError, Target, documents
from policy.model import listed
from tests import kit

STACK_NAMES = [contract.stack for contract in STACKS]
TARGET = Target(
    environment="prod",
    account="123456789012",
    region="us-east-1",
    repository="acme/tap",
    state_bucket="acme-state",
)
OPTIONS = {
    "tap:kmsKeyArn": "arn:aws:kms:us-east-1:123456789012:key/00000000-0000-0000-0000-000000000000",
    "tap:alarmEmails": '["team@example.com"]',
    "tap:lambdaReservedConcurrency": "10",
    "tap:authorization": "API_KEY",
    "tap:waf": "true",
    "tap:detailedMetrics": "true",
    "tap:domainName": "api.example.com",
    "tap:certificateArn": "arn:aws:acm:us-east-1:123456789012:certificate/00000000-0000-0000-0000-000000000000",
}
READS = ("Get", "List", "Describe")


@pytest.fixture(scope="module", params=["as committed", "with every option"])
def written(request: pytest.FixtureRequest) -> dict[str, Document]:
    config = OPTIONS if request.param == "with every option" else None
    return documents(record_projects(kit.STACK_DIRECTORIES, "prod", config), TARGET)


def policy(written: Mapping[str, Document], stack: str) -> list[dict[str, Any]]:
    statements: list[dict[str, Any]] = written[f"prod-{stack}-deployer.policy.json"]["Statement"]
    return statements


def permissions(statements: list[dict[str, Any]]) -> Iterator[tuple[str, str, dict[str, Any]]]:
    """Yield (action, resource, conditions)."""
    for statement in statements:
        assert statement["Effect"] == "Allow"
        for action, resource in itertools.product(statement["Action"], statement["Resource"]):
            yield action, resource, statement.get("Condition", {})


def writes(action: str) -> bool:
    service, _, call = action.partition(":")
    return not call.startswith("GET" if service == "apigateway" else READS)


def test_every_stack_gets_a_trust_and_a_policy_and_the_function_a_boundary(written: dict[str, Document]) -> None:
    each = {f"prod-{stack}-deployer.{kind}.json" for stack in STACK_NAMES for kind in ("trust", "policy")}
    assert set(written) == each | {"prod-function-boundary.policy.json"}


def linted(document: Document) -> set[str]:
    """Return the kinds of findings that the policy linter has."""
    linter = str(Path(sys.executable).with_name("parliament"))
    done = subprocess.run(
        [linter, "--json"],
        input=json.dumps(document),
        capture_output=True,
        text=True,
        check=False,
        env={"PYTHONWARNINGS": "ignore"},
    )
    assert not done.stderr, done.stderr
    return {json.loads(line)["issue"] for line in done.stdout.splitlines()}


def test_a_policy_linter_has_nothing_against_them(written: dict[str, Document]) -> None:
    # A trust has principals, which the linter does not take.
    found = {name: linted(document) for name, document in written.items() if name.endswith("policy.json")}
    # An identity policy may name the function that a call comes from, whatever the service:
    # https://docs.aws.amazon.com/lambda/latest/dg/permissions-source-function-arn.html
    assert found.pop("prod-function-boundary.policy.json") == {"UNKNOWN_CONDITION_FOR_ACTION"}
    # iam:PermissionsBoundary is compared as a string:
    # https://docs.aws.amazon.com/IAM/latest/UserGuide/reference_policies_iam-condition-keys.html
    assert found.pop("prod-compute-deployer.policy.json") == {"MISMATCHED_TYPE_BUT_USABLE"}
    assert len(found) == len(STACKS) - 1
    assert not any(found.values()), found


def test_the_linter_notices_an_action_that_does_not_exist() -> None:
    statement = {"Effect": "Allow", "Action": ["dynamodb:DeleteTabel"], "Resource": ["*"]}
    assert linted({"Version": "2012-10-17", "Statement": [statement]}) == {"UNKNOWN_ACTION"}


def test_each_fits_into_one_managed_policy(written: dict[str, Document]) -> None:
    for name, document in written.items():
        assert len(json.dumps(document, separators=(",", ":"))) <= 6144, f"{name} is larger than IAM takes"


@pytest.mark.parametrize("stack", STACK_NAMES)
def test_only_jobs_of_the_stacks_own_environment_may_take_its_role(written: dict[str, Document], stack: str) -> None:
    (statement,) = written[f"prod-{stack}-deployer.trust.json"]["Statement"]
    host = "token.actions.githubusercontent.com"
    assert statement["Principal"] == {"Federated": f"arn:aws:iam::123456789012:oidc-provider/{host}"}
    assert statement["Action"] == "sts:AssumeRoleWithWebIdentity"
    assert statement["Condition"] == {
        "StringEquals": {f"{host}:aud": "sts.amazonaws.com", f"{host}:sub": f"repo:acme/tap:environment:prod-{stack}"}
    }, "a pattern or a missing audience lets other repositories or jobs in"


@pytest.mark.parametrize("stack", STACK_NAMES)
def test_no_action_is_a_wildcard_and_few_resources_are(written: dict[str, Document], stack: str) -> None:
    without_resource = {
        "logs:CreateLogDelivery",
        "logs:DeleteLogDelivery",
        "logs:DescribeLogGroups",
        "logs:DescribeResourcePolicies",
        "logs:PutResourcePolicy",
        "sns:GetSubscriptionAttributes",
        "sns:SetSubscriptionAttributes",
        "sns:Unsubscribe",
    }
    for action, resource, _ in permissions(policy(written, stack)):
        assert "*" not in action
        assert resource != "*" or action in without_resource, f"{action} on every resource"


DATA = [
    "dynamodb:GetItem",
    "dynamodb:PutItem",
    "dynamodb:UpdateItem",
    "dynamodb:DeleteItem",
    "dynamodb:Query",
    "dynamodb:Scan",
    "dynamodb:BatchGetItem",
    "dynamodb:BatchWriteItem",
    "dynamodb:PartiQLSelect",
    "dynamodb:ExportTableToPointInTime",
    "dynamodb:RestoreTableToPointInTime",
    "lambda:InvokeFunction",
    "logs:GetLogEvents",
    "logs:FilterLogEvents",
    "logs:StartQuery",
    "sns:Publish",
    "execute-api:Invoke",
    "s3:GetObject",
]


@pytest.mark.parametrize("stack", STACK_NAMES)
def test_who_deploys_reads_and_writes_no_data(written: dict[str, Document], stack: str) -> None:
    for action, resource, _ in permissions(policy(written, stack)):
        state = resource.startswith("arn:aws:s3:::acme-state/.pulumi/")
        assert action not in DATA or state, f"{action} on {resource} is data, not deploying"


# What turns some rights into more: https://github.com/RhinoSecurityLabs/AWS-IAM-Privilege-Escalation
ESCALATION = [
    "iam:AddUserToGroup",
    "iam:AttachGroupPolicy",
    "iam:AttachUserPolicy",
    "iam:CreateAccessKey",
    "iam:CreateLoginProfile",
    "iam:CreatePolicyVersion",
    "iam:DeleteRolePermissionsBoundary",
    "iam:PutGroupPolicy",
    "iam:PutUserPolicy",
    "iam:SetDefaultPolicyVersion",
    "iam:UpdateAssumeRolePolicy",
    "iam:UpdateLoginProfile",
    "lambda:CreateEventSourceMapping",
    "sts:AssumeRole",
]
BOUNDED = [
    "iam:AttachRolePolicy",
    "iam:CreateRole",
    "iam:DeleteRolePolicy",
    "iam:DetachRolePolicy",
    "iam:PutRolePolicy",
]


@pytest.mark.parametrize("stack", STACK_NAMES)
def test_nobody_can_give_themselves_more(written: dict[str, Document], stack: str) -> None:
    for action, resource, condition in permissions(policy(written, stack)):
        assert action not in ESCALATION
        if action.startswith("iam:"):
            assert resource == "arn:aws:iam::123456789012:role/prod-items-lambda-role", (
                "a deploy role may touch no role but the function's, least of all its own"
            )
        if action in BOUNDED:
            bound = condition["StringEquals"]["iam:PermissionsBoundary"]
            assert bound == "arn:aws:iam::123456789012:policy/prod-function-boundary"
        if action == "iam:PassRole":
            assert condition == {"StringEquals": {"iam:PassedToService": "lambda.amazonaws.com"}}
        if action == "iam:AttachRolePolicy":
            assert condition["ArnEquals"]["iam:PolicyARN"].endswith("/AWSLambdaBasicExecutionRole")


@pytest.mark.parametrize(("stack", "other"), list(itertools.permutations(STACK_NAMES, 2)))
def test_no_team_may_write_what_is_anothers(written: dict[str, Document], stack: str, other: str) -> None:
    """Two stacks' writable resources never overlap; the permission on the function is the one thing that is shared."""
    named = {
        name: {(a, r) for a, r, _ in permissions(policy(written, name)) if writes(a) and r != "*"}
        for name in (stack, other)
    }
    mine, theirs = named[stack], {r for _, r in named[other]}
    shared = {(a, r) for (a, r), t in itertools.product(mine, theirs) if fnmatchcase(t, r) or fnmatchcase(r, t)}
    function = "arn:aws:lambda:us-east-1:123456789012:function:prod-items-lambda"
    key = {pair for pair in shared if pair[0].startswith("kms:")}  # through a service alone, see below
    allowed = {
        ("api", "compute"): {("lambda:AddPermission", function), ("lambda:RemovePermission", function)},
        ("compute", "api"): {pair for pair in shared if pair[1] == function},  # it is the compute team's function
    }.get((stack, other), set())
    assert shared - key == allowed


@pytest.mark.parametrize("stack", STACK_NAMES)
def test_a_key_is_used_through_the_service_alone(written: dict[str, Document], stack: str) -> None:
    for action, _, condition in permissions(policy(written, stack)):
        if action.startswith("kms:"):
            assert condition["StringEquals"]["kms:ViaService"].endswith(".us-east-1.amazonaws.com")


@pytest.mark.parametrize("contract", STACKS, ids=STACK_NAMES)
def test_state_is_the_stacks_own_and_its_upstreams_is_read_only(written: dict[str, Document], contract: Any) -> None:
    upstream = {f"tap-{other.stack}" for other in contract.reads}
    for action, resource, _ in permissions(policy(written, contract.stack)):
        if not action.startswith("s3:") or resource == "arn:aws:s3:::acme-state":
            continue
        project = next((f"tap-{name}" for name in STACK_NAMES if f"/tap-{name}/prod" in resource), None)
        if action == "s3:GetObject":
            assert project in {contract.project, *upstream, None}
        else:
            assert project == contract.project, f"{action} on {resource}"
    readable = {r for a, r, _ in permissions(policy(written, contract.stack)) if a == "s3:GetObject"}
    for project in upstream:
        assert f"arn:aws:s3:::acme-state/.pulumi/stacks/{project}/prod.json" in readable


def test_the_boundary_gives_data_to_nobody_but_the_function_itself(written: dict[str, Document]) -> None:
    """The compute team decides whom the role it makes trusts, so a role that trusts the team must be worth nothing."""
    statements = written["prod-function-boundary.policy.json"]["Statement"]
    data = [s for s in statements if any(action.startswith("dynamodb:") for action in s["Action"])]
    assert data
    for statement in data:
        assert statement["Resource"] == ["arn:aws:dynamodb:us-east-1:123456789012:table/prod-items-table"]
        assert statement["Condition"]["ArnEquals"]["lambda:SourceFunctionArn"] == [
            "arn:aws:lambda:us-east-1:123456789012:function:prod-items-lambda"
        ]
    actions = {action for statement in statements for action in listed(statement["Action"])}
    assert not any(action.startswith(("iam:", "sts:", "lambda:")) for action in actions)


def test_the_function_may_do_what_is_planned_within_its_boundary(written: dict[str, Document]) -> None:
    planned = {
        action
        for granted in kit.deployed("stacks", "prod").of("RolePolicy")
        for statement in kit.policy(granted.inputs["policy"])
        for action in statement["Action"]
    }
    allowed = {a for s in written["prod-function-boundary.policy.json"]["Statement"] for a in s["Action"]}
    assert planned | {"logs:CreateLogStream", "logs:PutLogEvents"} == allowed


def test_a_resource_type_nobody_described_is_refused_by_name() -> None:
    recordings = record_projects(kit.STACK_DIRECTORIES, "prod")
    recordings[0].resources += recorder.record(lambda: void(sqs.Queue("q"), ecr.Repository("r"))).resources
    with pytest.raises(RolesError, match=r"sqs/queue:Queue 'q'.*grants.py"):
        documents(recordings, TARGET)


def void(*_: object) -> None:
    pass


def test_another_region_is_named_throughout() -> None:
    recordings = record_projects(kit.STACK_DIRECTORIES, "prod", {"aws:region": "eu-west-1"})
    target = dataclasses.replace(TARGET, region="eu-west-1")
    assert "us-east-1" not in json.dumps(documents(recordings, target))


COMMAND = ["--env", "prod", "--account", "123456789012", "--repository", "acme/tap", "--state-bucket", "acme-state"]


def test_the_command_writes_every_document_and_says_what_is_next(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert cli.main([*COMMAND, "--out", str(tmp_path / "roles")]) == 0
    names = {path.name for path in (tmp_path / "roles").iterdir()}
    assert len(names) == 2 * len(STACKS) + 1
    assert "tap:permissionsBoundaryArn" in capsys.readouterr().out


@pytest.mark.parametrize(
    ("option", "value", "words"),
    [
        ("--account", "12345", "12 digits"),
        ("--repository", "tap", "owner/name"),
        ("--repository", "acme/*", "owner/name"),
        ("--state-bucket", "Not_A_Bucket", "a bucket's name"),
    ],
)
def test_a_wrong_argument_is_refused(
    option: str, value: str, words: str, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    with pytest.raises(SystemExit) as raised:
        cli.main([*COMMAND, "--out", str(tmp_path), option, value])
    assert raised.value.code == 2
    assert words in capsys.readouterr().err


def test_a_wrong_environment_is_one_message_and_no_files(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    out = tmp_path / "roles"
    assert cli.main([*COMMAND, "--out", str(out), "--env", "Not An Environment"]) == 2
    assert capsys.readouterr().err.startswith("roles: ")
    assert not out.exists()
