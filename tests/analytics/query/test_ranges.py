"""Ranges, and the points of a chart over them."""

from __future__ import annotations

from datetime import UTC, datetime

import pytest
from hypothesis import given
from hypothesis import strategies as st

from analytics.errors import Invalid, Problem
from analytics.query.ranges import (
    MAX_POINTS,
    NOT_A_DATE,
    Period,
    Range,
    label,
    last_shown,
    parse_range,
    point_of,
    points,
    refuse_too_long,
)
from analytics.schema import MAX_AHEAD_US
from analytics.times import microseconds
from tests.support import reference

moments = st.integers(946_684_800_000_000, 4_102_444_800_000_000)  # 2000 to 2100, microseconds


def at(text: str) -> int:
    """Microseconds since 1970 of a time in UTC."""
    return microseconds(datetime.fromisoformat(text).replace(tzinfo=UTC))


@pytest.mark.parametrize(
    ("start", "end", "expected"),
    [
        (None, None, Range(None, None)),
        ("2025-11-24", None, Range(at("2025-11-24"), None)),
        ("2025-11-24", "2025-11-24", Range(at("2025-11-24"), at("2025-11-25"))),
        (None, "2025-11-24T10:00:00", Range(None, at("2025-11-24T10:00:00"))),
        ("2025-11-24T10:00:00.000001Z", None, Range(at("2025-11-24T10:00:00.000001"), None)),
        ("2025-11-24T10:00:00+02:00", None, Range(at("2025-11-24T08:00:00"), None)),
        ("2025-11-24T10:00:00 02:00", None, Range(at("2025-11-24T08:00:00"), None)),
        ("2025-11-24 10:00:00", None, Range(at("2025-11-24T10:00:00"), None)),
        ("2025-11-24 10:00", None, Range(at("2025-11-24T10:00:00"), None)),
        ("2025-11-24t10:00:00.5z", None, Range(at("2025-11-24T10:00:00.5"), None)),
        ("2025-11-24T23:59:59.999999-05:30", None, Range(at("2025-11-25T05:29:59.999999"), None)),
        ("1969-12-31", "1970-01-01", Range(0, at("1970-01-02"))),
    ],
)
def test_a_range_is_read(start: str | None, end: str | None, expected: Range) -> None:
    """A date as the end means all of that day, a datetime is where the range stops; without an offset it is UTC."""
    assert parse_range(start, end) == expected


FORMS = [  # of ISO 8601 or of Python, and of neither
    "20251124",
    "2025-W48",
    "2025-W48-1",
    "2025W481",
    "2025-328",
    "2025-11",
    "--11-24",
    "20251124T100000Z",
    "2025-11-24T10",
    "2025-11-24T1000",
    "2025-11-24T10:00:00,5",
    "2025-11-24T10:00:00.",
    "2025-11-24T10:00:00.0000001",
    "2025-11-24T24:00",
    "2025-11-24T24:00:00Z",
    "2025-11-24T23:59:60Z",
    "2025-11-24T10:60",
    "2025-11-24T10:00+02",
    "2025-11-24T10:00+0200",
    "2025-11-24T10:00+02:00:00",
    "2025-11-24T10:00+24:00",
    "2025-11-24T10:00 +02:00",
    "2025-11-24_10:00",
    "2025-11-24Z",
    "2025-11-24+02:00",
    "2025-11-24T",
    " 2025-11-24",
    "2025-11-24\n",
    "+2025-11-24",
    "0000-01-01",
    "2025-1-1",
    "\uff12025-11-24",
    "2025-11-24T1\u0660:00",
    "2025-11-24T10:00\u221202:00",
    "today",
    "1763985600",
]


@pytest.mark.parametrize("text", FORMS)
def test_a_date_has_one_form(text: str) -> None:
    """What could mean another day than its author thinks, in any version of Python, is refused, as start and as end."""
    for start, end, field in ((text, None, "start_date"), (None, text, "end_date")):
        with pytest.raises(Invalid) as refusal:
            parse_range(start, end)
        assert refusal.value.problems == [Problem(None, field, NOT_A_DATE)]


@pytest.mark.parametrize(
    ("start", "end", "field"),
    [
        ("yesterday", None, "start_date"),
        (None, "2025-02-30", "end_date"),
        ("", None, "start_date"),
        ("0001-01-01T00:00:00+23:59", "2025-13-01", "end_date"),
        ("2025-11-25", "2025-11-24", "end_date"),
        ("2025-11-24T10:00", "2025-11-24T10:00", "end_date"),
    ],
)
def test_a_range_that_makes_no_sense_is_refused(start: str | None, end: str | None, field: str) -> None:
    """With the name of the parameter."""
    with pytest.raises(Invalid) as refusal:
        parse_range(start, end)
    assert [problem.field for problem in refusal.value.problems] == [field]


@given(moments, st.sampled_from(Period))
def test_a_moment_falls_into_the_point_of_its_name(moment: int, period: Period) -> None:
    """Points begin where the calendar says."""
    start = point_of(period)(moment)
    assert start <= moment
    assert point_of(period)(start) == start
    assert label(period, start) == reference.point(period, moment)


@given(moments, st.integers(0, 40 * 86_400_000_000), st.sampled_from([Period.daily, Period.weekly, Period.monthly]))
def test_points_follow_each_other_without_a_gap(first: int, length: int, period: Period) -> None:
    """From the point of the first moment to that of the last, each once: day by day, none is left out."""
    found = [label(period, start) for start in points(period, first, first + length)]
    days = range(first, first + length, 86_400_000_000)
    assert found == sorted({reference.point(period, moment) for moment in (*days, first + length)})


@pytest.mark.parametrize(
    ("period", "length"),
    [(Period.minutely, 60), (Period.hourly, 3_600), (Period.daily, 86_400), (Period.weekly, 604_800)],
)
def test_too_many_points_are_refused(period: Period, length: int) -> None:
    """A week of minutes is answered, a minute more is not, before any point is made; so it is with other periods."""
    start = point_of(period)(at("2025-11-24"))
    last = start + MAX_POINTS * length * 1_000_000 - 1
    assert len(list(points(period, start, last))) == MAX_POINTS
    for first, beyond in ((start, last + 1), (start - 1, last)):
        with pytest.raises(Invalid, match="too long for the period"):
            points(period, first, beyond)


def test_too_many_months_are_refused() -> None:
    """840 years of them are answered."""
    first, last = at("1970-01-31"), at("2809-12-01")
    assert len(list(points(Period.monthly, first, last))) == MAX_POINTS
    with pytest.raises(Invalid, match="too long for the period"):
        points(Period.monthly, first, at("2810-01-01"))


@given(moments, st.none() | moments)
def test_a_series_goes_to_the_end_of_the_range_or_of_the_day(now: int, end: int | None) -> None:
    """To now where the range is open; never to a day on which no log can be yet."""
    last = last_shown(Range(None, end), now)
    if end is None:
        assert last == now
    else:
        assert last in (end - 1, point_of(Period.daily)(last) + 86_400_000_000 - 1)
        assert last == end - 1 or now + MAX_AHEAD_US <= last < now + MAX_AHEAD_US + 86_400_000_000


def test_a_range_is_too_long_as_soon_as_its_start_says_so() -> None:
    """An open start says nothing; an end in the far future counts as today."""
    now, week = at("2025-11-24T12:00:00"), at("2025-11-17T12:01:00")
    for asked in (Range(None, at("2099-01-01")), Range(week, None), Range(at("2090-01-01"), at("2099-01-01"))):
        refuse_too_long(asked, Period.minutely, now)
    refuse_too_long(Range(at("2000-01-01"), at("2099-01-01")), Period.daily, now)
    for asked in (Range(week - 60_000_000, None), Range(week, at("2099-01-01"))):
        with pytest.raises(Invalid, match="too long for the period"):
            refuse_too_long(asked, Period.minutely, now)
