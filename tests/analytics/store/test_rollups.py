"""Rollups are stored on condition, found by their windows, and read with their slots wherever those are."""

from __future__ import annotations

import pytest

from analytics.summary.rollup import PackedSummary, Rollup
from tests.conftest import NOON
from tests.support.engines import Engine


def rollup(window: str, until: str = "T12", slots: bytes = b"slots") -> Rollup:
    """A rollup of some bytes."""
    return Rollup(window, window + until, PackedSummary(f"days of {window}{until}".encode(), slots))


def kept(engine: Engine, made: Rollup, expected: str | None = None, *, final: bool = False) -> bool:
    """Whether it was stored."""
    return engine.logs.keep_rollup("me", made, expected, NOON, final=final)


def stored(engine: Engine) -> list[tuple[str, str, bytes, bytes]]:
    """All rollups: window, until, days and slots."""
    found = engine.logs.rollups("me", "", "~")
    return [(each.start, each.until, each.packed.days, engine.logs.intervals("me", each)) for each in found]


def test_a_rollup_replaces_the_one_that_was_read_and_no_other(engine: Engine) -> None:
    """A new window needs that there is none, an old one that its `until` is the one expected; the rest is refused."""
    first, second, third = (rollup("2025-11-24", until) for until in ("T12", "T13", "T14"))
    assert kept(engine, first)
    assert not kept(engine, second)
    assert not kept(engine, third, second.until)
    assert kept(engine, second, first.until)
    assert not kept(engine, third, first.until)
    assert stored(engine) == [(second.start, second.until, second.packed.days, b"slots")]


def test_rollups_are_found_by_their_windows(engine: Engine) -> None:
    """In order, from the first up to the last but that one; the newest and the oldest with one read each."""
    assert engine.logs.newest_rollup("me") is engine.logs.oldest_rollup("me") is None
    for window in ("2025-11-24", "2025-11-22", "2025-11-23T12:00:00.000000Z#b", "2025-11-23"):
        assert kept(engine, rollup(window))
    windows = [each.start for each in engine.logs.rollups("me", "2025-11-23", "2025-11-24")]
    assert windows == ["2025-11-23", "2025-11-23T12:00:00.000000Z#b"]
    newest, oldest = engine.logs.newest_rollup("me"), engine.logs.oldest_rollup("me")
    assert newest is not None
    assert oldest is not None
    assert (newest.start, oldest.start) == ("2025-11-24", "2025-11-22")
    assert list(engine.logs.rollups("other", "", "~")) == []


def test_slots_of_a_final_rollup_are_an_item_of_their_own(engine: Engine) -> None:
    """The rollup shrinks to its days, and its slots are still found."""
    large = rollup("2025-11-24", slots=b"s" * 100_000)
    assert kept(engine, large)
    assert kept(engine, large, large.until, final=True)
    (found,) = engine.logs.rollups("me", "", "~")
    assert (found.size, found.intervals) == (len(large.packed.days), None)
    assert engine.logs.intervals("me", found) == large.packed.intervals
    items = engine.client.scan(TableName=engine.logs_table)["Items"]
    expires = {item["timestamp"]["S"][:12]: int(item["ttl"]["N"]) for item in items}
    second = NOON // 1_000_000 + 400 * 86_400
    assert expires == {"R#2025-11-24": second, "S#2025-11-24": second + 30 * 86_400}  # never a rollup without its slots


def test_a_final_rollup_that_is_refused_disturbs_nobody(engine: Engine) -> None:
    """The slots of the one that is there are still its own."""
    mine, other = rollup("2025-11-24", slots=b"mine"), rollup("2025-11-24", "T13", slots=b"other")
    assert kept(engine, mine, final=True)
    assert not kept(engine, other, final=True)
    assert stored(engine) == [(mine.start, mine.until, mine.packed.days, b"mine")]


def test_slots_that_are_gone_are_an_error(engine: Engine) -> None:
    """An answer without them would be wrong."""
    with pytest.raises(LookupError, match="S#2025-11-24#nowhere"):
        engine.logs.intervals("me", Rollup("2025-11-24", "", PackedSummary(b"", None), "nowhere"))
