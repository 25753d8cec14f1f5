"""How long GET /dashboard takes and what it costs, never folded and folded: python -m bench.dashboard [LOGS …]

10,000, 100,000 and 1,000,000 logs of 30 days lie in packed batches of 500, in a table that answers at once, which
shows our own part (unpack, fold, store, report, through the handler that Lambda calls), and on two local databases
(moto behind HTTP, and dynoxide where npm can bring it) for up to a million. "First" has no rollups yet and stores
them; "again" is the call after it. Beside them, in the same run, the original's six blocks by SQL over the same logs in
SQLite (in memory, indexed by time; without the percentiles that our answer has besides). The answers are compared, too.
Then two long ranges of rollups, 100 cells an hour. Calls and units of a folded view are counted by DynamoDB's rules,
and its price is by `bench.prices`.
"""

from __future__ import annotations

from analytics.runtime import lambda_handler

import json
import sqlite3
import sys
import time
from collections.abc import Callable, Iterable, Iterator
from contextlib import ExitStack
from itertools import islice
from typing import Any

from analytics.batch import Batch
from analytics.times import isoformat
from analytics.web import Service
from bench.logs import DAYS, START, logs
from bench.prices import PRICES
from bench.stack import STREAM, InstantClient, event, local_service, service_over
from functions.dashboard.app import create_app
from local.database.dynoxide import NotHere, dynoxide

BATCH = 500
SIZES = (10_000, 100_000, 1_000_000)
LOCAL = 1_000_000  # logs that local databases are still filled with

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


def batches(rows: Iterable[dict[str, Any]], size: int = BATCH) -> Iterator[list[Any]]:
    """Logs in batches of a size."""
    left = iter(rows)
    while batch := list(islice(left, size)):
        yield batch


def packed(number: int, batch: list[Any]) -> dict[str, Any]:
    """The item of the table that holds a batch, received when its last log was made."""
    sort_key = f"L#{isoformat(batch[-1]['created_at'])}#{number}"
    return {"api_key": {"S": STREAM}, "timestamp": {"S": sort_key}, "d": {"B": Batch.of(batch).pack()}}


def loaded(count: int) -> tuple[sqlite3.Connection, list[dict[str, Any]]]:
    """So many logs, in a database of SQLite and in items of the table."""
    database = sqlite3.connect(":memory:")
    database.execute("CREATE TABLE logs (at REAL, method TEXT, endpoint TEXT, ip TEXT, ms REAL, status INTEGER)")
    names, items = ("method", "endpoint", "ip", "process_time", "status_code"), []
    for number, batch in enumerate(batches(logs(count))):
        values = ((log["created_at"] / 1e6, *(log[name] for name in names)) for log in batch)
        database.executemany("INSERT INTO logs VALUES (?, ?, ?, ?, ?, ?)", values)
        items.append(packed(number, batch))
    database.execute("CREATE INDEX by_time ON logs (at)")
    return database, items


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


def folded(call: Callable[[], Any]) -> Any:
    """The first answer that is whole: a first fold of very many logs takes several."""
    while not (answer := call())["range"]["complete"]:
        pass
    return answer


def compare(ours: Any, theirs: dict[str, list[Any]]) -> None:
    """Fail unless both counted the same."""
    total, unique, average, *_ = theirs["summary"][0]
    assert ours["summary"]["total_requests"] == total
    assert abs(ours["summary"]["unique_ips"] - unique) <= unique * ours["precision"]["unique_ips"]
    assert abs(ours["summary"]["avg_response_time"] - average) < 0.01
    assert ours["method_usage"] == dict(theirs["method_usage"])
    assert [(row["endpoint"], row["requests"], row["errors_count"]) for row in ours["endpoint_stats"]] == [
        (endpoint, n, errors) for endpoint, n, _, errors in theirs["endpoint_stats"]
    ]
    low = ours["precision"]["top_ips_low_by_at_most"]
    assert all(
        row["ip"] == ip and n - low <= row["requests"] <= n
        for row, (ip, n) in zip(ours["top_ips"], theirs["top_ips"], strict=True)
    )
    assert [(row["timestamp"], row["requests"]) for row in ours["time_series"] if row["requests"]] == [
        (day, n) for day, n, *_ in theirs["time_series"]
    ]


def price(client: InstantClient) -> str:
    """Calls and read units since they were set to zero, and dollars for a thousand times as many."""
    dollars = 1000 * client.read_units * PRICES["read"].dollars / PRICES["read"].per
    return f"{client.calls:7}{client.read_units:8,.0f}{dollars:11.4f}"


def measure(count: int) -> None:
    """Print a row for each database: this many logs by SQL, and by the dashboard on it."""
    database, items = loaded(count)
    sql, theirs = seconds(lambda: {name: database.execute(query).fetchall() for name, query in BLOCKS.items()}, 2)
    database.close()
    client = InstantClient(items)
    call = ask(service_over(client))
    first, ours = seconds(lambda: folded(call))
    compare(ours, theirs)
    again, ours = seconds(call, 5)
    compare(ours, theirs)
    client.calls = client.read_units = 0
    call()
    row(count, "at once", sql, first, again, price(client))
    for name in ("moto", "dynoxide") if count <= LOCAL else ():
        with ExitStack() as stack:
            try:
                url = stack.enter_context(dynoxide()) if name == "dynoxide" else None
            except NotHere as reason:
                print(f"{count:>10,}  {name:10}{reason}")
                continue
            service, put = stack.enter_context(local_service(url))
            for item in items:
                put(item)
            call = ask(service)
            first, ours = seconds(lambda call=call: folded(call))  # type: ignore[misc]  # bound now
            compare(ours, theirs)
            again, ours = seconds(call, 3)
            compare(ours, theirs)
            row(count, name, sql, first, again, "")


def row(count: int, name: str, sql: float, first: float, again: float, costs: str) -> None:
    """Print one."""
    times = f"{sql:9.3f}{first:9.3f}{first / sql:7.2f}{again:9.3f}{again / sql:7.2f}"
    print(f"{count:>10,}  {name:10}{times}{costs}", flush=True)


def measure_long_ranges() -> None:
    """Print the time of 30 days by the hour and of 365 by the day, from rollups: about 100 cells an hour."""
    for days, period in ((30, "hourly"), (365, "daily")):
        rows = batches(logs(days * 24 * 300, days=days), 300)
        client = InstantClient(packed(number, batch) for number, batch in enumerate(rows))
        start = time.strftime("%Y-%m-%d", time.gmtime(START))
        call = ask(service_over(client), f"period={period}&start_date={start}")
        folded(call)
        took, answer = seconds(call, 5)
        client.calls = client.read_units = 0
        call()
        print(f"{days} days {period}, {len(answer['time_series'])} points{'':26}{took:9.3f}{'':7}{price(client)}")


def main() -> None:
    """A few rows for each size, then the long ranges."""
    print(f"Seconds of GET /dashboard over {DAYS} days, ratios to SQLite; calls, read units, dollars per 1,000 views")
    names = ("SQLite", "first", "ratio", "again", "ratio", "calls", "units", "$/1,000")
    widths = (9, 9, 7, 9, 7, 7, 8, 11)
    heads = "".join(f"{name:>{width}}" for name, width in zip(names, widths, strict=True))
    print(f"{'logs':>10}  {'database':10}{heads}")
    for count in [int(size) for size in sys.argv[1:]] or SIZES:
        measure(count)
    measure_long_ranges()


if __name__ == "__main__":
    main()
