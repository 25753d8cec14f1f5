"""Ranges, and the points of a chart over them."""

from __future__ import annotations

from datetime import UTC, datetime

import pytest
from hypothesis import given
from hypothesis import strategies as st

from analytics.errors import Invalid
from analytics.query.ranges import MAX_POINTS, Period, Range, label, parse_range, point_of, points
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
    ],
)
def test_a_range_is_read(start: str | None, end: str | None, expected: Range) -> None:
    """A date as the end means all of that day, a datetime is where the range stops; without an offset it is UTC."""
    assert parse_range(start, end) == expected


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


def test_too_many_points_are_refused() -> None:
    """A week of minutes is answered, a minute more is not; nothing is made before that is known to the caller."""
    start, minute = at("2025-11-24"), 60_000_000
    assert len(list(points(Period.minutely, start, start + MAX_POINTS * minute - 1))) == MAX_POINTS
    with pytest.raises(Invalid, match="too long for the period"):
        list(points(Period.minutely, start, start + MAX_POINTS * minute))
