"""Where the engine keeps its states."""

from __future__ import annotations

import json
import os
import subprocess
from contextlib import suppress
from dataclasses import dataclass
from functools import cache
from urllib.parse import urlsplit

DIY_ORGANIZATION = "organization"
"""The name of the only organization of a backend that is not Pulumi Cloud."""


@dataclass(frozen=True)
class Backend:
    """The backend's URL and the organization that unqualified stacks belong to."""

    url: str
    organization: str


@cache
def backend() -> Backend:
    """The backend of PULUMI_BACKEND_URL or of `pulumi login`; the CLI is asked only where it has to be."""
    url = os.environ.get("PULUMI_BACKEND_URL", "")
    if not url:
        with suppress(ValueError, KeyError, TypeError):
            url = str(json.loads(_ask("whoami", "--json"))["url"])
    if urlsplit(url).scheme in {"http", "https"}:
        return Backend(url, _ask("org", "get-default").strip() or DIY_ORGANIZATION)
    return Backend(url, DIY_ORGANIZATION)


def _ask(*arguments: str) -> str:
    """What the CLI answers; nothing when it can't, which the preflight then finds and says."""
    try:
        done = subprocess.run(
            ["pulumi", "--non-interactive", *arguments],
            stdin=subprocess.DEVNULL,
            capture_output=True,
            text=True,
            check=False,
        )
    except OSError:
        return ""
    return done.stdout
