"""Summaries of logs: what a dashboard counts, small, and mergeable in any order.

A `Summary` is a commutative monoid: `Summary()` is its zero, `merge` adds two, and a summary folded from logs in any
order, in any number of parts, is the same to the last digit (every sum is of integers). So parts of it can be stored,
and a dashboard adds what is new to what is stored.

It keeps *event time*, the logs' own, twice: in windows of a day and in windows of a slot (an hour, unless a finer
grain is asked for), so that a long range is read from days alone. In each it counts by cell (method, endpoint, status).
What became of requests on their way here is kept by the day of *receipt*.

It is exact but for latency, which is kept in buckets, and grows with what is sent; `bounds` is how it is kept small.
"""

from __future__ import annotations

import zlib
from collections import Counter, defaultdict
from io import BytesIO
from itertools import compress
from typing import Any, NamedTuple

from pydantic_core import from_json, to_json

from analytics.batch import Batch, Cell, Counts
from analytics.histogram import BITS, bucket_of
from analytics.window import ALL, Window, dump, load

SECOND = 1_000_000  # microseconds
HOUR = 3_600  # seconds
DAY = 86_400  # seconds

_PENDING = 65_536  # logs gathered before they are counted: enough that the cost of counting is per log, not per batch


class Packed(NamedTuple):
    """A summary as bytes, in two parts: long ranges need only the days."""

    days: bytes
    slots: bytes | None

    @property
    def size(self) -> int:
        """Bytes in all."""
        return len(self.days) + len(self.slots or b"")


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
        pending, numbers = self._pending[slot], [self.number(cell) for cell in batch.cells]
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
        keys = [cell << BITS | bucket for cell, bucket in zip(pending.cells, buckets, strict=True)]
        slot.fresh.update(keys)
        day.fresh.update(keys)
        by_cell = defaultdict[int, list[int]](list)
        for cell, duration in zip(pending.cells, pending.durations, strict=True):
            by_cell[cell].append(duration)
        for cell, durations in by_cell.items():
            tally = len(durations), sum(durations), min(durations), max(durations)
            slot.tally(cell, *tally)
            day.tally(cell, *tally)
        for cell, duration, weight in pending.weighted:
            bucket = bucket_of(duration)
            for window in (slot, day):
                window.fresh[cell << BITS | bucket] += weight
                window.tally(cell, weight, weight * duration, duration, duration)
        for window in (slot, day):
            counts = window.addresses.counts
            counts.update(pending.addresses)  # type: ignore[arg-type]  # None is taken out again
            counts.pop(None, 0)  # type: ignore[call-overload]
            counts.update(pending.weighted_addresses)
            window.consumers.update(pending.consumers)

    def number(self, cell: Cell) -> int:
        """The number that stands for a cell here, a new one if need be."""
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
        renumber = [ALL if cell is None else self.number(cell) for cell in other.cells]
        for mine, theirs in ((self.days, other.days), (self.slots, other.slots)):
            for start, window in theirs.items():
                mine[start].merge(window, renumber)
        for day, counts in other.counts.items():
            self.counts[day].update(counts)
        self.last_received = max(self.last_received, other.last_received)

    @property
    def slots_in_use(self) -> int:
        """How many slots it has logs of, at most, without counting what is gathered."""
        return len(self.slots) + len(self._pending)

    def forget_unused_cells(self) -> None:
        """Number the cells anew, without those of which nothing is counted any more."""
        used = {number for window in self.days.values() for number in window.tallies}
        if len(used) == len(self._numbers):
            return
        cells, self.cells, self._numbers = self.cells, [None], {}
        renumber = [self.number(cell) if cell and old in used else ALL for old, cell in enumerate(cells)]
        for windows in (self.days, self.slots):
            for start, window in windows.items():
                windows[start] = window.renumbered(renumber)

    @property
    def weight(self) -> int:
        """About how many bytes the summary takes when stored."""
        self.settle()
        windows = [*self.days.values(), *self.slots.values()]
        return sum(window.weight for window in windows) + sum(len(cell[1]) + 8 for cell in self.cells if cell)

    # -- storing -----------------------------------------------------------------------------------------------------

    def dumps(self) -> Packed:
        """The summary as bytes."""
        self.settle()
        blob, slots_blob = bytearray(), bytearray()
        days = {
            "v": 1,
            "grain": self.grain,
            "cells": self.cells[1:],
            "days": {day: dump(window, {}, blob) for day, window in self.days.items()},
            "counts": self.counts,
            "last": self.last_received,
        }
        slots_a_day, known = DAY // self.grain, dict[int, dict[str, int]]()
        for day, window in self.days.items():
            known[day] = {address: index for index, address in enumerate(window.addresses.counts)}
        slots = {slot: dump(window, known[slot // slots_a_day], slots_blob) for slot, window in self.slots.items()}
        return Packed(_compress(days, blob), _compress(slots, slots_blob))

    @classmethod
    def loads(cls, packed: Packed) -> Summary:
        """The summary that was dumped, or its days alone. Raises ValueError for other bytes."""
        state, blob = _decompress(packed.days)
        if state.get("v") != 1:
            raise ValueError(f"a summary in format {state.get('v')}: only 1 is known")
        summary = cls(state["grain"])
        for method, endpoint, status in state["cells"]:
            summary.number((method, endpoint, status))
        for day, columns in state["days"].items():
            summary.days[int(day)] = load(columns, [], blob)
        slots_a_day, known = DAY // summary.grain, dict[int, list[str]]()
        for day, window in summary.days.items() if packed.slots else ():
            known[day] = list(window.addresses.counts)
        slots, blob = _decompress(packed.slots) if packed.slots else ({}, blob)
        for slot, columns in slots.items():
            summary.slots[int(slot)] = load(columns, known[int(slot) // slots_a_day], blob)
        for day, counts in state["counts"].items():
            summary.counts[int(day)] = Counter(counts)
        summary.last_received = state["last"]
        return summary

    def __eq__(self, other: object) -> bool:
        return isinstance(other, Summary) and self._named() == other._named()

    __hash__ = None  # type: ignore[assignment]  # it changes

    def _named(self) -> object:
        """All that is counted, by names instead of the numbers that this summary happens to use."""
        self.settle()

        def named(window: Window) -> object:
            latency = {self.cells[cell]: histogram for cell, histogram in window.histograms().items()}
            consumers = {(name, self.cells[cell]): n for (name, cell), n in window.consumers.items()}
            addresses = window.addresses
            tallies = {self.cells[cell]: tally for cell, tally in window.tallies.items()}
            return tallies, latency, consumers, addresses.counts, addresses.registers, addresses.missed

        windows = [{start: named(window) for start, window in each.items()} for each in (self.days, self.slots)]
        return self.grain, windows, {day: counts for day, counts in self.counts.items() if counts}, self.last_received


def _compress(state: object, blob: bytearray) -> bytes:
    """JSON, then bytes, the length of the JSON before both."""
    text = to_json(state)
    return zlib.compress(len(text).to_bytes(4, "big") + text + blob, 3)


def _decompress(packed: bytes) -> tuple[dict[str, Any], BytesIO]:
    try:
        plain = zlib.decompress(packed)
    except zlib.error as error:
        raise ValueError("not a summary") from error
    end = 4 + int.from_bytes(plain[:4], "big")
    return from_json(plain[4:end]), BytesIO(plain[end:])
