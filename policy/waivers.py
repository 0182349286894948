"""Waivers: findings that a team accepts, with a reason and a last day.

They live in `waivers.toml`, one table each. A waiver that is expired, unused, or names a rule or a resource that does
not exist fails the check: it either hides something or is waste.
"""

from __future__ import annotations

import tomllib
from collections.abc import Iterable
from dataclasses import dataclass, fields
from datetime import date
from fnmatch import fnmatchcase
from pathlib import Path

WAIVERS = Path(__file__).with_name("waivers.toml")


class WaiverError(Exception):
    """The file of waivers can't be read as such; says which waiver and why."""


@dataclass(frozen=True, kw_only=True)
class Waiver:
    """One accepted finding; `resource` is project/environment/Kind/name, `*` stands for any text."""

    rule: str
    resource: str
    reason: str
    owner: str
    expires: date

    def covers(self, rule: str, resource: str) -> bool:
        """Whether this waiver is about the finding."""
        return rule == self.rule and fnmatchcase(resource, self.resource)

    def concerns(self, project: str, environment: str) -> bool:
        """Whether a program could have the resource; only then can the waiver be called unused."""
        parts = self.resource.split("/")
        return fnmatchcase(project, parts[0]) and fnmatchcase(environment, parts[1])


def load(path: Path = WAIVERS) -> list[Waiver]:
    """Read the waivers, or raise `WaiverError`."""
    try:
        document = tomllib.loads(path.read_text(encoding="utf-8"))
    except (OSError, tomllib.TOMLDecodeError) as error:
        raise WaiverError(f"{path.name}: {error}") from None
    names = {field.name for field in fields(Waiver)}
    found = []
    for number, entry in enumerate(document.get("waiver", []), 1):
        where = f"{path.name}: waiver {number}"
        if set(entry) != names:
            wrong = ", ".join(sorted(set(entry) ^ names))
            raise WaiverError(f"{where} needs exactly {', '.join(sorted(names))}; see {wrong}")
        if type(entry["expires"]) is not date:
            raise WaiverError(f"{where}: expires must be a day like 2027-01-31, without quotes")
        texts = {name: entry[name] for name in names - {"expires"}}
        if empty := [name for name, text in texts.items() if not isinstance(text, str) or not text.strip()]:
            raise WaiverError(f"{where}: {', '.join(sorted(empty))} must be a text")
        if entry["resource"].count("/") < 3:
            raise WaiverError(f"{where}: resource must be project/environment/Kind/name, got {entry['resource']!r}")
        found.append(Waiver(**entry))
    return found


def problems(
    waivers: Iterable[Waiver],
    *,
    rules: Iterable[str],
    resources: Iterable[str],
    programs: Iterable[tuple[str, str]],
    found: Iterable[tuple[str, str]],
    today: date,
) -> list[str]:
    """Return what is wrong with the waivers, given the programs looked at and all that the rules found there."""
    known, there, looked_at, findings = set(rules), list(resources), list(programs), list(found)
    wrong = []
    for waiver in waivers:
        name = f"the waiver of {waiver.rule} for {waiver.resource} ({waiver.owner})"
        if waiver.rule not in known:
            wrong.append(f"{name} names no rule there is")
        elif waiver.expires < today:
            wrong.append(f"{name} expired on {waiver.expires}: fix the finding, or renew it with a reason")
        elif any(waiver.concerns(*program) for program in looked_at):
            if not any(fnmatchcase(resource, waiver.resource) for resource in there):
                wrong.append(f"{name} names no resource there is")
            elif not any(waiver.covers(*finding) for finding in findings):
                wrong.append(f"{name} is unused: remove it")
    return wrong
