"""`python -m lib.deploy VERB ...`: what the nox sessions run.

`doctor` has to work where nothing is installed, so nothing but the standard library is imported before the verb is
known.
"""

from __future__ import annotations

import argparse
import re
import sys
from pathlib import Path
from typing import TYPE_CHECKING

from lib.deploy import doctor

if TYPE_CHECKING:
    from collections.abc import Sequence

OF_ALL = {
    "deploy_all": "deploy every stack in order, independent ones side by side",
    "preview_all": "show what deploy_all would do, on a fresh environment too",
    "destroy_all": "delete every stack's resources, downstream first",
    "refresh_all": "take into the states what is really there",
    "drift": "compare the states with what is really there; 7 when they differ",
    "outputs": "show what the stacks export",
}
OF_ONE = {
    "deploy": "deploy the named stacks (data, compute, api, monitoring, tap, or a system)",
    "preview": "show what deploying the named stacks would do",
    "destroy": "delete the named stacks' resources, unless others stand on them",
    "refresh": "take into the named stacks' states what is really there, and how interrupted creations ended",
    "unlock": "show who locks the named stacks, and remove locks that nobody holds any more",
}
_ENVIRONMENT = re.compile(r"[a-z0-9](?:[a-z0-9-]*[a-z0-9])?")


def parser() -> argparse.ArgumentParser:
    """The command line."""
    main = argparse.ArgumentParser(prog="python -m lib.deploy", description="Ordered deploys of many stacks.")
    verbs = main.add_subparsers(dest="verb", required=True, metavar="VERB")
    for verb, help_text in {**OF_ALL, **OF_ONE}.items():
        sub = verbs.add_parser(verb, help=help_text, description=help_text)
        if verb in OF_ONE:
            sub.add_argument("stacks", nargs="+", metavar="STACK")
        else:
            sub.add_argument("--only", action="append", default=[], metavar="STACK", help="this stack; repeatable")
            sub.add_argument("--from", dest="start", metavar="STACK", help="this stack and all downstream of it")
        _common(sub, verb)
    checkup = verbs.add_parser("doctor", help="name every part that a deploy needs and that is missing here")
    checkup.add_argument("--env", type=_environment, default="dev")
    checkup.add_argument("--json", action="store_true", dest="as_json")
    return main


def _common(sub: argparse.ArgumentParser, verb: str) -> None:
    sub.add_argument("--env", type=_environment, default="dev", help="the environment, a stack of each project (dev)")
    sub.add_argument(
        "--json", action="store_true", dest="as_json", help="one event per line, see docs/deploy-events.md"
    )
    if verb == "outputs":
        return
    sub.add_argument("--yes", action="store_true", help="do not ask")
    if verb == "unlock":
        sub.add_argument("--confirm", metavar="ORG/PROJECT/ENV", help="remove another machine's lock of this stack")
        return
    sub.add_argument("--parallel", type=_count, default=0, metavar="N", help="stacks at a time (as many as can be)")
    if verb.startswith(("deploy", "preview")):
        sub.add_argument(
            "--policy", type=Path, nargs="?", const=_policy_pack(), metavar="PACK", help="enforce policies"
        )
        sub.add_argument("--affected", action="store_true", help="only stacks that something has changed for")
    if verb.startswith(("deploy", "destroy")):
        sub.add_argument("--allow-data-loss", action="append", default=[], metavar="TABLE", help="this table may go")
    if verb.startswith("refresh"):
        sub.add_argument("--import-pending", action="append", default=[], type=_pair, metavar="URN=ID")
        sub.add_argument("--clear-pending", action="append", default=[], metavar="URN")


def _environment(text: str) -> str:
    if not _ENVIRONMENT.fullmatch(text):
        raise argparse.ArgumentTypeError(f"{text!r} must be lower-case letters, digits and inner hyphens, like dev")
    return text


def _count(text: str) -> int:
    if not text.isdigit() or not int(text):
        raise argparse.ArgumentTypeError(f"{text!r} must be a number from 1")
    return int(text)


def _pair(text: str) -> tuple[str, str]:
    urn, equals, ident = text.rpartition("=")
    if not (urn and equals and ident):
        raise argparse.ArgumentTypeError(f"{text!r} must be URN=ID")
    return urn, ident


def _policy_pack() -> Path:
    return Path(__file__).resolve().parents[2] / "policy"


def main(arguments: Sequence[str] | None = None) -> int:
    """Run a verb; what it returns is the process's exit code."""
    given = parser().parse_args(arguments)
    if given.verb == "doctor":
        return doctor.main(given.env, as_json=given.as_json)
    try:
        from lib.deploy.cli import run  # noqa: PLC0415 - needs what doctor tells how to get

        return run(given, of_one=given.verb in OF_ONE)
    except ModuleNotFoundError as missing:
        print(f"the Python package {missing.name} is not installed", file=sys.stderr)
        print("next: nox -s doctor", file=sys.stderr)
        return 2


if __name__ == "__main__":
    sys.exit(main())
