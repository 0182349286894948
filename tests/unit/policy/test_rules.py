"""Every rule finds what breaks it and lets alone what keeps it."""

from __future__ import annotations

from datetime import date

import pytest

from lib.plan import recorder
from lib.plan.recorder import Recording
from lib.settings import Settings
from policy.check import Config, check
from policy.rules import RULES
from tests.unit.policy.programs import ALSO_BREAKS, ALSO_KEEPS, CASES, Program

TODAY = date(2026, 11, 21)


def record(program: Program, environment: str) -> Recording:
    def code() -> None:
        program()

    return recorder.record(code, stack=environment)


def found(recording: Recording) -> set[str]:
    return {finding.rule.id for finding in check([recording], config=Config(), waivers=[], today=TODAY).findings}


def test_every_rule_has_a_program_that_breaks_it_and_one_that_keeps_it() -> None:
    assert set(CASES) == set(RULES), "a rule without both programs may never fire, or always"


@pytest.mark.parametrize("rule", RULES)
def test_a_program_that_breaks_the_rule_is_found(rule: str) -> None:
    case = CASES[rule]
    assert rule in found(record(case.breaks, case.environment))


@pytest.mark.parametrize("rule", RULES)
def test_a_program_that_keeps_the_rule_is_let_alone(rule: str) -> None:
    case = CASES[rule]
    recording = record(case.keeps, case.environment)
    assert rule not in found(recording)
    if rule != "no-long-lived-credentials":  # whose types are themselves what is refused
        assert any(RULES[rule].applies(resource) for resource in recording.real), "it kept the rule by having nothing"


@pytest.mark.parametrize(("rule", "environment", "program"), ALSO_BREAKS)
def test_every_other_way_to_break_a_rule_is_found(rule: str, environment: str, program: Program) -> None:
    assert rule in found(record(program, environment))


@pytest.mark.parametrize(("rule", "environment", "program"), ALSO_KEEPS)
def test_what_only_looks_broken_is_let_alone(rule: str, environment: str, program: Program) -> None:
    assert rule not in found(record(program, environment))


@pytest.mark.parametrize("rule", RULES.values(), ids=RULES)
def test_a_rule_says_why_where_it_is_from_and_how_to_fix_it(rule: object) -> None:
    for text in (rule.reason, rule.fix):  # type: ignore[attr-defined]
        assert text.endswith("."), "a reason and a fix are sentences"
    assert rule.link.startswith("https://"), "a reader must be able to look it up"  # type: ignore[attr-defined]


@pytest.mark.parametrize("environment", ["dev", "prod", "production", "pr-17"])
def test_rules_and_settings_agree_on_what_production_is(environment: str) -> None:
    report = check([record(CASES["table-encrypted"].breaks, environment)], config=Config(), waivers=[], today=TODAY)
    levels = {finding.level for finding in report.findings}
    expected = "mandatory" if Settings(environment_suffix=environment).production else "advisory"
    assert levels == {expected}
    assert report.failed == (expected == "mandatory")


def test_a_finding_never_repeats_the_secret_it_is_about() -> None:
    recording = record(CASES["function-no-secrets"].breaks, "dev")
    report = check([recording], config=Config(), waivers=[], today=TODAY)
    assert "function-no-secrets" in report.text()
    assert "hunter2" not in report.text() + str(report.as_json()), "the report is printed in CI logs"
