"""Sends a share of the requests such that totals stay right: each log kept says how many requests it stands for.

Every request is kept with the same chance p, whatever the others did. One that is kept carries weight 1 + the requests
skipped since the one before. Then

- **in total it is exact**: weights add up to all requests but those skipped after the last one kept, and `tail` hands
  out the last of these with their number, so at a flush not even they are missing;
- **per endpoint, status, … it is unbiased**: how many were skipped before a request depends on the dice of earlier
  requests only, not on what this one is. Its expected weight is p · (1 + (1-p) + (1-p)² + …) = p · 1/p = 1 request, so
  the expected sum over any kind of request is their number (but for the first 1/p requests of a process, which have
  fewer before them to stand for, by at most 1/p in all). The spread of a count n is that of sampling, about
  √(2n(1-p)/p).
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
        """Begin anew in a child process, with dice of its own: a fork would throw the parent's once more."""
        self._lock = threading.Lock()
        self._dice = random.Random()
        self._skipped = 0
        self._last: Row | None = None

    def choose(self, row: Row) -> Row:
        """The row with its weight, which is 0 for one that is skipped."""
        with self._lock:
            if self._dice.random() >= self._rate and self._skipped < MAX_WEIGHT - 1:
                self._skipped += 1
                self._last = row = (*row[:-1], 0)
                return row
            weight, self._skipped = self._skipped + 1, 0
        return (*row[:-1], weight)

    def tail(self) -> Row | None:
        """The last row skipped, standing for all since the last one kept; None when that was the last."""
        with self._lock:
            weight, self._skipped = self._skipped, 0
            row, self._last = self._last, None
        return (*row[:-1], weight) if row is not None and weight else None
