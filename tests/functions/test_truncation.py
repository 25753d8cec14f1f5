"""More names than a day keeps: what is counted as other is told, in lists and behind filters."""

from __future__ import annotations

from collections import Counter
from typing import TYPE_CHECKING, Any

import pytest

from tests.conftest import SETTINGS, Api, Clock
from tests.functions.wire import log, send
from tests.support.engines import STACK

if TYPE_CHECKING:
    from mypy_boto3_dynamodb import DynamoDBClient

DAY = 86_400
PATHS = 900
Logs = list[dict[str, Any]]


def sent_by_day(api: Api, clock: Clock, dynamodb: DynamoDBClient, *days: Logs) -> None:
    """Send logs day by day, and let all of them be folded; then the raw logs expire."""
    for number, logs in enumerate(days):
        for first in range(0, len(logs), 1_000):
            send(api, *logs[first : first + 1_000], batch_id=f"b{number}-{first}")
        clock.advance(DAY)
    clock.advance(100 * DAY)
    api.get("/dashboard")
    (table,) = (each for each in STACK.tables if each.create["TableName"] == SETTINGS.logs_table)
    names = [key["AttributeName"] for key in table.create["KeySchema"]]
    for item in dynamodb.scan(TableName=SETTINGS.logs_table)["Items"]:
        if item[names[1]]["S"].startswith("L#"):
            dynamodb.delete_item(TableName=SETTINGS.logs_table, Key={name: item[name] for name in names})


def scans(day: int, weight: int, **fields: Any) -> Logs:
    """A day of requests for as many different paths, each by a consumer of its own."""
    at = f"2025-11-{24 + day}T12:00:00Z"
    return [log(created_at=at, endpoint=f"/e/{n}", consumer=f"c{n}", weight=weight, **fields) for n in range(PATHS)]


def some(day: int, requests: int, **fields: Any) -> dict[str, Any]:
    """A log that stands for so many requests of `/checkout`."""
    fields = {"endpoint": "/checkout", "consumer": "shop"} | fields
    return log(created_at=f"2025-11-{24 + day}T12:00:00Z", weight=requests, **fields)


@pytest.fixture
def crowded(api: Api, clock: Clock, dynamodb: DynamoDBClient) -> Api:
    """Two days on which `/checkout` had 40 requests and 2: it is kept by name on the first, dropped on the second."""
    literal = [some(0, 50, endpoint=name, consumer=name) for name in ("(other)", "(unmatched)")]
    sent_by_day(api, clock, dynamodb, [*scans(0, 10), some(0, 40), *literal], [*scans(1, 10), some(1, 2)])
    return api


def ask(api: Api, **query: Any) -> Any:
    """All blocks."""
    answer = api.get("/dashboard", params={"top": 1_000, **query})
    assert answer.status_code == 200, answer.text
    return answer.json()


@pytest.mark.parametrize(
    ("ranked", "name", "top"), [("endpoint_stats", "endpoint", "/checkout"), ("top_consumers", "consumer", "shop")]
)
def test_a_name_that_is_dropped_on_some_days_is_low_by_at_most_what_is_told(
    crowded: Api, ranked: str, name: str, top: str
) -> None:
    """For every name there was, also for those that are not in the list; the rest is one row that says so."""
    blocks = ask(crowded)
    shown = {row[name]: row["requests"] for row in blocks[ranked] if not row["is_other"]}
    low = blocks["precision"][f"{name}s_low_by_at_most"]
    prefix = "/e/" if name == "endpoint" else "c"
    truth = {f"{prefix}{n}": 20 for n in range(PATHS)} | {top: 42, "(other)": 50, "(unmatched)": 50}
    assert shown[top] == 40
    assert all(shown.get(each, 0) <= n <= shown.get(each, 0) + low for each, n in truth.items())
    assert low == 20
    (rest,) = [row for row in blocks[ranked] if row["is_other"]]
    assert rest[name] == "(other)"
    assert rest["requests"] + sum(shown.values()) == sum(truth.values())


def test_a_filter_is_low_by_at_most_what_is_told(crowded: Api) -> None:
    """And says the same of a name as the list; several names may each be low."""
    truth = {"/e/699": 20, "/checkout": 42, "/nothing": 0, "/e/1": 20}
    rows = {row["endpoint"]: row for row in ask(crowded)["endpoint_stats"]}
    for endpoint, requests in truth.items():
        blocks = ask(crowded, endpoint=endpoint)
        found, low = blocks["summary"]["total_requests"], blocks["precision"]["requests_low_by_at_most"]
        assert found <= requests <= found + low
        assert found == rows.get(endpoint, {"requests": 0})["requests"]
        consumers = sum(row["requests"] for row in blocks["top_consumers"])
        assert consumers <= requests <= consumers + blocks["precision"]["consumers_low_by_at_most"]
    assert ask(crowded, endpoint="/e/699")["summary"]["total_requests"] == 0
    hidden = [f"/e/{n}" for n in range(600, 700)]
    blocks = ask(crowded, endpoint=hidden)
    assert blocks["summary"]["total_requests"] + blocks["precision"]["requests_low_by_at_most"] >= 20 * len(hidden)


def test_a_client_that_sends_the_names_of_ours_is_no_trick(crowded: Api) -> None:
    """They are names as others: a row of their own, which a filter finds alone."""
    blocks = ask(crowded)
    for name in ("(other)", "(unmatched)"):
        for ranked, field in (("endpoint_stats", "endpoint"), ("top_consumers", "consumer")):
            rows = [row["requests"] for row in blocks[ranked] if row[field] == name and not row["is_other"]]
            assert (ranked, name, rows) == (ranked, name, [50])
        assert ask(crowded, endpoint=name)["summary"]["total_requests"] == 50
    assert crowded.get("/dashboard?endpoint=").status_code == 422


def test_a_status_code_is_never_other(crowded: Api) -> None:
    """A filter by it misses nothing."""
    blocks = ask(crowded, status_code=200)
    assert blocks["summary"]["total_requests"] == 2 * PATHS * 10 + 142
    assert blocks["precision"]["requests_low_by_at_most"] == 0


def test_methods_beyond_their_limit_are_low_by_at_most_what_is_told(
    api: Api, clock: Clock, dynamodb: DynamoDBClient
) -> None:
    """In the list and behind the filter, alone or several; the rest is told as other."""
    logs = [log(endpoint=f"/e/{n}", method=f"M{n % 40}", status_code=200 + n // 40 % 40) for n in range(2_000)]
    sent_by_day(api, clock, dynamodb, logs)
    truth = Counter(each["method"] for each in logs)
    blocks = ask(api)
    shown, low = blocks["method_usage"], blocks["precision"]["methods_low_by_at_most"]
    assert sum(shown.values()) == len(logs)
    assert shown["(other)"] > 0
    assert all(shown.get(name, 0) <= n <= shown.get(name, 0) + low for name, n in truth.items())
    assert any(shown.get(name, 0) < n for name, n in truth.items())
    for names in (["M1"], ["M39"], list(truth)):
        blocks = ask(api, method=names)
        found = blocks["summary"]["total_requests"]
        assert found <= sum(truth[name] for name in names) <= found + blocks["precision"]["requests_low_by_at_most"]
