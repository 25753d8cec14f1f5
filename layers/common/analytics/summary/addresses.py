"""Which addresses came, and how often: exact up to a number of them, sketched beyond.

How many different ones there are is then told by a sketch: its standard error is 0.41 % with the 65,536 registers of a
day, 1.6 % with the 4,096 of an hour. The busiest ones are told by what is left of their counts after each cut took the
count of the first one cut away from all (Misra and Gries, "Finding repeated elements", 1982): too low by at most
`missed`, never too high. Which of the nearly equal counts survive a cut depends on the order of merging, nothing else.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from functools import lru_cache
from heapq import nlargest
from io import BytesIO
from itertools import accumulate, chain
from operator import sub
from socket import AF_INET, inet_ntop, inet_pton
from typing import Any

from analytics.summary.byteshuffle import numbers_to_planes, planes_to_numbers
from analytics.summary.hyperloglog import joined, registered

DAY_BITS, SLOT_BITS = 16, 12  # log2 of the registers of a sketch
RANKED = 64  # busiest addresses that are told apart from the others: more than a dashboard shows

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


def bytes_of(address: Address) -> bytes:
    """What is hashed of an address."""
    return address.encode() if isinstance(address, str) else address.to_bytes(4, "big")


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
            self.registers = joined(self.registers, other.registers)

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
        self.registers = registered(map(bytes_of, self.counts), self.registers, bits)
        kept = Counter(self.counts).most_common(most // 2 + 1)
        _, least = kept.pop()
        self.missed += least
        self.counts, self.ranked = {address: count - least for address, count in kept if count > least}, ()


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
