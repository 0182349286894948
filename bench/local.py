"""Measure the session on this machine: from nothing to an answered POST, and from an edit to its first answer.

    python -m bench.local

Prints medians of several runs. Wall time depends on this machine and on what else it is doing, so no test asserts it.
"""

from __future__ import annotations

import json
import os
import shutil
import signal
import statistics
import subprocess
import sys
import tempfile
import threading
import time
import urllib.error
import urllib.request
from pathlib import Path
from typing import Any

from lib.program import ROOT

RUNS = 5
EDITED = "lib/handler/items_api.py"
SENTENCE = "Nothing is stored under this key."


def main() -> None:
    with tempfile.TemporaryDirectory(prefix="tap-bench-") as scratch:
        root = Path(scratch)
        for name in ("lib", "stacks", "config"):
            shutil.copytree(ROOT / name, root / name, ignore=shutil.ignore_patterns("__pycache__"))
        started = [first_post(root) for _ in range(RUNS)]
        print(f"from nothing to an answered POST: {statistics.median(started):.2f} s (goal 5 s; {_all(started)})")
        edits = live_edits(root)
        print(f"from an edit to its first answer: {statistics.median(edits):.2f} s (goal 1 s; {_all(edits)})")
    print(f"{os.cpu_count()} processors, load {os.getloadavg()[0]:.1f}, Python {sys.version.split()[0]}")


def first_post(root: Path) -> float:
    """Seconds from the command to the answer of the first request, which starts the function cold."""
    code = (
        "import os, urllib.request as u; "
        "r = u.Request(os.environ['API_URL'] + '/items', b'{}', {'Content-Type': 'application/json'}); "
        "assert u.urlopen(r).status == 201; import time; print(time.time())"
    )
    began = time.time()
    command = [sys.executable, "-m", "lib.local", "--run", sys.executable, "-c", code]
    done = subprocess.run(command, cwd=root, capture_output=True, text=True, check=True)
    return float(done.stdout) - began


def live_edits(root: Path) -> list[float]:
    """Seconds from writing a file to the first answer that shows it."""
    command = [sys.executable, "-m", "lib.local", "--watch"]
    with subprocess.Popen(command, cwd=root, stdout=subprocess.PIPE, stderr=subprocess.DEVNULL, text=True) as session:
        api = ""
        for line in session.stdout or ():
            api = line.split()[1] if line.startswith("API ") else api
            if line.startswith("Ctrl-C"):
                break
        # It prints every request; nobody reading would make it wait.
        threading.Thread(target=lambda: list(session.stdout or ()), daemon=True).start()
        path, seconds = root / EDITED, []
        original = path.read_text()
        for number in range(RUNS):
            detail(api)
            began = time.perf_counter()
            path.write_text(original.replace(SENTENCE, f"Edit {number}."))
            while detail(api) != f"Edit {number}.":
                time.sleep(0.01)
            seconds.append(time.perf_counter() - began)
        session.send_signal(signal.SIGINT)
    return seconds


def detail(api: str) -> str:
    """What the API says of an item that is not there."""
    try:
        urllib.request.urlopen(f"{api}/items/nothing")  # noqa: S310 - an address that the session gave
    except urllib.error.HTTPError as error:
        with error:
            found: dict[str, Any] = json.loads(error.read())
            return str(found["detail"])
    return ""


def _all(seconds: list[float]) -> str:
    return ", ".join(f"{each:.2f}" for each in sorted(seconds))


if __name__ == "__main__":
    main()
