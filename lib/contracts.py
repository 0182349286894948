"""What each stack gives the next: one dataclass per producing stack, its fields the exported keys.

The producer exports through its class and the consumer reads through the same class, so a key can't be spelt two ways.
Who reads whom, and in which order stacks are deployed, follows from these classes and is stated nowhere else.
"""

from __future__ import annotations

import json
import os
from collections.abc import Mapping
from dataclasses import dataclass, fields
from graphlib import TopologicalSorter
from pathlib import Path
from typing import TYPE_CHECKING, Any, ClassVar, Self

import pulumi
from pulumi.output import UNKNOWN

ROOT = Path(__file__).resolve().parents[1]
TAP_PROJECT = "tap"
PLANNED_OUTPUTS = "TAP_PLANNED_OUTPUTS"
"""Environment variable in which a preview of many stacks gives what the stacks before this one will export."""


class ContractError(pulumi.RunError):
    """An upstream stack does not give what this one needs; says which key, what is there, and what to run."""


class Contract:
    """The base of the contracts: `export` in the stack that produces, `read` in a stack that consumes."""

    stack: ClassVar[str]
    project: ClassVar[str]
    directory: ClassVar[str]
    reads: ClassVar[tuple[type[Contract], ...]]

    _reference: pulumi.StackReference | _Planned

    def __init_subclass__(cls, *, stack: str, reads: tuple[type[Contract], ...] = ()) -> None:
        cls.stack = stack
        cls.project = f"tap-{stack}"
        cls.directory = f"stacks/{stack}"
        cls.reads = reads

    @classmethod
    def keys(cls) -> tuple[str, ...]:
        """The exported keys."""
        return tuple(field.name for field in fields(cls))  # type: ignore[arg-type]  # every subclass is a dataclass

    def values(self) -> dict[str, pulumi.Input[str]]:
        """Return what is exported, by key."""
        return {key: getattr(self, key) for key in self.keys()}

    def export(self) -> None:
        """Export every field as a stack output."""
        for key, value in self.values().items():
            pulumi.export(key, value)

    @classmethod
    def read(cls) -> Self:
        """Refer to this environment's producing stack; a key is read, and has to be there, when it is first used."""
        upstream = cls.__new__(cls)
        name = f"{pulumi.get_organization()}/{cls.project}/{pulumi.get_stack()}"
        object.__setattr__(upstream, "_reference", _planned(name) or pulumi.StackReference(name))
        return upstream

    if not TYPE_CHECKING:  # a type checker would take any name for a key

        def __getattr__(self, key: str) -> pulumi.Output[str]:
            # Reached only for a field that was never set, that is one of an object that `read` made.
            if key not in self.keys():
                raise AttributeError(f"{type(self).__name__} has no {key!r}; it has {', '.join(self.keys())}")
            value = _checked(self._reference, type(self), key)
            object.__setattr__(self, key, value)
            return value


class _Planned:
    """Stands for the reference to a stack that is itself only being previewed; a null is a value not known yet."""

    def __init__(self, values: Mapping[str, str | None]) -> None:
        self._values = values
        self.outputs = pulumi.Output.from_input({key: key for key in values})

    def get_output(self, key: str) -> pulumi.Output[Any]:
        value = self._values.get(key, "")
        return pulumi.Output.from_input(UNKNOWN if value is None else value)


def _planned(name: str) -> _Planned | None:
    given = json.loads(os.environ.get(PLANNED_OUTPUTS, "{}")) if pulumi.runtime.is_dry_run() else {}
    return _Planned(given[name]) if name in given else None


def _checked(reference: pulumi.StackReference | _Planned, producer: type[Contract], key: str) -> pulumi.Output[str]:
    environment = pulumi.get_stack()
    reader = pulumi.get_project()

    def fail(value: Any, present: Mapping[str, Any]) -> str:
        # What kind of thing it is, never the thing: it may be a secret.
        kind = "an empty string" if value == "" else f"of type {type(value).__name__}"
        wrong = f"is {kind} there, not a string with something in it" if key in present else "is not among its outputs"
        raise ContractError(
            f"{reader}/{environment} needs `{key}` of {producer.project}/{environment}; it {wrong}.\n"
            f"  There is: {', '.join(sorted(present)) or 'nothing; it is not deployed'}.\n"
            f"  Deploy it first: nox -s deploy -- {producer.stack} --env {environment}"
        )

    def check(value: Any) -> pulumi.Input[str]:
        if isinstance(value, str) and value:
            return value
        return reference.outputs.apply(lambda present: fail(value, present))

    # `outputs` is secret as a whole as soon as one output is; asked key by key, only this one's own secretness counts.
    return reference.get_output(key).apply(check)


@dataclass(frozen=True, kw_only=True)
class DataOutputs(Contract, stack="data"):
    """The table."""

    dynamodb_table_name: pulumi.Input[str]
    dynamodb_table_arn: pulumi.Input[str]


@dataclass(frozen=True, kw_only=True)
class ComputeOutputs(Contract, stack="compute", reads=(DataOutputs,)):
    """The function, its role and its log group."""

    lambda_function_name: pulumi.Input[str]
    lambda_function_arn: pulumi.Input[str]
    lambda_invoke_arn: pulumi.Input[str]
    lambda_role_arn: pulumi.Input[str]
    lambda_log_group_name: pulumi.Input[str]


@dataclass(frozen=True, kw_only=True)
class ApiOutputs(Contract, stack="api", reads=(ComputeOutputs,)):
    """The REST API; its URL ends with the stage."""

    api_rest_id: pulumi.Input[str]
    api_stage: pulumi.Input[str]
    api_url: pulumi.Input[str]


@dataclass(frozen=True, kw_only=True)
class MonitoringOutputs(Contract, stack="monitoring", reads=(ComputeOutputs,)):
    """The topic that the alarms notify."""

    alarm_topic_arn: pulumi.Input[str]


# Every stack after the stacks it reads.
STACKS: tuple[type[Contract], ...] = tuple(
    TopologicalSorter({contract: contract.reads for contract in Contract.__subclasses__()}).static_order()
)
