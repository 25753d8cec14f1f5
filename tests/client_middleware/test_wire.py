"""The format that both sides write on their own: what the client makes, the service's model takes, as it was meant."""

from __future__ import annotations

import json
import tracemalloc
from enum import Enum
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from analytics.schema import MAX_BODY, MAX_DURATION_MS, MAX_LOGS, OLDEST_US
from analytics.wire import WIRE
from client_middleware import wire
from client_middleware.buffer import Row
from client_middleware.fields import FIELDS, write
from client_middleware.wire import Encoder


def texts(**given: str | None) -> str:
    """The optional fields of a log that have these names."""
    return write((field, given.get(field.name)) for field in FIELDS)


rows = st.tuples(
    st.floats(OLDEST_US / 1e6, 4_000_000_000),
    st.floats(0, 200_000),
    st.sampled_from(["GET", "POST", "OPTIONS", "M-SEARCH"]),
    st.text(max_size=700),
    st.integers(100, 599),
    st.sampled_from(["203.0.113.0", "2001:db8::1", None]),
    st.builds(texts, **{field.name: st.text(max_size=field.limit + 200) for field in FIELDS}),
    st.integers(1, wire.MAX_WEIGHT),
)


@given(st.lists(rows, max_size=5))
def test_the_service_takes_every_log(batch: list[Row]) -> None:
    """Whatever an app is called and whatever its clients send, each log is valid to the service."""
    body, rest = Encoder().batch(batch, "an-id", "an-instance", {"overflow": 3})
    received = WIRE.batch(body)
    assert (received.problems, len(received.logs), list(rest)) == ([], len(batch), [])
    assert received.counts == {"dropped.overflow": 3}
    for log, row in zip(received.logs, batch, strict=True):
        at, seconds, method, _, status, ip, _, weight = row
        assert abs(log["created_at"] - at * 1e6) <= 1.5
        assert log["process_time"] == pytest.approx(min(seconds * 1000, MAX_DURATION_MS), abs=0.0006)
        assert (log["method"], log["status_code"], log["ip"]) == (method, status, ip)
        assert log.get("weight", 1) == weight


def test_one_log_in_full() -> None:
    """A log with everything in it, character for character."""
    extra = texts(consumer="acme", user_agent='a "browser"', path="/items/7")
    row: Row = (1_763_985_600.25, 0.0123456, "GET", "/items/{id}", 200, "203.0.113.0", extra, 10)
    assert json.loads(Encoder().lines([row])[0]) == {
        "created_at": "2025-11-24T12:00:00.250000Z",
        "method": "GET",
        "endpoint": "/items/{id}",
        "status_code": 200,
        "process_time": 12.346,
        "ip": "203.0.113.0",
        "consumer": "acme",
        "user_agent": 'a "browser"',
        "path": "/items/7",
        "weight": 10,
    }


def test_a_batch_stays_below_the_limit() -> None:
    """A batch of long logs is cut where the service's limit is; the rest waits for the next."""
    row: Row = (1_763_985_600.0, 0.0, "GET", "/" + "é" * 500, 200, None, texts(path="ü" * 512), 1)
    batch = [row] * MAX_LOGS
    sent = 0
    while batch:
        body, rest = Encoder().batch(batch, "an-id", "an-instance", {})
        assert len(body) <= MAX_BODY
        sent += len(json.loads(body)["logs"])
        assert len(rest) < len(batch)
        batch = list(rest)
    assert sent == MAX_LOGS


class Code(int, Enum):
    """A status as some apps declare theirs, which does not print as a number."""

    CREATED = 201


def test_a_status_that_does_not_print_as_a_number() -> None:
    """A status of a subclass of int is written as the number that it is."""
    row: Row = (1_763_985_600.0, 0.0, "GET", "/", Code.CREATED, None, "", 1)
    (line,) = Encoder().lines([row])
    assert json.loads(line)["status_code"] == 201


def test_the_cache_is_bounded() -> None:
    """However many endpoints an app has, the encoder does not grow with them for ever."""
    encoder = Encoder()
    tracemalloc.start()
    sizes = []
    for times in range(1, 4):
        for number in range(wire.MAX_KNOWN):
            encoder.lines([(0.5, 0.0, "GET", f"/{times}/{number}", 200, None, "", 1)])
        sizes.append(tracemalloc.get_traced_memory()[0])
    tracemalloc.stop()
    assert sizes[2] < 1.5 * sizes[0]


def test_further_fields() -> None:
    """Empty ones are left out, long ones cut, and what can not be printed is replaced."""
    assert texts(consumer=None, user_agent="", path=None) == ""
    fields: dict[str, Any] = json.loads("{" + texts(consumer="x" * 200, user_agent="a\x00b\ud800c\n")[1:] + "}")
    assert fields == {"consumer": "x" * 128, "user_agent": "a\ufffdb\ufffdc\ufffd"}
