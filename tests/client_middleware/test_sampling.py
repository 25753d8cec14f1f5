"""A sample keeps totals exact and every part of them unbiased."""

from __future__ import annotations

import random
import threading
from collections import Counter
from math import sqrt

import pytest

from client_middleware.buffer import Row
from client_middleware.sampling import Sampler
from client_middleware.wire import MAX_WEIGHT


def row(endpoint: str = "/") -> Row:
    """A request."""
    return (0.0, 0.0, "GET", endpoint, 200, None, "", 1)


@pytest.mark.parametrize("rate", [0.5, 0.1, 0.01])
def test_totals_are_exact(rate: float) -> None:
    """The weights of what is kept and of the tail add up to all requests, at any moment of asking."""
    sampler, total = Sampler(rate), 0
    for number in range(1, 5001):
        total += sampler.choose(row())[-1]
        if number % 1000 == 0:
            tail = sampler.tail()
            total += tail[-1] if tail else 0
            assert total == number
    assert sampler.tail() is None


def test_each_endpoint_is_unbiased() -> None:
    """The weights of an endpoint add up to its requests, within four standard deviations, also where it comes in
    bursts after others."""
    rate, dice = 0.1, random.Random(7)
    truth: Counter[str] = Counter()
    estimate: Counter[str] = Counter()
    sampler = Sampler(rate)
    for _ in range(3000):
        for endpoint in ["/often"] * 20 + ["/after"] + ["/seldom"] * (dice.random() < 0.3):
            truth[endpoint] += 1
            estimate[endpoint] += sampler.choose(row(endpoint))[-1]
    for endpoint, count in truth.items():
        assert abs(estimate[endpoint] - count) < 4 * sqrt(2 * count * (1 - rate) / rate), endpoint


def test_no_weight_is_above_the_limit() -> None:
    """A log stands for at most as many requests as the service accepts, however small the sample is."""
    sampler = Sampler(1e-12)
    weights = [weight for _ in range(MAX_WEIGHT + 10) if (weight := sampler.choose(row())[-1])]
    tail = sampler.tail()
    assert (weights, tail and tail[-1]) == ([MAX_WEIGHT], 10)


def test_many_threads() -> None:
    """Totals are exact with many threads at once."""
    sampler = Sampler(0.2)
    kept: list[int] = []

    def work() -> None:
        kept.extend(sampler.choose(row())[-1] for _ in range(5000))

    threads = [threading.Thread(target=work) for _ in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    tail = sampler.tail()
    assert sum(kept) + (tail[-1] if tail else 0) == 20_000
