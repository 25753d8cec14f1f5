"""Rows that wait to be sent, bounded in number and memory, and the count of what was lost, by reason."""

from __future__ import annotations

import threading
import time
from collections import Counter
from collections.abc import Callable, Mapping, Sequence

Row = tuple[float, float, str, str, int, "str | None", str, int]
"""One finished request, as little worked on as can be, for making it is all that a request pays for: when it began
(seconds since 1970), how long it took (seconds), method, endpoint, status, address, further fields as the JSON that
follows the others (`,"consumer":"…"`, most often empty), and how many requests it stands for."""

ROW_BYTES = 256  # memory that a row takes: a tuple of eight 120, two floats 48, its place in the list 8; rounded up


class Buffer:
    """First in, first out, for many threads. What does not fit is counted and not kept."""

    def __init__(self, most: int, most_bytes: int, batch: int, wake: Callable[[], object]) -> None:
        """`wake` is called when rows begin to wait, and when they are enough for a batch."""
        self._wake = wake
        self._most = most
        self._most_bytes = most_bytes
        self._batch = batch
        self.reset()

    def reset(self) -> None:
        """Empty, with a new lock: a child process starts so, for what its parent holds is the parent's to send."""
        self._lock = threading.Lock()
        self._rows: list[Row] = []
        self._bytes = 0
        self._losses: Counter[str] = Counter()
        self.closed = ""
        """Why nothing is kept any more, if so."""
        self.since = 0.0
        """When the rows that wait began to do so, monotonic seconds."""

    def __len__(self) -> int:
        return len(self._rows)

    def add(self, row: Row) -> None:
        """Put a row in, or count it as lost."""
        size = ROW_BYTES + len(row[6])
        with self._lock:
            waiting = len(self._rows)
            if self.closed or waiting >= self._most or self._bytes + size > self._most_bytes:
                self._losses[self.closed or "overflow"] += row[-1]
                return
            if not waiting:
                self.since = time.monotonic()
            self._rows.append(row)
            self._bytes += size
        if not waiting or waiting + 1 == self._batch:
            self._wake()

    def take(self, most: int) -> list[Row]:
        """Remove and return the oldest rows."""
        with self._lock:
            taken = self._rows[:most]
            del self._rows[:most]
            self.since = time.monotonic()
            self._bytes -= _size(taken)
        return taken

    def put_back(self, rows: Sequence[Row]) -> None:
        """Return the last of what was just taken to the front."""
        with self._lock:
            self._rows[:0] = rows
            self._bytes += _size(rows)

    def oldest(self) -> float | None:
        """When the request that waits longest began, seconds since 1970; None when none waits."""
        with self._lock:
            return self._rows[0][0] if self._rows else None

    def lose(self, losses: Mapping[str, int]) -> None:
        """Count requests as lost."""
        with self._lock:
            self._losses.update(losses)

    def take_losses(self) -> dict[str, int]:
        """Remove and return what was lost since the last time, in requests by reason."""
        with self._lock:
            taken = {reason: count for reason, count in self._losses.items() if count}
            self._losses.clear()
        return taken

    @property
    def losses(self) -> dict[str, int]:
        """What was lost and is not reported yet, in requests by reason."""
        with self._lock:
            return dict(self._losses)

    def close(self, reason: str) -> None:
        """Keep nothing from now on: what waits, and whatever comes, is lost for this reason."""
        with self._lock:
            self.closed = reason
            self._losses[reason] += sum(row[-1] for row in self._rows)
            self._rows.clear()
            self._bytes = 0


def _size(rows: Sequence[Row]) -> int:
    return len(rows) * ROW_BYTES + sum(len(row[6]) for row in rows)
