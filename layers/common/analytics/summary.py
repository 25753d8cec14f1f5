"""Summaries of logs: what a dashboard counts, small, and mergeable in any order.

A `Summary` is a commutative monoid: `Summary()` is its zero, `merge` adds two, and a summary folded from logs in any
order, in any number of parts, is the same to the last digit (every sum is of integers). So parts of it can be stored,
and a dashboard adds what is new to what is stored.

It keeps *event time*, the logs' own: windows of a day, in which latency is kept for each cell (method, endpoint and
status), and windows of a slot (an hour, unless a finer grain is asked for), in which it is kept for all cells together.
What became of requests on their way here is kept by the day of *receipt*.
"""

from __future__ import annotations

import json
import zlib
from collections import Counter, defaultdict
from itertools import compress
from typing import Any

from pydantic_core import from_json

from analytics.batch import Batch, Cell, Counts
from analytics.histogram import BITS, bucket_of

SECOND = 1_000_000  # microseconds
HOUR = 3_600  # seconds
DAY = 86_400  # seconds

_ALL = 0  # the number that stands for every cell together, in the latency of a slot
_BUCKET = (1 << BITS) - 1
_PENDING = 65_536  # logs gathered before they are counted: enough that the cost of counting is per log, not per batch

Tally = list[int]
"""[requests, sum of durations, shortest, longest], durations in microseconds."""


class Window:
    """What happened in one stretch of event time. Cells are numbers that the summary gives out."""

    __slots__ = ("addresses", "consumers", "latency", "tallies")

    def __init__(self) -> None:
        self.tallies: dict[int, Tally] = {}
        self.latency: Counter[int] = Counter()  # requests by (cell << BITS | bucket)
        self.addresses: Counter[str] = Counter()  # requests by client address
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
            latency[renumber[key >> BITS] << BITS | key & _BUCKET] += requests
        self.addresses.update(other.addresses)
        for (consumer, cell), requests in other.consumers.items():
            self.consumers[consumer, renumber[cell]] += requests


class _Pending:
    """Logs of one slot that are gathered but not yet counted."""

    __slots__ = ("addresses", "cells", "consumers", "durations", "weighted", "weighted_addresses")

    def __init__(self) -> None:
        self.cells: list[int] = []
        self.durations: list[int] = []
        self.weighted: list[tuple[int, int, int]] = []  # (cell, duration, weight) where a log stands for more than one
        self.addresses: list[str | None] = []
        self.weighted_addresses: Counter[str] = Counter()
        self.consumers: Counter[tuple[str, int]] = Counter()


class Summary:
    """Counts over logs; see the module's docstring. `grain` is the length of a slot in seconds, a divisor of a day."""

    def __init__(self, grain: int = HOUR) -> None:
        self.grain = grain
        self.cells: list[Cell | None] = [None]  # by number; number 0 stands for all of them
        self.days: defaultdict[int, Window] = defaultdict(Window)  # by day since 1970
        self.slots: defaultdict[int, Window] = defaultdict(Window)  # by slot since 1970
        self.counts: defaultdict[int, Counts] = defaultdict(Counter)  # by day of receipt since 1970
        self.last_received = 0  # microseconds since 1970; 0: nothing yet
        self._numbers: dict[Cell, int] = {}
        self._pending: defaultdict[int, _Pending] = defaultdict(_Pending)
        self._waiting = 0

    # -- folding -----------------------------------------------------------------------------------------------------

    def fold(self, batch: Batch, received: int) -> None:
        """Add a batch that was received then, in microseconds since 1970: its counts and its logs."""
        self.receive(batch.counts, received)
        self.add(batch)

    def add(self, batch: Batch) -> None:
        """Add the logs of a batch, without its counts."""
        if not len(batch):
            return
        slot_us = self.grain * SECOND
        first, last = min(batch.times) // slot_us, max(batch.times) // slot_us
        if first == last:
            self._gather(first, batch)
        else:
            by_slot = defaultdict[int, list[int]](list)
            for position, time in enumerate(batch.times):
                by_slot[time // slot_us].append(position)
            for slot, positions in by_slot.items():
                self._gather(slot, batch.take(positions))
        self._waiting += len(batch)
        if self._waiting >= _PENDING:
            self.settle()

    def receive(self, counts: Counts, received: int) -> None:
        """Add what became of requests on their way, as of a batch received then (microseconds since 1970)."""
        self.counts[received // (DAY * SECOND)].update(counts)
        self.last_received = max(self.last_received, received)

    def _gather(self, slot: int, batch: Batch) -> None:
        pending, numbers = self._pending[slot], [self._number(cell) for cell in batch.cells]
        cells, durations, weights = [numbers[i] for i in batch.cell_ids], batch.durations, batch.weights
        if weights is None:
            pending.cells += cells
            pending.durations += durations
        else:
            single = [weight == 1 for weight in weights]
            pending.cells += compress(cells, single)
            pending.durations += compress(durations, single)
            pending.weighted += [row for row in zip(cells, durations, weights, strict=True) if row[2] != 1]
        if batch.addresses:
            addresses = [batch.addresses.values[i] for i in batch.addresses.ids]
            if weights is None:
                pending.addresses += addresses
            else:
                for address, weight in zip(addresses, weights, strict=True):
                    if address is not None:
                        pending.weighted_addresses[address] += weight
        if batch.consumers:
            for position, (consumer, cell) in enumerate(zip(batch.consumers.ids, cells, strict=True)):
                name = batch.consumers.values[consumer]
                if name is not None:
                    pending.consumers[name, cell] += weights[position] if weights else 1

    def settle(self) -> None:
        """Count what is gathered. Everything that reads a summary does this first."""
        slots_a_day = DAY // self.grain
        for slot, pending in self._pending.items():
            self._count(self.slots[slot], self.days[slot // slots_a_day], pending)
        self._pending.clear()
        self._waiting = 0

    def _count(self, slot: Window, day: Window, pending: _Pending) -> None:
        buckets = list(map(bucket_of, pending.durations))
        slot.latency.update(buckets)  # cell _ALL is 0, so the bucket is the key
        day.latency.update([cell << BITS | bucket for cell, bucket in zip(pending.cells, buckets, strict=True)])
        by_cell = defaultdict[int, list[int]](list)
        for cell, duration in zip(pending.cells, pending.durations, strict=True):
            by_cell[cell].append(duration)
        for cell, durations in by_cell.items():
            tally = len(durations), sum(durations), min(durations), max(durations)
            slot.tally(cell, *tally)
            day.tally(cell, *tally)
        for cell, duration, weight in pending.weighted:
            bucket = bucket_of(duration)
            slot.latency[bucket] += weight
            day.latency[cell << BITS | bucket] += weight
            slot.tally(cell, weight, weight * duration, duration, duration)
            day.tally(cell, weight, weight * duration, duration, duration)
        for window in (slot, day):
            window.addresses.update(pending.addresses)  # type: ignore[arg-type]  # None is taken out again
            window.addresses.pop(None, 0)  # type: ignore[call-overload]
            window.addresses.update(pending.weighted_addresses)
            window.consumers.update(pending.consumers)

    def _number(self, cell: Cell) -> int:
        number = self._numbers.get(cell)
        if number is None:
            number = self._numbers[cell] = len(self.cells)
            self.cells.append(cell)
        return number

    # -- merging -----------------------------------------------------------------------------------------------------

    def merge(self, other: Summary) -> None:
        """Add all that another summary of the same grain counts. Raises ValueError for another grain."""
        if other.grain != self.grain:
            raise ValueError(f"slots of {other.grain} s do not add up with slots of {self.grain} s")
        self.settle()
        other.settle()
        renumber = [_ALL if cell is None else self._number(cell) for cell in other.cells]
        for mine, theirs in ((self.days, other.days), (self.slots, other.slots)):
            for start, window in theirs.items():
                mine[start].merge(window, renumber)
        for day, counts in other.counts.items():
            self.counts[day].update(counts)
        self.last_received = max(self.last_received, other.last_received)

    # -- storing -----------------------------------------------------------------------------------------------------

    def dumps(self) -> bytes:
        """The summary as bytes: equal summaries give equal bytes."""
        self.settle()
        order = sorted(self._numbers)
        renumber = [_ALL] * len(self.cells)
        for number, cell in enumerate(order, 1):
            renumber[self._numbers[cell]] = number
        state = {
            "v": 1,
            "grain": self.grain,
            "cells": order,
            "days": {day: _dump(self.days[day], renumber) for day in sorted(self.days)},
            "slots": {slot: _dump(self.slots[slot], renumber) for slot in sorted(self.slots)},
            "counts": {day: dict(sorted(self.counts[day].items())) for day in sorted(self.counts) if self.counts[day]},
            "last": self.last_received,
        }
        return zlib.compress(json.dumps(state, separators=(",", ":"), ensure_ascii=False).encode())

    @classmethod
    def loads(cls, packed: bytes) -> Summary:
        """The summary that was dumped. Raises ValueError for other bytes."""
        try:
            state: dict[str, Any] = from_json(zlib.decompress(packed))
        except zlib.error as error:
            raise ValueError("not a summary") from error
        if state.get("v") != 1:
            raise ValueError(f"a summary in format {state.get('v')}: only 1 is known")
        summary = cls(state["grain"])
        for method, endpoint, status in state["cells"]:
            summary._number((method, endpoint, status))
        for name, windows in (("days", summary.days), ("slots", summary.slots)):
            for start, columns in state[name].items():
                windows[int(start)] = _load(columns)
        for day, counts in state["counts"].items():
            summary.counts[int(day)] = Counter(counts)
        summary.last_received = state["last"]
        return summary

    def __eq__(self, other: object) -> bool:
        return isinstance(other, Summary) and self.dumps() == other.dumps()

    __hash__ = None  # type: ignore[assignment]  # it changes


def _dump(window: Window, renumber: list[int]) -> list[object]:
    tallies = sorted((renumber[cell], *tally) for cell, tally in window.tallies.items())
    latency = sorted((renumber[key >> BITS] << BITS | key & _BUCKET, n) for key, n in window.latency.items())
    consumers = sorted((name, renumber[cell], n) for (name, cell), n in window.consumers.items())
    columns = (list(map(list, zip(*rows, strict=True))) for rows in (tallies, latency, consumers))
    return [*columns, dict(sorted(window.addresses.items()))]


def _load(columns: list[Any]) -> Window:
    window = Window()
    tallies, latency, consumers, addresses = columns
    window.tallies = {cell: tally for cell, *tally in zip(*tallies, strict=True)}
    window.latency = Counter(dict(zip(*latency, strict=True)))
    window.consumers = Counter({(name, cell): n for name, cell, n in zip(*consumers, strict=True)})
    window.addresses = Counter(addresses)
    return window
