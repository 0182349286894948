"""The rules as a Pulumi policy pack, for the real engine.

A rule that looks at one resource judges its inputs before anything is created; one that looks at the whole stack judges
what is there at the end. A value that a preview does not know yet is not judged.
"""

from __future__ import annotations

import os
from collections.abc import Sequence
from datetime import UTC, datetime
from typing import Any

import pulumi_policy
from pulumi_policy.proxy import UnknownValueError

from lib.plan.recorder import Recorded
from lib.settings import PRODUCTION
from policy import waivers as waiver_file
from policy.check import Config, broken
from policy.model import Rule, address
from policy.rules import RULES
from policy.waivers import Waiver

NAME = "tap"
# Components and the engine's own; the rules are about what a cloud would create.
_PROVIDED = "aws:"


def serve() -> None:
    """Answer the engine that started this process, until it ends it."""
    stack = os.environ.get("PULUMI_STACK", "")
    pulumi_policy.PolicyPack(NAME, policies(Config.load(), waiver_file.load(), production=stack in PRODUCTION))


def policies(config: Config, waivers: Sequence[Waiver], *, production: bool) -> list[pulumi_policy.Policy]:
    """Return one policy for each rule, and one for the waivers themselves."""
    found: set[tuple[str, str]] = set()
    packs = [_Pack(rule, config, waivers, found, production=production) for rule in RULES.values()]
    return [*(pack.policy() for pack in packs), _waivers(waivers, found)]


class _Pack:
    """One rule, between the engine's view of resources and ours."""

    def __init__(
        self,
        rule: Rule,
        config: Config,
        waivers: Sequence[Waiver],
        found: set[tuple[str, str]],
        *,
        production: bool,
    ) -> None:
        self._rule = rule
        self._config = config
        self._waivers = waivers
        self._found = found
        self._production = production

    def policy(self) -> pulumi_policy.Policy:
        rule = self._rule
        common: dict[str, Any] = {
            "name": rule.id,
            "description": f"{rule.reason} Fix: {rule.fix}",
            "enforcement_level": pulumi_policy.EnforcementLevel(self._config.level(rule, production=self._production)),
            "severity": pulumi_policy.Severity(rule.severity),
            "remediation_steps": rule.fix,
            "url": rule.link,
            "config_schema": pulumi_policy.PolicyConfigSchema(
                {key: {"type": _json_type(value), "default": value} for key, value in self._config.of(rule).items()}
            )
            if rule.config
            else None,
        }
        if rule.whole_stack:
            return pulumi_policy.StackValidationPolicy(validate=self._stack, **common)
        return pulumi_policy.ResourceValidationPolicy(validate=self._resource, **common)

    def _resource(self, args: pulumi_policy.ResourceValidationArgs, report: pulumi_policy.ReportViolation) -> None:
        resource = _recorded(args.urn, args.resource_type, args.name, args.props, protect=args.opts.protect)
        self._judge([resource], args.get_config(), report)

    def _stack(self, args: pulumi_policy.StackValidationArgs, report: pulumi_policy.ReportViolation) -> None:
        resources = [
            _recorded(
                item.urn,
                item.resource_type,
                item.name,
                item.props,
                protect=item.opts.protect,
                sources={key: tuple(r.urn for r in given) for key, given in item.property_dependencies.items()},
                depends_on=tuple(other.urn for other in item.dependencies),
            )
            for item in args.resources
            if item.resource_type.startswith(_PROVIDED)
        ]
        self._judge(resources, args.get_config(), report)

    def _judge(self, resources: Sequence[Recorded], given: Any, report: pulumi_policy.ReportViolation) -> None:
        rule = self._rule
        config = {**self._config.of(rule), **(given or {})}
        today = datetime.now(UTC).date()
        for one in resources:
            try:
                messages = list(broken(rule, one, resources, production=self._production, today=today, config=config))
            except UnknownValueError:
                continue  # judged again when the value is known, before the resource is created
            for message in messages:
                self._found.add((rule.id, address(one.urn)))
                if not any(waiver.covers(rule.id, address(one.urn)) for waiver in self._waivers):
                    report(message, one.urn)


def _recorded(
    urn: str,
    type_: str,
    name: str,
    inputs: Any,
    *,
    protect: bool,
    sources: dict[str, tuple[str, ...]] | None = None,
    depends_on: tuple[str, ...] = (),
) -> Recorded:
    return Recorded(
        urn=urn,
        type=type_,
        name=name,
        parent="",
        custom=True,
        inputs=inputs,
        sources=sources or {},
        depends_on=depends_on,
        protect=protect,
        declared_at="",
    )


def _json_type(value: Any) -> str:
    return "array" if isinstance(value, list) else "number"


def _waivers(waivers: Sequence[Waiver], found: set[tuple[str, str]]) -> pulumi_policy.StackValidationPolicy:
    """Return the policy that waivers are about things there are, are used, and have not expired."""

    def validate(args: pulumi_policy.StackValidationArgs, report: pulumi_policy.ReportViolation) -> None:
        urns = [item.urn for item in args.resources if item.resource_type.startswith(_PROVIDED)]
        programs = {(address(urn).split("/")[0], address(urn).split("/")[1]) for urn in urns}
        # A preview has not judged what it does not know: whether a waiver is used shows in the update.
        preview = os.environ.get("PULUMI_DRY_RUN") == "true"
        for problem in waiver_file.problems(
            waivers,
            rules=RULES,
            resources=map(address, urns),
            programs=() if preview else programs,
            found=found,
            today=datetime.now(UTC).date(),
        ):
            report(problem, None)

    return pulumi_policy.StackValidationPolicy(
        name="waivers",
        description="A waiver that is expired, unused or unknown hides something or is waste.",
        validate=validate,
        enforcement_level=pulumi_policy.EnforcementLevel.MANDATORY,
    )
