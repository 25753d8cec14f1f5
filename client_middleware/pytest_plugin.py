"""A pytest fixture with the logs that the app under test recorded; needs neither network nor key."""

from __future__ import annotations

from collections.abc import Iterator
from typing import TYPE_CHECKING

import pytest

if TYPE_CHECKING:
    from client_middleware.sink import MemorySink


@pytest.fixture
def api_analytics() -> Iterator[MemorySink]:
    """The sink of every middleware of this process during the test; `api_analytics.logs` is a list of dicts."""
    from client_middleware.sink import MemorySink
    from client_middleware.tracker import record_to

    sink = MemorySink()
    with record_to(sink):
        yield sink
