"""Rollups are stored on condition, found by their starts, and read with their intervals wherever those are."""

from __future__ import annotations

from collections import Counter
from dataclasses import replace

import pytest

from analytics.batch import Batch
from analytics.store import LogTable
from analytics.summary.rollup import PackedSummary, Rollup, Watermark
from tests.conftest import NOON
from tests.support.engines import Engine


def rollup(start: str, until: str = "T12", intervals: bytes = b"intervals") -> Rollup:
    """A rollup of some bytes."""
    return Rollup(start, start + until, PackedSummary(f"days of {start}{until}".encode(), intervals))


def kept(engine: Engine, made: Rollup, expected: Rollup | None = None, *, final: bool = False) -> bool:
    """Whether it was stored."""
    return engine.logs.keep_rollup("me", made, expected, NOON, final=final)


def stored(engine: Engine) -> list[tuple[str, str, bytes, bytes]]:
    """All rollups: start, until, days and intervals."""
    found = engine.logs.rollups("me", "", "~", NOON)
    return [(each.start, each.until, each.packed.days, engine.logs.intervals("me", each)) for each in found]


def test_a_rollup_replaces_the_one_that_was_read_and_no_other(engine: Engine) -> None:
    """A new one needs that there is none, an old one that it is still the one expected; the rest is refused."""
    first, second, third = (rollup("2025-11-24", until) for until in ("T12", "T13", "T14"))
    assert kept(engine, first)
    assert not kept(engine, second)
    assert not kept(engine, third, second)
    assert kept(engine, second, first)
    assert not kept(engine, third, first)
    assert stored(engine) == [(second.start, second.until, second.packed.days, b"intervals")]


def test_rollups_are_found_by_their_starts(engine: Engine) -> None:
    """In order, from the first up to the last but that one; the newest, and the two around a moment."""
    assert engine.logs.newest_rollup("me", NOON) == (None, Watermark())
    for start in ("2025-11-24", "2025-11-22", "2025-11-23T12:00:00.000000Z#b", "2025-11-23"):
        assert kept(engine, rollup(start))
    starts = [each.start for each in engine.logs.rollups("me", "2025-11-23", "2025-11-24", NOON)]
    assert starts == ["2025-11-23", "2025-11-23T12:00:00.000000Z#b"]
    newest, _ = engine.logs.newest_rollup("me", NOON)
    assert newest is not None
    assert newest.start == "2025-11-24"
    around = engine.logs.rollups_around("me", "2025-11-23T13:00:00.000000Z#b")
    assert [each and each.start for each in around] == ["2025-11-23T12:00:00.000000Z#b", "2025-11-24"]
    assert engine.logs.rollups_around("me", "2025-11-24T13")[1] is None
    assert list(engine.logs.rollups("other", "", "~", NOON)) == []


def test_intervals_of_a_final_rollup_are_an_item_of_their_own(engine: Engine) -> None:
    """The rollup shrinks to its days, and its intervals are still found."""
    large = rollup("2025-11-24", intervals=b"s" * 100_000)
    assert kept(engine, large)
    assert kept(engine, large, large, final=True)
    (found,) = engine.logs.rollups("me", "", "~", NOON)
    assert (found.size, found.intervals) == (len(large.packed.days), None)
    assert engine.logs.intervals("me", found) == large.packed.intervals
    items = engine.client.scan(TableName=engine.logs_table)["Items"]
    expires = {item["timestamp"]["S"][:12]: int(item["ttl"]["N"]) for item in items}
    second = NOON // 1_000_000 + 400 * 86_400
    assert expires == {
        "R#2025-11-24": second,
        "S#2025-11-24": second + 30 * 86_400,
    }  # never a rollup without its intervals


def test_a_final_rollup_that_is_refused_disturbs_nobody(engine: Engine) -> None:
    """The intervals of the one that is there are still its own."""
    mine, other = rollup("2025-11-24", intervals=b"mine"), rollup("2025-11-24", "T13", intervals=b"other")
    assert kept(engine, mine, final=True)
    assert not kept(engine, other, final=True)
    assert stored(engine) == [(mine.start, mine.until, mine.packed.days, b"mine")]


def test_intervals_that_are_gone_are_an_error(engine: Engine) -> None:
    """An answer without them would be wrong."""
    with pytest.raises(LookupError, match="S#2025-11-24#nowhere"):
        engine.logs.intervals("me", Rollup("2025-11-24", "", PackedSummary(b"", None), intervals_digest="nowhere"))


def test_a_rollup_that_was_counted_anew_is_another_one(engine: Engine) -> None:
    """Whoever read it before may not replace it, though it ends where it did."""
    old, corrected = (replace(rollup("2025-11-24"), batches=batches) for batches in (3, 4))
    assert kept(engine, old)
    assert not kept(engine, corrected, rollup("2025-11-24"))
    assert kept(engine, corrected, old)
    assert not kept(engine, old, old)
    (found,) = engine.logs.rollups("me", "", "~", NOON)
    assert (found.batches, found.previous) == (4, None)


def test_a_rollup_whose_time_is_over_is_gone(engine: Engine) -> None:
    """Also as long as DynamoDB has not deleted it."""
    assert kept(engine, rollup("2025-11-24"))
    end = NOON + 400 * 86_400 * 1_000_000
    assert len(list(engine.logs.rollups("me", "", "~", end - 1_000_000))) == 1
    assert list(engine.logs.rollups("me", "", "~", end)) == []
    newest, _ = engine.logs.newest_rollup("me", end)
    assert newest is not None
    assert newest.has_expired


def test_the_watermark_goes_up_only(engine: Engine) -> None:
    """And a batch that is stored behind it is noted as late, also when only its repetition got an answer."""
    late = Watermark("2025-11-24T13:00:00.000000Z", frozenset({"L#2025-11-24T12:00:00.000000Z#b"}))
    engine.logs.raise_watermark("me", late.until)
    engine.logs.raise_watermark("me", "2025-11-24T12:30:00.000000Z")
    assert engine.logs.newest_rollup("me", NOON) == (None, Watermark(late.until))
    assert engine.logs.append("me", Batch(counts=Counter(accepted=1)), NOON, "b")
    assert engine.logs.newest_rollup("me", NOON) == (None, late)
    engine.logs.settle_late("me", late.late)
    other = LogTable(engine.client, engine.logs_table)
    assert not other.append("me", Batch(counts=Counter(accepted=1)), NOON, "b")
    assert engine.logs.newest_rollup("me", NOON) == (None, late)
    assert other.append("me", Batch(counts=Counter(accepted=1)), NOON, "c")  # it has met the watermark
    assert [stored.sort_key for stored in engine.logs.since("me", late.until)] == [f"L#{late.until[:-2]}1Z#c"]
    assert engine.logs.newest_rollup("me", NOON) == (None, late)
