"""What the dashboard shows of client addresses: how many different ones there are, and the busiest."""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping
from heapq import nlargest

from analytics.blocks import TopIp
from analytics.summary.addresses import RANKED, Address, Addresses, bytes_of, text_of
from analytics.summary.hyperloglog import estimate, joined, registered, standard_error
from analytics.summary.section import Shown, Wanted

NOT_BY_SERIES = "Addresses are not stored per endpoint, and there are too many raw logs to recount"


class ClientSection:
    """The block `top_ips` and the field `summary.unique_ips`. Addresses are added up as late as possible."""

    def __init__(self) -> None:
        self._parts: list[Addresses] = []
        self._registers: bytes | None = None
        self._narrowed = False

    def add(self, counter: Addresses, wanted: Wanted, *, narrowed: bool) -> None:  # noqa: ARG002 - of all series
        """Add a counter, which knows the addresses of all series together only."""
        if narrowed:
            self._narrowed = True
            return
        self._parts.append(counter)
        if counter.registers is not None:
            self._registers = joined(self._registers, counter.registers)

    def add_day(self, day: Addresses) -> None:
        """Nothing: each counter says itself how much it may be too low."""

    def show(self, top: int) -> Shown:
        """The blocks, with at most `top` addresses; null where only some series are asked about."""
        precision = {"unique_ips": round(self.error, 4), "top_ips_low_by_at_most": self.undercount}
        if self._narrowed:
            missing = {"summary.unique_ips": NOT_BY_SERIES, "top_ips": NOT_BY_SERIES}
            return Shown({"top_ips": None}, precision, {"unique_ips": None}, missing)
        rows: list[TopIp] = [{"ip": ip, "requests": n} for ip, n in self.top(top)]
        return Shown({"top_ips": rows}, precision, {"unique_ips": self.unique()})

    def unique(self) -> int:
        """How many different addresses there are: exact, or the estimate."""
        known = set[Address]().union(*(part.counts for part in self._parts))
        if self._registers is None:
            return len(known)
        return estimate(registered(map(bytes_of, known), self._registers, len(self._registers).bit_length() - 1))

    def top(self, most: int) -> list[tuple[str, int]]:
        """The busiest addresses and their requests; those with as many are in the order of their texts.

        Most often the busiest of all are among the busiest of the parts. If the last one shown has more requests than
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
            everyone.merge(part, ())
        return _ranked(everyone.counts, most)

    @property
    def undercount(self) -> int:
        """How much any count may be too low."""
        return sum(part.undercount for part in self._parts)

    @property
    def error(self) -> float:
        """Two standard errors of `unique`, as a share of it: 0.0 where it is exact."""
        return 0.0 if self._registers is None else 2 * standard_error(self._registers)


def _ranked(counts: Mapping[Address, int], most: int) -> list[tuple[str, int]]:
    least = min(nlargest(most, counts.values()), default=0)
    busiest = [(text_of(address), n) for address, n in counts.items() if n >= least]
    return sorted(busiest, key=lambda each: (-each[1], each[0]))[:most]
