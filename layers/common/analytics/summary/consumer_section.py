"""What the dashboard shows of consumers."""

from __future__ import annotations

from collections import Counter

from analytics.batch import is_error
from analytics.blocks import TopConsumer
from analytics.summary.consumers import Consumers
from analytics.summary.counter import OTHER, SHOWN_OTHER
from analytics.summary.section import Shown, Wanted, ranked


class ConsumerSection:
    """The block `top_consumers`."""

    def __init__(self) -> None:
        self._requests: Counter[str] = Counter()
        self._errors: Counter[str] = Counter()
        self._undercount = 0

    def add(self, counter: Consumers, wanted: Wanted, *, narrowed: bool) -> None:  # noqa: ARG002 - `wanted` says it
        """Add a counter."""
        for (name, series_id), requests in counter.requests.items():
            key = wanted[series_id]
            if key is not None:
                self._requests[name] += requests
                if is_error(key):
                    self._errors[name] += requests

    def add_day(self, day: Consumers) -> None:
        """Take note of how many requests of a consumer may be counted as other."""
        self._undercount += day.undercount

    def show(self, top: int) -> Shown:
        """The block, with at most `top` consumers."""
        rows: list[TopConsumer] = [
            {
                "consumer": name or SHOWN_OTHER,
                "is_other": name == OTHER,
                "requests": n,
                "errors_count": self._errors[name],
            }
            for name, n in ranked(self._requests, top)
        ]
        return Shown({"top_consumers": rows}, {"consumers_low_by_at_most": self._undercount})
