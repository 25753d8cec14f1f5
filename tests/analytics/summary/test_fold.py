"""Folds through the API: what was stored, when, and that every range answers as a plain computation does."""

from __future__ import annotations

import random
from dataclasses import replace
from datetime import timedelta
from itertools import count
from typing import Any, cast

import pytest

from analytics.batch import Batch
from analytics.query.answer import MAX_RAW
from analytics.schema import Log
from analytics.store import LogTable
from analytics.summary.counter import SHOWN_OTHER
from analytics.summary.fold import BYTES_A_LOG, LONG_TAIL
from analytics.summary.limits import MAX_ENDPOINTS
from analytics.summary.rollup import Rollup
from analytics.web import Service
from functions.dashboard.app import fold_on_schedule
from tests.analytics import strategies
from tests.conftest import NOON, Api, Clock, shared_client
from tests.support import reference

DAY, HOUR = 86_400, 3_600  # seconds
Logs = list[dict[str, Any]]


def stream_of(service: Service) -> str:
    """The one stream there is."""
    (stream,) = service.keys.streams()
    return stream


def store(service: Service, logs: Logs, received: int) -> None:
    """Logs as a batch received then."""
    service.logs.append(stream_of(service), Batch.of(cast("list[Log]", logs)), received)


def forget_raw_logs(service: Service, before: str = "9999") -> None:
    """Delete the batches that were received before a time, as DynamoDB does when they have expired."""
    client, table = shared_client(), service.settings.logs_table
    for item in client.scan(TableName=table)["Items"]:
        if "L#" < item["timestamp"]["S"] < f"L#{before}":
            client.delete_item(TableName=table, Key={name: item[name] for name in ("api_key", "timestamp")})


def rollups(service: Service) -> list[str]:
    """The windows that are stored, and up to when."""
    stored = [*service.logs.rollups(stream_of(service), "", "~", service.now())]
    return [f"{rollup.start} up to {rollup.until[:19]}" for rollup in stored]


def some_logs(chance: random.Random, around: int, number: int, spread: int = DAY) -> Logs:
    """Logs of about a moment, up to `spread` seconds before it."""
    return [log | {"created_at": around - chance.randrange(spread * 1_000_000)} for log in strategies.many_logs(number)]


@pytest.fixture
def traffic(api: Api, service: Service, clock: Clock) -> Logs:
    """Forty days of logs, with ten without any, received as they were made, a day late, from a clock an hour wrong, or
    a year late; some batches are of two days."""
    chance, every = random.Random(7), Logs()
    for day in (*range(40, 30, -1), *range(20, -1, -1)):
        for hour in (0, 3, 9, 23):
            received = NOON - day * DAY * 1_000_000 + (hour - 12) * HOUR * 1_000_000 + 600_000_000
            for late in (0, 0, DAY, HOUR, 365 * DAY if day == 20 else 0):
                logs = some_logs(chance, received - late * 1_000_000, 12, HOUR)
                store(service, logs, received)
                every += logs
        if day % 7 == 0:  # somebody looks now and then: folds are stored in between
            clock.at = NOON - day * DAY * 1_000_000 + 12 * HOUR * 1_000_000
            api.get("/dashboard")
    clock.at = NOON + DAY * 1_000_000
    return every


def hold_to_plain(api: Api, wanted: Logs, period: str = "daily", **query: Any) -> None:
    """The dashboard says of these logs what a plain computation says, and percentiles within 1 %."""
    answer = api.get("/dashboard", params={"period": period, **query})
    assert answer.status_code == 200, answer.text
    blocks = answer.json()
    assert blocks["range"]["complete"]
    assert blocks["unavailable"] == {}
    assert reference.wrong_percentiles(blocks, wanted, period) == [], query
    blocks["time_series"] = [point for point in blocks["time_series"] if point["requests"]]
    plain = reference.dashboard(wanted, period)
    assert {name: reference.without_percentiles(blocks[name]) for name in plain} == plain, query


def test_every_range_and_period_is_answered_as_a_plain_computation_does(
    api: Api, service: Service, traffic: Logs
) -> None:
    """From rollups that were stored on the way: whole days, hours, minutes, months, a year ago, filters, everything."""
    api.get("/dashboard")  # stores the rest
    assert len(rollups(service)) > 25
    moments = [(NOON - at * HOUR * 1_000_000) // (HOUR * 1_000_000) * HOUR * 1_000_000 for at in range(0, 1_100, 131)]
    questions: list[tuple[int | None, int | None, str]] = [(None, None, period) for period in ("daily", "monthly")]
    for first, last in zip(moments[2:], moments, strict=False):
        questions.append((first, last, "hourly"))
        questions.append((first, last + 1_234_567, "daily"))  # parts of hours: from raw logs
    questions.append((moments[0] - 30 * 60_000_000, None, "minutely"))
    questions.append((NOON - 420 * DAY * 1_000_000, NOON - 300 * DAY * 1_000_000, "weekly"))
    for start, end, period in questions:
        wanted = [log for log in traffic if (start or 0) <= log["created_at"] < (end or 10**20)]
        query = {}
        if start is not None:
            query["start_date"] = reference.moment(start).isoformat()
        if end is not None:
            query["end_date"] = reference.moment(end).isoformat()
        hold_to_plain(api, wanted, period, **query)


def test_filters_are_answered_as_a_plain_computation_does(api: Api, traffic: Logs) -> None:
    """By method, endpoint, status code, and all of them."""
    for by in ({"method": "GET"}, {"endpoint": "/orders"}, {"status_code": 404}, {"method": "POST", "endpoint": "/"}):
        wanted = [log for log in traffic if all(log[name] == value for name, value in by.items())]
        hold_to_plain(api, wanted, **by)


def test_what_rollups_cannot_tell_is_null_with_its_reason(api: Api, service: Service, traffic: Logs) -> None:
    """When raw logs are no longer kept: addresses behind a filter are null, a part of an hour becomes the whole one."""
    api.get("/dashboard")
    forget_raw_logs(service)
    blocks = api.get("/dashboard", params={"method": "GET"}).json()
    assert blocks["summary"]["total_requests"] == sum(log["method"] == "GET" for log in traffic)
    assert (blocks["summary"]["unique_ips"], blocks["top_ips"]) == (None, None)
    assert sorted(blocks["unavailable"]) == ["summary.unique_ips", "top_ips"]
    asked = {"start_date": "2025-11-01T10:20:00", "end_date": "2025-11-01T20:40:00", "period": "minutely"}
    blocks = api.get("/dashboard", params=asked).json()
    assert blocks["range"] == {
        "start": "2025-11-01T10:00:00.000000Z",
        "end": "2025-11-01T21:00:00.000000Z",
        "period": "hourly",
        "complete": True,
        "reached": None,
        "horizon": None,
    }
    assert sorted(blocks["unavailable"]) == ["time_series"]
    refused = api.get("/dashboard", params={"consumer": "ann"})
    assert (refused.status_code, refused.json()["errors"][0]["field"]) == (422, "consumer")
    assert len(traffic) < MAX_RAW  # so it was their age, not their number


class CountingTable(LogTable):
    """The table, noting whose slots were read."""

    read: list[str]

    def intervals(self, stream: str, rollup: Rollup) -> bytes:
        """Read them as ever."""
        self.read.append(rollup.start)
        return super().intervals(stream, rollup)


def test_slots_are_read_where_days_do_not_tell(api: Api, service: Service, traffic: Logs) -> None:
    """Whole days, by the day and by the hour, read none; a range that begins within a day only where that day is."""
    api.get("/dashboard")
    counting = CountingTable(shared_client(), service.settings.logs_table)
    looking = Api(replace(service, logs=counting))
    looking.key = api.key
    asked: list[tuple[dict[str, str], list[str]]] = [
        ({}, []),
        ({"period": "hourly", "start_date": "2025-11-20", "end_date": "2025-11-24"}, []),
        ({"method": "GET"}, []),
        ({"start_date": "2025-11-21T09:00", "end_date": "2025-11-24"}, ["2025-11-21", "2025-11-22", "2025-11-23"]),
    ]
    for query, windows in asked:
        counting.read = []
        assert looking.get("/dashboard", params=query).status_code == 200
        assert sorted(window for window in counting.read if window < "2025-11-24") == windows, query


def test_a_short_tail_is_counted_and_not_stored(api: Api, service: Service, clock: Clock) -> None:
    """A key with little traffic costs no writes; a long tail is stored up to what may still be under way."""
    store(service, strategies.many_logs(LONG_TAIL - 1, days=1), NOON)
    clock.advance(3_600)
    assert api.get("/dashboard").json()["summary"]["total_requests"] == LONG_TAIL - 1
    assert rollups(service) == []
    clock.advance(3_600)
    store(service, strategies.many_logs(1, days=1), clock.at - 61_000_000)
    store(service, strategies.many_logs(7, days=1), clock.at - 59_000_000)
    for _ in range(2):  # the first raises the watermark, the second stores up to there
        assert api.get("/dashboard").json()["summary"]["total_requests"] == LONG_TAIL + 7
    assert rollups(service) == ["2025-11-24 up to 2025-11-24T13:59:00"]
    assert api.get("/dashboard").json()["summary"]["total_requests"] == LONG_TAIL + 7


def test_a_tail_is_stored_when_reading_it_again_costs_more(api: Api, service: Service, clock: Clock) -> None:
    """What is stored of a day already is written anew with it: the heavier that is, the longer a tail may get."""
    store(service, strategies.many_logs(5_000, days=1), NOON)
    clock.advance(3_600)
    api.get("/dashboard")
    (newest,) = service.logs.rollups(stream_of(service), "", "~", service.now())
    worth = newest.size // BYTES_A_LOG
    assert worth > 2 * LONG_TAIL
    store(service, strategies.many_logs(worth - 1, days=1), clock.at)
    clock.advance(3_600)
    assert api.get("/dashboard").json()["summary"]["total_requests"] == 5_000 + worth - 1
    assert rollups(service) == ["2025-11-24 up to 2025-11-24T12:59:00"]
    store(service, strategies.many_logs(1, days=1), clock.at)
    clock.advance(3_600)
    for _ in range(2):  # the first raises the watermark, the second stores up to there
        assert api.get("/dashboard").json()["summary"]["total_requests"] == 5_000 + worth
    assert rollups(service) == ["2025-11-24 up to 2025-11-24T14:59:00"]


def test_the_schedule_stores_every_tail(service: Service, clock: Clock) -> None:
    """Of every stream, however short; a second run finds nothing to do."""
    apis = [Api(service) for _ in range(3)]
    for api in apis:
        api.post("/track", json={**strategies.many_logs(1)[0], "created_at": reference.moment(NOON).isoformat()})
    clock.advance(61)
    assert fold_on_schedule(service) == {"folded": 3, "left": 0, "oldest_age": 0, "failed": 0, "unreadable": 0}
    for stream in service.keys.streams():
        assert [rollup.start for rollup in service.logs.rollups(stream, "", "~", service.now())] == ["2025-11-24"]
    assert fold_on_schedule(service) == {"folded": 3, "left": 0, "oldest_age": 0, "failed": 0, "unreadable": 0}
    assert [api.get("/dashboard").json()["summary"]["total_requests"] for api in apis] == [1, 1, 1]


def test_a_fold_cut_short_keeps_its_progress(api: Api, service: Service, clock: Clock) -> None:
    """Each answer goes on from where the one before had to stop, says how far it got, and the last one is whole."""
    for hour in range(30):
        store(service, strategies.many_logs(10, days=1), NOON - (40 - hour) * HOUR * 1_000_000)
    seconds = count()
    hasty = Api(replace(service, now=lambda: clock.at + next(seconds) * 1_000_000))  # each look takes a second
    hasty.key = api.key
    answers = [hasty.get("/dashboard").json() for _ in range(3)]
    assert [answer["range"]["complete"] for answer in answers] == [False, True, True]
    assert answers[0]["range"]["reached"] is not None
    assert answers[0]["summary"]["total_requests"] < 300
    assert answers[1]["summary"]["total_requests"] == 300


def test_no_item_is_too_large_whatever_is_sent(api: Api, service: Service, clock: Clock) -> None:
    """20,000 endpoints, addresses and consumers, and 500 pairs of method and status, in a day: counted, by (other)."""
    for part in range(20):
        logs = [
            {
                "created_at": NOON - number,
                "method": f"M{number % 50}",
                "endpoint": f"/{'x' * 100}/{part}/{number}",
                "ip": f"10.{part}.{number // 256}.{number % 256}",
                "process_time": float(number),
                "status_code": 100 + number % 500,
                "consumer": f"{part}-{number}",
            }
            for number in range(1_000)
        ]
        store(service, logs, NOON + part)
    clock.advance(3_600)
    for _ in range(2):  # folded now, then read back
        blocks = api.get("/dashboard", params={"top": 1000}).json()
        assert blocks["summary"]["total_requests"] == 20_000
        assert sum(blocks["status_codes"].values()) == 20_000
        assert abs(blocks["summary"]["unique_ips"] / 20_000 - 1) < blocks["precision"]["unique_ips"] < 0.01
        assert blocks["endpoint_stats"][0]["endpoint"] == SHOWN_OTHER
        assert len(blocks["endpoint_stats"]) <= MAX_ENDPOINTS
        assert sum(row["requests"] for row in blocks["endpoint_stats"]) == 20_000
        assert sum(row["requests"] for row in blocks["top_consumers"]) == 20_000
    assert len(rollups(service)) == 1


def test_an_import_of_years_is_stored_in_several_windows(api: Api, service: Service, clock: Clock) -> None:
    """20,000 logs of as many hours, received at once, still answer by the hour, from rollups that fit into items."""
    hour = timedelta(hours=1)
    logs = [
        {
            "created_at": NOON - number * int(hour.total_seconds()) * 1_000_000,
            "method": "GET",
            "endpoint": "/",
            "ip": "10.0.0.1",
            "process_time": 1.0,
            "status_code": 200,
        }
        for number in range(20_000)
    ]
    for part in range(20):
        store(service, logs[part * 1_000 : (part + 1) * 1_000], NOON + part)
    clock.advance(3_600)
    assert api.get("/dashboard", params={"period": "monthly"}).json()["summary"]["total_requests"] == 20_000
    assert len(rollups(service)) > 1
    query = {"period": "hourly", "start_date": "2024-11-24", "end_date": "2025-11-24"}
    assert {point["requests"] for point in api.get("/dashboard", params=query).json()["time_series"][:-11]} == {1}


def test_hours_of_ordinary_traffic_keep_latency_by_endpoint(api: Api, service: Service, clock: Clock) -> None:
    """A few thousand logs a day, folded and read back: percentiles of a part of a day behind a filter are there."""
    for hour in range(24):
        store(
            service,
            some_logs(random.Random(hour), NOON + hour * HOUR * 1_000_000, 100, HOUR),
            NOON + hour * HOUR * 1_000_000,
        )
    clock.advance(2 * DAY)
    api.get("/dashboard")
    forget_raw_logs(service)
    query = {
        "endpoint": "/orders",
        "start_date": "2025-11-24T15:00",
        "end_date": "2025-11-24T20:00",
        "period": "hourly",
    }
    blocks = api.get("/dashboard", params=query).json()
    assert sorted(blocks["unavailable"]) == ["summary.unique_ips", "top_ips"]
    assert all(point["p95"] is not None for point in blocks["time_series"])
