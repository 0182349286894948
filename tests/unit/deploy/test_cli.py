"""The command line: bad input is a sentence and an exit code, never a traceback; what is missing is named."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from pathlib import Path

import pytest

from lib.contracts import ROOT
from lib.deploy.__main__ import OF_ALL, OF_ONE


def deploy(*arguments: str, path: str = "/nowhere", flags: tuple[str, ...] = ()) -> subprocess.CompletedProcess[str]:
    """Run `python -m lib.deploy` where there is neither a terminal nor a Pulumi CLI."""
    return subprocess.run(
        [sys.executable, *flags, "-m", "lib.deploy", *arguments],
        cwd=ROOT,
        env={"PATH": path, "HOME": "/nowhere", "PULUMI_BACKEND_URL": "file:///nowhere"},
        stdin=subprocess.DEVNULL,
        capture_output=True,
        text=True,
        check=False,
        timeout=120,
    )


@pytest.mark.parametrize(
    ("arguments", "code", "words"),
    [
        (["deploy", "nothing"], 6, "there is no stack called nothing; there are data, compute, api, monitoring, tap"),
        (["deploy_all", "--only", "tap"], 6, "no stack called tap among data, compute, api, monitoring"),
        (["preview_all", "--from", "x"], 6, "no stack called x"),
        (["deploy_all", "--env", "Dev_1"], 2, "must be lower-case letters, digits and inner hyphens"),
        (["deploy_all", "--parallel", "many"], 2, "'many' must be a number from 1"),
        (["deploy_all", "--parallel", "-1"], 2, "'-1' must be a number from 1"),
        (["refresh", "data", "--import-pending", "urn"], 2, "must be URN=ID"),
        (["deploy"], 2, "the following arguments are required: STACK"),
        (["fly"], 2, "invalid choice: 'fly'"),
        (["deploy_all", "--allow-data-loss"], 2, "expected one argument"),
    ],
)
def test_bad_input_is_said_in_one_sentence(arguments: list[str], code: int, words: str) -> None:
    done = deploy(*arguments)
    said = done.stdout + done.stderr
    assert words in said
    assert "Traceback" not in said
    assert done.returncode == code


@pytest.mark.parametrize(
    ("arguments", "again"),
    [
        ("deploy_all", "deploy_all -- --env dev"),
        ("destroy_all --env e", "destroy_all -- --env e"),
        ("refresh_all --only api --only data", "refresh_all -- --env dev --only data --only api"),
        ("deploy_all --only compute", "deploy_all -- --env dev --only compute"),
        ("deploy_all --from compute", "deploy_all -- --env dev --from compute"),
        ("deploy api compute", "deploy -- compute api --env dev"),
    ],
)
def test_nothing_is_changed_without_a_terminal_or_yes_and_the_command_to_repeat_is_as_narrow(
    arguments: str, again: str
) -> None:
    done = deploy(*arguments.split())
    assert done.returncode == 2
    assert "there is no terminal to ask on; nothing was changed" in done.stdout
    assert f"nox -s {again} --yes\n" in done.stdout


@pytest.mark.parametrize("verb", ["deploy_all", "preview_all", "outputs", "drift"])
def test_without_a_cli_it_says_what_to_install(verb: str) -> None:
    done = deploy(verb, *(["--yes"] if verb == "deploy_all" else []))
    assert done.returncode == 2
    assert "error: Pulumi CLI: not on PATH" in done.stdout
    assert "\nnext: install it: https://www.pulumi.com/docs/install/" in done.stdout


def test_everything_that_is_missing_is_told_at_once_and_as_events_too() -> None:
    done = deploy("deploy_all", "--yes", "--json")
    events = [json.loads(line) for line in done.stdout.splitlines()]
    assert [event["event"] for event in events] == ["run-started", "found", "found", "found", "summary"]
    assert [event["what"] for event in events[1:4]] == [
        "Pulumi CLI: not on PATH",
        "Pulumi's Python language host: not on PATH",
        "there are no AWS credentials",
    ]
    assert events[-1]["exit"] == done.returncode == 2
    assert events[-1]["stacks"] == []


@pytest.mark.parametrize("verb", [*OF_ALL, *OF_ONE, "doctor"])
def test_every_verb_explains_itself(verb: str) -> None:
    done = deploy(verb, "--help")
    assert done.returncode == 0
    assert "--env" in done.stdout


def test_the_doctor_names_each_missing_part_on_a_machine_with_nothing_installed() -> None:
    done = deploy("doctor", flags=("-S", "-E"))  # no site-packages: as if nothing had ever been installed
    assert done.returncode == 2, done.stderr
    missing = [
        line.removeprefix("MISSING ").partition(":")[0] for line in done.stdout.splitlines() if "MISSING" in line
    ]
    assert missing == [
        "Python package pulumi",
        "Python package pulumi-aws",
        "Python package boto3",
        "Python package rich",
        "Pulumi CLI",
        "Pulumi's Python language host",
        "secrets key",
        "AWS credentials",
    ]
    advice = [line for line in done.stdout.splitlines() if line.startswith(" ")]
    assert len(advice) == len(missing), "each missing part comes with how to get it"


def test_a_verb_says_which_package_is_missing_and_what_to_run() -> None:
    done = deploy("deploy_all", "--yes", flags=("-S", "-E"))
    assert done.returncode == 2
    assert "next: nox -s doctor" in done.stderr
    assert "Traceback" not in done.stderr


def test_the_doctor_finds_an_old_cli(tmp_path: Path) -> None:
    old = tmp_path / "pulumi"
    old.write_text('#!/bin/sh\necho "v3.1.0"\n')
    old.chmod(0o755)
    done = deploy("doctor", "--json", path=f"{tmp_path}:{os.environ['PATH']}")
    parts = {part["name"]: part for part in json.loads(done.stdout)["parts"]}
    assert not parts["Pulumi CLI"]["good"]
    assert parts["Pulumi CLI"]["next"].startswith("3.200.0 or newer is needed")
