"""Scan the planned resources (Checkov), the dependencies (pip-audit) and the tree for secrets (detect-secrets)."""

from __future__ import annotations

import argparse
import contextlib
import hashlib
import json
import os
import subprocess
import sys
import tempfile
import tomllib
import venv
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from lib.audit.terraform import rendered
from lib.contracts import ROOT, STACKS
from lib.plan.recorder import record_projects

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
# Checkov's own JSON reader crashes in this check on OPTIONS; CKV_AWS_59 asks the same of every method.
BROKEN_CHECKS = ("CKV2_AWS_70",)

_KEY = "arn:aws:kms:us-east-1:123456789012:key/00000000-0000-0000-0000-000000000000"
_OPTIONS = {
    "tap:kmsKeyArn": _KEY,
    "tap:lambdaReservedConcurrency": "50",
    "tap:authorization": "AWS_IAM",
    "tap:waf": "true",
}
# What is planned: the environment, and the settings over its committed ones.
CONFIGURATIONS: Mapping[str, tuple[str, Mapping[str, str]]] = {
    "dev": ("dev", {}),
    "prod": ("prod", {}),
    "options": ("prod", _OPTIONS),
}


class AuditError(Exception):
    """An audit could not be made; says why and what to run."""


@dataclass(frozen=True, kw_only=True)
class Outcome:
    """What one audit found: `problems` fail it, `notes` do not."""

    name: str
    problems: Sequence[str]
    notes: Sequence[str]


def expected(path: Path = EXPECTED) -> dict[str, dict[str, str]]:
    """Return {configuration: {check: reason}} of what is accepted."""
    document = tomllib.loads(path.read_text(encoding="utf-8"))
    found: dict[str, dict[str, str]] = {name: {} for name in CONFIGURATIONS}
    for check, entry in document.items():
        for configuration in entry["fails"]:
            found[configuration][check] = entry["reason"]
    return found


def compare(configuration: str, failed: Mapping[str, str], accepted: Mapping[str, str]) -> list[str]:
    """Return what differs between the checks that failed ({id: words}) and those that are accepted."""
    new = [f"{configuration}: {check} is new: {words}" for check, words in failed.items() if check not in accepted]
    gone = [
        f"{configuration}: {check} does not fail any more: take {configuration} out of its `fails` in {EXPECTED.name}"
        for check in accepted
        if check not in failed
    ]
    return [*new, *gone]


def checkov() -> Outcome:
    """Scan what each configuration plans."""
    directories = [ROOT / contract.directory for contract in STACKS]
    accepted = expected()
    problems, notes = [], []
    for name, (environment, config) in CONFIGURATIONS.items():
        with tempfile.TemporaryDirectory(prefix="tap-audit-") as directory:
            plan = rendered(record_projects(directories, environment, config))
            Path(directory, "plan.tf.json").write_text(json.dumps(plan), encoding="utf-8")
            command = ["checkov", "--directory", directory, "--framework", "terraform_json", "--skip-download"]
            done = tool(*command, "--skip-check", ",".join(BROKEN_CHECKS), "--output", "json", "--compact", "--quiet")
        try:
            report = json.loads(done.stdout)
            failures, passed = report["results"]["failed_checks"], report["summary"]["passed"]
        except (ValueError, KeyError, TypeError):
            raise AuditError(f"Checkov gave no report for {name}: {(done.stderr or done.stdout)[-500:]}") from None
        if report["summary"]["parsing_errors"] or "Failed to run check" in done.stderr:
            raise AuditError(f"Checkov could not read {name} whole: {done.stderr[-500:]}")
        failed = {item["check_id"]: f"{item['check_name']} ({item['resource']})" for item in failures}
        problems += compare(name, failed, accepted[name])
        notes.append(f"{name}: {passed} passed, {len(failures)} failed as accepted by {len(accepted[name])} reasons")
    return Outcome(name="checkov", problems=problems, notes=notes)


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


AUDITS = {"checkov": checkov, "dependencies": dependencies, "secrets": secrets}


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
