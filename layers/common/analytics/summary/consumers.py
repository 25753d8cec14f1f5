"""The counter of requests by consumer and series."""

from __future__ import annotations

from collections import Counter as Counts
from collections.abc import Hashable, Mapping, Sequence
from io import BytesIO
from typing import Any, ClassVar

from analytics.batch import SeriesKey
from analytics.summary.accumulator import Columns
from analytics.summary.counter import OTHER, Counter

MAX_CONSUMERS = 500  # of a day
MAX_PAIRS = 4 * MAX_CONSUMERS  # of consumer and series, in a day, before consumers are dropped


class Consumers(Counter):
    """Requests by (consumer, series id)."""

    code: ClassVar[str] = "consumers"
    counted: ClassVar[Mapping[str, Any]] = {"consumer": lambda name: name}

    def __init__(self) -> None:
        self.requests: Counts[tuple[str, int]] = Counts()
        self.undercount = 0  # the most requests that a consumer can have beyond what is counted under its name

    def count(self, logs: Columns) -> None:
        """Add logs."""
        if "consumer" in logs.texts:
            self.requests.update(logs.texts["consumer"].by_series)  # type: ignore[arg-type]  # names are texts

    def merge(self, other: Consumers, renumber: Sequence[int]) -> None:
        """Add another counter, whose series id `n` is `renumber[n]` here."""
        for (name, series_id), requests in other.requests.items():
            self.requests[name, renumber[series_id]] += requests
        self.undercount += other.undercount

    @classmethod
    def limit(cls, day: Consumers, intervals: Sequence[Consumers], scale: float) -> None:
        """Keep the busiest consumers of a day by name, in the day and its intervals, and count the others as OTHER."""
        by_name = Counts[str]()
        for (name, _), requests in day.requests.items():
            by_name[name] += requests
        if len(by_name) <= MAX_CONSUMERS * scale and len(day.requests) <= MAX_PAIRS * scale:
            return
        kept, dropped = busiest(by_name, round(MAX_CONSUMERS * scale) - 1)
        day.undercount += dropped
        for counter in (day, *intervals):
            requests_of, counter.requests = counter.requests, Counts()
            for (name, series_id), requests in requests_of.items():
                counter.requests[name if name in kept else OTHER, series_id] += requests

    @property
    def estimated_bytes(self) -> int:
        """About how many bytes it takes when it is stored."""
        return 10 * len(self.requests)

    def dump(self, blob: bytearray, day: Consumers | None) -> object:  # noqa: ARG002 - it stores all of its own
        """[names, series ids, requests, undercount], the first three as columns."""
        names = [name for name, _ in self.requests]
        return [names, [series_id for _, series_id in self.requests], list(self.requests.values()), self.undercount]

    @classmethod
    def load(cls, state: Any, blob: BytesIO, day: Consumers | None) -> Consumers:  # noqa: ARG003 - see `dump`
        """The counter that `dump` stored."""
        names, series_ids, requests, undercount = state
        counter = cls()
        counter.requests = Counts(dict(zip(zip(names, series_ids, strict=True), requests, strict=True)))
        counter.undercount = undercount
        return counter

    def named(self, series: Sequence[SeriesKey | None]) -> Hashable | Sequence[Any]:
        """All that it counts, with series keys instead of ids."""
        return [{(name, series[series_id]): n for (name, series_id), n in self.requests.items()}, self.undercount]


def busiest(counts: Mapping[Any, int], most: int) -> tuple[set[Any], int]:
    """The names with the largest counts, at most so many, and the largest count of the others; OTHER is neither."""
    ranked = sorted(((n, name) for name, n in counts.items() if name != OTHER), key=lambda each: (-each[0], each[1]))
    kept, others = ranked[: max(most, 0)], ranked[max(most, 0) :]
    return {name for _, name in kept}, max((n for n, _ in others), default=0)
