"""The policy pack judges as the plan does: the engine's view of a program gives the same findings.

The engine itself is exercised in tests/engine; here every rule's programs go through the SDK's own server, without one.
"""

from __future__ import annotations

from collections.abc import Sequence
from datetime import UTC, date, datetime
from typing import Any

import pytest
from google.protobuf import struct_pb2
from pulumi.runtime.proto import analyzer_pb2
from pulumi_policy import policy as sdk
from pulumi_policy.policy import EnforcementLevel, _PolicyAnalyzerServicer
from pulumi_policy.proxy import UNKNOWN_STRING_VALUE

from lib.plan.recorder import Recorded, Recording
from policy import pack
from policy.check import Config, check
from policy.model import Finding
from policy.rules import RULES
from policy.waivers import Waiver
from tests.unit.policy.programs import ALSO_BREAKS, ALSO_KEEPS, CASES, Program
from tests.unit.policy.test_rules import record

EVERYTHING = [
    *((rule, case.environment, case.breaks) for rule, case in CASES.items()),
    *((rule, case.environment, case.keeps) for rule, case in CASES.items()),
    *ALSO_BREAKS,
    *ALSO_KEEPS,
]


def server(config: Config, waivers: Sequence[Waiver], *, stack: str) -> Any:
    judging = pack.Pack(config, waivers)
    judging.configure(stack=stack, preview=False)
    return _PolicyAnalyzerServicer(pack.NAME, "1.0.0", judging.policies, EnforcementLevel.ADVISORY)


def properties(inputs: Any) -> struct_pb2.Struct:
    found = struct_pb2.Struct()
    found.update(inputs)
    return found


def whole(resource: Recorded) -> Any:
    dependencies = {key: analyzer_pb2.AnalyzerPropertyDependencies(urns=urns) for key, urns in resource.sources.items()}

    return analyzer_pb2.AnalyzerResource(
        type=resource.type,
        urn=resource.urn,
        name=resource.name,
        properties=properties(resource.inputs),
        options=analyzer_pb2.AnalyzerResourceOptions(protect=resource.protect),
        dependencies=resource.depends_on,
        propertyDependencies=dependencies,
    )


def engine(recording: Recording, config: Config, waivers: Sequence[Waiver] = (), **changes: str) -> list[Any]:
    """Return the diagnostics that the engine would get for a program; `changes` are laid over every resource."""
    asked = server(config, waivers, stack=recording.stack)
    found = []
    for resource in recording.real:
        request = analyzer_pb2.AnalyzeRequest(
            type=resource.type,
            urn=resource.urn,
            name=resource.name,
            properties=properties({**resource.inputs, **changes}),
            options=analyzer_pb2.AnalyzerResourceOptions(protect=resource.protect),
        )
        found += asked.Analyze(request, None).diagnostics
    everything = [whole(resource) for resource in recording.real]
    found += asked.AnalyzeStack(analyzer_pb2.AnalyzeStackRequest(resources=everything), None).diagnostics
    return found


def as_engine(finding: Finding) -> tuple[str, str, str, int]:
    level = analyzer_pb2.MANDATORY if finding.level == "mandatory" else analyzer_pb2.ADVISORY
    return finding.rule.id, finding.urn, finding.message, level


@pytest.mark.parametrize(("rule", "environment", "program"), EVERYTHING)
def test_the_engine_finds_what_the_plan_finds(rule: str, environment: str, program: Program) -> None:
    recording = record(program, environment)
    planned = check([recording], config=Config(), waivers=[], today=datetime.now(UTC).date()).findings
    judged = engine(recording, Config())
    found = [(d.policyName, d.urn, d.message.partition("\n")[2], d.enforcementLevel) for d in judged]
    assert sorted(found) == sorted(map(as_engine, planned)), f"{rule} is judged in two ways"


def test_the_engine_is_told_severity_reason_fix_and_link() -> None:
    info = {item.name: item for item in server(Config(), [], stack="prod").GetAnalyzerInfo(None, None).policies}
    assert set(info) == {*RULES, "waivers"}
    for id_, rule in RULES.items():
        assert info[id_].remediation_steps == rule.fix
        assert info[id_].url == rule.link
        assert rule.reason in info[id_].description
        assert info[id_].enforcementLevel == (analyzer_pb2.ADVISORY if rule.advice else analyzer_pb2.MANDATORY)


def test_a_waived_finding_is_not_reported_and_its_waiver_is_used() -> None:
    recording = record(CASES["table-encrypted"].breaks, "prod")
    waiver = Waiver(
        rule="table-encrypted", resource="test/prod/Table/t", reason="r", owner="o", expires=date(9999, 1, 1)
    )
    names = {diagnostic.policyName for diagnostic in engine(recording, Config(), [waiver])}
    assert "table-recoverable" in names
    assert not names & {"table-encrypted", "waivers"}


def test_an_expired_waiver_is_reported_by_the_engine_too() -> None:
    recording = record(CASES["table-encrypted"].breaks, "dev")
    waiver = Waiver(
        rule="table-encrypted", resource="test/dev/Table/t", reason="r", owner="o", expires=date(2026, 1, 1)
    )
    (problem,) = [d for d in engine(recording, Config(), [waiver]) if d.policyName == "waivers"]
    assert "expired on 2026-01-01" in problem.message
    assert problem.enforcementLevel == analyzer_pb2.MANDATORY


def test_what_a_preview_does_not_know_is_not_judged() -> None:
    recording = record(CASES["role-named-actions"].breaks, "prod")
    known = {diagnostic.policyName for diagnostic in engine(recording, Config())}
    unknown = {diagnostic.policyName for diagnostic in engine(recording, Config(), policy=UNKNOWN_STRING_VALUE)}
    assert "role-named-actions" in known
    assert "role-named-actions" not in unknown


def test_the_configuration_reaches_the_engine() -> None:
    config = Config.parse({"required-tags": {"tags": ["CostCenter"]}, "topic-tls-only": "disabled"}, "test")
    judged = engine(record(CASES["topic-tls-only"].breaks, "prod"), config)
    assert "it has no tag CostCenter" in "".join(diagnostic.message for diagnostic in judged)
    assert "topic-tls-only" not in {diagnostic.policyName for diagnostic in judged}


def test_a_pack_that_is_told_no_stack_is_strict() -> None:
    levels = {policy.name: policy.enforcement_level for policy in pack.Pack(Config(), []).policies}
    assert levels["table-recoverable"] == EnforcementLevel.MANDATORY
    assert levels["api-authorization"] == EnforcementLevel.ADVISORY


def test_the_stack_that_the_engine_names_sets_the_levels(monkeypatch: pytest.MonkeyPatch) -> None:
    """The SDK gives a pack no such call, so `serve` listens in; an SDK that changes under it has to show here."""
    started: dict[str, Any] = {}
    monkeypatch.setattr(sdk, "_PolicyAnalyzerServicer", sdk._PolicyAnalyzerServicer)

    def serve(name: str, policies: list[Any]) -> None:
        started["server"] = sdk._PolicyAnalyzerServicer(name, "1.0.0", policies, EnforcementLevel.ADVISORY)

    monkeypatch.setattr("pulumi_policy.PolicyPack", serve)
    pack.serve()

    def level() -> int:
        info = {item.name: item.enforcementLevel for item in started["server"].GetAnalyzerInfo(None, None).policies}
        return int(info["table-recoverable"])

    for stack, expected in (("dev", analyzer_pb2.ADVISORY), ("prod", analyzer_pb2.MANDATORY)):
        started["server"].ConfigureStack(analyzer_pb2.AnalyzerStackConfigureRequest(stack=stack), None)
        assert level() == expected
