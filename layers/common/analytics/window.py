"""A window: what happened in one stretch of event time."""

from __future__ import annotations

from collections import Counter
from itertools import accumulate
from typing import Any

from analytics.addresses import Addresses, from_text, to_text
from analytics.histogram import BITS

ALL = 0  # the number that stands for every cell together, in the latency of a slot that gave up its detail
BUCKET = (1 << BITS) - 1  # the bits of a latency key that number the bucket; those above number the cell

Tally = list[int]
"""[requests, sum of durations, shortest, longest], durations in microseconds."""


class Window:
    """What happened in one stretch of event time. Cells are numbers that the summary gives out."""

    __slots__ = ("addresses", "consumers", "latency", "tallies")

    def __init__(self) -> None:
        self.tallies: dict[int, Tally] = {}
        self.latency: Counter[int] = Counter()  # requests by (cell << BITS | bucket)
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
        latency = self.latency
        for key, requests in other.latency.items():
            latency[renumber[key >> BITS] << BITS | key & BUCKET] += requests
        self.addresses.merge(other.addresses)
        for (consumer, cell), requests in other.consumers.items():
            self.consumers[consumer, renumber[cell]] += requests

    def renumbered(self, renumber: list[int]) -> Window:
        """The window with cell `n` as `renumber[n]`, where several may become one."""
        window = Window()
        window.merge(self, renumber)
        return window

    def blur(self) -> None:
        """Give up which cell each latency belongs to."""
        latency: Counter[int] = Counter()
        for key, requests in self.latency.items():
            latency[key & BUCKET] += requests
        self.latency = latency

    @property
    def weight(self) -> int:
        """About how many bytes the window takes when stored: *measured*, some for each entry."""
        addresses = self.addresses
        return (
            40
            + 10 * len(self.tallies)
            + 3 * len(self.latency)
            + 10 * len(self.consumers)
            + 6 * len(addresses.counts)
            + len(addresses.registers or b"") // 2
        )

    @property
    def is_blurred(self) -> bool:
        """Whether some latency is known for all cells together only."""
        return any(key <= BUCKET for key in self.latency)


def dump(window: Window, known: dict[str, int]) -> list[object]:
    """A window as JSON can write it; addresses that are known already are written as their number."""
    tallies = [[cell, *tally] for cell, tally in window.tallies.items()]
    latency = sorted(window.latency.items())
    keys, requests = [key for key, _ in latency], [n for _, n in latency]
    steps = [after - before for before, after in zip([0, *keys], keys, strict=False)]
    consumers = [[name, cell, n] for (name, cell), n in window.consumers.items()]
    seen = window.addresses
    names = [known.get(address, address) for address in seen.counts]
    addresses = [names, list(seen.counts.values()), seen.registers and to_text(seen.registers), seen.missed]
    return [tallies, steps, requests, consumers, addresses]


def load(columns: list[Any], known: list[str]) -> Window:
    """The window that `dump` wrote."""
    window = Window()
    tallies, steps, requests, consumers, (names, counts, registers, missed) = columns
    window.tallies = {cell: tally for cell, *tally in tallies}
    window.latency = Counter(dict(zip(accumulate(steps), requests, strict=True)))
    window.consumers = Counter({(name, cell): n for name, cell, n in consumers})
    if known:
        names = [known[name] if isinstance(name, int) else name for name in names]
    window.addresses = Addresses(dict(zip(names, counts, strict=True)))
    window.addresses.registers = None if registers is None else from_text(registers)
    window.addresses.missed = missed
    return window
