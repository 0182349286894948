"""What the audit hands to the scanners, and what it makes of their answers; `nox -s audit` runs the scanners."""

from __future__ import annotations

import json
import subprocess
from pathlib import Path
from typing import Any

import pytest

from lib.audit import __main__ as audit
from lib.audit.terraform import rendered
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


def test_a_new_failure_and_one_that_is_gone_both_fail() -> None:
    assert audit.compare("prod", {"CKV_1": "words"}, {"CKV_1": "why"}) == []
    (new,) = audit.compare("prod", {"CKV_1": "words", "CKV_2": "more"}, {"CKV_1": "why"})
    assert "CKV_2 is new: more" in new
    (gone,) = audit.compare("prod", {}, {"CKV_1": "why"})
    assert "CKV_1 does not fail any more" in gone


def test_every_accepted_failure_has_a_reason_and_production_fails_no_more_than_development() -> None:
    accepted = audit.expected()
    for checks in accepted.values():
        assert checks
        assert all(reason.endswith(".") and len(reason) > 20 for reason in checks.values())
    assert accepted["prod"].keys() <= accepted["dev"].keys()


def test_a_scanner_that_gives_no_report_is_an_error_and_no_pass(monkeypatch: pytest.MonkeyPatch) -> None:
    for answer in ("", "Traceback", '{"passed": 0, "failed": 0}'):
        answered(monkeypatch, answer)
        with pytest.raises(audit.AuditError, match="no report"):
            audit.checkov()


def test_a_check_that_crashed_is_an_error(monkeypatch: pytest.MonkeyPatch) -> None:
    report = {"results": {"failed_checks": []}, "summary": {"passed": 1, "parsing_errors": 0}}
    answered(monkeypatch, report, stderr="[ERROR] Failed to run check CKV_AWS_1")
    with pytest.raises(audit.AuditError, match="CKV_AWS_1"):
        audit.checkov()


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
