"""One running service for all of these tests: what one of them does to it, the next one would notice."""

from __future__ import annotations

from collections.abc import Iterator

import pytest

from tests.support.raw_http import Front, served


@pytest.fixture(scope="session")
def front() -> Iterator[Front]:
    """The local gateway over moto, in a process of its own; at the end it must have said nothing of a failure."""
    with served() as running:
        yield running
        printed = running.printed()
    assert "Traceback" not in printed
    assert "failed" not in printed
