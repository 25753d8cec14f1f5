"""A window: what happened in one stretch of event time."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Sequence
from io import BytesIO
from itertools import accumulate, compress
from typing import Any, TypeVar

from analytics.summary import addresses
from analytics.summary.addresses import Addresses
from analytics.summary.byteshuffle import LANE
from analytics.summary.histogram import BITS, BUCKET, Histogram, buckets_in_use, histograms_of, pack, unpack
from analytics.summary.stats import Group

ALL = 0  # the number that stands for every cell together, in the latency of a slot that gave up its detail
_MOST_FRESH = 100_000  # requests whose latency is kept one by one

Of = TypeVar("Of")
Tally = list[int]
"""[requests, sum of durations, shortest, longest], durations in microseconds."""
Part = tuple[int, int, int, int]
"""Where a stored histogram is: its first bucket, how many from there on, where in the bytes, and how many they are."""


class Window:
    """What happened in one stretch of event time. Cells are numbers that the summary gives out.

    `fresh` holds latency that is not in the histograms yet, as a key for each request: noting one is the fastest there
    is while logs come in. A window that was stored keeps its histograms as they were until somebody wants them: of a
    hundred cells, a dashboard shows ten. `whole` is what all its requests amount to, as long as nothing came since; a
    slot of a summary that was loaded without its slots has nothing else.
    """

    __slots__ = ("_blob", "_columns", "_parts", "_tallies", "addresses", "consumers", "fresh", "latency", "whole")

    def __init__(self) -> None:
        self._tallies: dict[int, Tally] = {}
        self._columns: tuple[Sequence[int], ...] | None = None  # of cells and of their tallies, as they were stored
        self.fresh: list[int] = []  # see `histogram.keys_of`
        self.latency: dict[int, Histogram] = {}  # by cell, or under ALL what is known for all together only
        self.addresses = Addresses()
        self.consumers: Counter[tuple[str, int]] = Counter()  # requests by (consumer, cell)
        self.whole: Group | None = None
        self._parts: dict[int, Part] = {}  # latency by cell that is not decoded yet
        self._blob = b""

    @property
    def tallies(self) -> dict[int, Tally]:
        """Requests and their durations, by cell."""
        if self._columns:
            self._tallies, self._columns = {cell: list(tally) for cell, tally in self.rows()}, None
        return self._tallies

    def rows(self) -> Iterable[tuple[int, Sequence[int]]]:
        """Each cell with its tally."""
        if self._columns:
            cells, *tallies = self._columns
            return zip(cells, zip(*tallies, strict=True), strict=True)
        return self._tallies.items()

    def tally(self, rows: Iterable[tuple[int, Sequence[int]]]) -> None:
        """Add requests, by cell."""
        self.whole = None
        add_up(self.tallies, rows)

    def note(self, keys: list[int]) -> None:
        """Add the latency of requests, by key."""
        self.fresh += keys
        if len(self.fresh) > _MOST_FRESH:
            self.histograms()

    def note_many(self, key: int, requests: int) -> None:
        """Add the latency of requests that are alike."""
        self._add(key >> BITS, requests << ((key & BUCKET) * LANE * 8))

    def merge(self, other: Window, renumber: list[int]) -> None:
        """Add another summary's window, whose cell `n` is `renumber[n]` here."""
        self.tally((renumber[cell], tally) for cell, tally in other.rows())
        for cell in other._parts:
            self._add(renumber[cell], other._decoded(cell))
        for cell, histogram in other.latency.items():
            self._add(renumber[cell], histogram)
        self.note([renumber[key >> BITS] << BITS | key & BUCKET for key in other.fresh])
        self.addresses.merge(other.addresses)
        for (consumer, cell), requests in other.consumers.items():
            self.consumers[consumer, renumber[cell]] += requests

    def renumbered(self, renumber: list[int]) -> Window:
        """The window with cell `n` as `renumber[n]`, where several may become one."""
        window = Window()
        window.merge(self, renumber)
        return window

    def group(self, is_error: list[bool], wanted: list[bool] | None = None) -> Group:
        """What all its requests amount to, or those of the cells that are wanted; both are by number of the cell."""
        if wanted is None:
            if self.whole is None:
                self.whole = _group(self.tallies, is_error, sum(self.histograms().values()))
            return self.whole
        latency = None if self.is_blurred else sum(self.histogram(cell) for cell in self.tallies if wanted[cell])
        return _group({cell: tally for cell, tally in self.tallies.items() if wanted[cell]}, is_error, latency)

    def histograms(self) -> dict[int, Histogram]:
        """Latency by cell, all of it."""
        if self._parts or self.fresh:
            for cell in self._parts:
                self._add(cell, self._decoded(cell))
            for cell, histogram in histograms_of(Counter(self.fresh)).items():
                self._add(cell, histogram)
            self._parts, self._blob, self.fresh = {}, b"", []
        return self.latency

    def _add(self, cell: int, histogram: Histogram) -> None:
        self.latency[cell] = self.latency.get(cell, 0) + histogram

    def histogram(self, cell: int) -> Histogram:
        """The latency of one cell."""
        if self._parts and not self.fresh and not self.latency:
            return self._decoded(cell) if cell in self._parts else 0
        return self.histograms().get(cell, 0)

    def _decoded(self, cell: int) -> Histogram:
        first, length, start, size = self._parts[cell]
        return unpack(first, length, self._blob[start : start + size])

    @property
    def is_packed(self) -> bool:
        """Whether its histograms are as they were stored, and small."""
        return bool(self._parts)

    @property
    def is_blurred(self) -> bool:
        """Whether it is not known any more which cell each latency belongs to."""
        return ALL in self.latency

    def blur(self) -> None:
        """Give up which cell each latency belongs to."""
        fresh = histograms_of(Counter(map(BUCKET.__and__, self.fresh)))
        self.fresh = []
        self.latency = {ALL: sum(self.histograms().values()) + fresh.get(0, 0)}

    @property
    def latencies(self) -> int:
        """How many counts the latency takes: pairs of cell and bucket."""
        stored = sum(length for _, length, *_ in self._parts.values())
        return len(set(self.fresh)) + stored + sum(map(buckets_in_use, self.latency.values()))

    def restore(self, columns: Sequence[Sequence[int]], latency: Sequence[Sequence[int]], blob: BytesIO) -> None:
        """Take tallies and histograms as they were stored, and leave them so; `blob` is read from where it stands."""
        self._columns = tuple(columns)
        cells, firsts, lengths, sizes = latency
        *starts, end = accumulate(sizes, initial=0)
        self._parts = dict(zip(cells, zip(firsts, lengths, starts, sizes, strict=True), strict=True))
        self._blob = blob.read(end)

    @property
    def weight(self) -> int:
        """About how many bytes the window takes when stored: *measured*, some for each entry."""
        seen = self.addresses
        return (
            60
            + 8 * len(self.tallies)
            + self.latencies
            + 10 * len(self.consumers)
            + 4 * len(seen.counts)
            + len(seen.registers or b"") // 2
        )


def add_up(tallies: dict[Of, Tally], rows: Iterable[tuple[Of, Sequence[int]]]) -> None:
    """Add tallies to others, by whatever they are of."""
    for of, (requests, total, shortest, longest) in rows:
        tally = tallies.get(of)
        if tally is None:
            tallies[of] = [requests, total, shortest, longest]
            continue
        tally[0] += requests
        tally[1] += total
        if shortest < tally[2]:
            tally[2] = shortest
        if longest > tally[3]:
            tally[3] = longest


def _group(tallies: dict[int, Tally], is_error: list[bool], latency: Histogram | None) -> Group:
    if not tallies:
        return Group()
    requests, totals, shortest, longest = zip(*tallies.values(), strict=True)
    errors = sum(compress(requests, map(is_error.__getitem__, tallies)))
    return Group(sum(requests), errors, sum(totals), min(shortest), max(longest), latency)


def dump_whole(whole: Group, blob: bytearray) -> list[object]:
    """What a window's requests amount to, as JSON can write it; the histogram is added to `blob`."""
    first, length, planes = pack(whole.latency or 0)
    blob += planes
    return [whole.requests, whole.errors, whole.total, whole.shortest, whole.longest, first, length, len(planes)]


def load_whole(columns: list[Any], blob: BytesIO) -> Group:
    """What `dump_whole` wrote; `blob` is read from where it stands."""
    requests, errors, total, shortest, longest, first, length, size = columns
    return Group(requests, errors, total, shortest, longest, unpack(first, length, blob.read(size)))


def dump(window: Window, blob: bytearray, known: dict[addresses.Address, int] | None) -> list[object]:
    """The rest of a window, likewise, without latency if it gave up its detail. For `known` see `addresses.dump`."""
    tallies = [list(window.tallies), *zip(*window.tallies.values(), strict=True)]
    latency = None if window.is_blurred else _dump_latency(window, blob)
    consumers = [[name for name, _ in window.consumers], [cell for _, cell in window.consumers]]
    requests = list(window.consumers.values())
    return [tallies, latency, [*consumers, requests], addresses.dump(window.addresses, blob, known)]


def _dump_latency(window: Window, blob: bytearray) -> list[list[int]]:
    columns: list[list[int]] = [[], [], [], []]
    for cell, histogram in window.histograms().items():
        first, length, planes = pack(histogram)
        for column, number in zip(columns, (cell, first, length, len(planes)), strict=True):
            column.append(number)
        blob += planes
    return columns


def load(window: Window, columns: list[Any], blob: BytesIO, known: list[addresses.Address]) -> None:
    """Put into a window, of which the whole is there, what `dump` wrote; `blob` is read from where it stands."""
    tallies, latency, (names, of_cells, requests), seen = columns
    window.restore(tallies, latency or ([], [], [], []), blob)
    if latency is None:
        window.latency = {ALL: (window.whole and window.whole.latency) or 0}
    window.consumers = Counter(dict(zip(zip(names, of_cells, strict=True), requests, strict=True)))
    window.addresses = addresses.load(seen, blob, known)
