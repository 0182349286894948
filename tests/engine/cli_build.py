"""The real engine for these tests: the `pulumi` on PATH, else one built from the Go module in `cli/`, once."""

from __future__ import annotations

import fcntl
import os
import re
import shutil
import subprocess
import tempfile
from pathlib import Path

MODULE = Path(__file__).with_name("cli")
PACKAGE = "github.com/pulumi/pulumi/pkg/v3/cmd/pulumi"


class NoEngineError(RuntimeError):
    """There is no engine here and none can be built; says what to install."""


def find() -> Path:
    """The engine's executable, built first when it has to be (minutes, once)."""
    if found := shutil.which("pulumi"):
        return Path(found)
    engine = cache() / f"pulumi-{version()}" / "pulumi"
    if not engine.exists():
        _build(engine)
    return engine


def version() -> str:
    """The engine's version that `cli/go.mod` pins."""
    found = re.search(r"github\.com/pulumi/pulumi/pkg/v3 v(\S+)", (MODULE / "go.mod").read_text())
    if not found:
        raise NoEngineError(f"{MODULE / 'go.mod'} names no version of the engine")
    return found[1]


def cache() -> Path:
    """Where built engines are kept, beside the user's other caches."""
    return Path(os.environ.get("XDG_CACHE_HOME") or Path.home() / ".cache", "tap", "engine")


def _build(engine: Path) -> None:
    if not shutil.which("go"):
        raise NoEngineError("neither `pulumi` nor `go`, which would build it, is on PATH; install one of them")
    engine.parent.mkdir(parents=True, exist_ok=True)
    with (engine.parent / "lock").open("w") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)  # a second test run waits for the first one's build
        if engine.exists():
            return
        with tempfile.TemporaryDirectory(dir=engine.parent) as scratch:
            built = Path(scratch, "pulumi")
            flags = f"-s -w -X github.com/pulumi/pulumi/sdk/v3/go/common/version.Version=v{version()}"
            done = subprocess.run(
                ["go", "build", "-tags", "osusergo grpcnotrace", "-ldflags", flags, "-o", str(built), PACKAGE],
                cwd=MODULE,
                capture_output=True,
                text=True,
                check=False,
            )
            if done.returncode:
                raise NoEngineError(f"the engine can't be built: {done.stderr.strip()[-2000:]}")
            built.replace(engine)
