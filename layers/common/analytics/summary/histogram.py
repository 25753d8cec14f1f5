"""Latency histograms: counts in buckets that grow by 2 %, so that any percentile is within 1 % of the true one.

A bucket holds the whole microseconds from its edge up to the next. The edges are 0, 1, 2, … 50, 51, 53, …: each is the
one before times 1.02, rounded up. Below 50 µs every value has a bucket of its own. A bucket from `low` to `high` (both
included) stands for the value 2·low·high / (low + high), which is equally far from both ends in proportion, so its
relative error is at most (high - low) / (high + low) < 0.02 / 2.02 < 1 %. Merging adds counts, so it adds no error.
(DDSketch, by Masson, Rim and Lee, VLDB 2019, gives the same guarantee. The edges here are whole numbers.)

A histogram is one long integer with 64 bits for the count of each bucket, the first bucket lowest. Two histograms are
merged by `+`: for the hundred buckets in use that takes as long as adding a few of them one by one in Python.

The code assumes a little-endian machine, as x86_64 and arm64 are.
"""

from __future__ import annotations

from array import array
from bisect import bisect_left, bisect_right
from collections.abc import Iterable, Mapping, Sequence
from functools import lru_cache
from itertools import accumulate, pairwise
from math import ceil
from operator import or_

from analytics.summary.byteshuffle import WIDTH, shuffle, unshuffle

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
BUCKET = (1 << BITS) - 1  # the bits of a key that are the bucket's number; those above are the series id
_TABLED = 1 << 20  # microseconds: shorter durations look their bucket up, which is three times as fast


def keys_of(shifted: Sequence[int], durations: Sequence[int]) -> list[int]:
    """The key of each request: its series id << BITS, which is given, | the number of its duration's bucket."""
    try:
        return list(map(or_, shifted, map(_table().__getitem__, durations)))
    except IndexError:  # some durations are not in the table
        return [above | bisect_right(EDGES, duration) for above, duration in zip(shifted, durations, strict=True)]


@lru_cache(maxsize=1)
def _table() -> array[int]:
    table = array("H")
    for bucket, (low, high) in enumerate(pairwise(EDGES), 1):
        if low >= _TABLED:
            break
        table.extend(array("H", [bucket]) * (min(high, _TABLED) - low))
    return table


def value_of(bucket: int) -> float:
    """The duration in microseconds that stands for a bucket: within 1 % of every duration in it."""
    low, high = EDGES[bucket - 1], EDGES[bucket] - 1
    return 2 * low * high / (low + high) if low else 0.0


def histograms_of(counts: Mapping[int, int]) -> dict[int, Histogram]:
    """The histogram of each series id, from counts by key; see `keys_of`."""
    keys, found, at = sorted(counts), dict[int, Histogram](), 0
    while at < len(keys):
        series_id = keys[at] >> BITS
        end = bisect_left(keys, (series_id + 1) << BITS, at)
        found[series_id] = _histogram(keys[at:end], counts)
        at = end
    return found


def _histogram(keys: Sequence[int], counts: Mapping[int, int]) -> Histogram:
    """The histogram of one series, whose keys are given in order."""
    first = keys[0]
    words = array("Q", bytes(WIDTH * (keys[-1] - first + 1)))
    for key in keys:
        words[key - first] = counts[key]
    return int.from_bytes(words.tobytes(), "little") << ((first & BUCKET) * WIDTH * 8)


def quantiles(histogram: Histogram, shares: Iterable[float]) -> list[float | None]:
    """The durations in microseconds that these shares (0 to 1) of all requests do not exceed; None without requests.

    This is the nearest rank: of n requests in order of duration, the one at ceil(share · n).
    """
    buckets = list(accumulate(_counts(histogram)))
    total = buckets[-1] if buckets else 0
    ranks = [max(1, ceil(share * total)) for share in shares]
    return [value_of(bisect_right(buckets, rank - 1)) if total else None for rank in ranks]


def buckets_in_use(histogram: Histogram) -> int:
    """How many buckets count anything."""
    words = _counts(histogram)
    return len(words) - words.count(0)


def pack(histogram: Histogram) -> tuple[int, int, bytes]:
    """What to store: the first bucket in use, how many buckets follow from there, and their counts, shuffled."""
    first = _first(histogram)
    histogram >>= first * WIDTH * 8
    length = -(-histogram.bit_length() // (WIDTH * 8))
    return first, length, shuffle(histogram.to_bytes(length * WIDTH, "little"))


def unpack(first: int, length: int, shuffled: bytes) -> Histogram:
    """The histogram that `pack` packed."""
    return int.from_bytes(unshuffle(shuffled, length), "little") << (first * WIDTH * 8)


def _first(histogram: Histogram) -> int:
    """The first bucket in use, which is where the lowest set bit is."""
    return ((histogram & -histogram).bit_length() - 1) // (WIDTH * 8) if histogram else 0


def _counts(histogram: Histogram) -> array[int]:
    words = array("Q")
    words.frombytes(histogram.to_bytes(WIDTH * (len(EDGES) + 1), "little"))
    return words
