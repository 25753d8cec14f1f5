"""Traffic to measure with: made up, always the same, and shaped like that of a real API.

Fifty routes of very different popularity, each with one or two methods and its own latency; most answers good, 404s on
reads and 422s on writes, now and then a 500; five thousand clients, some of them busy.
"""

from __future__ import annotations

import random
from collections.abc import Iterator
from datetime import UTC, datetime
from itertools import accumulate
from typing import Any

START = 1_760_000_000  # seconds since 1970: 2025-10-09
DAYS = 30

_NOUNS = ("users", "orders", "items", "carts", "invoices", "reviews", "sessions", "files", "events", "teams")
_SHAPES = ("/v1/{noun}", "/v1/{noun}/{{id}}", "/v1/{noun}/{{id}}/history", "/v1/{noun}/search", "/v1/{noun}/export")


def _popularity(n: int, exponent: float) -> list[float]:
    return list(accumulate(1 / (rank + 1) ** exponent for rank in range(n)))


def logs(count: int, *, days: float = DAYS, seed: int = 7) -> Iterator[dict[str, Any]]:
    """`count` logs over `days`, oldest first, as /track takes them; `created_at` is a number of microseconds."""
    chance = random.Random(seed)
    routes = [
        (shape.format(noun=noun), methods, chance.uniform(2.5, 5.5))
        for noun in _NOUNS
        for shape, methods in zip(_SHAPES, ("GP", "GU", "G", "G", "G"), strict=True)
    ]
    chance.shuffle(routes)
    of_route, of_client = _popularity(len(routes), 1.1), _popularity(5_000, 1.05)
    step = days * 86_400e6 / count
    for number in range(count):
        endpoint, methods, scale = chance.choices(routes, cum_weights=of_route)[0]
        method = {"G": "GET", "P": "POST", "U": "PUT"}[methods[-1] if chance.random() < 0.2 else methods[0]]
        good, bad = (200, 404) if method == "GET" else (201, 422)
        draw = chance.random()
        client = chance.choices(range(5_000), cum_weights=of_client)[0]
        yield {
            "created_at": int(START * 1e6 + number * step + chance.random() * step),
            "method": method,
            "endpoint": endpoint,
            "ip": f"{10 + client % 200}.{client * 7919 % 256}.{client * 104729 % 256}.{client % 254 + 1}",
            "process_time": round(min(chance.lognormvariate(scale, 0.6), 60_000), 3),
            "status_code": good if draw < 0.95 else bad if draw < 0.995 else 500,
        }


def as_json(log: dict[str, Any]) -> dict[str, Any]:
    """The log as a client sends it, with its time in ISO 8601."""
    return log | {"created_at": datetime.fromtimestamp(log["created_at"] / 1e6, UTC).isoformat()}
