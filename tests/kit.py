"""What tests of programs need: every shape of the system, recorded whole, and the differences between two of them.

`deployed(shape)` is what the real programs register, run as Pulumi runs them; `recorded(code)` is what any function
does as a program. Values are plain: a test asserts on what was sent, after the run has drained, and needs no `apply`.
"""

from __future__ import annotations

import functools
import hashlib
import json
from collections.abc import Callable, Iterable, Mapping
from pathlib import Path
from typing import Any

import yaml

from lib import program
from lib.contracts import STACKS
from lib.plan import recorder
from lib.plan.recorder import Recorded, Recording

ROOT = program.ROOT
STACK_DIRECTORIES = tuple(ROOT / contract.directory for contract in STACKS)
# The same system twice: the four projects joined by stack references, and TapStack in one program.
SHAPES: Mapping[str, tuple[Path, ...]] = {"stacks": STACK_DIRECTORIES, "tap": (ROOT,)}


def deployed(shape: str, stack: str = "spec", **config: str) -> Recording:
    """Record every program of a shape as one system.

    The stack `spec` has no committed configuration, so it shows the specification's defaults; `config` is laid over
    what is committed, its keys in the `tap` namespace: `lambdaTimeout="7"`.
    """
    return _deployed(shape, stack, tuple(config.items()))


@functools.cache
def _deployed(shape: str, stack: str, config: tuple[tuple[str, str], ...]) -> Recording:
    values = {f"tap:{key}": value for key, value in config}
    whole = Recording(project=shape, stack=stack)
    for recording in recorder.record_projects(SHAPES[shape], stack, values):
        whole.resources += recording.resources
        whole.exports |= recording.exports
        whole.warnings += recording.warnings
    return whole


def recorded(code: Callable[[], object], **config: str) -> Recording:
    """Record a function as a program; `config` keys are in the `tap` namespace."""

    def run() -> None:
        code()

    return recorder.record(run, config={f"tap:{key}": value for key, value in config.items()})


def attempt(directory: Path, config: Mapping[str, str], stack: str = "spec") -> tuple[Recording, Exception | None]:
    """Run one project with a full configuration and return what it registered and the error that ended it."""
    found = program.Program(directory)
    recording = Recording(project=found.project, stack=stack)
    try:
        recorder.record(found.run, project=found.project, stack=stack, config=config, into=recording)
    except Exception as error:  # noqa: BLE001 - whatever it is, the test looks at it
        return recording, error
    return recording, None


def identities(resources: Iterable[Recorded]) -> set[tuple[str, str]]:
    """Return the (kind, name) of each resource."""
    return {(resource.kind, resource.name) for resource in resources}


def dependencies(recording: Recording, resource: Recorded) -> set[tuple[str, str]]:
    """Return the (kind, name) of all that is created before `resource`."""
    return {(other.kind, other.name) for other in recording.real if other.urn in resource.depends_on}


def policy(text: str) -> list[dict[str, Any]]:
    """Return the statements of an IAM document."""
    document = json.loads(text)
    assert document["Version"] == "2012-10-17", "an older policy language has no variables and other rules"
    statements: list[dict[str, Any]] = document["Statement"]
    return statements


def differences(first: Recording, second: Recording) -> list[str]:
    """Return one line for each difference between two systems' real resources, by kind and name; empty when equal."""
    left, right = (
        {(resource.kind, resource.name): _facts(recording, resource) for resource in recording.real}
        for recording in (first, second)
    )
    lines = [f"{kind} {name}: only in {first.project}" for kind, name in sorted(left.keys() - right.keys())]
    lines += [f"{kind} {name}: only in {second.project}" for kind, name in sorted(right.keys() - left.keys())]
    for kind, name in sorted(left.keys() & right.keys()):
        one, other = left[kind, name], right[kind, name]
        lines += [
            f"{kind} {name}: {path} is {one.get(path, 'absent')!r} in {first.project}, "
            f"{other.get(path, 'absent')!r} in {second.project}"
            for path in sorted(one.keys() | other.keys())
            if one.get(path, "absent") != other.get(path, "absent")
        ]
    return lines


def _facts(recording: Recording, resource: Recorded) -> dict[str, Any]:
    # Stack references order the programs where TapStack has dependencies of its own; inside a stack both are equal.
    family = {other.urn for other in recording.real if other.parent == resource.parent}
    before = sorted(name for name in dependencies(recording, resource) if _urn(recording, name) in family)
    inputs = dict(recorder.walk(resource.inputs))
    # A file's text as what tells it from another: the line stays readable.
    files = [path for path in inputs if path.startswith("code.")]
    code = {path: f"sha256 {hashlib.sha256(inputs[path].encode()).hexdigest()}" for path in files}
    return {
        **inputs,
        **code,
        "protect": resource.protect,
        "type": resource.type,
        "depends on": before,
    }


def _urn(recording: Recording, identity: tuple[str, str]) -> str:
    return next(resource.urn for resource in recording.real if (resource.kind, resource.name) == identity)


def project_file(directory: Path) -> dict[str, Any]:
    """Return a project's Pulumi.yaml."""
    found: dict[str, Any] = yaml.safe_load((directory / "Pulumi.yaml").read_text(encoding="utf-8"))
    return found
