"""Scan the plan (Checkov), the dependencies (pip-audit), the tree for secrets (detect-secrets) and CI (zizmor)."""

from __future__ import annotations

import argparse
import contextlib
import hashlib
import json
import os
import re
import subprocess
import sys
import tempfile
import tomllib
import venv
from collections.abc import Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from lib.audit.terraform import rendered
from lib.contracts import ROOT, STACKS
from lib.plan.recorder import record_projects
from lib.program import Program

PINS = ROOT / "constraints" / "audit.txt"
AUDITED = sorted((ROOT / "constraints").glob("*.txt"))
HOME = ROOT / ".nox" / "audit"
EXPECTED = Path(__file__).with_name("expected.toml")
BASELINE = Path(__file__).with_name("secrets.json")
# A word next to a string, or a digest, is no secret; what looks like one is found by the other detectors.
NOT_DETECTED = ("KeywordDetector", "HexHighEntropyString")
# What a scanner needs of the caller's environment; credentials are not among it.
KEPT = (
    "HOME",
    "HTTPS_PROXY",
    "LANG",
    "NO_PROXY",
    "PATH",
    "PIP_CONFIG_FILE",
    "PIP_INDEX_URL",
    "REQUESTS_CA_BUNDLE",
    "SSL_CERT_FILE",
)
# Checkov gives its checks no graph of the resources where it reads JSON, and this one asks for it at each preflight. Of
# an API without a resource policy it has nothing to say even then; CKV_AWS_59 asks the same of every method.
BROKEN_CHECKS = {"CKV2_AWS_70"}

DIRECTORIES = [ROOT / contract.directory for contract in STACKS]
# The options that are off in production's committed configuration too, and what turns each on.
OPTIONS: Mapping[str, str] = {
    "tap:authorization": "AWS_IAM",
    "tap:detailedMetrics": "true",
    "tap:kmsKeyArn": "arn:aws:kms:us-east-1:123456789012:key/00000000-0000-0000-0000-000000000000",
    "tap:lambdaReservedConcurrency": "50",
    "tap:waf": "true",
}


class AuditError(Exception):
    """An audit could not be made; says why and what to run."""


@dataclass(frozen=True, kw_only=True)
class Accepted:
    """A check that may fail: because the specification demands it or, where there is a `setting`, while that is off."""

    reason: str
    setting: str | None = None


@dataclass(frozen=True, kw_only=True)
class Configuration:
    """One plan to scan: the environment, the settings over its committed ones, and the checks that fail, exactly."""

    name: str
    environment: str
    config: Mapping[str, str]
    fails: frozenset[str]


@dataclass(frozen=True, kw_only=True)
class Outcome:
    """What one audit found: `problems` fail it, `notes` do not."""

    name: str
    problems: Sequence[str]
    notes: Sequence[str]


def expected(path: Path = EXPECTED) -> dict[str, Accepted]:
    """Return {check: why it may fail}."""
    found = {}
    for check, entry in tomllib.loads(path.read_text(encoding="utf-8")).items():
        match entry:
            case {"demanded": str(reason), **rest} if not rest:
                found[check] = Accepted(reason=reason)
            case {"setting": str(setting), "reason": str(reason), **rest} if not rest:
                found[check] = Accepted(reason=reason, setting=setting)
            case _:
                raise AuditError(f"{path.name}: {check} has to say `demanded` alone, or `setting` and `reason`")
    return found


def configurations(accepted: Mapping[str, Accepted]) -> list[Configuration]:
    """Return what to scan: each environment, production with every option, and each setting turned on alone."""
    settings = sorted({entry.setting for entry in accepted.values() if entry.setting})
    committed = {key: value for key, value in Program(DIRECTORIES[0]).config("prod").items() if key in settings}
    if unknown := [key for key in settings if (key in committed) == (key in OPTIONS)]:
        raise AuditError(f"{', '.join(unknown)} must be on in production's configuration or an option of the audit")

    def planned(name: str, environment: str, config: Mapping[str, str]) -> Configuration:
        on = {*config, *(committed if environment == "prod" else ())}
        fails = frozenset(check for check, entry in accepted.items() if entry.setting not in on)
        return Configuration(name=name, environment=environment, config=config, fails=fails)

    return [
        planned("dev", "dev", {}),
        planned("prod", "prod", {}),
        planned("prod with every option", "prod", OPTIONS),
        *(planned(f"dev with {key}", "dev", {key: value}) for key, value in committed.items()),
        *(planned(f"prod with {key}", "prod", {key: value}) for key, value in OPTIONS.items()),
    ]


def compare(configuration: Configuration, failed: Mapping[str, str]) -> list[str]:
    """Return what differs between the checks that failed ({id: words}) and those that should."""
    new = [f"{check} fails, and should not: {failed[check]}" for check in sorted(failed.keys() - configuration.fails)]
    gone = [f"{check} should fail, and does not" for check in sorted(configuration.fails - failed.keys())]
    return [f"{configuration.name}: {problem}; see {EXPECTED.name}" for problem in [*new, *gone]]


def checkov() -> Outcome:
    """Scan what each configuration plans."""
    scanned = configurations(expected())
    plans = [rendered(record_projects(DIRECTORIES, each.environment, each.config)) for each in scanned]
    with ThreadPoolExecutor(max_workers=os.cpu_count()) as pool:
        results = list(pool.map(scan, (each.name for each in scanned), plans))
    return Outcome(
        name="checkov",
        problems=[line for each, (failed, _) in zip(scanned, results, strict=True) for line in compare(each, failed)],
        notes=[
            f"{each.name}: {passed} passed; failing: {len(failed)} checks"
            for each, (failed, passed) in zip(scanned, results, strict=True)
        ],
    )


def scan(name: str, plan: Mapping[str, Any]) -> tuple[dict[str, str], int]:
    """Return the checks that fail on a plan, {id: words}, and how often one passed."""
    with tempfile.TemporaryDirectory(prefix="tap-audit-") as directory:
        Path(directory, "plan.tf.json").write_text(json.dumps(plan), encoding="utf-8")
        command = ["checkov", "--directory", directory, "--framework", "terraform_json", "--skip-download"]
        done = tool(*command, "--output", "json", "--compact", "--quiet")
    try:
        report = json.loads(done.stdout)
        failures, passed = report["results"]["failed_checks"], report["summary"]["passed"]
    except (ValueError, KeyError, TypeError):
        raise AuditError(f"Checkov gave no report for {name}: {(done.stderr or done.stdout)[-500:]}") from None
    crashed = set(re.findall(r"Failed to run check (\S+)", done.stderr))
    if report["summary"]["parsing_errors"]:
        raise AuditError(f"Checkov could not read {name} whole: {done.stderr[-500:]}")
    if crashed != BROKEN_CHECKS:
        raise AuditError(f"Checkov crashed on {name} in {crashed or 'no check'}, expected {BROKEN_CHECKS}")
    return {item["check_id"]: f"{item['check_name']} ({item['resource']})" for item in failures}, passed


def dependencies() -> Outcome:
    """Ask whether a pinned version has a known vulnerability, where the data can be reached."""
    problems, notes = [], []
    for pins in AUDITED:
        done = tool("pip-audit", "--requirement", str(pins), "--no-deps", "--disable-pip", "--format", "json")
        try:
            found = json.loads(done.stdout)["dependencies"]
        except (ValueError, KeyError):
            notes.append(f"{pins.name} was NOT audited: {(done.stderr.strip().splitlines() or ['no answer'])[-1]}")
            continue
        skipped = [item for item in found if "skip_reason" in item]
        if len(skipped) == len(found):
            notes.append(
                f"{pins.name} was NOT audited: the index has no data on vulnerabilities ({len(found)} packages)"
            )
            continue
        notes.append(f"{pins.name}: {len(found) - len(skipped)} packages audited, {len(skipped)} without data")
        problems += [
            f"{item['name']} {item['version']} has {vulnerability['id']}: fixed in {fixes(vulnerability)}"
            for item in found
            for vulnerability in item.get("vulns", [])
        ]
    return Outcome(name="pip-audit", problems=problems, notes=notes)


def fixes(vulnerability: Mapping[str, Any]) -> str:
    """Return the versions that fix it."""
    return ", ".join(vulnerability["fix_versions"]) or "no version yet"


def secrets() -> Outcome:
    """Look for secrets in every file that git tracks; what the baseline lists was looked at and is none."""
    listed = subprocess.run(["git", "ls-files", "-z"], cwd=ROOT, capture_output=True, text=True, check=False)
    if listed.returncode:
        raise AuditError(f"the tree can't be listed: {listed.stderr.strip()}")
    files = [name for name in listed.stdout.split("\0") if name and (ROOT / name).is_file()]
    disabled = [part for plugin in NOT_DETECTED for part in ("--disable-plugin", plugin)]
    done = tool("detect-secrets", "scan", *disabled, *files)
    try:
        found = json.loads(done.stdout)["results"]
    except (ValueError, KeyError):
        raise AuditError(f"detect-secrets gave no report: {done.stderr[-500:]}") from None
    known = json.loads(BASELINE.read_text(encoding="utf-8"))
    baseline = f"lib/audit/{BASELINE.name}"
    advice = f"remove it, or say in {baseline} why it is none"
    problems = [
        f"{file}:{item['line_number']}: {item['type']} {item['hashed_secret']}: {advice}"
        for file, items in found.items()
        for item in items
        if item["hashed_secret"] not in known
    ]
    present = {item["hashed_secret"] for items in found.values() for item in items}
    problems += [f"{baseline}: {mark} ({why}) is gone: remove it" for mark, why in known.items() if mark not in present]
    return Outcome(name="secrets", problems=problems, notes=[f"{len(files)} files, {len(present)} known strings"])


def workflows() -> Outcome:
    """Look for what lets others into the workflows of CI; every finding counts, down to advice for auditors."""
    done = tool("zizmor", "--offline", "--persona", "auditor", "--no-exit-codes", "--format", "json", ".github")
    try:
        report: list[dict[str, Any]] = json.loads(done.stdout)
        problems = [
            f"{place(item['locations'][0])}: {item['desc']} ({item['url']})" for item in report if not item["ignored"]
        ]
    except (ValueError, LookupError, TypeError):
        raise AuditError(f"zizmor gave no report: {done.stderr[-500:]}") from None
    if not isinstance(report, list):
        raise AuditError(f"zizmor gave no report: {done.stdout[-500:]}")
    return Outcome(name="workflows", problems=problems, notes=[f"{len(problems)} findings"])


def place(location: Mapping[str, Any]) -> str:
    """Return the file and line of a finding of zizmor."""
    file = location["symbolic"]["key"]["Local"]["verbatim_path"]
    return f"{file}:{location['concrete']['location']['start_point']['row'] + 1}"


def tool(*command: str) -> subprocess.CompletedProcess[str]:
    """Run one of the scanners in the repository's root, with nothing of ours and no credentials in its environment."""
    name, *arguments = command
    keep = {key: os.environ[key] for key in KEPT if key in os.environ}
    return subprocess.run(
        [str(HOME / "bin" / name), *arguments], cwd=ROOT, env=keep, capture_output=True, text=True, check=False
    )


def prepare() -> None:
    """Install the scanners at their pinned versions, unless they are there."""
    stamp = hashlib.sha256(f"{sys.version}\n{PINS.read_text(encoding='utf-8')}".encode()).hexdigest()
    mark = HOME / ".installed"
    if mark.is_file() and mark.read_text(encoding="utf-8") == stamp:
        return
    print("installing the scanners (once, about a minute)", flush=True)
    venv.create(HOME, with_pip=True, clear=True)
    pip = [str(HOME / "bin" / "python"), "-m", "pip", "install", "-q", "--disable-pip-version-check", "--no-deps"]
    done = subprocess.run([*pip, "-r", str(PINS)], capture_output=True, text=True, check=False)
    if done.returncode:
        raise AuditError(f"the scanners can't be installed: {done.stderr.strip()[-500:]}")
    mark.write_text(stamp, encoding="utf-8")


AUDITS = {"checkov": checkov, "dependencies": dependencies, "secrets": secrets, "workflows": workflows}


def main(arguments: list[str] | None = None) -> int:
    """Run the command line; returns the exit code."""
    parser = argparse.ArgumentParser(prog="nox -s audit --", description=__doc__)
    parser.add_argument("audits", nargs="*", metavar="AUDIT", help=f"of {', '.join(AUDITS)} (all)")
    given = parser.parse_args(arguments)
    if unknown := sorted(set(given.audits) - AUDITS.keys()):
        parser.error(f"there is no audit {', '.join(unknown)}; there are {', '.join(AUDITS)}")
    failed = False
    try:
        prepare()
        for name in given.audits or AUDITS:
            outcome = AUDITS[name]()
            failed |= bool(outcome.problems)
            for note in outcome.notes:
                print(f"{outcome.name}: {note}")
            for problem in outcome.problems:
                print(f"{outcome.name}: FAILED {problem}", file=sys.stderr)
    except AuditError as error:
        print(f"audit: {error}", file=sys.stderr)
        return 2
    return 1 if failed else 0


if __name__ == "__main__":
    with contextlib.suppress(KeyboardInterrupt):
        sys.exit(main())
    sys.exit(130)
