"""Runs programs against a monitor that creates nothing and records everything.

A computed output gets a symbol as its value, `${Table.items-table.arn}`: in the inputs of other resources it says where
a value comes from. A stack reference is answered with what the producing program really exported.
"""

from __future__ import annotations

import functools
import importlib
import logging
import typing
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import pulumi
from google.protobuf import empty_pb2
from pulumi.runtime import rpc
from pulumi.runtime.mocks import MockEngine, MockMonitor, MockResourceArgs, Mocks
from pulumi.runtime.proto import engine_pb2, resource_pb2
from pulumi.runtime.sync_await import _ensure_event_loop, _sync_await

from lib import program

STACK = "pulumi:pulumi:Stack"
STACK_REFERENCE = "pulumi:pulumi:StackReference"
ACCOUNT = "123456789012"


class Secret(str):
    """What is recorded in a secret value's place."""

    __slots__ = ()


SECRET = Secret("[secret]")


class RecordingError(Exception):
    """The program is wrong in a way that Pulumi itself would let pass."""


@dataclass(frozen=True, kw_only=True)
class Recorded:
    """One registered resource, with plain values; `sources` names the resources that each input depends on."""

    urn: str
    type: str
    name: str
    parent: str
    custom: bool
    inputs: Mapping[str, Any]
    sources: Mapping[str, tuple[str, ...]]
    depends_on: tuple[str, ...]
    protect: bool
    declared_at: str

    @property
    def kind(self) -> str:
        """The type's last word: Table, RestApi, MetricAlarm."""
        return self.type.rpartition(":")[2]


@dataclass(kw_only=True)
class Recording:
    """All that one program did: what it read of other stacks, its resources, its exports, what it warned of.

    Secret values are recorded as SECRET.
    """

    project: str
    stack: str
    configured: dict[str, str] = field(default_factory=dict)
    upstream: dict[str, Mapping[str, Any]] = field(default_factory=dict)
    resources: list[Recorded] = field(default_factory=list)
    exports: dict[str, Any] = field(default_factory=dict)
    warnings: list[str] = field(default_factory=list)

    @property
    def real(self) -> list[Recorded]:
        """The resources that a provider would create: no components, no stack references."""
        return [resource for resource in self.resources if resource.custom and resource.type != STACK_REFERENCE]

    def of(self, kind: str) -> list[Recorded]:
        """The resources of one kind: `of("Table")`."""
        return [resource for resource in self.real if resource.kind == kind]

    def one(self, kind: str) -> Recorded:
        """Return the only resource of a kind; none or several is an error that lists what there is."""
        found = self.of(kind)
        if len(found) != 1:
            kinds = sorted({resource.kind for resource in self.real})
            raise LookupError(f"{self.project} has {len(found)} resources of kind {kind}; its kinds are {kinds}")
        return found[0]


@functools.cache
def resource_class(token: str) -> type[pulumi.Resource] | None:
    """Return the SDK's class for a type token of pulumi-aws, None for other packages."""
    importlib.import_module("pulumi_aws")
    package, module, _ = token.split(":")
    found = rpc.get_resource_module(package, module, "")
    info = getattr(found, "mod_info", None)
    if info is None or token not in info["classes"]:
        return None
    return typing.cast(type[pulumi.Resource], getattr(importlib.import_module(info["fqn"]), info["classes"][token]))


@functools.cache
def string_outputs(token: str) -> tuple[str, ...]:
    """Return the wire names of the type's outputs that are strings."""
    cls = resource_class(token)
    names = []
    for prop in vars(cls).values() if cls else ():
        if isinstance(prop, property) and prop.fget is not None:
            # pulumi.getter keeps the wire name on the function; an annotation like Output[str] is kept as written.
            wire = getattr(prop.fget, "_pulumi_name", prop.fget.__name__)
            annotation = str(prop.fget.__annotations__.get("return", ""))
            if "str]" in annotation and "Mapping" not in annotation and "Sequence" not in annotation:
                names.append(wire)
    return tuple(names)


class _Outputs(Mocks):
    """What a provider would answer: the inputs, and a symbol for each computed string."""

    def __init__(self, region: str) -> None:
        self._region = region

    def new_resource(self, args: MockResourceArgs) -> tuple[str | None, dict[str, Any]]:
        if not args.custom:
            return None, dict(args.inputs)
        symbol = f"{args.typ.rpartition(':')[2]}.{args.name}"
        outputs = {name: f"${{{symbol}.{name}}}" for name in string_outputs(args.typ)}
        return f"${{{symbol}.id}}", {**outputs, **{k: v for k, v in args.inputs.items() if v is not None}}

    def call(self, args: Any) -> dict[str, Any]:  # type: ignore[override]  # the mock monitor takes both
        return _invoke(args.token, args.args, self._region)


def _invoke(token: str, args: Mapping[str, Any], region: str) -> dict[str, Any]:
    """Answer the few data sources that the programs use."""
    name = token.rpartition(":")[2]
    answers: dict[str, dict[str, Any]] = {
        "getRegion": {"id": region, "name": region, "region": region},
        "getPartition": {"id": "aws", "partition": "aws", "dnsSuffix": "amazonaws.com"},
        "getCallerIdentity": {
            "id": ACCOUNT,
            "accountId": ACCOUNT,
            "arn": f"arn:aws:iam::{ACCOUNT}:root",
            "userId": "X",
        },
        "getAvailabilityZones": {
            "id": region,
            "names": [f"{region}{letter}" for letter in "abc"],
            "zoneIds": [],
            "groupNames": [],
        },
        "getPrefixList": {"id": "pl-0123456789", "name": str(args.get("name", "")), "cidrBlocks": []},
    }
    if name not in answers:
        raise RecordingError(f"the program asks the data source {token}, which the plan can't answer yet")
    return answers[name]


class _Recorder(MockMonitor):
    def __init__(self, recording: Recording, references: Mapping[str, Mapping[str, Any]], region: str) -> None:
        super().__init__(_Outputs(region))
        self._recording = recording
        self._references = references

    def make_urn(self, parent: str, type_: str, name: str) -> str:
        """Return the URN as the real engine makes it; the mock's own names the parent's type alone."""
        above = parent.split("::")[2] if parent else STACK
        qualified = type_ if above == STACK else f"{above}${type_}"
        return f"urn:pulumi:{self._recording.stack}::{self._recording.project}::{qualified}::{name}"

    def RegisterResource(self, request: Any) -> Any:  # noqa: N802 - the monitor's protocol
        urn = self.make_urn(request.parent, request.type, request.name)
        if request.type == STACK:
            return resource_pb2.RegisterResourceResponse(urn=urn)
        _ensure_event_loop()  # type: ignore[no-untyped-call]
        given = rpc.deserialize_properties(request.object, keep_unknowns=True)
        inputs = plain(given)
        for key, value in inputs.items():
            _check(f"{request.type} {request.name!r}: input {key}", value)
        if any(urn == resource.urn for resource in self._recording.resources):
            raise RecordingError(f"two resources have the URN {urn}")
        position = request.sourcePosition
        self._recording.resources.append(
            Recorded(
                urn=urn,
                type=request.type,
                name=request.name,
                parent=request.parent,
                custom=bool(request.custom),
                inputs=inputs,
                sources={
                    name: tuple(sorted(dependencies.urns))
                    for name, dependencies in sorted(request.propertyDependencies.items())
                    if dependencies.urns
                },
                depends_on=tuple(sorted(request.dependencies)),
                protect=bool(request.protect),
                declared_at=_relative(position.uri, position.line),
            )
        )
        id_, state = self.mocks.new_resource(
            MockResourceArgs(request.type, request.name, given, request.provider, request.importId, request.custom)
        )
        return resource_pb2.RegisterResourceResponse(
            urn=urn, id=id_ or "", object=_sync_await(rpc.serialize_properties(state, {}))
        )

    def ReadResource(self, request: Any) -> Any:  # noqa: N802
        if request.type != STACK_REFERENCE:
            raise RecordingError(
                f"the program reads the existing {request.type} {request.id}; the plan has no such thing"
            )
        _ensure_event_loop()  # type: ignore[no-untyped-call]
        urn = self.make_urn(request.parent, request.type, request.name)
        outputs = dict(self._references.get(request.id, {}))
        self._recording.upstream[request.id] = outputs
        self._recording.resources.append(
            Recorded(
                urn=urn,
                type=request.type,
                name=request.id,
                parent=request.parent,
                custom=True,
                inputs={"name": request.id},
                sources={},
                depends_on=(),
                protect=False,
                declared_at=_relative(request.sourcePosition.uri, request.sourcePosition.line),
            )
        )
        # As the engine answers: one secret in them makes the outputs secret as a whole.
        secret = [key for key, value in outputs.items() if isinstance(value, Secret)]
        answered = {key: _as_secret(value) if key in secret else value for key, value in outputs.items()}
        state = {"name": request.id, "outputs": answered, "secretOutputNames": secret}
        return resource_pb2.ReadResourceResponse(urn=urn, properties=_sync_await(rpc.serialize_properties(state, {})))

    def RegisterResourceOutputs(self, request: Any) -> Any:  # noqa: N802
        if request.urn.split("::")[2] == STACK:
            exports = rpc.deserialize_properties(request.outputs, keep_unknowns=True)
            for key, value in exports.items():
                _check(f"the export {key!r}", plain(value))
            self._recording.exports.update(plain(exports))
        return empty_pb2.Empty()


class _Engine(MockEngine):
    def __init__(self, recording: Recording) -> None:
        super().__init__(logging.getLogger(__name__))
        self._recording = recording

    def Log(self, request: Any) -> None:  # noqa: N802
        if request.severity == engine_pb2.WARNING:
            self._recording.warnings.append(request.message)


def record(
    code: Callable[[], None],
    *,
    project: str = "test",
    stack: str = "dev",
    config: Mapping[str, str] | None = None,
    references: Mapping[str, Mapping[str, Any]] | None = None,
    into: Recording | None = None,
) -> Recording:
    """Run `code` as a program and return what it registered; raises what it raised.

    `into` is filled as the program runs, and so tells what one that failed had registered.
    """
    recording = into or Recording(project=project, stack=stack)
    program.run(
        code,
        _Recorder(recording, references or {}, (config or {}).get("aws:region", "us-east-1")),
        engine=_Engine(recording),
        project=project,
        stack=stack,
        config=config or {},
        dry_run=True,  # an output that nobody computes is then unknown, and not a silent None
    )
    return recording


def record_projects(
    directories: Sequence[Path], stack: str, config: Mapping[str, str] | None = None
) -> list[Recording]:
    """Run the projects in this order, each reading what the earlier ones exported; `config` is laid over their own."""
    references: dict[str, Mapping[str, Any]] = {}
    recordings = []
    for directory in directories:
        found = program.Program(directory)
        recording = record(
            found.run,
            project=found.project,
            stack=stack,
            config={**found.config(stack), **(config or {})},
            references=references,
        )
        recording.configured = {
            **{key: f"{value} ({_short(file)})" for key, (value, file) in found.configured(stack).items()},
            **{key: f"{value} (given)" for key, value in (config or {}).items()},
        }
        references[f"{program.ORGANIZATION}/{found.project}/{stack}"] = recording.exports
        recordings.append(recording)
    return recordings


def _check(where: str, value: Any) -> None:
    for path, leaf in walk(value):
        place = f"{where}{'.' if path else ''}{path}"
        if isinstance(leaf, pulumi.output.Unknown):
            raise RecordingError(f"{place} comes from an output that the provider does not compute, or no string")
        if isinstance(leaf, str) and "Calling __str__ on an Output" in leaf:
            raise RecordingError(f"{place} has an Output formatted into a string; use Output.concat")


def plain(value: Any) -> Any:
    """Return a deserialised value without wrappers: secrets masked, archives as {path: text}."""
    if rpc.is_rpc_secret(value):
        return SECRET
    if isinstance(value, pulumi.AssetArchive):
        value = value.assets
    if isinstance(value, pulumi.StringAsset):
        value = value.text
    if isinstance(value, dict):
        # Sorted, since protobuf keeps no order and two plans of one program have to be equal to the letter.
        value = {key: plain(item) for key, item in sorted(value.items()) if item is not None}
    elif isinstance(value, list):
        value = [plain(item) for item in value]
    elif isinstance(value, float) and value.is_integer():
        value = int(value)  # protobuf has only floats; a whole one was an integer in the program
    return value


def walk(value: Any, path: str = "") -> Iterator[tuple[str, Any]]:
    """Yield every leaf of a value with its path."""
    if isinstance(value, Mapping):
        for key, item in value.items():
            yield from walk(item, f"{path}.{key}" if path else str(key))
    elif isinstance(value, list):
        for index, item in enumerate(value):
            yield from walk(item, f"{path}[{index}]")
    else:
        yield path, value


def _as_secret(value: str) -> dict[str, str]:
    return {rpc._special_sig_key: rpc._special_secret_sig, "value": str(value)}  # noqa: SLF001 - the wire's own marks


def _relative(uri: str, line: int) -> str:
    path = uri.removeprefix("file://")
    return f"{_short(Path(path))}:{line}" if path else ""


def _short(path: Path) -> str:
    return str(path.relative_to(program.ROOT)) if path.is_relative_to(program.ROOT) else path.name
