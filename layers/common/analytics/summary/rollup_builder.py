"""The rollup that a fold fills: a summary that is limited as it grows, so that it always fits into an item."""

from __future__ import annotations

from dataclasses import dataclass, field

from analytics.summary import codec
from analytics.summary.limits import limit
from analytics.summary.rollup import NO_ROLLUP, PackedSummary, Rollup, StoredBatch
from analytics.summary.summary import Summary
from analytics.times import DAY, SECOND, isoformat, parsed

HEAVY = 250_000  # estimated bytes: a summary over it is limited, and its rollup ends there if it is of several days
_LARGEST = 390_000  # bytes of a rollup; DynamoDB takes 400 KB, keys and names included
_STEP = 50_000  # logs between two looks at how heavy the summary has become,
_STEP_OF_MANY = 2_000  # and where they are of more hours than
_MANY_INTERVALS = 100


def day_end(start: str) -> str:
    """When the day of a rollup ends. No two rollups are of the same stretch, so that each can be counted anew."""
    return isoformat(parsed(start[:10]) + DAY * SECOND)


@dataclass(slots=True)
class RollupBuilder:
    """The rollup that is being filled. `stored` is what there is of it in the table."""

    start: str  # the time in a sort key; "" before there is any rollup
    previous: str | None = NO_ROLLUP  # see `Rollup.previous`
    stored: Rollup | None = None
    batches: int | None = 0  # that the summary counts; None: not known
    summary: Summary = field(default_factory=Summary)
    unsaved: int = 0  # logs that are not stored in the rollup
    is_full: bool = False
    _limit: int = HEAVY
    _unweighed: int = 0

    @property
    def day(self) -> str:
        """The UTC day of receipt, which a rollup never goes beyond."""
        return self.start[:10]

    def add(self, stored: StoredBatch) -> None:
        """Add a batch, and limit the summary before it grows past what an item holds."""
        self.summary.fold(stored.batch, stored.received)
        self.unsaved += max(len(stored.batch), 1)
        if self.batches is not None:
            self.batches += 1
        self._unweighed += len(stored.batch)
        if self._unweighed >= (_STEP_OF_MANY if self.summary.interval_count > _MANY_INTERVALS else _STEP):
            self._unweighed = 0
            self.weigh()

    def weigh(self) -> None:
        """Limit the summary if it is heavy. If it stays heavy because it is of many days, the rollup is full."""
        if self.summary.estimated_bytes > self._limit:
            limit(self.summary)
            left = self.summary.estimated_bytes
            self.is_full = left > HEAVY and len(self.summary.days) > 2
            self._limit = max(HEAVY, 2 * left)  # so that the work of limiting is in proportion to what was added

    def rollup(self, until: str) -> Rollup:
        """The rollup up to a time of receipt, or to the end of its day, as it is to be stored."""
        return Rollup(self.start, min(until, day_end(self.start)), self.packed(), self.batches, self.previous)

    def packed(self) -> PackedSummary:
        """The summary as bytes, limited as often as it takes to fit into an item."""
        scale = 1.0
        limit(self.summary)
        packed = codec.dump(self.summary)
        while packed.size > _LARGEST:
            scale /= 2
            limit(self.summary, scale)
            packed = codec.dump(self.summary)
        return packed
