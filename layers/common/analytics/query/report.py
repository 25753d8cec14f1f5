"""The dashboard's blocks, from summaries. Durations go in as microseconds and come out as milliseconds.

A day that lies whole in the range is read as a day; of other days, the intervals that lie in the range. So a range is
of whole intervals, or the summaries are of just the logs that are asked for.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator, Mapping
from typing import Any

from analytics.batch import Counts
from analytics.blocks import Delivery, Point
from analytics.query.filter import Filter
from analytics.query.ranges import Period, label, last_shown, point_of, points
from analytics.schema import MAX_UNKNOWN, OTHER_FIELDS
from analytics.summary.aggregate import Aggregate
from analytics.summary.counters import SECTIONS
from analytics.summary.route_section import NOT_BY_ENDPOINT
from analytics.summary.section import ranked
from analytics.summary.stats import RequestStats, milliseconds
from analytics.summary.summary import Summary
from analytics.times import DAY, SECOND, isoformat

_NOTHING = RequestStats()


class Report:
    """Adds up summaries and gives the blocks.

    `wanted` is applied by method, endpoint, status and range; `filtered` says that the summaries are of just the logs
    that match, so that everything about them is known. `top` is the length of the ranked lists. A time series goes to
    its last log, and on to the end of the range or to `now`: see `ranges.last_shown`.
    """

    def __init__(self, wanted: Filter, period: Period, top: int, *, now: int = 0, filtered: bool = False) -> None:
        self._wanted = wanted
        self._now = now
        self._period = period
        self._point = point_of(period)
        self._top = top
        self._narrowed = not filtered and wanted.narrows_series
        self._is_fine = period in (Period.minutely, Period.hourly)
        self._total = RequestStats()
        self._points: dict[int, RequestStats] = {}
        self._sections = {kind: section() for kind, section in SECTIONS.items()}
        self._counts: Counts = Counter()
        self.accepted_by_day: Counter[int] = Counter()  # requests in batches, by day of receipt since 1970
        self.unreadable = 0  # damaged batches, of all days of receipt that were read
        self._last_received = 0

    def needs_intervals(self, summary: Summary) -> bool:
        """Whether it takes more of a summary's intervals than their totals."""
        if self._is_fine and self._narrowed:
            return True
        return any(not is_day for _, _, is_day in self._aggregates(summary))

    def add(self, summary: Summary) -> None:
        """Add a summary; with its intervals where it `needs_intervals`."""
        summary.settle()
        is_error, series = summary.is_error, summary.series
        matching: list[bool] | None = None
        if self._narrowed:
            matching = [key is not None and self._wanted.matches(key) for key in series]
            series = [key if matches else None for key, matches in zip(series, matching, strict=True)]
        days = set[int]()
        for start, aggregate, is_day in self._aggregates(summary):
            stats = aggregate.stats(is_error, matching)
            self._total.merge(stats)
            days.add(start // SECOND // DAY)
            for kind, section in self._sections.items():
                section.add(aggregate.of(kind), series, narrowed=self._narrowed)
            if not (self._is_fine and is_day):
                self._add_to_point(start, stats)
            else:
                first = start // SECOND // summary.interval
                for interval in range(first, first + summary.intervals_a_day):
                    if interval in summary.intervals:
                        stats = summary.intervals[interval].stats(is_error, matching)
                        self._add_to_point(interval * summary.interval * SECOND, stats)
        for kind, section in self._sections.items():
            for day in days:
                section.add_day(summary.days[day].of(kind))
        for day, counts in summary.counts.items():
            self.accepted_by_day[day] += counts["accepted"]
            self.unreadable += counts["unreadable"]
            if not self._wanted.range.misses(day * DAY * SECOND, (day + 1) * DAY * SECOND - 1):
                self._counts.update(counts)
        self._last_received = max(self._last_received, summary.last_received)

    @property
    def accepted(self) -> int:
        """Requests in batches of the days asked about."""
        return self._counts["accepted"]

    def _aggregates(self, summary: Summary) -> Iterator[tuple[int, Aggregate, bool]]:
        """(start in microseconds, aggregate, whether it is a day), of the aggregates that make up the range."""
        asked, partly = self._wanted.range, set()
        for day, aggregate in summary.days.items():
            start = day * DAY * SECOND
            if asked.covers(start, start + DAY * SECOND - 1):
                yield start, aggregate, True
            elif not asked.misses(start, start + DAY * SECOND - 1):
                partly.add(day)
        length = summary.interval * SECOND
        for interval, aggregate in summary.intervals.items() if partly else ():
            start = interval * length
            if interval // summary.intervals_a_day in partly and not asked.misses(start, start + length - 1):
                yield start, aggregate, False

    def _add_to_point(self, start: int, stats: RequestStats) -> None:
        point = self._point(start)
        if point not in self._points:
            self._points[point] = RequestStats()
        self._points[point].merge(stats)

    def blocks(self) -> dict[str, Any]:
        """All blocks of a `Dashboard` but `range`. Raises Invalid when the range has too many points of the period."""
        total = self._total
        blocks: dict[str, Any] = {}
        summary: dict[str, Any] = {
            "total_requests": total.requests,
            "unique_ips": None,
            "avg_response_time": total.average,
            "min_response_time": None if total.shortest is None else milliseconds(total.shortest),
            "max_response_time": None if total.longest is None else milliseconds(total.longest),
            "error_rate": round(total.error_share * 100, 2),
            "error_share": round(total.error_share, 6),
            **total.percentiles(),
        }
        precision: dict[str, Any] = {"percentiles": 0.01}
        unavailable: dict[str, str] = {}
        for section in self._sections.values():
            shown = section.show(self._top)
            blocks |= shown.blocks
            summary |= shown.summary
            precision |= shown.precision
            unavailable |= shown.unavailable
        precision |= self._missing(precision)
        if total.latency is None:
            unavailable["summary.percentiles"] = NOT_BY_ENDPOINT
        if any(stats.latency is None for stats in self._points.values()):
            unavailable["time_series.percentiles"] = NOT_BY_ENDPOINT
        return {
            "summary": summary,
            **blocks,
            "time_series": self._time_series(),
            "delivery": self._delivery(),
            "precision": precision,
            "unavailable": unavailable,
        }

    def _missing(self, precision: Mapping[str, int]) -> dict[str, int]:
        """How many requests a filter may have missed because a summary counts their endpoint or method as other.

        A name has at most so many, so several names have as many times more. A status code is always known.
        """
        wanted, endpoints, methods = (
            self._wanted,
            precision["endpoints_low_by_at_most"],
            precision["methods_low_by_at_most"],
        )
        if not self._narrowed:
            return {"requests_low_by_at_most": 0}
        missing = len(wanted.endpoint) * endpoints or len(wanted.method) * methods
        return {
            "methods_low_by_at_most": missing if wanted.endpoint else methods,
            "consumers_low_by_at_most": precision["consumers_low_by_at_most"] + missing,
            "requests_low_by_at_most": missing,
        }

    def _time_series(self) -> list[Point]:
        """The points of the whole range, also where it is empty. An open start is where the first log is."""
        asked, filled = self._wanted.range, [start for start, stats in self._points.items() if stats.requests]
        if not filled and asked.start is None:
            return []
        first = min(filled) if asked.start is None else asked.start
        every = points(self._period, first, max([last_shown(asked, self._now), *filled]))
        return [_point(label(self._period, start), self._points.get(start, _NOTHING)) for start in every]

    def _delivery(self) -> Delivery:
        return {
            "accepted": self._counts["accepted"],
            "rejected": _by_reason(self._counts, "rejected."),
            "duplicates": self._counts["duplicates"],
            "skewed": self._counts["skewed"],
            "local_times": self._counts["local_times"],
            "trimmed": _by_reason(self._counts, "trimmed."),
            "unknown_fields": _shortened(_by_reason(self._counts, "unknown_fields.")),
            "dropped": _by_reason(self._counts, "dropped."),
            "unreadable": self._counts["unreadable"],
            "last_received_at": isoformat(self._last_received) if self._last_received else None,
        }


def _point(timestamp: str, stats: RequestStats) -> Point:
    return {
        "timestamp": timestamp,
        "requests": stats.requests,
        "avg_time": stats.average,
        "error_rate": round(stats.error_share, 4),
        "error_share": round(stats.error_share, 6),
        "errors_count": stats.errors,
        **stats.percentiles(),
    }


def _by_reason(counts: Counts, prefix: str) -> dict[str, int]:
    return {name.removeprefix(prefix): n for name, n in ranked(counts) if name.startswith(prefix)}


def _shortened(unknown: dict[str, int]) -> dict[str, int]:
    """The most frequent names; clients may make up new ones with every batch."""
    others = unknown.pop(OTHER_FIELDS, 0) + sum(list(unknown.values())[MAX_UNKNOWN:])
    return dict(list(unknown.items())[:MAX_UNKNOWN]) | ({OTHER_FIELDS: others} if others else {})
