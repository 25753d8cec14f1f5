"""However many different things are sent, a summary fits into an item, and nothing is lost from its totals."""

# ruff: noqa: ARG002 - the table has the methods of the real one, and knows one stream

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator
from functools import partial

import pytest

from analytics.batch import Batch, Coded, SeriesKey
from analytics.query.filter import Filter
from analytics.query.ranges import Period
from analytics.query.report import Report
from analytics.summary import codec
from analytics.summary.addresses import MAX_ADDRESSES
from analytics.summary.counter import SHOWN_OTHER
from analytics.summary.fold import Fold
from analytics.summary.limits import MAX_ENDPOINTS
from analytics.summary.rollup import Rollup, StoredBatch, Watermark
from analytics.times import isoformat
from tests.conftest import NOON, partly_long

ITEM = 400 * 1024  # bytes that DynamoDB takes
METHODS, STATUSES = 25, 20
HOUR_US = 3_600_000_000


class Shelf:
    """A table that makes up its batches, and keeps rollups."""

    def __init__(self, batches: Callable[[], Iterator[Batch]]) -> None:
        self.batches = batches
        self.kept: list[Rollup] = []

    def since(self, stream: str, start: str = "", until: str | None = None) -> Iterator[StoredBatch]:
        """Each batch a millisecond after the one before."""
        for number, batch in enumerate(self.batches()):
            yield StoredBatch(f"L#{isoformat(NOON + number * 1_000)}#{number}", batch)

    def newest_rollup(self, stream: str, now: int) -> tuple[Rollup | None, Watermark]:
        """None yet."""
        return None, Watermark()

    def rollups_around(self, stream: str, received: str) -> tuple[Rollup | None, Rollup | None]:
        """None."""
        return None, None

    def raise_watermark(self, stream: str, until: str, newest: str) -> None:
        """Nobody asks for it."""

    def note_newest(self, stream: str, newest: str) -> None:
        """Nor for this."""

    def settle_late(self, stream: str, sort_keys: Iterable[str]) -> None:
        """Nothing is late."""

    def rollups(self, stream: str, first: str, before: str, now: int) -> Iterator[Rollup]:
        """Those that were kept."""
        yield from self.kept

    def intervals(self, stream: str, rollup: Rollup) -> bytes:
        """They are in the rollup."""
        return rollup.packed.intervals or b""

    def keep_rollup(
        self, stream: str, rollup: Rollup, expected: Rollup | None, now: int, *, final: bool = False
    ) -> bool:
        """Always."""
        self.kept.append(rollup)
        return True


def flood(logs: int) -> Iterator[Batch]:
    """Logs of as many addresses, up to 100,000 endpoints and consumers, 500 pairs of method and status."""
    for first in range(0, logs, 1_000):
        numbers = range(first, first + 1_000)
        cells: list[SeriesKey] = [
            (f"M{n % METHODS}", f"/{'long' * 20}/{n % 100_000}", 200 + n // METHODS % STATUSES) for n in numbers
        ]
        places = range(1_000)
        yield Batch(
            series=cells,
            series_ids=places,
            times=[NOON - 12 * HOUR_US + n * 24 * HOUR_US // logs for n in numbers],
            durations=[n * n % 90_000_007 for n in numbers],
            texts={
                "ip": Coded([f"{n % 223 + 1}.{n // 65_536}.{n // 256 % 256}.{n % 256}" for n in numbers], places),
                "consumer": Coded([f"consumer {n % 100_000}" for n in numbers], places),
            },
        )


@pytest.mark.parametrize("logs", partly_long([100_000, 1_000_000]))
def test_a_flood_fits_into_an_item_and_is_counted(logs: int) -> None:
    """A day's rollup takes it all in; totals, statuses and time series are exact, the rest is in (other)."""
    shelf = Shelf(partial(flood, logs))
    fold = Fold(shelf, "stream", NOON + HOUR_US, lambda: False)
    assert len(list(fold.summaries("9999"))) > 0
    (kept,) = shelf.kept
    assert kept.packed.size < ITEM - 2_000  # for names and what else is in the item

    report = Report(Filter(), Period.hourly, 1_000)
    report.add(codec.load(kept.packed))
    blocks = report.blocks()
    assert blocks["summary"]["total_requests"] == logs
    assert blocks["status_codes"] == {str(200 + number): logs // STATUSES for number in range(STATUSES)}
    assert sum(point["requests"] for point in blocks["time_series"]) == logs
    assert len(blocks["time_series"]) == 24
    assert abs(blocks["summary"]["unique_ips"] / logs - 1) < blocks["precision"]["unique_ips"] < 0.01
    assert len(blocks["top_ips"]) <= MAX_ADDRESSES
    for ranked, name, most in (("endpoint_stats", "endpoint", MAX_ENDPOINTS), ("top_consumers", "consumer", 500)):
        assert len(blocks[ranked]) <= most
        assert blocks[ranked][0][name] == SHOWN_OTHER
        assert sum(row["requests"] for row in blocks[ranked]) == logs
