"""Write the roles that deploy an environment: a trust and a policy per stack, and the bounds of the function's role."""

from __future__ import annotations

import argparse
import json
import re
import sys
from pathlib import Path

import pulumi
import yaml

from lib.contracts import ROOT, STACKS
from lib.plan.recorder import RecordingError, record_projects
from lib.program import Program
from lib.roles.documents import RolesError, Target, documents


def matching(pattern: str, meaning: str) -> type[str]:
    """Return an argument type that takes what matches."""

    def check(text: str) -> str:
        if not re.fullmatch(pattern, text):
            raise argparse.ArgumentTypeError(f"must be {meaning}, got {text!r}")
        return text

    return check  # type: ignore[return-value]  # argparse calls it, whatever it is


def main(arguments: list[str] | None = None) -> int:
    """Run the command line; returns the exit code."""
    parser = argparse.ArgumentParser(prog="nox -s roles --", description=__doc__)
    parser.add_argument("--env", required=True, help="the environment, that is the stacks' name")
    parser.add_argument("--account", required=True, type=matching(r"\d{12}", "an account's 12 digits"))
    parser.add_argument(
        "--repository",
        required=True,
        type=matching(r"[\w.-]+/[\w.-]+", "owner/name"),
        help="the GitHub repository whose jobs deploy",
    )
    parser.add_argument(
        "--state-bucket",
        required=True,
        type=matching(r"[a-z0-9][a-z0-9.-]{1,61}[a-z0-9]", "a bucket's name"),
        help="the bucket that holds the state",
    )
    parser.add_argument("--out", required=True, type=Path, help="the directory to write to")
    given = parser.parse_args(arguments)
    directories = [ROOT / contract.directory for contract in STACKS]
    try:
        recordings = record_projects(directories, given.env)
        target = Target(
            environment=given.env,
            account=given.account,
            region=Program(directories[0]).config(given.env)["aws:region"],
            repository=given.repository,
            state_bucket=given.state_bucket,
        )
        written = documents(recordings, target)
        given.out.mkdir(parents=True, exist_ok=True)
        for name, document in written.items():
            (given.out / name).write_text(json.dumps(document, indent=2) + "\n", encoding="utf-8")
    except (pulumi.RunError, RecordingError, RolesError, yaml.YAMLError, OSError) as error:
        print(f"roles: {error}", file=sys.stderr)
        return 2
    print(f"wrote {len(written)} documents to {given.out}")
    print(f"next: create them as docs/policy.md says, and set tap:permissionsBoundaryArn to {target.boundary}")
    return 0


if __name__ == "__main__":
    sys.exit(main())
