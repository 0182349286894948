"""Print what the programs would deploy and what the rules have against it, with no CLI, credentials or network."""

from __future__ import annotations

import argparse
import json
import re
import signal
import sys
from pathlib import Path

import pulumi
import yaml

from lib.contracts import ROOT, STACKS
from lib.plan import render
from lib.plan.recorder import Recording, RecordingError, record_projects
from policy.check import ConfigError, check
from policy.waivers import WaiverError

BLOCK = re.compile(r"<!-- diagram: (?P<target>[\w ]+) -->\n.*?<!-- /diagram -->", re.DOTALL)
POLICY = 5  # Pulumi's own exit code for a policy that is broken
WITH_DIAGRAMS = (Path("README.md"), Path("docs/systems.md"))


def targets() -> dict[str, list[Path]]:
    """Return {name: project directories in order} of all that can be planned."""
    stacks = {contract.stack: ROOT / contract.directory for contract in STACKS}
    systems = {path.parent.name: [path.parent] for path in sorted(ROOT.glob("systems/*/Pulumi.yaml"))}
    return {
        "stacks": list(stacks.values()),
        "tap": [ROOT],
        **systems,
        **{name: [path] for name, path in stacks.items()},
    }


def plan(target: str, environment: str, config: dict[str, str] | None = None) -> list[Recording]:
    """Record a target's programs; of one stack, after the stacks it may read."""
    directories = targets()[target]
    four = targets()["stacks"]
    if directories[0] in four:
        recordings = record_projects(four, environment, config)
        return [recordings[four.index(directory)] for directory in directories]
    return record_projects(directories, environment, config)


def with_diagrams(document: str) -> str:
    """Return the document with each of its diagrams drawn again."""

    def draw(block: re.Match[str]) -> str:
        target = block["target"]
        drawing = render.mermaid(plan(target, "dev"))
        return f"<!-- diagram: {target} -->\n```mermaid\n{drawing}\n```\n<!-- /diagram -->"

    return BLOCK.sub(draw, document)


def main(arguments: list[str] | None = None) -> int:
    """Run the command line; returns the exit code."""
    parser = argparse.ArgumentParser(prog="nox -s plan --", description=__doc__)
    parser.add_argument("target", nargs="?", default="stacks", choices=list(targets()), help="what to plan (stacks)")
    parser.add_argument("--env", default="dev", help="the environment, that is the stack's name (dev)")
    parser.add_argument("--set", metavar="KEY=VALUE", action="append", default=[], help="a setting, as tap:KEY")
    parser.add_argument("--full", action="store_true", help="spell out methods, integrations and gateway responses")
    form = parser.add_mutually_exclusive_group()
    form.add_argument("--json", action="store_true", help="one JSON document")
    form.add_argument("--mermaid", action="store_true", help="a diagram")
    form.add_argument("--write-diagrams", action="store_true", help="draw the diagrams in the documents again")
    given = parser.parse_args(arguments)

    if given.write_diagrams:
        for path in (ROOT / name for name in WITH_DIAGRAMS):
            if path.is_file():
                path.write_text(with_diagrams(path.read_text(encoding="utf-8")), encoding="utf-8")
        return 0
    config = {}
    for pair in given.set:
        key, equals, value = pair.partition("=")
        if not equals:
            parser.error(f"--set takes KEY=VALUE, got {pair!r}")
        config[key if ":" in key else f"tap:{key}"] = value
    try:
        recordings = plan(given.target, given.env, config)
        report = check(recordings)
    except (pulumi.RunError, RecordingError, yaml.YAMLError, ConfigError, WaiverError) as error:
        print(f"plan: {error}", file=sys.stderr)
        return 2
    if given.json:
        judged = {"findings": report.as_json(), "problems": list(report.problems), "failed": report.failed}
        print(json.dumps({"environment": given.env, "stacks": render.as_json(recordings), "policy": judged}, indent=2))
    elif given.mermaid:
        print(render.mermaid(recordings))
    else:
        print(render.text(recordings, full=given.full))
        print(f"\n{report.text()}")
    return POLICY if report.failed else 0


if __name__ == "__main__":
    signal.signal(signal.SIGPIPE, signal.SIG_DFL)  # `| head` ends the plan, it is no error
    sys.exit(main())
