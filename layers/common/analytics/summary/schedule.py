"""The fold on schedule: streams whose dashboard nobody opens are folded before their raw logs expire."""

from __future__ import annotations

import logging
from collections.abc import Callable, Iterable

from analytics.errors import Unavailable
from analytics.summary.fold import Fold, Table
from analytics.times import isoformat

logger = logging.getLogger("analytics")

DUE_US = 20 * 3_600 * 1_000_000  # a rollup whose `until` is within this, less than a day, is not folded on schedule
LOOK_US = 3 * 1_000_000  # of looking how old the logs are that a run leaves to the next


def fold_all(table: Table, streams: Iterable[str], clock: Callable[[], int], until: int) -> dict[str, int]:
    """Store the tails of the streams that are due, one after the other, until the clock (in µs) is past `until`.

    Returns how many streams need nothing more for now (`folded`), how many are left for the next run (`left`), the age
    in seconds of the oldest log of those (`oldest_age`, 0 where none is left), how many of them `failed` by a defect,
    and how many stored items were found that are damaged (`unreadable`). The caller mixes the streams, so that runs
    that end early do not leave out the same ones.
    """
    done = left = failed = unreadable = 0
    received = now = clock()
    for stream in streams:
        try:
            if clock() <= until:
                is_done, damaged = _fold(table, stream, clock, until)
                unreadable += damaged
                if is_done:
                    done += 1
                    continue
        except Exception:  # whatever is wrong with one stream, the others are folded, and an alarm tells
            logger.exception("Stream %s cannot be folded", stream)
            failed += 1
        left += 1
        if clock() <= until + LOOK_US:  # past that, StreamsLeft has to tell
            received = min(received, _oldest_unfolded(table, stream, now))
    oldest_age = (now - received) // 1_000_000
    return {"folded": done, "left": left, "oldest_age": oldest_age, "failed": failed, "unreadable": unreadable}


def _fold(table: Table, stream: str, clock: Callable[[], int], until: int) -> tuple[bool, int]:
    """Store the tail of one stream if it is due: whether nothing is left, and how many items cannot be read."""
    fold = Fold(table, stream, clock(), lambda: clock() > until, long_tail=1)
    try:
        newest, watermark = table.newest_rollup(stream, clock())
        if newest and not watermark.late and isoformat(clock() - DUE_US) < newest.until <= isoformat(clock()):
            return True, 0
        for _ in fold.summaries("9999", lambda _: False):  # without the older rollups, which are not needed here
            pass
    except Unavailable as busy:
        logger.warning("A stream was not folded: %s", busy.__cause__)
        return False, 0
    return fold.complete and not fold.is_busy, fold.unreadable


def _oldest_unfolded(table: Table, stream: str, now: int) -> int:
    """When the first log that no rollup holds was received; `now` where there is none, or the table does not say."""
    try:
        newest, _ = table.newest_rollup(stream, now)
        tail = table.since(stream, newest.until if newest else "")
        return next((stored.received for stored in tail), now)
    except (Unavailable, LookupError, ValueError):  # what is wrong with an item is logged and counted by now
        return now
