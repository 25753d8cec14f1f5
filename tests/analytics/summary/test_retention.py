"""What is stored is asked of the store: no change of retention, at any time, makes a number silently wrong."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, cast

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from moto import mock_aws

from analytics.batch import Batch
from analytics.schema import Log
from analytics.store import KeyTable, LogTable
from analytics.web import Service
from functions.dashboard.app import fold_on_schedule
from tests.conftest import NOON, SETTINGS, Api, Clock, create_tables, shared_client
from tests.support.reference import moment

if TYPE_CHECKING:
    from collections.abc import Sequence

DAY = 86_400  # seconds


class Field:
    """A deployment whose retention changes, and a plain list of what was sent to it."""

    def __init__(self, clock: Clock) -> None:
        self.clock = clock
        self.client = shared_client()
        keys = KeyTable(self.client, SETTINGS.keys_table)
        self.api = Api(Service(SETTINGS, keys, LogTable(self.client, SETTINGS.logs_table), clock))
        (self.stream,) = keys.streams()
        self.sent: list[int] = []
        self.deploy(90, 400)

    def deploy(self, raw_days: int, summary_days: int) -> None:
        """The same tables with other settings."""
        self.logs = LogTable(self.client, SETTINGS.logs_table, raw_days=raw_days, summary_days=summary_days)
        keys = KeyTable(self.client, SETTINGS.keys_table)
        self.service = Service(SETTINGS, keys, self.logs, self.clock)
        self.api = Api(self.service, self.api.key)

    def send(self, number: int, **fields: Any) -> None:
        """Logs of now."""
        whole = {"method": "GET", "endpoint": "/a", "ip": "192.0.2.1", "process_time": 1.0, "status_code": 200}
        logs = [{**whole, **fields, "created_at": self.clock.at} for _ in range(number)]
        self.logs.append(self.stream, Batch.of(cast("list[Log]", logs)), self.clock.at)
        self.sent += [self.clock.at] * number

    def delete_expired(self, keep: Sequence[bool] = ()) -> None:
        """Let DynamoDB delete what is past its time to live, but for some items (repeated over them)."""
        expired = [
            item
            for item in self.client.scan(TableName=SETTINGS.logs_table)["Items"]
            if "ttl" in item and int(item["ttl"]["N"]) <= self.clock.at // 1_000_000
        ]
        for at, item in enumerate(expired):
            if not (keep and keep[at % len(keep)]):
                key = {name: item[name] for name in ("api_key", "timestamp")}
                self.client.delete_item(TableName=SETTINGS.logs_table, Key=key)

    def ask(self, **query: Any) -> Any:
        """The dashboard."""
        answer = self.api.get("/dashboard", params=query)
        assert answer.status_code == 200, answer.text
        return answer.json()

    def live(self, days: int) -> None:
        """Days of twenty logs each, folded on schedule, with DynamoDB deleting what expires."""
        for _ in range(days):
            self.send(10)
            self.send(6, endpoint="/b")
            self.send(4, endpoint="/b", status_code=404)
            self.clock.advance(DAY)
            fold_on_schedule(self.service)
            self.delete_expired()


@pytest.fixture
def field(dynamodb: object, clock: Clock) -> Field:
    """Empty tables."""
    return Field(clock)


def test_a_longer_raw_retention_brings_nothing_back(field: Field) -> None:
    """Thirty days at seven, then ninety: summaries tell all, and what only raw logs tell is missing for its cause."""
    field.deploy(7, 400)
    field.live(30)
    field.deploy(90, 400)
    for query, number in (({}, 600), ({"status_code": 404}, 120), ({"endpoint": "/a"}, 300)):
        blocks = field.ask(**query)
        assert (blocks["summary"]["total_requests"], blocks["range"]["complete"]) == (number, True)
    assert field.ask(status_code=404)["unavailable"]["top_ips"].endswith("Some of the raw logs have expired")
    day = {"start_date": moment(NOON + 10 * DAY * 1_000_000).date(), "period": "minutely"}
    blocks = field.ask(**day, end_date=day["start_date"])
    assert blocks["summary"]["total_requests"] == 20
    assert blocks["unavailable"]["time_series"].endswith("Some of the raw logs have expired")


def test_a_short_summary_retention_is_never_shorter_than_the_raw_one(field: Field) -> None:
    """One day beside ninety."""
    field.deploy(90, 1)
    field.live(10)
    blocks = field.ask()
    assert (blocks["summary"]["total_requests"], blocks["range"]["complete"]) == (200, True)


def test_what_is_older_than_the_summaries_is_told_and_is_no_zero(field: Field) -> None:
    """The range before the horizon is null; one over it begins there; one behind it is whole; a change is null."""
    field.deploy(1, 5)
    field.live(20)
    blocks = field.ask()
    assert 0 < blocks["summary"]["total_requests"] < 400
    horizon = blocks["range"]["horizon"]
    assert (blocks["range"]["start"], blocks["range"]["complete"]) == (horizon, False)
    assert blocks["unavailable"]["range"] == f"Summaries of what was received before {horizon} have expired"
    before = field.ask(start_date="2025-11-24", end_date="2025-11-28")
    assert (before["summary"]["total_requests"], before["time_series"]) == (None, [])
    assert (before["range"]["complete"], before["range"]["horizon"]) == (False, horizon)
    day = horizon[:8] + f"{int(horizon[8:10]) + 1:02}"
    behind = field.ask(start_date=day, end_date=day)
    assert (behind["summary"]["total_requests"], behind["range"]["complete"]) == (20, True)
    compared = field.ask(start_date=horizon, compare="previous")
    assert compared["range"]["complete"], compared["unavailable"]
    assert set(compared["change"]["summary"].values()) == {None}
    straddling = field.ask(start_date=moment(field.clock.at - 3 * DAY * 1_000_000).isoformat(), compare="previous")
    assert straddling["range"]["complete"]
    assert not straddling["previous"]["range"]["complete"]
    assert set(straddling["change"]["summary"].values()) == {None}


def test_a_stream_left_alone_for_longer_than_logs_are_kept_is_all_there(field: Field) -> None:
    """No rollup held it: it is counted at the first look and at every later one, whatever is deleted then."""
    field.deploy(1, 400)
    field.send(17)
    field.clock.advance(40 * DAY)
    for _ in range(3):
        blocks = field.ask()
        assert (blocks["summary"]["total_requests"], blocks["range"]["complete"]) == (17, True)
        fold_on_schedule(field.service)
        field.delete_expired()


def test_rollups_that_expired_are_missed_in_whatever_order(field: Field) -> None:
    """Summaries kept for long, then shortly: those in the middle or at the end go first, and it is told."""
    field.deploy(1, 400)
    field.live(3)
    field.deploy(1, 2)
    field.live(3)
    field.clock.advance(10 * DAY)
    for delete in (False, True, False):
        if delete:
            field.delete_expired()
        blocks = field.ask()
        assert blocks["summary"]["total_requests"] is None or blocks["summary"]["total_requests"] <= 120
        assert not blocks["range"]["complete"]
    field.deploy(1, 400)
    field.live(2)
    assert not field.ask()["range"]["complete"]
    assert field.ask(start_date=moment(field.clock.at - DAY * 1_000_000).isoformat())["range"]["complete"]


STEPS = st.one_of(
    st.tuples(st.just("send"), st.integers(1, 9)),
    st.tuples(st.just("days"), st.sampled_from([0.01, 0.3, 1, 1, 3, 9])),
    st.tuples(st.just("retention"), st.tuples(st.sampled_from([1, 3, 9]), st.sampled_from([1, 3, 9, 30]))),
    st.tuples(st.just("delete"), st.lists(st.booleans(), max_size=5)),
    st.tuples(st.just("view"), st.none()),
    st.tuples(st.just("schedule"), st.none()),
)


@given(st.lists(STEPS, min_size=3, max_size=25))
@settings(max_examples=60)
def test_a_number_that_is_not_the_truth_says_so(steps: list[tuple[str, Any]]) -> None:
    """Under any sequence of traffic, time, settings and deletions."""
    with mock_aws():
        create_tables(shared_client())
        field = Field(Clock())
        for step, value in [*steps, ("view", None)]:
            if step == "send":
                field.send(value)
            elif step == "days":
                field.clock.advance(value * DAY)
            elif step == "retention":
                field.deploy(*value)
            elif step == "delete":
                fold_on_schedule(field.service)  # which ran before anything could expire
                field.delete_expired(value)
            elif step == "schedule":
                fold_on_schedule(field.service)
            else:
                look(field)


def look(field: Field) -> None:
    """Every answer is the truth, or tells that it is not."""
    hour = 3_600_000_000
    ago = (field.clock.at - 4 * DAY * 1_000_000) // hour * hour
    for start in (None, ago):
        query = {} if start is None else {"start_date": moment(start).isoformat()}
        blocks = field.ask(**query)
        truth = sum(at >= (start or 0) for at in field.sent)
        is_told = not blocks["range"]["complete"] or "range" in blocks["unavailable"]
        assert is_told or blocks["summary"]["total_requests"] == truth, (query, blocks["range"], truth)
