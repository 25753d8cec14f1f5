"""Latency histograms: counts in buckets that grow by 2 %, so that any percentile is within 1 % of the true one.

A bucket holds the whole microseconds from its edge up to the next. Edges go 0, 1, 2, … 50, 51, 53, …: each is the one
before, times 1.02, rounded up; below 50 µs every value has a bucket of its own. A bucket from `low` to `high` (both
included) answers with 2·low·high / (low + high), which is equally far from both in proportion: its relative error is at
most (high - low) / (high + low) < 0.02 / 2.02 < 1 %. Merging adds counts, so it adds no error.
(DDSketch, by Masson, Rim and Lee, VLDB 2019, gives the same guarantee; the edges here are whole numbers.)

A histogram is one long integer with 64 bits for each bucket's count, the first bucket lowest: two are merged by `+`,
which for the hundred buckets in use takes no longer than adding a few of them one by one in Python would.
"""

from __future__ import annotations

from array import array
from bisect import bisect_right
from collections.abc import Callable, Iterable
from functools import partial
from itertools import accumulate
from math import ceil
from sys import byteorder

LONGEST_US = 86_400_000_000  # the longest duration that ingest accepts
Histogram = int


def _edges() -> list[int]:
    edges, edge = [], 0
    while edge <= LONGEST_US:
        edges.append(edge)
        edge = max(edge + 1, ceil(edge * 102 / 100))
    return [*edges, edge]


EDGES = _edges()
BITS = 11  # a bucket number fits into 11 bits: there are 1,104 of them, numbered from 1
_LANE = 8  # bytes of a count
bucket_of: Callable[[int], int] = partial(bisect_right, EDGES)
"""The number of the bucket, from 1, that a duration in whole microseconds falls into."""


def value_of(bucket: int) -> float:
    """The duration, in microseconds, that stands for all of a bucket: within 1 % of each."""
    low, high = EDGES[bucket - 1], EDGES[bucket] - 1
    return 2 * low * high / (low + high) if low else 0.0


def histogram_of(counts: Iterable[tuple[int, int]]) -> Histogram:
    """The histogram of some (bucket, count); no bucket may come twice."""
    known = list(counts)
    if not known:
        return 0
    first = min(known)[0]
    lanes = array("Q", bytes(_LANE * (max(known)[0] - first + 1)))
    for bucket, count in known:
        lanes[bucket - first] = count
    if byteorder == "big":
        lanes.byteswap()
    return int.from_bytes(lanes.tobytes(), "little") << (first * _LANE * 8)


def quantiles(histogram: Histogram, shares: Iterable[float]) -> list[float | None]:
    """The durations, in microseconds, that these shares (0 to 1) of all requests do not exceed; None without requests.

    The nearest rank: of n requests in order, the one at ceil(share · n).
    """
    buckets = list(accumulate(_lanes(histogram)))
    total = buckets[-1] if buckets else 0
    ranks = [max(1, ceil(share * total)) for share in shares]
    return [value_of(bisect_right(buckets, rank - 1)) if total else None for rank in ranks]


def buckets_in_use(histogram: Histogram) -> int:
    """How many buckets count anything."""
    lanes = _lanes(histogram)
    return len(lanes) - lanes.count(0)


def to_planes(histogram: Histogram) -> tuple[int, int, bytes]:
    """For storing: the first bucket in use, how many from there on, the lowest bytes of their counts, then the next.

    Counts are mostly below 256, so that one byte for each bucket is mostly all there is.
    """
    first = _first(histogram)
    histogram >>= first * _LANE * 8
    length = -(-histogram.bit_length() // (_LANE * 8))
    raw = histogram.to_bytes(length * _LANE, "little")
    planes = [raw[plane::_LANE] for plane in range(_LANE)]
    while planes and not planes[-1].strip(b"\0"):
        planes.pop()
    return first, length, b"".join(planes)


def from_planes(first: int, length: int, planes: bytes) -> Histogram:
    """The histogram that `to_planes` took apart."""
    raw = bytearray(length * _LANE)
    for plane in range(len(planes) // length if length else 0):
        raw[plane::_LANE] = planes[plane * length : (plane + 1) * length]
    return int.from_bytes(raw, "little") << (first * _LANE * 8)


def _first(histogram: Histogram) -> int:
    """The first bucket in use: the position of the lowest bit that is set."""
    return ((histogram & -histogram).bit_length() - 1) // (_LANE * 8) if histogram else 0


def _lanes(histogram: Histogram) -> array[int]:
    lanes = array("Q")
    lanes.frombytes(histogram.to_bytes(_LANE * (len(EDGES) + 1), "little"))
    if byteorder == "big":
        lanes.byteswap()
    return lanes
