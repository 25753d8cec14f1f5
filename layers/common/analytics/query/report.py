"""The dashboard's blocks, from summaries. Durations go in as microseconds and come out as milliseconds.

Which windows are read: a day that lies in the range whole is read as a day; of other days, the slots that do. Ranges
are of whole slots, or the summaries are of just the logs asked for.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator, Mapping
from typing import Any

from analytics.batch import Cell, Counts
from analytics.query.filter import Filter
from analytics.query.ranges import Period, label, point_of, points
from analytics.summary.aggregate import Tally, Window, add_up
from analytics.summary.histogram import Histogram
from analytics.summary.stats import Group, milliseconds
from analytics.summary.summary import Summary
from analytics.summary.unique import Visitors
from analytics.times import DAY, SECOND, isoformat

Block = dict[str, Any]

NOT_BY_ENDPOINT = "Addresses are kept for all endpoints together, and there are too many single logs to count anew"
NOT_BY_CELL = "At this traffic latency by endpoint is kept by the day: ask for whole days (UTC)"


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
        self._is_fine = period in (Period.minutely, Period.hourly)
        self._total = Group()
        self._points: dict[int, Group] = {}
        self._tallies: dict[Cell, Tally] = {}
        self._latency: dict[str, Histogram | None] = {}  # by endpoint; None: not known
        self._packed: list[tuple[list[Cell | None], Window]] = []  # whose latency waits for which endpoints are shown
        self._visitors = Visitors()
        self._consumers: Counter[tuple[str, bool]] = Counter()  # requests by (consumer, is an error)
        self._counts: Counts = Counter()
        self._last_received = 0

    def needs_slots(self, summary: Summary) -> bool:
        """Whether it takes more of a summary's slots than what each of them amounts to."""
        if self._is_fine and self._by_cell:
            return True
        return any(not is_day for _, _, is_day in self._windows(summary))

    def add(self, summary: Summary) -> None:
        """Add a summary; with its slots where it `needs_slots`."""
        summary.settle()
        is_error = summary.is_error
        wanted = [cell is not None and self._wanted.matches(cell) for cell in summary.cells] if self._by_cell else None
        for start, window, is_day in self._windows(summary):
            group = window.group(is_error, wanted)
            self._total.merge(group)
            self._add_cells(summary, window, wanted)
            if not (self._is_fine and is_day):
                self._add_to_point(start, group)
            else:
                first, slots_a_day = start // SECOND // summary.grain, DAY // summary.grain
                for slot in range(first, first + slots_a_day):
                    if slot in summary.slots:
                        group = summary.slots[slot].group(is_error, wanted)
                        self._add_to_point(slot * summary.grain * SECOND, group)
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
        for slot, window in summary.slots.items() if partly else ():
            start = slot * summary.grain * SECOND
            if slot // slots_a_day in partly and not asked.misses(start, start + summary.grain * SECOND - 1):
                yield start, window, False

    def _add_to_point(self, start: int, group: Group) -> None:
        point = self._point(start)
        if point not in self._points:
            self._points[point] = Group()
        self._points[point].merge(group)

    def _add_cells(self, summary: Summary, window: Window, wanted: list[bool] | None) -> None:
        cells = summary.cells
        if wanted is not None:
            cells = [cell if is_wanted else None for cell, is_wanted in zip(cells, wanted, strict=True)]
        add_up(self._tallies, ((cell, tally) for number, tally in window.rows() if (cell := cells[number])))
        if window.is_packed:
            self._packed.append((cells, window))
        else:
            self._add_latency(cells, window)
        if wanted is None:
            self._visitors.add(window.addresses)
        for (consumer, number), requests in window.consumers.items():
            cell = cells[number]
            if cell is not None:
                self._consumers[consumer, 400 <= cell[2] <= 599] += requests

    def _add_latency(self, cells: list[Cell | None], window: Window, shown: set[str] | None = None) -> None:
        """Add a window's latency to that of its endpoints, or of those that are shown."""
        latency = self._latency
        for number, _ in window.rows():
            cell = cells[number]
            if cell is None or (shown is not None and cell[1] not in shown):
                continue
            so_far = latency.get(cell[1], 0)
            latency[cell[1]] = None if so_far is None or window.is_blurred else so_far + window.histogram(number)

    def blocks(self) -> Block:
        """All blocks. Raises Invalid when the range has too many points of the period."""
        total, endpoints = self._total, self._endpoints()
        known = not self._by_cell
        ranked = sorted(endpoints.items(), key=lambda item: (-item[1].requests, item[0]))[: self._top]
        self._settle_latency({endpoint for endpoint, _ in ranked})
        for endpoint, group in ranked:
            group.latency = self._latency[endpoint]
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
                "unique_ips": self._visitors.unique() if known else None,
                "avg_response_time": total.average,
                "min_response_time": None if total.shortest is None else milliseconds(total.shortest),
                "max_response_time": None if total.longest is None else milliseconds(total.longest),
                "error_rate": round(total.error_share * 100, 2),
                **total.percentiles(),
            },
            "method_usage": dict(_ranked(self._requests_by(0))),
            "endpoint_stats": [_endpoint(endpoint, group) for endpoint, group in ranked],
            "status_codes": {str(status): n for status, n in sorted(self._requests_by(2).items())},
            "top_ips": [{"ip": ip, "requests": n} for ip, n in self._visitors.top(self._top)] if known else None,
            "top_consumers": self._top_consumers(),
            "time_series": self._time_series(),
            "delivery": self._delivery(),
            "precision": {
                "percentiles": 0.01,
                "unique_ips": round(self._visitors.error, 4),
                "top_ips_low_by_at_most": self._visitors.missed,
            },
            "unavailable": unavailable,
        }

    def _endpoints(self) -> dict[str, Group]:
        endpoints: dict[str, Group] = {}
        for (_, endpoint, status), (requests, total, shortest, longest) in self._tallies.items():
            errors = requests if 400 <= status <= 599 else 0
            endpoints.setdefault(endpoint, Group()).merge(Group(requests, errors, total, shortest, longest))
        return endpoints

    def _settle_latency(self, shown: set[str]) -> None:
        for cells, window in self._packed:
            self._add_latency(cells, window, shown)
        self._packed = []

    def _requests_by(self, part: int) -> Counter[Any]:
        """Requests by method (part 0 of a cell) or status (2)."""
        requests: Counter[Any] = Counter()
        for cell, tally in self._tallies.items():
            requests[cell[part]] += tally[0]
        return requests

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
