"""The function's code: the same on every machine, complete, and nothing more than it needs."""

from __future__ import annotations

import ast
import os
import subprocess
import sys
from pathlib import Path

import pulumi
import pytest

from lib import archive
from tests import kit

ENTRIES = ("lib.handler.items", "lib.handler.smoke")


def texts(entry: str) -> dict[str, str]:
    found = archive.handler_archive(entry).assets
    assert isinstance(found, dict)
    return {name: asset.text for name, asset in found.items() if isinstance(asset, pulumi.StringAsset)}


@pytest.mark.parametrize("entry", ENTRIES)
def test_two_builds_are_identical(entry: str) -> None:
    """With another hash seed, directory and locale as well: else a deploy without changes publishes a version."""
    program = (
        "import hashlib, json, sys; from lib.archive import handler_archive\n"
        f"files = handler_archive({entry!r}).assets\n"
        "print(hashlib.sha256(json.dumps([[name, asset.text] for name, asset in files.items()]).encode()).hexdigest())"
    )
    digests = {
        subprocess.run(
            [sys.executable, "-c", program],
            env={"PATH": os.environ["PATH"], "PYTHONPATH": str(kit.ROOT), "PYTHONHASHSEED": seed, "LC_ALL": locale},
            cwd=directory,
            capture_output=True,
            text=True,
            check=True,
        ).stdout
        for seed, locale, directory in (("1", "C", "/"), ("2", "C.UTF-8", str(kit.ROOT)))
    }
    assert len(digests) == 1


@pytest.mark.parametrize("entry", ENTRIES)
def test_a_file_has_its_place_in_the_repository_and_its_text(entry: str) -> None:
    found = texts(entry)
    assert list(found) == sorted(found)
    for name, text in found.items():
        assert text == ((kit.ROOT / name).read_text(encoding="utf-8") or "\n"), name


@pytest.mark.parametrize("entry", ENTRIES)
def test_the_archive_runs_by_itself(entry: str, tmp_path: Path) -> None:
    """As Lambda does it: only the archive's files and the standard library, the entry imported, its handler called."""
    for name, text in texts(entry).items():
        file = tmp_path / name
        file.parent.mkdir(parents=True, exist_ok=True)
        file.write_text(text, encoding="utf-8")
    program = (
        f"import sys; sys.path.insert(0, {str(tmp_path)!r})\n"
        f"from {entry} import handler\n"
        "answer = handler({'httpMethod': 'OPTIONS', 'resource': '/items', 'path': '/items'}, None)\n"
        "print(answer['statusCode'], end='')\n"
        "files = [getattr(module, '__file__', '') or '' for module in sys.modules.values()]\n"
        "outside = [file for file in files if 'site-packages' in file]\n"
        "assert not outside, outside\n"
    )
    finished = subprocess.run(
        [sys.executable, "-I", "-S", "-B", "-c", program],
        env={"DYNAMODB_TABLE_NAME": "t", "AWS_REGION": "us-east-1", "AWS_ENDPOINT_URL": "http://127.0.0.1:9"},
        cwd=tmp_path,
        capture_output=True,
        text=True,
        check=False,
    )
    assert finished.returncode == 0, finished.stderr
    assert finished.stdout.splitlines()[-1].endswith("204"), finished.stdout


def test_the_smoke_handler_s_archive_is_the_handler_alone() -> None:
    assert texts("lib.handler.smoke").keys() == {"lib/__init__.py", "lib/handler/__init__.py", "lib/handler/smoke.py"}


@pytest.mark.parametrize("entry", ENTRIES)
def test_a_lambda_never_gets_the_tools(entry: str) -> None:
    assert not [name for name in texts(entry) if not name.startswith(("lib/handler/", "lib/__init__", "lib/routes"))]


@pytest.mark.parametrize("entry", ENTRIES)
def test_no_import_is_relative(entry: str) -> None:
    """The archive follows `import lib...`; a relative import would be missed."""
    for name, text in texts(entry).items():
        relative = [node for node in ast.walk(ast.parse(text)) if isinstance(node, ast.ImportFrom) and node.level]
        assert not relative, name


def test_an_entry_that_does_not_exist_is_an_error() -> None:
    with pytest.raises(FileNotFoundError, match=r"lib\.handler\.item is no module of this repository"):
        archive.handler_archive("lib.handler.item")
