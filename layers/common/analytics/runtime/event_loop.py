"""An event loop for each thread that runs a handler."""

from __future__ import annotations

import asyncio
import threading


class _Loop:
    """The event loop of one thread, closed when the thread ends."""

    def __init__(self) -> None:
        self.loop = asyncio.new_event_loop()

    def __del__(self) -> None:
        self.loop.close()


_local = threading.local()


def ensure() -> None:
    """Set this thread's event loop, which Mangum asks asyncio for. `asyncio.run` unsets it, so call this each time."""
    if not hasattr(_local, "own"):
        _local.own = _Loop()
    asyncio.set_event_loop(_local.own.loop)
