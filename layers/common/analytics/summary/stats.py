"""Requests that are shown together: a tile, a row, a point of a chart. Durations go in as µs and come out as ms."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
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
        """In milliseconds, within 1 % and never outside of what was measured; None: not known."""
        low, high = self.shortest, self.longest
        p50, p95, p99 = (
            None if value is None or low is None or high is None else milliseconds(min(max(value, low), high))
            for value in quantiles(self.latency or 0, SHARES)
        )
        return {"p50": p50, "p95": p95, "p99": p99}


def milliseconds(microseconds: float) -> float:
    """A duration in microseconds as it is shown: milliseconds to two decimals."""
    return round(microseconds / 1000, 2)
