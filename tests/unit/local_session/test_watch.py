"""Which files an edit touches: name by name, so that a component belongs to the stacks that use it and no others."""

from __future__ import annotations

from pathlib import Path

import pytest

from lib.contracts import STACKS
from lib.local.watch import Watcher, broken, function_files, program_files, used_files
from lib.program import ROOT, Program

PROGRAMS = {contract.stack: Program(ROOT / contract.directory) for contract in STACKS}


def touched(path: str) -> set[str]:
    return {name for name, program in PROGRAMS.items() if ROOT / path in program_files(program, "dev")}


@pytest.mark.parametrize(
    ("path", "stacks"),
    [
        ("lib/components/table.py", {"data"}),
        ("lib/components/function.py", {"compute"}),
        ("lib/archive.py", {"compute"}),
        ("lib/components/rest_api.py", {"api"}),
        ("lib/components/gateway_errors.py", {"api"}),
        ("lib/routes.py", {"api"}),
        ("lib/components/monitoring.py", {"monitoring"}),
        ("lib/settings.py", {"data", "compute", "api", "monitoring"}),
        ("lib/contracts.py", {"data", "compute", "api", "monitoring"}),
        ("config/Pulumi.dev.yaml", {"data", "compute", "api", "monitoring"}),
        ("config/Pulumi.prod.yaml", set()),
        ("stacks/api/__main__.py", {"api"}),
        ("stacks/api/Pulumi.yaml", {"api"}),
        ("lib/local/cli.py", set()),
        ("lib/handler/items_api.py", set()),
    ],
)
def test_an_edit_touches_the_programs_that_use_it(path: str, stacks: set[str]) -> None:
    assert (ROOT / path).is_file()
    assert touched(path) == stacks


def test_the_single_program_uses_all_of_it() -> None:
    files = program_files(Program(ROOT), "dev")
    for stack in PROGRAMS.values():
        theirs = {path for path in program_files(stack, "dev") if path.is_relative_to(ROOT / "lib")}
        assert theirs <= files


def test_a_function_carries_what_its_module_imports() -> None:
    files = function_files("lib.handler.items.handler")
    assert {ROOT / "lib/handler/items_api.py", ROOT / "lib/routes.py"} <= files
    assert ROOT / "lib/components/table.py" not in files
    assert function_files("index.handler") == set(), "a function of somebody else"


def test_a_module_that_is_used_as_a_whole_counts_whole(tmp_path: Path) -> None:
    entry = ROOT / "stacks" / "data" / "__main__.py"
    assert ROOT / "lib/components/rest_api.py" not in used_files({entry})
    assert ROOT / "lib/components/rest_api.py" in used_files({ROOT / "lib/items.py"})


def test_a_file_that_does_not_parse_is_named_with_its_line(tmp_path: Path) -> None:
    good, bad, data = (ROOT / "tests" / name for name in ("kit.py", "no-such.py", "x.yaml"))
    assert broken([good, bad, data]) == []
    path = tmp_path / "bad.py"
    path.write_text("x = 1\ndef f(:\n")
    (found,) = broken([path])
    assert (found.path, found.line) == (path, 2)
    path.write_bytes(b"\xff\x00")
    assert len(broken([path])) == 1, "what is no text is broken too"


def test_the_watcher_sees_what_is_written_added_and_removed(tmp_path: Path) -> None:
    (tmp_path / "lib").mkdir()
    kept, gone, new = (tmp_path / "lib" / name for name in ("kept.py", "gone.py", "new.py"))
    kept.write_text("a")
    gone.write_text("b")
    (tmp_path / "lib" / "note.txt").write_text("not code")
    watcher = Watcher(tmp_path)
    assert watcher.changed() == set()
    kept.write_text("ab")
    gone.unlink()
    new.write_text("c")
    (tmp_path / "lib" / "note.txt").write_text("still not code")
    assert watcher.changed() == {kept, gone, new}
    assert watcher.changed() == set()
