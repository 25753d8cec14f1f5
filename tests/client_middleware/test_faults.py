"""Whatever the service does: stored + lost and reported = made, exactly, and nothing twice.

Against a server process over real sockets. Each test makes requests of a tracked app while things go wrong, lets
delivery come to rest, and adds up.
"""

from __future__ import annotations

import asyncio
import threading
import time
from collections.abc import Callable
from typing import Any

import pytest
from fastapi import FastAPI

from client_middleware import TrackingMiddleware
from client_middleware.delivery import Delivery
from tests.client_middleware.conftest import CollectorProcess, ask, wait_until


class Driven:
    """A tracked app and the count of requests made of it."""

    def __init__(self, delivery: Delivery, **settings: Any) -> None:
        self.delivery = delivery
        self.made = 0
        self.slowest = 0.0
        self._number = 0
        app = FastAPI()

        @app.get("/n/{number}")
        async def number(number: int) -> int:
            return number

        self.app = TrackingMiddleware(app, sink=delivery, raw_path="all", **settings)

    def ask(self, times: int, pause: float = 0.0) -> None:
        """Make requests."""

        async def all_of_them() -> None:
            for _ in range(times):
                start = time.perf_counter()
                sent = await ask(self.app, f"/n/{self.made}")
                self.slowest = max(self.slowest, time.perf_counter() - start)
                assert sent[0]["status"] == 200
                self.made += 1
                if pause:
                    await asyncio.sleep(pause)

        asyncio.run(all_of_them())

    def settle(self, collector: CollectorProcess, seconds: float = 15) -> None:
        """Wait until nothing is under way, and add up."""
        assert self.delivery.flush(seconds)
        assert collector.requests + collector.dropped.total() + sum(self.delivery.buffer.losses.values()) == self.made
        paths = [log["path"] for log in collector.logs]
        assert len(paths) == len(set(paths))


@pytest.fixture
def driven(deliver: Callable[..., Delivery]) -> Driven:
    """An app that is tracked with quick retries."""
    return Driven(deliver())


def test_all_is_well(driven: Driven, collector: CollectorProcess) -> None:
    """With nothing wrong every request is stored, in batches."""
    driven.ask(95)
    driven.settle(collector)
    assert (collector.requests, collector.dropped) == (95, {})
    assert max(len(batch["logs"]) for batch in collector.batches) == 10


@pytest.mark.parametrize(
    "words",
    [
        ["500"] * 3,
        ["503:0", "502", "504", "429:0", "408"],
        ["lose"] * 3,
        ["cut"] * 3,
        ["half", "lose", "cut", "500", "ok", "lose"],
        ["slow:0.3", "ok", "slow:0.3"],
    ],
    ids="-".join,
)
def test_misbehavior(words: list[str], driven: Driven, collector: CollectorProcess) -> None:
    """Refusals, cut connections, lost answers and slowness cost neither a log nor a double."""
    collector.behave(*words)
    driven.ask(60, pause=0.005)
    driven.settle(collector)
    assert (collector.requests, collector.dropped) == (60, {})


def test_an_answer_that_never_comes(deliver: Callable[..., Delivery], collector: CollectorProcess) -> None:
    """A server that stores and then outlasts the time-out is asked again under the same id, and stores once."""
    driven = Driven(deliver(timeout_seconds=0.2))
    collector.behave("slow:5", "slow:5")
    driven.ask(25)
    driven.settle(collector)
    assert (collector.requests, collector.dropped) == (25, {})


def test_killed_and_restarted(driven: Driven, collector: CollectorProcess) -> None:
    """A server killed at any moment, three times over, loses nothing once it is back."""
    for _ in range(3):
        killer = threading.Timer(0.1, collector.kill)
        killer.start()
        driven.ask(60, pause=0.004)
        killer.join()
        collector.start()
    driven.settle(collector)
    assert (collector.requests, collector.dropped) == (180, {})


def test_retry_after(driven: Driven, collector: CollectorProcess) -> None:
    """A server that asks to wait a second is left alone for that long, though the usual wait is shorter."""
    collector.behave("503:1")
    start = time.monotonic()
    driven.ask(10)
    wait_until(lambda: collector.requests == 10)
    assert time.monotonic() - start > 1
    driven.settle(collector)


def test_overflow(deliver: Callable[..., Delivery], collector: CollectorProcess) -> None:
    """While the server is away no more is kept than allowed; the rest is counted and reported when it is back."""
    driven = Driven(deliver(buffer_logs=40))
    collector.kill()
    driven.ask(200)
    wait_until(lambda: driven.delivery.pending == 50)  # 40 in the buffer, and a batch of 10 under way
    collector.start()
    driven.settle(collector)
    assert collector.requests == 50
    assert collector.dropped == {"overflow": 150}


def test_bytes_are_bounded_too(deliver: Callable[..., Delivery], collector: CollectorProcess) -> None:
    """Long texts fill the buffer sooner than their number would."""
    driven = Driven(deliver(buffer_bytes=10_000))
    collector.kill()
    driven.ask(200)
    assert driven.delivery.pending < 60
    collector.start()
    driven.settle(collector)
    assert collector.dropped["overflow"] == 200 - collector.requests > 140


@pytest.mark.parametrize("status", [301, 403, 404])
def test_refused_batches(status: int, driven: Driven, collector: CollectorProcess) -> None:
    """A batch that is refused is not sent again; its requests are counted by reason and reported with the next."""
    collector.behave(str(status))
    driven.ask(10)
    wait_until(lambda: driven.delivery.pending == 0)
    driven.ask(5)
    driven.settle(collector)
    assert (collector.requests, collector.dropped) == (5, {f"http_{status}": 10})


def test_the_report_of_losses_gets_lost(deliver: Callable[..., Delivery], collector: CollectorProcess) -> None:
    """Losses that a batch reports are reported once, when its answer is lost and when it is refused itself."""
    driven = Driven(deliver(batch_logs=5))
    collector.behave("404", "lose", "ok", "404", "404", "lose")
    for _ in range(6):
        driven.ask(5)
        wait_until(lambda: driven.delivery.pending == 0)
    driven.settle(collector)
    assert (collector.requests, collector.dropped) == (15, {"http_404": 15})


def test_given_up(deliver: Callable[..., Delivery], collector: CollectorProcess) -> None:
    """A batch that was tried for long enough is given up and counted under the reason of its last try."""
    driven = Driven(deliver(retry_seconds=0.2))
    collector.behave(*["429"] * 100)
    driven.ask(10)
    wait_until(lambda: driven.delivery.pending == 0)
    collector.behave()
    driven.ask(1)
    driven.settle(collector)
    assert (collector.requests, collector.dropped) == (1, {"http_429": 10})


def test_given_up_with_a_service_that_can_not_tell(
    deliver: Callable[..., Delivery], collector: CollectorProcess
) -> None:
    """After 503s a batch counts as unconfirmed: the service answers so too when its database's answer got lost."""
    driven = Driven(deliver(retry_seconds=0.2))
    collector.behave(*["503"] * 100)
    driven.ask(10)
    wait_until(lambda: driven.delivery.pending == 0)
    collector.behave()
    assert driven.delivery.flush(5)
    assert (collector.requests, collector.dropped) == (0, {"unconfirmed": 10})


def test_given_up_without_an_answer(deliver: Callable[..., Delivery], collector: CollectorProcess) -> None:
    """A batch given up whose answer was lost counts as unconfirmed, for it may be stored, as here it is."""
    driven = Driven(deliver(retry_seconds=0.2))
    collector.behave(*["lose"] * 100)
    driven.ask(10)
    wait_until(lambda: driven.delivery.pending == 0)
    collector.behave()
    assert driven.delivery.flush(5)
    assert (collector.requests, collector.dropped) == (10, {"unconfirmed": 10})


def test_given_up_with_one_answer_lost(deliver: Callable[..., Delivery], collector: CollectorProcess) -> None:
    """One lost answer is enough for a batch to count as unconfirmed, whatever was answered afterwards."""
    driven = Driven(deliver(retry_seconds=0.2))
    collector.behave("lose", *["503"] * 100)
    driven.ask(10)
    wait_until(lambda: driven.delivery.pending == 0)
    collector.behave()
    assert driven.delivery.flush(5)
    assert (collector.requests, collector.dropped) == (10, {"unconfirmed": 10})


def test_a_key_revoked_after_an_answer_was_lost(deliver: Callable[..., Delivery], collector: CollectorProcess) -> None:
    """What the refusal comes too late for is unconfirmed; what waits behind it is certainly not stored."""
    driven = Driven(deliver())
    collector.behave("lose", "401")
    driven.ask(15)
    wait_until(lambda: bool(driven.delivery.buffer.closed))
    assert driven.delivery.buffer.losses == {"unconfirmed": 10, "unauthorized": 5}
    assert collector.requests == 10


def test_given_up_unreached(deliver: Callable[..., Delivery], collector: CollectorProcess) -> None:
    """A batch given up that never reached a service is not unconfirmed: it is certainly lost."""
    driven = Driven(deliver(retry_seconds=0.2))
    collector.kill()
    driven.ask(10)
    wait_until(lambda: driven.delivery.pending == 0)
    collector.start()
    driven.settle(collector)
    assert (collector.requests, collector.dropped) == (0, {"unreachable": 10})


def test_a_key_that_is_not_accepted(
    deliver: Callable[..., Delivery], collector: CollectorProcess, caplog: pytest.LogCaptureFixture
) -> None:
    """After a 401 nothing is sent any more, one line says so, and every request is counted as lost."""
    driven = Driven(deliver(key="revoked"))
    driven.ask(10)
    wait_until(lambda: bool(driven.delivery.buffer.closed))
    driven.ask(10)
    driven.settle(collector)
    assert driven.delivery.buffer.losses == {"unauthorized": 20}
    assert [record.levelname for record in caplog.records if record.name == "client_middleware"] == ["ERROR"]
    assert "does not accept the API key" in caplog.text


def test_an_outage_is_two_log_lines(
    driven: Driven, collector: CollectorProcess, caplog: pytest.LogCaptureFixture
) -> None:
    """However many tries fail, the app's log says once that logs wait, and once that they are delivered again."""
    caplog.set_level("INFO")
    collector.behave("500", "500", "500", "500")
    driven.ask(10)
    driven.settle(collector)
    lines = [record.getMessage() for record in caplog.records if record.name != "asyncio"]
    assert lines == [
        'Logs cannot be delivered now and wait: the service answered 500: {"detail": "told so"}',
        "Logs are delivered again",
    ]


@pytest.mark.parametrize("fault", ["dead", "slow", "refusing"])
def test_latency_is_not_touched(fault: str, driven: Driven, collector: CollectorProcess) -> None:
    """A dead, slow or refusing server delays no request, though each takes seconds or is tried again and again."""
    if fault == "dead":
        collector.kill()
    else:
        collector.behave(*[{"slow": "slow:3", "refusing": "503"}[fault]] * 500)
    driven.ask(50)  # what is paid once: the thread, the first connection
    driven.slowest = 0.0
    driven.ask(300, pause=0.001)
    assert driven.slowest < 1.5
    if fault == "dead":
        collector.start()
    collector.behave()
    driven.settle(collector)
    assert collector.requests == 350


def test_a_sample(deliver: Callable[..., Delivery], collector: CollectorProcess) -> None:
    """Sampled, the weights of what is stored still add up to every request, the tail included, through faults."""
    driven = Driven(deliver(), sample_rate=0.1)
    collector.behave("lose", "500", "cut")
    driven.ask(500)
    assert driven.app.tracker.flush(10)
    assert collector.requests == 500
    assert 20 < len(collector.logs) < 90
