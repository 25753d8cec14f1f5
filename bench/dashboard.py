"""How long GET /dashboard takes, never folded and folded: python -m bench.dashboard [LOGS …]

10,000, 100,000 and 1,000,000 logs of 30 days lie in packed batches of 500, in a table that answers at once, which
shows our own part (unpack, fold, store, report, through the handler that Lambda calls), and on the local database
(moto behind HTTP). "First" has no rollups yet and stores them; "again" is the call after it. Beside them, in the same
run, the original's six blocks by SQL over the same logs in SQLite (in memory, indexed by time; without the percentiles
that our answer has besides). The answers are compared, too. Then two long ranges of rollups, 100 cells an hour.
"""

from __future__ import annotations

from analytics.runtime import lambda_handler

import json
import sqlite3
import sys
import time
from collections.abc import Callable, Iterable
from typing import Any

from analytics.batch import Batch
from analytics.model import isoformat
from analytics.web import Service
from bench.logs import DAYS, START, logs
from bench.stack import STREAM, InstantClient, event, local_service, service_over
from functions.dashboard.app import create_app

BATCH = 500
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


def packed(rows: Iterable[dict[str, Any]], size: int = BATCH) -> list[dict[str, Any]]:
    """The items of the table that hold these logs, in batches of a size, received when the last log was made."""
    batches: list[list[Any]] = [[]]
    for log in rows:
        if len(batches[-1]) == size:
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


def in_sqlite(rows: Iterable[dict[str, Any]]) -> sqlite3.Connection:
    """A database with these logs."""
    database = sqlite3.connect(":memory:")
    database.execute("CREATE TABLE logs (at REAL, method TEXT, endpoint TEXT, ip TEXT, ms REAL, status INTEGER)")
    names = ("method", "endpoint", "ip", "process_time", "status_code")
    values = ((log["created_at"] / 1e6, *(log[name] for name in names)) for log in rows)
    database.executemany("INSERT INTO logs VALUES (?, ?, ?, ?, ?, ?)", values)
    database.execute("CREATE INDEX by_time ON logs (at)")
    return database


def seconds(call: Callable[[], Any], times: int = 1) -> tuple[float, Any]:
    """The shortest of some calls, and what the call gave."""
    best, result = float("inf"), None
    for _ in range(times):
        start = time.perf_counter()
        result = call()
        best = min(best, time.perf_counter() - start)
    return best, result


def ask(service: Service, query: str = "period=daily") -> Callable[[], Any]:
    """A call of GET /dashboard through the handler."""
    serve = lambda_handler(create_app, lambda: service)
    serve(event("GET", "/health"), None)

    def call() -> Any:
        answer = serve(event("GET", "/dashboard", query=query), None)
        assert answer["statusCode"] == 200, answer
        return json.loads(answer["body"])

    return call


def compare(ours: Any, theirs: dict[str, list[Any]]) -> None:
    """Fail unless both counted the same."""
    total, unique, average, *_ = theirs["summary"][0]
    assert ours["range"]["complete"], ours["range"]
    assert ours["summary"]["total_requests"] == total
    assert abs(ours["summary"]["unique_ips"] - unique) <= unique * ours["precision"]["unique_ips"]
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
    """Print one row: this many logs by SQL, in a table that answers at once, and on the local database."""
    rows = list(logs(count))
    database = in_sqlite(rows)
    sql, theirs = seconds(lambda: {name: database.execute(query).fetchall() for name, query in BLOCKS.items()}, 2)
    database.close()
    items = packed(rows)
    del rows
    client = InstantClient(items)
    call = ask(service_over(client))
    first, ours = seconds(call)
    compare(ours, theirs)
    client.calls = client.read_bytes = 0
    again, ours = seconds(call)
    compare(ours, theirs)
    calls, read_units = client.calls, client.read_bytes / 4_096
    with local_service() as (service, put):
        for item in items:
            put(item)
        call = ask(service)
        local_first, ours = seconds(call)
        compare(ours, theirs)
        local_again, ours = seconds(call, 2)
        compare(ours, theirs)
    times = (first, first / sql, again, local_first, local_first / sql, local_again)
    shown = "".join(f"{value:11.3f}" if at not in (1, 4) else f"{value:8.2f}" for at, value in enumerate(times))
    print(f"{count:>10,}{sql:10.3f}{shown}{calls:7}{read_units:8,.0f}", flush=True)


def measure_long_ranges() -> None:
    """Print the time of 30 days by the hour and of 365 by the day, from rollups: about 100 cells an hour."""
    for days, period in ((30, "hourly"), (365, "daily")):
        client = InstantClient(packed(logs(days * 24 * 300, days=days), 300))
        start = time.strftime("%Y-%m-%d", time.gmtime(START))
        call = ask(service_over(client), f"period={period}&start_date={start}")
        while not call()["range"]["complete"]:  # a first fold as long as this takes several answers
            pass
        took, answer = seconds(call, 2)
        print(f"{days} days {period}, folded: {took:.3f} s, {len(answer['time_series'])} points")


def main() -> None:
    """One row for each size, then the long ranges."""
    print(f"Seconds of GET /dashboard over {DAYS} days, and ratios to SQLite; calls and read units of a folded one")
    names = ("SQLite", "first", "ratio", "again", "local first", "ratio", "local again", "calls", "units")
    widths = (10, 11, 8, 11, 11, 8, 11, 7, 8)
    print(f"{'logs':>10}" + "".join(f"{name:>{width}}" for name, width in zip(names, widths, strict=True)))
    for count in [int(size) for size in sys.argv[1:]] or SIZES:
        measure(count)
    measure_long_ranges()


if __name__ == "__main__":
    main()
