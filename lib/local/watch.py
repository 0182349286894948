"""What an edit touches: which files changed, which programs import them, which functions carry them."""

from __future__ import annotations

import ast
from collections.abc import Iterable
from dataclasses import dataclass
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
    """All files that the program's resources can depend on: its own, what it imports of `lib`, its configuration."""
    own = {path for path in program.main.parent.rglob("*.py") if program.main.parent != ROOT} | {program.main}
    configuration = {program.directory / "Pulumi.yaml", program.config_file(stack)}
    modules = {name for path in own for name in _imports(path)}
    return own | configuration | {ROOT / path for module in modules for path in _sources(module)}


def function_files(handler: str) -> set[Path]:
    """The files that a function carries, by its handler setting."""
    return {ROOT / path for path in _sources(handler.rpartition(".")[0])}


def _sources(module: str) -> Iterable[str]:
    try:
        return sources(module)
    except FileNotFoundError:  # a name inside a module, or a module of somebody else
        return ()


def _imports(path: Path) -> Iterable[str]:
    for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
        if isinstance(node, ast.Import):
            yield from (alias.name for alias in node.names)
        elif isinstance(node, ast.ImportFrom) and node.module:
            yield node.module
            yield from (f"{node.module}.{alias.name}" for alias in node.names)
