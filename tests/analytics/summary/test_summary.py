"""Summaries are a commutative monoid over logs, and say what a plain computation says."""

from __future__ import annotations

from collections import Counter
from typing import Any, cast

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from analytics.batch import Batch
from analytics.query.filter import Filter
from analytics.query.ranges import Period, Range
from analytics.query.report import Report
from analytics.schema import Log
from analytics.summary import codec
from analytics.summary.rollup import PackedSummary
from analytics.summary.summary import Summary
from analytics.times import HOUR
from tests.analytics import strategies
from tests.conftest import NOON
from tests.support import reference

Logs = list[dict[str, Any]]
HOUR_US = HOUR * 1_000_000


def folded(*batches: Logs, interval: int = HOUR) -> Summary:
    """A summary of batches, all received at noon."""
    summary = Summary(interval)
    for logs in batches:
        summary.fold(Batch.of(cast("list[Log]", logs)), NOON)
    return summary


def merged(*summaries: Summary) -> Summary:
    """A new summary of all of them."""
    total = Summary(summaries[0].interval)
    for summary in summaries:
        total.merge(summary)
    return total


@given(strategies.logs, strategies.logs, strategies.logs)
def test_merge_is_associative(a: Logs, b: Logs, c: Logs) -> None:
    """However summaries are put into brackets, their sum is the same."""
    left = merged(merged(folded(a), folded(b)), folded(c))
    right = merged(folded(a), merged(folded(b), folded(c)))
    assert left == right


@given(strategies.logs, strategies.logs)
def test_merge_is_commutative(a: Logs, b: Logs) -> None:
    """The order of two summaries does not matter."""
    assert merged(folded(a), folded(b)) == merged(folded(b), folded(a))


@given(strategies.logs)
def test_an_empty_summary_changes_nothing(logs: Logs) -> None:
    """The zero of the monoid is Summary()."""
    assert merged(folded(logs), Summary()) == merged(Summary(), folded(logs)) == folded(logs)


@given(strategies.logs, strategies.logs)
def test_a_fold_of_all_is_the_merge_of_folds(a: Logs, b: Logs) -> None:
    """Folding in parts and merging gives what folding at once gives."""
    assert merged(folded(a), folded(b)) == folded(a, b)


@given(strategies.logs, st.randoms())
def test_the_order_of_logs_does_not_matter(logs: Logs, chance: Any) -> None:
    """Logs in another order, each in a batch of its own, give the same summary."""
    shuffled = chance.sample(logs, len(logs))
    assert folded(*[[log] for log in shuffled], []) == folded(logs)


@given(strategies.logs, st.sampled_from([60, HOUR]))
def test_a_summary_comes_back_from_its_bytes(logs: Logs, interval: int) -> None:
    """`loads` undoes `dumps`, and what is loaded can be merged on."""
    summary = folded(logs, interval=interval)
    loaded = codec.load(codec.dump(summary))
    assert loaded == summary
    assert merged(loaded, summary) == folded(logs, logs, interval=interval)


@given(strategies.logs)
def test_days_alone_tell_what_each_slot_amounts_to(logs: Logs) -> None:
    """Without its slots, a stored summary answers by the day and, of all requests together, by the hour."""
    packed = codec.dump(folded(logs))
    days = codec.load(PackedSummary(packed.days, None))
    assert not Report(Filter(Range()), Period.hourly, 10).needs_intervals(days)
    for period in ("hourly", "daily"):
        assert blocks(days, period) == reference.dashboard(logs, period)
    latest = max((log["created_at"] for log in logs), default=0) // HOUR_US * HOUR_US
    asked = Filter(Range(start=latest))
    assert Report(asked, Period.daily, 10).needs_intervals(days) == (latest % strategies.DAY != 0)
    assert Report(Filter(Range(), method=frozenset({"GET"})), Period.hourly, 10).needs_intervals(days)
    with pytest.raises(ValueError, match="without its intervals"):
        days.merge(folded(logs))
    codec.load_intervals(days, packed.intervals or b"")
    assert days == folded(logs)


def test_foreign_bytes_are_refused() -> None:
    """What is no summary is not taken for one."""
    with pytest.raises(ValueError, match="not a summary"):
        codec.load(PackedSummary(b"nonsense", None))
    with pytest.raises(ValueError, match="intervals of 60 s"):
        Summary().merge(Summary(60))


def report(summary: Summary, asked: Range, period: Period, top: int) -> dict[str, Any]:
    """The dashboard's blocks of a summary."""
    made = Report(Filter(asked), period, top)
    made.add(summary)
    return made.blocks()


def blocks(summary: Summary, period: str, top: int = 10) -> dict[str, Any]:
    """What the dashboard shows, made comparable with the plain computation."""
    shown = report(summary, Range(), Period(period), top)
    shown["time_series"] = [point for point in shown["time_series"] if point["requests"]]
    shown = {name: block for name, block in shown.items() if name not in ("delivery", "precision", "unavailable")}
    return cast("dict[str, Any]", reference.without_percentiles(shown))


@given(strategies.logs, st.sampled_from(["hourly", "daily", "weekly", "monthly"]), st.integers(1, 4))
def test_the_dashboard_says_what_a_plain_computation_says(logs: Logs, period: str, top: int) -> None:
    """Every block of random logs, in two batches that were merged, is the naive one."""
    summary = merged(folded(logs[::2]), folded(logs[1::2]))
    assert blocks(summary, period, top) == reference.dashboard(logs, period, top)


@given(strategies.logs)
def test_minutes_too(logs: Logs) -> None:
    """With slots of a minute, so is every point of the minutely series (of logs within three hours)."""
    for log in logs:
        log["created_at"] = NOON - log["created_at"] % 10**10
    assert blocks(folded(logs, interval=60), "minutely") == reference.dashboard(logs, "minutely")


@pytest.mark.long
def test_a_hundred_thousand_logs_are_counted_exactly() -> None:
    """The same for 100,000 logs in shuffled batches of 500, past the size at which gathered logs are counted."""
    logs = strategies.many_logs(100_000)
    summary = folded(*(logs[at : at + 500] for at in range(0, len(logs), 500)))
    for period in ("hourly", "daily", "weekly", "monthly"):
        assert blocks(summary, period) == reference.dashboard(logs, period)


@settings(max_examples=50)
@given(strategies.logs)
def test_percentiles_are_within_one_percent(logs: Logs) -> None:
    """p50, p95 and p99 of the whole, of each endpoint and of each day, against the exact nearest rank."""
    assert reference.wrong_percentiles(report(folded(logs), Range(), Period.daily, 10), logs, "daily") == []


def test_what_became_of_requests_is_kept_by_day_of_receipt() -> None:
    """Counts of a range are those of the days it touches; the last receipt is that of all."""
    summary, day = Summary(), strategies.DAY
    summary.receive(Counter({"accepted": 3, "dropped.buffer_full": 2}), NOON - 3 * day)
    summary.receive(Counter({"accepted": 5, "rejected.invalid_ip": 1, "skewed": 1}), NOON)
    asked = Range(NOON - day, NOON + day)
    assert report(summary, asked, Period.daily, 10)["delivery"] == {
        "accepted": 5,
        "rejected": {"invalid_ip": 1},
        "duplicates": 0,
        "skewed": 1,
        "local_times": 0,
        "trimmed": {},
        "unknown_fields": {},
        "dropped": {},
        "unreadable": 0,
        "last_received_at": "2025-11-24T12:00:00.000000Z",
    }
    assert report(summary, Range(), Period.daily, 10)["delivery"]["dropped"] == {"buffer_full": 2}
