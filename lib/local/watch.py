"""What an edit touches: which files changed, which programs import them, which functions carry them."""

from __future__ import annotations

import ast
from collections.abc import Iterable
from dataclasses import dataclass
from functools import lru_cache
from pathlib import Path

from lib.archive import sources
from lib.program import ROOT, Program

_WATCHED = ("lib", "stacks", "systems", "config")
_SUFFIXES = {".py", ".yaml", ".json"}


@dataclass(frozen=True)
class BrokenFile:
    """A file that does not parse: where and why."""

    path: Path
    line: int
    reason: str

    def __str__(self) -> str:
        return f"{self.path.relative_to(ROOT)}:{self.line}: {self.reason}"


class Watcher:
    """Notices edits by looking at the files' times; a hundred files take a few milliseconds."""

    def __init__(self, root: Path = ROOT) -> None:
        self._root = root
        self._seen = self._look()

    def changed(self) -> set[Path]:
        """The files that were written, added or removed since the last call."""
        now = self._look()
        changed = {path for path in now.keys() | self._seen.keys() if now.get(path) != self._seen.get(path)}
        self._seen = now
        return changed

    def _look(self) -> dict[Path, tuple[int, int]]:
        found = {}
        for path in self._files():
            try:
                stat = path.stat()
            except FileNotFoundError:  # an editor replaces a file by removing it first
                continue
            found[path] = (stat.st_mtime_ns, stat.st_size)
        return found

    def _files(self) -> Iterable[Path]:
        yield from (path for path in self._root.iterdir() if path.suffix in _SUFFIXES)
        for directory in _WATCHED:
            yield from (path for path in (self._root / directory).rglob("*") if path.suffix in _SUFFIXES)


def broken(files: Iterable[Path]) -> list[BrokenFile]:
    """The Python files among these that do not parse."""
    found = []
    for path in sorted(files):
        if path.suffix != ".py" or not path.is_file():
            continue
        try:
            ast.parse(path.read_text(encoding="utf-8"), str(path))
        except SyntaxError as error:
            found.append(BrokenFile(path, error.lineno or 0, error.msg))
        except ValueError as error:
            found.append(BrokenFile(path, 0, str(error)))
    return found


def program_files(program: Program, stack: str) -> set[Path]:
    """The files that the program's resources can depend on: its own, what it uses of `lib`, its configuration."""
    own = {program.main} if program.main.parent == ROOT else set(program.main.parent.rglob("*.py"))
    return own | {program.directory / "Pulumi.yaml", program.config_file(stack)} | used_files(own)


def function_files(handler: str) -> set[Path]:
    """The files that a function carries, by its handler setting."""
    try:
        return {ROOT / path for path in sources(handler.rpartition(".")[0])}
    except FileNotFoundError:  # a function that is not made of this repository's code
        return set()


def used_files(entries: Iterable[Path]) -> set[Path]:
    """The files of `lib` that these files use, name by name.

    A module that only defines things for several programs passes on to each of them what the things it uses need, and
    not what their neighbours in the module need: that is how an edit of one component touches one stack.
    """
    seen: set[tuple[Path, str]] = set()
    waiting = [(path, _ALL) for path in entries]
    while waiting:
        path, name = waiting.pop()
        if (path, name) in seen:
            continue
        seen.add((path, name))
        for target, wanted in _module(path, path.stat().st_mtime_ns).needs(name):
            found = _file(target)
            if found is None:
                continue
            inner = _file(f"{target}.{wanted}")
            waiting.append((inner, _ALL) if inner else (found, wanted))
            waiting += [
                (parent / "__init__.py", _ALL) for parent in found.parents if (parent / "__init__.py").is_file()
            ]
    return {path for path, _ in seen if path.is_relative_to(ROOT / "lib")}


_ALL = "*"
_HERE = ""


class _Module:
    """The top level of one file: which statements make each name, and where the imported ones come from."""

    def __init__(self, path: Path) -> None:
        self._imported: dict[str, tuple[str, str]] = {}
        self._parts: dict[str, list[ast.stmt]] = {}
        self._module = path.relative_to(ROOT).with_suffix("").as_posix().replace("/", ".")
        tree = ast.parse(path.read_text(encoding="utf-8"))
        for node in ast.walk(tree):
            if isinstance(node, ast.Import):
                self._imported |= {
                    alias.asname or alias.name.partition(".")[0]: (alias.name, _ALL) for alias in node.names
                }
            elif isinstance(node, ast.ImportFrom) and node.module:
                self._imported |= {alias.asname or alias.name: (node.module, alias.name) for alias in node.names}
        for statement in tree.body:
            for name in _defined(statement):
                self._parts.setdefault(name, []).append(statement)

    def needs(self, name: str) -> set[tuple[str, str]]:
        """(module, name) pairs that `name` of this module refers to; what runs on import belongs to every name."""
        parts = [p for key, ps in self._parts.items() if name in (_ALL, key) or key == _HERE for p in ps]
        if name != _ALL and name in self._imported:
            return {self._imported[name]}
        return {reference for part in parts for reference in self._references(part)}

    def _references(self, part: ast.stmt) -> Iterable[tuple[str, str]]:
        through = {}
        for node in ast.walk(part):
            if isinstance(node, ast.Attribute) and isinstance(node.value, ast.Name):
                through[node.value] = node.attr
        for node in ast.walk(part):
            if not isinstance(node, ast.Name):
                continue
            if node.id in self._imported:
                module, name = self._imported[node.id]
                as_module = f"{module}.{name}"
                # `items.data` of `from lib import items` is `data` of lib.items and nothing else of it.
                yield (as_module, through[node]) if node in through and _file(as_module) else (module, name)
            elif node.id in self._parts:
                yield self._module, node.id


@lru_cache(maxsize=256)
def _module(path: Path, _modified: int) -> _Module:
    return _Module(path)


def _defined(statement: ast.stmt) -> list[str]:
    if isinstance(statement, ast.FunctionDef | ast.AsyncFunctionDef | ast.ClassDef):
        return [statement.name]
    if isinstance(statement, ast.Assign | ast.AnnAssign):
        targets = statement.targets if isinstance(statement, ast.Assign) else [statement.target]
        names = [node.id for target in targets for node in ast.walk(target) if isinstance(node, ast.Name)]
        return names or [_HERE]
    return [] if isinstance(statement, ast.Import | ast.ImportFrom) else [_HERE]


def _file(module: str) -> Path | None:
    path = ROOT.joinpath(*module.split("."))
    return next((found for found in (path.with_suffix(".py"), path / "__init__.py") if found.is_file()), None)
