"""A table with data on the real engine, with production's settings: it goes only when named, and a backup stays."""

from __future__ import annotations

import json
import shutil
from collections.abc import Callable, Iterator
from typing import Any

import pytest

from tests.engine.machine import Checkout

pytestmark = pytest.mark.engine

ENV = "tables"
TABLE, RENAMED = f"{ENV}-items-table", f"{ENV}-items-v2"
COMPONENTS = "lib/items.py"
NEW_KEY = (COMPONENTS, 'range_key="CreatedAt"', 'range_key="Created"')
NEW_NAME = (COMPONENTS, "-items-table", "-items-v2")
ALLOWED = ("--yes", "--allow-data-loss", TABLE)


@pytest.fixture(scope="module")
def production(new_checkout: Callable[[str], Checkout]) -> Checkout:
    """Everything deployed as production is; the tests go on from one another, in this order."""
    checkout = new_checkout(ENV)
    config = checkout.root / "config"
    shutil.copy(config / "Pulumi.prod.yaml", config / f"Pulumi.{ENV}.yaml")
    role = [{"op": "replace", "path": "/cloudwatchRoleArn", "value": "arn:aws:iam::123456789012:role/logs"}]
    checkout.client("apigateway").update_account(patchOperations=role)
    run = checkout.run("deploy_all", "--yes")
    assert run.code == 0, run
    item = {"ItemId": {"S": "a"}, "CreatedAt": {"S": "2026-01-01T00:00:00.000000Z"}, "colour": {"S": "red"}}
    checkout.client("dynamodb").put_item(TableName=TABLE, Item=item)
    return checkout


@pytest.fixture
def edited(production: Checkout, request: pytest.FixtureRequest) -> Iterator[Checkout]:
    """The checkout with the edits that a test asks for."""
    for edit in request.param:
        production.edit(*edit)
    yield production
    production.restore()


def backups(checkout: Checkout, table: str = TABLE) -> list[dict[str, Any]]:
    """What AWS has of backups of a table."""
    found: list[dict[str, Any]] = checkout.client("dynamodb").list_backups(TableName=table)["BackupSummaries"]
    return found


def tables(checkout: Checkout) -> list[str]:
    """The tables of this environment that AWS has."""
    names: list[str] = checkout.client("dynamodb").list_tables()["TableNames"]
    return [name for name in names if name.startswith(f"{ENV}-")]


def unprotect(checkout: Checkout) -> None:
    """Do what a refusal says has to be done first."""
    checkout.configure(protect="false", deletionProtection="false")
    run = checkout.run("deploy", "data", "--yes")
    assert run.code == 0, run


def test_a_refresh_of_what_was_just_deployed_changes_nothing_whatever_the_spelling(production: Checkout) -> None:
    iam, role = production.client("iam"), f"{ENV}-items-lambda-role"
    for policy in iam.list_role_policies(RoleName=role)["PolicyNames"]:
        document = iam.get_role_policy(RoleName=role, PolicyName=policy)["PolicyDocument"]
        respelled = json.dumps(dict(reversed(document.items())), indent=4)
        iam.put_role_policy(RoleName=role, PolicyName=policy, PolicyDocument=respelled)
    for verb in ("drift", "refresh_all", "preview_all"):
        run = production.run(verb, "--yes")
        assert run.code == 0, run
        assert not any(run.changes.values()), f"{verb}: {run}"
        assert not run.of("resource-changed"), f"{verb} shows what is no change"


@pytest.mark.parametrize("edited", [[NEW_KEY]], indirect=True, ids=["new key"])
def test_a_protected_table_stays_also_when_it_is_named_and_the_way_is_told(edited: Checkout) -> None:
    run = edited.run("deploy", "data", *ALLOWED)
    assert run.code == 13, run
    assert f"replace the table {TABLE} because of a change of rangeKey, which is protected" in run.found
    assert "tap:protect and tap:deletionProtection as false with nothing else changed" in run.summary["next"]
    assert not run.summary["changed"]
    assert not backups(edited), "nothing is made for what is refused"


@pytest.mark.parametrize("edited", [[NEW_KEY]], indirect=True, ids=["new key"])
def test_another_tables_name_allows_nothing(edited: Checkout) -> None:
    edited.restore()
    unprotect(edited)
    edited.edit(*NEW_KEY)
    run = edited.run("deploy", "data", "--yes", "--allow-data-loss", "prod-items-table")
    assert run.code == 13, run
    assert f"replace the table {TABLE} with all its items" in run.found
    assert "(--allow-data-loss names prod-items-table)" in run.found, "a slip of the pen is seen"
    assert not backups(edited)
    assert edited.client("dynamodb").scan(TableName=TABLE)["Count"] == 1


@pytest.mark.parametrize("edited", [[NEW_KEY]], indirect=True, ids=["new key"])
def test_a_named_table_is_backed_up_and_then_replaced_under_its_own_name(edited: Checkout) -> None:
    run = edited.run("deploy", "data", *ALLOWED)
    assert run.code == 0, run
    assert run.changes == {"data": {"replace": 1}}
    assert run.summary["redeploy"] == [], "its name and ARN are what they were"
    dynamodb = edited.client("dynamodb")
    keys = [key["AttributeName"] for key in dynamodb.describe_table(TableName=TABLE)["Table"]["KeySchema"]]
    assert keys == ["ItemId", "Created"]
    assert dynamodb.scan(TableName=TABLE)["Count"] == 0
    [backup] = backups(edited)
    assert any(backup["BackupName"] in event["text"] for event in run.of("message", stack="data"))
    dynamodb.restore_table_from_backup(TargetTableName="restored", BackupArn=backup["BackupArn"])
    [item] = dynamodb.scan(TableName="restored")["Items"]
    assert item["colour"] == {"S": "red"}, "the backup holds what the table held"


@pytest.mark.parametrize("edited", [[NEW_KEY, NEW_NAME]], indirect=True, ids=["new name"])
def test_a_renamed_table_whose_deletion_broke_off_is_not_deleted_later_unless_it_is_named_again(
    edited: Checkout,
) -> None:
    # Somebody has protected it in AWS, which neither the program nor the state knows.
    dynamodb = edited.client("dynamodb")
    dynamodb.update_table(TableName=TABLE, DeletionProtectionEnabled=True)
    run = edited.run("deploy_all", "--only", "data", *ALLOWED)
    assert run.code == 4, run
    assert run.summary["next"] == f"nox -s deploy_all -- --env {ENV} --only data"
    assert sorted(tables(edited)) == sorted([TABLE, RENAMED]), "the new one was made before the old one goes"
    assert len(backups(edited)) == 2
    dynamodb.update_table(TableName=TABLE, DeletionProtectionEnabled=False)
    dynamodb.put_item(TableName=TABLE, Item={"ItemId": {"S": "late"}, "Created": {"S": "now"}})
    run = edited.run("deploy", "data", "--yes")
    assert run.code == 13, f"the function still writes to the old table: {run}"
    assert f"delete the table {TABLE} with all its items" in run.found
    run = edited.run("deploy", "data", *ALLOWED)
    assert run.code == 0, run
    assert (run.changes, run.summary["changed"]) == ({"data": {"delete": 1}}, True)
    assert tables(edited) == [RENAMED]
    assert len(backups(edited)) == 3, "what was written since the first backup is in another one"
    assert run.summary["redeploy"] == ["compute"], "the function still has the old name"
    run = edited.run("deploy_all", "--yes", "--affected")
    assert run.code == 0, run
    assert run.status == {"data": "unaffected", "compute": "succeeded", "api": "unaffected", "monitoring": "unaffected"}
    function = edited.client("lambda").get_function_configuration(FunctionName=f"{ENV}-items-lambda")
    assert function["Environment"]["Variables"]["DYNAMODB_TABLE_NAME"] == RENAMED


def test_a_program_without_the_table_is_refused_and_when_it_is_named_the_backup_is_made_first(
    production: Checkout,
) -> None:
    arn = f"arn:aws:dynamodb:us-east-1:123456789012:table/{RENAMED}"
    exports = f'pulumi.export("dynamodb_table_name", "{RENAMED}")\npulumi.export("dynamodb_table_arn", "{arn}")'
    production.edit("stacks/data/__main__.py", "items.data(Settings.load()).export()", f"import pulumi\n{exports}")
    for verb in (["deploy_all"], ["deploy", "data"]):
        run = production.run(*verb, "--yes")
        assert run.code == 13, run
        assert f"delete the table {RENAMED} with all its items" in run.found
        assert f"--allow-data-loss {RENAMED}" in run.summary["next"]
        assert not run.summary["changed"]
    assert tables(production) == [RENAMED]
    assert not backups(production, RENAMED)
    run = production.run("deploy", "data", "--yes", "--allow-data-loss", RENAMED)
    assert run.code == 0, run
    assert run.changes == {"data": {"delete": 1}}
    assert tables(production) == []
    [backup] = backups(production, RENAMED)
    assert backup["BackupStatus"] == "AVAILABLE"
    production.restore()
