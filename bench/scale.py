"""What the stack takes in and costs at any size, on paper: python -m bench.scale

Nothing here was measured on AWS. Sizes are measured: real batches, packed and written as the service writes them, and
the summary of a real day. Limits and billing rules are AWS's documented ones, prices are `bench.prices`. Durations are
assumptions, each marked so below. What many requests meet in the limits is simulated by `bench.limits`.
"""

from __future__ import annotations

import json
from collections.abc import Callable
from dataclasses import dataclass, replace
from functools import cache
from typing import TYPE_CHECKING, Any, cast

from analytics.api_key import new_id
from analytics.batch import Batch
from analytics.store import LogTable
from analytics.summary import codec
from analytics.summary.fold import BYTES_A_LOG, LONG_TAIL
from analytics.summary.limits import limit
from analytics.summary.rollup import Rollup
from analytics.summary.schedule import DUE_US
from analytics.summary.summary import Summary
from analytics.times import DAY, SECOND
from bench.limits import NEW_TABLE, PARTITION, PARTITION_READS, TABLE, Stack, Work, growth, run, spread, sustained
from bench.logs import START, as_json, logs
from bench.prices import (
    AS_OF,
    DAYS_A_MONTH,
    GATEWAY_UNIT,
    GB,
    OVERHEAD,
    REGION,
    cost,
    item_bytes,
    read_units,
    write_units,
)

if TYPE_CHECKING:
    from mypy_boto3_dynamodb import DynamoDBClient

SIZES = (1, 10, 100, 200, 500, 1000)  # logs in a batch
MIDNIGHT = -(-START // DAY) * DAY  # of the days measured here, seconds since 1970
MONTH = 1_000_000  # logs of the key whose day is measured

RATE_LIMIT, BURST_LIMIT = 200, 400  # the template's: calls a second, and at once
INGEST_GB, DASHBOARD_GB = 512 / 1024, 1769 / 1024  # likewise
RAW_DAYS = 90  # likewise
PAGE = 1024**2  # bytes that a query reads at most for one answer, documented

# Assumptions
SLOWER = 1.5  # times that a Lambda vCPU takes for the work of the machine that measured
VCPU_GB = 1769 / 1024  # with this memory a function has one vCPU, with less its share (documented)
PUT_S, TRANSACTION_S, QUERY_S, GET_S = 0.005, 0.010, 0.005, 0.004  # a call of DynamoDB
PAGE_S = 0.1  # a page of 1 MB more
CALL_CPU_S, LOG_CPU_S = 0.0003, 0.00001  # ingest: of a call, and of each log (its budget: 100,000 a second)
FOLD_CPU_S, VIEW_CPU_S = 0.000003, 0.05  # dashboard: of a log that is folded, and of a folded view (its budget)
COLD, COLD_S = 0.01, 1.0  # share of invocations that start a new environment, and how long that is billed
LINES = 500  # bytes of log lines of an invocation
READ_AGAIN = 3  # times that a batch is read as part of a tail before it is in a rollup
ANSWER = 20_000  # bytes of a dashboard's answer

# -- sizes and durations -------------------------------------------------------------------------


class Recorder:
    """Takes items instead of DynamoDB, to see what is written."""

    def __init__(self) -> None:
        self.items: list[Any] = []

    def put_item(self, **put: Any) -> None:
        """One item."""
        self.items.append(put["Item"])

    def get_item(self, **_: Any) -> dict[str, Any]:
        """The watermark, which is not raised yet."""
        return {}

    def transact_write_items(self, **puts: Any) -> None:
        """Items that are written together."""
        self.items += [put["Put"]["Item"] for put in puts["TransactItems"]]


@dataclass(frozen=True, slots=True)
class Request:
    """A batch on its way in, on average: `item` is the bytes of the logs' item."""

    logs: int
    item: float
    work: Work
    calls: float

    @property
    def use(self) -> dict[str, float]:
        """What is billed for it. The key is read every time, and the watermark after the write; in truth the key is
        believed for half a minute."""
        gb_seconds = INGEST_GB * (self.work.seconds + COLD * COLD_S)
        once = {"read": 2.0, "invocation": 1.0, "line": LINES / GB}
        return once | {"write": self.work.units, "call": self.calls, "x86_64": gb_seconds}


@cache
def request(size: int) -> Request:
    """The average of 20 real batches of so many logs (a lone one goes to /track), a million logs a day."""
    rows, recorder = list(logs(20 * size, days=20 * size / 1e6)), Recorder()
    table = LogTable(cast("DynamoDBClient", recorder), "logs")
    batches = [rows[at : at + size] for at in range(0, len(rows), size)]
    for batch in batches:
        at = batch[-1]["created_at"]
        table.append(new_id(), Batch.of(cast("Any", batch)), at, None if size == 1 else new_id())
    sizes = list(map(item_bytes, recorder.items))
    units = sum(write_units(each, transaction=size > 1) for each in sizes)
    bodies = [len(json.dumps({"logs": list(map(as_json, batch))})) for batch in batches]
    cpu = (CALL_CPU_S + size * LOG_CPU_S) * SLOWER * VCPU_GB / INGEST_GB
    return Request(
        logs=size,
        item=sum(item_bytes(item) for item in recorder.items if "d" in item) / 20,
        work=Work(units / 20, cpu + (PUT_S if size == 1 else TRANSACTION_S) + GET_S),
        calls=sum(-(-body // GATEWAY_UNIT) for body in bodies) / 20,
    )


@dataclass(frozen=True, slots=True)
class Size:
    """Bytes of a day's rollup: its days, which every view reads, and its slots, in an item of their own once final."""

    days: int
    slots: int

    @property
    def open(self) -> int:
        """The item of the newest rollup, which holds both."""
        return self.days + self.slots


@cache
def a_day(count: int = MONTH // DAYS_A_MONTH) -> Size:
    """The size of a rollup of one day, of so many logs."""
    rows, summary, recorder = list(logs(count, days=1)), Summary(), Recorder()
    for row in rows:
        row["created_at"] += (MIDNIGHT - START) * SECOND
    for at in range(0, count, 1000):
        batch = Batch.of(cast("Any", rows[at : at + 1000]))
        summary.fold(batch, batch.times[-1])
    limit(summary)
    rollup = Rollup("2025-10-10", "2025-10-11T00:00:00.000000Z", codec.dump(summary))
    table = LogTable(cast("DynamoDBClient", recorder), "logs")
    table.keep_rollup(new_id(), rollup, None, MIDNIGHT * SECOND, final=True)
    intervals, days = map(item_bytes, recorder.items)
    return Size(days, intervals)


# -- money ------------------------------------------------------------------------------------------------------------


def per_million(what: Request) -> dict[str, float]:
    """Dollars per million logs in such batches, by where they go."""
    times = 1e6 / what.logs
    of_call = {name: cost({name: amount}) * times for name, amount in what.use.items()}
    folded = {"read": READ_AGAIN * what.item / 4096 * times, "x86_64": 1e6 * FOLD_CPU_S * SLOWER * DASHBOARD_GB}
    gb = times * (what.item + OVERHEAD) / GB
    months = RAW_DAYS / DAYS_A_MONTH
    taking = {
        "DynamoDB": of_call["write"] + of_call["read"],
        "gateway": of_call["call"],
        "Lambda": of_call["invocation"] + of_call["x86_64"],
        "log lines": of_call["line"],
        "folding": cost(folded),
    }
    return taking | {"sum": sum(taking.values()), "kept": cost({"storage": gb * months, "backup": gb * months})}


def view(rollup: Size, days: int = DAYS_A_MONTH) -> dict[str, float]:
    """What is billed for one folded view of so many days: the key, the newest rollup, a tail that is not worth a write
    yet, the days of the other rollups."""
    size, tail = rollup.open + (days - 1) * rollup.days, tail_bytes(rollup)
    took = 3 * QUERY_S + (size + tail) / PAGE * PAGE_S + VIEW_CPU_S * SLOWER
    reads = 1 + read_units(rollup.open) + read_units(tail) + read_units((days - 1) * rollup.days)
    lambda_use = {"invocation": 1.0, "x86_64": DASHBOARD_GB * (took + COLD * COLD_S), "line": LINES / GB}
    return {"read": reads, "call": 1.0, "out": ANSWER / GB} | lambda_use


def tail_bytes(rollup: Size) -> int:
    """Bytes of a tail before it is stored, in batches of 200; on average half of it is there."""
    return round(max(LONG_TAIL, rollup.open // BYTES_A_LOG) / 2 * request(200).item / 200)


def scheduled(rollup: Size, hours: float, month: int) -> float:
    """Dollars a month for looking at one key every so many hours, which gets so many logs a month, and folding it when
    that is due; at most, for the rollup is taken to be of its final size all day."""
    month_s = DAYS_A_MONTH * DAY
    folds = month_s / max(DUE_US / SECOND, hours * 3600) if month else 0.0
    fresh = month / folds if folds else 0.0
    look = {"read": read_units(rollup.open), "x86_64": DASHBOARD_GB * QUERY_S}
    took = 2 * QUERY_S + fresh * FOLD_CPU_S * SLOWER + VIEW_CPU_S * SLOWER
    reads = read_units(rollup.open) + read_units(int(fresh * request(200).item / 200))
    fold = {"read": reads, "x86_64": DASHBOARD_GB * took, "write": write_units(rollup.open)}
    looks = month_s / (hours * 3600) * (1 if month else 2)  # an idle key is due each time, and looked at twice
    return looks * cost(look) + folds * cost(fold)


# -- tables -----------------------------------------------------------------------------------------------------------


def show(title: str, heads: str, rows: list[list[object]]) -> None:
    """Print a table; its first column is text."""
    names = heads.split("|")
    shown = [[f"{cell:,.4g}" if isinstance(cell, float) else f"{cell}" for cell in row] for row in rows]
    widths = [max(map(len, column)) for column in zip(names, *shown, strict=True)]
    print(f"\n{title}")
    for first, *others in (names, *shown):
        cells = [cell.rjust(width) for cell, width in zip(others, widths[1:], strict=True)]
        print("  ".join(["", first.ljust(widths[0]), *cells]))


def show_requests() -> None:
    """What a batch is."""
    rows: list[list[object]] = [
        [
            f"{size:,}",
            round(each.item),
            round(each.item / size, 1),
            each.work.units,
            size / each.work.units,
            round(each.work.seconds * 1e3, 1),
        ]
        for size, each in ((size, request(size)) for size in SIZES)
    ]
    heads = "logs in a batch|bytes of its item|bytes a log|write units|logs a unit|ms of ingest (assumed)"
    show("A batch, measured: packed, with its mark, in one transaction", heads, rows)


def show_one_key() -> None:
    """What one key can send."""
    rows: list[list[object]] = []
    for size in SIZES:
        row: list[object] = [f"{size:,}"]
        for stack in (Stack(calls=RATE_LIMIT, burst=BURST_LIMIT), Stack()):
            rate, limit = sustained(stack, request(size).work)
            row += [f"{rate:,.0f}", f"{rate * size:,.0f}", limit]
        rows.append(row)
    heads = "logs in a batch|as deployed: batches/s|logs/s|first refused by|RateLimit raised: batches/s|logs/s|by"
    show("One key: most a second with fewer than 1 % waiting", heads, rows)


def show_waiting() -> None:
    """How long batches wait near the limit of a key."""
    work, rows = request(200).work, list[list[object]]()
    most = PARTITION / work.units
    for percent in (50, 80, 90, 95, 100, 110):
        outcome = run(Stack(), work, most * percent / 100, 300)
        waited = sum(wait > 0 for wait in outcome.waits) / len(outcome.waits)
        quantiles = [f"{outcome.quantile(share):.2f}" for share in (0.5, 0.99, 0.999)]
        rows.append([f"{percent} %", f"{most * percent / 100 * 200:,.0f}", f"{waited:.2%}", *quantiles])
    heads = "of the key's limit|logs/s|batches that wait|p50, s|p99, s|p99.9, s"
    show("One key, batches of 200: seconds that storing waits for a second try, over five minutes", heads, rows)


def show_thousand_keys() -> None:
    """What a table with a thousand keys can take, in batches of 200."""
    stacks = {
        "as deployed: RateLimit 200": replace(spread(1000, TABLE, skew=0, split=True), calls=RATE_LIMIT, burst=400),
        "raised; a new table": spread(1000, NEW_TABLE, skew=0, split=False),
        "raised; grown, partitions not split for heat": spread(1000, TABLE, skew=0, split=False),
        "raised; grown and split for heat": spread(1000, TABLE, skew=0, split=True),
        "the same, the busiest key has 13 % (Zipf)": spread(1000, TABLE, skew=1, split=True),
    }
    rows: list[list[object]] = []
    for name, stack in stacks.items():
        rate, limit = sustained(stack, request(200).work, 20)
        rows.append([name, f"{rate:,.0f}", f"{rate * 200:,.0f}", limit, len(set(stack.homes))])
    show("A thousand keys, batches of 200", "|batches/s|logs/s|first refused by|partitions", rows)
    per_unit = 200 / request(200).work.units
    grown: list[list[object]] = [
        [f"{minute} min", f"{units:,.0f}", f"{units * per_unit:,.0f}"] for minute, units in growth(TABLE)
    ]
    show("A new table that is offered all of that at once", "after|write units/s|logs/s", grown)


def show_costs() -> None:
    """What a million logs cost, and what a look at them."""
    rows: list[list[object]] = [
        [f"{size:,}", *(f"{dollars:.4f}" for dollars in per_million(request(size)).values())] for size in SIZES
    ]
    heads = f"logs in a batch|{'|'.join(per_million(request(1)))} {RAW_DAYS} days"
    show("Dollars per million logs", heads, rows)
    views: list[list[object]] = []
    for name, size in ROLLUPS.items():
        use = view(size())
        reads, dollars, store = use["read"], cost(use), cost({"write": write_units(size().open)})
        views.append(
            [
                name,
                f"{size().days:,} + {size().slots:,}",
                round(reads),
                f"{PARTITION_READS / reads:.1f}",
                *(f"{1e6 * each:,.0f}" for each in (dollars, store)),
            ]
        )
    heads = "30 days, folded|bytes of days + slots|read units|most views/s|dollars per million|more if they store"
    show("A dashboard", heads, views)
    month: list[list[object]] = [
        [f"every {hours:g} h", *(f"{1000 * scheduled(a_day(), hours, logs):.2f}" for logs in (MONTH, 0))]
        for hours in (0.25, 1, 24)
    ]
    show("The schedule: dollars a month for a thousand keys, at most", "|of 1 M logs each|idle", month)


ROLLUPS: dict[str, Callable[[], Size]] = {
    "a key of 1 M logs a month": a_day,
    "a key of 10 M logs a month": lambda: a_day(10 * MONTH // DAYS_A_MONTH),
    "the largest rollups there can be": lambda: Size(200_000, 190_000),
}


def main() -> None:
    """All tables."""
    print(f"Computed, not measured on AWS. List prices of {REGION}, {AS_OF}, without free tiers.")
    for part in (show_requests, show_one_key, show_waiting, show_thousand_keys, show_costs):
        part()


if __name__ == "__main__":
    main()
