"""What rows are recorded to: `delivery.Delivery` sends them to the service, MemorySink keeps them for tests."""

from __future__ import annotations

import json
from typing import Any, Protocol

from client_middleware.buffer import Row
from client_middleware.wire import Encoder


class Sink(Protocol):
    """Takes rows of finished requests."""

    def record(self, row: Row) -> None:
        """Take a row, without waiting."""

    def flush(self, seconds: float) -> bool:
        """Pass on what was taken, within so many seconds; return whether nothing is left."""

    def close(self, seconds: float) -> bool:
        """Flush, and end the background work."""

    def reset(self) -> None:
        """Start afresh in a child process."""


class MemorySink:
    """Keeps logs in memory. `TrackingMiddleware(app, sink=MemorySink())` needs neither network nor key."""

    def __init__(self) -> None:
        self._encoder = Encoder()
        self.logs: list[dict[str, Any]] = []
        """The logs as the service would receive them, oldest first."""

    def record(self, row: Row) -> None:
        """Keep a log."""
        self.logs += map(json.loads, self._encoder.lines([row]))

    def flush(self, seconds: float) -> bool:  # noqa: ARG002 - required by Sink
        """Do nothing: no log waits here. Returns True."""
        return True

    close = flush

    def reset(self) -> None:
        """Remove all logs."""
        self.logs.clear()
