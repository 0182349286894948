"""Runs `python -m lib.local` as a person does, and looks for what it leaves behind."""

from __future__ import annotations

import json
import os
import shutil
import signal
import subprocess
import sys
import threading
import time
import uuid
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

from lib.program import ROOT

_LISTENING = "0A"
_PATIENCE = 120.0


class LocalSession:
    """One `python -m lib.local`, with a temporary directory and a mark by which all its processes are found."""

    def __init__(
        self, scratch: Path, *arguments: str, root: Path = ROOT, environment: Mapping[str, str] | None = None
    ) -> None:
        self.temporary = scratch / f"tmp-{uuid.uuid4().hex[:8]}"
        self.temporary.mkdir()
        self._mark = f"TAP_TEST_MARK={uuid.uuid4()}"
        name, _, value = self._mark.partition("=")
        self.process = subprocess.Popen(
            [sys.executable, "-m", "lib.local", *arguments],
            cwd=root,
            env={**os.environ, "TMPDIR": str(self.temporary), name: value, **(environment or {})},
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            text=True,
            start_new_session=True,
        )
        self._out: list[str] = []
        self._err: list[str] = []
        self._readers = [
            threading.Thread(target=lines.extend, args=(stream,), daemon=True)
            for lines, stream in ((self._out, self.process.stdout), (self._err, self.process.stderr))
        ]
        for reader in self._readers:
            reader.start()

    @property
    def out(self) -> str:
        return "".join(self._out)

    @property
    def err(self) -> str:
        return "".join(self._err)

    def until(self, what: str, happened: Callable[[], Any]) -> Any:
        """Wait for something to happen, while the session lives."""
        deadline = time.monotonic() + _PATIENCE
        while not (found := happened()):
            assert time.monotonic() < deadline, f"not in {_PATIENCE:.0f} s: {what}\n{self.out}\n{self.err}"
            assert self.process.poll() is None, f"the session ended before: {what}\n{self.out}\n{self.err}"
            time.sleep(0.02)
        return found

    def says(self, text: str) -> None:
        """Wait until it has said this."""
        self.until(f"it says {text!r}", lambda: text in self.out or text in self.err)

    def facts(self) -> dict[str, Any]:
        """What `--json` prints, once it is there."""
        self.until("its JSON object", lambda: self.out.endswith("\n"))
        found: dict[str, Any] = json.loads(self.out)
        return found

    def end(self, number: signal.Signals | None = None) -> int:
        """Send a signal, if any, and wait for the end."""
        if number is not None:
            self.process.send_signal(number)
        code = self.process.wait(_PATIENCE)
        for reader in self._readers:
            reader.join()
        for stream in (self.process.stdout, self.process.stderr):
            assert stream is not None
            stream.close()
        return code

    def processes(self) -> list[int]:
        """Every process that belongs to this session: by the mark it inherited, or by where it works."""
        found = []
        for entry in Path("/proc").iterdir():
            if not entry.name.isdigit():
                continue
            try:
                marked = self._mark.encode() in (entry / "environ").read_bytes().split(b"\0")
                works_here = (entry / "cwd").readlink().is_relative_to(self.temporary)
            except OSError:  # it has ended meanwhile
                continue
            if marked or works_here:
                found.append(int(entry.name))
        return found

    def listening(self) -> set[str]:
        """The addresses that its processes listen on."""
        inodes = set()
        for pid in self.processes():
            try:
                targets = [str(fd.readlink()) for fd in Path(f"/proc/{pid}/fd").iterdir()]
            except OSError:
                continue
            inodes |= {target[8:-1] for target in targets if target.startswith("socket:[")}
        found = set()
        for table in ("tcp", "tcp6"):
            for line in Path(f"/proc/net/{table}").read_text().splitlines()[1:]:
                fields = line.split()
                if fields[3] == _LISTENING and fields[9] in inodes:
                    found.add(fields[1].partition(":")[0])
        return found

    def leftovers(self) -> list[str]:
        """Processes and files that are still there, after a moment for what was just killed."""
        for _ in range(100):
            left = [f"process {pid}" for pid in self.processes()]
            left += [str(path) for path in self.temporary.iterdir()]
            if not left:
                break
            time.sleep(0.05)
        return left


def copied_repository(scratch: Path) -> Path:
    """A copy of what a session needs, to edit and to break."""
    root = scratch / "repository"
    for name in ("lib", "stacks", "config"):
        shutil.copytree(ROOT / name, root / name, ignore=shutil.ignore_patterns("__pycache__"))
    for name in ("tap.py", "Pulumi.yaml"):
        shutil.copy(ROOT / name, root / name)
    return root
