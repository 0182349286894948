"""What a stack has in the emulator: one JSON file for each stack, written after every single change.

A run that is killed at any moment leaves a file that says what exists, so that the next one continues from there.
"""

import json
import os
import threading
from collections.abc import Callable, Iterable
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from lib.local.types.core import ResourceError

Wire = dict[str, Any]


@dataclass
class Resource:
    """One resource as it is: inputs and outputs in Pulumi's wire form, secrets marked."""

    urn: str
    type: str
    custom: bool
    id: str = ""
    inputs: Wire = field(default_factory=dict)
    outputs: Wire = field(default_factory=dict)
    parent: str = ""
    dependencies: list[str] = field(default_factory=list)
    property_dependencies: dict[str, list[str]] = field(default_factory=dict)
    provider: str = ""
    source: str = ""
    protect: bool = False
    retain_on_delete: bool = False
    deleted_with: str = ""
    external: bool = False  # only read, never ours to change
    tainted: bool = False  # its creation failed half way: it is made anew
    doomed: bool = False  # replaced already, still to be deleted

    @property
    def name(self) -> str:
        return self.urn.split("::", 3)[-1]


class State:
    """The resources and outputs of one stack."""

    def __init__(self, path: Path) -> None:
        self.path = path
        self.lock = threading.RLock()
        self.outputs: Wire = {}
        self.deployed = False
        self.resources: list[Resource] = []
        if path.is_file():
            try:
                kept = json.loads(path.read_text(encoding="utf-8"))
                self.outputs, self.deployed = kept["outputs"], kept["deployed"]
                self.resources = [Resource(**each) for each in kept["resources"]]
            except (OSError, ValueError, KeyError, TypeError) as error:
                raise ResourceError(f"{path} is not a state this version can read ({error}); move it away") from error

    @classmethod
    def of(cls, directory: Path, project: str, stack: str) -> "State":
        return cls(directory / project / f"{stack}.json")

    def find(self, urns: Iterable[str]) -> Resource | None:
        """The live resource with one of these URNs."""
        with self.lock:
            for urn in urns:
                for resource in self.resources:
                    if resource.urn == urn and not resource.doomed:
                        return resource
        return None

    def change(self, change: Callable[[list[Resource]], None] | None = None) -> None:
        """Change the resources and write them, all at once; readable by this user alone."""
        with self.lock:
            if change:
                change(self.resources)
            kept = {
                "version": 1,
                "deployed": self.deployed,
                "outputs": self.outputs,
                "resources": [vars(resource) for resource in self.resources],
            }
            self.path.parent.mkdir(parents=True, exist_ok=True, mode=0o700)
            new = self.path.with_suffix(".new")
            with os.fdopen(os.open(new, os.O_WRONLY | os.O_CREAT | os.O_TRUNC, 0o600), "w", encoding="utf-8") as file:
                file.write(json.dumps(kept))
            new.replace(self.path)

    def put(self, resource: Resource) -> None:
        """Write a resource, in the place of the live one with its URN."""
        with self.lock:
            for index, other in enumerate(self.resources):
                if other.urn == resource.urn and not other.doomed:
                    if other == resource:
                        return
                    self.resources[index] = resource
                    break
            else:
                self.resources.append(resource)
            self.change()

    def remove(self, resource: Resource) -> None:
        self.change(lambda resources: resources.remove(resource))

    def for_deletion(self, chosen: Callable[[Resource], bool]) -> list[Resource]:
        """The chosen resources, each before whatever it depends on."""
        with self.lock:
            ordered: list[Resource] = []
            seen: set[int] = set()

            def visit(resource: Resource) -> None:
                if id(resource) in seen:
                    return
                seen.add(id(resource))
                for other in self.resources:
                    if other.urn in (resource.parent, *resource.dependencies):
                        visit(other)
                ordered.append(resource)

            for resource in self.resources:
                visit(resource)
            return [resource for resource in reversed(ordered) if chosen(resource)]
