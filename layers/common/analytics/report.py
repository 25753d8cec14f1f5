"""The dashboard's blocks, from summaries. Durations go in as microseconds and come out as milliseconds.

Which windows are read: a day that lies in the range whole is read as a day; of other days, the slots that do. Ranges
are of whole slots, or the summaries are of just the logs asked for.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import Any

from analytics.addresses import Addresses
from analytics.batch import Cell, Counts
from analytics.filter import Filter
from analytics.histogram import Histogram, quantiles
from analytics.model import isoformat
from analytics.summary import DAY, SECOND, Summary
from analytics.timeline import Period, label, point_of, points
from analytics.window import ALL, Tally, Window

SHARES = (0.5, 0.95, 0.99)
Block = dict[str, Any]

NOT_BY_ENDPOINT = "Addresses are kept for all endpoints together, and there are too many single logs to count anew"
NOT_BY_CELL = "At this traffic latency by endpoint is kept by the day: ask for whole days (UTC)"


@dataclass(slots=True)
class Group:
    """Requests that are shown as one row, one tile or one point. Durations in microseconds."""

    requests: int = 0
    errors: int = 0
    total: int = 0
    shortest: int | None = None
    longest: int | None = None
    latency: Histogram | None = 0  # None: not known

    def add(self, status: int, tally: Tally) -> None:
        """Add requests that were answered with this status. An error is 400 to 599."""
        requests, total, shortest, longest = tally
        self.requests += requests
        self.errors += requests if 400 <= status <= 599 else 0
        self.total += total
        self.shortest = shortest if self.shortest is None else min(shortest, self.shortest)
        self.longest = longest if self.longest is None else max(longest, self.longest)

    @property
    def average(self) -> float | None:
        """The mean duration in milliseconds."""
        return _ms(self.total / self.requests) if self.requests else None

    @property
    def error_share(self) -> float:
        """Errors among requests, 0 to 1."""
        return self.errors / self.requests if self.requests else 0.0

    def percentiles(self) -> dict[str, float | None]:
        """p50, p95 and p99 in milliseconds, within 1 %, and never outside of what was measured; None: not known."""
        low, high = self.shortest, self.longest
        found = quantiles(self.latency or 0, SHARES)
        return {
            f"p{share * 100:.0f}": None
            if value is None or low is None or high is None
            else _ms(min(max(value, low), high))
            for share, value in zip(SHARES, found, strict=True)
        }


class Report:
    """Adds up summaries and gives the blocks.

    `wanted` is applied by method, endpoint, status and range; `filtered` says that the summaries are of just the logs
    that match, so that everything about them is known. `top` is the length of the ranked lists.
    """

    def __init__(self, wanted: Filter, period: Period, top: int, *, filtered: bool = False) -> None:
        self._wanted = wanted
        self._period = period
        self._point = point_of(period)
        self._top = top
        self._by_cell = not filtered and wanted.narrows_cells
        self._total = Group()
        self._endpoints: dict[str, Group] = {}
        self._points: dict[int, Group] = {}
        self._methods: Counter[str] = Counter()
        self._statuses: Counter[int] = Counter()
        self._addresses = Addresses()
        self._consumers: Counter[tuple[str, bool]] = Counter()  # requests by (consumer, is an error)
        self._counts: Counts = Counter()
        self._last_received = 0

    def add(self, summary: Summary) -> None:
        """Add a summary."""
        summary.settle()
        matches = [cell is not None and self._wanted.matches(cell) for cell in summary.cells]
        fine = self._period in (Period.minutely, Period.hourly)
        for start, window, is_day in self._windows(summary):
            self._add_to_total(summary, window, matches)
            if not (fine and is_day):
                self._add_to_point(start, summary, window, matches)
            elif summary.slots:
                self._add_slots_of(start, summary, matches)
        for day, counts in summary.counts.items():
            if not self._wanted.range.misses(day * DAY * SECOND, (day + 1) * DAY * SECOND - 1):
                self._counts.update(counts)
        self._last_received = max(self._last_received, summary.last_received)

    @property
    def accepted(self) -> int:
        """Requests in batches of the days asked about."""
        return self._counts["accepted"]

    def _windows(self, summary: Summary) -> Iterator[tuple[int, Window, bool]]:
        """(start in microseconds, window, whether it is a day), of the windows that make up the range."""
        asked, slots_a_day, partly = self._wanted.range, DAY // summary.grain, set()
        for day, window in summary.days.items():
            start = day * DAY * SECOND
            if asked.covers(start, start + DAY * SECOND - 1):
                yield start, window, True
            elif not asked.misses(start, start + DAY * SECOND - 1):
                partly.add(day)
        for slot, window in summary.slots.items():
            start = slot * summary.grain * SECOND
            if slot // slots_a_day in partly and not asked.misses(start, start + summary.grain * SECOND - 1):
                yield start, window, False

    def _add_slots_of(self, start: int, summary: Summary, matches: list[bool]) -> None:
        first, slots_a_day = start // SECOND // summary.grain, DAY // summary.grain
        for slot in range(first, first + slots_a_day):
            if slot in summary.slots:
                self._add_to_point(slot * summary.grain * SECOND, summary, summary.slots[slot], matches)

    def _add_to_total(self, summary: Summary, window: Window, matches: list[bool]) -> None:
        rows: dict[int, Group] = {}
        for number, tally in window.tallies.items():
            if matches[number]:
                method, endpoint, status = _cell(summary, number)
                self._methods[method] += tally[0]
                self._statuses[status] += tally[0]
                self._total.add(status, tally)
                rows[number] = row = self._endpoints.setdefault(endpoint, Group())
                row.add(status, tally)
        histograms = window.histograms()
        for number, row in rows.items():
            row.latency = _sum(row.latency, None if ALL in histograms else histograms.get(number, 0))
        self._total.latency = _sum(self._total.latency, self._latency(histograms, matches))
        self._addresses.merge(window.addresses)
        for (consumer, number), requests in window.consumers.items():
            if matches[number]:
                self._consumers[consumer, 400 <= _cell(summary, number)[2] <= 599] += requests

    def _add_to_point(self, start: int, summary: Summary, window: Window, matches: list[bool]) -> None:
        point = self._points.setdefault(self._point(start), Group())
        for number, tally in window.tallies.items():
            if matches[number]:
                point.add(_cell(summary, number)[2], tally)
        point.latency = _sum(point.latency, self._latency(window.histograms(), matches))

    def _latency(self, histograms: dict[int, Histogram], matches: list[bool]) -> Histogram | None:
        """The latency of all requests in a window that are wanted, if it can be told."""
        if not self._by_cell:
            return sum(histograms.values())
        if ALL in histograms:
            return None
        return sum(histogram for number, histogram in histograms.items() if matches[number])

    def blocks(self) -> Block:
        """All blocks. Raises Invalid when the range has too many points of the period."""
        total = self._total
        known = not self._by_cell
        ranked = sorted(self._endpoints.items(), key=lambda item: (-item[1].requests, item[0]))[: self._top]
        unavailable = {} if known else {"summary.unique_ips": NOT_BY_ENDPOINT, "top_ips": NOT_BY_ENDPOINT}
        if any(group.latency is None for _, group in ranked):
            unavailable["endpoint_stats.percentiles"] = NOT_BY_CELL
        if total.latency is None:
            unavailable["summary.percentiles"] = NOT_BY_CELL
        if any(group.latency is None for group in self._points.values()):
            unavailable["time_series.percentiles"] = NOT_BY_CELL
        return {
            "summary": {
                "total_requests": total.requests,
                "unique_ips": self._addresses.unique() if known else None,
                "avg_response_time": total.average,
                "min_response_time": None if total.shortest is None else _ms(total.shortest),
                "max_response_time": None if total.longest is None else _ms(total.longest),
                "error_rate": round(total.error_share * 100, 2),
                **total.percentiles(),
            },
            "method_usage": dict(_ranked(self._methods)),
            "endpoint_stats": [_endpoint(endpoint, group) for endpoint, group in ranked],
            "status_codes": {str(status): self._statuses[status] for status in sorted(self._statuses)},
            "top_ips": [{"ip": ip, "requests": n} for ip, n in _ranked(self._addresses.counts, self._top)]
            if known
            else None,
            "top_consumers": self._top_consumers(),
            "time_series": self._time_series(),
            "delivery": self._delivery(),
            "precision": {
                "percentiles": 0.01,
                "unique_ips": round(self._addresses.error, 4),
                "top_ips_low_by_at_most": self._addresses.missed,
            },
            "unavailable": unavailable,
        }

    def _top_consumers(self) -> list[Block]:
        requests: Counter[str] = Counter()
        for (consumer, _), n in self._consumers.items():
            requests[consumer] += n
        return [
            {"consumer": name, "requests": n, "errors_count": self._consumers[name, True]}
            for name, n in _ranked(requests, self._top)
        ]

    def _time_series(self) -> list[Block]:
        if not self._total.requests:
            return []
        asked, filled = self._wanted.range, [start for start, group in self._points.items() if group.requests]
        first = min(filled) if asked.start is None else asked.start
        last = max(filled) if asked.end is None else asked.end - 1
        every = points(self._period, first, last)
        return [_point(label(self._period, start), self._points.get(start, Group())) for start in every]

    def _delivery(self) -> Block:
        return {
            "accepted": self._counts["accepted"],
            "rejected": _by_reason(self._counts, "rejected."),
            "duplicates": self._counts["duplicates"],
            "skewed": self._counts["skewed"],
            "dropped": _by_reason(self._counts, "dropped."),
            "last_received_at": isoformat(self._last_received) if self._last_received else None,
        }


def _sum(one: Histogram | None, two: Histogram | None) -> Histogram | None:
    return None if one is None or two is None else one + two


def _cell(summary: Summary, number: int) -> Cell:
    return summary.cells[number] or ("", "", 0)


def _endpoint(endpoint: str, group: Group) -> Block:
    return {
        "endpoint": endpoint,
        "requests": group.requests,
        "avg_time": group.average,
        "errors_count": group.errors,
        **group.percentiles(),
    }


def _point(timestamp: str, group: Group) -> Block:
    return {
        "timestamp": timestamp,
        "requests": group.requests,
        "avg_time": group.average,
        "error_rate": round(group.error_share, 2),
        "errors_count": group.errors,
        **group.percentiles(),
    }


def _by_reason(counts: Counts, prefix: str) -> dict[str, int]:
    return {name.removeprefix(prefix): n for name, n in _ranked(counts) if name.startswith(prefix)}


def _ranked(counts: Mapping[str, int], top: int | None = None) -> list[tuple[str, int]]:
    """The largest first, and by name where they are equal."""
    return sorted(counts.items(), key=lambda item: (-item[1], item[0]))[:top]


def _ms(microseconds: float) -> float:
    return round(microseconds / 1000, 2)
