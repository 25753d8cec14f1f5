"""The fold on schedule: what it leaves, and what it tells CloudWatch."""

from __future__ import annotations

import json
from dataclasses import replace
from itertools import count, permutations
from typing import TYPE_CHECKING, Any, cast

import pytest

from analytics.batch import Batch
from analytics.schema import Log
from analytics.summary.schedule import fold_all
from analytics.times import SECOND
from analytics.web import Service
from functions.dashboard.app import fold_on_schedule
from tests.analytics import strategies
from tests.conftest import NOON, SETTINGS, Api, Clock
from tests.support import reference

if TYPE_CHECKING:
    from mypy_boto3_dynamodb import DynamoDBClient

HOUR = 3600 * SECOND


def told(printed: str) -> dict[str, object]:
    """The one line that was printed."""
    (line,) = printed.splitlines()
    found: dict[str, object] = json.loads(line)
    return found


FINE = {"failed": 0, "unreadable": 0}


@pytest.mark.usefixtures("api")
def test_a_run_that_folds_all_says_that_nothing_is_left(service: Service, capsys: pytest.CaptureFixture[str]) -> None:
    """As one line in CloudWatch's embedded metric format, by the table that the alarm names."""
    assert fold_on_schedule(service) == {"folded": 1, "left": 0, "oldest_age": 0, **FINE}
    assert told(capsys.readouterr().out) == {
        "_aws": {
            "Timestamp": NOON // 1000,
            "CloudWatchMetrics": [
                {
                    "Namespace": "ApiAnalytics",
                    "Dimensions": [["Table"]],
                    "Metrics": [
                        {"Name": "OldestUnfoldedAge", "Unit": "Seconds"},
                        {"Name": "StreamsLeft", "Unit": "Count"},
                        {"Name": "StreamsFailed", "Unit": "Count"},
                        {"Name": "UnreadableItems", "Unit": "Count"},
                    ],
                }
            ],
        },
        "Table": SETTINGS.logs_table,
        "OldestUnfoldedAge": 0,
        "StreamsLeft": 0,
        "StreamsFailed": 0,
        "UnreadableItems": 0,
    }


def oldest_unfolded(service: Service, stream: str) -> int:
    """When the oldest log of a stream that no rollup holds was received, in microseconds."""
    newest, _ = service.logs.newest_rollup(stream, NOON)
    return min(stored.received for stored in service.logs.since(stream, newest.until if newest else ""))


def test_a_run_that_is_cut_short_says_how_old_the_rest_is(
    service: Service, clock: Clock, capsys: pytest.CaptureFixture[str]
) -> None:
    """The age is that of the oldest log without a rollup, of all streams; the next run goes on from there."""
    apis = [Api(service) for _ in range(3)]
    streams = list(service.keys.streams())
    for days, stream in enumerate(streams, 3):
        for hours in range(40):
            received = NOON - days * 24 * HOUR + hours * HOUR
            service.logs.append(stream, Batch.of(cast("list[Log]", strategies.many_logs(1, days=1))), received)
    looks = count()
    hasty = replace(service, now=lambda: clock.at + next(looks) * SECOND // 2)  # each look at the clock takes its time
    done = fold_on_schedule(hasty)
    left = [oldest_unfolded(service, stream) for stream in streams]
    assert len(left) == 3
    assert len({service.logs.newest_rollup(stream, NOON)[0] is None for stream in streams}) == 2  # one was begun
    assert done == {"folded": 0, "left": 3, "oldest_age": (NOON + SECOND // 2 - min(left)) // SECOND, **FINE}
    line = told(capsys.readouterr().out)
    assert (line["OldestUnfoldedAge"], line["StreamsLeft"]) == (done["oldest_age"], 3)
    assert fold_on_schedule(service) == {"folded": 3, "left": 0, "oldest_age": 0, **FINE}
    assert [api.get("/dashboard").json()["summary"]["total_requests"] for api in apis] == [40] * 3


def test_a_stream_is_folded_once_a_day_however_often_a_run_looks(service: Service, clock: Clock) -> None:
    """A day's rollup is written anew when it ends 20 hours ago, not at each of the runs between."""
    Api(service)
    (stream,) = service.keys.streams()
    ends = []
    for _ in range(48):
        service.logs.append(stream, Batch.of(cast("list[Log]", strategies.many_logs(1))), service.now())
        clock.advance(3600)
        assert fold_on_schedule(service) == {"folded": 1, "left": 0, "oldest_age": 0, **FINE}
        newest, _ = service.logs.newest_rollup(stream, NOON)
        assert newest
        ends.append(newest.until)
    assert len(set(ends)) == 3
    looked = [reference.moment(NOON + hours * HOUR - 60 * SECOND).isoformat()[:19] for hours in (1, 21, 41)]
    assert [end[:19] for end in sorted(set(ends))] == looked


def test_every_stream_gets_its_turn(service: Service, dynamodb: DynamoDBClient) -> None:
    """Each run takes the streams in another order, so that a run that ends early does not leave out the same ones."""
    for _ in range(4):
        Api(service)
    queried: list[str] = []

    def note(params: dict[str, Any], **_: Any) -> None:
        queried.append(params["ExpressionAttributeValues"][":stream"]["S"])

    dynamodb.meta.events.register("provide-client-params.dynamodb.Query", note)
    orders = set()
    for _ in range(12):
        queried.clear()
        fold_on_schedule(service)
        orders.add(tuple(dict.fromkeys(queried)))
    dynamodb.meta.events.unregister("provide-client-params.dynamodb.Query", note)
    assert len(orders) > 1  # by chance all are the same once in 24 to the power of 11
    assert {frozenset(order) for order in orders} == {frozenset(service.keys.streams())}


def test_the_oldest_of_all_streams_counts_in_whatever_turn(service: Service) -> None:
    """A run that has no time at all still looks how old what it leaves is, as long as that takes no time either."""
    for _ in range(3):
        Api(service)
    streams = list(service.keys.streams())
    for days, stream in enumerate(streams, 1):
        service.logs.append(stream, Batch.of(cast("list[Log]", strategies.many_logs(1))), NOON - days * 24 * HOUR)
    for turns in permutations(streams):
        done = fold_all(service.logs, turns, lambda: NOON, NOON - 1)
        assert done == {"folded": 0, "left": 3, "oldest_age": 3 * 86_400, **FINE}
