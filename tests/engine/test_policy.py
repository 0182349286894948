"""The policy pack in the real engine: what it finds is what the plan finds, and production stops where it must."""

from __future__ import annotations

import json
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from tests.engine.machine import Checkout

pytestmark = pytest.mark.engine

# One edit of a component each, and the rule that it breaks: some look at one resource, some at the whole stack.
EDITS = [
    ("table.py", "TablePointInTimeRecoveryArgs(enabled=True)", "TablePointInTimeRecoveryArgs(enabled=False)"),
    ("monitoring.py", 'treat_missing_data="notBreaching"', 'treat_missing_data="missing"'),
    ("monitoring.py", '"Effect": "Deny"', '"Effect": "Allow"'),
    ("monitoring.py", '"cloudwatch.amazonaws.com"', '"events.amazonaws.com"'),
    ("function.py", "depends_on=[logs, basic, *granted]", "depends_on=[basic, *granted]"),
    ("rest_api.py", 'method_path="*/*"', 'method_path="items/GET"'),
]
BROKEN = {
    "table-recoverable",
    "alarm-missing-data",
    "topic-tls-only",
    "topic-not-public",
    "alarm-delivers",
    "function-log-group",
    "api-throttled",
}

Finding = tuple[str, str, str]


@pytest.fixture(scope="module")
def checkout(new_checkout: Callable[[str], Checkout]) -> Checkout:
    return new_checkout("policy")


@pytest.fixture
def broken(checkout: Checkout) -> Any:
    """The checkout with every edit in it."""
    for file, old, new in EDITS:
        checkout.edit(f"lib/components/{file}", old, new)
    yield checkout
    checkout.restore()


def planned(checkout: Checkout) -> set[Finding]:
    """Return what the plan of the same programs finds: (rule, resource, level)."""
    done = subprocess.run(
        [sys.executable, "-m", "lib.plan", "tap", "--env", checkout.env, "--json"],
        cwd=checkout.root,
        env=checkout.variables,
        capture_output=True,
        text=True,
        check=False,
    )
    findings = json.loads(done.stdout)["policy"]["findings"]
    return {(item["rule"], item["resource"], item["level"]) for item in findings}


def judged(
    checkout: Checkout, verb: str, directory: Path, *arguments: str
) -> tuple[subprocess.CompletedProcess[str], set[Finding]]:
    """Run the engine with the pack; return how it ended and what the pack found."""
    log = directory / f"{verb}.json"
    yes = ["--yes", "--skip-preview"] if verb == "up" else []
    checkout.pulumi(".", "stack", "init", checkout.env)
    stack = ["--stack", checkout.env, "--policy-pack", "policy", "--event-log", str(log)]
    # The engine has no --event-log without this.
    done = checkout.pulumi(".", verb, *stack, *yes, *arguments, PULUMI_DEBUG_COMMANDS="true")
    assert log.is_file(), done.stderr
    found = set()
    for line in log.read_text().splitlines():
        if event := json.loads(line).get("policyEvent"):
            environment, project, types, name = event["resourceUrn"].removeprefix("urn:pulumi:").split("::")
            resource = f"{project}/{environment}/{types.rpartition(':')[2]}/{name}"
            found.add((event["policyName"], resource, event["enforcementLevel"]))
    return done, found


def test_what_is_committed_deploys_and_the_engine_advises_what_the_plan_advises(
    checkout: Checkout, tmp_path: Path
) -> None:
    done, found = judged(checkout, "up", tmp_path)
    assert done.returncode == 0, done.stdout + done.stderr
    assert (
        found == planned(checkout) == {("function-supported-runtime", "tap/policy/Function/items-lambda", "advisory")}
    )


def test_broken_components_are_found_by_the_engine_as_by_the_plan(broken: Checkout, tmp_path: Path) -> None:
    other = broken.in_environment("policy-broken")
    done, found = judged(other, "up", tmp_path)
    assert done.returncode == 0, f"in development it is advice: {done.stdout}{done.stderr}"
    assert found == planned(other)
    assert {rule for rule, _, _ in found} >= BROKEN


def test_production_is_refused_before_anything_is_made(broken: Checkout, tmp_path: Path) -> None:
    production = broken.in_environment("prod")
    done, found = judged(production, "up", tmp_path)
    assert done.returncode != 0
    assert ("table-recoverable", "tap/prod/Table/items-table", "mandatory") in found
    assert found <= planned(production), "the engine stops early, and finds nothing that the plan does not"
    assert "Set point_in_time_recovery" in done.stdout + done.stderr, "who is stopped has to read how to go on"
    assert "prod-items-table" not in production.client("dynamodb").list_tables()["TableNames"]


def test_a_rule_can_be_set_for_one_run(broken: Checkout, tmp_path: Path) -> None:
    config = tmp_path / "policy.json"
    config.write_text(json.dumps({"table-recoverable": "disabled", "alarm-missing-data": "mandatory"}))
    other = broken.in_environment("policy-set")
    done, found = judged(other, "preview", tmp_path, "--policy-pack-config", str(config))
    assert done.returncode != 0
    assert "table-recoverable" not in {rule for rule, _, _ in found}
    assert {level for rule, _, level in found if rule == "alarm-missing-data"} == {"mandatory"}


def test_a_secret_is_in_no_event_no_output_no_log_and_no_state(checkout: Checkout, tmp_path: Path) -> None:
    secret = "battery-staple-in-the-clear"
    old = '"LOG_LEVEL": settings.log_level,'
    checkout.edit("lib/items.py", old, f'{old} "NOTE": pulumi.Output.secret("{secret}"),')
    try:
        other = checkout.in_environment("policy-secret")
        done, found = judged(other, "up", tmp_path)
        assert done.returncode == 0, done.stdout + done.stderr
        assert found, "the pack saw the secret, so its silence means something"
        run = other.run("preview", "tap")
        state = json.dumps(other.state("."))
    finally:
        checkout.restore()
    assert "ciphertext" in state
    variables = other.client("lambda").get_function_configuration(FunctionName="policy-secret-items-lambda")
    assert variables["Environment"]["Variables"]["NOTE"] == secret, "the function itself gets it"
    for text in (done.stdout, done.stderr, (tmp_path / "up.json").read_text(), str(run), state):
        assert secret not in text


def test_a_setting_that_is_kept_secret_is_refused_without_a_trace(checkout: Checkout, tmp_path: Path) -> None:
    address = "nobody-may-read@example.com"
    other = checkout.in_environment("policy-config")
    other.pulumi(".", "stack", "init", "organization/tap/policy-config")
    value = json.dumps([address])
    try:
        kept = other.pulumi(".", "config", "set", "--stack", "policy-config", "--secret", "tap:alarmEmails", value)
        assert kept.returncode == 0, kept.stderr
        done = other.pulumi(".", "up", "--yes", "--skip-preview", "--stack", "policy-config")
        assert done.returncode != 0
        assert "tap:alarmEmails is set as a secret" in done.stdout + done.stderr
        run = other.run("preview", "tap")
        state = json.dumps(other.state("."))
    finally:
        checkout.restore()
    for text in (done.stdout, done.stderr, str(run), state):
        assert address not in text
