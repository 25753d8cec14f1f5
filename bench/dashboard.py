"""How long GET /dashboard takes over logs that were never folded: python -m bench.dashboard [LOGS …]

10,000, 100,000 and 1,000,000 logs lie in packed batches of 500, on moto in this process and in prepared pages that come
at once, which shows our own part: unpack, fold, report, through the handler that Lambda calls. Beside each, in the same
run, the original's six blocks by SQL over the same logs in SQLite (in memory, indexed by time; without the percentiles
that our answer has besides). The two answers are compared, too.
"""

from __future__ import annotations

import json
import sqlite3
import sys
import time
from collections.abc import Callable, Iterable
from typing import Any

from analytics.batch import Batch
from analytics.model import isoformat
from analytics.runtime import lambda_handler
from analytics.web import Service
from bench.logs import logs
from bench.stack import STREAM, InstantClient, event, moto_service, service_over
from functions.dashboard.app import create_app

BATCH = 500
PAGE = 1_000_000  # bytes that DynamoDB reads for one answer
SIZES = (10_000, 100_000, 1_000_000)

BLOCKS = {
    "summary": "SELECT count(*), count(DISTINCT ip), avg(ms), min(ms), max(ms), avg(status >= 400) * 100 FROM logs",
    "method_usage": "SELECT method, count(*) FROM logs GROUP BY method",
    "endpoint_stats": "SELECT endpoint, count(*) AS n, avg(ms), sum(status >= 400) FROM logs GROUP BY endpoint "
    "ORDER BY n DESC, endpoint LIMIT 10",
    "status_codes": "SELECT status, count(*) FROM logs GROUP BY status",
    "top_ips": "SELECT ip, count(*) AS n FROM logs GROUP BY ip ORDER BY n DESC, ip LIMIT 10",
    "time_series": "SELECT strftime('%Y-%m-%d', at, 'unixepoch') AS day, count(*), avg(ms), avg(status >= 400) "
    "FROM logs GROUP BY day ORDER BY day",
}


def packed(rows: Iterable[dict[str, Any]]) -> list[dict[str, Any]]:
    """The items of the table that hold these logs."""
    batches: list[list[Any]] = [[]]
    for log in rows:
        if len(batches[-1]) == BATCH:
            batches.append([])
        batches[-1].append(log)
    return [
        {
            "api_key": {"S": STREAM},
            "timestamp": {"S": f"L#{isoformat(batch[-1]['created_at'])}#{number}"},
            "d": {"B": Batch.of(batch).pack()},
        }
        for number, batch in enumerate(batches)
    ]


def pages(items: list[dict[str, Any]]) -> list[list[dict[str, Any]]]:
    """Items in pages of at most 1 MB, as a query answers."""
    result: list[list[dict[str, Any]]] = [[]]
    size = 0
    for item in items:
        size += len(item["d"]["B"]) + 100
        if size > PAGE:
            result.append([])
            size = 0
        result[-1].append(item)
    return result


def in_sqlite(rows: Iterable[dict[str, Any]]) -> sqlite3.Connection:
    """A database with these logs."""
    database = sqlite3.connect(":memory:")
    database.execute("CREATE TABLE logs (at REAL, method TEXT, endpoint TEXT, ip TEXT, ms REAL, status INTEGER)")
    names = ("method", "endpoint", "ip", "process_time", "status_code")
    values = ((log["created_at"] / 1e6, *(log[name] for name in names)) for log in rows)
    database.executemany("INSERT INTO logs VALUES (?, ?, ?, ?, ?, ?)", values)
    database.execute("CREATE INDEX by_time ON logs (at)")
    return database


def seconds(call: Callable[[], Any]) -> tuple[float, Any]:
    """The shortest of two calls, and what the call gave."""
    best, result = float("inf"), None
    for _ in range(2):
        start = time.perf_counter()
        result = call()
        best = min(best, time.perf_counter() - start)
    return best, result


def ask(service: Service) -> Callable[[], Any]:
    """A call of GET /dashboard through the handler."""
    serve = lambda_handler(create_app, lambda: service)

    def call() -> Any:
        answer = serve(event("GET", "/dashboard", query="period=daily"), None)
        assert answer["statusCode"] == 200, answer
        return json.loads(answer["body"])

    return call


def compare(ours: Any, theirs: dict[str, list[Any]]) -> None:
    """Fail unless both counted the same."""
    total, unique, average, *_ = theirs["summary"][0]
    assert (ours["summary"]["total_requests"], ours["summary"]["unique_ips"]) == (total, unique)
    assert abs(ours["summary"]["avg_response_time"] - average) < 0.01
    assert ours["method_usage"] == dict(theirs["method_usage"])
    assert [(row["endpoint"], row["requests"], row["errors_count"]) for row in ours["endpoint_stats"]] == [
        (endpoint, n, errors) for endpoint, n, _, errors in theirs["endpoint_stats"]
    ]
    assert [(row["ip"], row["requests"]) for row in ours["top_ips"]] == theirs["top_ips"]
    assert [(row["timestamp"], row["requests"]) for row in ours["time_series"]] == [
        (day, n) for day, n, *_ in theirs["time_series"]
    ]


def measure(count: int) -> None:
    """Print one row: this many logs by SQL, from prepared pages, and on moto."""
    rows = list(logs(count))
    database = in_sqlite(rows)
    sql, theirs = seconds(lambda: {name: database.execute(query).fetchall() for name, query in BLOCKS.items()})
    database.close()
    items = packed(rows)
    del rows
    instant, ours = seconds(ask(service_over(InstantClient(pages(items)))))
    compare(ours, theirs)
    with moto_service() as service:
        for item in items:
            service.logs._client.put_item(TableName=service.settings.logs_table, Item=item)
        on_moto, ours = seconds(ask(service))
    compare(ours, theirs)
    print(f"{count:>10,}{sql:>14.3f}{instant:>14.3f}{instant / sql:>8.2f}{on_moto:>14.3f}{on_moto / sql:>8.2f}")


def main() -> None:
    """One row for each size."""
    print(f"{'logs':>10}{'SQLite, s':>14}{'our part, s':>14}{'ratio':>8}{'on moto, s':>14}{'ratio':>8}")
    for count in [int(size) for size in sys.argv[1:]] or SIZES:
        measure(count)


if __name__ == "__main__":
    main()
