"""`nox -s plan`, as people call it: what is printed, where a value comes from, how it ends."""

from __future__ import annotations

import ast
import json
import os
import re
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest

from lib.contracts import STACKS
from lib.plan import __main__ as cli
from lib.plan.recorder import record_projects
from lib.runtimes import warning
from tests import kit

DATA = """\
tap-data/spec: 1 resource
  aws:region = us-east-1 (stacks/data/Pulumi.yaml)
  Table  items-table  lib/components/table.py:LINE
      attributes                   [{"name": "ItemId", "type": "S"}, {"name": "CreatedAt", "type": "S"}]
      billingMode                  PAY_PER_REQUEST
      deletionProtectionEnabled    false
      hashKey                      ItemId
      name                         spec-items-table
      pointInTimeRecovery          {"enabled": true}
      rangeKey                     CreatedAt
      serverSideEncryption         {"enabled": true}
      tags                         {"Owner": "LLM-Eval", "Project": "IaC-Nova-Test"}
      ttl                          {"attributeName": "tap:expires", "enabled": true}
  exports
      dynamodb_table_arn           ${Table.items-table.arn}
      dynamodb_table_name          spec-items-table
"""

MONITORING = """\
flowchart LR
  subgraph tap_monitoring["tap-monitoring"]
    tap_monitoring_MetricAlarm["MetricAlarm (3)"]
    tap_monitoring_Topic["Topic<br/>items-alarms"]
    tap_monitoring_TopicPolicy["TopicPolicy<br/>items-alarms"]
  end
  tap_compute["tap-compute"]
  tap_compute -- "lambda_function_name" --> tap_monitoring
  tap_monitoring_Topic --> tap_monitoring_MetricAlarm
  tap_monitoring_Topic --> tap_monitoring_TopicPolicy
"""


def plan(capsys: pytest.CaptureFixture[str], *arguments: str, code: int = 0) -> str:
    """Call the command line and return what it printed; on failure, what it said on stderr."""
    try:
        ended = cli.main(list(arguments))
    except SystemExit as stop:
        ended = int(str(stop.code))
    out, err = capsys.readouterr()
    assert ended == code, err
    assert "Traceback" not in err
    return err if code else out


def planned(capsys: pytest.CaptureFixture[str], *arguments: str) -> dict[str, Any]:
    document: dict[str, Any] = json.loads(plan(capsys, *arguments, "--json"))
    return document


def test_a_stack_as_text(capsys: pytest.CaptureFixture[str]) -> None:
    shown = re.sub(r"(?<=table\.py:)\d+", "LINE", plan(capsys, "data", "--env", "spec"))
    assert shown.startswith(DATA), shown


def test_a_stack_as_a_diagram(capsys: pytest.CaptureFixture[str]) -> None:
    assert plan(capsys, "monitoring", "--env", "spec", "--mermaid") == MONITORING


def test_every_resource_of_every_stack_is_in_the_text(capsys: pytest.CaptureFixture[str]) -> None:
    shown = plan(capsys, "--env", "spec", "--full")
    lines = {tuple(line.split()[:2]) for line in shown.splitlines() if re.match(r"  \w", line)}
    assert kit.identities(kit.deployed("stacks").real) <= lines


def test_what_repeats_is_counted_unless_it_is_asked_for(capsys: pytest.CaptureFixture[str]) -> None:
    brief = plan(capsys, "api", "--env", "spec")
    assert "  Method (11)  " in brief
    assert "  Integration (11)  " in brief
    assert "  Response (21)  " in brief
    assert len(plan(capsys, "api", "--env", "spec", "--full").splitlines()) > 3 * len(brief.splitlines())


def test_a_value_says_where_it_comes_from(capsys: pytest.CaptureFixture[str]) -> None:
    shown = plan(capsys, "--env", "spec")
    assert re.search(r"policy +\{.*\}   <- tap-data\.dynamodb_table_arn\n", shown), "from another stack"
    assert re.search(r"role +\$\{Role\.items-lambda-role\.arn\}   <- Role items-lambda-role\n", shown), "from this one"
    assert re.search(r"function +spec-items-lambda   <- tap-compute\.lambda_function_name\n", shown)


def test_one_stack_alone_says_so_as_well(capsys: pytest.CaptureFixture[str]) -> None:
    assert "<- tap-compute.lambda_function_name" in plan(capsys, "api", "--env", "spec")


def test_the_json_holds_every_input_and_origin(capsys: pytest.CaptureFixture[str]) -> None:
    document = planned(capsys, "--env", "spec")
    assert document.keys() == {"environment", "stacks", "policy"}
    assert document["environment"] == "spec"
    assert [stack["project"] for stack in document["stacks"]] == [contract.project for contract in STACKS]
    data, compute, api, _ = document["stacks"]
    assert data["exports"] == {
        "dynamodb_table_arn": "${Table.items-table.arn}",
        "dynamodb_table_name": "spec-items-table",
    }
    assert compute["reads"] == ["organization/tap-data/spec"]
    function = next(one for one in compute["resources"] if one["type"] == "aws:lambda/function:Function")
    assert function.keys() == {
        *("urn", "type", "name", "parent", "declaredAt", "protect", "dependsOn", "inputs", "from"),
    }
    assert function["from"] == {
        "environment": ["tap-data.dynamodb_table_name"],
        "role": ["Role items-lambda-role"],
    }
    assert function["inputs"]["code"].keys() == {"files", "bytes", "sha256"}, "code is identified, not repeated"
    assert "lib/handler/items.py" in function["inputs"]["code"]["files"]
    for stack, recording in zip(document["stacks"], record_projects(kit.STACK_DIRECTORIES, "spec"), strict=True):
        shown = {one["urn"]: one["inputs"] for one in stack["resources"]}
        assert {urn: inputs.keys() for urn, inputs in shown.items()} == {
            one.urn: one.inputs.keys() for one in recording.real
        }
    assert len(api["resources"]) == 51


def test_two_plans_are_equal_to_the_letter() -> None:
    """In processes of their own: hash seeds and the order in which registrations arrive differ."""
    outputs = {
        subprocess.run(
            [sys.executable, "-m", "lib.plan", "--json"],
            cwd=kit.ROOT,
            env={**os.environ, "PYTHONHASHSEED": seed},
            capture_output=True,
            check=True,
        ).stdout
        for seed in ("1", "2")
    }
    assert len(outputs) == 1
    stacks = json.loads(outputs.pop())["stacks"]
    inputs = [resource["inputs"] for stack in stacks for resource in stack["resources"]]
    assert json.dumps(inputs) == json.dumps(inputs, sort_keys=True), "protobuf keeps no order"


def test_the_plan_needs_no_cli_no_credentials_and_no_network() -> None:
    finished = subprocess.run(
        [sys.executable, "-m", "lib.plan"],
        cwd=kit.ROOT,
        env={"PATH": "/nonexistent", "AWS_EC2_METADATA_DISABLED": "true", "https_proxy": "http://127.0.0.1:9"},
        capture_output=True,
        text=True,
        check=False,
    )
    assert finished.returncode == 0, finished.stderr
    assert finished.stderr == ""
    assert finished.stdout.startswith("tap-data/dev: 1 resource\n")


def test_tapstack_has_a_plan_too(capsys: pytest.CaptureFixture[str]) -> None:
    (stack,) = planned(capsys, "tap", "--env", "spec")["stacks"]
    assert stack["project"] == "tap"
    assert len(stack["resources"]) == len(kit.deployed("tap").real)
    assert stack["reads"] == []


def test_the_environment_is_the_one_that_is_asked_for(capsys: pytest.CaptureFixture[str]) -> None:
    shown = plan(capsys, "data", "--env", "prod")
    assert "Table  items-table  (protected)" in shown
    assert "tap:deletionProtection = true (config/Pulumi.prod.yaml)" in shown
    assert "prod-items-table" in shown


def test_a_setting_can_be_tried(capsys: pytest.CaptureFixture[str]) -> None:
    shown = plan(capsys, "compute", "--env", "spec", "--set", "lambdaMemory=512", "--set", "aws:region=eu-west-1")
    assert "tap:lambdaMemory = 512 (given)" in shown
    assert "aws:region = eu-west-1 (given)" in shown
    assert re.search(r"memorySize +512\n", shown)


def test_a_warning_is_shown(capsys: pytest.CaptureFixture[str]) -> None:
    from datetime import UTC, datetime

    said = warning("python3.9", datetime.now(UTC).date())
    assert f"  ! {said}\n" in plan(capsys, "compute", "--env", "spec")


def test_the_rules_judge_the_plan(capsys: pytest.CaptureFixture[str]) -> None:
    assert re.search(r"\npolicy: \d+ to fix, \d+ advised, \d+ waived \(\d+ rules\)\n$", plan(capsys, "--env", "spec"))
    assert planned(capsys, "--env", "spec")["policy"].keys() == {"findings", "problems", "failed"}


@pytest.mark.parametrize(
    ("arguments", "says"),
    [
        (("--set", "lambdaTimeout=x"), "tap:lambdaTimeout must be a whole number, got 'x'"),
        (("--set", "lambdaTimout=5"), "did you mean tap:lambdaTimeout?"),
        (("--set", "aws:region=mars"), "aws:region must be a commercial region"),
        (("--env", "Prod"), "tap:environmentSuffix (the stack's name, unless set) must be lower-case"),
        (("--set", "lambdaTimeout"), "--set takes KEY=VALUE, got 'lambdaTimeout'"),
        (("stack",), "invalid choice: 'stack'"),
        (("--json", "--mermaid"), "not allowed with argument"),
    ],
)
def test_a_mistake_is_said_in_words_with_exit_code_2(
    capsys: pytest.CaptureFixture[str], arguments: tuple[str, ...], says: str
) -> None:
    assert says in plan(capsys, *arguments, code=2)


def test_several_mistakes_are_said_at_once(capsys: pytest.CaptureFixture[str]) -> None:
    said = plan(capsys, "--set", "lambdaTimeout=x", "--set", "lambdaMemory=1", "--env", "Prod", code=2)
    assert said.count("\n  ") == 3, said


def test_a_secret_is_never_printed(capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch) -> None:
    """An encrypted value of a stack's file is not decrypted, nor is its text shown."""
    text = "config:\n  tap:logLevel:\n    secure: AAABAHunter2\n"
    read, there = Path.read_text, Path.is_file

    def read_text(self: Path, *args: Any, **kwargs: Any) -> str:
        return text if self.name == "Pulumi.spec.yaml" else read(self, *args, **kwargs)

    def is_file(self: Path) -> bool:
        return self.name == "Pulumi.spec.yaml" or there(self)

    monkeypatch.setattr(Path, "read_text", read_text)
    monkeypatch.setattr(Path, "is_file", is_file)
    said = plan(capsys, "data", "--env", "spec", code=2)
    assert "Hunter2" not in said
    assert "tap:logLevel is set as a secret" in said


DRAWN = [
    path for path in (kit.ROOT / "README.md", *kit.ROOT.glob("docs/**/*.md")) if cli.BLOCK.search(path.read_text())
]


def test_every_document_with_a_diagram_is_drawn_again_by_nox() -> None:
    drawn = {path.relative_to(kit.ROOT) for path in DRAWN}
    assert Path("README.md") in drawn, "the architecture is shown where people look first"
    assert drawn <= set(cli.WITH_DIAGRAMS)


@pytest.mark.parametrize("path", DRAWN, ids=lambda path: path.name)
def test_the_diagrams_in_a_document_are_fresh(path: Path) -> None:
    text = path.read_text(encoding="utf-8")
    assert cli.with_diagrams(text) == text, "run `nox -s docs`"


def test_a_stale_diagram_is_drawn_again() -> None:
    stale = "before\n<!-- diagram: data -->\n```mermaid\nold\n```\n<!-- /diagram -->\nafter\n"
    fresh = cli.with_diagrams(stale)
    assert fresh.startswith("before\n<!-- diagram: data -->\n```mermaid\nflowchart LR\n")
    assert fresh.endswith("\n```\n<!-- /diagram -->\nafter\n")
    assert "old" not in fresh


def test_every_declaration_is_where_the_plan_says(capsys: pytest.CaptureFixture[str]) -> None:
    for stack in planned(capsys, "--env", "spec")["stacks"]:
        for resource in stack["resources"]:
            file, _, line = resource["declaredAt"].rpartition(":")
            calls = [
                node
                for node in ast.walk(ast.parse((kit.ROOT / file).read_text(encoding="utf-8")))
                if isinstance(node, ast.Call) and node.lineno <= int(line) <= (node.end_lineno or 0)
            ]
            assert calls, resource["declaredAt"]
