"""An aggregate: all that is counted of one stretch of event time, a day or an interval."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TypeVar, cast

from analytics.batch import SeriesKey
from analytics.summary.accumulator import Accumulator
from analytics.summary.counter import Counter
from analytics.summary.counters import COUNTERS
from analytics.summary.routes import ALL_SERIES, Routes
from analytics.summary.stats import RequestStats

C = TypeVar("C", bound=Counter)


class Aggregate:
    """One counter of each kind. Series are ids that the summary gives out.

    `total` is what all requests amount to, once that is computed or loaded. An interval of a summary that was loaded
    without its intervals has nothing else.
    """

    __slots__ = ("_counters", "total")

    def __init__(self) -> None:
        self._counters: dict[str, Counter] = {}
        self.total: RequestStats | None = None

    def of(self, kind: type[C]) -> C:
        """The counter of a kind."""
        counter = self._counters.get(kind.code)
        if counter is None:
            counter = self._counters[kind.code] = kind()
        return cast("C", counter)

    def put(self, counter: Counter) -> None:
        """Take a counter that was loaded."""
        self._counters[counter.code] = counter
        if isinstance(counter, Routes) and not counter.has_series_latency and self.total is not None:
            counter.latency = {ALL_SERIES: self.total.latency or 0}  # which is stored with the total alone

    def count(self, logs: Accumulator) -> None:
        """Add logs."""
        self.total = None
        for columns in logs.columns:
            for kind in COUNTERS:
                self.of(kind).count(columns)

    def merge(self, other: Aggregate, renumber: Sequence[int]) -> None:
        """Add another aggregate, whose series id `n` is `renumber[n]` here."""
        self.total = None
        for kind in COUNTERS:
            if kind.code in other._counters:
                self.of(kind).merge(other.of(kind), renumber)

    def renumbered(self, renumber: Sequence[int]) -> Aggregate:
        """The aggregate with series id `n` as `renumber[n]`, where several may become one."""
        aggregate = Aggregate()
        aggregate.merge(self, renumber)
        return aggregate

    def stats(self, is_error: Sequence[bool], wanted: Sequence[bool] | None = None) -> RequestStats:
        """What all its requests amount to, or those of the wanted series; both sequences are by series id."""
        if wanted is not None:
            return self.of(Routes).stats(is_error, wanted)
        if self.total is None:
            self.total = self.of(Routes).stats(is_error)
        return self.total

    @property
    def estimated_bytes(self) -> int:
        """About how many bytes it takes when it is stored."""
        return 60 + sum(counter.estimated_bytes for counter in self._counters.values())

    def named(self, series: Sequence[SeriesKey | None]) -> dict[str, object]:
        """All that it counts, with series keys instead of ids: equal for equal aggregates."""
        return {kind.code: self.of(kind).named(series) for kind in COUNTERS}
