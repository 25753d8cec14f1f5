"""The answer of GET /dashboard as tables in the terminal."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from rich.columns import Columns
from rich.panel import Panel
from rich.table import Table
from rich.text import Text

if TYPE_CHECKING:
    from rich.console import Console

BAR = 30  # characters of the longest bar


def show(dashboard: dict[str, Any], console: Console) -> None:
    """Print the blocks of an answer of GET /dashboard."""
    console.print(_tiles(dashboard["summary"]))
    console.print(_endpoints(dashboard["endpoint_stats"]))
    console.print(
        Columns(
            [
                _counts("Status", dashboard["status_codes"].items(), style=_status_style),
                _counts("Method", dashboard["method_usage"].items()),
                _counts("Client", [(row["ip"], row["requests"]) for row in dashboard["top_ips"]]),
            ]
        )
    )
    block = "█" if console.encoding.lower().startswith("utf") else "#"
    console.print(_series(dashboard["time_series"], block))
    console.print(_delivery(dashboard["delivery"]))


def _tiles(summary: dict[str, Any]) -> Columns:
    tiles = {
        "requests": f"{summary['total_requests']:,}",
        "clients": f"{summary['unique_ips'] or 0:,}",
        "average": _ms(summary["avg_response_time"]),
        "p95": _ms(summary["p95"]),
        "p99": _ms(summary["p99"]),
        "errors": f"{summary['error_rate'] or 0:.1f} %",
    }
    panels = [
        Panel(Text(value, "bold", justify="center"), title=name, width=14, border_style="cyan")
        for name, value in tiles.items()
    ]
    return Columns(panels)


def _endpoints(rows: list[dict[str, Any]]) -> Table:
    table = Table(title="Endpoints", title_justify="left", title_style="bold")
    table.add_column("endpoint", overflow="fold")
    for name in ("requests", "average", "p95", "p99", "errors"):
        table.add_column(name, justify="right")
    for row in rows:
        errors = Text(str(row["errors_count"]), "red" if row["errors_count"] else "dim")
        times = (_ms(row[name]) for name in ("avg_time", "p95", "p99"))
        table.add_row(Text(row["endpoint"]), f"{row['requests']:,}", *times, errors)
    return table


def _counts(title: str, rows: Any, style: Any = None) -> Table:
    table = Table()
    table.add_column(title)
    table.add_column("requests", justify="right")
    for name, count in sorted(rows, key=lambda row: -row[1]):
        table.add_row(Text(str(name), style(str(name)) if style else ""), f"{count:,}")
    return table


def _series(rows: list[dict[str, Any]], block: str) -> Table:
    table = Table(title="Time (UTC)", title_justify="left", title_style="bold")
    table.add_column("minute")
    table.add_column("requests", justify="right")
    table.add_column("", width=BAR)
    table.add_column("average", justify="right")
    table.add_column("errors", justify="right")
    most = max((row["requests"] for row in rows), default=0) or 1
    for row in rows:
        length = round(BAR * row["requests"] / most)
        failed = min(length, round(BAR * row["errors_count"] / most))
        bar = Text(block * (length - failed), "cyan") + Text(block * failed, "red")
        table.add_row(row["timestamp"], f"{row['requests']:,}", bar, _ms(row["avg_time"]), f"{row['errors_count']:,}")
    return table


def _delivery(delivery: dict[str, Any]) -> Text:
    lost = sum(delivery["dropped"].values())
    refused = sum(delivery["rejected"].values())
    return Text(
        f"Delivery: {delivery['accepted']:,} accepted, {refused:,} refused, {delivery['duplicates']:,} repeated, "
        f"{lost:,} dropped by the client",
        "green" if not lost and not refused else "yellow",
    )


def _ms(value: float | None) -> str:
    return "-" if value is None else f"{value:,.1f} ms"


def _status_style(status: str) -> str:
    return {"2": "green", "3": "cyan", "4": "yellow"}.get(status[0], "red")
