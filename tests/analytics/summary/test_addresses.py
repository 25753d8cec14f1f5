"""Addresses are counted exactly up to a number of them, and within stated errors beyond."""

from __future__ import annotations

import random
from collections import Counter
from io import BytesIO
from typing import cast

import pytest
from hypothesis import given
from hypothesis import strategies as st

from analytics.summary.addresses import (
    DAY_BITS,
    INTERVAL_BITS,
    RANKED,
    Address,
    Addresses,
    address_of,
    text_of,
)
from analytics.summary.client_section import ClientSection

NAMES = [f"10.0.0.{n}" for n in range(38)] + ["2001:db8::1", "::"]
counts = st.dictionaries(st.sampled_from([cast("Address", address_of(name)) for name in NAMES]), st.integers(1, 50))


def those(requests: dict[Address, int]) -> Addresses:
    """Addresses with so many requests each."""
    addresses = Addresses()
    addresses.counts = dict(requests)
    return addresses


def some(distinct: int, seed: int = 1) -> Addresses:
    """That many different addresses."""
    return those({f"{seed}.{n}": 1 for n in range(distinct)})


def told(*parts: Addresses) -> ClientSection:
    """What is told of some addresses together."""
    section = ClientSection()
    for part in parts:
        section.add(part, (), narrowed=False)
    return section


@given(st.ip_addresses())
def test_an_address_comes_back_from_what_stands_for_it(address: object) -> None:
    """Numbers for IPv4, which they are small and quick as; texts for others."""
    text = str(address)
    known = address_of(text)
    assert known is not None
    assert isinstance(known, int) == ("." in text)
    assert text_of(known) == text


@given(counts, counts)
def test_few_addresses_are_exact(a: dict[Address, int], b: dict[Address, int]) -> None:
    """Up to the cap, merging adds, and nothing is estimated."""
    both = those(a)
    both.merge(those(b), ())
    both.cut(40, INTERVAL_BITS)
    assert both.counts == Counter(a) + Counter(b)
    assert (told(both).unique(), told(both).error, both.undercount) == (len({*a, *b}), 0.0, 0)


@given(counts, counts, st.integers(2, 12))
def test_counts_beyond_the_cap_are_low_by_at_most_what_was_missed(
    a: dict[Address, int], b: dict[Address, int], n: int
) -> None:
    """Never too high, and the busiest is there if it came more often than that."""
    both = those(a)
    both.cut(n, INTERVAL_BITS)
    other = those(b)
    other.cut(n, INTERVAL_BITS)
    both.merge(other, ())
    both.cut(n, INTERVAL_BITS)
    exact = Counter(a) + Counter(b)
    assert all(exact[each] - both.undercount <= both.counts.get(each, 0) <= exact[each] for each in exact)
    assert len(both.counts) <= n


@pytest.mark.parametrize("most", [1, 3, 10, 1_000])
@pytest.mark.parametrize("skew", [0.0, 0.5, 2.0])
def test_the_busiest_of_several_parts_are_those_of_all(most: int, skew: float) -> None:
    """Whether or not they stand out, and are the same in each: what is told is what adding all up would tell."""
    chance = random.Random(skew)
    parts, exact = list[Addresses](), Counter[str]()
    for _ in range(7):
        drawn = Counter(round(400 * chance.random() ** (1 + skew * 4)) for _ in range(3_000))
        part, blob = those({0x0A000000 + n: requests for n, requests in drawn.items()}), bytearray()
        exact.update({text_of(address): n for address, n in part.counts.items()})
        parts.append(Addresses.load(part.dump(blob, None), BytesIO(blob), None) if chance.random() < 0.7 else part)
        assert len(part.counts) > RANKED
    expected = sorted(exact.items(), key=lambda each: (-each[1], each[0]))[:most]
    assert told(*parts).top(most) == expected
    assert told(*parts).unique() == len(exact)


@given(counts, counts, st.booleans())
def test_addresses_come_back_from_their_bytes(a: dict[Address, int], b: dict[Address, int], cut: bool) -> None:
    """Also those that are stored as their place among others, some of which are not among them."""
    of_day, of_interval = those(a), those(b)
    if cut:
        of_interval.cut(3, INTERVAL_BITS)
    blob = bytearray()
    states = of_day.dump(blob, None), of_interval.dump(blob, of_day)
    stream = BytesIO(blob)
    day = Addresses.load(states[0], stream, None)
    interval = Addresses.load(states[1], stream, day)
    for before, after in ((of_day, day), (of_interval, interval)):
        assert (after.counts, after.registers, after.undercount) == (before.counts, before.registers, before.undercount)
    interval.merge(those({1: 1}), ())  # and go on counting
    assert interval.counts == Counter(of_interval.counts) + Counter([1])


@pytest.mark.parametrize("distinct", [5_000, 20_000, 100_000])
def test_unique_addresses_of_a_day_are_within_one_percent(distinct: int) -> None:
    """Two standard errors of the sketch of a day are 0.8 %; this draw is always the same."""
    day = some(distinct)
    day.cut(4_096, DAY_BITS)
    assert told(day).error < 0.01
    assert abs(told(day).unique() / distinct - 1) <= 0.01


def test_a_sketch_in_parts_is_the_sketch_of_all() -> None:
    """Registers do not depend on how addresses are spread over parts, or on the order of merging."""
    whole = some(30_000)
    whole.cut(100, DAY_BITS)
    names = [f"1.{n}" for n in range(30_000)]
    random.Random(1).shuffle(names)
    parts = [those(dict.fromkeys(names[at : at + 7_000], 1)) for at in range(0, 30_000, 7_000)]
    total = Addresses()
    for part in parts:
        part.cut(100, DAY_BITS)
        total.merge(part, ())
    assert told(*parts).unique() == told(total).unique() == told(whole).unique()
    total.cut(0, DAY_BITS)
    whole.cut(0, DAY_BITS)
    assert total.registers == whole.registers


def test_sketches_of_different_precision_add_up() -> None:
    """A day and an hour give what one sketch of the lower precision over all of them gives, in either order."""
    day, hour, both = some(20_000, 1), some(9_000, 2), some(20_000, 1)
    both.merge(some(9_000, 2), ())
    day.cut(0, DAY_BITS)
    hour.cut(0, INTERVAL_BITS)
    both.cut(0, INTERVAL_BITS)
    for first, second in ((day, hour), (hour, day)):
        total = Addresses()
        total.merge(first, ())
        total.merge(second, ())
        assert total.registers == both.registers
        for section in (told(total), told(first, second)):
            assert section.error == pytest.approx(2 * 1.04 / 64)
            assert abs(section.unique() / 29_000 - 1) <= section.error
