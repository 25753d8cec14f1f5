"""Logs that are gathered as columns before they are counted: counting many at once costs per log, not per batch."""

from __future__ import annotations

from collections import Counter, defaultdict
from collections.abc import Callable, Hashable, Mapping, Sequence
from functools import cached_property
from typing import TypeVar

from analytics.batch import Batch
from analytics.summary.histogram import BITS, keys_of
from analytics.summary.stats import Totals

V = TypeVar("V", bound=Hashable)

ValueOf = Callable[[str | None], Hashable]
"""What a text is counted as: None is not counted."""


class TextColumn:
    """The values of one text field, with the series id and the weight of each log."""

    def __init__(self) -> None:
        self.values: list[Hashable] = []
        self.shifted: list[int] = []
        self.weights: list[int] = []  # empty where every log stands for one request

    @cached_property
    def by_value(self) -> Mapping[Hashable, int]:
        """Requests by value, without None."""
        counts = _counted(self.values, self.weights)
        counts.pop(None, 0)
        return counts

    @cached_property
    def by_series(self) -> Mapping[tuple[Hashable, int], int]:
        """Requests by (value, series id), without None."""
        counts = _counted(list(zip(self.values, self.shifted, strict=True)), self.weights)
        return {(value, shifted >> BITS): n for (value, shifted), n in counts.items() if value is not None}


class Columns:
    """Logs of one interval as columns. What several aggregates need of them is computed once."""

    def __init__(self) -> None:
        self.shifted: list[int] = []  # series ids << BITS, as `histogram.keys_of` takes them
        self.durations: list[int] = []
        self.weights: list[int] = []  # empty where every log stands for one request
        self.texts: defaultdict[str, TextColumn] = defaultdict(TextColumn)

    def add(self, batch: Batch, shifted: Sequence[int], counted: Mapping[str, ValueOf]) -> None:
        """Add the logs of a batch; `shifted[i]` is the series id of `batch.series[i]` << BITS."""
        series, weights = list(map(shifted.__getitem__, batch.series_ids)), batch.weights or ()
        self.shifted += series
        self.durations += batch.durations
        self.weights += weights
        for name, value_of in counted.items():
            column = batch.texts.get(name)
            if column is not None:
                values = list(map(value_of, column.values))
                text = self.texts[name]
                text.values += map(values.__getitem__, column.ids)
                text.shifted += series
                text.weights += weights

    @cached_property
    def latency_keys(self) -> list[int]:
        """The latency key of each log; see `histogram.keys_of`."""
        return keys_of(self.shifted, self.durations)

    @cached_property
    def totals(self) -> list[tuple[int, Totals]]:
        """Totals by series id."""
        by_series = defaultdict[int, list[int]](list)
        for shifted, duration in zip(self.shifted, self.durations, strict=True):
            by_series[shifted].append(duration)
        if not self.weights:
            return [(each >> BITS, (len(d), sum(d), min(d), max(d))) for each, d in by_series.items()]
        requests, spent = Counter[int](), Counter[int]()
        for shifted, duration, weight in zip(self.shifted, self.durations, self.weights, strict=True):
            requests[shifted] += weight
            spent[shifted] += weight * duration
        return [(each >> BITS, (requests[each], spent[each], min(d), max(d))) for each, d in by_series.items()]


class Accumulator:
    """Logs of one interval that wait to be counted. Logs that stand for several requests are kept apart."""

    def __init__(self) -> None:
        self.plain = Columns()
        self.weighted = Columns()

    def add(self, batch: Batch, shifted: Sequence[int], counted: Mapping[str, ValueOf]) -> None:
        """Add the logs of a batch; see `Columns.add`."""
        (self.plain if batch.weights is None else self.weighted).add(batch, shifted, counted)

    @property
    def columns(self) -> list[Columns]:
        """The columns that hold any logs."""
        return [columns for columns in (self.plain, self.weighted) if columns.shifted]


def _counted(values: Sequence[V], weights: Sequence[int]) -> Counter[V]:
    """Requests by value."""
    if not weights:
        return Counter(values)
    counts = Counter[V]()
    for value, weight in zip(values, weights, strict=True):
        counts[value] += weight
    return counts
