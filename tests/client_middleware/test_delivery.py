"""How delivery decides, against answers made up here: no network, no server."""

from __future__ import annotations

import json
import threading
import time
from collections import Counter
from types import FrameType
from typing import Any

import httpx
import pytest

from client_middleware.buffer import Row
from client_middleware.delivery import Delivery
from client_middleware.fields import FIELDS, write
from client_middleware.settings import Settings
from client_middleware.transport import Outcome, understand
from tests.client_middleware.conftest import wait_until

STORED = Outcome("stored")


def row(weight: int = 1) -> Row:
    """A request."""
    return (1_763_985_600.0, 0.001, "GET", "/", 200, None, "", weight)


class Service:
    """Answers as it was told, and all is well afterwards."""

    def __init__(self, *outcomes: Outcome | Exception) -> None:
        self.outcomes = list(outcomes)
        self.batches: list[dict[str, Any]] = []
        self.asked = threading.Event()
        self.posts = 0

    def post(self, body: bytes, within: float | None = None) -> Outcome:
        """Take a batch; only what is answered as stored is."""
        assert within is None or within > 0
        self.posts += 1
        outcome = self.outcomes.pop(0) if self.outcomes else STORED
        self.asked.set()
        if isinstance(outcome, Exception):
            raise outcome
        if outcome.kind == "stored":
            self.batches.append(json.loads(body))
        return outcome

    def close(self) -> None:
        """Nothing to close."""


def made(service: Service, *, in_background: bool = False, batch_format: int = 1, **settings: Any) -> Delivery:
    """A delivery to it, sent by flush only if not said otherwise."""
    whole = Settings(api_base="http://service", api_key="key", **settings)
    return Delivery(whole, lambda: service, in_background=in_background, first_wait=0.01, batch_format=batch_format)


def test_by_age() -> None:
    """A log leaves when it has waited for `flush_seconds`, without another request to push it."""
    service = Service()
    delivery = made(service, in_background=True, flush_seconds=0.2)
    start = time.monotonic()
    delivery.record(row())
    assert service.asked.wait(5)
    assert 0.2 <= time.monotonic() - start < 5
    delivery.close(1)


def test_by_size() -> None:
    """A full batch leaves at once, and what is too little for another waits."""
    service = Service()
    delivery = made(service, in_background=True, flush_seconds=60, batch_logs=4)
    for _ in range(9):
        delivery.record(row())
    assert service.asked.wait(5)
    assert delivery.flush(5)
    assert [len(batch["logs"]) for batch in service.batches] in ([4, 4, 1], [4, 5])
    delivery.close(1)


def test_idle_threads_end() -> None:
    """A thread ends when it is closed, and another starts with the next request."""
    service = Service()
    delivery = made(service, in_background=True, flush_seconds=0.05)
    for _ in range(3):
        before = set(threading.enumerate())
        delivery.record(row())
        (started,) = set(threading.enumerate()) - before
        assert delivery.close(5)
        started.join(5)
        assert not started.is_alive()
    assert sum(len(batch["logs"]) for batch in service.batches) == 3


def test_losses_alone_are_reported() -> None:
    """Losses with no log left to carry them are reported in a batch of their own, once."""
    service = Service()
    delivery = made(service)
    delivery.buffer.lose({"overflow": 7})
    assert delivery.flush(5)
    assert delivery.flush(5)
    assert [(batch["logs"], batch["dropped"]) for batch in service.batches] == [([], {"overflow": 7})]


def test_losses_alone_that_are_refused() -> None:
    """A service that refuses everything is not asked again and again about losses alone."""
    service = Service(*[Outcome("refused", "http_404")] * 50)
    delivery = made(service)
    delivery.record(row(weight=3))
    assert delivery.flush(1)
    assert delivery.flush(1)
    assert 50 - len(service.outcomes) <= 3
    assert delivery.buffer.losses == {"http_404": 3}


def test_weights_are_counted() -> None:
    """What is lost is counted in requests, not in logs."""
    service = Service(Outcome("refused", "http_413"))
    delivery = made(service)
    delivery.record(row(weight=100))
    delivery.record(row())
    assert delivery.flush(1)
    assert delivery.buffer.losses == {"http_413": 101}
    assert delivery.flush(1)
    assert service.batches[-1]["dropped"] == {"http_413": 101}


def test_a_log_that_is_too_large_for_a_batch() -> None:
    """A log that no batch can hold is lost alone, and counted with its weight; those around it are stored."""
    service = Service()
    delivery = made(service)
    huge: Row = (1_763_985_600.0, 0.001, "GET" * 400_000, "/", 200, None, "", 5)
    for each in (row(), huge, row(), huge):
        delivery.record(each)
    assert delivery.flush(5)
    assert [len(batch["logs"]) for batch in service.batches if batch["logs"]] == [1, 1]
    assert sum((Counter(batch["dropped"]) for batch in service.batches), Counter()) == {"too_large": 10}
    assert delivery.pending == 0


def test_an_exception_nobody_foresaw(caplog: pytest.LogCaptureFixture) -> None:
    """A defect in sending costs a traceback in the log, and not the batch."""
    service = Service(ZeroDivisionError("a defect"))
    delivery = made(service)
    delivery.record(row())
    assert delivery.flush(5)
    assert len(service.batches) == 1
    assert "ZeroDivisionError" in caplog.text


def test_a_flush_does_not_wait_for_nothing() -> None:
    """When the service asked to be left alone for longer than the deadline, a flush returns at once."""
    service = Service(Outcome("again", "http_503", wait=60.0))
    delivery = made(service)
    delivery.record(row())
    start = time.monotonic()
    assert not delivery.flush(20)
    assert time.monotonic() - start < 15
    assert delivery.pending == 1
    assert not delivery.flush(10)
    assert service.posts == 1


def test_a_wait_that_is_too_long() -> None:
    """A service that asks to wait for hours is asked again within `retry_seconds`, so nothing waits for ever."""
    service = Service(Outcome("again", "http_429", wait=1e9))
    delivery = made(service, in_background=True, flush_seconds=0.05, retry_seconds=0.2)
    delivery.record(row())
    wait_until(lambda: delivery.pending == 0)
    assert len(service.batches) == 1
    delivery.close(1)


def test_losses_of_a_batch_that_is_unconfirmed() -> None:
    """Losses that a batch reported, which may have arrived, are not reported again under their reasons."""
    service = Service(Outcome("again", "http_503", maybe_stored=True), Outcome("refused", "http_404"))
    delivery = made(service)
    delivery.buffer.lose({"overflow": 7})
    delivery.record(row(weight=3))
    assert delivery.flush(5)
    assert delivery.buffer.losses == {"unconfirmed": 10}


def test_losses_of_a_batch_that_cannot_be_written(caplog: pytest.LogCaptureFixture) -> None:
    """A row that cannot be written is lost and counted, and so are the losses that its batch was to report."""
    broken: Any = (None, *row()[1:-1], 4)
    service = Service()
    delivery = made(service)
    delivery.buffer.lose({"overflow": 7})
    delivery.record(broken)
    assert delivery.flush(5)
    assert delivery.buffer.losses == {"overflow": 7, "unwritable": 4}
    assert "could not be written" in caplog.text


def test_more_than_a_batch_holds() -> None:
    """Logs for which a batch has no room left go with the next one."""
    service = Service()
    delivery = made(service)
    long: Row = (1_763_985_600.0, 0.001, "GET", "/", 200, None, write([(FIELDS[0], "é" * 128)]), 1)
    for _ in range(1000):
        delivery.record((*long[:6], long[6] * 3, 1))
    assert delivery.flush(10)
    assert len(service.batches) > 1
    assert sum(len(batch["logs"]) for batch in service.batches) == 1000


def test_without_a_thread() -> None:
    """Where no thread can be started, as while an interpreter ends, a flush sends the logs itself."""
    service = Service()
    delivery = made(service, in_background=True, flush_seconds=60)
    before = threading.stack_size(1 << 46)  # more than there is: the system starts no thread with it
    try:
        delivery.record(row())
        assert delivery.flush(5)
    finally:
        threading.stack_size(before)
    assert len(service.batches) == 1


class Slow(Service):
    """Takes a twentieth of a second for each batch."""

    begun = 0

    def post(self, body: bytes, within: float | None = None) -> Outcome:
        """Take a batch, slowly."""
        self.begun += 1
        threading.Event().wait(0.05)
        return super().post(body, within)


def test_the_deadline_without_a_thread() -> None:
    """A flush that sends the logs itself starts no post after its deadline, however many batches wait."""
    service = Slow()
    delivery = made(service, in_background=True, flush_seconds=60, batch_logs=1000)
    before = threading.stack_size(1 << 46)
    try:
        for _ in range(5000):
            delivery.record(row())
        delivery.record(row(weight=2))
        assert not delivery.flush(0.08)
    finally:
        threading.stack_size(before)
    assert service.begun <= 2
    assert delivery.pending >= 3000
    assert delivery.close(20)


def test_a_request_at_any_moment_of_the_thread() -> None:
    """A log is sent, whichever line the thread is at when it is recorded, up to the last one before it ends."""
    moment = 0
    reached = True
    while reached:
        moment += 1
        reached = recorded_at(moment)
    assert moment > 10


def recorded_at(moment: int) -> bool:
    """Record a log when the thread of a delivery comes to its nth line, and see it sent; False if it has fewer."""
    delivery = made(Service(), in_background=True, flush_seconds=0.05)
    lines, go, done = 0, threading.Event(), threading.Event()

    def record() -> None:
        if go.wait(30) and lines >= moment:
            delivery.record(row())
        done.set()

    def trace(frame: FrameType, event: str, argument: object) -> Any:
        nonlocal lines
        if not frame.f_code.co_filename.endswith("delivery.py"):
            return None
        lines += event == "line"
        if lines == moment and not go.is_set():
            go.set()
            done.wait(0.1)  # in vain where the thread holds the lock, as it would be for any other thread
        return trace

    other = threading.Thread(target=record)
    other.start()
    before, tracing = set(threading.enumerate()), threading.gettrace()
    threading.settrace(trace)
    try:
        delivery.record(row())
        (started,) = set(threading.enumerate()) - before
    finally:
        threading.settrace(tracing)
    delivery.close(10)
    wait_until(lambda: go.is_set() or not started.is_alive())
    reached = go.is_set()
    go.set()
    other.join(30)
    wait_until(lambda: delivery.pending == 0)
    delivery.close(10)
    return reached


def test_ids() -> None:
    """Each batch has an id of its own, which the service takes, also between deliveries."""
    service = Service()
    for _ in range(2):
        delivery = made(service, batch_logs=1)
        for _ in range(3):
            delivery.record(row())
        assert delivery.flush(5)
    ids = [batch["batch_id"] for batch in service.batches]
    assert len(set(ids)) == 6
    assert all(len(each) <= 64 and set(each) <= set("0123456789abcdef-") for each in ids)


@pytest.mark.parametrize(
    ("status", "headers", "expected"),
    [
        (200, {}, ("stored", "", None, False)),
        (204, {}, ("stored", "", None, False)),
        (301, {}, ("refused", "http_301", None, False)),
        (401, {}, ("unauthorized", "unauthorized", None, False)),
        (403, {}, ("refused", "http_403", None, False)),
        (413, {}, ("invalid", "http_413", None, False)),
        (422, {}, ("invalid", "http_422", None, False)),
        (408, {}, ("again", "http_408", None, True)),
        (429, {"retry-after": "7"}, ("again", "http_429", 7.0, False)),
        (500, {}, ("again", "http_500", None, True)),
        (502, {}, ("again", "http_502", None, True)),
        (503, {"retry-after": "0"}, ("again", "http_503", 0.0, True)),
        (503, {"retry-after": "soon"}, ("again", "http_503", None, True)),
        (503, {"retry-after": "-1"}, ("again", "http_503", None, True)),
        (
            503,
            {"date": "Mon, 24 Nov 2025 12:00:00 GMT", "retry-after": "Mon, 24 Nov 2025 12:01:30 GMT"},
            ("again", "http_503", 90.0, True),
        ),
        (504, {}, ("again", "http_504", None, True)),
    ],
)
def test_what_an_answer_means(status: int, headers: dict[str, str], expected: tuple[Any, ...]) -> None:
    """Each status, and each form of Retry-After, means one thing."""
    outcome = understand(httpx.Response(status, headers=headers), b"{}")
    assert (outcome.kind, outcome.reason, outcome.wait, outcome.maybe_stored) == expected
