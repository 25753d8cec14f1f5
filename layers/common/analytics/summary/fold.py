"""Fold on read: a dashboard costs what is new, not what is there.

Batches lie in the table by time of receipt. A *rollup* is the stored summary of a stretch of receipts, a window: it
begins with a UTC day (or, for an import that would be too large for one item, where the one before had to end) and goes
up to its `until`. The invariant:

    Every rollup before the newest is final; all batches before the `until` of the newest are in some rollup.

So everything = the rollups + the batches from the newest `until` on. Whoever asks reads that *tail* and adds it up;
when it is long, the newest rollup is stored anew with the tail in it, on condition that its `until` is still the one
that was read. Nothing else is written, there is no lock, and any reader may die at any time:

- Batches younger than GRACE count in the answer and are never stored: a write of that time may still be under way. A
  write takes 11 s at most (`store.client`), and clocks of Lambda functions agree far better than the rest.
- Readers of the same stretch see the same batches, so they store the same thing; the condition lets one of them win.
- At the first refused condition a reader stops storing, for another is ahead; its answer is right all the same. A lost
  reply looks like a refusal, and is treated as one; so is a table that is too busy to store anything.
- A deadline ends a long fold early; what was stored by then is kept, and the next reader goes on from there.

A rollup before the newest never changes again, so its slots lie in an item of their own, which most questions never
read; those of the newest are in its own item, for one put must store all of it.

The same fold runs on a schedule, for streams that nobody has folded for a while, so that raw logs are in a rollup long
before they expire.
"""

from __future__ import annotations

import logging
from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass, field
from typing import Protocol

from analytics.errors import Unavailable
from analytics.summary.limits import bound
from analytics.summary.rollup import Packed, Rollup, Stored
from analytics.summary.summary import Summary
from analytics.times import isoformat

logger = logging.getLogger("analytics")

GRACE_US = 60 * 1_000_000  # batches younger than this are not stored in a rollup yet
LONG_TAIL = 200  # logs: a shorter tail is not worth a write,
WORTH = 10  # nor one of fewer logs than there are tens of bytes to write: reading it again costs less for a long time
HEAVY = 250_000  # about bytes: a summary over it is bounded, and its window ended if it is of several days
DUE_US = 20 * 3_600 * 1_000_000  # a rollup that goes up to within this, less than a day, needs no fold on schedule
LOOK_US = 3 * 1_000_000  # of looking how old the logs are that a run leaves to the next
_LARGEST = 390_000  # bytes of a rollup; DynamoDB takes 400 KB, keys and names included
_STEP = 50_000  # logs between two looks at how heavy the summary has become,
_STEP_OF_MANY = 2_000  # and where they are of more hours than
_MANY_SLOTS = 100


class Table(Protocol):
    """What a fold needs of the table of logs; see `store.LogTable`, and the model check in the tests."""

    def since(self, stream: str, start: int | str | None = None) -> Iterator[Stored]: ...

    def newest_rollup(self, stream: str) -> Rollup | None: ...

    def rollups(self, stream: str, first: str, before: str) -> Iterator[Rollup]: ...

    def slots(self, stream: str, rollup: Rollup) -> bytes: ...

    def keep_rollup(self, stream: str, rollup: Rollup, expected: str | None, now: int, *, final: bool) -> bool: ...


@dataclass(slots=True)
class _Window:
    """The window that is being filled. `stored` is what there is of it in the table."""

    name: str
    stored: Rollup | None = None
    summary: Summary = field(default_factory=Summary)
    unsaved: int = 0  # logs that are not stored in the rollup
    is_full: bool = False
    _limit: int = HEAVY
    _unweighed: int = 0

    @property
    def day(self) -> str:
        """The UTC day of receipt: a window never goes over its end."""
        return self.name[:10]

    def add(self, stored: Stored) -> None:
        """Add a batch, and see to it that the window does not grow past what an item holds."""
        self.summary.fold(stored.batch, stored.received)
        self.unsaved += max(len(stored.batch), 1)
        self._unweighed += len(stored.batch)
        if self._unweighed >= (_STEP_OF_MANY if self.summary.slots_in_use > _MANY_SLOTS else _STEP):
            self._unweighed = 0
            self.weigh()

    def weigh(self) -> None:
        """Bound the summary if it is heavy; if it stays so because it is of many days, the window is full."""
        if self.summary.weight > self._limit:
            bound(self.summary)
            left = self.summary.weight
            self.is_full = left > HEAVY and len(self.summary.days) > 2
            self._limit = max(HEAVY, 2 * left)  # so that bounding is paid for by what came since

    def packed(self) -> Packed:
        """The summary, bounded as often as it takes to fit into an item."""
        share = 1.0
        bound(self.summary)
        packed = self.summary.dumps()
        while packed.size > _LARGEST:
            share /= 2
            bound(self.summary, share)
            packed = self.summary.dumps()
        return packed


def fold_all(table: Table, streams: Iterable[str], clock: Callable[[], int], until: int) -> dict[str, int]:
    """Store the tails of streams that are due, one after the other, as long as the clock (in µs) is not past `until`.

    Answers how many streams need nothing more for now, how many are left for the next run, which need not begin with
    the same ones (it is for the caller to mix them), and the age in seconds of the oldest log in those: 0 where none is
    left.
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
    """Store the tail of one stream if it is due; False if some of it is left that should have been stored."""
    fold = Fold(table, stream, clock(), lambda: clock() > until, long_tail=1)
    try:
        newest = table.newest_rollup(stream)
        if newest and newest.until > isoformat(clock() - DUE_US):
            return True
        for _ in fold.summaries("9999", lambda _: False):  # no older rollups: they are not needed for going on
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
    """One reader's way over a stream, as of `now` (microseconds since 1970).

    `is_late` is asked now and then, and says when to stop; `long_tail` is the number of logs from which on storing is
    worth it, None for what costs least. After `summaries` is through, `complete` says whether all was read, and if not,
    `reached` how far.
    """

    def __init__(
        self, table: Table, stream: str, now: int, is_late: Callable[[], bool], long_tail: int | None = None
    ) -> None:
        self._table = table
        self._stream = stream
        self._now = now
        self._is_late = is_late
        self._long_tail = long_tail
        self._leads = True  # until a condition is refused
        self.complete = True
        self.is_busy = False  # whether the table was too busy to store what was folded
        self.reached: str | None = None  # time of receipt

    def summaries(self, first: str = "", needs_slots: Callable[[Summary], bool] = lambda _: True) -> Iterator[Summary]:
        """Summaries that together are of all logs received from the UTC day `first` on ("": all).

        Those that need no slots may come without them.
        """
        newest = self._table.newest_rollup(self._stream)
        window = _Window(newest.window, newest, Summary.loads(newest.packed)) if newest else _Window("")
        sealed, tail = isoformat(self._now - GRACE_US), Summary()
        for stored in self._table.since(self._stream, newest.until if newest else ""):
            at = stored.sort_key.removeprefix("L#")
            if self._is_late():
                self.complete, self.reached, sealed = False, at[:27], min(at, sealed)
                break
            if at >= sealed:
                tail.fold(stored.batch, stored.received)
                continue
            self._load_slots(window)
            if at[:10] != window.day or window.is_full:
                if window.unsaved:
                    self._keep(window, until=at, final=True)
                if window.name and window.day >= first:
                    yield window.summary
                window = _Window(at[:10] if at[:10] != window.day else at)
            window.add(stored)
        if window.unsaved >= self._worth_a_write(window.stored) or (window.unsaved and not self.complete):
            self._keep(window, until=sealed)
        if window.day >= first:
            if needs_slots(window.summary):
                self._load_slots(window)
            yield window.summary
        yield tail
        if newest:
            yield from self._before(newest, first, needs_slots)

    def _before(self, newest: Rollup, first: str, needs_slots: Callable[[Summary], bool]) -> Iterator[Summary]:
        """The summaries of the rollups that are final."""
        for rollup in self._table.rollups(self._stream, first, newest.window):
            summary = Summary.loads(rollup.packed)
            if needs_slots(summary):
                summary.load_slots(self._table.slots(self._stream, rollup))
            yield summary

    def _load_slots(self, window: _Window) -> None:
        if window.stored and not window.summary.has_slots:
            window.summary.load_slots(self._table.slots(self._stream, window.stored))
            window.weigh()

    def _worth_a_write(self, stored: Rollup | None) -> int:
        """How many logs a tail must have to be stored."""
        if self._long_tail is not None:
            return self._long_tail
        return max(LONG_TAIL, stored.size // WORTH if stored else 0)

    def _keep(self, window: _Window, until: str, *, final: bool = False) -> None:
        if self._leads:
            rollup = Rollup(window.name, until, window.packed())
            expected = window.stored.until if window.stored else None
            try:
                self._leads = self._table.keep_rollup(self._stream, rollup, expected, self._now, final=final)
            except Unavailable as busy:  # what was asked is still answered
                logger.warning("A rollup was not stored: %s", busy.__cause__)
                self._leads, self.is_busy = False, True
