"""The logs of refused batches, which are sent again in smaller batches, before any others."""

from __future__ import annotations

from collections.abc import Sequence

from client_middleware.buffer import Row

MAX_HALVINGS = 64  # of one batch; finding one bad log in 1,000 takes ten


class Parts:
    """First in, first out, but for halves, which come first. For one thread; any thread may read how many logs wait."""

    def __init__(self) -> None:
        self._waiting: list[tuple[Sequence[Row], float]] = []
        self._halvings = 0
        self._next_halvings = MAX_HALVINGS

    def __len__(self) -> int:
        """How many logs wait."""
        return sum(len(rows) for rows, _ in list(self._waiting))

    def add(self, rows: Sequence[Row], made: float) -> None:
        """Add logs of a batch that was made at this time, monotonic seconds."""
        self._waiting.append((rows, made))

    @property
    def next(self) -> int:
        """How many logs the next part has."""
        return len(self._waiting[0][0])

    def take(self) -> tuple[Sequence[Row], float]:
        """Remove and return the next part, and when its batch was made."""
        return self._waiting.pop(0)

    def begin(self) -> None:
        """Allow a new batch its halvings: half as many as the one before, if nothing was stored since.

        So a service that refuses whatever it gets is asked little more than once for each batch.
        """
        self._halvings, self._next_halvings = self._next_halvings, self._next_halvings // 2

    def accept(self) -> None:
        """Allow the next batch all halvings: the service stored something."""
        self._next_halvings = MAX_HALVINGS

    def halve(self, rows: Sequence[Row], made: float) -> bool:
        """Add the halves of refused rows; False if there is one row, or the batch was halved too often."""
        if len(rows) < 2 or not self._halvings:
            return False
        self._halvings -= 1
        middle = len(rows) // 2
        self._waiting[:0] = [(rows[:middle], made), (rows[middle:], made)]
        return True

    def clear(self) -> list[Row]:
        """Remove and return all logs."""
        rows = [row for part, _ in self._waiting for row in part]
        self._waiting.clear()
        return rows
