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
from bisect import bisect_left, bisect_right
from collections.abc import Iterable, Mapping, Sequence
from functools import lru_cache
from itertools import accumulate, pairwise
from math import ceil
from operator import or_
from sys import byteorder

from analytics.summary.byteshuffle import LANE, from_planes, to_planes

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
BUCKET = (1 << BITS) - 1  # the bits of a key that number the bucket; those above number the cell
_TABLED = 1 << 20  # microseconds: shorter durations look their bucket up, which is three times as fast


def keys_of(shifted: Sequence[int], durations: Sequence[int]) -> list[int]:
    """For each request its key: the number of its cell << BITS, which is given, | that of its duration's bucket."""
    try:
        return list(map(or_, shifted, map(_table().__getitem__, durations)))
    except IndexError:  # some are longer than that
        return [cell | bisect_right(EDGES, duration) for cell, duration in zip(shifted, durations, strict=True)]


@lru_cache(maxsize=1)
def _table() -> array[int]:
    table = array("H")
    for bucket, (low, high) in enumerate(pairwise(EDGES), 1):
        if low >= _TABLED:
            break
        table.extend(array("H", [bucket]) * (min(high, _TABLED) - low))
    return table


def value_of(bucket: int) -> float:
    """The duration, in microseconds, that stands for all of a bucket: within 1 % of each."""
    low, high = EDGES[bucket - 1], EDGES[bucket] - 1
    return 2 * low * high / (low + high) if low else 0.0


def histograms_of(counts: Mapping[int, int]) -> dict[int, Histogram]:
    """The histogram of each cell, from counts by key; see `keys_of`."""
    keys, found, at = sorted(counts), dict[int, Histogram](), 0
    while at < len(keys):
        cell = keys[at] >> BITS
        end = bisect_left(keys, (cell + 1) << BITS, at)
        found[cell] = _histogram(keys[at:end], counts)
        at = end
    return found


def _histogram(keys: Sequence[int], counts: Mapping[int, int]) -> Histogram:
    """The histogram of one cell, whose keys are given in order."""
    first = keys[0]
    lanes = array("Q", bytes(LANE * (keys[-1] - first + 1)))
    for key in keys:
        lanes[key - first] = counts[key]
    if byteorder == "big":
        lanes.byteswap()
    return int.from_bytes(lanes.tobytes(), "little") << ((first & BUCKET) * LANE * 8)


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


def pack(histogram: Histogram) -> tuple[int, int, bytes]:
    """For storing: the first bucket in use, how many from there on, and their counts as planes."""
    first = _first(histogram)
    histogram >>= first * LANE * 8
    length = -(-histogram.bit_length() // (LANE * 8))
    return first, length, to_planes(histogram.to_bytes(length * LANE, "little"))


def unpack(first: int, length: int, planes: bytes) -> Histogram:
    """The histogram that `pack` took apart."""
    return int.from_bytes(from_planes(planes, length), "little") << (first * LANE * 8)


def _first(histogram: Histogram) -> int:
    """The first bucket in use: the position of the lowest bit that is set."""
    return ((histogram & -histogram).bit_length() - 1) // (LANE * 8) if histogram else 0


def _lanes(histogram: Histogram) -> array[int]:
    lanes = array("Q")
    lanes.frombytes(histogram.to_bytes(LANE * (len(EDGES) + 1), "little"))
    if byteorder == "big":
        lanes.byteswap()
    return lanes
