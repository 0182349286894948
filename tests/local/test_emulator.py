"""The emulator's process: started whole or not at all, alone with its environment, gone with its caller."""

from __future__ import annotations

import importlib.metadata
import os
import signal
import threading
import tomllib
from pathlib import Path

import pytest

from lib.local import emulator as module
from lib.local.emulator import VERSION, Emulator, EmulatorError, scrubbed
from lib.program import ROOT

pytestmark = pytest.mark.local


def test_it_runs_in_a_group_and_a_directory_of_its_own_and_leaves_nothing() -> None:
    with Emulator() as running:
        pid, directory = running.pid, running.directory
        assert os.getpgid(pid) == pid != os.getpgrp()
        assert running.log_path.is_relative_to(directory)
        running.check()
    assert not directory.exists()
    assert not Path(f"/proc/{pid}").exists()
    running.stop()  # once more does no harm


def test_nothing_of_the_callers_environment_reaches_it(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("AWS_ACCESS_KEY_ID", "AKIAREAL")
    monkeypatch.setenv("HTTPS_PROXY", "http://proxy.example")
    with Emulator() as running:
        environment = Path(f"/proc/{running.pid}/environ").read_bytes()
    assert b"AKIAREAL" not in environment
    assert b"proxy.example" not in environment


def test_its_death_is_noticed_and_explained() -> None:
    heard: list[str] = []
    noticed = threading.Event()

    def on_death(why: str) -> None:
        heard.append(why)
        noticed.set()

    with Emulator(on_death=on_death) as running:
        os.kill(running.pid, signal.SIGKILL)
        assert noticed.wait(30)
        with pytest.raises(EmulatorError, match="killed by SIGKILL"):
            running.check()
    assert "its last lines were" in heard[0]


def test_a_wanted_stop_is_no_death() -> None:
    heard: list[str] = []
    with Emulator(on_death=heard.append):
        pass
    assert heard == []


@pytest.mark.parametrize("installed", ["1.5.32", None])
def test_another_version_is_refused(monkeypatch: pytest.MonkeyPatch, installed: str | None) -> None:
    def version(name: str) -> str:
        if installed is None:
            raise importlib.metadata.PackageNotFoundError(name)
        return installed

    monkeypatch.setattr(importlib.metadata, "version", version)
    with pytest.raises(EmulatorError, match=f"{VERSION}.*pip install --group local"):
        Emulator().start()


def test_the_version_is_the_one_that_the_project_pins() -> None:
    pins = (ROOT / "constraints" / "dev.txt").read_text().splitlines()
    assert f"ministack=={VERSION}" in pins
    groups = tomllib.loads((ROOT / "pyproject.toml").read_text())["dependency-groups"]
    assert f"ministack=={VERSION}" in groups["local"], "pip install --group local must bring the right one"


def test_a_port_that_was_taken_meanwhile_is_tried_again(monkeypatch: pytest.MonkeyPatch, emulator: Emulator) -> None:
    free, real = [emulator.port], module.free_port
    monkeypatch.setattr(module, "free_port", lambda: free.pop() if free else real())
    with Emulator() as second:
        assert second.port != emulator.port


def test_scrubbing_keeps_what_is_nobodys_secret() -> None:
    given = {"AWS_PROFILE": "real", "https_proxy": "x", "HTTP_PROXY": "x", "HOME": "/home", "NO_COLOR": "1"}
    kept = scrubbed(given)
    assert {key for key in kept if key.upper() != "NO_PROXY"} == {"HOME", "NO_COLOR"}
