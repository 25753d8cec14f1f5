"""Which logs a question is about. Every condition that is not None must hold."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field

from analytics.batch import Batch, Cell, Coded
from analytics.query.ranges import Range


@dataclass(frozen=True, slots=True)
class Filter:
    """Conditions on a log. Durations are in microseconds, both ends included."""

    range: Range = field(default_factory=Range)
    method: str | None = None
    endpoint: str | None = None
    endpoint_contains: str | None = None
    status_code: int | None = None
    ip: str | None = None
    consumer: str | None = None
    shortest: int | None = None
    longest: int | None = None

    @property
    def narrows_cells(self) -> bool:
        """Whether some methods, endpoints or status codes are left out."""
        conditions = (self.method, self.endpoint, self.endpoint_contains, self.status_code)
        return any(condition is not None for condition in conditions)

    def matches(self, cell: Cell) -> bool:
        """Whether logs of this method, endpoint and status are asked for."""
        method, endpoint, status = cell
        return (
            (self.method is None or method == self.method)
            and (self.endpoint is None or endpoint == self.endpoint)
            and (self.endpoint_contains is None or self.endpoint_contains in endpoint)
            and (self.status_code is None or status == self.status_code)
        )

    def positions(self, batch: Batch) -> Sequence[int]:
        """Which logs of a batch match, in order: a `range` where all of them do."""
        found: Sequence[int] = range(len(batch))
        cells = [self.matches(cell) for cell in batch.cells]
        if not all(cells):
            found = [at for at in found if cells[batch.cell_ids[at]]]
        if len(batch) and not self.range.covers(min(batch.times), max(batch.times)):
            found = [at for at in found if batch.times[at] in self.range]
        for wanted, column in ((self.ip, batch.addresses), (self.consumer, batch.consumers)):
            if wanted is not None:
                number = _number(wanted, column)
                found = [at for at in found if column and column.ids[at] == number]
        if self.shortest is not None or self.longest is not None:
            low, high = self.shortest or 0, float("inf") if self.longest is None else self.longest
            found = [at for at in found if low <= batch.durations[at] <= high]
        return found

    def apply(self, batch: Batch) -> Batch:
        """The logs of a batch that match: the batch itself where all of them do."""
        found = self.positions(batch)
        return batch if isinstance(found, range) else batch.take(found)


def _number(value: str, column: Coded | None) -> int | None:
    return column.values.index(value) if column and value in column.values else None
