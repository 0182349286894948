"""What one stack gives the next: never a bare KeyError, never a silent None, never a secret in the open."""

from __future__ import annotations

import ast
import functools
from collections.abc import Mapping
from typing import Any

import pulumi
import pytest
from pulumi_aws import sns

from lib import contracts, program
from lib.contracts import STACKS, ComputeOutputs, Contract, ContractError, DataOutputs
from lib.plan.recorder import SECRET, STACK_REFERENCE, Recording, record, record_projects
from tests import kit

DIRECTORIES = {contract.stack: kit.ROOT / contract.directory for contract in STACKS}


@functools.cache
def recordings() -> dict[str, Recording]:
    """What each real program does, with the outputs of the ones before it."""
    return {one.project: one for one in record_projects(kit.STACK_DIRECTORIES, "dev")}


def exports_of(stack: str) -> dict[str, Any]:
    """What the real producing program exports, for the test to damage."""
    return dict(recordings()[f"tap-{stack}"].exports)


def run(stack: str, upstream: Mapping[str, Mapping[str, Any]]) -> Recording:
    """Run a real stack program with these upstream stacks, {stack: outputs}."""
    found = program.Program(DIRECTORIES[stack])
    references = {f"organization/tap-{name}/dev": outputs for name, outputs in upstream.items()}
    return record(found.run, project=found.project, stack="dev", config=found.config("dev"), references=references)


def consumed() -> list[tuple[str, str, str]]:
    """Return every (consumer, producer, key) that a stack program really uses, read from lib/items.py.

    The functions there are called as the stacks are, and what they use of `upstream` is what the stack consumes.
    """
    tree = ast.parse((kit.ROOT / "lib" / "items.py").read_text(encoding="utf-8"))
    functions = {node.name: node for node in tree.body if isinstance(node, ast.FunctionDef)}
    return [
        (contract.stack, producer.stack, key)
        for contract in STACKS
        for producer in contract.reads
        for key in sorted(
            {
                node.attr
                for node in ast.walk(functions[contract.stack])
                if isinstance(node, ast.Attribute) and isinstance(node.value, ast.Name) and node.value.id == "upstream"
            }
        )
    ]


CONSUMED = consumed()


def test_what_is_consumed_is_what_the_stacks_need() -> None:
    assert CONSUMED == [
        ("compute", "data", "dynamodb_table_arn"),
        ("compute", "data", "dynamodb_table_name"),
        ("api", "compute", "lambda_function_name"),
        ("api", "compute", "lambda_invoke_arn"),
        ("monitoring", "compute", "lambda_function_name"),
    ]


@pytest.mark.parametrize(("consumer", "producer", "key"), CONSUMED)
def test_every_consumed_key_is_exported(consumer: str, producer: str, key: str) -> None:
    assert key in exports_of(producer), f"{consumer} can never be deployed"


@pytest.mark.parametrize("contract", STACKS, ids=lambda one: one.stack)
def test_a_program_exports_its_contract_and_nothing_else(contract: type[Contract]) -> None:
    assert exports_of(contract.stack).keys() == set(contract.keys())


@pytest.mark.parametrize(("consumer", "producer", "key"), CONSUMED)
@pytest.mark.parametrize(
    ("damage", "says"),
    [
        (lambda outputs, key: outputs.pop(key), "is not among its outputs"),
        (lambda outputs, key: outputs.update({f"{key}s": outputs.pop(key)}), "is not among its outputs"),
        (lambda outputs, key: outputs.update({key: ""}), "is an empty string there"),
        (lambda outputs, key: outputs.update({key: 7}), "is of type float there"),
        (lambda outputs, key: outputs.update({key: True}), "is of type bool there"),
        (lambda outputs, key: outputs.update({key: ["a"]}), "is of type list there"),
        (
            lambda outputs, key: outputs.update({key: {"a": "b"}}),
            "is of type dict there, not a string",
        ),
        (lambda outputs, _key: outputs.clear(), "nothing; it is not deployed"),
    ],
    ids=["removed", "renamed", "empty", "number", "bool", "list", "object", "nothing deployed"],
)
def test_a_damaged_upstream_fails_with_who_needs_what_and_what_to_run(
    consumer: str, producer: str, key: str, damage: Any, says: str
) -> None:
    outputs = exports_of(producer)
    damage(outputs, key)
    with pytest.raises(ContractError) as raised:
        run(consumer, {producer: outputs})
    message = str(raised.value)
    assert says in message
    assert f"tap-{consumer}/dev needs `" in message
    assert f"` of tap-{producer}/dev" in message
    assert f"nox -s deploy -- {producer} --env dev" in message
    if outputs:
        assert f"needs `{key}`" in message
        assert f"There is: {', '.join(sorted(outputs))}." in message


def test_a_malformed_secret_is_not_shown() -> None:
    def program() -> None:
        pulumi.export("name", DataOutputs.read().dynamodb_table_name)

    with pytest.raises(ContractError) as raised:
        record(program, references={"organization/tap-data/dev": {"dynamodb_table_name": ["hunter2"]}})
    assert "hunter2" not in str(raised.value)


def test_a_stack_whose_upstream_was_never_deployed_fails_the_same_way() -> None:
    with pytest.raises(ContractError, match="There is: nothing; it is not deployed"):
        run("api", {})


def test_a_key_that_is_not_consumed_may_be_missing() -> None:
    outputs = exports_of("compute")
    del outputs["lambda_role_arn"]
    assert run("monitoring", {"compute": outputs}).exports == {"alarm_topic_arn": "${Topic.items-alarms.arn}"}


@pytest.mark.parametrize("secret", ["dynamodb_table_name", "dynamodb_table_arn"])
def test_secretness_is_kept_key_by_key(secret: str) -> None:
    def program() -> None:
        upstream = DataOutputs.read()
        pulumi.export("name", upstream.dynamodb_table_name)
        pulumi.export("arn", upstream.dynamodb_table_arn)
        sns.Topic("t", name=upstream.dynamodb_table_name, display_name=upstream.dynamodb_table_arn)

    outputs = {"dynamodb_table_name": "a", "dynamodb_table_arn": "b", "other": SECRET, secret: SECRET}
    found = record(program, references={"organization/tap-data/dev": outputs})
    expected = {"name": outputs["dynamodb_table_name"], "arn": outputs["dynamodb_table_arn"]}
    assert found.exports == expected
    assert found.one("Topic").inputs == {"name": expected["name"], "displayName": expected["arn"]}
    assert {key for key, value in found.exports.items() if value is SECRET} == {
        "name" if secret == "dynamodb_table_name" else "arn"
    }


def test_a_value_says_where_it_comes_from() -> None:
    compute = recordings()["tap-compute"]
    (reference,) = (resource for resource in compute.resources if resource.type == STACK_REFERENCE)
    assert reference.name == "organization/tap-data/dev"
    assert reference.urn in compute.one("RolePolicy").sources["policy"]


def test_a_misspelt_key_is_an_error_that_lists_the_keys() -> None:
    def program() -> None:
        DataOutputs.read().dynamodb_table  # type: ignore[attr-defined]  # noqa: B018 - reading is the point

    with pytest.raises(AttributeError, match="no 'dynamodb_table'; it has dynamodb_table_name, dynamodb_table_arn"):
        record(program)


def test_the_order_follows_from_who_reads_whom() -> None:
    assert [contract.stack for contract in STACKS] == ["data", "compute", "api", "monitoring"]
    assert {contract.stack: [read.stack for read in contract.reads] for contract in STACKS} == {
        "data": [],
        "compute": ["data"],
        "api": ["compute"],
        "monitoring": ["compute"],
    }


@pytest.mark.parametrize("contract", STACKS, ids=lambda one: one.stack)
def test_a_program_refers_to_the_stacks_of_its_contract_alone(contract: type[Contract]) -> None:
    recording = recordings()[contract.project]
    references = {resource.name for resource in recording.resources if resource.type == STACK_REFERENCE}
    assert references == {f"organization/{read.project}/dev" for read in contract.reads}


@pytest.mark.parametrize("contract", STACKS, ids=lambda one: one.stack)
def test_a_project_is_what_its_contract_says(contract: type[Contract]) -> None:
    project = kit.project_file(DIRECTORIES[contract.stack])
    assert project["name"] == contract.project
    assert (DIRECTORIES[contract.stack] / project["stackConfigDir"]).resolve() == kit.ROOT / "config"
    environment = project["runtime"]["options"]["virtualenv"]
    assert (DIRECTORIES[contract.stack] / environment).resolve() == kit.ROOT / ".venv"
    assert project["config"] == {"aws:region": "us-east-1"}


def test_tapstack_s_project_is_what_the_contracts_say() -> None:
    project = kit.project_file(kit.ROOT)
    assert project["name"] == contracts.TAP_PROJECT
    assert project["main"] == "tap.py"
    assert project["stackConfigDir"] == "config"
    assert project["runtime"]["options"]["virtualenv"] == ".venv"


def test_a_contract_s_values_are_what_it_was_given() -> None:
    given = DataOutputs(dynamodb_table_name="a", dynamodb_table_arn="b")
    assert given.values() == {"dynamodb_table_name": "a", "dynamodb_table_arn": "b"}
    assert len(ComputeOutputs.keys()) == 5
