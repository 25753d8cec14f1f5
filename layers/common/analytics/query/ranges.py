"""Ranges of time that are asked about, and the points of a chart over them. All times are UTC.

Inside, a moment is whole microseconds since 1970, and a range is `[start, end)` with either side open where it is None.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass
from datetime import UTC, date, datetime, time, timedelta
from enum import StrEnum

from analytics.errors import Invalid, Problem
from analytics.times import microseconds

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
    """The range between a start and an end, each a date or a datetime in ISO 8601 (without offset: UTC).

    A date as the end includes all of that day; what is before 1970 is taken as 1970. Raises Invalid for anything else,
    and for an end not after the start.
    """
    asked = Range(_moment("start_date", start_date), _moment("end_date", end_date, days=1))
    if asked.start is not None and asked.end is not None and asked.start >= asked.end:
        raise Invalid(
            "end_date must be after start_date", [Problem(None, "end_date", "Input should be after start_date")]
        )
    return asked


def _moment(field: str, text: str | None, days: int = 0) -> int | None:
    if text is None:
        return None
    try:
        if len(text) <= 10:  # a date alone
            at = microseconds(datetime.combine(date.fromisoformat(text), time())) + days * _DAY_US
        else:  # an unescaped "+" of an offset arrives as a space
            at = microseconds(datetime.fromisoformat(text.replace(" ", "+") if text[-6:-5] == " " else text))
        return min(max(at, 0), LAST_US)
    except ValueError:
        reason = "Input should be a date or datetime in ISO 8601"
        raise Invalid(f"{field} is not a date", [Problem(None, field, reason)]) from None


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

    Raises Invalid when there are more than MAX_POINTS.
    """
    of = point_of(period)
    start, count = of(first), 0
    while start <= last:
        if count == MAX_POINTS:
            reason = f"Input should be a longer period: this range has more than {MAX_POINTS} {period} points"
            raise Invalid("The range is too long for the period", [Problem(None, "period", reason)])
        yield start
        count += 1
        start = of(start + _STEPS[period])


_STEPS = {  # from the start of a point to somewhere in the next one
    Period.minutely: _MINUTE_US,
    Period.hourly: 60 * _MINUTE_US,
    Period.daily: _DAY_US,
    Period.weekly: 7 * _DAY_US,
    Period.monthly: 31 * _DAY_US,
}


def _datetime(at_us: int) -> datetime:
    return datetime(1970, 1, 1, tzinfo=UTC) + timedelta(microseconds=at_us)
