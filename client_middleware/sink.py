"""What rows are recorded to: `delivery.Delivery` sends them to the service, MemorySink keeps them for tests."""

from __future__ import annotations

import json
from typing import Any, Protocol

from client_middleware.buffer import Row
from client_middleware.wire import Encoder


class Sink(Protocol):
    """Takes rows of finished requests."""

    def record(self, row: Row) -> None:
        """Take a row; never waits."""

    def flush(self, seconds: float) -> bool:
        """Pass on what was taken, for at most so many seconds; whether nothing is left."""

    def close(self, seconds: float) -> bool:
        """Flush, and end what runs in the background."""

    def reset(self) -> None:
        """Begin anew in a child process."""


class MemorySink:
    """Keeps what would have been sent. `TrackingMiddleware(app, sink=MemorySink())` needs neither network nor key."""

    def __init__(self) -> None:
        self._encoder = Encoder()
        self.logs: list[dict[str, Any]] = []
        """The logs as the service would get them, oldest first."""

    def record(self, row: Row) -> None:
        """Keep a log."""
        self.logs += map(json.loads, self._encoder.lines([row]))

    def flush(self, seconds: float) -> bool:  # noqa: ARG002 - a Sink's
        """Nothing waits here."""
        return True

    close = flush

    def reset(self) -> None:
        """Forget all."""
        self.logs.clear()
