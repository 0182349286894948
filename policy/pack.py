"""The rules as a Pulumi policy pack, for the real engine.

A rule that looks at one resource judges its inputs before anything is created; one that looks at the whole stack judges
what is there at the end. A value that a preview does not know yet is not judged.
"""

from __future__ import annotations

from collections.abc import Sequence
from datetime import UTC, datetime
from typing import Any

import pulumi_policy
from pulumi_policy import policy as sdk
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
    pack = Pack(Config.load(), waiver_file.load())

    class Servicer(sdk._PolicyAnalyzerServicer):  # noqa: SLF001
        """Tells the pack which stack this is: the engine says it in this call alone, and the SDK keeps its tags."""

        def ConfigureStack(self, request: Any, context: Any) -> Any:  # noqa: N802 - the protocol's name
            pack.configure(stack=request.stack, preview=request.dry_run)
            return super().ConfigureStack(request, context)

    sdk._PolicyAnalyzerServicer = Servicer  # type: ignore[misc]  # noqa: SLF001
    pulumi_policy.PolicyPack(NAME, pack.policies)


class Pack:
    """Every rule as a policy, and one for the waivers themselves.

    Until it is told which stack it judges, it is as strict as for production.
    """

    def __init__(self, config: Config, waivers: Sequence[Waiver]) -> None:
        self._config = config
        self._waivers = waivers
        self._found: set[tuple[str, str]] = set()
        self._preview = False
        self._production = True
        self._by_rule = {rule.id: self._policy(rule) for rule in RULES.values()}
        self.policies: list[pulumi_policy.Policy] = [*self._by_rule.values(), self._waivers_policy()]
        self._set_levels()

    def configure(self, *, stack: str, preview: bool) -> None:
        """Take in which stack is judged, and whether this is a preview."""
        self._production, self._preview = stack in PRODUCTION, preview
        self._set_levels()

    def _set_levels(self) -> None:
        for id_, policy in self._by_rule.items():
            level = self._config.level(RULES[id_], production=self._production)
            policy.enforcement_level = pulumi_policy.EnforcementLevel(level)

    def _policy(self, rule: Rule) -> pulumi_policy.Policy:
        config = self._config.of(rule)
        common: dict[str, Any] = {
            "name": rule.id,
            "description": f"{rule.reason} Fix: {rule.fix}",
            "severity": pulumi_policy.Severity(rule.severity),
            "remediation_steps": rule.fix,
            "url": rule.link,
            "config_schema": pulumi_policy.PolicyConfigSchema(
                {key: {"type": _json_type(value), "default": value} for key, value in config.items()}
            )
            if config
            else None,
        }

        def resource(args: pulumi_policy.ResourceValidationArgs, report: pulumi_policy.ReportViolation) -> None:
            one = _recorded(args.urn, args.resource_type, args.name, args.props, protect=args.opts.protect)
            self._judge(rule, [one], args.get_config(), report)

        def stack(args: pulumi_policy.StackValidationArgs, report: pulumi_policy.ReportViolation) -> None:
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
            self._judge(rule, resources, args.get_config(), report)

        if rule.whole_stack:
            return pulumi_policy.StackValidationPolicy(validate=stack, **common)
        return pulumi_policy.ResourceValidationPolicy(validate=resource, **common)

    def _judge(
        self, rule: Rule, resources: Sequence[Recorded], given: Any, report: pulumi_policy.ReportViolation
    ) -> None:
        config = {**self._config.of(rule), **(given or {})}
        today = datetime.now(UTC).date()
        for one in resources:
            try:
                messages = broken(rule, one, resources, production=self._production, today=today, config=config)
            except UnknownValueError:
                continue  # judged again when the value is known, before the resource is created
            for message in messages:
                self._found.add((rule.id, address(one.urn)))
                if not any(waiver.covers(rule.id, address(one.urn)) for waiver in self._waivers):
                    report(message, one.urn)

    def _waivers_policy(self) -> pulumi_policy.StackValidationPolicy:
        def validate(args: pulumi_policy.StackValidationArgs, report: pulumi_policy.ReportViolation) -> None:
            urns = [item.urn for item in args.resources if item.resource_type.startswith(_PROVIDED)]
            programs = {(address(urn).split("/")[0], address(urn).split("/")[1]) for urn in urns}
            for problem in waiver_file.problems(
                self._waivers,
                rules=RULES,
                resources=map(address, urns),
                # A preview has not judged what it does not know: whether a waiver is used shows in the update.
                programs=() if self._preview else programs,
                found=self._found,
                today=datetime.now(UTC).date(),
            ):
                report(problem, None)

        return pulumi_policy.StackValidationPolicy(
            name="waivers",
            description="A waiver that is expired, unused or unknown hides something or is waste.",
            validate=validate,
            enforcement_level=pulumi_policy.EnforcementLevel.MANDATORY,
        )


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
