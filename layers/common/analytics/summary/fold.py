"""Fold on read: a dashboard costs what is new, not what is there.

Batches lie in the table by time of receipt. A *rollup* is the stored summary of a stretch of receipts. The stretch
starts with a UTC day, or where the rollup before it had to end, and goes up to the watermark `until`. The invariant:

    Every rollup before the newest is final. Every batch received before the watermark of the newest is in a rollup.

So everything is the rollups and the *tail*: the batches from the newest watermark on. Whoever asks reads the tail and
adds it up. When the tail is long, the reader stores the newest rollup anew with the tail in it, on condition that its
watermark is still the one that was read. There is no lock, and any reader may die at any time. docs/architecture.md
says why that is right.
"""

from __future__ import annotations

import logging
from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass, field
from typing import Protocol

from analytics.errors import Unavailable
from analytics.summary import codec
from analytics.summary.limits import limit
from analytics.summary.rollup import PackedSummary, Rollup, StoredBatch
from analytics.summary.summary import Summary
from analytics.times import isoformat

logger = logging.getLogger("analytics")

ALLOWED_LATENESS_US = 60 * 1_000_000  # batches younger than this are not stored in a rollup: their write may go on
LONG_TAIL = 200  # A tail is stored when it has max(LONG_TAIL, bytes of the rollup / BYTES_A_LOG) logs: storing
BYTES_A_LOG = 10  # 100 KB costs as much as reading 10,000 logs again.
HEAVY = 250_000  # estimated bytes: a summary over it is limited, and its rollup ends there if it is of several days
DUE_US = 20 * 3_600 * 1_000_000  # a rollup whose watermark is within this, less than a day, is not folded on schedule
LOOK_US = 3 * 1_000_000  # of looking how old the logs are that a run leaves to the next
_LARGEST = 390_000  # bytes of a rollup; DynamoDB takes 400 KB, keys and names included
_STEP = 50_000  # logs between two looks at how heavy the summary has become,
_STEP_OF_MANY = 2_000  # and where they are of more hours than
_MANY_INTERVALS = 100


NeedsIntervals = Callable[[Summary], bool]


class Table(Protocol):
    """What a fold needs of the table of logs; see `store.LogTable`, and the model check in the tests."""

    def since(self, stream: str, start: int | str | None = None) -> Iterator[StoredBatch]: ...

    def newest_rollup(self, stream: str) -> Rollup | None: ...

    def rollups(self, stream: str, first: str, before: str) -> Iterator[Rollup]: ...

    def intervals(self, stream: str, rollup: Rollup) -> bytes: ...

    def keep_rollup(self, stream: str, rollup: Rollup, expected: str | None, now: int, *, final: bool) -> bool: ...


@dataclass(slots=True)
class _RollupBuilder:
    """The rollup that is being filled. `stored` is what there is of it in the table."""

    start: str  # the time in a sort key; "" before there is any rollup
    stored: Rollup | None = None
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


def fold_all(table: Table, streams: Iterable[str], clock: Callable[[], int], until: int) -> dict[str, int]:
    """Store the tails of the streams that are due, one after the other, until the clock (in µs) is past `until`.

    Returns how many streams need nothing more for now (`folded`), how many are left for the next run (`left`), and the
    age in seconds of the oldest log of those (`oldest_age`, 0 where none is left). The caller mixes the streams, so
    that runs that end early do not leave out the same ones.
    """
    done = left = 0
    received = now = clock()
    for stream in streams:
        if clock() <= until and _fold(table, stream, clock, until):
            done += 1
            continue
        left += 1
        if clock() <= until + LOOK_US:  # past that, StreamsLeft has to tell
            received = min(received, _oldest_unfolded(table, stream, now))
    return {"folded": done, "left": left, "oldest_age": (now - received) // 1_000_000}


def _fold(table: Table, stream: str, clock: Callable[[], int], until: int) -> bool:
    """Store the tail of one stream if it is due. False if something is left that should have been stored."""
    fold = Fold(table, stream, clock(), lambda: clock() > until, long_tail=1)
    try:
        newest = table.newest_rollup(stream)
        if newest and newest.until > isoformat(clock() - DUE_US):
            return True
        for _ in fold.summaries("9999", lambda _: False):  # without the older rollups, which are not needed here
            pass
    except Unavailable as busy:
        logger.warning("A stream was not folded: %s", busy.__cause__)
        return False
    return fold.complete and not fold.is_busy


def _oldest_unfolded(table: Table, stream: str, now: int) -> int:
    """When the first log that no rollup holds was received; `now` where there is none, or the table does not say."""
    try:
        newest = table.newest_rollup(stream)
        tail = table.since(stream, newest.until if newest else "")
        return next((stored.received for stored in tail), now)
    except Unavailable:
        return now


class Fold:
    """One reader's pass over a stream, as of `now` (microseconds since 1970).

    `is_late` is asked now and then and says when to stop. A tail of `long_tail` logs is stored; None stores it where
    that costs least. After `summaries` has ended, `complete` says whether all was read, and if not, `reached` how far.
    """

    def __init__(
        self, table: Table, stream: str, now: int, is_late: Callable[[], bool], long_tail: int | None = None
    ) -> None:
        self._table = table
        self._stream = stream
        self._now = now
        self._is_late = is_late
        self._long_tail = long_tail
        self._leads = True  # False once another reader stored first: then this one only reads
        self.complete = True
        self.is_busy = False  # whether the table was too busy to store what was folded
        self.reached: str | None = None  # time of receipt

    def summaries(self, first: str = "", needs_intervals: NeedsIntervals = lambda _: True) -> Iterator[Summary]:
        """Summaries that together count all logs received from the UTC day `first` on ("": all).

        Those that do not need their intervals may come without them.
        """
        newest = self._table.newest_rollup(self._stream)
        builder = _RollupBuilder(newest.start, newest, codec.load(newest.packed)) if newest else _RollupBuilder("")
        sealed, tail = isoformat(self._now - ALLOWED_LATENESS_US), Summary()
        for stored in self._table.since(self._stream, newest.until if newest else ""):
            at = stored.sort_key.removeprefix("L#")
            if self._is_late():
                self.complete, self.reached, sealed = False, at[:27], min(at, sealed)
                break
            if at >= sealed:
                tail.fold(stored.batch, stored.received)
                continue
            self._load_intervals(builder)
            if at[:10] != builder.day or builder.is_full:
                if builder.unsaved:
                    self._keep(builder, until=at, final=True)
                if builder.start and builder.day >= first:
                    yield builder.summary
                builder = _RollupBuilder(at[:10] if at[:10] != builder.day else at)
            builder.add(stored)
        if builder.unsaved >= self._worth_a_write(builder.stored) or (builder.unsaved and not self.complete):
            self._keep(builder, until=sealed)
        if builder.day >= first:
            if needs_intervals(builder.summary):
                self._load_intervals(builder)
            yield builder.summary
        yield tail
        if newest:
            yield from self._before(newest, first, needs_intervals)

    def _before(self, newest: Rollup, first: str, needs_intervals: NeedsIntervals) -> Iterator[Summary]:
        """The summaries of the rollups that are final."""
        for rollup in self._table.rollups(self._stream, first, newest.start):
            summary = codec.load(rollup.packed)
            if needs_intervals(summary):
                codec.load_intervals(summary, self._table.intervals(self._stream, rollup))
            yield summary

    def _load_intervals(self, builder: _RollupBuilder) -> None:
        if builder.stored and not builder.summary.has_intervals:
            codec.load_intervals(builder.summary, self._table.intervals(self._stream, builder.stored))
            builder.weigh()

    def _worth_a_write(self, stored: Rollup | None) -> int:
        """How many logs a tail must have to be stored."""
        if self._long_tail is not None:
            return self._long_tail
        return max(LONG_TAIL, stored.size // BYTES_A_LOG if stored else 0)

    def _keep(self, builder: _RollupBuilder, until: str, *, final: bool = False) -> None:
        if self._leads:
            rollup = Rollup(builder.start, until, builder.packed())
            expected = builder.stored.until if builder.stored else None
            try:
                self._leads = self._table.keep_rollup(self._stream, rollup, expected, self._now, final=final)
            except Unavailable as busy:  # what was asked is still answered
                logger.warning("A rollup was not stored: %s", busy.__cause__)
                self._leads, self.is_busy = False, True
