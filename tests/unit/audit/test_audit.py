"""What the audit hands to the scanners, and what it makes of their answers; `nox -s audit` runs the scanners."""

from __future__ import annotations

import json
import subprocess
from pathlib import Path
from typing import Any

import pytest

from lib.audit import __main__ as audit
from lib.audit.terraform import rendered
from lib.settings import Settings
from tests import kit


def answered(monkeypatch: pytest.MonkeyPatch, stdout: Any, stderr: str = "") -> None:
    text = stdout if isinstance(stdout, str) else json.dumps(stdout)
    monkeypatch.setattr(audit, "tool", lambda *_: subprocess.CompletedProcess([], 0, text, stderr))


def resources(stack: str = "prod") -> dict[str, Any]:
    found: dict[str, Any] = rendered([kit.deployed("stacks", stack)])["resource"]
    return found


def test_every_planned_resource_is_rendered_under_terraforms_own_name() -> None:
    made = resources()
    assert sum(map(len, made.values())) == len(kit.deployed("stacks", "prod").real)
    assert made.keys() >= {
        "aws_api_gateway_gateway_response",
        "aws_api_gateway_method_settings",
        "aws_api_gateway_rest_api",
        "aws_cloudwatch_log_group",
        "aws_cloudwatch_metric_alarm",
        "aws_dynamodb_table",
        "aws_iam_role_policy_attachment",
        "aws_lambda_function",
        "aws_lambda_permission",
        "aws_sns_topic_policy",
    }


def test_inputs_have_terraforms_names_and_references_stay_references() -> None:
    made = resources()
    function = made["aws_lambda_function"]["items-lambda"]
    assert function["function_name"] == "prod-items-lambda"
    assert function["role"] == "${aws_iam_role.items-lambda-role.arn}"
    assert function["environment"]["variables"]["ENVIRONMENT"] == "prod", "names that are data are left alone"
    table = made["aws_dynamodb_table"]["items-table"]
    assert {key["name"] for key in table["attribute"]} == {"ItemId", "CreatedAt"}
    assert table["lifecycle"] == {"create_before_destroy": True, "prevent_destroy": True}
    settings = made["aws_api_gateway_method_settings"]["items-api"]
    assert settings["stage_name"] == "${aws_api_gateway_stage.items-api.stage_name}"
    assert made["aws_api_gateway_rest_api"]["items-api"]["endpoint_configuration"]["types"] == ["REGIONAL"]


def test_a_list_of_blocks_is_the_block_repeated() -> None:
    made: dict[str, Any] = rendered([kit.deployed("stacks", "prod", waf="true")])["resource"]
    rules = made["aws_wafv2_web_acl"]["items-api-firewall"]["rule"]
    groups = {rule["name"]: rule["statement"]["managed_rule_group_statement"] for rule in rules}
    (override,) = groups["AWSManagedRulesCommonRuleSet"]["rule_action_override"]
    assert override["name"] == "SizeRestrictions_BODY"
    log = made["aws_wafv2_web_acl_logging_configuration"]["items-api-firewall"]
    assert log["resource_arn"] == "${aws_wafv2_web_acl.items-api-firewall.arn}"
    assert log["logging_filter"]["filter"][0]["condition"][0] == {"action_condition": {"action": "BLOCK"}}
    assert {"query_string": {}} in log["redacted_fields"], "Terraform's name of this block is a plural"


def test_a_check_is_accepted_because_it_is_demanded_or_until_a_setting_is_on() -> None:
    accepted = audit.expected()
    assert all(entry.reason.endswith(".") and len(entry.reason) > 20 for entry in accepted.values())
    fields = {f"tap:{name.replace('_', '')}".lower(): name for name in Settings.__dataclass_fields__}
    for entry in accepted.values():
        assert entry.setting is None or entry.setting.lower() in fields, f"{entry.setting} is no setting"
    off = Settings()
    for option, value in audit.OPTIONS.items():
        assert str(getattr(off, fields[option.lower()])).lower() != value.lower(), f"{option} is on by default"


def test_production_with_every_option_fails_what_is_demanded_alone() -> None:
    accepted = audit.expected()
    fails = {each.name: each.fails for each in audit.configurations(accepted)}
    demanded = {check for check, entry in accepted.items() if entry.setting is None}
    options = {check for check, entry in accepted.items() if entry.setting in audit.OPTIONS}
    assert demanded
    assert options
    assert fails["dev"] == accepted.keys()
    assert fails["prod"] == demanded | options < fails["dev"]
    assert fails["prod with every option"] == demanded


def test_every_setting_is_turned_on_alone_and_takes_its_own_checks_away_and_no_others() -> None:
    accepted = audit.expected()
    scanned = audit.configurations(accepted)
    fails = {each.name: each.fails for each in scanned}
    alone = {key: each for each in scanned if len(each.config) == 1 for key in each.config}
    assert alone.keys() == {entry.setting for entry in accepted.values()} - {None}
    for key, each in alone.items():
        own = {check for check, entry in accepted.items() if entry.setting == key}
        assert own
        assert each.environment == ("prod" if key in audit.OPTIONS else "dev")
        assert each.fails == fails[each.environment] - own


ONE = audit.Configuration(name="prod with tap:x", environment="prod", config={}, fails=frozenset({"CKV_1"}))


def test_a_check_that_fails_and_should_not_and_one_that_should_and_does_not_are_problems() -> None:
    assert audit.compare(ONE, {"CKV_1": "words"}) == []
    (new,) = audit.compare(ONE, {"CKV_1": "words", "CKV_2": "more"})
    assert "prod with tap:x: CKV_2 fails, and should not: more" in new
    (gone,) = audit.compare(ONE, {})
    assert "prod with tap:x: CKV_1 should fail, and does not" in gone


def test_an_option_that_does_not_take_its_check_away_fails_the_audit(monkeypatch: pytest.MonkeyPatch) -> None:
    accepted = audit.expected()
    dead = "prod with tap:waf"
    monkeypatch.setattr(audit, "record_projects", lambda *_: [])

    def scan(name: str, _: object) -> tuple[dict[str, str], int]:
        (fails,) = (each.fails for each in audit.configurations(accepted) if each.name == name)
        return dict.fromkeys({*fails, *(["CKV2_AWS_29"] if name == dead else [])}, "words"), 1

    monkeypatch.setattr(audit, "scan", scan)
    assert [line.partition(" fails,")[0] for line in audit.checkov().problems] == [f"{dead}: CKV2_AWS_29"]


@pytest.mark.parametrize(
    "entry",
    [
        "reason = 'It is fine.'",
        "setting = 'tap:waf'",
        "demanded = 'It is.'\nsetting = 'tap:waf'\nreason = 'It costs.'",
        "demanded = true",
    ],
)
def test_an_entry_that_is_neither_demanded_nor_a_settings_is_refused(entry: str, tmp_path: Path) -> None:
    file = tmp_path / "expected.toml"
    file.write_text(f"[CKV_1]\n{entry}\n")
    with pytest.raises(audit.AuditError, match="CKV_1 has to say"):
        audit.expected(file)


def test_a_setting_that_nothing_turns_on_is_refused() -> None:
    accepted = {"CKV_1": audit.Accepted(reason="It costs.", setting="tap:wafs")}
    with pytest.raises(audit.AuditError, match="tap:wafs must be on in production's configuration or an option"):
        audit.configurations(accepted)


def test_a_scanner_that_gives_no_report_is_an_error_and_no_pass(monkeypatch: pytest.MonkeyPatch) -> None:
    for answer in ("", "Traceback", '{"passed": 0, "failed": 0}'):
        answered(monkeypatch, answer)
        with pytest.raises(audit.AuditError, match="no report"):
            audit.scan("prod", {})


def test_a_check_that_crashed_is_an_error_and_so_is_one_that_no_longer_does(monkeypatch: pytest.MonkeyPatch) -> None:
    report: dict[str, Any] = {"results": {"failed_checks": []}, "summary": {"passed": 1, "parsing_errors": 0}}
    usual = "".join(f"[ERROR] Failed to run check {check} on x\n" for check in audit.BROKEN_CHECKS)
    answered(monkeypatch, report, stderr=usual)
    assert audit.scan("prod", {}) == ({}, 1)
    for stderr, words in ((f"{usual}[ERROR] Failed to run check CKV_AWS_1 on x", "CKV_AWS_1"), ("", "no check")):
        answered(monkeypatch, report, stderr=stderr)
        with pytest.raises(audit.AuditError, match=words):
            audit.scan("prod", {})


def test_a_plan_that_was_not_read_whole_is_an_error(monkeypatch: pytest.MonkeyPatch) -> None:
    answered(monkeypatch, {"results": {"failed_checks": []}, "summary": {"passed": 1, "parsing_errors": 1}})
    with pytest.raises(audit.AuditError, match="could not read prod whole"):
        audit.scan("prod", {})


def test_a_known_vulnerability_fails_and_says_what_fixes_it(monkeypatch: pytest.MonkeyPatch) -> None:
    vulnerability = {"id": "PYSEC-1", "fix_versions": ["2.0"]}
    answered(monkeypatch, {"dependencies": [{"name": "x", "version": "1.0", "vulns": [vulnerability]}]})
    outcome = audit.dependencies()
    assert outcome.problems[0] == "x 1.0 has PYSEC-1: fixed in 2.0"


def test_an_audit_that_could_not_be_made_says_so(monkeypatch: pytest.MonkeyPatch) -> None:
    for answer in ("", {"dependencies": [{"name": "x", "skip_reason": "not found"}]}):
        answered(monkeypatch, answer)
        outcome = audit.dependencies()
        assert not outcome.problems
        assert all("NOT audited" in note for note in outcome.notes)


def test_a_secret_fails_without_being_shown_and_a_stale_exception_too(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    baseline = tmp_path / "secrets.json"
    baseline.write_text(json.dumps({"gone": "an example"}))
    monkeypatch.setattr(audit, "BASELINE", baseline)
    item = {"line_number": 7, "type": "AWS Access Key", "hashed_secret": "digest"}
    answered(monkeypatch, {"results": {"lib/x.py": [item]}})
    first, second = audit.secrets().problems
    assert first.startswith("lib/x.py:7: AWS Access Key digest")
    assert "gone (an example) is gone" in second


def test_the_scanners_see_no_credentials(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("AWS_SECRET_ACCESS_KEY", "hunter2")
    seen: dict[str, str] = {}

    def run(_: list[str], env: dict[str, str], **__: Any) -> subprocess.CompletedProcess[str]:
        seen.update(env)
        return subprocess.CompletedProcess([], 0, "", "")

    monkeypatch.setattr("subprocess.run", run)
    audit.tool("checkov")
    assert seen
    assert "hunter2" not in seen.values()


def test_a_finding_in_a_workflow_fails_and_says_where(monkeypatch: pytest.MonkeyPatch) -> None:
    where = {
        "symbolic": {"key": {"Local": {"verbatim_path": ".github/workflows/check.yml"}}},
        "concrete": {"location": {"start_point": {"row": 5}}},
    }
    item = {"desc": "a tag can be moved", "url": "https://example.com/docs", "ignored": False, "locations": [where]}
    answered(monkeypatch, [item, {**item, "ignored": True}])
    problems = audit.workflows().problems
    assert problems == [".github/workflows/check.yml:6: a tag can be moved (https://example.com/docs)"]


def test_workflows_without_a_report_are_no_pass(monkeypatch: pytest.MonkeyPatch) -> None:
    for answer in ("", "{}", [{"desc": "half"}], ["text"]):
        answered(monkeypatch, answer)
        with pytest.raises(audit.AuditError, match="zizmor gave no report"):
            audit.workflows()
