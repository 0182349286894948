"""The end of a runtime is said 90 days ahead, on every deploy, with the setting that changes it."""

from __future__ import annotations

from datetime import date, timedelta

import pytest

from lib.runtimes import RUNTIMES, warning
from lib.settings import Settings

DAY = timedelta(days=1)


@pytest.mark.parametrize("runtime", RUNTIMES)
def test_a_runtime_is_silent_until_90_days_before_its_end(runtime: str) -> None:
    first = RUNTIMES[runtime].unpatched - timedelta(days=90)
    assert warning(runtime, first - DAY) is None
    said = warning(runtime, first)
    assert said
    assert f"{runtime}: AWS stops patching it on {RUNTIMES[runtime].unpatched}" in said
    assert "tap:lambdaRuntime" in said


@pytest.mark.parametrize("runtime", RUNTIMES)
def test_a_runtime_s_dates_are_in_order(runtime: str) -> None:
    ends = RUNTIMES[runtime]
    dates = [one for one in (ends.unpatched, ends.no_create, ends.no_update) if one]
    assert dates == sorted(set(dates))


@pytest.mark.parametrize(
    ("today", "says"),
    [
        (date(2025, 9, 15), None),
        (date(2025, 9, 16), "AWS stops patching it on 2025-12-15, will refuse new functions from 2027-02-01"),
        (date(2025, 12, 14), "stops patching it on 2025-12-15"),
        (date(2025, 12, 15), "AWS stopped patching it on 2025-12-15, will refuse new functions from 2027-02-01"),
        (date(2026, 11, 21), "will refuse new functions from 2027-02-01, will refuse updates from 2027-03-03."),
        (date(2027, 1, 31), "will refuse new functions from 2027-02-01"),
        (date(2027, 2, 1), ", refuses new functions from 2027-02-01, will refuse updates from 2027-03-03."),
        (date(2027, 3, 2), "will refuse updates from 2027-03-03"),
        (date(2027, 3, 3), "refuses new functions from 2027-02-01, refuses updates from 2027-03-03."),
    ],
)
def test_python_3_9_on_the_days_that_matter(today: date, says: str | None) -> None:
    said = warning("python3.9", today)
    assert said is None if says is None else says in str(said)


def test_the_suggested_runtime_is_the_one_that_lasts_longest() -> None:
    assert "e.g. python3.14" in str(warning("python3.9", date(2027, 1, 1)))


@pytest.mark.parametrize("runtime", RUNTIMES)
def test_every_runtime_of_the_table_is_a_valid_setting(runtime: str) -> None:
    assert Settings(lambda_runtime=runtime).lambda_runtime == runtime
