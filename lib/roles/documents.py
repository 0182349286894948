"""From the plan to documents: what each team's role may do, who may take it, and the bounds of the function's role."""

from __future__ import annotations

import json
import re
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from lib.contracts import STACKS, Contract
from lib.plan.recorder import Recorded, Recording
from lib.roles.grants import ARNS, BOUNDARY, GRANTS, Grant

OIDC_HOST = "token.actions.githubusercontent.com"
_SYMBOL = re.compile(r"\$\{(\w+)\.([^${}]+)\.(\w+)\}")
_PLACE = re.compile(r"\{([\w.]+)\}")
Document = dict[str, Any]


class RolesError(Exception):
    """The plan has something that no policy can be written for; says what."""


@dataclass(frozen=True, kw_only=True)
class Target:
    """Where the stacks are deployed, and from where."""

    environment: str
    account: str
    region: str
    repository: str
    state_bucket: str

    @property
    def boundary(self) -> str:
        """The ARN of the policy that bounds the function's role."""
        return f"arn:aws:iam::{self.account}:policy/{self.environment}-function-boundary"

    def role(self, stack: str) -> str:
        """The name of the role that deploys a stack."""
        return f"{self.environment}-{stack}-deployer"


def documents(recordings: Sequence[Recording], target: Target) -> dict[str, Document]:
    """Return {file name: document}: a trust and a policy for each stack, and the boundary of the function's role."""
    names = _Names(recordings, target)
    found: dict[str, Document] = {}
    for contract, recording in zip(STACKS, recordings, strict=True):
        found[f"{target.role(contract.stack)}.trust.json"] = trust(contract, target)
        found[f"{target.role(contract.stack)}.policy.json"] = policy(contract, recording, names, target)
    found[f"{target.environment}-function-boundary.policy.json"] = boundary(recordings, names)
    return found


def trust(contract: type[Contract], target: Target) -> Document:
    """Let the CI jobs of one stack's environment, in one repository, take the role; nobody else."""
    provider = f"arn:aws:iam::{target.account}:oidc-provider/{OIDC_HOST}"
    subject = f"repo:{target.repository}:environment:{target.environment}-{contract.stack}"
    return _document(
        {
            "Sid": "JobsOfThisStacksEnvironment",
            "Effect": "Allow",
            "Principal": {"Federated": provider},
            "Action": "sts:AssumeRoleWithWebIdentity",
            "Condition": {"StringEquals": {f"{OIDC_HOST}:aud": "sts.amazonaws.com", f"{OIDC_HOST}:sub": subject}},
        }
    )


def policy(contract: type[Contract], recording: Recording, names: _Names, target: Target) -> Document:
    """Return what deploying one stack takes, and its part of the state."""
    granted: dict[tuple[str, tuple[str, ...]], set[str]] = {}
    for resource in recording.real:
        for grant in _grants(resource):
            if grant.needs and not names.value(resource, grant.needs):
                continue
            on = tuple(names.fill(pattern, resource) for pattern in grant.on)
            condition = json.dumps(
                {
                    test: {key: names.fill(value, resource) for key, value in keys.items()}
                    for test, keys in grant.only_if.items()
                }
            )
            granted.setdefault((condition, on), set()).update(grant.actions)
    # The same calls on several resources are one statement.
    alike: dict[tuple[str, tuple[str, ...]], set[str]] = {}
    for (condition, on), actions in granted.items():
        alike.setdefault((condition, tuple(sorted(actions))), set()).update(on)
    statements = [
        _statement(f"Deploy{number}", actions, sorted(resources), json.loads(condition))
        for number, ((condition, actions), resources) in enumerate(alike.items())
    ]
    return _document(*statements, *_state(contract, target))


def boundary(recordings: Sequence[Recording], names: _Names) -> Document:
    """Return the most that the function's role may ever have: what is planned for it, and only inside the function.

    Who can create a role decides whom it trusts. Bound to the function's own calls, a role that trusts somebody else
    gives that somebody nothing.
    """
    functions = [resource for recording in recordings for resource in recording.of("Function")]
    inside = {"ArnEquals": {"lambda:SourceFunctionArn": [names.arn(function) for function in functions]}}
    logs = [
        f"{names.arn(group)}:*"
        for recording in recordings
        for group in recording.of("LogGroup")
        if str(group.inputs["name"]).startswith("/aws/lambda/")
    ]
    statements = [_statement("Logs", ["logs:CreateLogStream", "logs:PutLogEvents"], logs, {})]
    for recording in recordings:
        for number, granted in enumerate(recording.of("RolePolicy")):
            planned = json.loads(names.resolve(granted.inputs["policy"], granted))["Statement"]
            for index, statement in enumerate(planned):
                # Lambda itself, not the code, sends traces.
                condition = {} if all(action.startswith("xray:") for action in statement["Action"]) else inside
                statements.append(
                    _statement(
                        f"Function{number}{index}",
                        statement["Action"],
                        statement["Resource"],
                        {**statement.get("Condition", {}), **condition},
                    )
                )
    return _document(*statements)


def _state(contract: type[Contract], target: Target) -> list[Document]:
    """Read and write the stack's own files of a self-managed backend, and read its upstreams' checkpoints."""
    bucket = f"arn:aws:s3:::{target.state_bucket}"
    own = f"{contract.project}/{target.environment}"
    files = [
        f".pulumi/stacks/{own}.json",
        f".pulumi/stacks/{own}.json.bak",
        f".pulumi/history/{own}/*",
        f".pulumi/backups/{own}/*",
        f".pulumi/locks/organization/{own}/*",
    ]
    read = [
        ".pulumi/meta.yaml",
        *(f".pulumi/stacks/{upstream.project}/{target.environment}.json" for upstream in contract.reads),
    ]
    listed = [".pulumi/stacks/*", f".pulumi/history/{own}/*", f".pulumi/locks/organization/{own}*"]
    return [
        _statement(
            "OwnState", ["s3:DeleteObject", "s3:GetObject", "s3:PutObject"], [f"{bucket}/{name}" for name in files], {}
        ),
        _statement("UpstreamState", ["s3:GetObject"], [f"{bucket}/{name}" for name in read], {}),
        _statement("FindState", ["s3:ListBucket"], [bucket], {"StringLike": {"s3:prefix": listed}}),
    ]


def _grants(resource: Recorded) -> Iterable[Grant]:
    _, module, kind = resource.type.split(":")
    name = f"{module.partition('/')[0]}:{kind}"
    if name not in GRANTS:
        raise RolesError(
            f"{resource.type} {resource.name!r} ({resource.declared_at}): lib/roles/grants.py does not know which "
            f"calls deploying a {name} takes; add them there"
        )
    return GRANTS[name]


class _Names:
    """Turns the plan's symbols into names and ARNs."""

    def __init__(self, recordings: Sequence[Recording], target: Target) -> None:
        self._resources = {(r.kind, r.name): r for recording in recordings for r in recording.real}
        self._fixed = {
            "account": target.account,
            "region": target.region,
            BOUNDARY.strip("{}"): target.boundary,
        }

    def fill(self, pattern: str, resource: Recorded) -> str:
        """Put the target's facts and the resource's inputs where the pattern names them."""

        def place(match: re.Match[str]) -> str:
            key = match[1]
            value = self._fixed.get(key) or self.value(resource, key)
            if not value:
                raise RolesError(f"{resource.type} {resource.name!r} has no {key}, which its policy names")
            return value

        return _PLACE.sub(place, pattern)

    def value(self, resource: Recorded, path: str) -> str:
        """Return an input, resolved; empty when it is not there."""
        found: Any = resource.inputs
        for key in path.split("."):
            found = found.get(key) if isinstance(found, Mapping) else None
        return self.resolve(found, resource) if isinstance(found, str) else ""

    def resolve(self, text: str, resource: Recorded) -> str:
        """Replace symbols by what they will be."""

        def known(match: re.Match[str]) -> str:
            kind, name, output = match.groups()
            source = self._resources[kind, name]
            if output == "arn":
                return self.arn(source)
            if output == "id" and kind == "RestApi":
                return "*"  # AWS's choice
            if output in source.inputs:
                return self.resolve(str(source.inputs[output]), source)
            raise RolesError(f"{resource.type} {resource.name!r} uses {match[0]}, whose value no policy can name")

        return _SYMBOL.sub(known, text)

    def arn(self, resource: Recorded) -> str:
        """Return the ARN that a resource will have."""
        _, module, kind = resource.type.split(":")
        name = f"{module.partition('/')[0]}:{kind}"
        if name not in ARNS:
            raise RolesError(f"lib/roles/grants.py does not know the ARN of a {name}; add it there")
        return self.fill(ARNS[name], resource)


def _statement(
    sid: str, actions: Iterable[str], resources: Sequence[str], conditions: Mapping[str, Mapping[str, Any]]
) -> Document:
    statement: Document = {
        "Sid": sid,
        "Effect": "Allow",
        "Action": sorted(actions),
        "Resource": list(resources),
    }
    if conditions:
        statement["Condition"] = dict(conditions)
    return statement


def _document(*statements: Document) -> Document:
    return {"Version": "2012-10-17", "Statement": list(statements)}
