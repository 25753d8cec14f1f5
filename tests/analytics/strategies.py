"""Random logs, for hypothesis and for larger plain draws."""

from __future__ import annotations

import random
from typing import Any

from hypothesis import strategies as st

from analytics.schema import TEXTS
from tests.conftest import NOON

DAY = 86_400 * 1_000_000  # microseconds
ENDPOINTS = ("/", "/users/{id}", "/orders", "/a,b", "/ü/✓", '/"quoted"')
METHODS = ("GET", "POST", "DELETE")
STATUSES = (200, 201, 304, 399, 400, 404, 499, 500, 599, 100)
ADDRESSES = ("10.0.0.1", "10.0.0.2", "2001:db8::1", None)

logs = st.lists(
    st.fixed_dictionaries(
        {
            "created_at": st.integers(NOON - 40 * DAY, NOON),
            "method": st.sampled_from(METHODS),
            "endpoint": st.sampled_from(ENDPOINTS),
            "ip": st.sampled_from(ADDRESSES),
            "process_time": st.integers(0, 90_000_000).map(lambda us: us / 1000),
            "status_code": st.sampled_from(STATUSES),
        },
        optional={
            "weight": st.integers(1, 5),
            **{name: st.sampled_from((f"one {name}", f"another {name}", None)) for name in TEXTS if name != "ip"},
        },
    ),
    max_size=30,
)


def many_logs(count: int, seed: int = 1, days: float = 40) -> list[dict[str, Any]]:
    """Logs drawn without hypothesis, in any order of time."""
    chance = random.Random(seed)
    return [
        {
            "created_at": NOON - chance.randrange(round(days * DAY)),
            "method": chance.choice(METHODS),
            "endpoint": chance.choice(ENDPOINTS),
            "ip": chance.choice((None, f"10.0.{chance.randrange(4)}.{chance.randrange(256)}")),
            "process_time": round(chance.lognormvariate(3, 1.5), 3),
            "status_code": chance.choice(STATUSES),
        }
        for _ in range(count)
    ]
