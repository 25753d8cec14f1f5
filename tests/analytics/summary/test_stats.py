"""Durations as they are shown."""

from __future__ import annotations

from itertools import pairwise

from analytics.summary.byteshuffle import WIDTH
from analytics.summary.histogram import EDGES, LONGEST_US
from analytics.summary.stats import RequestStats


def test_a_percentile_as_it_is_shown_is_within_one_percent() -> None:
    """Of the shortest and of the longest duration of any bucket: the digits that are left out do not exceed it."""
    for number, (low, above) in enumerate(pairwise(EDGES), 1):
        stats = RequestStats(1, 0, low, 0, LONGEST_US, 1 << (number * WIDTH * 8))
        shown = stats.percentiles()["p50"]
        assert shown is not None
        for duration in (low, min(above - 1, LONGEST_US)):
            assert abs(shown * 1000 - duration) <= duration * 0.01
