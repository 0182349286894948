"""The function's code, embedded: the sources that the entry module needs and nothing else, with no build step."""

from __future__ import annotations

import ast
from pathlib import Path

import pulumi

ROOT = Path(__file__).resolve().parents[1]


def handler_archive(entry: str) -> pulumi.AssetArchive:
    """Archive the module `entry` (for example `lib.handler.items`) and all of `lib` that it imports.

    Files keep their place in the repository, so imports are the same in the tests and in the Lambda.
    """
    return pulumi.AssetArchive({name: pulumi.StringAsset(text) for name, text in sorted(sources(entry).items())})


def sources(entry: str) -> dict[str, str]:
    """Return {path in the repository: source} of `entry`, what it imports of `lib`, and their packages."""
    found: dict[str, str] = {}
    waiting = [entry]
    while waiting:
        module = waiting.pop()
        path = _file(module)
        if path is None or path.as_posix() in found:
            continue
        text = (ROOT / path).read_text(encoding="utf-8")
        # The engine drops an empty asset's text, and the SDK then takes the asset for a broken one.
        found[path.as_posix()] = text or "\n"
        waiting += [module.rpartition(".")[0], *_imports(text)]
    if _file(entry) is None:
        raise FileNotFoundError(f"the function's entry {entry} is no module of this repository")
    return found


def _file(module: str) -> Path | None:
    if not module:
        return None
    path = Path(*module.split("."))
    for candidate in (path.with_suffix(".py"), path / "__init__.py"):
        if (ROOT / candidate).is_file():
            return candidate
    return None


def _imports(source: str) -> list[str]:
    names = []
    for node in ast.walk(ast.parse(source)):
        if isinstance(node, ast.Import):
            names += [alias.name for alias in node.names]
        elif isinstance(node, ast.ImportFrom) and node.module and not node.level:
            names += [node.module, *(f"{node.module}.{alias.name}" for alias in node.names)]
    return [name for name in names if name.split(".")[0] == "lib"]
