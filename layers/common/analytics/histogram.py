"""Latency histograms: counts in buckets that grow by 2 %, so that any percentile is within 1 % of the true one.

A bucket holds the whole microseconds from its edge up to the next. Edges go 0, 1, 2, … 50, 51, 53, …: each is the one
before, times 1.02, rounded up; below 50 µs every value has a bucket of its own. A bucket from `low` to `high` (both
included) answers with 2·low·high / (low + high), which is equally far from both in proportion: its relative error is at
most (high - low) / (high + low) < 0.02 / 2.02 < 1 %. Merging adds counts, so it adds no error.
(DDSketch, by Masson, Rim and Lee, VLDB 2019, gives the same guarantee; the edges here are whole numbers.)
"""

from __future__ import annotations

from bisect import bisect_right
from collections.abc import Callable, Iterable, Mapping
from functools import partial
from math import ceil

LONGEST_US = 86_400_000_000  # the longest duration that ingest accepts


def _edges() -> list[int]:
    edges, edge = [], 0
    while edge <= LONGEST_US:
        edges.append(edge)
        edge = max(edge + 1, ceil(edge * 102 / 100))
    return [*edges, edge]


EDGES = _edges()
BITS = 11  # a bucket number fits into 11 bits: there are 1,104 of them, numbered from 1
bucket_of: Callable[[int], int] = partial(bisect_right, EDGES)
"""The number of the bucket, from 1, that a duration in whole microseconds falls into."""


def value_of(bucket: int) -> float:
    """The duration, in microseconds, that stands for all of a bucket: within 1 % of each."""
    low, high = EDGES[bucket - 1], EDGES[bucket] - 1
    return 2 * low * high / (low + high) if low else 0.0


def quantiles(counts: Mapping[int, int], shares: Iterable[float]) -> list[float | None]:
    """The durations, in microseconds, that these shares (0 to 1, ascending) of all requests do not exceed.

    The nearest rank: of n requests in order, the one at ceil(share · n). None where there are no requests.
    `counts` is requests by bucket.
    """
    total, seen, answers = sum(counts.values()), 0, list[float | None]()
    ascending = iter(sorted(counts))
    bucket = 0
    for share in shares:
        rank = max(1, ceil(share * total))
        while total and seen < rank:
            bucket = next(ascending)
            seen += counts[bucket]
        answers.append(value_of(bucket) if total else None)
    return answers
