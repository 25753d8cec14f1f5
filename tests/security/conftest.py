"""One running service for all of these tests, so that damage done by one test shows in the next."""

from __future__ import annotations

from collections.abc import Iterator

import pytest

from tests.support.raw_http import RunningServer, served


@pytest.fixture(scope="session")
def server() -> Iterator[RunningServer]:
    """`python -m local serve` in a process of its own; at the end its output must report no failure."""
    with served() as running:
        yield running
        printed = running.printed()
    assert "Traceback" not in printed
    assert "failed" not in printed
