"""GET /raw_logs: filters, pages and exports, through the front door."""

from __future__ import annotations

import base64
import csv
import io
import json
import random
from dataclasses import replace
from itertools import count as counting
from typing import Any
from urllib.parse import parse_qs, urlsplit

import pytest

from analytics.query.cursor import Cursor
from analytics.query.export import COLUMNS
from analytics.query.ranges import NOT_A_DATE
from analytics.web import Service
from tests.conftest import NOON, Api, Clock
from tests.functions.wire import log, row, send, stored


def pages(api: Api, **query: Any) -> list[list[dict[str, Any]]]:
    """Every page, by following the Link header to its end."""
    url, found = "/raw_logs", []
    options: dict[str, Any] = {"params": query}
    for _ in range(500):
        answer = api.get(url, **options)
        assert answer.status_code == 200, answer.text
        found.append(answer.json())
        link = answer.headers.get("link")
        if link is None:
            return found
        assert link.startswith("</raw_logs?")
        assert link.endswith('>; rel="next"')
        url, options = link[1:].partition(">")[0], {}
    raise AssertionError("the pages do not end")


def numbers(logs: list[dict[str, Any]]) -> list[int]:
    """What tells the logs of these tests apart: their duration in milliseconds."""
    return [round(each["process_time"]) for each in logs]


def fill(api: Api, clock: Clock, sizes: list[int]) -> list[int]:
    """Send batches of these sizes a second apart, logs numbered through; returns the numbers, newest received first."""
    number, sent = 0, []
    for batch, size in enumerate(sizes):
        logs = [log(process_time=number + at, status_code=200 + (number + at) % 3) for at in range(size)]
        number += size
        sent += [round(each["process_time"]) for each in logs]
        send(api, *logs, batch_id=f"b{batch}")
        clock.advance(1)
    return sent[::-1]


# -- the answer --------------------------------------------------------------------------------------------------------


def test_logs_come_newest_received_first(api: Api, clock: Clock) -> None:
    """By receipt, and within a batch by their own time; each with an id of its own."""
    send(api, log(created_at="2025-11-24T11:00:00Z"), log(created_at="2025-11-24T10:00:00Z"), batch_id="b1")
    clock.advance(1)
    send(api, log(created_at="2025-11-20T09:00:00Z"), batch_id="b2")
    answer = api.get("/raw_logs")
    ids = [each.pop("id") for each in answer.json()]
    assert [list(each) for each in answer.json()] == [list(COLUMNS)] * 3
    assert stored(api) == [
        row(created_at="2025-11-20T09:00:00.000000Z"),
        row(created_at="2025-11-24T11:00:00.000000Z"),
        row(created_at="2025-11-24T10:00:00.000000Z"),
    ]
    assert len(set(ids)) == 3
    assert [each["id"] for each in api.get("/raw_logs").json()] == ids
    assert "link" not in answer.headers
    assert (answer.headers["cache-control"], answer.headers["vary"]) == ("no-store", "Accept")


def test_without_logs_the_list_is_empty(api: Api) -> None:
    """Not an error."""
    answer = api.get("/raw_logs")
    assert (answer.status_code, answer.json(), "link" in answer.headers) == (200, [], False)


FILTERS: list[tuple[dict[str, Any], list[int]]] = [
    ({}, [4, 3, 2, 1, 0]),
    ({"method": "GET"}, [3, 2, 0]),
    ({"status_code": 404}, [2]),
    ({"endpoint": "/books"}, [4, 2, 1, 0]),
    ({"endpoint": "{id}"}, [1, 0]),
    ({"endpoint": "OOKS"}, []),
    ({"endpoint": "%+é"}, [3]),
    ({"ip": "192.0.2.1"}, [4, 0]),
    ({"ip": "2001:DB8:0::1"}, [1]),
    ({"ip": "::ffff:192.0.2.9"}, [2]),
    ({"consumer": "acme"}, [1, 0]),
    ({"process_time_min": 2}, [4, 3, 2]),
    ({"process_time_max": 2}, [2, 1, 0]),
    ({"process_time_min": 1, "process_time_max": 3}, [3, 2, 1]),
    ({"process_time_min": 0, "process_time_max": 0}, [0]),
    ({"process_time_max": 0.0005}, [0]),
    ({"process_time_min": 3, "process_time_max": 1}, []),
    ({"method": "GET", "endpoint": "/books", "process_time_max": 1}, [0]),
    ({"start_date": "2025-11-24T10:02:00Z"}, [4, 3, 2]),
    ({"end_date": "2025-11-24T10:02:00Z"}, [1, 0]),
    ({"start_date": "2025-11-24", "end_date": "2025-11-24"}, [4, 3, 2, 1, 0]),
    ({"start_date": "2025-11-25"}, []),
    ({"end_date": "2025-11-23"}, []),
    ({"limit": 2, "status_code": 599}, []),
    ({"status_code": [404, 404, 500]}, [2]),
    ({"method": ["PUT", "POST"]}, [4, 1]),
    ({"endpoint": ["{id}", "100%"]}, [3, 1, 0]),
    ({"ip": ["2001:DB8:0::1", "::ffff:192.0.2.9", "192.0.2.9"]}, [2, 1]),
    ({"consumer": ["bolt", "acme"]}, [4, 1, 0]),
    ({"consumer": ["bolt", "acme"], "method": ["GET", "PUT"]}, [4, 0]),
    ({"process_time_min": 0.0005}, [4, 3, 2, 1]),
    ({"process_time_min": 1.0004, "process_time_max": 2.9996}, [2]),
]


def test_filters_narrow_the_logs(api: Api) -> None:
    """Each must hold, with any of its values.

    An endpoint is matched anywhere in it, addresses by what they mean, zero is a value.
    """
    send(
        api,
        log(created_at="2025-11-24T10:00:00Z", process_time=0, consumer="acme"),
        log(created_at="2025-11-24T10:01:00Z", process_time=1, method="POST", ip="2001:db8::1", consumer="acme"),
        log(created_at="2025-11-24T10:02:00Z", process_time=2, endpoint="/books", status_code=404, ip="192.0.2.9"),
        log(created_at="2025-11-24T10:03:00Z", process_time=3, endpoint="/100%+é", ip=None),
        log(created_at="2025-11-24T10:04:00Z", process_time=4, endpoint="/v1/books", method="PUT", consumer="bolt"),
    )
    assert [(query, numbers(stored(api, **query))) for query, _ in FILTERS] == FILTERS


ONCE = "Input should be given once"
NOT_A_CURSOR = "Input should be a cursor from a Link header"


NONSENSE = [
    ("limit=0", "limit", "Input should be greater than or equal to 1"),
    ("limit=1001", "limit", "Input should be less than or equal to 1000"),
    ("limit=ten", "limit", "Input should be a valid integer, unable to parse string as an integer"),
    ("ip=nowhere", "ip", "Input should be an IPv4 or IPv6 address, or null"),
    ("status_code=0", "status_code", "Input should be greater than or equal to 100"),
    ("process_time_min=-1", "process_time_min", "Input should be greater than or equal to 0"),
    ("process_time_min=nan", "process_time_min", "Input should be a finite number"),
    ("process_time_max=inf", "process_time_max", "Input should be a finite number"),
    ("process_time_max=1e999", "process_time_max", "Input should be a finite number"),
    ("start_date=2025-11-24&end_date=2025-11-23", "end_date", "Input should be after start_date"),
    ("end_date=tomorrow", "end_date", NOT_A_DATE),
    ("period=daily", "period", "Extra inputs are not permitted"),
    ("offset=10", "offset", "Extra inputs are not permitted"),
    ("cursor=" + "x" * 257, "cursor", "String should have at most 256 characters"),
    ("cursor=x", "cursor", NOT_A_CURSOR),
    ("limit=5&limit=6", "limit", ONCE),
    ("cursor=&cursor=", "cursor", ONCE),
    ("process_time_min=1&process_time_min=2", "process_time_min", ONCE),
    ("process_time_max=1&process_time_max=1", "process_time_max", ONCE),
    ("end_date=2025-11-24&end_date=2025-11-25", "end_date", ONCE),
    ("status_code=200&status_code=600", "status_code", "Input should be less than or equal to 599"),
    ("endpoint=", "endpoint", "String should have at least 1 character"),
    ("cursor=%00%ff", "cursor", NOT_A_CURSOR),
    ("cursor=%E2%9C%93", "cursor", NOT_A_CURSOR),
]


def test_a_question_that_makes_no_sense_is_refused(api: Api) -> None:
    """422 names the parameter and the reason."""
    send(api, log())
    for query, field, reason in NONSENSE:
        answer = api.get(f"/raw_logs?{query}")
        assert (query, answer.status_code) == (query, 422)
        assert answer.json()["errors"] == [{"index": None, "field": field, "reason": reason}]


def test_a_forged_cursor_is_refused_or_leads_nowhere_else(api: Api, service: Service) -> None:
    """What is no cursor is 422; what has the form of one only moves within the data of the key it is used with."""
    other = Api(service)
    send(other, log(endpoint="/secret"), log(endpoint="/secret"))
    send(api, log())
    theirs = other.get("/raw_logs", params={"limit": 1}).json()[0]["id"]
    receipt = "L#2025-11-24T12:00:00.000000Z"
    forms = (
        "B#b1/0",
        f"R#{receipt}/0",
        f"{receipt}#b1",
        f"{receipt}#b1/-1",
        f"{receipt}#b1/01",
        f"{receipt}#b 1/0",
        "/0",
    )
    for text in [*forms, receipt + "#b1/9999999", f"{receipt}#b1/0\n", "L##/0"]:
        forged = base64.urlsafe_b64encode(text.encode()).decode().rstrip("=")
        answer = api.get("/raw_logs", params={"cursor": forged})
        assert answer.status_code == 422, text
        assert answer.json()["errors"][0] == {"index": None, "field": "cursor", "reason": NOT_A_CURSOR}
    for suffix in ("=", "==", "\n", " "):
        assert api.get("/raw_logs", params={"cursor": theirs + suffix}).status_code == 422
    harmless = (theirs, Cursor("L#9999-99-99T99:99:99.999999Z#zz", 999_999), Cursor(f"{receipt}#b1", 999_999))
    for cursor in harmless:
        answer = api.get("/raw_logs", params={"cursor": cursor if isinstance(cursor, str) else cursor.encode()})
        assert (answer.status_code, {each["endpoint"] for each in answer.json()} <= {"/books/{id}"}) == (200, True)
    past = Cursor("L#0000-00-00T00:00:00.000000Z#a", 0).encode()
    assert api.get("/raw_logs", params={"cursor": past, "start_date": "2025-11-24"}).json() == []


# -- pages -------------------------------------------------------------------------------------------------------------


def test_the_next_page_has_the_same_filters(api: Api, clock: Clock) -> None:
    """Also those that are given several times."""
    expected = [number for number in fill(api, clock, [7, 5, 3]) if number % 3]
    found = pages(api, limit=2, status_code=[201, 202], method=["GET", "PUT"])
    assert [number for page in found for number in numbers(page)] == expected


@pytest.mark.parametrize("limit", [1, 2, 3, 7, 10, 100, 1000])
def test_the_pages_show_every_log_once_in_order(api: Api, clock: Clock, limit: int) -> None:
    """Over batches of many sizes, whatever the size of a page; all pages but the last are full."""
    expected = fill(api, clock, [1, 1, 5, 0, 10, 3, 1, 20, 2])
    found = pages(api, limit=limit)
    assert [number for page in found for number in numbers(page)] == expected
    assert {len(page) for page in found[:-1]} <= {limit}
    assert 0 < len(found[-1]) <= limit
    assert len({each["id"] for page in found for each in page}) == len(expected)


def test_pages_keep_their_filters(api: Api, clock: Clock) -> None:
    """The Link carries every parameter over, escaped."""
    expected = fill(api, clock, [4, 4, 4, 30])
    query = {
        "limit": 3,
        "status_code": 201,
        "endpoint": "{id}",
        "process_time_min": 2,
        "start_date": "2025-11-24T14:00:00+02:00",
        "end_date": "2025-11-24",
    }
    found = pages(api, **query)
    assert [number for page in found for number in numbers(page)] == [n for n in expected if n >= 2 and n % 3 == 1]
    link = api.get("/raw_logs", params=query).headers["link"]
    carried = parse_qs(urlsplit(link[1:].partition(">")[0]).query)
    assert carried.pop("cursor")
    assert carried == {name: [str(value)] for name, value in query.items()}


def test_new_logs_do_not_move_the_pages(api: Api, clock: Clock) -> None:
    """Whoever follows the links sees what was there at the first page, each once, however much arrives meanwhile."""
    expected = fill(api, clock, [5, 5, 5])
    seen, url = [], "/raw_logs?limit=4"
    for number in range(10):
        answer = api.get(url)
        seen += numbers(answer.json())
        send(api, log(process_time=1000 + number), log(process_time=2000 + number), batch_id=f"new{number}")
        clock.advance(1)
        if "link" not in answer.headers:
            break
        url = answer.headers["link"][1:].partition(">")[0]
    assert seen == expected


def test_a_full_last_page_has_no_next(api: Api, clock: Clock) -> None:
    """Where the logs end with the page there is no link to an empty one; a filter's last match counts as the end."""
    fill(api, clock, [2, 2])
    assert [len(page) for page in pages(api, limit=4)] == [4]
    assert [len(page) for page in pages(api, limit=2)] == [2, 2]
    assert [numbers(page) for page in pages(api, limit=1, process_time_min=3)] == [[3]]


def test_pages_of_a_thousand_reach_over_many_batches(api: Api, clock: Clock) -> None:
    """Random sizes up to a thousand, the largest page."""
    chance = random.Random(7)
    expected = fill(api, clock, [chance.choice((1, 10, 300, 1000)) for _ in range(8)])
    assert [number for page in pages(api, limit=1000) for number in numbers(page)] == expected


def test_a_search_that_takes_too_long_gives_what_it_has(service: Service) -> None:
    """After eight seconds the page ends short, even empty, with a link that goes on where it stopped."""
    api = Api(service)
    for number in range(20):
        send(api, log(process_time=number, status_code=404 if number == 1 else 200), batch_id=f"b{number:02}")
    seconds = counting()
    slow = Api(replace(service, now=lambda: NOON + next(seconds) * 1_000_000))  # each look at the clock takes a second
    slow.key = api.key
    found = pages(slow, status_code=404)
    assert [numbers(page) for page in found] == [[], [], [1]]


def test_no_log_comes_twice_after_a_page_that_was_cut_short(service: Service) -> None:
    """The next page begins after the batch at which the search stopped, whichever of its logs were shown."""
    api = Api(service)
    for number in range(10):
        send(api, *[log(process_time=10 * number + at) for at in range(3)], batch_id=f"b{number}")
    seconds = counting()
    slow = Api(replace(service, now=lambda: NOON + next(seconds) * 3_000_000))  # a page ends after three batches
    slow.key = api.key
    found = pages(slow)
    assert len(found) > 2
    expected = [10 * number + at for number in reversed(range(10)) for at in reversed(range(3))]
    assert [number for page in found for number in numbers(page)] == expected


# -- exports -----------------------------------------------------------------------------------------------------------

CELLS = {
    "plain": "plain",
    "=1+1": "'=1+1",
    "+cmd|'/C calc'!A0": "'+cmd|'/C calc'!A0",
    "-2+3": "'-2+3",
    "@SUM(A1)": "'@SUM(A1)",
    'say "hi"': 'say "hi"',
    "a,b;c": "a,b;c",
    "'quoted'": "'quoted'",
    " =1": " =1",
    "ü✓😀\u2028x": "ü✓😀\u2028x",
    "0001": "0001",
}


def test_csv_is_safe_to_open_in_a_spreadsheet(api: Api) -> None:
    """What would run as a formula has an apostrophe before it; quotes and commas come back as they were."""
    send(api, *(log(endpoint=text, consumer=text, user_agent=text, path=text, method="-X") for text in CELLS))
    answer = api.get("/raw_logs", headers={"Accept": "text/csv"})
    assert answer.status_code == 200
    assert answer.headers["content-type"] == "text/csv; charset=utf-8"
    assert answer.headers["content-disposition"] == 'attachment; filename="logs.csv"'
    header, *lines = csv.reader(io.StringIO(answer.content.decode(), newline=""))
    assert header == list(COLUMNS)
    ids = [each["id"] for each in api.get("/raw_logs").json()]
    assert lines == [
        [id_, "2025-11-24T12:00:00.000000Z", "'-X", text, "192.0.2.1", "12.5", "200", text, text, text, "1"]
        for id_, text in zip(ids, reversed(CELLS.values()), strict=True)
    ]
    assert answer.text.count("\r\n") == len(CELLS) + 1


def test_csv_leaves_null_empty(api: Api) -> None:
    """And without logs it is the line of names."""
    accept = {"Accept": "text/csv"}
    assert api.get("/raw_logs", headers=accept).text == ",".join(COLUMNS) + "\r\n"
    send(api, log(ip=None))
    line = api.get("/raw_logs", headers=accept).text.splitlines()[1]
    assert line.partition(",")[2] == "2025-11-24T12:00:00.000000Z,GET,/books/{id},,12.5,200,,,,1"


def test_ndjson_is_the_same_rows_one_a_line(api: Api) -> None:
    """Every line is the JSON of one row, whatever is in it."""
    send(api, *(log(endpoint=text, consumer=text) for text in CELLS))
    answer = api.get("/raw_logs", headers={"Accept": "application/x-ndjson"})
    assert answer.headers["content-type"] == "application/x-ndjson"
    text = answer.content.decode()
    assert text.endswith("\n")
    assert [json.loads(line) for line in text.removesuffix("\n").split("\n")] == api.get("/raw_logs").json()
    assert api.get("/raw_logs?method=PUT", headers={"Accept": "application/x-ndjson"}).content == b""


@pytest.mark.parametrize(
    ("accept", "media_type"),
    [
        ("TEXT/CSV", "text/csv"),
        ("text/csv;q=0", "application/json"),
        ("text/csv;q=0, */*", "application/json"),
        ("text/*;q=0.3, application/x-ndjson;q=0.2", "text/csv"),
        ("application/json;q=0.5, Application/X-NDJSON", "application/x-ndjson"),
        ("text/html, */*;q=0.8", "application/json"),
        ("image/png", "application/json"),
    ],
)
def test_the_form_of_a_page_is_the_one_that_is_liked_best(api: Api, accept: str, media_type: str) -> None:
    """By weight, in any case, with wildcards; JSON where nothing else is wished for. One header line or several."""
    lines = [("X-API-Key", api.key), *(("Accept", item) for item in accept.split(","))]
    for headers in ({"X-API-Key": api.key, "Accept": accept}, lines):
        answer = api.request("GET", "/raw_logs", headers=headers)
        assert answer.headers["content-type"].partition(";")[0] == media_type


@pytest.mark.parametrize("accept", ["text/csv", "application/x-ndjson", "application/json", "*/*", ""])
def test_every_form_of_a_page_links_to_the_next(api: Api, clock: Clock, accept: str) -> None:
    """An export goes on like the list does."""
    fill(api, clock, [3])
    answer = api.get("/raw_logs?limit=2", headers={"Accept": accept})
    second = api.get("/raw_logs?limit=2").json()[1]["id"]
    assert answer.headers["link"] == f'</raw_logs?limit=2&cursor={second}>; rel="next"'
    assert answer.headers["vary"] == "Accept"
