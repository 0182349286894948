"""deploy_all and its neighbours on the real engine, over one environment that the tests share, in this order."""

from __future__ import annotations

import json
import urllib.request
from collections.abc import Callable
from pathlib import Path

import pytest

from tests.engine.machine import Checkout, Run, get

pytestmark = pytest.mark.engine

NOTHING: dict[str, dict[str, int]] = {"data": {}, "compute": {}, "api": {}, "monitoring": {}}
ALL = dict.fromkeys(NOTHING, "succeeded")


@pytest.fixture(scope="module")
def shared(new_checkout: Callable[[str], Checkout]) -> Checkout:
    """The environment of these tests."""
    return new_checkout("shared")


@pytest.fixture(scope="module")
def first(shared: Checkout) -> Run:
    """The first deploy_all, from nothing."""
    return shared.run("deploy_all", "--yes")


@pytest.fixture
def deployed(shared: Checkout, first: Run) -> Checkout:
    """The environment once everything stands, for tests that leave it as it was."""
    assert first.code == 0, f"everything after this needs the first deploy: {first}"
    return shared


def items_url(checkout: Checkout, run: Run) -> str:
    """Where the emulator itself answers for the deployed API."""
    outputs = run.outputs
    return f"{checkout.emulator.endpoint}/restapis/{outputs['api_rest_id']}/{outputs['api_stage']}/_user_request_/items"


def test_a_preview_of_a_fresh_environment_shows_everything_and_leaves_nothing(shared: Checkout) -> None:
    fresh = shared.in_environment("fresh")
    run = fresh.run("preview_all")
    assert run.code == 0, run
    assert run.status == ALL, "stacks whose upstream does not exist yet can be previewed too"
    assert all(changes.keys() == {"create"} for changes in run.changes.values()), run.changes
    assert run.outputs["dynamodb_table_name"] == "fresh-items-table", "what is known already is passed downstream"
    assert run.outputs["dynamodb_table_arn"] is None, "what only AWS can tell is not made up"
    marked = [event["stack"] for event in run.of("message") if "only its deploy will tell" in event["text"]]
    assert sorted(marked) == ["api", "compute", "monitoring"], "a preview that rests on unknowns says so"
    listed = fresh.pulumi(".", "stack", "ls", "--all", "--json").stdout
    assert "/fresh" not in listed, "a preview must not leave stacks behind"
    assert not (fresh.root / "config" / "Pulumi.fresh.yaml").exists(), "nor a configuration file"


def test_one_stack_of_a_fresh_environment_says_what_it_needs_first(shared: Checkout) -> None:
    run = shared.in_environment("fresh").run("deploy", "api", "--yes")
    assert run.code == 10, run
    assert "organization/tap-compute/fresh, which was never deployed" in run.found
    assert run.summary["next"] == "nox -s deploy -- compute --env fresh"


def test_deploy_all_from_nothing_serves_a_real_request(shared: Checkout, first: Run) -> None:
    assert first.code == 0, first
    assert first.status == ALL
    assert [changes["create"] > 0 for changes in first.changes.values()] == [True] * 4
    url = items_url(shared, first)
    body = json.dumps({"ItemId": "a", "colour": "red"}).encode()
    post = urllib.request.Request(url, body, {"Content-Type": "application/json"})  # noqa: S310
    with urllib.request.urlopen(post, timeout=60) as answer:  # noqa: S310 - the emulator of this machine
        assert answer.status == 201
    status, page = get(url)
    assert (status, [item["colour"] for item in page["items"]]) == (200, ["red"])


def test_stacks_start_in_the_order_of_the_contracts_and_independent_ones_together(first: Run) -> None:
    updates = [
        (event["stack"], event["status"])
        for event in first.of("stack-changed", phase="update")
        if event["status"] in {"running", "succeeded"}
    ]
    at = {step: number for number, step in enumerate(updates)}
    assert at["data", "succeeded"] < at["compute", "running"]
    assert at["compute", "succeeded"] < min(at["api", "running"], at["monitoring", "running"])
    both = min(at["api", "succeeded"], at["monitoring", "succeeded"])
    assert max(at["api", "running"], at["monitoring", "running"]) < both, (
        "api and monitoring need not wait for each other"
    )


def test_the_configuration_stays_usable_and_gains_only_the_salt(deployed: Checkout) -> None:
    text = (deployed.root / "config" / "Pulumi.shared.yaml").read_text()
    assert text.startswith("encryptionsalt: "), "the salt of the secrets' key is all the engine adds"
    assert len(text.splitlines()) == 1


def test_the_state_before_each_change_is_kept_where_only_the_user_reads_it(deployed: Checkout) -> None:
    runs = sorted((deployed.root / ".tap" / "deploys" / "shared").iterdir())
    saved = sorted(runs[0].glob("*.before.json"))
    assert [path.name.split(".")[0] for path in saved] == ["api", "compute", "data", "monitoring"]
    for path in runs[0].iterdir():
        assert path.stat().st_mode & 0o077 == 0, f"{path.name} may hold what others must not read"


def test_again_without_changes_changes_nothing(deployed: Checkout) -> None:
    run = deployed.run("deploy_all", "--yes")
    assert run.code == 0, run
    assert run.changes == NOTHING


def test_pulumi_up_by_hand_and_deploy_all_agree_on_the_same_state(deployed: Checkout) -> None:
    by_hand = deployed.pulumi("stacks/data", "preview", "--expect-no-changes", "--stack", "shared")
    assert by_hand.returncode == 0, by_hand.stdout + by_hand.stderr
    deployed.configure(alarmDurationMs="3000")
    by_hand = deployed.pulumi("stacks/monitoring", "up", "--yes", "--skip-preview", "--stack", "shared")
    assert by_hand.returncode == 0, by_hand.stdout + by_hand.stderr
    assert "1 updated" in by_hand.stdout
    run = deployed.run("deploy", "monitoring", "--yes")
    assert run.code == 0, run
    assert run.changes == {"monitoring": {}}, "what was done by hand is not done again"


def test_only_what_is_affected_is_deployed(deployed: Checkout) -> None:
    deployed.configure(logRetentionDays="30")
    run = deployed.run("deploy_all", "--yes", "--affected")
    assert run.code == 0, run
    assert run.status == {**dict.fromkeys(NOTHING, "unaffected"), "compute": "succeeded"}
    assert run.changes["compute"] == {"update": 1}


def test_a_changed_export_names_the_stacks_to_redeploy_and_affects_them(deployed: Checkout) -> None:
    deployed.edit("lib/items.py", "lambda_log_group_name=function.log_group_name", 'lambda_log_group_name="elsewhere"')
    try:
        run = deployed.run("deploy", "compute", "--yes")
        assert run.code == 0, run
        assert run.summary["redeploy"] == ["api", "monitoring"]
        assert run.summary["next"] == "nox -s deploy_all -- --env shared --affected"
        run = deployed.run("deploy_all", "--yes", "--affected")
    finally:
        deployed.restore()
    assert run.code == 0, run
    assert run.status == {
        "data": "unaffected",
        "compute": "unaffected",
        "api": "succeeded",
        "monitoring": "succeeded",
    }
    assert run.of("message", stack="api")[0]["text"] == "affected: lambda_log_group_name of compute changed"
    assert deployed.run("deploy", "compute", "--yes").code == 0


def test_an_output_that_is_no_longer_exported_stops_before_anything_changes(deployed: Checkout) -> None:
    program = "stacks/data/__main__.py"
    deployed.edit(
        program,
        "items.data(Settings.load()).export()",
        'import pulumi\npulumi.export("table", items.data(Settings.load()).dynamodb_table_name)',
    )
    try:
        run = deployed.run("deploy_all", "--yes")
        assert run.code == 11, run
        assert run.status["data"] == "failed"
        assert not run.summary["changed"]
        assert "dynamodb_table_name, dynamodb_table_arn" in run.summary["stacks"][0]["why"]
        by_hand = deployed.pulumi("stacks/data", "up", "--yes", "--skip-preview", "--stack", "shared")
        assert by_hand.returncode == 0, by_hand.stdout + by_hand.stderr
        run = deployed.run("deploy", "compute", "--yes")
        assert run.code == 11, run
        assert "compute needs dynamodb_table_name, dynamodb_table_arn of organization/tap-data/shared" in run.found
        assert "there is table" in run.found, "a renamed output is found by seeing what there is"
    finally:
        deployed.restore()
    assert deployed.run("deploy", "data", "--yes").code == 0


def test_a_wrong_passphrase_is_found_before_anything_changes(deployed: Checkout) -> None:
    run = deployed.run("deploy_all", "--yes", PULUMI_CONFIG_PASSPHRASE="wrong")
    assert run.code == 3, run
    assert "incorrect passphrase" in run.found
    assert run.summary["changed"] is False


def test_a_backend_that_cannot_be_reached_is_found(deployed: Checkout) -> None:
    run = deployed.run("deploy_all", "--yes", PULUMI_BACKEND_URL="file:///nowhere/at/all")
    assert run.code == 2, run
    assert "file:///nowhere/at/all" in run.found


def test_another_region_or_account_is_refused_and_everything_is_reported_at_once(deployed: Checkout) -> None:
    project = "stacks/data/Pulumi.yaml"
    allowed = "aws:region: eu-west-1\n  aws:allowedAccountIds: ['999999999999']"
    deployed.edit(project, "aws:region: us-east-1", allowed)
    try:
        run = deployed.run("deploy_all", "--yes", PULUMI_CONFIG_PASSPHRASE="wrong")
    finally:
        deployed.restore()
    assert {event["exit"] for event in run.of("found", severity="error")} == {3, 16}, run
    assert "aws:region says eu-west-1" in run.found
    begun = {event["stack"] for event in run.of("stack-changed", status="running")}
    assert begun <= {"data"}, "the first preview runs beside the preflight, and nothing after it"
    assert run.summary["stacks"] == []


def test_replacing_the_table_is_refused_unless_it_is_named(deployed: Checkout) -> None:
    deployed.edit("lib/items.py", 'hash_key="ItemId"', 'hash_key="Id"')
    try:
        run = deployed.run("deploy_all", "--yes")
    finally:
        deployed.restore()
    assert run.code == 13, run
    assert "replace the table shared-items-table with all its items" in run.found
    assert "--allow-data-loss shared-items-table" in run.summary["next"]
    assert deployed.client("dynamodb").scan(TableName="shared-items-table")["Count"] == 1, "the item is still there"


def test_destroying_what_others_stand_on_is_refused(deployed: Checkout) -> None:
    run = deployed.run("destroy", "compute", "--yes")
    assert run.code == 13, run
    assert "compute of shared is still used by api, monitoring" in run.found


def test_destroying_the_table_is_refused_unless_it_is_named(deployed: Checkout) -> None:
    run = deployed.run("destroy_all", "--yes")
    assert run.code == 13, run
    assert "delete the table shared-items-table with all its items" in run.found
    assert not run.summary["changed"]


def test_drift_is_found_by_resource_and_property(deployed: Checkout) -> None:
    assert deployed.run("drift").code == 0, "nothing has drifted yet"
    deployed.client("lambda").update_function_configuration(FunctionName="shared-items-lambda", Timeout=9)
    try:
        run = deployed.run("drift")
        assert run.code == 7, run
        assert run.status == {**ALL, "compute": "failed"}
        compute = run.summary["stacks"][1]
        assert compute["why"].endswith("lambda/function:Function items-lambda has another timeout"), compute
    finally:
        deployed.client("lambda").update_function_configuration(FunctionName="shared-items-lambda", Timeout=5)


def test_tap_stack_collides_with_the_four_stacks_before_anything_is_changed(deployed: Checkout) -> None:
    run = deployed.run("deploy", "tap", "--yes")
    assert run.code == 15, run
    assert "tap would create what data of shared already owns: shared-items-table" in run.found
    assert not run.summary["changed"]
    assert "organization/tap/shared" not in deployed.pulumi(".", "stack", "ls", "--all", "--json").stdout


def test_tap_stack_deploys_the_same_programs_into_another_environment(deployed: Checkout) -> None:
    single = deployed.in_environment("single")
    run = single.run("deploy", "tap", "--yes")
    assert run.code == 0, run
    assert get(items_url(single, run)) == (200, {"items": []})
    four = deployed.run("outputs").outputs
    assert four.keys() <= run.outputs.keys(), "TapStack exports what the four stacks export"


def test_a_mandatory_policy_stops_it(deployed: Checkout, tmp_path: Path) -> None:
    (tmp_path / "PulumiPolicy.yaml").write_text("runtime: python\n")
    (tmp_path / "__main__.py").write_text(
        "from pulumi_policy import EnforcementLevel, PolicyPack, ResourceValidationPolicy\n"
        "def no_tables(args, report):\n"
        "    if args.resource_type == 'aws:dynamodb/table:Table':\n"
        "        report('tables are not welcome')\n"
        "PolicyPack('test', enforcement_level=EnforcementLevel.MANDATORY, policies=[\n"
        "    ResourceValidationPolicy(name='no-tables', description='none', validate=no_tables)])\n"
    )
    run = deployed.run("preview", "data", "--policy", str(tmp_path))
    assert run.code == 5, run
    assert "tables are not welcome" in run.summary["stacks"][0]["why"]


def test_outputs_shows_what_is_deployed(deployed: Checkout, first: Run) -> None:
    run = deployed.run("outputs")
    assert run.code == 0, run
    assert run.outputs == {key: value for key, value in first.outputs.items() if value is not None}


def test_no_stack_was_selected_behind_the_users_back(deployed: Checkout) -> None:
    shown = deployed.pulumi("stacks/data", "stack", "--show-name")
    assert shown.returncode != 0, "which stack `pulumi up` by hand works on is the user's choice"
