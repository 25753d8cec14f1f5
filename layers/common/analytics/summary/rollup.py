"""Values of the fold: a batch as it is stored, a summary as bytes, and the stored summary of a stretch of receipts."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime
from typing import NamedTuple

from analytics.batch import Batch
from analytics.times import microseconds


class Packed(NamedTuple):
    """A summary as bytes, in two parts: the days, with what each slot amounts to, and the rest of the slots."""

    days: bytes
    slots: bytes | None

    @property
    def size(self) -> int:
        """Bytes in all."""
        return len(self.days) + len(self.slots or b"")


@dataclass(frozen=True, slots=True)
class Stored:
    """A batch as it lies in the table."""

    sort_key: str
    batch: Batch

    @property
    def received(self) -> int:
        """When it was received, in microseconds since 1970."""
        return received_at(self.sort_key)


@dataclass(frozen=True, slots=True)
class Rollup:
    """A stored summary: of what was received from the start of its window (a sort key's time) up to `until`.

    The slots of its summary are read by `LogTable.slots`, where they are not in it.
    """

    window: str
    until: str
    packed: Packed
    slots_digest: str | None = None  # of slots that are in an item of their own
    slots: bytes | None = None  # in the rollup's own item

    @property
    def size(self) -> int:
        """Bytes of what it holds itself."""
        return len(self.packed.days) + len(self.slots or b"")


def received_at(sort_key: str) -> int:
    """The time of receipt in a sort key, in microseconds since 1970."""
    return microseconds(datetime.fromisoformat(sort_key.split("#")[1]))
