"""Requests that are counted together: a tile, a row, a point of a chart. Durations go in as µs and come out as ms."""

from __future__ import annotations

from dataclasses import dataclass

from analytics.summary.histogram import Histogram, quantiles

SHARES = (0.5, 0.95, 0.99)


@dataclass(slots=True)
class Group:
    """What is known of some requests. Durations in microseconds; an error is an answer of status 400 to 599."""

    requests: int = 0
    errors: int = 0
    total: int = 0
    shortest: int | None = None
    longest: int | None = None
    latency: Histogram | None = 0  # None: not known

    def merge(self, other: Group) -> None:
        """Add other requests."""
        if not other.requests:
            return
        self.requests += other.requests
        self.errors += other.errors
        self.total += other.total
        if self.shortest is None or (other.shortest is not None and other.shortest < self.shortest):
            self.shortest = other.shortest
        if self.longest is None or (other.longest is not None and other.longest > self.longest):
            self.longest = other.longest
        self.latency = None if self.latency is None or other.latency is None else self.latency + other.latency

    @property
    def average(self) -> float | None:
        """The mean duration in milliseconds."""
        return milliseconds(self.total / self.requests) if self.requests else None

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
            else milliseconds(min(max(value, low), high))
            for share, value in zip(SHARES, found, strict=True)
        }


def milliseconds(microseconds: float) -> float:
    """As they are shown: to two decimals."""
    return round(microseconds / 1000, 2)
