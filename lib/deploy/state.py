"""A stack's state as the engine exports it, read for what a safe deploy needs to know."""

from __future__ import annotations

import copy
import json
import os
from collections.abc import Iterator, Mapping
from collections.abc import Set as AbstractSet
from dataclasses import dataclass
from pathlib import Path
from typing import Any

TABLE = "aws:dynamodb/table:Table"
STACK = "pulumi:pulumi:Stack"
REFERENCE = "pulumi:pulumi:StackReference"
# The engine writes this key into every value it has encrypted.
SECRET = "4dabf18193072939515e22adb298388d"  # noqa: S105 - a public marker

# The input that names a resource in its account and region: two stacks can't both own one.
NAMED_BY = {
    TABLE: "name",
    "aws:iam/role:Role": "name",
    "aws:lambda/function:Function": "name",
    "aws:cloudwatch/logGroup:LogGroup": "name",
    "aws:cloudwatch/metricAlarm:MetricAlarm": "name",
    "aws:cloudwatch/dashboard:Dashboard": "dashboardName",
    "aws:s3/bucket:Bucket": "bucket",
    "aws:sns/topic:Topic": "name",
    "aws:apigateway/restApi:RestApi": "name",
    "aws:sfn/stateMachine:StateMachine": "name",
}
# Those of them whose id is not their name, so that a half-made one can't be imported by it.
_OTHER_ID = {"aws:sns/topic:Topic", "aws:apigateway/restApi:RestApi", "aws:sfn/stateMachine:StateMachine"}


@dataclass(frozen=True)
class State:
    """One exported deployment; empty when the stack was never deployed."""

    exported: Mapping[str, Any]

    @classmethod
    def parse(cls, text: str) -> State:
        """From the text of `pulumi stack export`."""
        return cls(json.loads(text))

    @property
    def _deployment(self) -> Mapping[str, Any]:
        return self.exported.get("deployment") or {}

    @property
    def resources(self) -> list[dict[str, Any]]:
        """Every resource the stack owns or has read."""
        return list(self._deployment.get("resources") or [])

    @property
    def pending(self) -> list[dict[str, Any]]:
        """Operations that were begun and whose end nobody knows."""
        return list(self._deployment.get("pending_operations") or [])

    @property
    def creating(self) -> dict[str, str | None]:
        """Resources whose creation was interrupted, each with the id it has if it came to be and that can be told."""
        begun = [operation["resource"] for operation in self.pending if operation["type"] == "creating"]
        return {resource["urn"]: import_id(resource["type"], resource.get("inputs") or {}) for resource in begun}

    def resolved(self, imports: Mapping[str, str], cleared: AbstractSet[str]) -> State:
        """The state once it is known how interrupted creations ended: those in `imports` came to be, with these ids.

        The engine has options for this, but what it is told to import it forgets in the refresh that follows.
        """
        exported = copy.deepcopy(dict(self.exported))
        deployment = exported["deployment"]
        pending = []
        for operation in self.pending:
            resource = operation["resource"]
            if operation["type"] != "creating" or resource["urn"] not in cleared | imports.keys():
                pending.append(operation)
            elif ident := imports.get(resource["urn"]):
                # What it lacks beside its id, the refresh reads from AWS.
                adopted = {**resource, "id": ident, "outputs": resource.get("inputs") or {}}
                deployment.setdefault("resources", []).append(adopted)
        deployment["pending_operations"] = pending
        return State(exported)

    @property
    def deployed(self) -> bool:
        """Whether there is anything in it."""
        return any(resource["type"] == STACK for resource in self.resources)

    @property
    def owned(self) -> list[dict[str, Any]]:
        """The cloud resources it has created: what a destroy would delete."""
        return [
            resource
            for resource in self.resources
            if resource.get("custom") and not resource["type"].startswith("pulumi:") and not resource.get("external")
        ]

    @property
    def outputs(self) -> dict[str, Any]:
        """The exported values; an encrypted one stays encrypted."""
        for resource in self.resources:
            if resource["type"] == STACK:
                return dict(resource.get("outputs") or {})
        return {}

    def read_outputs(self, stack: str) -> dict[str, Any] | None:
        """What `stack` exported when this one was last deployed, or None if this one never read it."""
        for resource in self.resources:
            if resource["type"] == REFERENCE and resource.get("inputs", {}).get("name") == stack:
                return dict(resource.get("outputs", {}).get("outputs") or {})
        return None

    def places(self) -> Iterator[tuple[str, str, str]]:
        """(ARN, account, region) of what it owns, where an ARN has both."""
        for resource in self.owned:
            arn = str((resource.get("outputs") or {}).get("arn", ""))
            parts = arn.split(":")
            if len(parts) > 5 and parts[3] and parts[4].isdigit():
                yield arn, parts[4], parts[3]

    def names(self) -> dict[tuple[str, str], str]:
        """(type, physical name) of what it owns, each with its URN."""
        found = {}
        for resource in self.owned:
            if name := physical_name(resource["type"], resource.get("inputs") or {}):
                found[resource["type"], name] = resource["urn"]
        return found

    def save(self, path: Path) -> None:
        """Write it where only this user may read it; encrypted values stay encrypted."""
        write_private(path, json.dumps(self.exported, indent=2) + "\n")


def physical_name(kind: str, inputs: Mapping[str, Any]) -> str | None:
    """The name that is unique in its account and region, when the program chooses it."""
    name = inputs.get(NAMED_BY.get(kind, ""))
    return name if isinstance(name, str) and name else None


def import_id(kind: str, inputs: Mapping[str, Any]) -> str | None:
    """The id a resource of these inputs has once it exists, where that can be told beforehand."""
    return None if kind in _OTHER_ID else physical_name(kind, inputs)


def is_secret(value: Any) -> bool:
    """Whether the engine keeps this value encrypted."""
    return value == "[secret]" or (isinstance(value, dict) and SECRET in value)


def masked(outputs: Mapping[str, Any]) -> dict[str, Any]:
    """The outputs as they may be shown."""
    return {key: "[secret]" if is_secret(value) else value for key, value in outputs.items()}


def write_private(path: Path, text: str) -> None:
    """Write a file of mode 0600 in directories of mode 0700."""
    path.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
    with os.fdopen(os.open(path, os.O_WRONLY | os.O_CREAT | os.O_TRUNC, 0o600), "w") as file:
        file.write(text)


def short(urn: str) -> str:
    """`type name` of a URN: dynamodb/table:Table dev-items."""
    kind, _, name = urn.rpartition("::")
    kind = kind.rpartition("::")[2].rpartition("$")[2]
    return f"{kind.removeprefix('aws:')} {name}"
