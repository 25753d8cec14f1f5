"""Fold on read: a dashboard costs what is new, not what is there.

Batches lie in the table by time of receipt. A *rollup* is the stored summary of a stretch of receipts. The stretch
starts with a UTC day, or where the rollup before it had to end, and goes up to its `until`. The invariant:

    Every rollup before the newest is final. Every batch received before the `until` of the newest is in a rollup.

So everything is the rollups and the *tail*: the batches from the newest `until` on. Whoever asks reads the tail and
adds it up. When the tail is long, the reader stores the newest rollup anew with the tail in it, on condition that the
rollup is still the one that was read. There is no lock, and any reader may die at any time.

No clock has to be right for that. A fold stores nothing from beyond the stream's *watermark*, which it raises before it
reads the tail. A writer reads the watermark after it wrote: if that is not beyond the batch, a fold that raises it
later finds the batch; if it is, the writer notes the batch as *late*, and the next reader counts the rollup that should
hold it anew, from the raw batches. docs/architecture.md says why that is right.

Rollups expire, in whatever order the settings of their times made. Each names the one before it, and the watermark
names the newest, so that a missing one is noticed, and told as a *gap*.
"""

from __future__ import annotations

import logging
from collections.abc import Callable, Iterable, Iterator
from dataclasses import replace
from itertools import chain
from typing import NamedTuple, Protocol

from analytics.errors import Unavailable
from analytics.summary import codec
from analytics.summary.rollup import NO_ROLLUP, PackedSummary, Rollup, StoredBatch, Watermark
from analytics.summary.rollup_builder import RollupBuilder, day_end
from analytics.summary.summary import Summary
from analytics.times import isoformat, parsed

logger = logging.getLogger("analytics")

SETTLED_US = 60 * 1_000_000  # younger batches are not stored in rollups yet: few writes take longer, so few are late
LONG_TAIL = 200  # A tail is stored when it has max(LONG_TAIL, bytes of the rollup / BYTES_A_LOG) logs: storing
BYTES_A_LOG = 10  # 100 KB costs as much as reading 10,000 logs again.
_TRIES = 5  # to correct a rollup that other readers correct as well

NeedsIntervals = Callable[[Summary], bool]


class Gap(NamedTuple):
    """A stretch of receipts of which the summary is gone; times of sort keys, or None where it began."""

    start: str | None
    until: str
    expired: bool  # False: it is there and cannot be read


class Table(Protocol):
    """What a fold needs of the table of logs; see `store.LogTable`, and the simulator in the tests."""

    def since(self, stream: str, start: str = "", until: str | None = None) -> Iterator[StoredBatch]: ...

    def newest_rollup(self, stream: str, now: int) -> tuple[Rollup | None, Watermark]: ...

    def rollups_around(self, stream: str, received: str) -> tuple[Rollup | None, Rollup | None]: ...

    def rollups(self, stream: str, first: str, before: str, now: int) -> Iterator[Rollup]: ...

    def intervals(self, stream: str, rollup: Rollup) -> bytes: ...

    def keep_rollup(
        self, stream: str, rollup: Rollup, expected: Rollup | None, now: int, *, final: bool = False
    ) -> bool: ...

    def raise_watermark(self, stream: str, until: str, newest: str) -> None: ...

    def note_newest(self, stream: str, newest: str) -> None: ...

    def settle_late(self, stream: str, sort_keys: Iterable[str]) -> None: ...


class Fold:
    """One reader's pass over a stream, as of `now` (microseconds since 1970).

    `is_late` is asked now and then and says when to stop. A tail of `long_tail` logs is stored; None stores it where
    that costs least. After `summaries` has ended, `complete` says whether all was read, and if not, `reached` how far;
    `gaps` are the stretches of receipts that the summaries do not count.
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
        self.gaps: list[Gap] = []
        self.unreadable = 0  # stored items that cannot be read
        self._aside: list[Summary] = []  # counted anew in place of rollups that cannot be read

    def summaries(self, first: str = "", needs_intervals: NeedsIntervals = lambda _: True) -> Iterator[Summary]:
        """Summaries that together count all logs received from the UTC day `first` on ("": all), but for `gaps`.

        Those that do not need their intervals may come without them.
        """
        newest, watermark = self._table.newest_rollup(self._stream, self._now)
        if watermark.late:
            self._correct(watermark.late)
            newest, watermark = self._table.newest_rollup(self._stream, self._now)
        tail, waiting, settled = Summary(), 0, isoformat(self._now - SETTLED_US)
        is_ahead = watermark.until > isoformat(self._now)  # a clock was: receipts go on from there
        builder, before = self._begun(newest, watermark)
        seal, batches = self._opened(newest, watermark, settled, builder)
        for stored in batches:
            at = stored.sort_key.removeprefix("L#")
            if self._is_late():
                self.complete, self.reached, seal = False, at[:27], min(at, seal)
                break
            self.unreadable += stored.batch.counts["unreadable"]
            if at >= seal:
                tail.fold(stored.batch, stored.received)
                waiting += len(stored.batch) if is_ahead or at < settled else 0
                continue
            builder = self._with_intervals(builder)
            if at[:10] != builder.day or builder.is_full:
                if builder.start and builder.day >= first:
                    yield builder.summary
                builder = self._following(builder, at)
            builder.add(stored)
        self._finish(builder, seal, waiting, _after(watermark.until) if is_ahead else settled, watermark)
        if builder.day >= first:
            yield (self._with_intervals(builder) if needs_intervals(builder.summary) else builder).summary
        yield tail
        yield from self._aside
        if before:
            yield from self._before(*before, first, needs_intervals)

    def _begun(
        self, newest: Rollup | None, watermark: Watermark
    ) -> tuple[RollupBuilder, tuple[str, str | None] | None]:
        """The rollup to go on with, and the start and `previous` of the one that the final ones come before.

        It is the newest, or a new one behind it where that has expired or cannot be read.
        """
        if watermark.newest > (newest.start if newest else ""):  # it has expired and is deleted
            start = max(watermark.until, day_end(watermark.newest))
            return RollupBuilder(start, watermark.newest), (start, watermark.newest)
        if newest is None:
            return RollupBuilder("", NO_ROLLUP), None
        until = newest.until or min(watermark.until or "~", day_end(newest.start))
        if newest.has_expired:
            return RollupBuilder(until, newest.start), (until, newest.start)
        before = newest.start, newest.previous
        try:
            if not newest.until:
                raise ValueError("a rollup without its end")
            return RollupBuilder(*before, newest, newest.batches, codec.load(newest.packed)), before
        except ValueError as error:
            return self._behind(newest, until, error), before

    def _opened(
        self, newest: Rollup | None, watermark: Watermark, settled: str, builder: RollupBuilder
    ) -> tuple[str, Iterator[StoredBatch]]:
        """Up to where the rollup may be stored, and the tail, which is read after that is agreed on.

        The watermark is raised where nothing of the tail is below it and some of the tail is settled.
        """
        start = builder.stored.until if builder.stored else builder.start
        batches = self._table.since(self._stream, start)
        head = next(batches, None)
        begins = head.sort_key.removeprefix("L#") if head else "~"
        is_to_raise = begins < settled and (begins >= watermark.until or self._long_tail is not None)
        noted = max(watermark.newest, newest.start if newest else "")
        if is_to_raise and watermark.until < settled and self._raise_watermark(settled, noted):
            return settled, self._table.since(self._stream, start)
        if noted > watermark.newest:
            self._agree(lambda: self._table.note_newest(self._stream, noted))
        return watermark.until, chain([head] if head else [], batches)

    def _following(self, builder: RollupBuilder, at: str) -> RollupBuilder:
        """Store a rollup that ends before `at`, and begin the one that begins there."""
        previous = builder.start if builder.stored or builder.unsaved else builder.previous
        if builder.unsaved:
            self._keep(builder, until=at, final=True)
        return RollupBuilder(at[:10] if at[:10] != builder.day else at, previous)

    def _finish(self, builder: RollupBuilder, seal: str, waiting: int, settled: str, watermark: Watermark) -> None:
        """Store the newest rollup if that is worth it, or let the next reader do it if `waiting` logs make it so."""
        worth = self._worth_a_write(builder.stored)
        if builder.unsaved >= worth or (builder.unsaved and not self.complete):
            self._keep(builder, until=seal)
        elif builder.unsaved + waiting >= worth:
            self._raise_watermark(settled, max(watermark.newest, builder.stored.start if builder.stored else ""))

    def _raise_watermark(self, until: str, newest: str) -> bool:
        """Whether the watermark is at `until` or beyond now."""
        return self._agree(lambda: self._table.raise_watermark(self._stream, until, newest))

    def _agree(self, write: Callable[[], None]) -> bool:
        """Whether something was written to the watermark."""
        if not self._leads:
            return False
        try:
            write()
        except Unavailable as busy:  # what was asked is still answered
            logger.warning("The watermark was not written: %s", busy.__cause__)
            self._leads, self.is_busy = False, True
        return self._leads

    def _before(
        self, start: str, previous: str | None, first: str, needs_intervals: NeedsIntervals
    ) -> Iterator[Summary]:
        """The summaries of the final rollups before the one that starts then. Notes the gaps between them."""
        for rollup in reversed(list(self._table.rollups(self._stream, first, start, self._now))):
            # A build that did not name the one before let each rollup end where the next one had its first batch.
            is_next = rollup.until[:10] >= start[:10] if previous is None else previous <= rollup.start
            if not is_next:
                self._note_gap(rollup.until, start, first)
            following, start, previous = start, rollup.start, rollup.previous
            try:
                summary = codec.load(rollup.packed)
                if needs_intervals(summary):
                    codec.load_intervals(summary, self._table.intervals(self._stream, rollup))
            except (LookupError, ValueError) as error:
                until = rollup.until or min(following, day_end(rollup.start))
                recounted = self._recounted(rollup, until, error)
                if recounted is None:
                    continue
                summary = recounted
            yield summary
        if previous is None:
            is_first = start <= first or next(self._table.since(self._stream, first, start), None) is None
        else:
            is_first = previous == NO_ROLLUP or previous < first
        if not is_first:
            self._note_gap(None, start, first)

    def _note_gap(self, start: str | None, until: str, first: str) -> None:
        if until > first:
            self.gaps.append(Gap(start, until, expired=True))

    def _with_intervals(self, builder: RollupBuilder) -> RollupBuilder:
        """The builder with its intervals loaded; counted anew, or empty behind it, where they cannot be read."""
        stored = builder.stored
        if stored is None or builder.summary.has_intervals:
            return builder
        try:
            codec.load_intervals(builder.summary, self._table.intervals(self._stream, stored))
        except (LookupError, ValueError) as error:
            return self._behind(stored, stored.until, error)
        builder.weigh()
        return builder

    def _behind(self, rollup: Rollup, until: str, error: Exception) -> RollupBuilder:
        """A new rollup behind the newest, which cannot be read; that one is counted anew and put aside."""
        recounted = self._recounted(rollup, until, error)
        if recounted:
            self._aside.append(recounted)
        return RollupBuilder(until, rollup.start)

    # -- counting a rollup anew --------------------------------------------------------------------------------------

    def _recounted(self, rollup: Rollup, until: str, error: Exception) -> Summary | None:
        """The summary of a rollup that cannot be read, from raw logs; None, and a gap, where not all are kept.

        It is stored in place of a damaged one, not of one in a newer format: the build that stored that can read it.
        """
        logger.error("The rollup R#%s of stream %s cannot be read: %s", rollup.start, self._stream, error)
        self.unreadable += 1
        builder = self._recount(replace(rollup, until=until))
        if rollup.batches is None or (builder.batches or 0) < rollup.batches:
            self.gaps.append(Gap(rollup.start, until, expired=False))
            return None
        if not isinstance(error, codec.NewerFormat):
            try:
                self._table.keep_rollup(self._stream, builder.rollup(until), rollup, self._now, final=True)
            except Unavailable as busy:
                logger.warning("A rollup was not stored: %s", busy.__cause__)
        return builder.summary

    def _recount(self, rollup: Rollup) -> RollupBuilder:
        """A rollup counted anew from the raw logs that are kept of its stretch."""
        builder = RollupBuilder(rollup.start, rollup.previous)
        for stored in self._table.since(self._stream, rollup.start, rollup.until):
            builder.add(stored)
        return builder

    def _correct(self, late: Iterable[str]) -> None:
        """Store the rollups anew that should count late batches, and settle those that are counted."""
        for sort_key in sorted(late):
            for _ in range(_TRIES):
                stored, wanted = self._rollup_for(sort_key.removeprefix("L#"))
                if wanted is None:
                    break  # it is in the tail, and this or another fold will store it
                builder = self._recount(wanted)
                if stored is None and wanted.previous is None:
                    pass  # its rollup has expired, which is told
                elif stored is None or self._counts_more(builder, stored):
                    final = stored is None or stored.intervals is None
                    rollup = builder.rollup(wanted.until)
                    if not self._table.keep_rollup(self._stream, rollup, stored, self._now, final=final):
                        continue  # another reader was first
                self._table.settle_late(self._stream, [sort_key])
                break

    def _rollup_for(self, received: str) -> tuple[Rollup | None, Rollup | None]:
        """The rollup that is stored for a time of receipt, and the one that should be; None: not there, not yet.

        Where two rollups leave out a stretch, nothing was there when they were stored. The first is extended over what
        is left of its day; for another day there is to be a new one.
        """
        before, after = self._table.rollups_around(self._stream, received)
        if before and before.until > received:
            return before, before
        if after is None:
            return before, None
        if before and before.start[:10] == received[:10]:
            return before, replace(before, until=after.start)
        previous: str | None = before.start if before else NO_ROLLUP
        if after.previous is None or after.previous > (before.start if before else NO_ROLLUP):
            previous = None  # one between them is lost, perhaps of this very day
        return None, Rollup(received[:10], after.start, PackedSummary(b"", None), previous=previous)

    def _counts_more(self, builder: RollupBuilder, rollup: Rollup) -> bool:
        """Whether a rollup that was counted anew counts batches that the stored one does not.

        One that counts fewer has lost raw logs since it was stored, and the stored one stays.
        """
        if rollup.batches is not None and builder.batches is not None:
            if builder.batches < rollup.batches:
                text = "A late batch is left out of the rollup R#%s of stream %s: raw logs of that day have expired"
                logger.error(text, rollup.start, self._stream)
            return builder.batches > rollup.batches
        return _accepted(builder.summary) > _accepted(codec.load(rollup.packed))

    # -- storing -----------------------------------------------------------------------------------------------------

    def _worth_a_write(self, stored: Rollup | None) -> int:
        """How many logs a tail must have to be stored."""
        if self._long_tail is not None:
            return self._long_tail
        return max(LONG_TAIL, stored.size // BYTES_A_LOG if stored else 0)

    def _keep(self, builder: RollupBuilder, until: str, *, final: bool = False) -> None:
        if self._leads:
            rollup = builder.rollup(until)
            try:
                self._leads = self._table.keep_rollup(self._stream, rollup, builder.stored, self._now, final=final)
            except Unavailable as busy:  # what was asked is still answered
                logger.warning("A rollup was not stored: %s", busy.__cause__)
                self._leads, self.is_busy = False, True


def _after(until: str) -> str:
    """The time two microseconds after a watermark, so that the one that writers take next lies below it."""
    return isoformat(parsed(until) + 2)


def _accepted(summary: Summary) -> int:
    """Requests in the batches that a summary counts."""
    return sum(counts["accepted"] for counts in summary.counts.values())
