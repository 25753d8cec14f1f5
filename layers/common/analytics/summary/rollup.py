"""Values of the fold: a batch as it is stored, a summary as bytes, and the stored summary of a stretch of receipts."""

from __future__ import annotations

from dataclasses import dataclass
from typing import NamedTuple

from analytics.batch import Batch
from analytics.times import parsed


class PackedSummary(NamedTuple):
    """A summary as bytes, in two parts: days with the total of each interval, and the rest of the intervals."""

    days: bytes
    intervals: bytes | None

    @property
    def size(self) -> int:
        """Bytes in all."""
        return len(self.days) + len(self.intervals or b"")


@dataclass(frozen=True, slots=True)
class StoredBatch:
    """A batch as it lies in the table."""

    sort_key: str
    batch: Batch

    @property
    def received(self) -> int:
        """When it was received, in microseconds since 1970."""
        return received_at(self.sort_key)


@dataclass(frozen=True, slots=True)
class Rollup:
    """A stored summary: of what was received from `start` (the time in a sort key) up to `until`.

    `LogTable.intervals` reads the intervals of its summary where they lie in an item of their own.
    """

    start: str
    until: str  # "" where the item is damaged
    packed: PackedSummary
    batches: int | None = None  # stored batches that it counts; None: a build before this was noted stored it
    previous: str | None = None  # the start of the rollup before it, or NO_ROLLUP; None: as for `batches`
    intervals_digest: str | None = None  # of intervals that lie in an item of their own
    intervals: bytes | None = None  # in the rollup's own item
    has_expired: bool = False  # its time to live is over, and DynamoDB has not deleted it yet

    @property
    def size(self) -> int:
        """Bytes of what its own item holds."""
        return len(self.packed.days) + len(self.intervals or b"")


NO_ROLLUP = ""  # as `Rollup.previous`: it is the first of its stream


@dataclass(frozen=True, slots=True)
class Watermark:
    """What writers and folds of a stream tell each other; see `summary.fold`."""

    until: str = ""  # a fold may store everything that was received before this
    late: frozenset[str] = frozenset()  # sort keys of batches that were stored with an earlier time after that
    newest: str = ""  # the start of the newest rollup that a fold met: if there is none so new, it has been lost


def received_at(sort_key: str) -> int:
    """The time of receipt in a sort key, in microseconds since 1970."""
    return parsed(sort_key.split("#")[1])
