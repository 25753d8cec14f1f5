"""A window: what happened in one stretch of event time."""

from __future__ import annotations

from collections import Counter, defaultdict
from io import BytesIO
from typing import Any

from analytics.addresses import Addresses, from_text, to_text
from analytics.histogram import BITS, Histogram, buckets_in_use, from_planes, histogram_of, to_planes

ALL = 0  # the number that stands for every cell together, in the latency of a slot that gave up its detail
BUCKET = (1 << BITS) - 1  # the bits of a latency key that number the bucket; those above number the cell

Tally = list[int]
"""[requests, sum of durations, shortest, longest], durations in microseconds."""


class Window:
    """What happened in one stretch of event time. Cells are numbers that the summary gives out.

    `fresh` holds latency that is not in the histograms yet: counting into one flat dictionary is the fastest there is
    while logs come in, and adding histograms is when they are merged and read.
    """

    __slots__ = ("addresses", "consumers", "fresh", "latency", "tallies")

    def __init__(self) -> None:
        self.tallies: dict[int, Tally] = {}
        self.fresh: Counter[int] = Counter()  # requests by (cell << BITS | bucket)
        self.latency: dict[int, Histogram] = {}  # by cell, or under ALL what is known for all together only
        self.addresses = Addresses()
        self.consumers: Counter[tuple[str, int]] = Counter()  # requests by (consumer, cell)

    def tally(self, cell: int, requests: int, total: int, shortest: int, longest: int) -> None:
        """Add requests of one cell."""
        tally = self.tallies.get(cell)
        if tally is None:
            self.tallies[cell] = [requests, total, shortest, longest]
            return
        tally[0] += requests
        tally[1] += total
        if shortest < tally[2]:
            tally[2] = shortest
        if longest > tally[3]:
            tally[3] = longest

    def merge(self, other: Window, renumber: list[int]) -> None:
        """Add another summary's window, whose cell `n` is `renumber[n]` here."""
        for cell, tally in other.tallies.items():
            self.tally(renumber[cell], *tally)
        for cell, histogram in other.histograms().items():
            self.latency[renumber[cell]] = self.latency.get(renumber[cell], 0) + histogram
        self.addresses.merge(other.addresses)
        for (consumer, cell), requests in other.consumers.items():
            self.consumers[consumer, renumber[cell]] += requests

    def renumbered(self, renumber: list[int]) -> Window:
        """The window with cell `n` as `renumber[n]`, where several may become one."""
        window = Window()
        window.merge(self, renumber)
        return window

    def histograms(self) -> dict[int, Histogram]:
        """Latency by cell, all of it."""
        if self.fresh:
            by_cell = defaultdict[int, list[tuple[int, int]]](list)
            for key, requests in self.fresh.items():
                by_cell[key >> BITS].append((key & BUCKET, requests))
            for cell, counts in by_cell.items():
                self.latency[cell] = self.latency.get(cell, 0) + histogram_of(counts)
            self.fresh.clear()
        return self.latency

    def blur(self) -> None:
        """Give up which cell each latency belongs to."""
        counts = Counter(map(BUCKET.__and__, self.fresh))  # each key once; most stand for one request only
        for key, requests in self.fresh.items():
            if requests > 1:
                counts[key & BUCKET] += requests - 1
        self.latency = {ALL: sum(self.latency.values()) + histogram_of(counts.items())}
        self.fresh.clear()

    @property
    def latencies(self) -> int:
        """How many counts the latency takes: pairs of cell and bucket."""
        return len(self.fresh) + sum(map(buckets_in_use, self.latency.values()))

    @property
    def weight(self) -> int:
        """About how many bytes the window takes when stored: *measured*, some for each entry."""
        addresses = self.addresses
        return (
            40
            + 10 * len(self.tallies)
            + self.latencies
            + 10 * len(self.consumers)
            + 6 * len(addresses.counts)
            + len(addresses.registers or b"") // 2
        )


def dump(window: Window, known: dict[str, int], blob: bytearray) -> list[object]:
    """A window as JSON can write it, but for its histograms, which are added to `blob`.

    Addresses that are known already are written as their number.
    """
    tallies = [[cell, *tally] for cell, tally in window.tallies.items()]
    latency = []
    for cell, histogram in window.histograms().items():
        first, length, planes = to_planes(histogram)
        latency.append([cell, first, length, len(planes)])
        blob += planes
    consumers = [[name, cell, n] for (name, cell), n in window.consumers.items()]
    seen = window.addresses
    names = [known.get(address, address) for address in seen.counts]
    addresses = [names, list(seen.counts.values()), seen.registers and to_text(seen.registers), seen.missed]
    return [tallies, latency, consumers, addresses]


def load(columns: list[Any], known: list[str], blob: BytesIO) -> Window:
    """The window that `dump` wrote; `blob` is read from where it stands."""
    window = Window()
    tallies, latency, consumers, (names, counts, registers, missed) = columns
    window.tallies = {cell: tally for cell, *tally in tallies}
    for cell, first, length, size in latency:
        window.latency[cell] = from_planes(first, length, blob.read(size))
    window.consumers = Counter({(name, cell): n for name, cell, n in consumers})
    if known:
        names = [known[name] if isinstance(name, int) else name for name in names]
    window.addresses = Addresses(dict(zip(names, counts, strict=True)))
    window.addresses.registers = None if registers is None else from_text(registers)
    window.addresses.missed = missed
    return window
