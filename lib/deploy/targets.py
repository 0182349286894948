"""What can be deployed: the four stacks in the order of their contracts, TapStack, and the other systems."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import Any

import yaml

from lib.contracts import ROOT, STACKS, TAP_PROJECT, Contract
from lib.deploy.backend import backend
from lib.deploy.exits import Exit, Finding, Refused


@dataclass(frozen=True)
class Target:
    """One Pulumi project; with an environment, one stack."""

    name: str
    directory: Path
    contract: type[Contract] | None = None
    upstream: tuple[str, ...] = ()

    @cached_property
    def _project(self) -> dict[str, Any]:
        path = self.directory / "Pulumi.yaml"
        try:
            project = yaml.safe_load(path.read_text())
            return {"name": project["name"], **project}
        except (OSError, yaml.YAMLError, TypeError, KeyError) as error:
            what = f"{self.name} has no readable {path.name} in {self.directory}: {error}"
            raise Refused(Finding(exit=Exit.CONFIG, what=what, next=f"restore {path}", stack=self.name)) from None

    @property
    def keys(self) -> tuple[str, ...]:
        """The keys that its contract promises to the stacks that read it."""
        return self.contract.keys() if self.contract else ()

    @property
    def project(self) -> str:
        """The Pulumi project's name."""
        return str(self._project["name"])

    def config_path(self, env: str) -> Path:
        """The file that holds this project's configuration of one environment."""
        return Path(self.directory, self._project.get("stackConfigDir", ""), f"Pulumi.{env}.yaml").resolve()

    def config(self, env: str) -> dict[str, Any]:
        """The configuration as written: the project's defaults under the environment's own."""
        path = self.config_path(env)
        try:
            loaded = (yaml.safe_load(path.read_text()) or {}) if path.exists() else {}
            own = loaded.get("config") or {}
            return {**(self._project.get("config") or {}), **own}
        except (OSError, yaml.YAMLError, AttributeError, TypeError) as error:
            what = f"the configuration of {self.name} in {path} can't be read: {error}"
            raise Refused(Finding(exit=Exit.CONFIG, what=what, next=f"correct {path}", stack=self.name)) from None

    def stack(self, env: str) -> str:
        """The fully qualified name of this project's stack."""
        return f"{backend().organization}/{self.project}/{env}"


def the_stacks() -> tuple[Target, ...]:
    """The stacks joined by contracts, upstream first."""
    return tuple(
        Target(contract.stack, ROOT / contract.directory, contract, tuple(read.stack for read in contract.reads))
        for contract in STACKS
    )


def all_targets() -> tuple[Target, ...]:
    """Everything that can be named on the command line."""
    systems = sorted((ROOT / "systems").glob("*/Pulumi.yaml"))
    return (
        *the_stacks(),
        Target(TAP_PROJECT, ROOT),
        *(Target(path.parent.name, path.parent) for path in systems),
    )


def named(names: Iterable[str]) -> tuple[Target, ...]:
    """The targets of these names, upstream first."""
    wanted = list(names)
    known = {target.name: target for target in all_targets()}
    unknown = [name for name in wanted if name not in known]
    if unknown:
        what = f"there is no stack called {', '.join(unknown)}; there are {', '.join(known)}"
        raise Refused(Finding(exit=Exit.STACK_NOT_FOUND, what=what, next="nox -s deploy -- data --env dev"))
    return tuple(target for target in known.values() if target.name in wanted)


def select(only: Sequence[str], start: str | None) -> tuple[Target, ...]:
    """The stacks that `--only` and `--from` leave; `start` means that stack and everything downstream of it."""
    stacks = the_stacks()
    names = {target.name for target in stacks}
    wrong = [name for name in (*only, *([start] if start else [])) if name not in names]
    if wrong:
        what = f"there is no stack called {', '.join(wrong)} among {', '.join(target.name for target in stacks)}"
        raise Refused(Finding(exit=Exit.STACK_NOT_FOUND, what=what, next="nox -s deploy_all -- --env dev"))
    if only:
        stacks = tuple(target for target in stacks if target.name in only)
    if start:
        chosen = {start} | downstream(start)
        stacks = tuple(target for target in stacks if target.name in chosen)
    return stacks


def downstream(name: str) -> set[str]:
    """Every stack that reads from `name`, directly or through others."""
    found: set[str] = set()
    for target in the_stacks():
        if found.union([name]).intersection(target.upstream):
            found.add(target.name)
    return found


def levels(targets: Sequence[Target]) -> list[list[str]]:
    """The order of work: the stacks of one level need nothing of each other."""
    left = {target.name: target for target in targets}
    order: list[list[str]] = []
    while left:
        ready = [name for name, target in left.items() if not left.keys() & set(target.upstream)]
        order.append(ready)
        for name in ready:
            del left[name]
    return order
