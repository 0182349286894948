"""Applies the rules to recorded programs: what `nox -s plan`, the tests and the policy pack share."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from datetime import UTC, date, datetime
from pathlib import Path
from typing import Any, cast

from lib.plan.recorder import Recorded, Recording
from lib.settings import PRODUCTION
from policy import waivers as waiver_file
from policy.model import LEVELS, Finding, Level, Rule, View, address
from policy.rules import RULES
from policy.waivers import Waiver

CONFIG = Path(__file__).with_name("config.json")


class ConfigError(Exception):
    """The rules' configuration names what does not exist or can't be."""


@dataclass(frozen=True, kw_only=True)
class Config:
    """How the rules are set: levels and properties that differ from their own.

    The format is that of `pulumi --policy-pack-config`: {"all": level, rule: level}, or in place of a level
    {"enforcementLevel": level, property: value}.
    """

    levels: Mapping[str, Level] = field(default_factory=dict)
    properties: Mapping[str, Mapping[str, Any]] = field(default_factory=dict)

    @classmethod
    def load(cls, path: Path = CONFIG) -> Config:
        """Read a configuration file, or raise `ConfigError`."""
        try:
            return cls.parse(json.loads(path.read_text(encoding="utf-8")), path.name)
        except (OSError, ValueError) as error:
            raise ConfigError(f"{path.name}: {error}") from None

    @classmethod
    def parse(cls, document: Any, name: str) -> Config:
        """Read a configuration that came from `name`, or raise `ConfigError`."""
        if not isinstance(document, dict):
            raise ConfigError(f"{name}: must be an object of rules")
        levels: dict[str, Level] = {}
        properties: dict[str, dict[str, Any]] = {}
        for id_, entry in document.items():
            rule = RULES.get(id_)
            if rule is None and id_ != "all":
                raise ConfigError(f"{name}: there is no rule {id_!r}")
            given = dict(entry) if isinstance(entry, dict) else {"enforcementLevel": entry}
            if "enforcementLevel" in given:
                level = given.pop("enforcementLevel")
                if level not in LEVELS:
                    raise ConfigError(f"{name}: {id_}: the level is one of {', '.join(LEVELS)}, not {level!r}")
                levels[id_] = cast(Level, level)
            if unknown := sorted(set(given) - set(rule.config if rule else ())):
                raise ConfigError(f"{name}: {id_} has no property {', '.join(unknown)}")
            properties[id_] = given
        return cls(levels=levels, properties=properties)

    def level(self, rule: Rule, *, production: bool) -> Level:
        """Return how the rule is enforced."""
        return self.levels.get(rule.id) or self.levels.get("all") or rule.level(production=production)

    def of(self, rule: Rule) -> dict[str, Any]:
        """Return the rule's properties."""
        return {**rule.config, **self.properties.get(rule.id, {})}


@dataclass(frozen=True, kw_only=True)
class Report:
    """All that was found; `problems` are those of the waivers."""

    findings: Sequence[Finding]
    problems: Sequence[str]

    @property
    def failed(self) -> bool:
        """Whether this must stop a deploy."""
        return bool(self.problems) or any(f.level == "mandatory" and not f.waived for f in self.findings)

    def text(self) -> str:
        """Return the report as people read it: the worst first, with what to do."""
        alike: dict[tuple[str, str, str | None, str], list[Finding]] = {}
        for finding in self.findings:
            alike.setdefault((finding.rule.id, finding.level, finding.waived, finding.message), []).append(finding)
        lines = []
        for (_, level, waived, message), found in alike.items():
            rule, first = found[0].rule, found[0]
            state = f"waived: {waived}" if waived else level
            others = f" and {len(found) - 1} more" if len(found) > 1 else ""
            lines.append(f"{rule.id} [{rule.severity}, {state}] {first.resource}{others}: {message}")
            if not waived:
                lines += [
                    f"    why: {rule.reason}",
                    f"    fix: {rule.fix}" + (f" ({first.declared_at})" if first.declared_at else ""),
                    f"    see: {rule.link}",
                ]
        lines += [f"waivers: {problem}" for problem in self.problems]
        open_ = [finding for finding in self.findings if not finding.waived]
        mandatory = sum(finding.level == "mandatory" for finding in open_)
        accepted = len(self.findings) - len(open_)
        lines.append(
            f"policy: {mandatory} to fix, {len(open_) - mandatory} advised, {accepted} waived ({len(RULES)} rules)"
        )
        return "\n".join(lines)

    def as_json(self) -> list[dict[str, str]]:
        """Return the findings for machines."""
        return [
            {
                "rule": finding.rule.id,
                "severity": finding.rule.severity,
                "level": finding.level,
                "resource": finding.resource,
                "message": finding.message,
                "fix": finding.rule.fix,
                "link": finding.rule.link,
                **({"waived": finding.waived} if finding.waived else {}),
            }
            for finding in self.findings
        ]


def broken(
    rule: Rule,
    resource: Recorded,
    among: Sequence[Recorded],
    *,
    production: bool,
    today: date,
    config: Mapping[str, Any],
) -> list[str]:
    """Return what the rule has against this resource among the others of its program."""
    if not rule.applies(resource):
        return []
    view = View(resources=among, production=production, today=today, config=config)
    return list(dict.fromkeys(rule.check(resource, view)))


def check(
    recordings: Sequence[Recording],
    *,
    config: Config | None = None,
    waivers: Sequence[Waiver] | None = None,
    today: date | None = None,
) -> Report:
    """Apply every rule to every program. What is not given is read from the committed files, or is today."""
    config = Config.load() if config is None else config
    waivers = waiver_file.load() if waivers is None else waivers
    today = today or datetime.now(UTC).date()
    findings = []
    for recording in recordings:
        production = recording.stack in PRODUCTION
        for rule in RULES.values():
            level = config.level(rule, production=production)
            if level == "disabled":
                continue
            given = config.of(rule)
            for resource in recording.real:
                reason = next((w.reason for w in waivers if w.covers(rule.id, address(resource.urn))), None)
                findings += [
                    Finding(
                        rule=rule,
                        level=level,
                        urn=resource.urn,
                        message=message,
                        declared_at=resource.declared_at,
                        waived=reason,
                    )
                    for message in broken(
                        rule, resource, recording.real, production=production, today=today, config=given
                    )
                ]
    severities = ("critical", "high", "medium", "low")
    findings.sort(
        key=lambda f: (f.waived is not None, f.level != "mandatory", severities.index(f.rule.severity), f.urn)
    )
    return Report(
        findings=findings,
        problems=waiver_file.problems(
            waivers,
            rules=RULES,
            resources=[address(resource.urn) for recording in recordings for resource in recording.real],
            programs=[(recording.project, recording.stack) for recording in recordings],
            found=[(finding.rule.id, finding.resource) for finding in findings],
            today=today,
        ),
    )
