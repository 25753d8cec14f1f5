"""Which expired items a database may delete.

DynamoDB deletes an item some days after its time to live. A laptop may be closed for months, or start with a wrong
clock, so this database is more careful:

- A clock that has jumped ahead is believed after a week. A wrong year on one day deletes nothing.
- A packed batch (`L#` and its time of receipt) is deleted only when a rollup of its stream (`R#`) covers that time
  (the attribute `until`).
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator

    Attributes = dict[str, Any]

DAY = 86_400
JUMP = 32 * DAY  # seconds; a longer step of the clock between two readings is in doubt
PROOF = 7 * DAY  # seconds that a doubted clock must go on before it is believed


@dataclass(slots=True)
class Calendar:
    """How far the clock is believed; times are seconds since 1970.

    `believed` is the last reading that was believed. While a clock is in doubt, `doubted` is its first reading and
    `latest` its last one.
    """

    believed: float
    doubted: float | None = None
    latest: float = 0.0

    def read(self, now: float) -> float:
        """Take a reading of the clock; returns the time at which items count as expired."""
        if now <= self.believed + JUMP:
            self.believed, self.doubted = now, None
        elif self.doubted is None or not self.doubted <= now <= self.latest + JUMP:
            self.doubted = self.latest = now
        elif now >= self.doubted + PROOF:
            self.believed, self.doubted = now, None
        else:
            self.latest = now
        return self.believed


def unexpired(items: Iterable[Attributes], ttl: str, now: float) -> Iterator[Attributes]:
    """The items of a table, given as on the wire, that must be kept at `now`; `ttl` is the attribute that ends them."""
    covered: dict[str, str] = {}  # stream: the rollups hold all batches received before this
    expired_batches = []
    for item in items:
        stream, sort_key = _text(item, "api_key"), _text(item, "timestamp")
        if sort_key.startswith("R#"):
            covered[stream] = max(covered.get(stream, ""), _text(item, "until"))
        if float(item.get(ttl, {}).get("N", "inf")) > now:
            yield item
        elif sort_key.startswith("L#"):
            expired_batches.append((stream, sort_key, item))
    for stream, sort_key, item in expired_batches:
        if sort_key.removeprefix("L#") >= covered.get(stream, ""):
            yield item


def _text(item: Attributes, name: str) -> str:
    return str(item.get(name, {}).get("S", ""))
