"""What a rule is, what it sees, and what it finds.

A rule looks at one resource of its types and, if it has to, at the others of the same program. Resources are the plan's
`Recorded`, whether a plan, a test or the real engine supplied them, so that one rule has one implementation.
"""

from __future__ import annotations

import json
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import date
from typing import Any, Literal

from lib.plan.recorder import Recorded

Severity = Literal["low", "medium", "high", "critical"]
Level = Literal["disabled", "advisory", "mandatory"]
LEVELS: tuple[Level, ...] = ("disabled", "advisory", "mandatory")


@dataclass(frozen=True, kw_only=True)
class View:
    """What a rule may know beyond its resource: the program's other resources and where they are deployed."""

    resources: Sequence[Recorded]
    production: bool
    today: date
    config: Mapping[str, Any] = field(default_factory=dict)

    def of(self, *types: str) -> list[Recorded]:
        """Return the resources of these short types, such as `sns:TopicPolicy`."""
        return [resource for resource in self.resources if short(resource.type) in types]

    def about(self, resource: Recorded, key: str, *types: str) -> list[Recorded]:
        """Return the resources of these types whose input `key` comes from `resource`."""
        return [other for other in self.of(*types) if resource.urn in other.sources.get(key, ())]

    def behind(self, resource: Recorded, key: str, *types: str) -> list[Recorded]:
        """Return the resources of these types that the input `key` of `resource` comes from."""
        return [other for other in self.of(*types) if other.urn in resource.sources.get(key, ())]


Check = Callable[[Recorded, View], Iterator[str]]


@dataclass(frozen=True, kw_only=True)
class Rule:
    """One rule: `check` yields what is wrong with a resource of one of `types`, without a secret's value."""

    id: str
    severity: Severity
    reason: str
    link: str
    fix: str
    types: tuple[str, ...]  # none: every type
    check: Check
    # Looks at other resources, so the real engine can judge it only when all are known.
    whole_stack: bool = False
    # Never stops a deploy, not even of production.
    advice: bool = False
    # What the rule's configuration may set, and what holds where it does not.
    config: Mapping[str, Any] = field(default_factory=dict)

    def level(self, *, production: bool) -> Level:
        """Return how the rule is enforced where no configuration says otherwise."""
        return "mandatory" if production and not self.advice else "advisory"

    def applies(self, resource: Recorded) -> bool:
        """Whether the rule has anything to say about resources of this type."""
        return not self.types or short(resource.type) in self.types


def rule(
    id_: str,
    severity: Severity,
    *types: str,
    reason: str,
    link: str,
    fix: str,
    whole_stack: bool = False,
    advice: bool = False,
    config: Mapping[str, Any] | None = None,
) -> Callable[[Check], Rule]:
    """Make a rule of the check that this decorates."""

    def made(check: Check) -> Rule:
        return Rule(
            id=id_,
            severity=severity,
            types=types,
            reason=reason,
            link=link,
            fix=fix,
            whole_stack=whole_stack,
            advice=advice,
            config=config or {},
            check=check,
        )

    return made


@dataclass(frozen=True, kw_only=True)
class Finding:
    """A rule that a resource breaks."""

    rule: Rule
    level: Level
    urn: str
    message: str
    declared_at: str = ""
    # Why it is accepted for now; a waived finding stops nothing.
    waived: str | None = None

    @property
    def resource(self) -> str:
        """The resource as waivers name it."""
        return address(self.urn)


def short(type_: str) -> str:
    """`aws:dynamodb/table:Table` as `dynamodb:Table`; the V2 of a transition is not part of a type's name."""
    _, module, kind = type_.split(":")
    return f"{module.partition('/')[0]}:{kind.removesuffix('V2')}"


def address(urn: str) -> str:
    """Return project/stack/Kind/name of a resource."""
    _, _, rest = urn.partition("urn:pulumi:")
    stack, project, types, name = rest.split("::", 3)
    return f"{project}/{stack}/{types.rpartition(':')[2]}/{name}"


def listed(value: Any) -> list[Any]:
    """IAM lets one value stand for a list of one."""
    if value is None:
        return []
    return [value] if isinstance(value, str | Mapping) else list(value)


def nested(resource: Recorded, key: str) -> Mapping[str, Any]:
    """Return the object in an input; nothing where there is none, or where the plan hides it as a secret."""
    value = resource.inputs.get(key)
    return value if isinstance(value, Mapping) else {}


def statements(resource: Recorded, key: str) -> list[Mapping[str, Any]]:
    """Return the statements of the policy document in an input; an unreadable document has none."""
    text = resource.inputs.get(key)
    if not isinstance(text, str):
        return []
    try:
        document = json.loads(text)
    except ValueError:
        return []
    return listed(document.get("Statement")) if isinstance(document, dict) else []


def principals(statement: Mapping[str, Any]) -> list[tuple[str, str]]:
    """Return (kind, who) of each principal: ("AWS", "*"), ("Service", "lambda.amazonaws.com")."""
    principal = statement.get("Principal")
    if principal == "*":
        return [("AWS", "*")]
    if not isinstance(principal, Mapping):
        return []
    return [(kind, who) for kind, names in principal.items() for who in listed(names)]


def conditions(statement: Mapping[str, Any]) -> dict[str, Any]:
    """Return {condition key in lower case: value}, whatever the operator."""
    return {key.lower(): value for test in (statement.get("Condition") or {}).values() for key, value in test.items()}
