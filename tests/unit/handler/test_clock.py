"""Points in time: what RFC 3339 allows is taken, stored as UTC, and sorts as time does."""

from __future__ import annotations

import re
import time
import uuid
from datetime import datetime, timedelta, timezone

import pytest
from hypothesis import given
from hypothesis import strategies as st

from lib.handler.clock import new_id, now, to_utc

UTC = timezone(timedelta(0))  # `datetime.UTC` is not in Python 3.9
FORM = re.compile(r"\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d\.\d{6}Z")
OFFSETS = st.integers(-23 * 60 - 59, 23 * 60 + 59).map(lambda minutes: timezone(timedelta(minutes=minutes)))
MOMENTS = st.datetimes(min_value=datetime(1, 1, 3), max_value=datetime(9999, 12, 29), timezones=OFFSETS)  # noqa: DTZ001


@given(MOMENTS, st.sampled_from("Tt"))
def test_any_moment_in_any_zone_is_the_same_moment_in_utc(moment: datetime, separator: str) -> None:
    utc = to_utc(moment.isoformat().replace("T", separator))
    assert utc is not None
    assert FORM.fullmatch(utc)
    assert datetime.strptime(utc[:-1], "%Y-%m-%dT%H:%M:%S.%f").replace(tzinfo=UTC) == moment


@given(MOMENTS, MOMENTS)
def test_texts_sort_as_moments_do(one: datetime, other: datetime) -> None:
    first, second = to_utc(one.isoformat()), to_utc(other.isoformat())
    assert first is not None
    assert second is not None
    assert (first < second) is (one < other)


@given(st.text(max_size=40) | st.from_regex(r"\A\d{4}-\d\d-\d\d[Tt ]\d\d:\d\d:\d\d(\.\d*)?([Zz]|[+-]\d\d:?\d\d)?\Z"))
def test_any_text_is_a_moment_in_the_stored_form_or_none(text: str) -> None:
    utc = to_utc(text)
    assert utc is None or (FORM.fullmatch(utc) and to_utc(utc) == utc)


@pytest.mark.parametrize(
    ("text", "utc"),
    [
        ("2024-02-29T00:00:00Z", "2024-02-29T00:00:00.000000Z"),
        ("2000-02-29T00:00:00z", "2000-02-29T00:00:00.000000Z"),
        ("2024-05-06T07:08:09.5-00:00", "2024-05-06T07:08:09.500000Z"),
        ("2024-05-06T07:08:09.123456000Z", "2024-05-06T07:08:09.123456Z"),
        ("2023-12-31T23:30:00-01:00", "2024-01-01T00:30:00.000000Z"),
        ("0001-01-01T00:00:00Z", "0001-01-01T00:00:00.000000Z"),
        ("9999-12-31T23:59:59.999999Z", "9999-12-31T23:59:59.999999Z"),
        ("1969-12-31T23:59:59.5Z", "1969-12-31T23:59:59.500000Z"),
        ("2016-12-31T23:59:60Z", "2016-12-31T23:59:60.000000Z"),
        ("1990-12-31T15:59:60.5-08:00", "1990-12-31T23:59:60.500000Z"),
    ],
)
def test_what_rfc_3339_allows_is_taken(text: str, utc: str) -> None:
    assert to_utc(text) == utc


@pytest.mark.parametrize(
    "text",
    [
        "2023-02-29T00:00:00Z",
        "1900-02-29T00:00:00Z",
        "2024-04-31T00:00:00Z",
        "2024-00-01T00:00:00Z",
        "2024-13-01T00:00:00Z",
        "2024-01-00T00:00:00Z",
        "2024-01-01T24:00:00Z",
        "2024-01-01T00:60:00Z",
        "2024-01-01T00:00:61Z",
        "2024-06-15T12:00:60Z",
        "2016-12-31T23:59:60+01:00",
        "2016-12-30T23:59:60Z",
        "2024-01-01T00:00:00",
        "2024-01-01T00:00Z",
        "2024-01-01 00:00:00Z",
        "2024-01-01T00:00:00.Z",
        "2024-01-01T00:00:00.1234567Z",
        "2024-01-01T00:00:00,5Z",
        "2024-01-01T00:00:00+24:00",
        "2024-01-01T00:00:00+00:60",
        "2024-01-01T00:00:00+0000",
        "2024-01-01T00:00:00+00",
        "2024-01-01T00:00:00 Z",
        "2024-01-01T00:00:00Z ",
        "2024-01-01T00:00:00ZZ",
        "2024-1-1T00:00:00Z",
        "24-01-01T00:00:00Z",
        "02024-01-01T00:00:00Z",
        "-024-01-01T00:00:00Z",
        "+024-01-01T00:00:00Z",
        "\u0662024-01-01T00:00:00Z",
        "2024-01-01T00:00:0²Z",
        "2024-01-01T00:00:00+0²:00",
        "0000-01-01T00:00:00Z",
        "0001-01-01T00:00:00+00:01",
        "9999-12-31T23:59:59-00:01",
        "2024-W01-1T00:00:00Z",
        "",
    ],
)
def test_what_is_no_moment_with_a_zone_to_the_microsecond_is_none(text: str) -> None:
    assert to_utc(text) is None


def test_now_is_now_in_the_stored_form() -> None:
    before = datetime.now(UTC)
    text = now()
    after = datetime.now(UTC)
    assert to_utc(text) == text
    assert before <= datetime.strptime(text, "%Y-%m-%dT%H:%M:%S.%fZ").replace(tzinfo=UTC) <= after


def test_now_does_not_depend_on_the_machines_zone(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("lib.handler.clock.time_ns", lambda: 1_714_979_289_000_001_999)
    monkeypatch.setenv("TZ", "Asia/Tokyo")
    time.tzset()
    try:
        assert now() == "2024-05-06T07:08:09.000001Z"
    finally:
        monkeypatch.undo()
        time.tzset()


def test_an_id_is_a_random_uuid() -> None:
    ids = {new_id() for _ in range(100)}
    assert len(ids) == 100
    for text in ids:
        parsed = uuid.UUID(text)
        assert (str(parsed), parsed.version, parsed.variant) == (text, 4, uuid.RFC_4122)
