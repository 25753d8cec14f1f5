"""The scale on paper: its rules are DynamoDB's, its limits limit, and it is of the stack that is deployed."""

from __future__ import annotations

import re
from collections import defaultdict

import pytest

from bench.limits import PARTITION, TABLE, Stack, Work, ceiling, growth, run, spread, sustained
from bench.prices import cost, item_bytes, read_units, write_units
from bench.scale import (
    BURST_LIMIT,
    DASHBOARD_GB,
    INGEST_GB,
    RATE_LIMIT,
    RAW_DAYS,
    Size,
    per_million,
    request,
    scheduled,
    show_requests,
    tail_bytes,
    view,
)
from tests.support.engines import ROOT, STACK

WORK = Work(units=10, seconds=0.02)


def test_units_are_counted_as_documented() -> None:
    """A started KB written and started 4 KB read are units, transactions cost twice, names count in an item's size."""
    assert [write_units(size) for size in (1, 1024, 1025, 3_100)] == [1, 1, 2, 4]
    assert write_units(1025, transaction=True) == 4
    assert [read_units(size) for size in (0, 4096, 4097, 20_480)] == [1, 1, 2, 5]
    assert read_units(4097, consistent=False) == 1
    item = {"pk": {"S": "é"}, "d": {"B": b"1234"}, "n": {"N": "-120300"}, "m": {"M": {"a": {"L": [{"NULL": True}]}}}}
    assert item_bytes(item) == (2 + 2) + (1 + 4) + (1 + 3) + (1 + 3 + 1) + (1 + 3 + 1 + 1)


def test_a_million_units_cost_their_list_price() -> None:
    """Dollars are amounts times prices, whatever the price is for."""
    assert cost({"write": 1e6, "read": 2e6, "storage": 4}) == pytest.approx(0.625 + 0.25 + 1.0)


def test_a_million_logs_in_batches_of_200_are_within_the_budget() -> None:
    """DynamoDB, Lambda, gateway and log lines together cost at most five cents; a log a call, over two dollars."""
    assert per_million(request(200))["sum"] <= 0.05
    assert per_million(request(1))["sum"] > 2


def test_a_request_is_what_the_service_writes() -> None:
    """A batch is two items in a transaction, a lone log one item; the larger the batch, the smaller a log."""
    assert (request(1).work.units, request(10).work.units) == (1, 4)
    assert request(200).item / 200 < request(10).item / 10 < request(1).item


@pytest.mark.parametrize(
    ("stack", "limit"),
    [
        (Stack(calls=50, burst=50), "gateway"),
        (Stack(), "partition"),
        (Stack(shares=(1, 1), homes=(0, 1), table=500), "table"),
    ],
)
def test_the_tightest_limit_is_the_one_that_holds(stack: Stack, limit: str) -> None:
    """Below a limit nearly nothing waits; twice above it, no more than it allows is stored, and it is what refuses."""
    most, name = ceiling(stack, WORK)
    assert (most, name) == ({"gateway": 50, "partition": 100, "table": 50}[limit], limit)
    assert run(stack, WORK, most * 0.7, 60).quantile(0.99) == 0
    outcome = run(stack, WORK, most * 2, 60)
    stored = len(outcome.waits) - outcome.unstored
    assert most * 60 * 0.95 <= stored <= most * 61
    assert max(outcome.refused, key=lambda by: outcome.refused[by]) == limit
    assert 0.7 * most < sustained(stack, WORK)[0] <= most


def test_slow_functions_are_refused_by_concurrency() -> None:
    """With invocations of twenty seconds, a thousand at a time are fifty a second."""
    outcome = run(Stack(), Work(units=1, seconds=20), 100, 60)
    assert ceiling(Stack(), Work(units=1, seconds=20)) == (50, "concurrency")
    assert set(outcome.refused) == {"concurrency"}


def test_every_run_is_the_same() -> None:
    """A simulation has no chance in it but its seed's."""
    assert run(Stack(), WORK, 110, 20) == run(Stack(), WORK, 110, 20)
    assert run(Stack(), WORK, 110, 20) != run(Stack(), WORK, 110, 20, seed=2)


def test_split_for_heat_leaves_no_two_keys_on_a_hot_partition() -> None:
    """Keys are spread until a partition over its limit has one key, and none gets lost."""
    stack = spread(300, TABLE, skew=1, split=True)
    load, keys = defaultdict[int, float](float), defaultdict[int, int](int)
    for share, home in zip(stack.shares, stack.homes, strict=True):
        load[home] += share * TABLE
        keys[home] += 1
    assert sum(load.values()) == pytest.approx(TABLE)
    assert [home for home in load if load[home] > PARTITION and keys[home] > 1] == []


def test_a_new_table_doubles_every_half_hour() -> None:
    """It starts with 4,000 write units a second and takes twice its peak of half an hour ago, up to its quota."""
    assert growth(TABLE) == [(0, 4000), (30, 8000), (60, 16000), (90, 32000), (120, 40000)]
    assert growth(3000) == [(0, 3000)]


def test_the_stack_on_paper_is_the_template() -> None:
    """Rates, memory and retention are those of template.yaml."""
    text = (ROOT / "template.yaml").read_text()

    def default(parameter: str) -> int:
        found = re.search(rf"^  {parameter}:.*?\bDefault: (\d+)$", text, re.DOTALL | re.MULTILINE)
        assert found
        return int(found[1])

    assert (default("RateLimit"), default("BurstLimit")) == (RATE_LIMIT, BURST_LIMIT)
    assert default("RawRetentionDays") == RAW_DAYS
    memory = {name: function.memory / 1024 for name, function in STACK.functions.items()}
    assert (memory["IngestFunction"], memory["DashboardFunction"]) == (INGEST_GB, DASHBOARD_GB)


def test_views_and_schedule_cost_by_what_they_read_and_write() -> None:
    """A view reads each rollup once; a schedule that runs twice as often adds looks alone, and writes no idle key."""
    day = Size(days=10_240, slots=30_720)
    assert view(day)["read"] == 1 + 10 + read_units(tail_bytes(day)) + 73
    often, hourly, seldom = (scheduled(day, hours, 1_000_000) for hours in (0.5, 1, 2))
    assert often - hourly == pytest.approx(2 * (hourly - seldom))
    assert scheduled(day, 24, 0) < 0.1 * scheduled(day, 24, 1_000_000)
    assert scheduled(day, 40, 1_000_000) < scheduled(day, 20, 1_000_000) < seldom


def test_tables_are_printed(capsys: pytest.CaptureFixture[str]) -> None:
    """A row for each size of batch, with its units."""
    show_requests()
    rows = [line.split() for line in capsys.readouterr().out.splitlines()[-6:]]
    assert [(row[0], row[3]) for row in rows[:3]] == [("1", "1"), ("10", "4"), ("100", "6")]
    assert all(len(row) == 6 for row in rows)
