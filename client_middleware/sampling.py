"""Keeps a share of the requests, each with a weight, so that totals stay right.

Every request is kept with the same probability p, independent of the others. A kept one gets the weight 1 + the number
of requests skipped since the kept one before. Then

- **totals are exact**: weights add up to all requests but those skipped after the last kept one; at a flush, `tail`
  returns the last of these, with their number as its weight;
- **counts per endpoint, status, … are unbiased**: how many were skipped before a request depends only on the dice of
  earlier requests, not on what this one is. Its expected weight is p · (1 + (1-p) + (1-p)² + …) = p · 1/p = 1 request,
  so the expected sum of weights is the number of requests, of any kind. (The first 1/p requests of a process have fewer
  requests before them; that is at most 1/p in all.) The standard deviation of a count n is about √(2n(1-p)/p).
"""

from __future__ import annotations

import random
import threading

from client_middleware.buffer import Row
from client_middleware.wire import MAX_WEIGHT


class Sampler:
    """Chooses rows and gives them their weight; for many threads."""

    def __init__(self, rate: float) -> None:
        self._rate = rate
        self.reset()

    def reset(self) -> None:
        """Start afresh in a child process, with a new random generator: a fork copies the state of the parent's."""
        self._lock = threading.Lock()
        self._dice = random.Random()
        self._skipped = 0
        self._last: Row | None = None

    def choose(self, row: Row) -> Row:
        """Return the row with its weight, 0 if it is skipped."""
        with self._lock:
            if self._dice.random() >= self._rate and self._skipped < MAX_WEIGHT - 1:
                self._skipped += 1
                self._last = row = (*row[:-1], 0)
                return row
            weight, self._skipped = self._skipped + 1, 0
        return (*row[:-1], weight)

    def tail(self) -> Row | None:
        """Return the last skipped row, weighted with all skipped since the last kept one; None if there are none."""
        with self._lock:
            weight, self._skipped = self._skipped, 0
            row, self._last = self._last, None
        return (*row[:-1], weight) if row is not None and weight else None
