"""No clock has to be right: whatever clocks say, all logs are visible at once and stay so."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

from analytics.store import KeyTable, LogTable
from analytics.times import isoformat
from analytics.web import Service
from functions.dashboard.app import fold_on_schedule
from tests.conftest import NOON, SETTINGS, Api, Clock, shared_client
from tests.functions.wire import log, send

if TYPE_CHECKING:
    from collections.abc import Callable

HOUR, DAY = 3_600, 86_400  # seconds
YEARS = 2 * 365 * DAY


class Instance:
    """An instance of the service, with what it remembers and a clock that is off by some seconds."""

    def __init__(self, clock: Clock, off: float, key: str = "") -> None:
        self.off = off
        self.clock = clock
        client = shared_client()
        keys, logs = KeyTable(client, SETTINGS.keys_table), LogTable(client, SETTINGS.logs_table)
        self.service = Service(SETTINGS, keys, logs, lambda: clock.at + round(self.off * 1_000_000))
        self.api = Api(self.service, key)

    def send(self, number: int, batch_id: str) -> None:
        """Logs of now, by the right clock."""
        send(self.api, *(log(created_at=isoformat(self.clock.at)) for _ in range(number)), batch_id=batch_id)

    @property
    def told(self) -> tuple[int, bool]:
        """How many requests the dashboard tells, and whether it says that it is complete."""
        blocks = self.api.get("/dashboard").json()
        return blocks["summary"]["total_requests"], blocks["range"]["complete"]


@pytest.fixture
def start(dynamodb: object, clock: Clock) -> Callable[..., Instance]:
    """Starts instances over the same tables."""
    assert dynamodb
    return lambda off=0.0, key="": Instance(clock, off, key)


@pytest.mark.parametrize("off", [3 * HOUR, YEARS, -3 * HOUR, -30 * DAY, DAY])
def test_a_clock_that_was_wrong_hides_nothing(start: Callable[..., Instance], clock: Clock, off: float) -> None:
    """For a minute, with a fold in it; three hundred later logs are there at once, after folds, and days later."""
    one = start()
    one.send(10, "before")
    clock.advance(HOUR)
    one.off = off
    one.send(10, "wrong")
    clock.advance(120)
    fold_on_schedule(one.service)
    one.off = 0.0
    sent = 20
    assert one.told == (sent, True)
    for number in range(30):
        instance = one if number % 2 else start(0.0, one.api.key)  # one that remembers nothing
        instance.send(10, f"b{number}")
        sent += 10
        assert instance.told == (sent, True)
        clock.advance(2 * HOUR)
        if number % 3 == 0:
            fold_on_schedule(instance.service)
            assert start(0.0, one.api.key).told == (sent, True)
    for _ in range(3):
        clock.advance(DAY)
        assert fold_on_schedule(one.service)["failed"] == 0
        assert one.told == (sent, True)


def test_instances_whose_clocks_differ_agree(start: Callable[..., Instance], clock: Clock) -> None:
    """Three writers, each of which looks and folds as well."""
    one = start()
    instances = [one, start(7_000.0, one.api.key), start(-5_000.0, one.api.key)]
    for number in range(60):
        instances[number % 3].send(5, f"b{number}")
        if number % 7 == 0:
            fold_on_schedule(instances[number % 2].service)
        assert {instance.told for instance in instances} == {(5 * (number + 1), True)}
        clock.advance(1_000)


def test_the_tail_of_a_stream_ahead_of_the_clock_is_stored(start: Callable[..., Instance], clock: Clock) -> None:
    """So that dashboards do not get slower for ever."""
    one = start(YEARS)
    one.send(10, "wrong")
    clock.advance(HOUR)
    fold_on_schedule(one.service)
    one.off = 0.0
    (stream,) = one.service.keys.streams()
    for number in range(40):
        one.send(100, f"b{number}")
        clock.advance(600)
        assert one.told == (10 + 100 * (number + 1), True)
        newest, _ = one.service.logs.newest_rollup(stream, clock.at)
        tail = list(one.service.logs.since(stream, newest.until if newest else ""))
        assert sum(len(stored.batch) for stored in tail) <= 1_500
    fold_on_schedule(one.service)
    fold_on_schedule(one.service)
    newest, _ = one.service.logs.newest_rollup(stream, clock.at)
    assert newest is not None
    assert list(one.service.logs.since(stream, newest.until)) == []
    assert clock.at > NOON
