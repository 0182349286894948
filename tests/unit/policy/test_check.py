"""Levels, configuration and waivers."""

from __future__ import annotations

import dataclasses
import json
from datetime import date
from pathlib import Path
from typing import Any

import pytest
from pulumi_aws import dynamodb, sns

from lib.plan import recorder
from lib.plan.recorder import Recording
from policy import waivers
from policy.check import Config, ConfigError, Report, check
from policy.rules import RULES
from policy.waivers import Waiver, WaiverError

TODAY = date(2026, 11, 21)
WAIVER = Waiver(
    rule="table-recoverable",
    resource="tap-data/prod/Table/t",
    reason="It holds nothing that can't be made again.",
    owner="data team",
    expires=date(2026, 12, 31),
)


def program() -> None:
    tags = {"Project": "p", "Owner": "o"}
    dynamodb.Table("t", billing_mode="PAY_PER_REQUEST", server_side_encryption={"enabled": True}, tags=tags)
    sns.Topic("quiet", tags=tags)


def recording(stack: str = "prod", project: str = "tap-data") -> Recording:
    return recorder.record(program, project=project, stack=stack)


def judged(*given: Waiver, stack: str = "prod", config: dict[str, Any] | None = None, today: date = TODAY) -> Report:
    settings = Config.parse(config or {}, "test")
    return check([recording(stack)], config=settings, waivers=given, today=today)


def levels(report: Report) -> dict[str, str]:
    return {finding.rule.id: finding.level for finding in report.findings}


def test_a_finding_is_advice_in_development_and_stops_production() -> None:
    assert levels(judged(stack="dev"))["table-recoverable"] == "advisory"
    assert not judged(stack="dev").failed
    assert levels(judged(stack="prod"))["table-recoverable"] == "mandatory"
    assert judged(stack="prod").failed


def test_each_rule_can_be_set_to_another_level() -> None:
    report = judged(stack="dev", config={"table-recoverable": "mandatory", "topic-tls-only": "disabled"})
    assert levels(report)["table-recoverable"] == "mandatory"
    assert "topic-tls-only" not in levels(report)
    assert report.failed


def test_all_rules_can_be_set_at_once_and_one_of_them_apart() -> None:
    report = judged(config={"all": "advisory", "table-protected": {"enforcementLevel": "mandatory"}})
    assert set(levels(report).values()) == {"advisory", "mandatory"}
    assert levels(report)["table-protected"] == "mandatory"


def test_a_rule_reads_its_properties_from_the_configuration() -> None:
    report = judged(config={"required-tags": {"tags": ["CostCenter"]}})
    assert "it has no tag CostCenter" in {finding.message for finding in report.findings}
    assert "required-tags" not in levels(judged())


@pytest.mark.parametrize(
    ("document", "words"),
    [
        ({"table-recovrable": "advisory"}, "no rule 'table-recovrable'"),
        ({"table-recoverable": "fatal"}, "disabled, advisory, mandatory"),
        ({"required-tags": {"tag": []}}, "has no property tag"),
        ([], "must be an object"),
    ],
)
def test_a_wrong_configuration_is_refused_with_what_is_wrong(tmp_path: Path, document: Any, words: str) -> None:
    file = tmp_path / "config.json"
    file.write_text(json.dumps(document))
    with pytest.raises(ConfigError, match=words):
        Config.load(file)


def test_a_waived_finding_stops_nothing_and_is_still_shown_with_its_reason() -> None:
    report = judged(WAIVER)
    waived = [finding for finding in report.findings if finding.waived]
    assert [finding.rule.id for finding in waived] == ["table-recoverable"]
    assert WAIVER.reason in report.text()
    assert not report.problems


def test_with_every_finding_waived_production_deploys() -> None:
    open_findings = {(finding.rule.id, finding.resource) for finding in judged().findings}
    given = [dataclasses.replace(WAIVER, rule=rule, resource=resource) for rule, resource in open_findings]
    assert not judged(*given).failed


def test_a_waiver_is_good_on_its_last_day_and_fails_the_next() -> None:
    assert not judged(WAIVER, today=WAIVER.expires).problems
    (problem,) = judged(WAIVER, today=date(2027, 1, 1)).problems
    assert "expired on 2026-12-31" in problem


@pytest.mark.parametrize(
    ("change", "words"),
    [
        ({"rule": "table-recovrable"}, "names no rule"),
        ({"resource": "tap-data/prod/Table/gone"}, "names no resource"),
        ({"rule": "table-encrypted"}, "is unused"),
    ],
)
def test_a_waiver_that_hides_nothing_fails_even_where_findings_are_advice(change: dict[str, Any], words: str) -> None:
    waiver = dataclasses.replace(WAIVER, **{**change, "resource": change.get("resource", WAIVER.resource)})
    report = judged(waiver, config={"all": "advisory"})
    (problem,) = report.problems
    assert words in problem
    assert waiver.owner in problem, "the reader has to know whom to ask"
    assert report.failed


def test_a_waiver_for_another_environment_is_neither_used_nor_unused() -> None:
    report = judged(WAIVER, stack="dev")
    assert not report.problems
    assert not any(finding.waived for finding in report.findings)


def test_a_waiver_may_be_for_every_environment() -> None:
    report = judged(dataclasses.replace(WAIVER, resource="tap-data/*/Table/t"), stack="pr-17")
    assert any(finding.waived for finding in report.findings)
    assert not report.problems


COMPLETE = """
[[waiver]]
rule = "table-recoverable"
resource = "tap-data/prod/Table/t"
reason = "It holds nothing that can't be made again."
owner = "data team"
expires = 2026-12-31
"""


def test_the_file_of_waivers_is_read_whole(tmp_path: Path) -> None:
    file = tmp_path / "waivers.toml"
    file.write_text(COMPLETE)
    assert waivers.load(file) == [WAIVER]


@pytest.mark.parametrize(
    ("find", "replace", "words"),
    [
        ('owner = "data team"', "", "owner"),
        ('owner = "data team"', 'owner = " "', "owner must be a text"),
        ("expires = 2026-12-31", 'expires = "2026-12-31"', "without quotes"),
        ("tap-data/prod/Table/t", "Table/t", "project/environment/Kind/name"),
        ("[[waiver]]", "[[waiver", "waivers.toml"),
    ],
)
def test_an_incomplete_waiver_is_refused(tmp_path: Path, find: str, replace: str, words: str) -> None:
    file = tmp_path / "waivers.toml"
    assert find in COMPLETE
    file.write_text(COMPLETE.replace(find, replace))
    with pytest.raises(WaiverError, match=words):
        waivers.load(file)


def test_what_is_committed_can_be_read() -> None:
    assert Config.load().of(RULES["required-tags"])["tags"]
    waivers.load()
