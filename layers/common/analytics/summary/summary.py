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
from bisect import bisect_left
from collections import Counter, defaultdict
from io import BytesIO
from itertools import count
from typing import Any

from pydantic_core import from_json, to_json

from analytics.batch import Batch, Cell, Counts
from analytics.summary import addresses
from analytics.summary.accumulator import Pending
from analytics.summary.aggregate import ALL, Window, dump, dump_whole, load, load_whole
from analytics.summary.rollup import Packed
from analytics.times import DAY, HOUR, SECOND

_PENDING = 65_536  # logs gathered before they are counted: enough that the cost of counting is per log, not per batch


class Summary:
    """Counts over logs; see the module's docstring. `grain` is the length of a slot in seconds, a divisor of a day."""

    def __init__(self, grain: int = HOUR) -> None:
        self.grain = grain
        self.cells: list[Cell | None] = [None]  # by number; number 0 stands for all of them
        self.days: defaultdict[int, Window] = defaultdict(Window)  # by day since 1970
        self._slots: defaultdict[int, Window] = defaultdict(Window)
        self.counts: defaultdict[int, Counts] = defaultdict(Counter)  # by day of receipt since 1970
        self.last_received = 0  # microseconds since 1970; 0: nothing yet
        self.has_slots = True  # False: of each slot only `whole` is known, see `load_slots`
        self._wholes: tuple[dict[str, list[Any]], BytesIO] | None = None  # of stored slots, as long as nobody asks
        self._numbers: dict[Cell, int] = {}
        self._pending: defaultdict[int, Pending] = defaultdict(Pending)  # by slot
        self._waiting = 0

    @property
    def slots(self) -> defaultdict[int, Window]:
        """The windows by slot since 1970."""
        if self._wholes:
            (wholes, blob), self._wholes = self._wholes, None
            for slot, whole in wholes.items():
                self._slots[int(slot)].whole = load_whole(whole, blob)
        return self._slots

    # -- folding -----------------------------------------------------------------------------------------------------

    def fold(self, batch: Batch, received: int) -> None:
        """Add a batch that was received then, in microseconds since 1970: its counts and its logs."""
        self.receive(batch.counts, received)
        self.add(batch)

    def add(self, batch: Batch) -> None:
        """Add the logs of a batch, without its counts."""
        slot_us, times, start = self.grain * SECOND, batch.times, 0
        while start < len(times):  # which are in order
            slot = times[start] // slot_us
            end = bisect_left(times, (slot + 1) * slot_us, start)
            part = batch.take(range(start, end))
            self._pending[slot].add(part, list(map(self.number, part.cells)))
            start = end
        self._waiting += len(batch)
        if self._waiting >= _PENDING:
            self.settle()

    def receive(self, counts: Counts, received: int) -> None:
        """Add what became of requests on their way, as of a batch received then (microseconds since 1970)."""
        self.counts[received // (DAY * SECOND)].update(counts)
        self.last_received = max(self.last_received, received)

    def settle(self) -> None:
        """Count what is gathered. Everything that reads a summary does this first."""
        slots_a_day = DAY // self.grain
        for slot, pending in self._pending.items():
            pending.count(self.slots[slot], self.days[slot // slots_a_day])
        self._pending.clear()
        self._waiting = 0

    def number(self, cell: Cell) -> int:
        """The number that stands for a cell here, a new one if need be."""
        number = self._numbers.get(cell)
        if number is None:
            number = self._numbers[cell] = len(self.cells)
            self.cells.append(cell)
        return number

    # -- merging -----------------------------------------------------------------------------------------------------

    def merge(self, other: Summary) -> None:
        """Add all that another summary of the same grain counts.

        Raises ValueError for another grain, and when one of them was loaded without its slots.
        """
        if other.grain != self.grain:
            raise ValueError(f"slots of {other.grain} s do not add up with slots of {self.grain} s")
        if not (self.has_slots and other.has_slots):
            raise ValueError("a summary without its slots cannot be merged")
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
    def is_error(self) -> list[bool]:
        """By number, whether a cell is of an error: an answer of status 400 to 599."""
        return [cell is not None and 400 <= cell[2] <= 599 for cell in self.cells]

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
        blob, slots_blob, is_error = bytearray(), bytearray(), self.is_error
        days = {}
        for day, window in self.days.items():
            days[day] = [dump_whole(window.group(is_error), blob), *dump(window, blob, None)]
        slots, slots_a_day = {}, DAY // self.grain
        wholes = {slot: dump_whole(window.group(is_error), blob) for slot, window in self.slots.items()}
        known = {day: dict(zip(addresses.order(w.addresses), count(), strict=False)) for day, w in self.days.items()}
        for slot, window in self.slots.items():
            slots[slot] = dump(window, slots_blob, known[slot // slots_a_day])
        head = {
            "v": 2,
            "grain": self.grain,
            "cells": self.cells[1:],
            "days": days,
            "slots": wholes,
            "counts": self.counts,
            "last": self.last_received,
        }
        return Packed(_compress(head, blob), _compress(slots, slots_blob))

    @classmethod
    def loads(cls, packed: Packed) -> Summary:
        """The summary that was dumped, or what its days alone tell. Raises ValueError for other bytes."""
        head, blob = _decompress(packed.days)
        if head.get("v") != 2:
            raise ValueError(f"a summary in format {head.get('v')}: only 2 is known")
        summary = cls(head["grain"])
        cells: list[Cell] = list(map(tuple, head["cells"]))
        summary.cells, summary._numbers = [None, *cells], dict(zip(cells, count(1), strict=False))
        for day, (whole, *columns) in head["days"].items():
            window = summary.days[int(day)]
            window.whole = load_whole(whole, blob)
            load(window, columns, blob, [])
        summary._wholes = head["slots"], blob
        for day, counts in head["counts"].items():
            summary.counts[int(day)] = Counter(counts)
        summary.last_received = head["last"]
        summary.has_slots = False
        if packed.slots is not None:
            summary.load_slots(packed.slots)
        return summary

    def load_slots(self, packed: bytes) -> None:
        """Fill the slots of a summary of which the days were loaded. Raises ValueError for other bytes."""
        slots, blob = _decompress(packed)
        slots_a_day, known = DAY // self.grain, {day: list(w.addresses.counts) for day, w in self.days.items()}
        for slot, columns in slots.items():
            load(self.slots[int(slot)], columns, blob, known[int(slot) // slots_a_day])
        self.has_slots = True

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
