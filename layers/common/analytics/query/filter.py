"""Which logs a question is about. Every condition that is given must hold."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, fields

from analytics.batch import Batch, SeriesKey
from analytics.query.ranges import Range

SUMMARIZED = frozenset({"range", "method", "endpoint", "endpoint_contains", "status_code"})
"""The conditions that summaries can tell. Any other one is answered from raw logs."""


@dataclass(frozen=True, slots=True)
class Filter:
    """Conditions on a log. A set of values holds when the log has any of them, and always when it is empty.

    Durations are in microseconds, both ends included.
    """

    range: Range = field(default_factory=Range)
    method: frozenset[str] = frozenset()
    endpoint: frozenset[str] = frozenset()
    endpoint_contains: frozenset[str] = frozenset()  # parts of an endpoint
    status_code: frozenset[int] = frozenset()
    texts: Mapping[str, frozenset[str]] = field(default_factory=dict)  # whole values, by field of `schema.TEXTS`
    shortest: int | None = None
    longest: int | None = None

    @property
    def narrows_series(self) -> bool:
        """Whether some methods, endpoints or status codes are left out."""
        return bool(self.method or self.endpoint or self.endpoint_contains or self.status_code)

    @property
    def not_summarized(self) -> list[str]:
        """The conditions that summaries cannot tell, by name."""
        given = {each.name: getattr(self, each.name) for each in fields(self) if each.name != "texts"}
        return [
            name
            for name, condition in {**given, **self.texts}.items()
            if condition not in (None, frozenset()) and name not in SUMMARIZED
        ]

    def matches(self, key: SeriesKey) -> bool:
        """Whether logs of this method, endpoint and status are asked for."""
        method, endpoint, status_code = key
        return (
            (not self.method or method in self.method)
            and (not self.endpoint or endpoint in self.endpoint)
            and (not self.endpoint_contains or any(part in endpoint for part in self.endpoint_contains))
            and (not self.status_code or status_code in self.status_code)
        )

    def positions(self, batch: Batch) -> Sequence[int]:
        """Which logs of a batch match, in order: a `range` where all of them do."""
        found: Sequence[int] = range(len(batch))
        matching = [self.matches(key) for key in batch.series]
        if not all(matching):
            found = [at for at in found if matching[batch.series_ids[at]]]
        if len(batch) and not self.range.covers(min(batch.times), max(batch.times)):
            found = [at for at in found if batch.times[at] in self.range]
        for name, wanted in self.texts.items():
            column = batch.texts.get(name)
            numbers = {column.values.index(value) for value in wanted.intersection(column.values)} if column else ()
            if column is None or not numbers:
                return []
            found = [at for at in found if column.ids[at] in numbers]
        if self.shortest is not None or self.longest is not None:
            low, high = self.shortest or 0, float("inf") if self.longest is None else self.longest
            found = [at for at in found if low <= batch.durations[at] <= high]
        return found

    def apply(self, batch: Batch) -> Batch:
        """The logs of a batch that match: the batch itself where all of them do."""
        found = self.positions(batch)
        return batch if isinstance(found, range) else batch.take(found)
