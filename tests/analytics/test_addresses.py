"""Addresses are counted exactly up to a number of them, and within stated errors beyond."""

from __future__ import annotations

import random
from collections import Counter

import pytest
from hypothesis import given
from hypothesis import strategies as st

from analytics.addresses import DAY_BITS, SLOT_BITS, Addresses, from_text, to_text

counts = st.dictionaries(st.sampled_from([f"10.0.0.{n}" for n in range(40)]), st.integers(1, 50))


def some(distinct: int, seed: int = 1) -> Addresses:
    """That many different addresses."""
    return Addresses({f"{seed}.{n}": 1 for n in range(distinct)})


@given(counts, counts)
def test_few_addresses_are_exact(a: dict[str, int], b: dict[str, int]) -> None:
    """Up to the cap, merging adds, and nothing is estimated."""
    both = Addresses(a)
    both.merge(Addresses(b))
    both.cut(40, SLOT_BITS)
    assert both.counts == Counter(a) + Counter(b)
    assert (both.unique(), both.error, both.missed) == (len({*a, *b}), 0.0, 0)


@given(counts, counts, st.integers(2, 12))
def test_counts_beyond_the_cap_are_low_by_at_most_what_was_missed(a: dict[str, int], b: dict[str, int], n: int) -> None:
    """Never too high, and the busiest is there if it came more often than that."""
    both = Addresses(a)
    both.cut(n, SLOT_BITS)
    other = Addresses(b)
    other.cut(n, SLOT_BITS)
    both.merge(other)
    both.cut(n, SLOT_BITS)
    exact = Counter(a) + Counter(b)
    assert all(exact[address] - both.missed <= both.counts[address] <= exact[address] for address in exact)
    assert len(both.counts) <= n


@pytest.mark.parametrize("distinct", [5_000, 20_000, 100_000])
def test_unique_addresses_of_a_day_are_within_one_percent(distinct: int) -> None:
    """Two standard errors of the sketch of a day are 0.8 %; this draw is always the same."""
    day = some(distinct)
    day.cut(4_096, DAY_BITS)
    assert day.error < 0.01
    assert abs(day.unique() / distinct - 1) <= 0.01


def test_a_sketch_in_parts_is_the_sketch_of_all() -> None:
    """Registers do not depend on how addresses are spread over parts, or on the order of merging."""
    whole = some(30_000)
    whole.cut(100, DAY_BITS)
    names = [f"1.{n}" for n in range(30_000)]
    random.Random(1).shuffle(names)
    parts = [Addresses(Counter(names[at : at + 7_000])) for at in range(0, 30_000, 7_000)]
    total = Addresses()
    for part in parts:
        part.cut(100, DAY_BITS)
        total.merge(part)
    total.cut(0, DAY_BITS)
    whole.cut(0, DAY_BITS)
    assert total.registers == whole.registers


def test_sketches_of_different_precision_add_up() -> None:
    """A day and an hour give what one sketch of the lower precision over all of them gives, in either order."""
    day, hour, both = some(20_000, 1), some(9_000, 2), some(20_000, 1)
    both.merge(some(9_000, 2))
    day.cut(0, DAY_BITS)
    hour.cut(0, SLOT_BITS)
    both.cut(0, SLOT_BITS)
    for first, second in ((day, hour), (hour, day)):
        total = Addresses()
        total.merge(first)
        total.merge(second)
        assert total.registers == both.registers
        assert total.error == pytest.approx(2 * 1.04 / 64)
        assert abs(total.unique() / 29_000 - 1) <= total.error


def test_registers_come_back_from_their_text() -> None:
    """Every rank there can be."""
    registers = bytes(range(65)) * 64
    assert from_text(to_text(registers)) == registers
    assert to_text(registers).isascii()
