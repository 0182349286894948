"""What a few tests need of the machine beside Python. Where it is missing they are skipped; in CI they fail."""

from __future__ import annotations

import os
import shutil
from typing import NoReturn

import pytest

# What .ci/run has seen that this machine cannot have: packages that it could not install, or a network of one's own.
OUT_OF_REACH = "TAP_CI_WITHOUT"


def program(*names: str, package: str) -> str:
    """The path of the first of these programs that is installed; without one, the calling test ends here."""
    found = next(filter(None, map(shutil.which, names)), None)
    if found is None:
        lacking(f"there is no {names[0]}: apt-get install {package}", package)
    return found


def lacking(why: str, need: str = "") -> NoReturn:
    """Skip the calling test. In CI a test that does not run proves nothing and nobody looks, so there it fails."""
    in_ci = os.environ.get("CI", "") not in {"", "0", "false"}
    if in_ci and need not in os.environ.get(OUT_OF_REACH, "").split():
        pytest.fail(f"in CI this test must run, but {why}")
    pytest.skip(why)
