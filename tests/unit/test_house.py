"""The rules of the house that no other tool checks."""

from __future__ import annotations

import ast
import re
import subprocess
from collections.abc import Iterator
from pathlib import Path

import pytest
from importlinter import cli

from lib.contracts import STACKS
from tests import kit

ROOT = kit.ROOT


def files(*endings: str) -> list[Path]:
    """Every file that is or would be committed."""
    command = ["git", "ls-files", "--cached", "--others", "--exclude-standard", "-z"]
    listed = subprocess.run(command, cwd=ROOT, capture_output=True, check=True).stdout.decode().split("\0")
    paths = [ROOT / name for name in listed if name and (not endings or name.endswith(endings))]
    return [path for path in paths if path.is_file()]


def tree(path: Path) -> ast.Module:
    return ast.parse(path.read_text(encoding="utf-8"), filename=str(path))


def short(path: Path) -> str:
    return path.relative_to(ROOT).as_posix()


PROGRAMS = sorted([ROOT / "tap.py", *ROOT.glob("stacks/*/__main__.py"), *ROOT.glob("systems/*/__main__.py")])
COMPONENTS = sorted((ROOT / "lib" / "components").glob("*.py"))


def test_every_test_is_in_a_file_that_pytest_collects() -> None:
    lost = []
    for path in files(".py"):
        collected = path.is_relative_to(ROOT / "tests") and re.fullmatch(r"test_.*\.py", path.name)
        if collected:
            continue
        lost += [
            f"{short(path)}:{node.lineno} {node.name}"
            for node in tree(path).body
            if isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef) and node.name.startswith("test_")
        ]
    assert not lost, f"these have never run: {lost}"


@pytest.mark.parametrize("level", ["local", "engine", "live"])
def test_a_test_that_needs_more_than_python_says_so(level: str) -> None:
    """By a marker of the file, so that `-m` selects it and the network is not blocked."""
    for path in (ROOT / "tests" / level).rglob("test_*.py"):
        text = path.read_text(encoding="utf-8")
        assert re.search(r"^pytestmark = .*pytest\.mark\.(?:local|engine|live|browser)", text, re.MULTILINE), short(
            path
        )


def test_there_are_the_four_programs_and_tapstack() -> None:
    wanted = {"tap.py", *(f"{contract.directory}/__main__.py" for contract in STACKS)}
    assert wanted <= {short(path) for path in PROGRAMS}


@pytest.mark.parametrize("path", PROGRAMS, ids=short)
def test_a_program_is_thin(path: Path) -> None:
    lines = path.read_text(encoding="utf-8").splitlines()
    assert len(lines) <= 60, "settings, upstream, one component, exports: the rest belongs into lib"
    assert ast.get_docstring(tree(path)), "says who owns it and what it gives"


@pytest.mark.parametrize("path", PROGRAMS, ids=short)
def test_a_program_imports_lib_and_pulumi_alone(path: Path) -> None:
    packages = {name.partition(".")[0] for name in _imports(tree(path))}
    assert packages <= {"__future__", "lib", "pulumi"}, "no stack imports another; services belong into components"


def _imports(module: ast.Module) -> Iterator[str]:
    for node in ast.walk(module):
        if isinstance(node, ast.Import):
            yield from (alias.name for alias in node.names)
        elif isinstance(node, ast.ImportFrom):
            yield node.module or "."


@pytest.mark.parametrize("path", [path for path in PROGRAMS if path.name == "__main__.py"], ids=short)
def test_a_project_installs_what_was_tested(path: Path) -> None:
    lines = (path.parent / "requirements.txt").read_text(encoding="utf-8").splitlines()
    options = [line.split() for line in lines if not line.startswith("#")]
    up = "/".join(".." for _ in path.parent.relative_to(ROOT).parts)
    assert options == [["-c", f"{up}/constraints/dev.txt"], ["-e", up]]
    assert (ROOT / "constraints" / "dev.txt").is_file()


@pytest.mark.parametrize("path", COMPONENTS, ids=short)
def test_a_component_takes_every_value_as_an_argument(path: Path) -> None:
    names = {node.attr for node in ast.walk(tree(path)) if isinstance(node, ast.Attribute)}
    names |= {node.id for node in ast.walk(tree(path)) if isinstance(node, ast.Name)}
    found = names & {"StackReference", "Config", "get_stack", "get_project", "environ", "getenv"}
    assert not found, "four stacks and TapStack share it only if it knows neither"


def test_the_walls_between_packages_hold() -> None:
    assert cli.lint_imports(config_filename=str(ROOT / "pyproject.toml"), no_cache=True) == cli.EXIT_STATUS_SUCCESS


# What must not be committed, written so that this file does not contain it.
FORBIDDEN = {
    "a path of one machine": r"/(?:home|Users|root)/\w|/wor[k]/(?:main|shared)|/tm[p]/w/",
    "a package index of its own": r"(?i)(?:index[-_]url|find[-_]links)[\s=\"':]*\w+://|--trusted[-_]host",
    "a registry's host": r"(?i)pyp[i]\.org|pythonhoste[d]|registry\.npm[j]s|proxy\.golan[g]|artifactor[y]\.|/simple/\s",
    "an access key": r"\b(?:AKIA|ASIA)(?!IOSFODNN7EXAMPLE)[A-Z0-9]{16}\b",
    "a private key": r"-----BEGIN (?:[A-Z]+ )?PRIVATE KEY-----",
}


@pytest.mark.parametrize("what", FORBIDDEN)
def test_no_file_names(what: str) -> None:
    pattern = re.compile(FORBIDDEN[what])
    found = []
    for path in files():
        try:
            lines = path.read_text(encoding="utf-8").splitlines()
        except UnicodeDecodeError:
            continue
        found += [f"{short(path)}:{number}" for number, line in enumerate(lines, 1) if pattern.search(line)]
    assert not found


def test_every_ignore_of_the_linter_says_why() -> None:
    text = (ROOT / "pyproject.toml").read_text(encoding="utf-8")
    section = text[text.index("[tool.ruff.lint]") : text.index("[tool.ruff.lint.pydocstyle]")]
    codes = [
        line for line in section[section.index("ignore = [") :].splitlines() if re.match(r"\s+\"[A-Z]+\d*\"", line)
    ]
    assert len(codes) > 10
    assert not [line for line in codes if "#" not in line]


def test_every_session_has_a_line_of_help() -> None:
    silent = [
        node.name
        for node in tree(ROOT / "noxfile.py").body
        if isinstance(node, ast.FunctionDef)
        and any(isinstance(part, ast.Name | ast.Attribute | ast.Call) for part in node.decorator_list)
        and not (ast.get_docstring(node) or "").strip()
    ]
    assert not silent, "nox -l shows it"


def test_every_adr_says_context_decision_and_consequences() -> None:
    for path in (ROOT / "docs" / "adr").glob("*.md"):
        text = path.read_text(encoding="utf-8").lower()
        assert all(word in text for word in ("context", "decision", "consequences")), short(path)
