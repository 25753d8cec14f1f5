"""Ranges of time that are asked about, and the points of a chart over them. All times are UTC.

Inside, a moment is whole microseconds since 1970, and a range is `[start, end)` with either side open where it is None.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from enum import StrEnum

from analytics.errors import Invalid, Problem
from analytics.schema import MAX_AHEAD_US
from analytics.times import microseconds, parsed

MAX_POINTS = 10_080  # of one time series: a week of minutes, or 27 years of days
_DAY_US = 86_400 * 1_000_000
_MINUTE_US = 60 * 1_000_000
LAST_US = 253_402_300_800 * 1_000_000 - 1  # the end of the year 9999: "for ever", and the last that has a name


class Period(StrEnum):
    """How long one point of the time series lasts. A week begins on Monday."""

    minutely = "minutely"
    hourly = "hourly"
    daily = "daily"
    weekly = "weekly"
    monthly = "monthly"


@dataclass(frozen=True, slots=True)
class Range:
    """Moments from `start` up to, and not including, `end`; None where a side is open."""

    start: int | None = None
    end: int | None = None

    def __contains__(self, at_us: int) -> bool:
        return (self.start is None or at_us >= self.start) and (self.end is None or at_us < self.end)

    def covers(self, first: int, last: int) -> bool:
        """Whether both moments lie inside, and so all between."""
        return first in self and last in self

    def misses(self, first: int, last: int) -> bool:
        """Whether nothing from `first` to `last` lies inside."""
        return (self.start is not None and last < self.start) or (self.end is not None and first >= self.end)


def parse_range(start_date: str | None, end_date: str | None) -> Range:
    """The range between a start and an end, each a date or a date and time (see NOT_A_DATE; without offset: UTC).

    A date as the end includes all of that day; what is before 1970 is taken as 1970. Raises Invalid for anything else,
    and for an end not after the start.
    """
    asked = Range(_moment("start_date", start_date), _moment("end_date", end_date, days=1))
    if asked.start is not None and asked.end is not None and asked.start >= asked.end:
        raise Invalid(
            "end_date must be after start_date", [Problem(None, "end_date", "Input should be after start_date")]
        )
    return asked


NOT_A_DATE = "Input should be a date, as 2026-11-24, or a date and time, as 2026-11-24T14:30 or 2026-11-24T14:30:00Z"

# What RFC 3339 allows, with seconds and offset left out where they are not needed. Other forms of ISO 8601 (weeks, days
# of the year, digits alone) are refused: Python reads some of them, and not always as they are meant. An hour 24 and a
# second 60 do not exist. The "+" of an offset arrives as a space when it is not escaped.
_DATE = re.compile(
    r"(?P<day>\d{4}-\d\d-\d\d)"
    r"([Tt ](?P<clock>([01]\d|2[0-3]):\d\d(:\d\d(\.\d{1,6})?)?)(?P<offset>[Zz]|[+ -]\d\d:\d\d)?)?",
    re.ASCII,
)


def _moment(field: str, text: str | None, days: int = 0) -> int | None:
    if text is None:
        return None
    try:
        match = _DATE.fullmatch(text)
        if match is None:
            raise ValueError(text)
        day, clock, offset = match["day"], match["clock"], match["offset"]
        if clock is None:
            at = parsed(day) + days * _DAY_US
        else:
            at = parsed(f"{day}T{clock}{(offset or 'Z').replace(' ', '+').upper()}")
    except ValueError:
        raise Invalid(f"{field} is not a date", [Problem(None, field, NOT_A_DATE)]) from None
    return min(max(at, 0), LAST_US)


def last_shown(asked: Range, now: int) -> int:
    """The last moment that a time series over a range goes to: now where it is open, else the last one inside.

    It never goes beyond the last day that a log can be of now, when a client's clock is as far ahead as is believed.
    """
    if asked.end is None:
        return now
    return min(asked.end, (now + MAX_AHEAD_US) // _DAY_US * _DAY_US + _DAY_US) - 1


def point_of(period: Period) -> Callable[[int], int]:
    """The function that gives the start of the point that a moment falls into, both in microseconds."""
    if period is Period.monthly:
        return lambda at: microseconds(_datetime(at).replace(day=1, hour=0, minute=0, second=0, microsecond=0))
    length, offset = {
        Period.minutely: (_MINUTE_US, 0),
        Period.hourly: (60 * _MINUTE_US, 0),
        Period.daily: (_DAY_US, 0),
        Period.weekly: (7 * _DAY_US, 3 * _DAY_US),  # 1970-01-01 was a Thursday
    }[period]
    return lambda at: (at + offset) // length * length - offset


def label(period: Period, start: int) -> str:
    """How a point that starts then is named: `2026-11`, `2026-11-24`, `2026-11-24T14:00Z`."""
    forms = {Period.monthly: "%Y-%m", Period.hourly: "%Y-%m-%dT%H:%MZ", Period.minutely: "%Y-%m-%dT%H:%MZ"}
    return _datetime(start).strftime(forms.get(period, "%Y-%m-%d"))


def points(period: Period, first: int, last: int) -> Iterator[int]:
    """The starts of all points from the one of `first` to the one of `last`.

    Raises Invalid, before it gives any, when there are more than MAX_POINTS.
    """
    start = point_of(period)(first)
    if _number(period, last) - _number(period, first) >= MAX_POINTS:
        reason = f"Input should be a longer period: this range has more than {MAX_POINTS} {period} points"
        raise Invalid("The range is too long for the period", [Problem(None, "period", reason)])
    return _points(period, start, last)


def refuse_too_long(asked: Range, period: Period, now: int) -> None:
    """Raise Invalid when a range has too many points of the period, where its start says so before any log is read."""
    if asked.start is not None:
        points(period, asked.start, last_shown(asked, now))


def _points(period: Period, start: int, last: int) -> Iterator[int]:
    of, step = point_of(period), _STEPS[period]
    while start <= last:
        yield start
        start = of(start + step)


def _number(period: Period, at: int) -> int:
    """Which point a moment falls into, counted from a first one."""
    if period is Period.monthly:
        moment = _datetime(at)
        return moment.year * 12 + moment.month
    return point_of(period)(at) // _STEPS[period]


_STEPS = {  # from the start of a point to somewhere in the next one
    Period.minutely: _MINUTE_US,
    Period.hourly: 60 * _MINUTE_US,
    Period.daily: _DAY_US,
    Period.weekly: 7 * _DAY_US,
    Period.monthly: 31 * _DAY_US,
}


def _datetime(at_us: int) -> datetime:
    return datetime(1970, 1, 1, tzinfo=UTC) + timedelta(microseconds=at_us)
