"""Every counter that is listed in `COUNTERS` keeps the laws of the list: a new one is held to them by being in it."""

from __future__ import annotations

import zlib
from collections.abc import Callable
from functools import cache
from io import BytesIO
from typing import Any, cast

import pytest
from hypothesis import Phase, given, settings
from hypothesis import strategies as st
from pydantic_core import from_json, to_json

from analytics.batch import Batch, Coded
from analytics.schema import TEXTS, Log
from analytics.summary import codec
from analytics.summary.aggregate import Aggregate
from analytics.summary.counter import Counter
from analytics.summary.counters import COUNTERS
from analytics.summary.limits import limit
from analytics.summary.rollup import PackedSummary
from analytics.summary.summary import Summary
from tests.analytics import strategies
from tests.conftest import NOON

Logs = list[dict[str, Any]]
Kind = type[Counter]

LOGS = 20_000  # of a flood
SCALE = 1 / 64
ITEM = 390_000  # bytes that a rollup may have

every_kind = pytest.mark.parametrize("kind", COUNTERS, ids=lambda kind: kind.code)


def counted(logs: Logs) -> tuple[Aggregate, Summary]:
    """All that is counted of some logs, as if all were of one day; and the summary that gave out their series ids."""
    summary = Summary()
    summary.add(Batch.of([cast("Log", log | {"created_at": NOON}) for log in logs]))
    summary.settle()
    return summary.days[NOON // strategies.DAY], summary


@cache
def samples() -> list[Logs]:
    """Some draws of the strategy that the property tests use."""
    drawn: list[Logs] = []

    @settings(max_examples=50, database=None, phases=[Phase.generate])
    @given(strategies.logs)
    def draw(logs: Logs) -> None:
        drawn.append(logs)

    draw()
    return drawn


def named(counter: Counter, summary: Summary) -> Any:
    """What a counter says of itself."""
    return counter.named(summary.series)


def again(counter: Counter) -> Counter:
    """The counter from its stored state."""
    blob = bytearray()
    state = from_json(to_json(counter.dump(blob, None)))
    return type(counter).load(state, BytesIO(blob), None)


def stored_bytes(counter: Counter) -> int:
    """How many bytes it takes when it is stored."""
    blob = bytearray()
    return len(zlib.compress(to_json(counter.dump(blob, None)) + blob))


def distinct(field: str, number: int) -> str:
    """A value of a text field, another one for each number."""
    return f"10.{number >> 16}.{number >> 8 & 255}.{number & 255}" if field == "ip" else f"{field} {number}"


def flooded(count: int = LOGS) -> Summary:
    """A summary of logs over one day that have all their texts and durations different."""
    places = range(count)
    batch = Batch(
        series=[("GET", f"/{n}", 200) for n in range(200)],
        series_ids=[n % 200 for n in places],
        times=[NOON // strategies.DAY * strategies.DAY + n * strategies.DAY // count for n in places],
        durations=[n * n % 90_000_007 for n in places],
        texts={field: Coded([distinct(field, n) for n in places], places) for field in TEXTS},
    )
    summary = Summary()
    summary.add(batch)
    summary.settle()
    return summary


def test_codes_and_fields_are_of_one_counter_each() -> None:
    """A code names one counter in stored bytes, and a field is turned into what is counted in one way."""
    codes = [kind.code for kind in COUNTERS] + [codec.BYTES]
    fields = [field for kind in COUNTERS for field in kind.counted]
    assert len(set(codes)) == len(codes)
    assert len(set(fields)) == len(fields)
    assert set(fields) <= TEXTS.keys()


@pytest.mark.parametrize("field", TEXTS)
def test_random_logs_have_every_text_field(field: str) -> None:
    """Else no property test would say anything of what is counted of it."""
    assert any(log.get(field) for logs in samples() for log in logs)


@every_kind
def test_random_logs_reach_every_counter(kind: Kind) -> None:
    """They make it other than empty, and different from each other, as its `named` tells."""
    said = []
    for logs in samples():
        aggregate, summary = counted(logs)
        said.append(named(aggregate.of(kind), summary))
    assert len([each for each in said if each not in (said[0], named(kind(), Summary()))]) > len(said) / 3


@every_kind
@given(strategies.logs, strategies.logs)
def test_a_counter_adds_up(kind: Kind, a: Logs, b: Logs) -> None:
    """What is counted of both is the sum of what is counted of each, in either order and from stored bytes too."""
    both, summary = counted([*a, *b])
    expected = named(both.of(kind), summary)
    same: Callable[[Counter], Counter] = lambda counter: counter  # noqa: E731
    for first, second in ((a, b), (b, a)):
        for stored in (same, again):
            total = kind()
            for logs in (first, second, []):
                aggregate, of = counted(logs)
                total.merge(stored(aggregate.of(kind)), [summary.series_id(key) if key else 0 for key in of.series])
            assert named(total, summary) == expected
            assert named(again(total), summary) == expected


@every_kind
@given(strategies.logs)
def test_series_can_become_one(kind: Kind, logs: Logs) -> None:
    """Merged under one id, the series count as if all logs were of one."""
    one = {"method": "GET", "endpoint": "/", "status_code": 200}
    together, summary = counted([log | one for log in logs])
    apart, of = counted(logs)
    total = kind()
    total.merge(apart.of(kind), [0, *[1] * (len(of.series) - 1)])
    assert named(total, summary) == named(together.of(kind), summary)


@every_kind
def test_a_counter_keeps_to_its_limits(kind: Kind) -> None:
    """Limited to a small share, a flood leaves little to store, and limiting it again changes nothing."""
    whole, limited = flooded(), flooded()
    limit(limited, SCALE)
    day = NOON // strategies.DAY
    before, after = whole.days[day].of(kind), limited.days[day].of(kind)
    aggregates = [limited.days[day], *limited.intervals.values()]
    assert sum(stored_bytes(aggregate.of(kind)) for aggregate in aggregates) < ITEM / len(COUNTERS)
    assert stored_bytes(before) < 4 * before.estimated_bytes + 200
    once = named(after, limited)
    limit(limited, SCALE)
    assert named(limited.days[day].of(kind), limited) == once


@every_kind
def test_what_was_dropped_is_merged_and_stored(kind: Kind) -> None:
    """A counter that was limited stays the same when it is added to an empty one, and when it is stored."""
    summary = flooded()
    counter, whole = summary.days[NOON // strategies.DAY].of(kind), flooded().days[NOON // strategies.DAY].of(kind)
    kind.limit(counter, [aggregate.of(kind) for aggregate in summary.intervals.values()], SCALE)
    assert (named(counter, summary) == named(whole, summary)) == (not kind.counted)
    total = kind()
    for times in (1, 2):
        total.merge(counter, range(len(summary.series)))
        assert named(again(total), summary) == named(total, summary)
        assert (named(total, summary) == named(counter, summary)) == (times == 1)


@given(strategies.logs, st.binary(min_size=1, max_size=50))
def test_a_counter_of_a_later_build_is_skipped(logs: Logs, unknown: bytes) -> None:
    """Its state and its bytes lie behind those of the counters that are known, and cost none of them anything."""
    summary = Summary()
    summary.add(Batch.of(cast("list[Log]", logs)))
    packed = codec.dump(summary)
    newer = []
    for part in (packed.days, packed.intervals or b""):
        plain = zlib.decompress(part)
        end = 4 + int.from_bytes(plain[:4], "big")
        head, blob, at = from_json(plain[4:end]), bytearray(plain[end:]), 0
        for entry in head["days"].values() if "days" in head else head.values():
            states = entry
            if isinstance(entry, list):
                (*_, size), states = entry
                at += size
            at += states["bytes"]
            blob[at:at] = unknown
            at += len(unknown)
            states["a later one"] = ["its", "state"]
            states["bytes"] += len(unknown)
        text = to_json(head)
        newer.append(zlib.compress(len(text).to_bytes(4, "big") + text + blob))
    assert codec.load(PackedSummary(*newer)) == summary
