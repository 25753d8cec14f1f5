"""The rows that wait to be sent, bounded in number and memory, and the count of losses by reason."""

from __future__ import annotations

import threading
import time
from collections import Counter
from collections.abc import Callable, Mapping, Sequence

Row = tuple[float, float, str, str, int, "str | None", str, int]
"""One finished request. It is made while the request is served, so it takes as little work as possible.

Its items: when the request began (seconds since 1970), how long it took (seconds), method, endpoint, status, address,
optional fields as JSON members (`,"consumer":"…"`, mostly empty), weight (the number of requests it stands for)."""

ROW_BYTES = 256  # memory of a row: a tuple of eight 120, two floats 48, its place in the list 8; rounded up


class Buffer:
    """First in, first out, for many threads. A row that does not fit is counted as lost."""

    def __init__(self, most: int, most_bytes: int, batch: int, wake: Callable[[], object]) -> None:
        """Bound the buffer to `most` rows and `most_bytes`; call `wake` at the first row, and at `batch` rows."""
        self._wake = wake
        self._most = most
        self._most_bytes = most_bytes
        self._batch = batch
        self.reset()

    def reset(self) -> None:
        """Start empty, with a new lock, in a child process: the parent sends its own rows."""
        self._lock = threading.Lock()
        self._rows: list[Row] = []
        self._bytes = 0
        self._losses: Counter[str] = Counter()
        self.closed = ""
        """Why every row is lost from now on; empty while rows are kept."""
        self.since = 0.0
        """When the first of the waiting rows came, monotonic seconds."""

    def __len__(self) -> int:
        return len(self._rows)

    def add(self, row: Row) -> None:
        """Add a row, or count it as lost if it does not fit."""
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
        """Remove and return the oldest rows, at most `most`."""
        with self._lock:
            taken = self._rows[:most]
            del self._rows[:most]
            self.since = time.monotonic()
            self._bytes -= _size(taken)
        return taken

    def put_back(self, rows: Sequence[Row]) -> None:
        """Put rows that were just taken back to the front."""
        with self._lock:
            self._rows[:0] = rows
            self._bytes += _size(rows)

    def oldest(self) -> float | None:
        """When the oldest waiting request began, seconds since 1970; None if none waits."""
        with self._lock:
            return self._rows[0][0] if self._rows else None

    def lose(self, losses: Mapping[str, int]) -> None:
        """Count requests as lost, by reason."""
        with self._lock:
            self._losses.update(losses)

    def take_losses(self) -> dict[str, int]:
        """Remove and return the losses, in requests by reason."""
        with self._lock:
            taken = {reason: count for reason, count in self._losses.items() if count}
            self._losses.clear()
        return taken

    @property
    def losses(self) -> dict[str, int]:
        """The losses that are not reported yet, in requests by reason."""
        with self._lock:
            return dict(self._losses)

    def close(self, reason: str) -> None:
        """Count the waiting rows, and all that come later, as lost for this reason."""
        with self._lock:
            self.closed = reason
            self._losses[reason] += sum(row[-1] for row in self._rows)
            self._rows.clear()
            self._bytes = 0


def _size(rows: Sequence[Row]) -> int:
    return len(rows) * ROW_BYTES + sum(len(row[6]) for row in rows)
