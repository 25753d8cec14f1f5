"""GET /dashboard, /health and the web page's files, through the front door."""

from __future__ import annotations

from dataclasses import replace
from datetime import datetime, timedelta
from itertools import count as counting
from typing import TYPE_CHECKING, Any

import pytest

from analytics import api_key
from analytics.query.ranges import NOT_A_DATE
from analytics.store import KeyRecord, LogTable
from analytics.web import Service
from tests.conftest import NOON, Api, Clock, shared_client
from tests.functions.behind_gateway import operations
from tests.functions.wire import EMPTY_DELIVERY, UNAUTHORIZED, batch, delivery, log, send

if TYPE_CHECKING:
    from mypy_boto3_dynamodb import DynamoDBClient

RECEIVED = "2025-11-24T12:00:00.000000Z"
PERIODS = ("minutely", "hourly", "daily", "weekly", "monthly")
NO_SUMMARY = {
    "total_requests": 0,
    "unique_ips": 0,
    "avg_response_time": None,
    "min_response_time": None,
    "max_response_time": None,
    "error_rate": 0.0,
    "error_share": 0.0,
    "p50": None,
    "p95": None,
    "p99": None,
}
EXACT = {
    "percentiles": 0.01,
    "unique_ips": 0.0,
    "top_ips_low_by_at_most": 0,
    "methods_low_by_at_most": 0,
    "endpoints_low_by_at_most": 0,
    "consumers_low_by_at_most": 0,
    "requests_low_by_at_most": 0,
}
EMPTY = {
    "summary": NO_SUMMARY,
    "method_usage": {},
    "endpoint_stats": [],
    "status_codes": {},
    "top_ips": [],
    "top_consumers": [],
    "time_series": [],
    "delivery": EMPTY_DELIVERY,
    "range": {"start": None, "end": None, "period": "daily", "complete": True, "reached": None, "horizon": None},
    "precision": EXACT,
    "unavailable": {},
}


def dashboard(api: Api, **query: Any) -> Any:
    """All blocks."""
    answer = api.get("/dashboard", params=query)
    assert (answer.status_code, answer.headers["cache-control"]) == (200, "no-store"), answer.text
    return answer.json()


def total(api: Api, **query: Any) -> int:
    """How many requests match."""
    n: int = dashboard(api, **query)["summary"]["total_requests"]
    return n


def names(api: Api, **query: Any) -> list[tuple[str, int]]:
    """The points of the time series, and their requests."""
    return [(point["timestamp"], point["requests"]) for point in dashboard(api, **query)["time_series"]]


def near(milliseconds: float) -> Any:
    """A percentile: within one percent."""
    return pytest.approx(milliseconds, rel=0.01)


def point(timestamp: str, requests: int = 0, errors: int = 0, ms: float | None = None) -> dict[str, Any]:
    """A point of the time series whose requests all took as long."""
    return {
        "timestamp": timestamp,
        "requests": requests,
        "avg_time": ms,
        "error_rate": round(errors / requests, 4) if requests else 0.0,
        "error_share": round(errors / requests, 6) if requests else 0.0,
        "errors_count": errors,
        "p50": ms,
        "p95": ms,
        "p99": ms,
    }


# -- every block -------------------------------------------------------------------------------------------------------


def test_every_block_of_a_small_dashboard(api: Api) -> None:
    """Six requests over three days, every number worked out by hand."""
    send(
        api,
        log(created_at="2025-11-22T23:59:59.999999Z", process_time=10),
        log(created_at="2025-11-22T10:00:00Z", process_time=30, ip="192.0.2.2", consumer="acme"),
        log(process_time=20, status_code=404, consumer="acme"),
        log(method="POST", endpoint="/orders", process_time=200, status_code=201, ip=None, consumer="bolt"),
        log(method="POST", endpoint="/orders", process_time=200, status_code=500, ip="2001:db8::1"),
        log(method="HEAD", endpoint="/", process_time=0, status_code=304, ip="192.0.2.2"),
    )
    assert dashboard(api) == {
        "summary": {
            "total_requests": 6,
            "unique_ips": 3,
            "avg_response_time": 76.67,
            "min_response_time": 0.0,
            "max_response_time": 200.0,
            "error_rate": 33.33,
            "error_share": 0.333333,
            "p50": near(20),
            "p95": near(200),
            "p99": near(200),
        },
        "method_usage": {"GET": 3, "POST": 2, "HEAD": 1},
        "endpoint_stats": [
            {
                "endpoint": "/books/{id}",
                "is_other": False,
                "requests": 3,
                "avg_time": 20.0,
                "errors_count": 1,
                "error_share": 0.333333,
                "p50": near(20),
                "p95": near(30),
                "p99": near(30),
            },
            {
                "endpoint": "/orders",
                "is_other": False,
                "requests": 2,
                "avg_time": 200.0,
                "errors_count": 1,
                "error_share": 0.5,
                "p50": 200.0,
                "p95": 200.0,
                "p99": 200.0,
            },
            {
                "endpoint": "/",
                "is_other": False,
                "requests": 1,
                "avg_time": 0.0,
                "errors_count": 0,
                "error_share": 0.0,
                "p50": 0.0,
                "p95": 0.0,
                "p99": 0.0,
            },
        ],
        "status_codes": {"200": 2, "201": 1, "304": 1, "404": 1, "500": 1},
        "top_ips": [
            {"ip": "192.0.2.1", "requests": 2},
            {"ip": "192.0.2.2", "requests": 2},
            {"ip": "2001:db8::1", "requests": 1},
        ],
        "top_consumers": [
            {"consumer": "acme", "is_other": False, "requests": 2, "errors_count": 1},
            {"consumer": "bolt", "is_other": False, "requests": 1, "errors_count": 0},
        ],
        "time_series": [
            point("2025-11-22", 2, ms=20.0) | {"p50": near(10), "p95": near(30), "p99": near(30)},
            point("2025-11-23"),
            point("2025-11-24", 4, 2, ms=105.0) | {"p50": near(20), "p95": near(200), "p99": near(200)},
        ],
        "delivery": EMPTY_DELIVERY | {"accepted": 6, "last_received_at": RECEIVED},
        "range": {"start": None, "end": None, "period": "daily", "complete": True, "reached": None, "horizon": None},
        "precision": EXACT,
        "unavailable": {},
    }


@pytest.mark.parametrize("period", PERIODS)
def test_a_dashboard_without_logs_is_zeros_nulls_and_empty_lists(api: Api, period: str) -> None:
    """Never an error, in any period, with or without a range; the points of a range are there, with zeros."""
    start = "2025-11-17" if period == "minutely" else "2025-11-01"
    asked = {"start": f"{start}T00:00:00.000000Z", "end": "2025-11-24T00:00:00.000000Z"}
    assert dashboard(api, period=period) == EMPTY | {"range": EMPTY["range"] | {"period": period}}  # type: ignore[operator]
    in_november = dashboard(api, period=period, start_date=start, end_date="2025-11-23")
    number, first, last = {
        "minutely": (10_080, "2025-11-17T00:00Z", "2025-11-23T23:59Z"),
        "hourly": (23 * 24, "2025-11-01T00:00Z", "2025-11-23T23:00Z"),
        "daily": (23, "2025-11-01", "2025-11-23"),
        "weekly": (4, "2025-10-27", "2025-11-17"),
        "monthly": (1, "2025-11", "2025-11"),
    }[period]
    series = in_november.pop("time_series")
    assert (len(series), series[0], series[-1]) == (number, point(first), point(last))
    rest = {name: block for name, block in EMPTY.items() if name != "time_series"}
    assert in_november == rest | {
        "range": asked | {"period": period, "complete": True, "reached": None, "horizon": None}
    }


def test_a_filter_that_nothing_matches_is_an_empty_dashboard(api: Api) -> None:
    """But how complete the numbers are does not depend on what is filtered."""
    send(api, log())
    assert dashboard(api, method="PUT") == EMPTY | {
        "delivery": EMPTY_DELIVERY | {"accepted": 1, "last_received_at": RECEIVED}
    }


def test_a_key_sees_its_own_logs_only(api: Api, service: Service) -> None:
    """Another key's dashboard is empty."""
    send(api, log())
    assert dashboard(Api(service)) == EMPTY


def test_a_log_counts_for_as_many_requests_as_it_weighs(api: Api) -> None:
    """In every block: a sampled log stands for those that were not sent."""
    send(
        api,
        log(weight=3, process_time=10, consumer="acme"),
        log(process_time=50, status_code=500, ip="192.0.2.2", consumer="acme"),
    )
    blocks = dashboard(api)
    assert blocks["summary"] == NO_SUMMARY | {
        "total_requests": 4,
        "unique_ips": 2,
        "avg_response_time": 20.0,
        "min_response_time": 10.0,
        "max_response_time": 50.0,
        "error_rate": 25.0,
        "error_share": 0.25,
        "p50": near(10),
        "p95": near(50),
        "p99": near(50),
    }
    assert blocks["method_usage"] == {"GET": 4}
    assert blocks["status_codes"] == {"200": 3, "500": 1}
    assert blocks["top_ips"] == [{"ip": "192.0.2.1", "requests": 3}, {"ip": "192.0.2.2", "requests": 1}]
    assert blocks["top_consumers"] == [{"consumer": "acme", "is_other": False, "requests": 4, "errors_count": 1}]
    assert [each["requests"] for each in blocks["endpoint_stats"] + blocks["time_series"]] == [4, 4]
    assert blocks["delivery"]["accepted"] == 4


DURATIONS: list[tuple[list[float], float, float, float, float]] = [  # milliseconds: sent; average, p50, least, most
    ([0.012], 0.012, 0.012, 0.012, 0.012),
    ([0.004, 0.004, 0.005], 0.004333, 0.004, 0.004, 0.005),
    ([0.001, 0.0, 0.0], 0.0003333, 0.0, 0.0, 0.001),
    ([0.0], 0.0, 0.0, 0.0, 0.0),
    ([0.987], 0.987, 0.987, 0.987, 0.987),
    ([1.2345, 1.2355], 1.235, 1.234, 1.234, 1.236),
    ([9.8765], 9.876, 9.876, 9.876, 9.876),
    ([18.263], 18.26, 18.26, 18.26, 18.26),
    ([18.269], 18.27, 18.27, 18.27, 18.27),
    ([123.456, 123.457], 123.46, 123.46, 123.46, 123.46),
    ([86_399_999.999], 86_400_000.0, 86_400_000.0, 86_400_000.0, 86_400_000.0),
]


def test_durations_are_shown_to_four_digits(api: Api) -> None:
    """And two decimals at least: of microseconds as of days, in every block that has any."""
    for number, (sent, average, p50, least, most) in enumerate(DURATIONS):
        endpoint = f"/{number}"
        send(api, *(log(process_time=ms, endpoint=endpoint) for ms in sent), batch_id=endpoint[1:])
        blocks = dashboard(api, endpoint=endpoint)
        summary = blocks["summary"]
        names = ("avg_response_time", "min_response_time", "max_response_time")
        assert [summary[name] for name in names] == [average, least, most], sent
        assert summary["p50"] == near(p50), sent
        assert least <= summary["p50"] <= summary["p95"] <= summary["p99"] <= most, sent
        for row in (blocks["endpoint_stats"][0], blocks["time_series"][0]):
            assert (row["avg_time"], row["p50"]) == (average, summary["p50"]), sent


def test_the_share_of_errors_is_told_in_one_unit(api: Api) -> None:
    """`error_share` is 0 to 1 in every block; `error_rate` is percent in the summary and 0 to 1 in the time series."""
    send(api, log(weight=9_999), log(status_code=500, weight=2))
    blocks = dashboard(api)
    assert (blocks["summary"]["error_rate"], blocks["time_series"][0]["error_rate"]) == (0.02, 0.0002)
    shares = [row["error_share"] for row in (blocks["summary"], blocks["endpoint_stats"][0], blocks["time_series"][0])]
    assert shares == [0.0002] * 3
    send(api, log(status_code=404, weight=5_000), batch_id="b2")
    blocks = dashboard(api)
    assert (blocks["summary"]["error_rate"], blocks["time_series"][0]["error_rate"]) == (33.34, 0.3334)
    shares = [row["error_share"] for row in (blocks["summary"], blocks["endpoint_stats"][0], blocks["time_series"][0])]
    assert shares == [0.333444] * 3


@pytest.mark.parametrize("top", [1, 2, 1000])
def test_top_is_the_length_of_the_ranked_lists(api: Api, top: int) -> None:
    """Ten without it; equals come by name; the summary is of all."""
    logs = [log(endpoint=f"/{n:02}", ip=f"192.0.2.{n}", consumer=f"c{n:02}") for n in range(12)]
    send(api, *logs, log(endpoint="/11", ip="192.0.2.11", consumer="c11"))
    for wanted, query in ((10, {}), (min(top, 12), {"top": top})):
        blocks = dashboard(api, **query)
        order = [11, *range(11)][:wanted]
        assert [each["endpoint"] for each in blocks["endpoint_stats"]] == [f"/{n:02}" for n in order]
        assert [each["consumer"] for each in blocks["top_consumers"]] == [f"c{n:02}" for n in order]
        assert len(blocks["top_ips"]) == wanted
        assert blocks["summary"]["total_requests"] == 13


# -- filters and ranges ------------------------------------------------------------------------------------------------


FILTERS: list[tuple[dict[str, Any], int]] = [
    ({}, 4),
    ({"method": "GET"}, 3),
    ({"method": "get"}, 0),
    ({"endpoint": "/a"}, 2),
    ({"endpoint": "/"}, 0),
    ({"endpoint": "/ü?x=1&y=+"}, 1),
    ({"status_code": 200}, 2),
    ({"status_code": "404"}, 1),
    ({"consumer": "acme"}, 2),
    ({"method": "GET", "endpoint": "/a", "status_code": 200, "consumer": "acme"}, 1),
    ({"method": "POST", "status_code": 404}, 0),
    ({"status_code": [404, 500]}, 2),
    ({"status_code": [500, 404, 404]}, 2),
    ({"status_code": [200, 599]}, 2),
    ({"method": ["GET", "POST"]}, 4),
    ({"method": ["GET", "POST"], "status_code": [404, 500, 503], "endpoint": ["/a", "/a/b"]}, 1),
    ({"endpoint": ["/a", "/a/b"]}, 3),
    ({"consumer": ["acme", "bolt", "bolt"]}, 3),
    ({"consumer": ["bolt", "nobody"]}, 1),
    ({"consumer": ["nobody", "else"]}, 0),
    ({"ip": ["192.0.2.1", "::ffff:192.0.2.7"], "method": "POST"}, 1),
    ({"ip": ["192.0.2.7", "192.0.2.8"]}, 1),
    ({"consumer": ["acme", "bolt"], "ip": ["192.0.2.1", "192.0.2.8"]}, 2),
]


def test_filters_narrow_what_is_counted(api: Api) -> None:
    """Each must hold, with any of its values; an endpoint is matched whole, a method in its case.

    Every block counts the same requests.
    """
    send(
        api,
        log(endpoint="/a", consumer="acme"),
        log(endpoint="/a/b", status_code=404, consumer="acme"),
        log(endpoint="/a", method="POST", consumer="bolt", ip="192.0.2.7"),
        log(endpoint="/ü?x=1&y=+", status_code=500),
    )
    for query, requests in FILTERS:
        blocks = dashboard(api, **query)
        counted = (
            blocks["summary"]["total_requests"],
            sum(blocks["method_usage"].values()),
            sum(blocks["status_codes"].values()),
            sum(each["requests"] for each in blocks["time_series"]),
        )
        assert (query, counted) == (query, (requests,) * 4)


RANGES: list[tuple[dict[str, Any], int]] = [
    ({"start_date": "2025-11-23"}, 4),
    ({"end_date": "2025-11-23"}, 3),
    ({"start_date": "2025-11-23", "end_date": "2025-11-23"}, 2),
    ({"start_date": "2025-11-23T00:00:00"}, 4),
    ({"end_date": "2025-11-23T00:00:00"}, 1),
    ({"end_date": "2025-11-23T23:59:59.999999Z"}, 2),
    ({"end_date": "2025-11-24T00:00:00Z"}, 3),
    ({"start_date": "2025-11-23T00:00:00.000001Z"}, 3),
    ({"start_date": "2025-11-24T01:00:00+02:00"}, 3),
    ({"end_date": "2025-11-24T02:00:00+02:00"}, 3),
    ({"end_date": "2025-11-23T19:00:00-05:00"}, 3),
    ({"start_date": "2025-11-23 00:00:00", "end_date": "2025-11-23 23:59:59"}, 1),
    ({"start_date": "2025-11-23 00:00", "end_date": "2025-11-24 00:00"}, 2),
    ({"start_date": "0001-01-01"}, 5),
    ({"start_date": "0001-01-01T00:00:00+23:59"}, 5),
    ({"start_date": "9999-12-31"}, 0),
    ({"end_date": "0001-01-01"}, 0),
]


def test_a_date_includes_its_day_and_a_datetime_excludes_its_moment(api: Api) -> None:
    """As an end; a start is inside either way. Without an offset it is UTC; a far past is the beginning."""
    moments = (
        "2025-11-22T23:59:59.999999Z",
        "2025-11-23T00:00:00Z",
        "2025-11-23T23:59:59.999999Z",
        "2025-11-24T00:00:00Z",
        "2025-11-24T12:00:00Z",
    )
    send(api, *(log(created_at=moment) for moment in moments))
    assert [(query, total(api, **query, period="monthly")) for query, _ in RANGES] == RANGES


def test_a_range_may_end_where_time_does(api: Api) -> None:
    """The answer is of the years 1970 to 9999, and its series ends today: nothing is of later."""
    query = {"start_date": "0001-01-01T00:00:00+23:59", "end_date": "9999-12-31T23:59:59.999999-23:59"}
    asked = {"start": "1970-01-01T00:00:00.000000Z", "end": "9999-12-31T23:59:59.999999Z"}
    blocks = dashboard(api, **query, period="monthly")
    assert blocks["range"] == asked | {"period": "monthly", "complete": True, "reached": None, "horizon": None}
    assert (blocks["time_series"][0], blocks["time_series"][-1]) == (point("1970-01"), point("2025-11"))
    assert dashboard(api, end_date="9999-12-31")["range"]["end"] == asked["end"]


def test_a_plus_may_arrive_as_a_space(api: Api) -> None:
    """`+02:00` typed into a URL without escaping means the same."""
    send(api, log(created_at="2025-11-24T09:59:59Z"), log(created_at="2025-11-24T10:00:00Z"))
    for text in ("2025-11-24T12:00:00%2B02:00", "2025-11-24T12:00:00+02:00", "2025-11-24T12:00:00%2002:00"):
        blocks = api.get(f"/dashboard?start_date={text}").json()
        assert blocks["range"]["start"] == "2025-11-24T10:00:00.000000Z"
        assert blocks["summary"]["total_requests"] == 1


def test_a_log_counts_when_it_happened_not_when_it_came(api: Api, clock: Clock) -> None:
    """A batch that a client could send only days later changes the days it is about."""
    send(api, log(created_at="2025-11-20T08:00:00Z"), batch_id="late")
    clock.advance(3 * 86_400)
    send(api, log(created_at="2025-11-20T09:00:00Z"), log(created_at="2025-11-27T09:00:00Z"), batch_id="later")
    assert names(api, start_date="2025-11-20", end_date="2025-11-21") == [("2025-11-20", 2), ("2025-11-21", 0)]


def test_a_clock_that_is_ahead_over_midnight_is_found(api: Api, clock: Clock) -> None:
    """A log of tomorrow, received today within the five minutes that are believed, is in tomorrow's range."""
    clock.at = NOON + (12 * 3600 - 60) * 1_000_000  # 23:59
    send(api, log(created_at="2025-11-25T00:03:00Z"))
    assert total(api, start_date="2025-11-25") == 1


def test_delivery_is_about_the_days_of_receipt_in_the_range(api: Api, clock: Clock) -> None:
    """What became of logs received on other days is not told."""
    api.post("/track/batch", json=batch(log(), log(method=""), batch_id="b1", dropped={"timeout": 2}))
    clock.advance(86_400)
    api.post("/track/batch", json=batch(log(), batch_id="b2", dropped={"timeout": 5}))
    one = {"accepted": 1, "last_received_at": "2025-11-25T12:00:00.000000Z"}
    assert dashboard(api, start_date="2025-11-25")["delivery"] == EMPTY_DELIVERY | one | {"dropped": {"timeout": 5}}
    first = dashboard(api, end_date="2025-11-24")["delivery"]
    assert first == EMPTY_DELIVERY | one | {"dropped": {"timeout": 2}, "rejected": {"invalid_method": 1}}
    assert delivery(api)["dropped"] == {"timeout": 7}


# -- comparison --------------------------------------------------------------------------------------------------------


def test_a_period_is_compared_with_the_one_before(api: Api) -> None:
    """As long a range just before, every block of it; and by what share each number of the summary changed."""
    yesterday = {"created_at": "2025-11-23T10:00:00Z", "process_time": 10}
    send(api, log(**yesterday), log(**yesterday, status_code=500), *[log(process_time=20)] * 3)
    asked = {"start_date": "2025-11-24", "end_date": "2025-11-24"}
    blocks = dashboard(api, **asked, compare="previous")
    assert blocks.pop("previous") == dashboard(api, start_date="2025-11-23", end_date="2025-11-23")
    assert blocks.pop("change") == {
        "summary": {
            "total_requests": 0.5,
            "unique_ips": 0.0,
            "avg_response_time": 1.0,
            "min_response_time": 1.0,
            "max_response_time": 1.0,
            "error_rate": -1.0,
            "error_share": -1.0,
            "p50": 1.0,
            "p95": 1.0,
            "p99": 1.0,
        }
    }
    assert blocks == dashboard(api, **asked)


def test_an_open_end_is_compared_up_to_now(api: Api) -> None:
    """Half a day so far is compared with the half day before it; nothing compared with is no change."""
    send(api, log(created_at="2025-11-24T11:00:00Z"), log(created_at="2025-11-23T11:59:59Z"))
    blocks = dashboard(api, start_date="2025-11-24", compare="previous")
    before = {"start": "2025-11-23T12:00:00.000000Z", "end": "2025-11-24T00:00:00.000000Z"}
    assert {name: blocks["previous"]["range"][name] for name in before} == before
    assert blocks["previous"]["summary"] == NO_SUMMARY
    assert blocks["previous"]["time_series"] == [point("2025-11-23")]
    assert set(blocks["change"]["summary"].values()) == {None}


def test_where_there_is_no_period_before_there_is_no_comparison(api: Api) -> None:
    """The start is open, or still to come; and no range begins before 1970, however long the one that is asked for."""
    for query in ({}, {"end_date": "2025-11-24"}, {"start_date": "9000-01-01"}, {"start_date": "2025-11-24T12:00:00Z"}):
        blocks = dashboard(api, **query, compare="previous")
        assert (query, blocks["previous"], blocks["change"]) == (query, None, None)
    asked = {"period": "monthly", "compare": "previous"}
    blocks = dashboard(api, start_date="1990-01-01", end_date="2025-11-24", **asked)
    assert blocks["previous"]["range"]["start"] == "1970-01-01T00:00:00.000000Z"
    assert dashboard(api, start_date="1990-01-01", end_date="9999-12-31", **asked)["previous"] == blocks["previous"]
    assert api.get("/dashboard?compare=next").status_code == 422


# -- the time series ---------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("period", "first", "last", "expected"),
    [
        (
            "minutely",
            "2025-11-23T23:58:59.999999Z",
            "2025-11-24T00:01:00Z",
            ["2025-11-23T23:58Z", "2025-11-23T23:59Z", "2025-11-24T00:00Z", "2025-11-24T00:01Z"],
        ),
        (
            "hourly",
            "2025-11-23T22:59:59.999999Z",
            "2025-11-24T01:00:00Z",
            ["2025-11-23T22:00Z", "2025-11-23T23:00Z", "2025-11-24T00:00Z", "2025-11-24T01:00Z"],
        ),
        (
            "daily",
            "2024-02-27T23:59:59.999999Z",
            "2024-03-01T00:00:00Z",
            ["2024-02-27", "2024-02-28", "2024-02-29", "2024-03-01"],
        ),
        (
            "weekly",
            "2025-10-26T23:59:59.999999Z",
            "2025-11-10T00:00:00Z",
            ["2025-10-20", "2025-10-27", "2025-11-03", "2025-11-10"],
        ),
        (
            "monthly",
            "2024-11-30T23:59:59.999999Z",
            "2025-02-01T00:00:00Z",
            ["2024-11", "2024-12", "2025-01", "2025-02"],
        ),
    ],
)
def test_gaps_are_filled_with_zeros(api: Api, period: str, first: str, last: str, expected: list[str]) -> None:
    """Between the first log and the last every point is there, across days, leap days, weeks and years."""
    send(api, log(created_at=first, process_time=7), log(created_at=last, process_time=7, status_code=400))
    until = (datetime.fromisoformat(last) + timedelta(microseconds=1)).isoformat()
    series = dashboard(api, period=period, end_date=until)["time_series"]
    begin, *gaps, end = expected
    assert series == [point(begin, 1, ms=7.0), *(point(gap) for gap in gaps), point(end, 1, 1, ms=7.0)]


def test_a_range_is_filled_from_its_start_to_its_end(api: Api) -> None:
    """Where a side is given the series goes to it, also without a log there; an open side is the first log, or now.

    It goes on to no day that is still to come, whatever the end.
    """
    send(api, log(created_at="2025-11-20T12:00:00Z"), log(created_at="2025-11-21T12:00:00Z"))
    days = [("2025-11-20", 1), ("2025-11-21", 1), ("2025-11-22", 0), ("2025-11-23", 0), ("2025-11-24", 0)]
    assert names(api) == days
    assert names(api, start_date="2025-11-19", end_date="2025-11-22") == [("2025-11-19", 0), *days[:3]]
    assert names(api, start_date="2025-11-19") == [("2025-11-19", 0), *days]
    assert names(api, end_date="2025-11-22T00:00:00Z") == days[:2]
    assert names(api, start_date="2025-11-21T13:00:00Z") == [("2025-11-21", 0), *days[2:]]
    assert names(api, start_date="2025-11-23", endpoint="/nothing") == days[3:]
    assert names(api, end_date="2025-11-19") == []
    for end in ("2025-11-24", "2025-11-25", "2099-01-01", "9999-12-31"):
        assert names(api, end_date=end) == days
        assert names(api, start_date="2025-11-20", end_date=end) == days
    hours = names(api, start_date="2025-11-24T10:00:00Z", period="hourly")
    assert hours == [("2025-11-24T10:00Z", 0), ("2025-11-24T11:00Z", 0), ("2025-11-24T12:00Z", 0)]
    assert names(api, start_date="2025-11-26", end_date="2025-11-30") == names(api, start_date="2025-11-26") == []


def test_a_series_goes_as_far_as_the_logs(api: Api, clock: Clock) -> None:
    """Beyond now where a client's clock is ahead, and beyond today where ours went back: no log is left out."""
    send(api, log(created_at="2025-11-24T12:04:00Z"))
    assert names(api, period="minutely")[-1] == ("2025-11-24T12:04Z", 1)
    for start in ({}, {"start_date": "2025-11-20"}):
        assert names(api, period="hourly", end_date="2025-11-24", **start)[-1] == ("2025-11-24T23:00Z", 0)
        assert names(api, period="hourly", **start)[-1] == ("2025-11-24T12:00Z", 1)
    clock.at = NOON + (12 * 3600 - 60) * 1_000_000  # 23:59
    send(api, log(created_at="2025-11-25T00:03:00Z"), batch_id="b2")
    assert names(api)[-1] == names(api, end_date="2099-01-01")[-1] == ("2025-11-25", 1)
    clock.at = NOON + 60_000_000
    for end in ({}, {"end_date": "2025-11-27"}):
        assert names(api, start_date="2025-11-24", **end) == [("2025-11-24", 1), ("2025-11-25", 1)]


def test_a_far_end_is_answered_with_logs_as_it_was_without(api: Api) -> None:
    """The series of an open start and an end in the next century is as long as the logs."""
    for expected in ([], [("2025-11-24", 1)]):
        assert names(api, end_date="2099-01-01") == expected
        assert len(names(api, end_date="2099-01-01", period="minutely")) == (12 * 60 if expected else 0)
        if not expected:
            send(api, log())


def test_a_point_that_the_range_cuts_counts_only_what_is_inside(api: Api) -> None:
    """From noon on, the day's point is half of it."""
    send(api, log(created_at="2025-11-24T11:59:59.999999Z"), log(created_at="2025-11-24T12:00:00Z"))
    assert names(api, start_date="2025-11-24T12:00:00Z", period="daily") == [("2025-11-24", 1)]
    assert names(api, start_date="2025-11-24T12:00:00Z", period="monthly") == [("2025-11", 1)]


@pytest.mark.parametrize(
    ("period", "start", "fits", "too_long"),
    [
        ("minutely", "2025-11-17T00:00:00Z", "2025-11-24T00:00:00Z", "2025-11-24T00:00:00.000001Z"),
        ("hourly", "2024-09-30T00:00:00Z", "2025-11-24T00:00:00Z", "2025-11-24T01:00:00Z"),
        ("daily", "1996-01-01T00:00:00Z", "2023-08-07T00:00:00Z", "2023-08-08T00:00:00Z"),
    ],
)
def test_a_series_has_ten_thousand_and_eighty_points_at_most(
    api: Api, dynamodb: DynamoDBClient, period: str, start: str, fits: str, too_long: str
) -> None:
    """A week of minutes fits; a microsecond more is refused, naming the period, before any log is read."""
    send(api, log(created_at="2025-11-20T00:00:00Z"))
    series = dashboard(api, period=period, start_date=start, end_date=fits)["time_series"]
    assert len(series) == 10_080
    with operations(dynamodb) as made:
        answer = api.get("/dashboard", params={"period": period, "start_date": start, "end_date": too_long})
    assert set(made) <= {"GetItem"}  # of the key
    reason = f"Input should be a longer period: this range has more than 10080 {period} points"
    assert (answer.status_code, answer.json()) == (
        422,
        {
            "detail": "The range is too long for the period",
            "errors": [{"index": None, "field": "period", "reason": reason}],
        },
    )


# -- refusals ----------------------------------------------------------------------------------------------------------

ONCE = "Input should be given once"


NONSENSE = [
    ("start_date=yesterday", "start_date", NOT_A_DATE),
    ("start_date=", "start_date", NOT_A_DATE),
    ("end_date=2025-02-29", "end_date", NOT_A_DATE),
    ("end_date=1763985600", "end_date", NOT_A_DATE),
    ("end_date=2025-11-24T25:00:00", "end_date", NOT_A_DATE),
    ("start_date=%00", "start_date", NOT_A_DATE),
    ("start_date=2025-W48", "start_date", NOT_A_DATE),
    ("start_date=20251124", "start_date", NOT_A_DATE),
    ("end_date=2025-328", "end_date", NOT_A_DATE),
    ("end_date=2025-11-24T24:00", "end_date", NOT_A_DATE),
    ("end_date=2025-11-24T23:59:60Z", "end_date", NOT_A_DATE),
    ("start_date=%ff%fe", "start_date", NOT_A_DATE),
    ("start_date=2025-11-24&end_date=2025-11-23", "end_date", "Input should be after start_date"),
    ("start_date=2025-11-24T12:00&end_date=2025-11-24T12:00", "end_date", "Input should be after start_date"),
    ("period=yearly", "period", "Input should be 'minutely', 'hourly', 'daily', 'weekly' or 'monthly'"),
    ("period=Daily", "period", "Input should be 'minutely', 'hourly', 'daily', 'weekly' or 'monthly'"),
    ("status_code=0", "status_code", "Input should be greater than or equal to 100"),
    ("status_code=600", "status_code", "Input should be less than or equal to 599"),
    (
        "status_code=2xx",
        "status_code",
        "Input should be a valid integer, unable to parse string as an integer",
    ),
    ("top=0", "top", "Input should be greater than or equal to 1"),
    ("top=1001", "top", "Input should be less than or equal to 1000"),
    ("from=2025-11-24", "from", "Extra inputs are not permitted"),
    ("Method=GET", "Method", "Extra inputs are not permitted"),
    ("limit=5", "limit", "Extra inputs are not permitted"),
    ("status_code=404&status_code=4", "status_code", "Input should be greater than or equal to 100"),
    (
        "status_code=404&status_code=",
        "status_code",
        "Input should be a valid integer, unable to parse string as an integer",
    ),
    ("status_code=404,500", "status_code", "Input should be a valid integer, unable to parse string as an integer"),
    ("consumer=acme&consumer=", "consumer", "String should have at least 1 character"),
    ("endpoint=", "endpoint", "String should have at least 1 character"),
    ("method=GET&method=", "method", "String should have at least 1 character"),
    ("ip=192.0.2.1&ip=nowhere", "ip", "Input should be an IPv4 or IPv6 address, or null"),
    ("start_date=2025-11-23&start_date=2025-11-24", "start_date", ONCE),
    ("end_date=2025-11-24&end_date=2025-11-24", "end_date", ONCE),
    ("period=daily&top=5&period=daily", "period", ONCE),
    ("top=5&top=6", "top", ONCE),
    ("compare=previous&compare=previous", "compare", ONCE),
]


def test_a_question_that_makes_no_sense_is_refused(api: Api) -> None:
    """422 names the parameter and the reason; a parameter that is not known would otherwise lie by being ignored."""
    send(api, log())
    for query, field, reason in NONSENSE:
        answer = api.get(f"/dashboard?{query}")
        assert (query, answer.status_code, set(answer.json())) == (query, 422, {"detail", "errors"})
        assert answer.json()["errors"] == [{"index": None, "field": field, "reason": reason}]


@pytest.mark.parametrize("path", ["/dashboard", "/raw_logs"])
def test_without_a_good_key_nothing_is_shown(api: Api, path: str) -> None:
    """Missing, malformed and unknown keys are one and the same, and come before a question that makes no sense."""
    for text in (None, "", "wrong", api_key.generate(), api.key.lower()):
        headers = {} if text is None else {"X-API-Key": text}
        answer = api.request("GET", f"{path}?start_date=2025-11-24", headers=headers)
        assert (answer.status_code, answer.json()) == (401, UNAUTHORIZED)


def test_a_key_does_what_its_scope_says(api: Api, service: Service) -> None:
    """One that writes cannot read, one that reads cannot write: 403, in one sentence."""
    expected = {"read": (200, 200, 403, 403), "write": (403, 403, 200, 200), "full": (200, 200, 200, 200)}
    for scope, statuses in expected.items():
        api.key = api_key.generate()
        service.keys.add(KeyRecord(api_key.hashed(api.key), api_key.new_id(), "stream", scope, NOON))
        answers = (
            api.get("/dashboard"),
            api.get("/raw_logs"),
            api.post("/track", json=log()),
            api.post("/track/batch", json=batch(log(), batch_id=scope)),
        )
        assert tuple(answer.status_code for answer in answers) == statuses
        refusal = {"detail": f"This key has the scope {scope}, which does not allow this"}
        assert all(answer.json() == refusal for answer in answers if answer.status_code == 403)


def test_an_expired_key_is_no_key(api: Api, service: Service, clock: Clock) -> None:
    """The same 401 as any other."""
    api.key = api_key.generate()
    service.keys.add(KeyRecord(api_key.hashed(api.key), api_key.new_id(), "stream", "full", NOON, NOON + 10_000_000))
    assert api.get("/dashboard").status_code == 200
    clock.advance(10)
    answer = api.get("/dashboard")
    assert (answer.status_code, answer.json()) == (401, UNAUTHORIZED)


def test_a_mistake_of_ours_shows_nothing_of_our_inside(service: Service) -> None:
    """A table that is not there is a 500 without any detail."""
    api = Api(replace(service, logs=LogTable(shared_client(), "no-such-table")))
    for path in ("/dashboard", "/raw_logs"):
        answer = api.get(path)
        assert (answer.status_code, answer.json()) == (500, {"detail": "Internal Server Error"})


def test_a_fold_that_takes_too_long_says_so(service: Service) -> None:
    """After 20 seconds the answer is of what was folded by then, and `complete` is false."""
    api = Api(service)
    for number in range(30):
        send(api, log(), batch_id=f"b{number}")
    seconds = counting()
    slow = Api(replace(service, now=lambda: NOON + next(seconds) * 1_000_000))  # each look at the clock takes a second
    slow.key = api.key
    blocks = dashboard(slow)
    assert blocks["range"] == {
        "start": None,
        "end": None,
        "period": "daily",
        "complete": False,
        "reached": RECEIVED,
        "horizon": None,
    }
    assert blocks["summary"]["total_requests"] == 20
    assert blocks["delivery"]["accepted"] == 20


# -- the rest of the function ------------------------------------------------------------------------------------------


def test_health_tells_the_time_to_anybody(api: Api, clock: Clock) -> None:
    """Without a key, and without a look at a table."""
    clock.advance(1.5)
    answer = api.request("GET", "/health")
    assert (answer.status_code, answer.json()) == (200, {"status": "ok", "time": "2025-11-24T12:00:01.500000Z"})
    assert answer.headers["cache-control"] == "no-store"


@pytest.mark.parametrize(
    "path",
    ["/assets/nothing.js", "/assets/app.py", "/assets/%2e%2e%2fapp.py", "/assets/static", "/assets/"],
)
def test_only_the_page_is_served(api: Api, path: str) -> None:
    """No other file of the function can be had."""
    answer = api.request("GET", path)
    assert answer.status_code == 404
    assert set(answer.json()) == {"detail"}


@pytest.mark.parametrize(
    ("method", "path", "status"),
    [("GET", "/nothing", 404), ("POST", "/dashboard", 405), ("GET", "/track", 405), ("GET", "/generate_key", 405)],
)
def test_a_route_that_is_not_there_is_answered_as_json(api: Api, method: str, path: str, status: int) -> None:
    """Like every other error."""
    answer = api.request(method, path, headers={"X-API-Key": api.key})
    assert (answer.status_code, answer.json()) == (
        status,
        {"detail": "Not Found" if status == 404 else "Method Not Allowed"},
    )
