"""Questions that are meant to cost much or to break something: huge ranges, odd numbers and dates, forged cursors."""

from __future__ import annotations

import base64
import json
from typing import TYPE_CHECKING, Any

import pytest

from analytics.query.cursor import Cursor
from analytics.query.ranges import MAX_POINTS, Period
from analytics.schema import MAX_PROBLEMS
from analytics.times import isoformat
from analytics.web import Service
from tests.conftest import NOON, Api, Clock
from tests.functions.behind_gateway import operations
from tests.functions.wire import log, send
from tests.support.raw_http import RunningServer

if TYPE_CHECKING:
    from mypy_boto3_dynamodb import DynamoDBClient

MOST_CALLS = 6  # of DynamoDB, for one question: the key, the last summary, what came since, those before, raw logs
YEAR = "start_date=2024-11-24&end_date=2025-11-24"
EVER = "start_date=0001-01-01&end_date=9999-12-31"
RANGES = [YEAR, EVER, "start_date=0001-01-01"]
FEW = {(YEAR, "daily"), (YEAR, "hourly"), (YEAR, "weekly"), (YEAR, "monthly")}  # points


@pytest.fixture
def old(api: Api, clock: Clock) -> Api:
    """A key whose first log is two years older than its last, both in a summary."""
    send(api, log(created_at="2023-11-24T00:00:00Z"), batch_id="old")
    clock.advance(120)
    send(api, log(), batch_id="new")
    clock.advance(120)
    assert api.get("/dashboard").status_code == 200
    return api


@pytest.mark.parametrize("period", Period)
def test_a_huge_range_costs_no_more_than_a_small_one(old: Api, dynamodb: DynamoDBClient, period: Period) -> None:
    """The table is asked a few times, however far it reaches; a series with too many points is refused by name."""
    for asked in RANGES:
        for compared, most in (("", MOST_CALLS), ("&compare=previous", 2 * MOST_CALLS)):
            with operations(dynamodb) as made:
                answer = old.get(f"/dashboard?period={period}&top=1000&{asked}{compared}")
            assert sum(made.values()) <= most
            if answer.status_code == 200:
                assert len(answer.json()["time_series"]) <= MAX_POINTS
            else:
                assert (answer.status_code, [each["field"] for each in answer.json()["errors"]]) == (422, ["period"])
                assert (asked, period) not in FEW


ODD = [
    "process_time_min=1e308",
    "process_time_max=1e308",
    "process_time_max=1.7976931348623157e308&process_time_min=1e307",
    "process_time_min=-0.0",
    "process_time_min=5e-324",
    "process_time_max=" + "9" * 300,
    "process_time_max=1" + "0" * 5_000,
    "status_code=" + "9" * 5_000,
    "status_code=%D9%A2%D9%A0%D9%A0",
    "limit=" + "9" * 5_000,
    "limit=1_0",
    "limit=%2b1",
    "limit=1e2",
    "limit=0x10",
    "limit=5&limit=6",
    "start_date=0001-01-01T00:00:00%2B23:59",
    "start_date=9999-12-31T23:59:59.999999-23:59",
    "end_date=0001-01-01T00:00:00%2B23:59",
    "end_date=9999-12-31",
    "start_date=2025-W01-1",
    "start_date=20250101",
    "start_date=2025-01-01T00:00:60",
    "start_date=2025-01-01T24:00:00",
    "start_date=2025-01-01T00:00:00." + "0" * 5_000,
    "start_date=" + "%EF%BC%92025-01-01",
    "start_date=2025-01-01%00",
    "start_date=" + "-" * 5_000,
    "ip=::ffff:1.2.3.4%25" + "a" * 5_000,
    "ip=1.2.3.4%00",
    "ip=" + ":" * 64,
    "method=" + "(a%2B)%2B" * 500,
    "endpoint=" + "a" * 9_000,
    "endpoint=%ff%fe%00",
    "endpoint=%ED%A0%80",
    "consumer=%0d%0a",
    "cursor=" + "A" * 256,
    "&&&===&%ff=%fe",
]


def test_an_odd_value_is_understood_or_refused(old: Api) -> None:
    """By both questions; never a failure of ours."""
    for query in ODD:
        for path in ("/raw_logs", "/dashboard"):
            answer = old.get(f"{path}?{query}")
            assert answer.status_code in (200, 422), query
            assert answer.status_code == 200 or len(answer.content) < 512


def test_a_time_that_no_request_takes_is_no_limit(api: Api) -> None:
    """The largest number there is means "any", as the largest of a week does."""
    send(api, log(process_time=86_400_000), log(process_time=0))
    assert len(api.get("/raw_logs?process_time_max=1e308").json()) == 2
    assert len(api.get("/raw_logs?process_time_min=86400000&process_time_max=1e308").json()) == 1
    assert api.get("/raw_logs?process_time_min=1e308").json() == []


@pytest.mark.parametrize("path", ["/dashboard", "/raw_logs"])
def test_thousands_of_unknown_parameters_are_a_short_answer(api: Api, path: str) -> None:
    """As many as a request line holds would come back forty times as long."""
    answer = api.get(f"{path}?" + "&".join(f"{number:x}" for number in range(2_000)))
    assert answer.status_code == 422
    assert len(answer.json()["errors"]) == MAX_PROBLEMS


# -- cursors (more of them in tests/functions/test_raw_logs.py and tests/analytics/query/test_cursor.py) ----


def forged(plain: str) -> str:
    """A cursor's text of any content."""
    return base64.urlsafe_b64encode(plain.encode()).decode().rstrip("=")


def test_a_cursor_of_another_stream_reads_nothing_of_it(api: Api, service: Service, clock: Clock) -> None:
    """It is a time and a name; whose logs are read is for the key to say, whatever the time and the name."""
    theirs = Api(service)
    for number in range(3):
        clock.advance(1)
        send(theirs, log(endpoint="/secret"), log(endpoint="/secret"), batch_id=f"secret{number}")
        clock.advance(1)
        send(api, log(endpoint="/mine"), batch_id=f"mine{number}")
    cursors = [each["id"] for each in theirs.get("/raw_logs").json()]
    assert len(cursors) == 6
    times = [NOON + number * 1_000_000 for number in range(10)]
    cursors += [Cursor(f"L#{isoformat(at)}#{name}", 5).encode() for at in times for name in ("zz", "secret1", "a.9")]
    seen: set[str] = set()
    for cursor in cursors:
        answer = api.get("/raw_logs", params={"cursor": cursor})
        assert answer.status_code == 200
        seen |= {row["endpoint"] for row in answer.json()}
    assert seen == {"/mine"}


INTERNAL = [
    "stream#s",
    "quota#s",
    "R#2025-11-24",
    "B#mine",
    "L#~",
    "L#",
    "",
    "L#2025-11-24T12:00:00.000000Z#x",
]


def test_a_forged_cursor_reads_no_other_item(api: Api, service: Service, clock: Clock) -> None:
    """Summaries and marks of batches lie in the same partition; a cursor that names one is none."""
    send(api, *(log() for _ in range(300)), batch_id="mine")
    clock.advance(120)
    assert api.get("/dashboard").status_code == 200
    for plain in INTERNAL:
        for position in ("/0", "/99999999999999999999", "/-1", "/\u0661", "", "/1e5", "/0x1"):
            text = plain + position
            answer = api.get("/raw_logs", params={"cursor": forged(text)})
            expected = 200 if text in ("", "L#2025-11-24T12:00:00.000000Z#x/0") else 422
            assert (text, answer.status_code) == (text, expected)


# -- what a page and an answer may weigh -------------------------------------------------------------------------------

WIDE = "\U0001f600"  # four bytes in UTF-8, twelve where JSON is ASCII
TEXTS: dict[str, dict[str, Any]] = {
    mark: {
        "endpoint": mark * 512,
        "path": mark * 512,
        "user_agent": mark * 256,
        "consumer": mark * 128,
        "method": "~" * 16,
        "ip": "2001:db8:1111:2222:3333:4444:5555:6666",
    }
    for mark in (WIDE, '"', "\\", "é", "a")
}


@pytest.mark.parametrize("mark", TEXTS)
@pytest.mark.parametrize("accept", ["application/json", "text/csv"])
def test_a_page_fits_into_an_answer_whatever_is_in_it(server: RunningServer, mark: str, accept: str) -> None:
    """A thousand of the longest logs are more than Lambda gives back: the page is short, and links to the next."""
    key = server.sign_up()
    with server.client() as client:
        client.headers.update({"X-API-Key": key, "Accept": accept})
        for number in range(10):
            logs = [log(**TEXTS[mark]) for _ in range(100)]
            body = json.dumps({"batch_id": f"b{number}", "logs": logs}, ensure_ascii=False).encode()
            assert client.post("/track/batch", content=body).json()["accepted"] == 100
        url, rows = "/raw_logs?limit=1000", 0
        while url:
            answer = client.get(url)
            assert answer.status_code == 200
            rows += len(answer.json()) if accept == "application/json" else answer.text.count("\r\n") - 1
            url = answer.headers.get("link", "").partition(">")[0].removeprefix("<")
    assert rows == 1_000


def test_an_answer_that_is_too_large_is_refused_by_us(server: RunningServer) -> None:
    """A thousand of the longest endpoints and consumers, twice: 422 says what to ask for instead."""
    with server.client() as client:
        client.headers["X-API-Key"] = server.sign_up()
        for number, day in enumerate([20] * 8 + [21] * 8):
            logs = [
                log(
                    endpoint=WIDE * 500 + f"{number}-{at}",
                    consumer=WIDE * 120 + f"{number}-{at}",
                    created_at=f"2025-11-{day}T00:00:00Z",
                )
                for at in range(125)
            ]
            body = json.dumps({"batch_id": f"b{number}", "logs": logs}, ensure_ascii=False).encode()
            assert client.post("/track/batch", content=body).json()["accepted"] == 125
        query: dict[str, str | int] = {
            "start_date": "2025-11-21",
            "end_date": "2025-11-21",
            "top": 1000,
            "compare": "previous",
        }
        answer = client.get("/dashboard", params=query)
        assert answer.status_code == 422
        assert answer.json()["detail"].startswith("The answer would be larger than 6 MB: ask for less")
        assert answer.headers["cache-control"] == "no-store"
        assert client.get("/dashboard", params=query | {"top": 100}).status_code == 200
