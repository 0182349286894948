"""When AWS stops caring for each Lambda Python, so that a deploy says it before AWS does.

Dates: https://docs.aws.amazon.com/lambda/latest/dg/lambda-runtimes.html, as of July 2026; AWS moves the later ones now
and then. None where no date was found.
"""

from __future__ import annotations

from dataclasses import dataclass
from datetime import date, timedelta

WARN_AHEAD = timedelta(days=90)


@dataclass(frozen=True)
class Runtime:
    """The three days that matter in the end of a runtime."""

    unpatched: date
    no_create: date | None = None
    no_update: date | None = None


RUNTIMES = {
    "python3.9": Runtime(date(2025, 12, 15), date(2027, 2, 1), date(2027, 3, 3)),
    "python3.10": Runtime(date(2026, 10, 31), date(2027, 2, 1)),
    "python3.11": Runtime(date(2027, 6, 30), date(2027, 7, 31), date(2027, 8, 31)),
    "python3.12": Runtime(date(2028, 10, 31), date(2028, 11, 30), date(2029, 1, 10)),
    "python3.13": Runtime(date(2029, 6, 30), date(2029, 7, 31), date(2029, 8, 31)),
    "python3.14": Runtime(date(2029, 6, 30), date(2029, 7, 31), date(2029, 8, 31)),
}


def warning(runtime: str, today: date) -> str | None:
    """Return what a deploy should say about `runtime` on this day, naming the setting that changes it, or None."""
    ends = RUNTIMES[runtime]
    if today < ends.unpatched - WARN_AHEAD:
        return None
    facts = [f"{'stopped' if today >= ends.unpatched else 'stops'} patching it on {ends.unpatched}"]
    if ends.no_create:
        facts.append(f"{'refuses' if today >= ends.no_create else 'will refuse'} new functions from {ends.no_create}")
    if ends.no_update:
        facts.append(f"{'refuses' if today >= ends.no_update else 'will refuse'} updates from {ends.no_update}")
    newest = max(RUNTIMES, key=lambda name: (RUNTIMES[name].unpatched, name))
    return f"Lambda runtime {runtime}: AWS {', '.join(facts)}. Change it with tap:lambdaRuntime, e.g. {newest}."
