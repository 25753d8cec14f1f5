"""The interface of what a summary counts.

An aggregate holds one counter of each kind in `counters.COUNTERS`. Counters of one kind are a commutative monoid: a new
one is the zero, `merge` adds two, and counting the same logs in any order and in any parts gives an equal counter. The
property tests run over the list, so that every counter is held to these laws by being in it.
"""

from __future__ import annotations

from collections.abc import Hashable, Mapping, Sequence
from io import BytesIO
from typing import Any, ClassVar, Protocol, Self

from analytics.batch import SeriesKey
from analytics.summary.accumulator import Columns

OTHER = ""
"""The name under which a counter counts all names beyond its limit. No client can send it: names are never empty."""
SHOWN_OTHER = "(other)"  # as it is shown


class Counter(Protocol):
    """One thing that is counted of the logs of an aggregate."""

    code: ClassVar[str]
    """Its name in stored summaries, which never changes."""
    counted: ClassVar[Mapping[str, Any]]
    """The text fields of a log that it counts, each with the function from a text to what is counted (`ValueOf`)."""

    def count(self, logs: Columns) -> None:
        """Add logs."""

    def merge(self, other: Self, renumber: Sequence[int]) -> None:
        """Add another counter, whose series id `n` is `renumber[n]` here. Several ids may become one."""

    @classmethod
    def limit(cls, day: Self, intervals: Sequence[Self], scale: float) -> None:
        """Reduce the counters of one day and of its intervals to their limits, times `scale` (0 to 1)."""

    @property
    def estimated_bytes(self) -> int:
        """About how many bytes it takes when it is stored: measured, a few for each entry."""

    def dump(self, blob: bytearray, day: Self | None) -> object:
        """Its state as JSON can hold it, and bytes that are added to `blob`; `day`: of which it is an interval."""

    @classmethod
    def load(cls, state: Any, blob: BytesIO, day: Self | None) -> Self:
        """The counter that `dump` stored; `blob` is read from where it stands."""

    def named(self, series: Sequence[SeriesKey | None]) -> Hashable | Mapping[Any, Any] | Sequence[Any]:
        """All that it counts, with series keys instead of ids: equal for equal counters."""
