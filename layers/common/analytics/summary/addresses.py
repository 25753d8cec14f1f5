"""The counter of requests by client address: exact up to a number of addresses, sketched beyond.

Beyond that number a HyperLogLog tells how many different addresses there are: its standard error is 0.41 % with the
65,536 registers of a day and 1.6 % with the 4,096 of an interval. The busiest addresses keep their counts. Each cut
subtracts the count of the first address that it drops from all counts (Misra and Gries, "Finding repeated elements",
1982), so a count is too low by at most `undercount` and never too high. The order of merging decides which of several
nearly equal counts survive a cut; nothing else depends on it.
"""

from __future__ import annotations

from collections import Counter as Counts
from collections.abc import Iterable, Mapping, Sequence
from functools import lru_cache
from heapq import nlargest
from io import BytesIO
from itertools import accumulate, chain
from operator import sub
from socket import AF_INET, inet_ntop, inet_pton
from typing import Any, ClassVar

from analytics.batch import SeriesKey
from analytics.summary.accumulator import Columns
from analytics.summary.byteshuffle import shuffle_numbers, unshuffle_numbers
from analytics.summary.counter import Counter
from analytics.summary.hyperloglog import joined, registered

MAX_ADDRESSES = 8_192  # of a day: they take as many bytes as the sketch and the half of them that is kept beside it
DAY_BITS, INTERVAL_BITS = 16, 12  # log2 of the registers of a sketch
RANKED = 64  # the busiest addresses of a stored day whose places are noted: more than a dashboard shows

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


class Addresses(Counter):
    """Requests by address; `registers` is None as long as all addresses are counted exactly."""

    code: ClassVar[str] = "addresses"
    counted: ClassVar[Mapping[str, Any]] = {"ip": address_of}

    def __init__(self) -> None:
        self.counts: dict[Address, int] = {}
        self.registers: bytes | None = None
        self.undercount = 0  # how much any count may be too low
        self._ranked: Sequence[Address] = ()  # the RANKED busiest, as stored; empty once anything was added
        self._names: list[Address] = []  # in the order of `places`, as loaded; empty once anything was added
        self._places: dict[Address, int] = {}  # see `places`

    def count(self, logs: Columns) -> None:
        """Add logs."""
        if "ip" in logs.texts:
            self._add(logs.texts["ip"].by_value)  # type: ignore[arg-type]  # `counted` made addresses of them

    def merge(self, other: Addresses, renumber: Sequence[int]) -> None:  # noqa: ARG002 - addresses are of all series
        """Add another counter. Two sketches of different precision become one of the lower precision."""
        self._add(other.counts)
        self.undercount += other.undercount
        if other.registers is not None:
            self.registers = joined(self.registers, other.registers)

    def _add(self, counts: Mapping[Address, int]) -> None:
        mine, get = self.counts, self.counts.get
        for address, requests in counts.items():  # as Counter.update does, in half the time
            mine[address] = get(address, 0) + requests
        self._ranked, self._names, self._places = (), [], {}

    def busiest(self, most: int) -> tuple[Iterable[Address], int]:
        """The busiest addresses, at most `most` or RANKED, and the largest count that any other address can have."""
        if len(self.counts) <= most:
            return self.counts, 0
        self._ranked = self._ranked or nlargest(RANKED, self.counts, key=self.counts.__getitem__)
        ranked = self._ranked[:most]
        return ranked, self.counts[ranked[-1]]

    @classmethod
    def limit(cls, day: Addresses, intervals: Sequence[Addresses], scale: float) -> None:
        """Sketch the addresses of a day, or of its intervals, where there are too many."""
        most = round(MAX_ADDRESSES * scale)
        day.cut(most, DAY_BITS)
        if sum(len(interval.counts) for interval in intervals) > 2 * most:
            for interval in intervals:
                interval.cut(most // 48, INTERVAL_BITS)

    def cut(self, most: int, bits: int) -> None:
        """Keep at most half of `most` addresses, and a sketch of 2 ** bits registers, if there are more than `most`."""
        if len(self.counts) <= most:
            return
        self.registers = registered(map(bytes_of, self.counts), self.registers, bits)
        kept = Counts(self.counts).most_common(most // 2 + 1)
        _, least = kept.pop()
        self.undercount += least
        self.counts = {address: count - least for address, count in kept if count > least}
        self._ranked, self._names, self._places = (), [], {}

    @property
    def estimated_bytes(self) -> int:
        """About how many bytes it takes when it is stored."""
        return 4 * len(self.counts) + len(self.registers or b"") // 2

    @property
    def places(self) -> Mapping[Address, int]:
        """The place of each address in the order in which `dump` stores them and `load` counts them."""
        if len(self._places) != len(self.counts):
            numbers, texts = _split(self.counts)
            self._places = {address: place for place, address in enumerate(chain[Address](numbers, texts))}
        return self._places

    def dump(self, blob: bytearray, day: Addresses | None) -> object:
        """Its state; counts are added to `blob`.

        An interval stores an address of its day as the address's place there. A day notes the places of its busiest.
        """
        placed: dict[int, int] = {}
        rest: Mapping[Address, int] = self.counts
        if day is not None:
            place = day.places
            placed = {place[address]: n for address, n in self.counts.items() if address in place}
            if placed:
                rest = {address: n for address, n in self.counts.items() if address not in place}
        places = sorted(placed)
        numbers, texts = _split(rest)
        counts = [*map(placed.__getitem__, places), *map(rest.__getitem__, chain[Address](numbers, texts))]
        sizes = []
        for column in (_differences(places), _differences(numbers), counts):
            shuffled, length = shuffle_numbers(column)
            sizes += [length, len(shuffled)]
            blob += shuffled
        blob += self.registers or b""
        ranked: list[int] = []
        if day is None and len(counts) > RANKED:
            ranked = nlargest(RANKED, range(len(counts)), key=counts.__getitem__)
        return [sizes, texts, ranked, len(self.registers or b""), self.undercount]

    @classmethod
    def load(cls, state: Any, blob: BytesIO, day: Addresses | None) -> Addresses:
        """The counter that `dump` stored; `blob` is read from where it stands."""
        sizes, texts, ranked, registers, undercount = state
        lengths = zip(sizes[::2], sizes[1::2], strict=True)
        places, numbers, counts = [unshuffle_numbers(blob.read(size), length) for length, size in lengths]
        counter = cls()
        known = (day._names or list(day.places)) if places and day is not None else []
        names = [*map(known.__getitem__, accumulate(places)), *accumulate(numbers), *texts]
        counter.counts = dict(zip(names, counts, strict=True))
        counter._ranked, counter._names = list(map(names.__getitem__, ranked)), names
        counter.registers = blob.read(registers) or None
        counter.undercount = undercount
        return counter

    def named(self, series: Sequence[SeriesKey | None]) -> Sequence[Any]:  # noqa: ARG002 - addresses are of all series
        """All that it counts."""
        return [self.counts, self.registers, self.undercount]


def _split(counts: Iterable[Address]) -> tuple[list[int], list[str]]:
    texts = [address for address in counts if isinstance(address, str)]
    return sorted(set(counts).difference(texts)), sorted(texts)  # type: ignore[arg-type]  # what is no text


def _differences(numbers: Sequence[int]) -> Iterable[int]:
    return map(sub, numbers, chain((0,), numbers))
