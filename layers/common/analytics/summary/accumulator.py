"""Logs that are gathered but not yet counted: counting many at once costs per log, not per batch."""

from __future__ import annotations

from collections import Counter, defaultdict
from collections.abc import Sequence
from itertools import compress

from analytics.batch import Batch
from analytics.summary.addresses import Address, address_of
from analytics.summary.aggregate import Window
from analytics.summary.histogram import BITS, keys_of


class Pending:
    """Logs of one slot, as columns."""

    __slots__ = ("_addresses", "_cells", "_consumers", "_durations", "_weighted", "_weighted_addresses")

    def __init__(self) -> None:
        self._cells: list[int] = []  # the number of each << BITS, as latency is counted
        self._durations: list[int] = []
        self._weighted: list[tuple[int, int, int]] = []  # (cell, duration, weight) of logs that stand for several
        self._addresses: list[Address | None] = []
        self._weighted_addresses: Counter[Address] = Counter()
        self._consumers: Counter[tuple[str, int]] = Counter()

    def add(self, batch: Batch, numbers: Sequence[int]) -> None:
        """Gather the logs of a batch, whose cell at place `i` has the number `numbers[i]`."""
        shifted = [number << BITS for number in numbers]
        cells, durations, weights = list(map(shifted.__getitem__, batch.cell_ids)), batch.durations, batch.weights
        if weights is None:
            self._cells += cells
            self._durations += durations
        else:
            single = [weight == 1 for weight in weights]
            self._cells += compress(cells, single)
            self._durations += compress(durations, single)
            self._weighted += [row for row in zip(cells, durations, weights, strict=True) if row[2] != 1]
        if batch.addresses:
            known = list(map(address_of, batch.addresses.values))
            seen = map(known.__getitem__, batch.addresses.ids)
            if weights is None:
                self._addresses += seen
            else:
                for address, weight in zip(seen, weights, strict=True):
                    if address is not None:
                        self._weighted_addresses[address] += weight
        if batch.consumers:
            for position, (consumer, cell) in enumerate(zip(batch.consumers.ids, cells, strict=True)):
                name = batch.consumers.values[consumer]
                if name is not None:
                    self._consumers[name, cell >> BITS] += weights[position] if weights else 1

    def count(self, *windows: Window) -> None:
        """Count all of it into each of some windows."""
        keys, by_cell = keys_of(self._cells, self._durations), defaultdict[int, list[int]](list)
        for cell, duration in zip(self._cells, self._durations, strict=True):
            by_cell[cell].append(duration)
        rows = [(cell >> BITS, [len(each), sum(each), min(each), max(each)]) for cell, each in by_cell.items()]
        for window in windows:
            window.note(keys)
            window.tally(rows)
            for cell, duration, weight in self._weighted:
                (key,) = keys_of([cell], [duration])
                window.note_many(key, weight)
                window.tally([(cell >> BITS, [weight, weight * duration, duration, duration])])
            window.addresses.see(self._addresses, self._weighted_addresses)
            window.consumers.update(self._consumers)
