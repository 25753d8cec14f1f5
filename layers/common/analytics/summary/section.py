"""The interface of what the dashboard shows of one kind of counter."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, Protocol, TypeVar

from analytics.batch import SeriesKey

C = TypeVar("C", contravariant=True)

Wanted = Sequence[SeriesKey | None]
"""The series by id; None in the place of those that are not asked about."""


@dataclass(frozen=True, slots=True)
class Shown:
    """What a section adds to the answer: see `analytics.blocks.Dashboard`."""

    blocks: Mapping[str, Any]
    precision: Mapping[str, Any] = field(default_factory=dict)
    summary: Mapping[str, Any] = field(default_factory=dict)  # fields of the block `summary`
    unavailable: Mapping[str, str] = field(default_factory=dict)


class Section(Protocol[C]):
    """Adds up the counters of several aggregates. Counters must not change any more once they are added."""

    def add(self, counter: C, wanted: Wanted, *, narrowed: bool) -> None:
        """Add a counter; `narrowed`: some series are not asked about."""

    def add_day(self, day: C) -> None:
        """Take note of what was dropped from a day, of which the whole or intervals are added."""

    def show(self, top: int) -> Shown:
        """The blocks, with ranked lists of at most `top` rows."""


def ranked(counts: Mapping[str, int], top: int | None = None) -> list[tuple[str, int]]:
    """The largest first, and by name where they are equal."""
    return sorted(counts.items(), key=lambda item: (-item[1], item[0]))[:top]
