"""The engine's tests share one engine, one emulator and one private backend."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from lib.local.emulator import Emulator
from tests import needs
from tests.engine import cli_build, machine


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """The first test waits for the engine's build, which may take longer than any test otherwise may."""
    for item in items:
        if Path(__file__).parent in item.path.parents:
            item.add_marker(pytest.mark.timeout(1800))


@pytest.fixture(scope="session")
def tools(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A directory with the engine, our language host and the emulator's provider, to be first on PATH."""
    try:
        engine = cli_build.find()
    except cli_build.NoEngineError as error:
        needs.lacking(str(error))
    directory = tmp_path_factory.mktemp("tools")
    machine.install_tools(directory, engine)
    return directory


@pytest.fixture(scope="session")
def emulator() -> Iterator[Emulator]:
    """One embedded AWS for all these tests; they keep apart by the names of their environments."""
    with Emulator() as aws:
        yield aws


@pytest.fixture(scope="session")
def variables(tools: Path, emulator: Emulator, tmp_path_factory: pytest.TempPathFactory) -> dict[str, str]:
    """The environment variables of a machine that can deploy onto the emulator."""
    return machine.variables(tools, emulator, tmp_path_factory.mktemp("machine"))


@pytest.fixture(scope="session")
def new_checkout(
    variables: dict[str, str], emulator: Emulator, tmp_path_factory: pytest.TempPathFactory
) -> Callable[[str], machine.Checkout]:
    """Copy the repository's programs; what is deployed is the copy."""
    return lambda env: machine.copy_programs(tmp_path_factory.mktemp("checkout"), env, variables, emulator)
