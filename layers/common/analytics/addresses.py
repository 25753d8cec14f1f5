"""Which addresses came, and how often: exact up to a number of them, sketched beyond.

How many different ones there are is then told by a HyperLogLog, with Ertl's estimator, which needs no bias tables
(O. Ertl, "New cardinality estimation algorithms for HyperLogLog sketches", arXiv:1702.01284, 2017, algorithm 6). Its
standard error is 1.04 / √registers: 0.41 % with the 65,536 registers of a day, 1.6 % with the 4,096 of an hour. The
busiest ones are told by what is left of their counts after each cut took the count of the first one cut away from all
(Misra and Gries, "Finding repeated elements", 1982): too low by at most `missed`, never too high.

Both are the same whatever the order of merging, but for which of the nearly equal counts survive a cut.
"""

from __future__ import annotations

import math
from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from functools import lru_cache
from hashlib import blake2b
from heapq import nlargest
from io import BytesIO
from itertools import accumulate, chain
from operator import sub
from socket import AF_INET, inet_ntop, inet_pton
from typing import Any

from analytics.planes import numbers_to_planes, planes_to_numbers

DAY_BITS, SLOT_BITS = 16, 12  # log2 of the registers of a sketch
RANKED = 64  # busiest addresses that are told apart from the others: more than a dashboard shows
_HASH_BITS = 64

Address = int | str
"""An IPv4 address as its number, which is smaller and quicker to compare; any other as its text."""


@lru_cache(maxsize=65_536)  # the same clients come again
def address_of(text: str | None) -> Address | None:
    """An address from its canonical text; None stays None."""
    if text is None or ":" in text:
        return text
    try:
        return int.from_bytes(inet_pton(AF_INET, text), "big")  # many times as fast as `ipaddress`
    except OSError:
        return text


def text_of(address: Address) -> str:
    """The canonical text of an address."""
    return address if isinstance(address, str) else inet_ntop(AF_INET, address.to_bytes(4, "big"))


class Addresses:
    """Requests by address; `registers` is None as long as all of them are there."""

    __slots__ = ("counts", "missed", "ranked", "registers")

    def __init__(self) -> None:
        self.counts: dict[Address, int] = {}
        self.registers: bytes | None = None
        self.missed = 0  # how much any count may be too low
        self.ranked: Sequence[Address] = ()  # the RANKED busiest of stored ones that nothing was added to

    def see(self, addresses: Iterable[Address | None], weighted: Mapping[Address, int]) -> None:
        """Add requests: one of each address, and more of those with a weight. None is nobody's."""
        counts: Counter[Any] = self.counts if isinstance(self.counts, Counter) else Counter(self.counts)
        counts.update(addresses)
        counts.pop(None, 0)
        counts.update(weighted)
        self.counts, self.ranked = counts, ()

    def merge(self, other: Addresses) -> None:
        """Add another's; two sketches of different precision become one of the lower."""
        counts, get, self.ranked = self.counts, self.counts.get, ()
        for address, requests in other.counts.items():  # as Counter.update does, in half the time
            counts[address] = get(address, 0) + requests
        self.missed += other.missed
        if other.registers is not None:
            self.registers = _joined(self.registers, other.registers)

    def busiest(self, most: int) -> tuple[Iterable[Address], int]:
        """The busiest addresses, RANKED at most, and the most that any of the others can have."""
        if len(self.counts) <= most:
            return self.counts, 0
        self.ranked = self.ranked or nlargest(RANKED, self.counts, key=self.counts.__getitem__)
        ranked = self.ranked[:most]
        return ranked, self.counts[ranked[-1]]

    def cut(self, most: int, bits: int) -> None:
        """Keep at most half of `most` addresses, and a sketch of 2 ** bits registers, if there are more than `most`."""
        if len(self.counts) <= most:
            return
        self.registers = _registered(self.counts, self.registers, bits)
        kept = Counter(self.counts).most_common(most // 2 + 1)
        _, least = kept.pop()
        self.missed += least
        self.counts, self.ranked = {address: count - least for address, count in kept if count > least}, ()


class Visitors:
    """Who came in several windows together: how many different addresses, and the busiest of them."""

    def __init__(self) -> None:
        self._parts: list[Addresses] = []
        self._registers: bytes | None = None

    def add(self, addresses: Addresses) -> None:
        """Add those of a window, which must not change any more."""
        self._parts.append(addresses)
        if addresses.registers is not None:
            self._registers = _joined(self._registers, addresses.registers)

    def unique(self) -> int:
        """How many different addresses: exact, or the estimate."""
        known = set[Address]().union(*(part.counts for part in self._parts))
        if self._registers is None:
            return len(known)
        return _estimate(_registered(known, self._registers, len(self._registers).bit_length() - 1))

    def top(self, most: int) -> list[tuple[str, int]]:
        """The busiest addresses and their requests; those with as many are in the order of their texts.

        Most often the busiest of all are among the busiest of the windows: if the last one shown has more requests than
        any other address can have, the others need not be added up (Fagin, Lotem and Naor, "Optimal aggregation
        algorithms for middleware", 2003).
        """
        for depth in (2 * most, RANKED):
            candidates, others = set[Address](), 0
            for part in self._parts:
                names, rest = part.busiest(depth)
                candidates.update(names)
                others += rest
            totals = Counter[Address]()
            for part in self._parts:
                for address in candidates & part.counts.keys():
                    totals[address] += part.counts[address]
            found = _ranked(totals, most)
            if not others or (len(found) == most and found[-1][1] > others):
                return found
        everyone = Addresses()
        for part in self._parts:
            everyone.merge(part)
        return _ranked(everyone.counts, most)

    @property
    def missed(self) -> int:
        """How much any count may be too low."""
        return sum(part.missed for part in self._parts)

    @property
    def error(self) -> float:
        """Two standard errors of `unique`, as a share of it: 0.0 where it is exact."""
        return 0.0 if self._registers is None else 2 * 1.04 / math.sqrt(len(self._registers))


def _ranked(counts: Mapping[Address, int], most: int) -> list[tuple[str, int]]:
    least = min(nlargest(most, counts.values()), default=0)
    busiest = [(text_of(address), n) for address, n in counts.items() if n >= least]
    return sorted(busiest, key=lambda each: (-each[1], each[0]))[:most]


def order(addresses: Addresses) -> list[Address]:
    """The order in which `dump` stores addresses and `load` gives them back: numbers, then texts."""
    numbers, texts = _split(addresses.counts)
    return [*numbers, *texts]


def _split(counts: Iterable[Address]) -> tuple[list[int], list[str]]:
    texts = [address for address in counts if isinstance(address, str)]
    return sorted(set(counts).difference(texts)), sorted(texts)  # type: ignore[arg-type]  # what is no text


def dump(addresses: Addresses, blob: bytearray, known: Mapping[Address, int] | None) -> list[object]:
    """Addresses as JSON can write them, but for their numbers, which are added to `blob` as planes.

    Those that are known, from an `order`, are stored as their place in it; all as differences, which are small. Where
    none can be known (None), the places of the busiest are noted.
    """
    placed = {known[address]: n for address, n in addresses.counts.items() if address in known} if known else {}
    places, rest = sorted(placed), addresses.counts
    if known and placed:
        rest = {address: n for address, n in rest.items() if address not in known}
    numbers, texts = _split(rest)
    counts = [*map(placed.__getitem__, places), *map(rest.__getitem__, chain[Address](numbers, texts))]
    sizes = []
    for column in (_differences(places), _differences(numbers), counts):
        planes, length = numbers_to_planes(column)
        sizes += [length, len(planes)]
        blob += planes
    blob += addresses.registers or b""
    ranked: list[int] = []
    if known is None and len(counts) > RANKED:
        ranked = nlargest(RANKED, range(len(counts)), key=counts.__getitem__)
    return [*sizes, texts, ranked, len(addresses.registers or b""), addresses.missed]


def load(meta: Sequence[Any], blob: BytesIO, known: Sequence[Address]) -> Addresses:
    """The addresses that `dump` wrote; `blob` is read from where it stands."""
    *sizes, texts, ranked, registers, missed = meta
    columns = [planes_to_numbers(blob.read(size), count) for count, size in zip(sizes[::2], sizes[1::2], strict=True)]
    places, numbers, counts = columns
    addresses = Addresses()
    names = [*map(known.__getitem__, accumulate(places)), *accumulate(numbers), *texts]
    addresses.counts = dict(zip(names, counts, strict=True))
    addresses.ranked = list(map(names.__getitem__, ranked))
    addresses.registers = blob.read(registers) or None
    addresses.missed = missed
    return addresses


def _differences(numbers: Sequence[int]) -> Iterable[int]:
    return map(sub, numbers, chain((0,), numbers))


def _registered(addresses: Iterable[Address], registers: bytes | None, bits: int) -> bytes:
    """Registers with these addresses in them: the first `bits` of a hash choose one, which keeps the highest rank.

    The rank is the position, from 1, of the first one among the bits that are left.
    """
    if registers is not None and len(registers) > 1 << bits:
        registers = _coarser(registers, bits)
    elif registers is not None:
        bits = len(registers).bit_length() - 1
    ranks = bytearray(registers or bytes(1 << bits))
    left = _HASH_BITS - bits
    mask = (1 << left) - 1
    for address in addresses:
        plain = address.encode() if isinstance(address, str) else address.to_bytes(4, "big")
        hashed = int.from_bytes(blake2b(plain, digest_size=8).digest(), "big")
        rank = left + 1 - (hashed & mask).bit_length()
        if rank > ranks[hashed >> left]:
            ranks[hashed >> left] = rank
    return bytes(ranks)


def _joined(one: bytes | None, two: bytes) -> bytes:
    if one is None:
        return two
    bits = min(len(one), len(two)).bit_length() - 1
    return _highest(_coarser(one, bits), _coarser(two, bits))


def _highest(one: bytes, two: bytes) -> bytes:
    """The higher of each two bytes, all below 128, in a few operations on one long number each."""
    length = len(one)
    a, b = int.from_bytes(one, "little"), int.from_bytes(two, "little")
    high = int.from_bytes(b"\x80" * length, "little")
    at_least = ((a | high) - b) & high  # the high bit of each byte in which a >= b: no borrow crosses a byte
    chosen = (at_least << 1) - (at_least >> 7)  # all bits of those bytes
    return (b ^ ((a ^ b) & chosen)).to_bytes(length, "little")


def _coarser(registers: bytes, bits: int) -> bytes:
    """The registers that the same addresses would have given with fewer of them."""
    spare = len(registers).bit_length() - 1 - bits
    if spare <= 0:
        return registers
    ranks, mask = bytearray(1 << bits), (1 << spare) - 1
    for number, rank in enumerate(registers):
        if rank:
            low = number & mask  # the bits that chose a register before are the first of those left now
            ranks[number >> spare] = max(ranks[number >> spare], spare + 1 - low.bit_length() if low else spare + rank)
    return bytes(ranks)


def _estimate(registers: bytes) -> int:
    """Ertl's estimate from how many registers have each rank."""
    size = len(registers)
    ranks = _HASH_BITS - (size.bit_length() - 1)
    of_rank = [registers.count(rank) for rank in range(ranks + 2)]
    z = size * _tau(1 - of_rank[ranks + 1] / size)
    for rank in range(ranks, 0, -1):
        z = 0.5 * (z + of_rank[rank])
    z += size * _sigma(of_rank[0] / size)
    return round(size * size / (2 * math.log(2)) / z)


def _sigma(x: float) -> float:
    if x == 1:
        return math.inf
    y, z, before = 1.0, x, math.nan
    while z != before:
        x *= x
        before = z
        z += x * y
        y += y
    return z


def _tau(x: float) -> float:
    if x in (0, 1):
        return 0.0
    y, z, before = 1.0, 1 - x, math.nan
    while z != before:
        x = math.sqrt(x)
        before = z
        y *= 0.5
        z -= (1 - x) ** 2 * y
    return z / 3
