"""A batch of logs as columns, and its packed form: the bytes that one DynamoDB item holds.

A packed log takes some 15 bytes instead of 200: each string is stored once and referred to by its index, times are
stored as differences, and zlib compresses the rest. `zlib` and `json` alone can read it. Method, endpoint and status
share one index, because a fold counts by that triple (a *series*) and so looks at it once per batch, not once per log.
"""

from __future__ import annotations

import json
import zlib
from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from itertools import accumulate
from typing import Any, TypeVar

from pydantic_core import from_json

from analytics.schema import TEXTS, Log

FORMAT = 1  # of a packed batch. A reader ignores columns that it does not know, so a new column needs no new number.

Counts = Counter[str]
"""What became of requests on their way here: `accepted`, `duplicates`, `skewed`, `rejected.<why>`, `dropped.<why>`."""

V = TypeVar("V")


SeriesKey = tuple[str, str, int]
"""(method, endpoint, status code): what the requests of one series have in common.

It is a plain tuple, which a reader unpacks into these names: a dashboard makes thousands, and garbage collection looks
at every other kind again and again.
"""


def is_error(key: SeriesKey) -> bool:
    """Whether the answers of a series are errors: a status of 400 to 599."""
    return 400 <= key[2] <= 599


@dataclass(frozen=True, slots=True)
class Coded:
    """A dictionary-coded column: the log at position i has `values[ids[i]]`."""

    values: Sequence[str | None]
    ids: Sequence[int]

    def at(self, position: int) -> str | None:
        """The value of the log at this position."""
        return self.values[self.ids[position]]

    def compact(self) -> Coded | None:
        """The same column without the values that no log has; None when no log has any."""
        return _column([self.values[number] for number in self.ids])


@dataclass(frozen=True, slots=True)
class Batch:
    """Logs received together, as columns of equal length, oldest first."""

    series: Sequence[SeriesKey] = ()
    series_ids: Sequence[int] = ()  # of each log, its place in `series`
    times: Sequence[int] = ()  # when each request began, microseconds since 1970
    durations: Sequence[int] = ()  # microseconds
    texts: Mapping[str, Coded] = field(default_factory=dict)  # by field of TEXTS, of the fields that some log has
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
        """The batch of some validated logs, put in order of time; `accepted` is added to the counts."""
        rows = sorted(logs, key=_created_at)
        series, series_ids = _code([(row["method"], row["endpoint"], row["status_code"]) for row in rows])
        weights = [row.get("weight", 1) for row in rows]
        batch = cls(
            series=series,
            series_ids=series_ids,
            times=[row["created_at"] for row in rows],
            durations=[round(row["process_time"] * 1000) for row in rows],
            texts=_filled({name: _column([row.get(name) for row in rows]) for name in TEXTS}),  # type: ignore[misc]
            weights=weights if any(weight != 1 for weight in weights) else None,
        )
        return replace(batch, counts=Counter({"accepted": batch.requests}) + (counts or Counter()))

    def take(self, positions: Sequence[int]) -> Batch:
        """The logs at these positions, without the counts of the batch."""

        def only(column: Sequence[int]) -> Sequence[int]:
            if isinstance(positions, range) and positions.step == 1:
                return column[positions.start : positions.stop]
            return [column[position] for position in positions]

        return Batch(
            series=self.series,
            series_ids=only(self.series_ids),
            times=only(self.times),
            durations=only(self.durations),
            texts={name: Coded(column.values, only(column.ids)) for name, column in self.texts.items()},
            weights=None if self.weights is None else only(self.weights),
        )

    def compact(self) -> Batch:
        """The same logs without the values that none of them has, which `take` leaves in the dictionaries."""
        series, series_ids = _code([self.series[number] for number in self.series_ids])
        texts = _filled({name: column.compact() for name, column in self.texts.items()})
        return replace(self, series=series, series_ids=series_ids, texts=texts)

    def pack(self) -> bytes:
        """The bytes to store. `unpack` reads them."""
        columns: dict[str, object] = {
            "v": FORMAT,
            "c": self.series,
            "i": self.series_ids,
            "t": _differences(self.times),
            "d": self.durations,
            "w": self.weights,
            "n": self.counts,
        }
        columns |= {TEXTS[name].column: (column.values, column.ids) for name, column in self.texts.items()}
        filled = {name: column for name, column in columns.items() if column}
        return zlib.compress(json.dumps(filled, separators=(",", ":"), ensure_ascii=False).encode())

    @classmethod
    def unpack(cls, packed: bytes) -> Batch:
        """The batch that was packed. Raises ValueError for bytes that are damaged or of a format that is not known."""
        try:
            columns: dict[str, Any] = from_json(zlib.decompress(packed))
            if columns.get("v") != FORMAT:
                raise ValueError(f"a batch packed in format {columns.get('v')}: only {FORMAT} is known")
            return cls._of_columns(columns)
        except (zlib.error, LookupError, TypeError, AttributeError) as error:
            raise ValueError("not a packed batch") from error

    @classmethod
    def _of_columns(cls, columns: Mapping[str, Any]) -> Batch:
        get = columns.get
        return cls(
            series=list(map(tuple, get("c", ()))),
            series_ids=get("i", ()),
            times=list(accumulate(get("t", ()))),
            durations=get("d", ()),
            texts={name: Coded(*columns[text.column]) for name, text in TEXTS.items() if text.column in columns},
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


def _filled(columns: Mapping[str, Coded | None]) -> dict[str, Coded]:
    return {name: column for name, column in columns.items() if column is not None}


def _differences(times: Sequence[int]) -> list[int]:
    return [after - before for before, after in zip((0, *times), times, strict=False)]
