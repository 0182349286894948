"""What runs in CI, and with which rights; and that the documents about security say what is so."""

from __future__ import annotations

import json
import re
from pathlib import Path
from typing import Any

import pytest
import yaml
from pulumi_aws import cloudwatch, kms, sns

from lib.plan import recorder
from lib.program import ROOT
from lib.settings import Settings
from policy.check import Config, check
from policy.model import conditions, principals
from tests.unit.policy.programs import PUBLISH, document

WORKFLOWS = sorted((ROOT / ".github" / "workflows").glob("*.yml"))
PINNED = re.compile(r"[\w.-]+/[\w./-]+@[0-9a-f]{40} # v\d+\.\d+\.\d+")


def jobs(path: Path) -> dict[str, dict[str, Any]]:
    found: dict[str, dict[str, Any]] = yaml.safe_load(path.read_text())["jobs"]
    return found


def test_there_are_workflows_to_look_at() -> None:
    assert [path.name for path in WORKFLOWS] == ["check.yml", "deploy.yml"]


@pytest.mark.parametrize("path", WORKFLOWS, ids=lambda path: path.name)
def test_every_action_is_pinned_to_a_commit_and_says_its_version(path: Path) -> None:
    used = re.findall(r"uses: (.*)", path.read_text())
    assert used
    assert not [action for action in used if not PINNED.fullmatch(action)], "a tag can be moved to other code"


@pytest.mark.parametrize("path", WORKFLOWS, ids=lambda path: path.name)
def test_a_job_has_no_right_that_it_does_not_name(path: Path) -> None:
    assert yaml.safe_load(path.read_text())["permissions"] == {}
    for name, job in jobs(path).items():
        expected = {"contents": "read", **({"id-token": "write"} if name == "deploy" else {})}
        assert job["permissions"] == expected
        assert job["timeout-minutes"]
        for step in job["steps"]:
            if "checkout" in step.get("uses", ""):
                assert step["with"]["persist-credentials"] is False


@pytest.mark.parametrize("path", WORKFLOWS, ids=lambda path: path.name)
def test_nothing_from_outside_is_put_into_a_shell_command(path: Path) -> None:
    for job in jobs(path).values():
        for step in job["steps"]:
            assert "${{" not in step.get("run", ""), "an expression in a command is code of whoever chose its value"


def test_a_deploy_is_never_cancelled_and_runs_in_the_environment_that_its_role_trusts() -> None:
    path = ROOT / ".github" / "workflows" / "deploy.yml"
    assert yaml.safe_load(path.read_text())["concurrency"]["cancel-in-progress"] is False
    job = jobs(path)["deploy"]
    assert job["environment"] == "${{ inputs.environment }}-${{ inputs.stack }}"
    (role,) = [step["with"]["role-to-assume"] for step in job["steps"] if "configure-aws" in step.get("uses", "")]
    assert role.endswith("role/${{ inputs.environment }}-${{ inputs.stack }}-deployer")
    assert "AWS_SECRET_ACCESS_KEY" not in path.read_text(), "there is no long-lived key"


def documented_key_policy() -> str:
    text = (ROOT / "docs" / "security-options.md").read_text()
    return text.split("<!-- key policy -->\n```json\n")[1].split("```")[0]


def test_the_documented_key_lets_alarms_through_and_nobody_else_in() -> None:
    def program() -> None:
        key = kms.Key("k", policy=documented_key_policy(), enable_key_rotation=True)
        topic = sns.Topic("t", kms_master_key_id=key.arn)
        sns.TopicPolicy("t", arn=topic.arn, policy=document(**PUBLISH))
        cloudwatch.MetricAlarm(
            "a", comparison_operator="GreaterThanThreshold", evaluation_periods=1, alarm_actions=[topic.arn]
        )

    found = {f.rule.id for f in check([recorder.record(program)], config=Config(), waivers=[]).findings}
    assert not found & {"alarm-delivers", "key-not-public", "key-rotates"}
    for statement in json.loads(documented_key_policy())["Statement"]:
        if ("AWS", "arn:aws:iam::123456789012:root") not in principals(statement):
            assert conditions(statement), "a service or everyone, without this account as a condition"


def test_the_costs_name_every_security_setting() -> None:
    text = (ROOT / "docs" / "security-options.md").read_text()
    named = set(re.findall(r"tap:(\w+)", text))
    assert named >= {
        "accessLogs",
        "authorization",
        "certificateArn",
        "cognitoUserPoolArn",
        "deletionProtection",
        "detailedMetrics",
        "domainName",
        "executionLogs",
        "kmsKeyArn",
        "lambdaReservedConcurrency",
        "logRetentionDays",
        "permissionsBoundaryArn",
        "protect",
        "tracing",
        "waf",
    }
    fields = {name.replace("_", "") for name in Settings.__dataclass_fields__}
    assert not [name for name in named if name.lower() not in fields], "a document names a setting that is none"


@pytest.mark.parametrize("name", ["SECURITY.md", "docs/policy.md", "docs/security-options.md"])
def test_what_a_document_points_to_is_there(name: str) -> None:
    file = ROOT / name
    for target in re.findall(r"\]\((?!https?:)([^)#]+)", file.read_text()):
        assert (file.parent / target).exists(), f"{name} points to {target}"
