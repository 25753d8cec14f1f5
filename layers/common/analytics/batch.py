"""A batch of logs as columns, and its packed form: the bytes that one DynamoDB item holds.

Packed, a log takes some 20 bytes instead of 200: strings are kept once in a dictionary and referred to by index, times
are differences, and zlib does the rest. It stays readable with `zlib` and `json` alone. Method, endpoint and status
share one index, for a fold counts by that triple (a *cell*) and then touches it once per batch, not once per log.
"""

from __future__ import annotations

import json
import zlib
from collections import Counter
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field, replace
from itertools import accumulate
from typing import Any, TypeVar

from pydantic_core import from_json

from analytics.schema import Log

Cell = tuple[str, str, int]
"""Method, endpoint, status code."""
Counts = Counter[str]
"""What became of requests on their way here: `accepted`, `duplicates`, `skewed`, `rejected.<why>`, `dropped.<why>`."""

V = TypeVar("V")


@dataclass(frozen=True, slots=True)
class Coded:
    """A column of repeating values: the log at position i has `values[ids[i]]`."""

    values: Sequence[str | None]
    ids: Sequence[int]

    def at(self, position: int) -> str | None:
        """The value of the log at this position."""
        return self.values[self.ids[position]]


@dataclass(frozen=True, slots=True)
class Batch:
    """Logs received together, as columns of equal length, oldest first; None for a column that no log fills."""

    cells: Sequence[Cell] = ()
    cell_ids: Sequence[int] = ()
    times: Sequence[int] = ()  # when each request began, microseconds since 1970
    durations: Sequence[int] = ()  # microseconds
    addresses: Coded | None = None
    consumers: Coded | None = None
    user_agents: Coded | None = None
    paths: Coded | None = None
    weights: Sequence[int] | None = None  # requests each log stands for; None: one each
    counts: Counts = field(default_factory=Counter)

    def __len__(self) -> int:
        return len(self.times)

    @property
    def requests(self) -> int:
        """How many requests the logs stand for."""
        return len(self) if self.weights is None else sum(self.weights)

    @classmethod
    def of(cls, logs: Iterable[Log], counts: Counts | None = None) -> Batch:
        """Columns of validated logs, put in order of time; `accepted` is added to the counts."""
        rows = sorted(logs, key=_created_at)
        cells, cell_ids = _code([(row["method"], row["endpoint"], row["status_code"]) for row in rows])
        weights = [row.get("weight", 1) for row in rows]
        batch = cls(
            cells=cells,
            cell_ids=cell_ids,
            times=[row["created_at"] for row in rows],
            durations=[round(row["process_time"] * 1000) for row in rows],
            addresses=_column([row.get("ip") for row in rows]),
            consumers=_column([row.get("consumer") for row in rows]),
            user_agents=_column([row.get("user_agent") for row in rows]),
            paths=_column([row.get("path") for row in rows]),
            weights=weights if any(weight != 1 for weight in weights) else None,
        )
        return replace(batch, counts=Counter({"accepted": batch.requests}) + (counts or Counter()))

    def take(self, positions: Sequence[int]) -> Batch:
        """The logs at these positions, without the counts of the batch."""

        def only(column: Sequence[int]) -> Sequence[int]:
            if isinstance(positions, range) and positions.step == 1:
                return column[positions.start : positions.stop]
            return [column[position] for position in positions]

        def coded(column: Coded | None) -> Coded | None:
            return column and Coded(column.values, only(column.ids))

        return Batch(
            cells=self.cells,
            cell_ids=only(self.cell_ids),
            times=only(self.times),
            durations=only(self.durations),
            addresses=coded(self.addresses),
            consumers=coded(self.consumers),
            user_agents=coded(self.user_agents),
            paths=coded(self.paths),
            weights=None if self.weights is None else only(self.weights),
        )

    def compact(self) -> Batch:
        """The same logs without the values that none of them has: `take` leaves those in the dictionaries."""

        def coded(column: Coded | None) -> Coded | None:
            return column and _column([column.values[number] for number in column.ids])

        cells, cell_ids = _code([self.cells[number] for number in self.cell_ids])
        return replace(
            self,
            cells=cells,
            cell_ids=cell_ids,
            addresses=coded(self.addresses),
            consumers=coded(self.consumers),
            user_agents=coded(self.user_agents),
            paths=coded(self.paths),
        )

    def pack(self) -> bytes:
        """The bytes to store; `unpack` is the way back."""
        columns: dict[str, object] = {
            "v": 1,
            "c": self.cells,
            "i": self.cell_ids,
            "t": _differences(self.times),
            "d": self.durations,
            "w": self.weights,
            "n": self.counts,
        }
        for name, column in zip("akup", (self.addresses, self.consumers, self.user_agents, self.paths), strict=True):
            columns[name] = column and (column.values, column.ids)
        filled = {name: column for name, column in columns.items() if column}
        return zlib.compress(json.dumps(filled, separators=(",", ":"), ensure_ascii=False).encode())

    @classmethod
    def unpack(cls, packed: bytes) -> Batch:
        """The batch that was packed. Raises ValueError for other bytes."""
        try:
            columns: dict[str, Any] = from_json(zlib.decompress(packed))
        except zlib.error as error:
            raise ValueError("not a packed batch") from error
        if columns.get("v") != 1:
            raise ValueError(f"a batch packed in format {columns.get('v')}: only 1 is known")
        get = columns.get
        return cls(
            cells=[(method, endpoint, status) for method, endpoint, status in get("c", ())],
            cell_ids=get("i", ()),
            times=list(accumulate(get("t", ()))),
            durations=get("d", ()),
            addresses=_coded(get("a")),
            consumers=_coded(get("k")),
            user_agents=_coded(get("u")),
            paths=_coded(get("p")),
            weights=get("w"),
            counts=Counter(get("n")),
        )


def _created_at(log: Log) -> int:
    return log["created_at"]


def _code(values: Sequence[V]) -> tuple[list[V], list[int]]:
    index: dict[V, int] = {}
    ids = [index.setdefault(value, len(index)) for value in values]
    return list(index), ids


def _column(values: Sequence[str | None]) -> Coded | None:
    return None if all(value is None for value in values) else Coded(*_code(values))


def _coded(column: tuple[list[str | None], list[int]] | None) -> Coded | None:
    return column and Coded(*column)


def _differences(times: Sequence[int]) -> list[int]:
    return [after - before for before, after in zip((0, *times), times, strict=False)]
