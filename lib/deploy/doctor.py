"""Name every part that a deploy needs and that is missing here, and how to get it.

Nothing but the standard library is imported: this has to work where nothing is installed.
"""

from __future__ import annotations

import importlib.metadata
import json
import os
import shutil
import subprocess
import sys
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

MINIMUM_CLI = (3, 200, 0)  # the first that pulumi.automation of this SDK is tried with
PACKAGES = ("pulumi", "pulumi-aws", "boto3", "rich")
INSTALL_PACKAGES = "python -m pip install nox, then: nox -s doctor (nox makes .venv and fills it)"
_TIMEOUT = 60


@dataclass(frozen=True)
class Part:
    """One thing that is looked for; `next` says how to get it when it is not `good`."""

    name: str
    good: bool
    found: str
    next: str = ""


def parts(env: str) -> list[Part]:
    """Everything a deploy needs, in the order in which it should be put right."""
    found = cli()
    return [
        _python(),
        *map(_package, PACKAGES),
        found,
        host(),
        *([plugin(), *_backend()] if found.good else []),
        _key(env),
        _credentials(),
    ]


def _python() -> Part:
    version = ".".join(map(str, sys.version_info[:3]))
    return Part("Python", sys.version_info >= (3, 11), version, "install Python 3.11 or newer: https://www.python.org")


def _package(name: str) -> Part:
    try:
        return Part(f"Python package {name}", True, importlib.metadata.version(name))
    except importlib.metadata.PackageNotFoundError:
        return Part(f"Python package {name}", False, "not installed", INSTALL_PACKAGES)


def cli() -> Part:
    """The engine and its version."""
    get = "install it: https://www.pulumi.com/docs/install/"
    if not shutil.which("pulumi"):
        return Part("Pulumi CLI", False, "not on PATH", get)
    code, out, error = _ask("pulumi", "version")
    numbers = out.strip().removeprefix("v").split("-")[0].split(".")
    if code or not all(number.isdigit() for number in numbers):
        return Part("Pulumi CLI", False, (error or out).strip(), get)
    new_enough = tuple(map(int, numbers)) >= MINIMUM_CLI
    return Part("Pulumi CLI", new_enough, out.strip(), f"{'.'.join(map(str, MINIMUM_CLI))} or newer is needed; {get}")


def host() -> Part:
    """What runs Python programs for the engine; it is looked for where the engine does."""
    path = [os.environ.get("PATH", os.defpath)]
    if engine := shutil.which("pulumi"):
        path.append(str(Path(engine).resolve().parent))
    installed = Path(os.environ.get("PULUMI_HOME", "~/.pulumi"), "plugins").expanduser()
    path += map(str, installed.glob("language-python-v*"))
    where = shutil.which("pulumi-language-python", path=os.pathsep.join(path))
    get = "it comes with the official CLI: install that, https://www.pulumi.com/docs/install/"
    return Part("Pulumi's Python language host", where is not None, where or "not on PATH", get)


def plugin() -> Part:
    """What speaks to AWS for the engine, at the version that the programs were written with."""
    if where := shutil.which("pulumi-resource-aws"):
        return Part("Pulumi AWS plugin", True, where)
    _, out, _ = _ask("pulumi", "plugin", "ls", "--json")
    versions = [plugin.get("version") for plugin in _json(out, []) if plugin.get("name") == "aws"]
    wanted = _version("pulumi-aws")
    get = f"pulumi plugin install resource aws {wanted or ''}".strip()
    # The engine fetches the version that the programs ask for by itself, if it can reach the network.
    return Part("Pulumi AWS plugin", wanted in versions or wanted is None, ", ".join(versions) or "not installed", get)


def _backend() -> list[Part]:
    code, out, error = _ask("pulumi", "whoami", "--json")
    found = f"{_json(out, {}).get('url', '')} as {_json(out, {}).get('user', '')}" if code == 0 else error.strip()
    login = "pulumi login, or for a trial: export PULUMI_BACKEND_URL=file://$HOME/.tap-state (the directory must exist)"
    return [Part("Pulumi backend", code == 0, found, login)]


def _key(env: str) -> Part:
    for name in ("PULUMI_CONFIG_PASSPHRASE", "PULUMI_CONFIG_PASSPHRASE_FILE"):
        if name in os.environ:
            return Part("secrets key", True, f"{name} is set")
    config = Path(__file__).resolve().parents[2] / "config" / f"Pulumi.{env}.yaml"
    if config.exists() and "secretsprovider:" in config.read_text():
        return Part("secrets key", True, f"the provider that {config.name} names")
    url = os.environ.get("PULUMI_BACKEND_URL", "")
    if url.startswith("http"):
        return Part("secrets key", True, "kept by Pulumi Cloud")
    get = "export PULUMI_CONFIG_PASSPHRASE=... (any, the first time; then always the same)"
    return Part("secrets key", False, "PULUMI_CONFIG_PASSPHRASE is not set", get)


def _credentials() -> Part:
    get = "aws configure sso, or set AWS_PROFILE, or AWS_ACCESS_KEY_ID and AWS_SECRET_ACCESS_KEY"
    try:
        import boto3  # noqa: PLC0415 - may be what is missing
    except ImportError:
        return Part("AWS credentials", False, "can't be looked for without boto3", get)
    try:
        credentials = boto3.Session().get_credentials()
    except Exception as error:  # noqa: BLE001 - whatever a broken profile makes botocore raise
        return Part("AWS credentials", False, str(error), get)
    return Part("AWS credentials", credentials is not None, credentials.method if credentials else "none found", get)


def _version(package: str) -> str | None:
    try:
        return importlib.metadata.version(package)
    except importlib.metadata.PackageNotFoundError:
        return None


def _json(text: str, otherwise: Any) -> Any:
    try:
        return json.loads(text)
    except ValueError:
        return otherwise


def _ask(*command: str) -> tuple[int, str, str]:
    environment = {**os.environ, "PULUMI_SKIP_UPDATE_CHECK": "true"}
    try:
        done = subprocess.run(
            [*command, "--non-interactive"],
            env=environment,
            capture_output=True,
            text=True,
            timeout=_TIMEOUT,
            check=False,
            stdin=subprocess.DEVNULL,
        )
    except (OSError, subprocess.TimeoutExpired) as error:
        return 1, "", str(error)
    return done.returncode, done.stdout, done.stderr


def main(env: str, *, as_json: bool) -> int:
    """Print what was found; 0 when nothing is missing, else 2."""
    found = parts(env)
    if as_json:
        print(json.dumps({"version": 1, "event": "doctor", "parts": [asdict(part) for part in found]}))
    else:
        for part in found:
            print(f"{'ok     ' if part.good else 'MISSING'} {part.name}: {part.found}")
            if not part.good:
                print(f"        {part.next}")
        missing = sum(not part.good for part in found)
        print(f"\n{missing} missing" if missing else "\neverything a deploy needs is here")
    return 0 if all(part.good for part in found) else 2
