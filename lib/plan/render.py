"""Recordings as text for people, JSON for machines, and a Mermaid diagram for the README."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Iterator, Mapping, Sequence
from typing import Any

from lib.plan.recorder import STACK_REFERENCE, Recorded, Recording

# Many of these say the same but for one word: people want their number, and --full shows each.
REPETITIVE = {"Method", "Integration", "Response", "Route"}


def text(recordings: Sequence[Recording], *, full: bool = False) -> str:
    """Return the plan for reading, stack by stack; `full` spells out what is otherwise counted."""
    return "\n\n".join("\n".join(_stack_lines(recording, full=full)) for recording in recordings)


def as_json(recordings: Sequence[Recording]) -> list[dict[str, Any]]:
    """Return the plan as JSON-ready data: every resource, every input, and where each input comes from."""
    return [
        {
            "project": recording.project,
            "stack": recording.stack,
            "configured": dict(sorted(recording.configured.items())),
            "reads": sorted(r.name for r in recording.resources if r.type == STACK_REFERENCE),
            "exports": dict(sorted(recording.exports.items())),
            "warnings": recording.warnings,
            "resources": [
                {
                    "urn": resource.urn,
                    "type": resource.type,
                    "name": resource.name,
                    "parent": resource.parent,
                    "declaredAt": resource.declared_at,
                    "protect": resource.protect,
                    "dependsOn": list(resource.depends_on),
                    "inputs": _inputs(resource),
                    "from": {
                        name: origins
                        for name in sorted(resource.sources)
                        if (origins := list(_origins(resource, name, recording)))
                    },
                }
                for resource in sorted(recording.real, key=lambda resource: resource.urn)
            ],
        }
        for recording in recordings
    ]


def mermaid(recordings: Sequence[Recording]) -> str:
    """Return a flow chart: a box per stack, a node per resource or group of like ones, an arrow per use."""
    lines = ["flowchart LR"]
    edges: dict[tuple[str, str], set[str]] = {}
    for recording in recordings:
        lines.append(f'  subgraph {_slug(recording.project)}["{recording.project}"]')
        for kind, group in _by_kind(recording).items():
            label = f"{kind} ({len(group)})" if len(group) > 1 else f"{kind}<br/>{group[0].name}"
            lines.append(f'    {_slug(recording.project, kind)}["{label}"]')
        lines.append("  end")
        kinds = {resource.urn: resource.kind for resource in recording.real}
        for resource in recording.real:
            node = _slug(recording.project, resource.kind)
            for name in resource.sources:
                for source in resource.sources[name]:
                    if kinds.get(source, resource.kind) != resource.kind:
                        edges.setdefault((_slug(recording.project, kinds[source]), node), set())
                for producer, key in _upstream_keys(resource, name, recording):
                    edges.setdefault((_slug(producer), _slug(recording.project)), set()).add(key)
    for source, target in _implied(edges):
        del edges[source, target]
    planned = {recording.project for recording in recordings}
    read = {name.split("/")[1] for recording in recordings for name in recording.upstream}
    lines += [f'  {_slug(project)}["{project}"]' for project in sorted(read - planned)]
    for (source, target), labels in sorted(edges.items()):
        arrow = f'-- "{"<br/>".join(sorted(labels))}" -->' if labels else "-->"
        lines.append(f"  {source} {arrow} {target}")
    return "\n".join(lines)


def _implied(edges: Mapping[tuple[str, str], set[str]]) -> list[tuple[str, str]]:
    """Return the unlabelled edges that a longer way through the graph says already."""
    after: dict[str, set[str]] = {}
    for source, target in edges:
        after.setdefault(source, set()).add(target)

    def reach(node: str, seen: set[str]) -> set[str]:
        for following in after.get(node, set()) - seen:
            seen.add(following)
            reach(following, seen)
        return seen

    return [
        (source, target)
        for (source, target), labels in edges.items()
        if not labels and any(target in reach(other, set()) for other in after[source] - {target})
    ]


def _stack_lines(recording: Recording, *, full: bool) -> Iterator[str]:
    count = len(recording.real)
    yield f"{recording.project}/{recording.stack}: {count} resource{'' if count == 1 else 's'}"
    for warning in recording.warnings:
        yield f"  ! {warning}"
    for key, value in sorted(recording.configured.items()):
        yield f"  {key} = {value}"
    for kind, group in _by_kind(recording).items():
        if kind in REPETITIVE and len(group) > 1 and not full:
            yield f"  {kind} ({len(group)})  {', '.join(_short(resource) for resource in group)}"
            continue
        for resource in group:
            yield f"  {kind}  {resource.name}{'  (protected)' if resource.protect else ''}  {resource.declared_at}"
            for name, value in _inputs(resource).items():
                origins = ", ".join(_origins(resource, name, recording))
                yield f"      {name:<28} {_value(value)}{f'   <- {origins}' if origins else ''}"
    if recording.exports:
        yield "  exports"
        for key, value in sorted(recording.exports.items()):
            yield f"      {key:<28} {_value(value)}"


def _by_kind(recording: Recording) -> dict[str, list[Recorded]]:
    groups: dict[str, list[Recorded]] = {}
    for resource in sorted(recording.real, key=lambda resource: (resource.type, resource.urn)):
        groups.setdefault(resource.kind, []).append(resource)
    return groups


def _short(resource: Recorded) -> str:
    prefix = resource.parent.rpartition("::")[2]
    return resource.name.removeprefix(prefix).lstrip("-")


def _inputs(resource: Recorded) -> dict[str, Any]:
    """Return the inputs in a stable order, code as what identifies it instead of its text."""
    inputs = dict(sorted(resource.inputs.items()))
    if isinstance(inputs.get("code"), Mapping):
        inputs["code"] = _code(inputs["code"])
    return inputs


def _code(files: Mapping[str, str]) -> dict[str, Any]:
    digest = hashlib.sha256(json.dumps(files, sort_keys=True).encode()).hexdigest()
    return {"bytes": sum(len(text.encode()) for text in files.values()), "files": sorted(files), "sha256": digest}


def _origins(resource: Recorded, name: str, recording: Recording) -> Iterator[str]:
    """Yield where an input comes from: another stack's output, or a resource of this stack."""
    for producer, key in _upstream_keys(resource, name, recording):
        yield f"{producer}.{key}"
    mine = {other.urn: other for other in recording.real}
    for source in resource.sources.get(name, ()):
        if source in mine and source != resource.urn:
            yield f"{mine[source].kind} {mine[source].name}"


def _upstream_keys(resource: Recorded, name: str, recording: Recording) -> Iterator[tuple[str, str]]:
    """Yield (project, key) of the other stacks' outputs that are part of this input."""
    references = {other.urn: other.name for other in recording.resources if other.type == STACK_REFERENCE}
    used = json.dumps(resource.inputs.get(name))
    for source in resource.sources.get(name, ()):
        if source not in references:
            continue
        project = references[source].split("/")[1]
        for key, value in sorted(recording.upstream[references[source]].items()):
            if json.dumps(value).strip('"') in used:
                yield project, key


def _value(value: Any) -> str:
    if isinstance(value, str):
        return value
    return json.dumps(value, sort_keys=True, ensure_ascii=False)


def _slug(*parts: str) -> str:
    return "_".join(parts).replace("-", "_")
