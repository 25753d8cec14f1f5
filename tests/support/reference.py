"""The dashboard computed plainly from a list of logs: the reference for the real one."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Iterable, Sequence
from datetime import UTC, datetime, timedelta
from math import ceil
from typing import Any

Log = dict[str, Any]  # as clients send it, but `created_at` is microseconds since 1970


def moment(at_us: int) -> datetime:
    """A datetime in UTC."""
    return datetime(1970, 1, 1, tzinfo=UTC) + timedelta(microseconds=at_us)


def is_error(log: Log) -> bool:
    """Whether the answer was 4xx or 5xx."""
    return 400 <= int(log["status_code"]) <= 599


def expand(logs: Iterable[Log]) -> list[Log]:
    """Each log as often as it weighs."""
    return [log for log in logs for _ in range(log.get("weight", 1))]


def point(period: str, at_us: int) -> str:
    """The name of the point of the time series that a moment falls into."""
    at = moment(at_us)
    if period == "weekly":
        at -= timedelta(days=at.weekday())
    forms = {"monthly": "%Y-%m", "hourly": "%Y-%m-%dT%H:00Z", "minutely": "%Y-%m-%dT%H:%MZ"}
    return at.strftime(forms.get(period, "%Y-%m-%d"))


def percentile(durations: Sequence[float], share: float) -> float | None:
    """The nearest rank, exactly."""
    return sorted(durations)[max(1, ceil(share * len(durations))) - 1] if durations else None


def durations(logs: Iterable[Log]) -> list[float]:
    """Milliseconds, to the microsecond."""
    return [round(log["process_time"] * 1000) / 1000 for log in logs]


def average(logs: Sequence[Log]) -> float | None:
    """Milliseconds as they are shown; None for no logs."""
    return shown(sum(round(log["process_time"] * 1000) for log in logs) / len(logs) / 1000) if logs else None


def shown(milliseconds: float) -> float:
    """A duration to four significant digits, and two decimals at least."""
    return max(round(milliseconds, 2), float(f"{milliseconds:.3e}"), key=lambda rounded: len(str(rounded)))


def error_share(logs: Sequence[Log], decimals: int) -> float:
    """Errors among logs, 0 to 1."""
    return round(sum(map(is_error, logs)) / len(logs), decimals) if logs else 0.0


def ranked(counts: Counter[Any]) -> list[tuple[Any, int]]:
    """The largest first, by name where equal."""
    return sorted(counts.items(), key=lambda item: (-item[1], item[0]))


def dashboard(logs: Iterable[Log], period: str, top: int = 10) -> dict[str, Any]:
    """All blocks over logs that were asked for, but the percentiles and the empty points of the time series."""
    every = expand(logs)
    spent = durations(every)
    by_endpoint = grouped(every, lambda log: log["endpoint"])
    by_point = grouped(every, lambda log: point(period, log["created_at"]))
    consumers = grouped([log for log in every if log.get("consumer")], lambda log: log["consumer"])
    return {
        "summary": {
            "total_requests": len(every),
            "unique_ips": len({log["ip"] for log in every if log["ip"]}),
            "avg_response_time": average(every),
            "min_response_time": shown(min(spent)) if spent else None,
            "max_response_time": shown(max(spent)) if spent else None,
            "error_rate": round(sum(map(is_error, every)) / len(every) * 100, 2) if every else 0.0,
            "error_share": error_share(every, 6),
        },
        "method_usage": dict(ranked(Counter(log["method"] for log in every))),
        "endpoint_stats": [
            {
                "endpoint": endpoint,
                "is_other": False,
                "requests": n,
                "avg_time": average(by_endpoint[endpoint]),
                "errors_count": sum(map(is_error, by_endpoint[endpoint])),
                "error_share": error_share(by_endpoint[endpoint], 6),
            }
            for endpoint, n in ranked(Counter(log["endpoint"] for log in every))[:top]
        ],
        "status_codes": {
            str(status): n for status, n in sorted(Counter(int(log["status_code"]) for log in every).items())
        },
        "top_ips": [
            {"ip": ip, "requests": n} for ip, n in ranked(Counter(log["ip"] for log in every if log["ip"]))[:top]
        ],
        "top_consumers": [
            {"consumer": name, "is_other": False, "requests": n, "errors_count": sum(map(is_error, consumers[name]))}
            for name, n in ranked(Counter({name: len(those) for name, those in consumers.items()}))[:top]
        ],
        "time_series": [
            {
                "timestamp": name,
                "requests": len(by_point[name]),
                "avg_time": average(by_point[name]),
                "error_rate": error_share(by_point[name], 4),
                "error_share": error_share(by_point[name], 6),
                "errors_count": sum(map(is_error, by_point[name])),
            }
            for name in sorted(by_point)
        ],
    }


def grouped(logs: Iterable[Log], of: Callable[[Log], Any]) -> dict[Any, list[Log]]:
    """Logs by what a function says of them."""
    groups: dict[Any, list[Log]] = {}
    for log in logs:
        groups.setdefault(of(log), []).append(log)
    return groups


def wrong_percentiles(blocks: dict[str, Any], logs: Iterable[Log], period: str) -> list[str]:
    """What is shown as p50, p95 and p99 and is further than 1 % from the exact nearest rank."""
    every = expand(logs)
    by_endpoint = grouped(every, lambda log: log["endpoint"])
    by_point = grouped(every, lambda log: point(period, log["created_at"]))
    rows = [("summary", blocks["summary"], every)]
    rows += [(row["endpoint"], row, by_endpoint[row["endpoint"]]) for row in blocks["endpoint_stats"]]
    rows += [(row["timestamp"], row, by_point.get(row["timestamp"], [])) for row in blocks["time_series"]]
    wrong = []
    for where, row, those in rows:
        for name, share in (("p50", 0.5), ("p95", 0.95), ("p99", 0.99)):
            told, exact = row[name], percentile(durations(those), share)
            if (told is None) != (exact is None) or abs((told or 0) - (exact or 0)) > (exact or 0) * 0.01:
                wrong.append(f"{name} of {where}: {told}, not {exact}")
    return wrong


def without_percentiles(block: Any) -> Any:
    """A block without p50, p95 and p99, which are held to their bound elsewhere."""
    if isinstance(block, dict):
        return {name: without_percentiles(value) for name, value in block.items() if name not in ("p50", "p95", "p99")}
    return [without_percentiles(value) for value in block] if isinstance(block, list) else block
