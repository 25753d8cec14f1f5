"""Summaries of logs: what a dashboard counts, small, and mergeable in any order.

A `Summary` is a commutative monoid: `Summary()` is its zero, `merge` adds two, and a summary that is folded from logs
in any order and in any number of parts is the same to the last digit, because every sum is of integers. So parts of it
can be stored, and a dashboard adds what is new to what is stored.

It counts by *event time*, the logs' own, twice: in aggregates of a day and in aggregates of an interval (an hour, or a
minute where that is asked for), so that a long range is read from days alone. What became of requests on their way here
is counted by the day of *receipt*.

A summary is exact but for latency, which is kept in buckets. It grows with what is sent; `limits` keeps it small.
"""

from __future__ import annotations

from bisect import bisect_left
from collections import Counter, defaultdict
from collections.abc import Callable

from analytics.batch import Batch, Counts, SeriesKey, is_error
from analytics.summary.accumulator import Accumulator
from analytics.summary.aggregate import Aggregate
from analytics.summary.counters import COUNTED
from analytics.summary.histogram import BITS
from analytics.summary.routes import ALL_SERIES, Routes
from analytics.summary.stats import RequestStats
from analytics.times import DAY, HOUR, SECOND

_WAITING = 65_536  # logs gathered before they are counted: enough that the cost of counting is per log, not per batch

Totals = dict[int, RequestStats]


class Summary:
    """Counts over logs; see the module's docstring. `interval` is in seconds, a divisor of a day."""

    def __init__(self, interval: int = HOUR) -> None:
        self.interval = interval
        self.series: list[SeriesKey | None] = [None]  # by id; id 0 stands for all series together
        self.days: defaultdict[int, Aggregate] = defaultdict(Aggregate)  # by day since 1970
        self.counts: defaultdict[int, Counts] = defaultdict(Counter)  # by day of receipt since 1970
        self.last_received = 0  # microseconds since 1970; 0: nothing yet
        self.has_intervals = True  # False: only the total of each interval is known
        self.totals: Callable[[], Totals] | None = None  # of the intervals of a loaded summary, until somebody asks
        self._intervals: defaultdict[int, Aggregate] = defaultdict(Aggregate)
        self._ids: dict[SeriesKey, int] = {}
        self._accumulators: defaultdict[int, Accumulator] = defaultdict(Accumulator)  # by interval
        self._waiting = 0

    @property
    def intervals_a_day(self) -> int:
        """How many intervals a day has."""
        return DAY // self.interval

    @property
    def intervals(self) -> defaultdict[int, Aggregate]:
        """The aggregates by interval since 1970."""
        if self.totals:
            load, self.totals = self.totals, None
            for interval, total in load().items():
                self._intervals[interval].total = total
        return self._intervals

    # -- folding -----------------------------------------------------------------------------------------------------

    def fold(self, batch: Batch, received: int) -> None:
        """Add the counts and the logs of a batch that was received then, in microseconds since 1970."""
        self.receive(batch.counts, received)
        self.add(batch)

    def add(self, batch: Batch) -> None:
        """Add the logs of a batch, without its counts."""
        length, times, start = self.interval * SECOND, batch.times, 0
        while start < len(times):  # which are in order
            interval = times[start] // length
            end = bisect_left(times, (interval + 1) * length, start)
            part = batch.take(range(start, end))
            self._accumulators[interval].add(part, [self.series_id(key) << BITS for key in part.series], COUNTED)
            start = end
        self._waiting += len(batch)
        if self._waiting >= _WAITING:
            self.settle()

    def receive(self, counts: Counts, received: int) -> None:
        """Add what became of requests on their way, as of a batch received then (microseconds since 1970)."""
        self.counts[received // (DAY * SECOND)].update(counts)
        self.last_received = max(self.last_received, received)

    def settle(self) -> None:
        """Count what is gathered. Everything that reads a summary does this first."""
        for interval, accumulator in self._accumulators.items():
            self.intervals[interval].count(accumulator)
            self.days[interval // self.intervals_a_day].count(accumulator)
        self._accumulators.clear()
        self._waiting = 0

    def series_id(self, key: SeriesKey) -> int:
        """The id of a series here, a new one if need be."""
        if not self._ids:  # also after `set_series`: most summaries that are loaded are only read
            self._ids = {known: series_id for series_id, known in enumerate(self.series) if known is not None}
        series_id = self._ids.get(key)
        if series_id is None:
            series_id = self._ids[key] = len(self.series)
            self.series.append(key)
        return series_id

    # -- merging -----------------------------------------------------------------------------------------------------

    def merge(self, other: Summary) -> None:
        """Add all that another summary counts.

        Raises ValueError where its intervals are of another length, or one of the two was loaded without intervals.
        """
        if other.interval != self.interval:
            raise ValueError(f"intervals of {other.interval} s do not add up with intervals of {self.interval} s")
        if not (self.has_intervals and other.has_intervals):
            raise ValueError("a summary without its intervals cannot be merged")
        self.settle()
        other.settle()
        renumber = [ALL_SERIES if key is None else self.series_id(key) for key in other.series]
        for mine, theirs in ((self.days, other.days), (self.intervals, other.intervals)):
            for start, aggregate in theirs.items():
                mine[start].merge(aggregate, renumber)
        for day, counts in other.counts.items():
            self.counts[day].update(counts)
        self.last_received = max(self.last_received, other.last_received)

    @property
    def is_error(self) -> list[bool]:
        """By series id, whether the series is of errors."""
        return [key is not None and is_error(key) for key in self.series]

    @property
    def interval_count(self) -> int:
        """The number of intervals that it counts logs of, at most, without counting what is gathered."""
        return len(self.intervals) + len(self._accumulators)

    def set_series(self, series: list[SeriesKey]) -> None:
        """Take the series of a stored summary, in the order of their ids."""
        self.series, self._ids = [None, *series], {}

    def forget_unused_series(self) -> None:
        """Give new ids to the series of which anything is counted, and forget the others."""
        used = {series_id for day in self.days.values() for series_id in day.of(Routes).totals}
        if len(used) == len(self.series) - 1:
            return
        series, self.series, self._ids = self.series, [None], {}
        renumber = [self.series_id(key) if key and old in used else ALL_SERIES for old, key in enumerate(series)]
        for aggregates in (self.days, self.intervals):
            for start, aggregate in aggregates.items():
                aggregates[start] = aggregate.renumbered(renumber)

    @property
    def estimated_bytes(self) -> int:
        """About how many bytes it takes when it is stored."""
        self.settle()
        aggregates = [*self.days.values(), *self.intervals.values()]
        names = sum(len(endpoint) + 8 for _, endpoint, _ in filter(None, self.series))
        return names + sum(aggregate.estimated_bytes for aggregate in aggregates)

    # -- comparing ---------------------------------------------------------------------------------------------------

    def __eq__(self, other: object) -> bool:
        return isinstance(other, Summary) and self._named() == other._named()

    __hash__ = None  # type: ignore[assignment]  # it changes

    def _named(self) -> object:
        """All that is counted, with series keys instead of the ids that this summary happens to give."""
        self.settle()
        both = (self.days, self.intervals)
        named = [{start: each.named(self.series) for start, each in aggregates.items()} for aggregates in both]
        return self.interval, named, {day: counts for day, counts in self.counts.items() if counts}, self.last_received
