"""Who came, over several windows together: how many different addresses, and the busiest of them."""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping
from heapq import nlargest

from analytics.summary.addresses import RANKED, Address, Addresses, bytes_of, text_of
from analytics.summary.hyperloglog import estimate, joined, registered, standard_error


class Visitors:
    """Adds up the addresses of windows, as late as can be."""

    def __init__(self) -> None:
        self._parts: list[Addresses] = []
        self._registers: bytes | None = None

    def add(self, addresses: Addresses) -> None:
        """Add those of a window, which must not change any more."""
        self._parts.append(addresses)
        if addresses.registers is not None:
            self._registers = joined(self._registers, addresses.registers)

    def unique(self) -> int:
        """How many different addresses: exact, or the estimate."""
        known = set[Address]().union(*(part.counts for part in self._parts))
        if self._registers is None:
            return len(known)
        return estimate(registered(map(bytes_of, known), self._registers, len(self._registers).bit_length() - 1))

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
        return 0.0 if self._registers is None else 2 * standard_error(self._registers)


def _ranked(counts: Mapping[Address, int], most: int) -> list[tuple[str, int]]:
    least = min(nlargest(most, counts.values()), default=0)
    busiest = [(text_of(address), n) for address, n in counts.items() if n >= least]
    return sorted(busiest, key=lambda each: (-each[1], each[0]))[:most]
