"""Requests that are shown together: a tile, a row, a point of a chart. Durations go in as µs and come out as ms."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from math import floor, log10
from typing import TypeVar

from analytics.blocks import Percentiles
from analytics.summary.histogram import Histogram, quantiles

SHARES = (0.5, 0.95, 0.99)

K = TypeVar("K")


Totals = tuple[int, int, int, int]
"""(requests, duration of all together, shortest, longest), durations in microseconds.

It is a plain tuple because a dashboard makes hundreds of thousands of them, and making one with names takes ten times
as long. Whoever reads it unpacks it into these names.
"""


def add_totals(into: dict[K, Totals], rows: Iterable[tuple[K, Totals]]) -> None:
    """Add totals to those of the same key."""
    get = into.get
    for key, totals in rows:
        known = get(key)
        if known is None:
            into[key] = totals
        else:
            requests, duration, shortest, longest = known
            more, longer, low, high = totals
            into[key] = (
                requests + more,
                duration + longer,
                low if low < shortest else shortest,  # noqa: FURB136 - a call of `min` takes as long as all the rest
                high if high > longest else longest,  # noqa: FURB136
            )


@dataclass(slots=True)
class RequestStats:
    """What is known of some requests. Durations are in microseconds."""

    requests: int = 0
    errors: int = 0
    duration: int = 0  # of all together
    shortest: int | None = None
    longest: int | None = None
    latency: Histogram | None = 0  # None: not known

    def merge(self, other: RequestStats) -> None:
        """Add other requests."""
        if not other.requests:
            return
        self.requests += other.requests
        self.errors += other.errors
        self.duration += other.duration
        if self.shortest is None or (other.shortest is not None and other.shortest < self.shortest):
            self.shortest = other.shortest
        if self.longest is None or (other.longest is not None and other.longest > self.longest):
            self.longest = other.longest
        self.latency = None if self.latency is None or other.latency is None else self.latency + other.latency

    @property
    def average(self) -> float | None:
        """The mean duration in milliseconds; None without requests."""
        return milliseconds(self.duration / self.requests) if self.requests else None

    @property
    def error_share(self) -> float:
        """Errors among requests, 0 to 1; 0 without requests."""
        return self.errors / self.requests if self.requests else 0.0

    def percentiles(self) -> Percentiles:
        """In milliseconds, within 1 % and never outside of what is shown as shortest and longest; None: not known."""
        if not self.requests or not self.latency or self.shortest is None or self.longest is None:
            return {"p50": None, "p95": None, "p99": None}
        low, high = self.shortest, self.longest
        p50, p95, p99 = (
            None if value is None else _between(low, milliseconds(min(max(value, low), high), _FIVE), high)
            for value in quantiles(self.latency, SHARES)
        )
        return {"p50": p50, "p95": p95, "p99": p99}


_FIVE = 5  # significant digits of a percentile: buckets are off by up to 0.991 %, and five digits add 0.005 % at most


def _between(shortest: int, shown: float, longest: int) -> float:
    return min(max(shown, milliseconds(shortest)), milliseconds(longest))


def milliseconds(microseconds: float, digits: int = 4) -> float:
    """A duration in microseconds as it is shown: in milliseconds, to four significant digits, two decimals at least."""
    value = microseconds / 1000
    return round(value, max(2, digits - 1 - floor(log10(value)))) if value else 0.0
