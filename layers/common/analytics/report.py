"""The dashboard's blocks, from a summary. Durations go in as microseconds and come out as milliseconds."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from typing import Any

from analytics.batch import Counts
from analytics.histogram import BITS, quantiles
from analytics.model import isoformat
from analytics.summary import DAY, SECOND, Summary, Tally, Window
from analytics.timeline import Period, Range, label, point_of, points

SHARES = (0.5, 0.95, 0.99)
_BUCKET = (1 << BITS) - 1

Block = dict[str, Any]


@dataclass(slots=True)
class Group:
    """Requests that are shown as one row, one tile or one point. Durations in microseconds."""

    requests: int = 0
    errors: int = 0
    total: int = 0
    shortest: int | None = None
    longest: int | None = None
    latency: Counter[int] = field(default_factory=Counter)  # requests by bucket

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
        """p50, p95 and p99 in milliseconds, within 1 %, and never outside of what was measured."""
        low, high = self.shortest, self.longest
        found = quantiles(self.latency, SHARES)
        return {
            f"p{share * 100:.0f}": None
            if value is None or low is None or high is None
            else _ms(min(max(value, low), high))
            for share, value in zip(SHARES, found, strict=True)
        }


def report(summary: Summary, asked: Range, period: Period, top: int) -> Block:
    """All blocks of the dashboard over a summary of just the logs that were asked for.

    `asked` bounds the time series and the delivery counts; `top` is the length of the ranked lists. Raises Invalid when
    the range has too many points of that period.
    """
    summary.settle()
    total, endpoints = Group(), dict[str, Group]()
    methods, statuses = Counter[str](), Counter[int]()
    addresses, consumers = Counter[str](), Counter[tuple[str, int]]()
    rows = [_row(endpoints, cell) for cell in summary.cells]
    for window in summary.days.values():
        for number, tally in window.tallies.items():
            method, _, status = summary.cells[number] or ("", "", 0)
            methods[method] += tally[0]
            statuses[status] += tally[0]
            total.add(status, tally)
            rows[number].add(status, tally)
        for key, requests in window.latency.items():
            rows[key >> BITS].latency[key & _BUCKET] += requests
        addresses.update(window.addresses)
        consumers.update(window.consumers)
    for row in endpoints.values():
        total.latency.update(row.latency)
    ranked = sorted(endpoints.items(), key=lambda item: (-item[1].requests, item[0]))
    return {
        "summary": {
            "total_requests": total.requests,
            "unique_ips": len(addresses),
            "avg_response_time": total.average,
            "min_response_time": None if total.shortest is None else _ms(total.shortest),
            "max_response_time": None if total.longest is None else _ms(total.longest),
            "error_rate": round(total.error_share * 100, 2),
            **total.percentiles(),
        },
        "method_usage": dict(_ranked(methods)),
        "endpoint_stats": [
            {
                "endpoint": endpoint,
                "requests": group.requests,
                "avg_time": group.average,
                "errors_count": group.errors,
                **group.percentiles(),
            }
            for endpoint, group in ranked[:top]
        ],
        "status_codes": {str(status): statuses[status] for status in sorted(statuses)},
        "top_ips": [{"ip": address, "requests": n} for address, n in _ranked(addresses, top)],
        "top_consumers": _top_consumers(summary, consumers, top),
        "time_series": _time_series(summary, asked, period),
        "delivery": _delivery(summary, asked),
    }


def _row(endpoints: dict[str, Group], cell: tuple[str, str, int] | None) -> Group:
    return Group() if cell is None else endpoints.setdefault(cell[1], Group())


def _top_consumers(summary: Summary, consumers: Mapping[tuple[str, int], int], top: int) -> list[Block]:
    requests, errors = Counter[str](), Counter[str]()
    for (name, number), n in consumers.items():
        requests[name] += n
        cell = summary.cells[number]
        if cell and 400 <= cell[2] <= 599:
            errors[name] += n
    return [{"consumer": name, "requests": n, "errors_count": errors[name]} for name, n in _ranked(requests, top)]


def _time_series(summary: Summary, asked: Range, period: Period) -> list[Block]:
    fine = period in (Period.minutely, Period.hourly)
    windows, length = (summary.slots, summary.grain) if fine else (summary.days, DAY)
    if not windows:
        return []
    point, groups = point_of(period), dict[int, Group]()
    for start, window in windows.items():
        group = groups.setdefault(point(start * length * SECOND), Group())
        _add_window(group, summary, window)
    first = min(groups) if asked.start is None else asked.start
    last = max(groups) if asked.end is None else asked.end - 1
    return [_point(label(period, start), groups.get(start, Group())) for start in points(period, first, last)]


def _add_window(group: Group, summary: Summary, window: Window) -> None:
    for number, tally in window.tallies.items():
        cell = summary.cells[number]
        group.add(cell[2] if cell else 0, tally)
    for key, requests in window.latency.items():
        group.latency[key & _BUCKET] += requests


def _point(timestamp: str, group: Group) -> Block:
    return {
        "timestamp": timestamp,
        "requests": group.requests,
        "avg_time": group.average,
        "error_rate": round(group.error_share, 2),
        "errors_count": group.errors,
        **group.percentiles(),
    }


def _delivery(summary: Summary, asked: Range) -> Block:
    counts: Counts = Counter()
    day_us = DAY * SECOND
    for day, received in summary.counts.items():
        if not asked.misses(day * day_us, (day + 1) * day_us - 1):
            counts.update(received)
    return {
        "accepted": counts["accepted"],
        "rejected": _by_reason(counts, "rejected."),
        "duplicates": counts["duplicates"],
        "skewed": counts["skewed"],
        "dropped": _by_reason(counts, "dropped."),
        "last_received_at": isoformat(summary.last_received) if summary.last_received else None,
    }


def _by_reason(counts: Counts, prefix: str) -> dict[str, int]:
    return {name.removeprefix(prefix): n for name, n in _ranked(counts) if name.startswith(prefix)}


def _ranked(counts: Mapping[str, int], top: int | None = None) -> Iterable[tuple[str, int]]:
    """The largest first, and by name where they are equal."""
    return sorted(counts.items(), key=lambda item: (-item[1], item[0]))[:top]


def _ms(microseconds: float) -> float:
    return round(microseconds / 1000, 2)
