"""Filters choose logs by every condition at once."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, TypeVar, cast

from hypothesis import given
from hypothesis import strategies as st

from analytics.batch import Batch
from analytics.query.filter import Filter
from analytics.query.ranges import Range
from analytics.schema import Log
from tests.analytics import strategies
from tests.analytics.test_batch import rows
from tests.conftest import NOON

V = TypeVar("V")
DAY = strategies.DAY


def some(values: Sequence[V], least: int = 0) -> st.SearchStrategy[frozenset[V]]:
    """None of these values, one or two."""
    return st.frozensets(st.sampled_from(values), min_size=least, max_size=2)


filters = st.builds(
    Filter,
    range=st.builds(
        Range,
        st.none() | st.integers(NOON - 45 * DAY, NOON - 20 * DAY),
        st.none() | st.integers(NOON - 20 * DAY, NOON + 5 * DAY),
    ),
    method=some((*strategies.METHODS, "PATCH")),
    endpoint=some(strategies.ENDPOINTS),
    endpoint_contains=some(["/", "user", "ü", "nothing"]),
    status_code=some(strategies.STATUSES),
    texts=st.fixed_dictionaries(
        {},
        optional={
            "ip": some(["10.0.0.1", "2001:db8::1", "192.0.2.1"], 1),
            "consumer": some(["ann", "zoe"], 1),
        },
    ),
    shortest=st.none() | st.integers(0, 50_000_000),
    longest=st.none() | st.integers(0, 90_000_000),
)


def wanted(log: dict[str, Any], by: Filter) -> bool:
    """The same, said plainly for one log."""
    duration = round(log["process_time"] * 1000)
    return all(
        (
            by.range.start is None or log["created_at"] >= by.range.start,
            by.range.end is None or log["created_at"] < by.range.end,
            not by.method or log["method"] in by.method,
            not by.endpoint or log["endpoint"] in by.endpoint,
            not by.endpoint_contains or any(part in log["endpoint"] for part in by.endpoint_contains),
            not by.status_code or log["status_code"] in by.status_code,
            all(log[name] in values for name, values in by.texts.items()),
            by.shortest is None or duration >= by.shortest,
            by.longest is None or duration <= by.longest,
        )
    )


@given(strategies.logs, filters)
def test_a_filter_keeps_just_the_logs_that_match(logs: list[dict[str, Any]], by: Filter) -> None:
    """For any logs, conditions and numbers of values; zero and the empty range are conditions like others."""
    batch = Batch.of(cast("list[Log]", logs))
    assert rows(by.apply(batch)) == [log for log in rows(batch) if wanted(log, by)]


def test_a_batch_that_matches_whole_is_not_copied() -> None:
    """An open filter costs nothing."""
    batch = Batch.of(cast("list[Log]", strategies.many_logs(10)))
    assert Filter().apply(batch) is batch
