"""What is looked at before a change, and how the engine's words and events are understood."""

from __future__ import annotations

from collections.abc import Iterable
from datetime import timedelta
from pathlib import Path
from typing import Any

import pytest
from pulumi.automation import EngineEvent

from lib.deploy import preflight
from lib.deploy.aws import AwsError
from lib.deploy.engine import clean, exit_of_text
from lib.deploy.events import Event
from lib.deploy.exits import Exit
from lib.deploy.progress import UNKNOWN, Progress
from lib.deploy.state import TABLE, State
from lib.deploy.targets import Target, the_stacks


@pytest.mark.parametrize(
    ("said", "code"),
    [
        ("the stack is currently locked by 1 lock(s). Either wait for", Exit.LOCKED),
        ("[409] Conflict: Another update is currently in progress.\nTo learn more about", Exit.LOCKED),
        ("get stack secrets manager: incorrect passphrase", Exit.AUTH),
        ("passphrase must be set with PULUMI_CONFIG_PASSPHRASE or", Exit.AUTH),
        ('Preview failed: unknown stack "organization/tap-data/dev"', Exit.UPSTREAM),
        ("tap-compute/dev needs `dynamodb_table_arn` of tap-data/dev; it is not among its outputs.", Exit.CONTRACT),
        ("needs `key` of tap-data/dev; it is not among them.\n  There is: nothing; it is not deployed.", Exit.UPSTREAM),
        ("resource x cannot be deleted\nbecause it is protected.", Exit.DESTRUCTIVE),
        ("the settings are not valid; nothing was changed:", Exit.CONFIG),
        ("operation error DynamoDB: ExpiredTokenException", Exit.AUTH),
        ("something nobody has seen before", None),
    ],
)
def test_what_the_engine_says_becomes_a_code(said: str, code: Exit | None) -> None:
    assert exit_of_text(said) == code


def test_the_engines_words_are_shown_without_its_markup() -> None:
    text = (
        "SDK 2026/11/21 13:25:45 WARN Response has no supported checksum.\n"
        "\x1b[31merror: \x1b[0m<{%reset%}>no<{%reset%}>\nwarning: using pulumi-resource-aws from $PATH at /x"
    )
    assert clean(text) == "no"


def step(kind: str, op: str, name: str = "items-table", old: dict[str, Any] | None = None, **more: Any) -> EngineEvent:
    """One event of the engine about a resource."""
    urn = f"urn:pulumi:dev::tap-data::{TABLE}::{name}"
    common = {"type": TABLE, "urn": urn, "id": "x", "parent": "", "provider": "p", "custom": True}
    metadata = {
        "op": op,
        "urn": urn,
        "type": TABLE,
        "provider": "p",
        "old": {**common, "inputs": old} if old else None,
        "new": None if op.startswith("delete") else {**common, "inputs": {"name": "dev-items-table"}},
        **more,
    }
    return EngineEvent.from_json({"sequence": 1, "timestamp": 1, kind: {"metadata": metadata}})


def follow(phase: Any, events: Iterable[EngineEvent]) -> tuple[Progress, list[Event]]:
    """A progress that has seen these events, and what it told."""
    told: list[Event] = []
    progress = Progress("data", phase, told.append)
    for event in events:
        progress.on_event(event)
    return progress, told


def test_a_replacement_counts_once_and_is_a_loss_of_the_table() -> None:
    old = {"name": "dev-items-table"}
    progress, _ = follow(
        "preview",
        [
            step("resourcePreEvent", "create-replacement", old=old, keys=["hashKey"]),
            step("resourcePreEvent", "replace", old=old, keys=["hashKey"]),
            step("resourcePreEvent", "delete-replaced", old=old, keys=["hashKey"]),
        ],
    )
    assert dict(progress.changes) == {"replace": 1}
    [lost] = progress.lost_tables
    assert (lost.name, lost.keys) == ("dev-items-table", ["hashKey"])


def test_a_deletion_that_an_earlier_replacement_has_left_is_a_loss_of_its_own() -> None:
    left = step("resourcePreEvent", "delete-replaced", old={"name": "dev-items-old"})
    again = step("resourcePreEvent", "replace", old={"name": "dev-items-table"}, keys=["name"])
    own = step("resourcePreEvent", "delete-replaced", old={"name": "dev-items-table"})
    progress, _ = follow("preview", [left, again, own])
    assert [(lost.operation, lost.name) for lost in progress.lost_tables] == [
        ("delete-replaced", "dev-items-old"),
        ("replace", "dev-items-table"),
    ]
    progress, _ = follow("preview", [own, again, left])
    assert {(lost.operation, lost.name) for lost in progress.lost_tables} == {
        ("delete-replaced", "dev-items-old"),
        ("replace", "dev-items-table"),
    }, "whichever comes first: an old table goes before the new one where both have one name"


@pytest.mark.parametrize(
    ("operations", "changes"),
    [
        (["create-replacement", "replace", "delete-replaced"], {"replace": 1}),
        (["delete-replaced", "replace", "create-replacement"], {"replace": 1}),
        (["delete-replaced"], {"delete": 1}),
        (["create-replacement"], {}),
    ],
    ids=["the new one first", "the old one first", "a leftover, or broken off after the deletion", "broken off before"],
)
def test_what_is_deleted_is_never_called_no_change(operations: list[str], changes: dict[str, int]) -> None:
    old = {"name": "dev-items-table"}
    progress, _ = follow("preview", [step("resourcePreEvent", operation, old=old) for operation in operations])
    assert dict(progress.changes) == changes
    progress, _ = follow("update", [step("resOutputsEvent", operation, old=old) for operation in operations])
    assert dict(progress.changes) == changes


@pytest.mark.parametrize(("protection", "protected"), [(True, True), (False, False)])
def test_a_table_that_aws_protects_is_protected(protection: bool, protected: bool) -> None:
    inputs = {"name": "dev-items-table", "deletionProtectionEnabled": protection}
    progress, _ = follow("preview", [step("resourcePreEvent", "replace", old=inputs)])
    assert [lost.protected for lost in progress.lost_tables] == [protected], "its deletion would fail half way"
    resource = {"urn": "u::t", "type": TABLE, "custom": True, "inputs": inputs}
    destroyed = Progress.of_destroy("data", State({"deployment": {"resources": [resource]}}))
    assert [lost.protected for lost in destroyed.lost_tables] == [protected]


def test_unchanged_resources_are_not_told_but_their_protection_is_noticed() -> None:
    same = step("resourcePreEvent", "same", old={"name": "dev-items-table"})
    progress, told = follow("preview", [same])
    assert (dict(progress.changes), told, progress.flags_changed) == ({}, [], False)
    metadata = same.resource_pre_event.metadata  # type: ignore[union-attr]  # it is one
    metadata.new.protect = True  # type: ignore[union-attr]  # same
    progress, _ = follow("preview", [same])
    assert progress.flags_changed, "`up` has something to write although no resource changes"


def test_a_value_only_aws_can_tell_is_null() -> None:
    outputs = {"sequence": 1, "timestamp": 1, "resOutputsEvent": {"metadata": {
        "op": "create", "urn": "urn:pulumi:dev::tap-data::pulumi:pulumi:Stack::s", "type": "pulumi:pulumi:Stack",
        "provider": "", "old": None,
        "new": {"type": "pulumi:pulumi:Stack", "urn": "u", "id": "", "parent": "", "provider": "",
                "outputs": {"arn": UNKNOWN, "name": "n", "key": "[secret]"}},
    }}}  # fmt: skip
    progress, _ = follow("preview", [EngineEvent.from_json(outputs)])
    assert progress.outputs == {"arn": None, "name": "n", "key": "[secret]"}


def test_what_was_under_way_is_known_until_it_ends() -> None:
    started = step("resourcePreEvent", "create")
    progress, told = follow("update", [started])
    assert list(progress.in_flight.values()) == ["create"]
    progress.on_event(step("resOutputsEvent", "create"))
    assert progress.in_flight == {}
    assert dict(progress.changes) == {"create": 1}
    assert [event.as_json()["status"] for event in told] == ["started", "done"]


def test_drift_names_the_resource_and_what_is_other_there() -> None:
    progress, _ = follow("refresh", [step("resOutputsEvent", "update", old={"name": "x"}, diffs=["ttl", "tags"])])
    assert progress.drift == ["dynamodb/table:Table items-table has another ttl, tags"]


def test_a_resource_that_is_gone_is_drift() -> None:
    progress, _ = follow("refresh", [step("resOutputsEvent", "delete", old={"name": "x"})])
    assert progress.drift == ["dynamodb/table:Table items-table is gone"]


DATA, COMPUTE = the_stacks()[:2]


@pytest.mark.parametrize(
    ("programs", "found"),
    [
        ({"pulumi": "v3.259.0", "pulumi-language-python": "", "pulumi-resource-aws": ""}, []),
        (
            {
                "pulumi": "v3.259.0",
                "home/plugins/language-python-v3.259.0/pulumi-language-python": "",
                "pulumi-resource-aws": "",
            },
            [],
        ),
        (
            {"pulumi": "v3.1.0", "pulumi-language-python": ""},
            [("Pulumi CLI: v3.1.0", "3.200.0 or newer is needed; install it", False)],
        ),
        ({"pulumi": "v3.259.0"}, [("Pulumi's Python language host: not on PATH", "it comes with", False)]),
        (
            {"pulumi": "v3.259.0", "pulumi-language-python": ""},
            [("Pulumi AWS plugin: not installed", "pulumi plugin install resource aws", True)],
        ),
        ({}, [("Pulumi CLI: not on PATH", "install it", False), ("Pulumi's Python", "it comes with", False)]),
    ],
    ids=["all there", "a host among the plugins", "an old CLI", "no language host", "no plugin", "nothing"],
)
def test_the_tools_a_deploy_needs_are_looked_for(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, programs: dict[str, str], found: list[tuple[str, str, bool]]
) -> None:
    for name, version in programs.items():
        program = tmp_path / name
        program.parent.mkdir(parents=True, exist_ok=True)
        program.write_text(f'#!/bin/sh\ntest "$1" = version && echo {version} || echo "[]"\n')
        program.chmod(0o755)
    monkeypatch.setenv("PATH", str(tmp_path))
    monkeypatch.setenv("PULUMI_HOME", str(tmp_path / "home"))
    findings = preflight._tools()
    assert len(findings) == len(found), findings
    for finding, (what, command, warning) in zip(findings, found, strict=True):
        assert finding.what.startswith(what)
        assert finding.next.startswith(command)
        assert finding.exit == Exit.CONFIG
        assert finding.warning == warning, "the engine gets a plugin by itself where it can; nothing else does"


class Configured(Target):
    """A target whose configuration a test gives."""

    given: dict[str, Any]

    def config(self, env: str) -> dict[str, Any]:  # noqa: ARG002 - the base's
        return self.given


def configured(target: Target, **config: Any) -> Target:
    """The target with this configuration."""
    made = Configured(target.name, target.directory, target.contract, target.upstream)
    object.__setattr__(made, "given", {key.replace("__", ":"): value for key, value in config.items()})
    return made


def place(region: str, account: str) -> State:
    """A state with one resource there."""
    arn = f"arn:aws:dynamodb:{region}:{account}:table/t"
    resource = {"urn": "u", "type": TABLE, "custom": True, "outputs": {"arn": arn}}
    return State({"deployment": {"resources": [resource]}})


@pytest.mark.parametrize(
    ("config", "state", "caller", "words"),
    [
        ({}, place("us-east-1", "123456789012"), "123456789012", None),
        ({}, place("us-east-1", "123456789012"), "999999999999", "it lives in account 123456789012"),
        ({}, place("eu-west-1", "123456789012"), "123456789012", "it lives in eu-west-1"),
        ({"aws__allowedAccountIds": ["1"]}, State({}), "123456789012", "aws:allowedAccountIds allows 1"),
        ({"aws__allowedAccountIds": ["123456789012"]}, State({}), "123456789012", None),
    ],
)
def test_another_account_or_region_is_refused(
    config: dict[str, Any], state: State, caller: str, words: str | None
) -> None:
    found = preflight._places("dev", [configured(DATA, **config)], {"data": state}, caller)
    assert [finding.exit for finding in found] == ([Exit.WRONG_PLACE] if words else [])
    assert words is None or words in found[0].what


@pytest.mark.parametrize(
    ("answer", "words"),
    [
        ((None, None), "there are no AWS credentials"),
        (("123456789012", timedelta(minutes=7)), "the AWS credentials end in 7 minutes"),
        (AwsError("InvalidClientTokenId"), "AWS refuses the credentials: InvalidClientTokenId"),
        (("123456789012", timedelta(hours=1)), None),
        (("123456789012", None), None),
    ],
)
def test_credentials_are_looked_at_before_anything_changes(
    monkeypatch: pytest.MonkeyPatch, answer: Any, words: str | None
) -> None:
    def caller(_region: str) -> Any:
        if isinstance(answer, AwsError):
            raise answer
        return answer

    monkeypatch.setattr(preflight, "caller", caller)
    _, found = preflight._account("dev", [configured(DATA)])
    assert [finding.exit for finding in found] == ([Exit.AUTH] if words else [])
    assert words is None or words in found[0].what


@pytest.mark.parametrize(
    ("role", "logs", "refused"), [(False, "true", True), (True, "true", False), (False, "", False)]
)
def test_access_logs_need_the_accounts_role(
    monkeypatch: pytest.MonkeyPatch, role: bool, logs: str, refused: bool
) -> None:
    monkeypatch.setattr(preflight, "has_log_role", lambda _region: role)
    api = configured(Target("api", Path()), tap__accessLogs=logs)
    found = preflight._log_role("dev", [api])
    assert [finding.exit for finding in found] == ([Exit.CONFIG] if refused else [])


def test_an_upstream_that_was_never_deployed_differs_from_one_that_lacks_a_key() -> None:
    [missing] = preflight._upstream("dev", [COMPUTE], {})
    assert (missing.exit, missing.next) == (Exit.UPSTREAM, "nox -s deploy -- data --env dev")
    stack = {"urn": "u", "type": "pulumi:pulumi:Stack", "outputs": {"dynamodb_table_name": "t", "old_name": "x"}}
    [lacking] = preflight._upstream("dev", [COMPUTE], {"data": State({"deployment": {"resources": [stack]}})})
    assert lacking.exit == Exit.CONTRACT
    assert "dynamodb_table_arn" in lacking.what
    assert "old_name" in lacking.what, "seeing what there is shows a renamed output"
    assert preflight._upstream("dev", [DATA, COMPUTE], {}) == [], "what this run deploys need not be there yet"


@pytest.mark.parametrize("value", [None, "", 7, ["x"]])
def test_a_malformed_output_breaks_the_contract(value: Any) -> None:
    outputs = {"dynamodb_table_name": "t", "dynamodb_table_arn": value}
    expected = [] if value is None else ["dynamodb_table_arn"]  # null: not known yet, in a plan
    assert preflight.missing_keys(DATA, outputs) == expected
