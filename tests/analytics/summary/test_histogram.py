"""Histograms answer within one percent."""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping
from itertools import pairwise

from hypothesis import given
from hypothesis import strategies as st

from analytics.summary.histogram import (
    BITS,
    EDGES,
    LONGEST_US,
    Histogram,
    buckets_in_use,
    histograms_of,
    keys_of,
    pack,
    quantiles,
    unpack,
    value_of,
)
from tests.support import reference


def bucket_of(duration: int) -> int:
    """The number of a duration's bucket."""
    (bucket,) = keys_of([0], [duration])
    return bucket


def histogram_of(counts: Mapping[int, int]) -> Histogram:
    """The histogram of counts by bucket."""
    return histograms_of(counts).get(0, 0)


def test_every_bucket_is_within_one_percent_of_all_it_holds() -> None:
    """From the shortest duration to the longest, the value of a bucket is within 1 % of both of its ends."""
    for low, following in pairwise(EDGES):
        high = following - 1
        value = value_of(bucket_of(low))
        assert bucket_of(low) == bucket_of(high) != bucket_of(following)
        assert abs(value - low) <= low * 0.01
        assert abs(value - high) <= high * 0.01


def test_the_longest_duration_has_a_bucket() -> None:
    """A day fits, and every number of a bucket fits into its bits."""
    assert 1 <= bucket_of(0) < bucket_of(LONGEST_US) == len(EDGES) - 1 < 1 << BITS
    assert value_of(bucket_of(LONGEST_US)) > 0


def test_no_requests_have_no_percentiles() -> None:
    """Of nothing, nothing is said."""
    assert quantiles(histogram_of({}), (0.5, 0.95)) == [None, None]


durations_of_requests = st.lists(st.integers(0, LONGEST_US), min_size=1)
counts = st.dictionaries(st.integers(1, len(EDGES) - 1), st.integers(1, 2**60))


@given(durations_of_requests, st.lists(st.floats(0, 1), min_size=1))
def test_quantiles_are_within_one_percent_of_the_nearest_rank(durations: list[int], shares: list[float]) -> None:
    """For any durations and any shares."""
    found = quantiles(histogram_of(Counter(keys_of([0] * len(durations), durations))), shares)
    for share, value in zip(shares, found, strict=True):
        exact = reference.percentile(durations, share)
        assert value is not None
        assert exact is not None
        assert abs(value - exact) <= exact * 0.01


@given(counts, counts)
def test_merging_is_adding(a: dict[int, int], b: dict[int, int]) -> None:
    """The sum of two histograms is the histogram of both; no count runs over into the next bucket."""
    both = Counter(a) + Counter(b)
    assert histogram_of(a) + histogram_of(b) == histogram_of(both)


@given(counts)
def test_a_histogram_comes_back_from_its_planes(known: dict[int, int]) -> None:
    """Whatever is counted, in one byte or in eight."""
    histogram = histogram_of(known)
    assert unpack(*pack(histogram)) == histogram


@given(st.dictionaries(st.integers(0, 300), durations_of_requests, max_size=5))
def test_each_cell_has_its_own_histogram(durations: dict[int, list[int]]) -> None:
    """Whatever else is counted beside it."""
    keys = [key for cell, each in durations.items() for key in keys_of([cell << BITS] * len(each), each)]
    alone = {cell: histogram_of(Counter(keys_of([0] * len(each), each))) for cell, each in durations.items()}
    assert histograms_of(Counter(keys)) == alone


@given(counts)
def test_buckets_in_use_are_counted(known: dict[int, int]) -> None:
    """Not those between them: a summary would seem too heavy, and give up detail for nothing."""
    assert buckets_in_use(histogram_of(known)) == len(known)


def test_a_stored_histogram_is_small() -> None:
    """A byte for each bucket between the first and the last in use, as long as no count is above 255."""
    assert pack(histogram_of({100: 1, 103: 255})) == (100, 4, b"\x01\0\0\xff")
