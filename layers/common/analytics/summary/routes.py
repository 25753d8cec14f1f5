"""The counter of requests, errors and latency by series: method, endpoint and status code."""

from __future__ import annotations

from collections import Counter as Counts
from collections.abc import Iterable, Mapping, Sequence
from io import BytesIO
from itertools import accumulate, compress
from typing import Any, ClassVar

from analytics.batch import SeriesKey
from analytics.summary.accumulator import Columns
from analytics.summary.byteshuffle import WIDTH
from analytics.summary.counter import Counter
from analytics.summary.histogram import BITS, BUCKET, Histogram, buckets_in_use, histograms_of, pack, unpack
from analytics.summary.stats import RequestStats, Totals, add_totals

ALL_SERIES = 0  # the series id under which latency is kept that belongs to all series together
MAX_INTERVAL_LATENCIES = 12_000  # pairs of series and bucket, in all intervals of a day together
_MOST_FRESH = 100_000  # requests whose latency is kept one by one


_Packed = tuple[int, int, int, int]
"""Where a stored histogram lies: (first bucket in use, buckets from there on, start in the blob, bytes in the blob)."""


class Routes(Counter):
    """Totals and latency by series id.

    `fresh` holds latency that is not in the histograms yet, as one key for each request, because adding to a list is
    the fastest way while logs come in. A counter that was loaded keeps its histograms as stored bytes until somebody
    asks for them: of a hundred series a dashboard shows ten.
    """

    code: ClassVar[str] = "routes"
    counted: ClassVar[Mapping[str, Any]] = {}

    def __init__(self) -> None:
        self.fresh: list[int] = []  # see `histogram.keys_of`
        self.latency: dict[int, Histogram] = {}  # by series id, or under ALL_SERIES once that is dropped
        self.undercount = 0  # the most requests that an endpoint can have beyond what its series count
        self.method_undercount = 0  # the same of a method
        self._totals: dict[int, Totals] = {}
        self._stored: tuple[Sequence[int], ...] | None = None  # columns: series ids, and the fields of their totals
        self._packed: dict[int, _Packed] = {}  # latency by series id that is not unpacked yet
        self._blob = b""

    # -- counting ----------------------------------------------------------------------------------------------------

    def count(self, logs: Columns) -> None:
        """Add logs."""
        add_totals(self.totals, logs.totals)
        if not logs.weights:
            self._add_fresh(logs.latency_keys)
            return
        for key, weight in zip(logs.latency_keys, logs.weights, strict=True):
            self._add(key >> BITS, weight << ((key & BUCKET) * WIDTH * 8))

    def merge(self, other: Routes, renumber: Sequence[int]) -> None:
        """Add another counter, whose series id `n` is `renumber[n]` here."""
        add_totals(self.totals, ((renumber[series_id], totals) for series_id, totals in other.rows()))
        for series_id in other._packed:
            self._add(renumber[series_id], other._unpacked(series_id))
        for series_id, histogram in other.latency.items():
            self._add(renumber[series_id], histogram)
        self._add_fresh([renumber[key >> BITS] << BITS | key & BUCKET for key in other.fresh])
        self.undercount += other.undercount
        self.method_undercount += other.method_undercount

    def _add_fresh(self, keys: list[int]) -> None:
        self.fresh += keys
        if len(self.fresh) > _MOST_FRESH:
            self.histograms()

    def _add(self, series_id: int, histogram: Histogram) -> None:
        self.latency[series_id] = self.latency.get(series_id, 0) + histogram

    # -- reading -----------------------------------------------------------------------------------------------------

    @property
    def totals(self) -> dict[int, Totals]:
        """Totals by series id."""
        if self._stored:
            self._totals, self._stored = dict(self.rows()), None
        return self._totals

    def rows(self) -> Iterable[tuple[int, Totals]]:
        """Each series id with its totals."""
        if self._stored:
            series_ids, *columns = self._stored
            return zip(series_ids, zip(*columns, strict=True), strict=True)
        return self._totals.items()

    @property
    def series_ids(self) -> Iterable[int]:
        """The ids of the series that it counts."""
        return self._stored[0] if self._stored else self._totals

    def stats(self, is_error: Sequence[bool], wanted: Sequence[bool] | None = None) -> RequestStats:
        """What all requests amount to, or those of the wanted series; both sequences are by series id."""
        totals = self.totals
        if wanted is not None:
            totals = {series_id: each for series_id, each in totals.items() if wanted[series_id]}
        if not totals:
            return RequestStats()
        latency: Histogram | None
        if wanted is None:
            latency = sum(self.histograms().values())
        elif self.has_series_latency:
            latency = sum(map(self.histogram, totals))
        else:
            latency = None
        requests, durations, shortest, longest = zip(*totals.values(), strict=True)
        errors = sum(compress(requests, map(is_error.__getitem__, totals)))
        return RequestStats(sum(requests), errors, sum(durations), min(shortest), max(longest), latency)

    @property
    def has_series_latency(self) -> bool:
        """Whether it is known which series each latency belongs to."""
        return ALL_SERIES not in self.latency

    @property
    def is_packed(self) -> bool:
        """Whether its histograms are still stored bytes."""
        return bool(self._packed)

    def histogram(self, series_id: int) -> Histogram:
        """The latency of one series."""
        if self._packed and not self.fresh and not self.latency:
            return self._unpacked(series_id) if series_id in self._packed else 0
        return self.histograms().get(series_id, 0)

    def histograms(self) -> dict[int, Histogram]:
        """All latency, by series id."""
        if self._packed or self.fresh:
            for series_id in self._packed:
                self._add(series_id, self._unpacked(series_id))
            for series_id, histogram in histograms_of(Counts(self.fresh)).items():
                self._add(series_id, histogram)
            self._packed, self._blob, self.fresh = {}, b"", []
        return self.latency

    def _unpacked(self, series_id: int) -> Histogram:
        bucket, length, start, size = self._packed[series_id]
        return unpack(bucket, length, self._blob[start : start + size])

    # -- limits ------------------------------------------------------------------------------------------------------

    @classmethod
    def limit(cls, day: Routes, intervals: Sequence[Routes], scale: float) -> None:  # noqa: ARG003 - days keep theirs
        """Drop the latency by series of all intervals of a day, or of none. Series are limited by `limits.limit`."""
        latencies = sum(interval._latencies for interval in intervals)
        if latencies > MAX_INTERVAL_LATENCIES * scale or not all(each.has_series_latency for each in intervals):
            for interval in intervals:
                interval.drop_series_latency()

    def drop_series_latency(self) -> None:
        """Forget which series each latency belongs to."""
        fresh = histograms_of(Counts(map(BUCKET.__and__, self.fresh)))
        self.fresh = []
        self.latency = {ALL_SERIES: sum(self.histograms().values()) + fresh.get(0, 0)}

    @property
    def _latencies(self) -> int:
        """Pairs of series and bucket."""
        stored = sum(length for _, length, _, _ in self._packed.values())
        return len(set(self.fresh)) + stored + sum(map(buckets_in_use, self.latency.values()))

    @property
    def estimated_bytes(self) -> int:
        """About how many bytes it takes when it is stored."""
        return 8 * len(self.totals) + self._latencies

    # -- storing -----------------------------------------------------------------------------------------------------

    def dump(self, blob: bytearray, day: Routes | None) -> object:  # noqa: ARG002 - it stores all of its own
        """[totals as columns, latency as columns or None, undercounts]; histograms are added to `blob`."""
        totals = [list(self.totals), *zip(*self.totals.values(), strict=True)]
        latency: list[list[int]] | None = None
        if self.has_series_latency:
            latency = [[], [], [], []]
            for series_id, histogram in self.histograms().items():
                bucket, length, packed = pack(histogram)
                for column, number in zip(latency, (series_id, bucket, length, len(packed)), strict=True):
                    column.append(number)
                blob += packed
        return [totals, latency, self.undercount, self.method_undercount]

    @classmethod
    def load(cls, state: Any, blob: BytesIO, day: Routes | None) -> Routes:  # noqa: ARG003 - see `dump`
        """The counter that `dump` stored. Latency of all series together is set by `Aggregate`, which knows it."""
        totals, latency, undercount, method_undercount = state
        counter = cls()
        counter._stored = tuple(totals)
        series_ids, buckets, lengths, sizes = latency or ([], [], [], [])
        *starts, end = accumulate(sizes, initial=0)
        packed = zip(buckets, lengths, starts, sizes, strict=True)
        counter._packed = dict(zip(series_ids, packed, strict=True))
        counter._blob = blob.read(end)
        if latency is None:
            counter.latency = {ALL_SERIES: 0}
        counter.undercount, counter.method_undercount = undercount, method_undercount
        return counter

    def named(self, series: Sequence[SeriesKey | None]) -> Sequence[Any]:
        """All that it counts, with series keys instead of ids."""
        return [
            {series[series_id]: totals for series_id, totals in self.totals.items()},
            {series[series_id]: histogram for series_id, histogram in self.histograms().items()},
            self.undercount,
            self.method_undercount,
        ]
