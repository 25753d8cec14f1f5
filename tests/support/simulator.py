"""A world to check folds in: one table in memory, many actors, one table call at a time.

Actors are threads that the world runs one by one; at each call of an actor to the table it chooses, by its seed, who
goes on next, and lets time pass. An actor may be stopped for good between two calls, a put may be applied and its reply
lost, and pages are small, so that a query is several calls that others come between.
"""

# ruff: noqa: ARG002 - the table has the methods of the real one, and knows one stream

from __future__ import annotations

import random
from collections.abc import Callable, Iterator
from hashlib import sha256
from threading import Lock, Thread, get_ident
from typing import Any

from analytics.batch import Batch
from analytics.summary.fold import ALLOWED_LATENESS_US, Fold
from analytics.summary.rollup import PackedSummary, Rollup, StoredBatch
from analytics.summary.summary import Summary
from analytics.times import isoformat

SECOND = 1_000_000
WRITE_S = 10  # a write that is not applied within this time never is: the timeouts of the real one
MIDNIGHT = 1_763_942_400 * SECOND  # 2025-11-24: schedules begin just before it


class Killed(BaseException):
    """Ends an actor."""


class World:
    """A clock, a table, and who may act next."""

    def __init__(
        self, seed: int, *, grace_us: int = ALLOWED_LATENESS_US, marks: bool = True, slots_first: bool = True
    ) -> None:
        self.chance = random.Random(seed)
        self.now = MIDNIGHT - self.chance.randrange(300) * SECOND
        self.grace_us = grace_us
        self.marks = marks
        self.slots_first = slots_first
        self.items: dict[str, Any] = {}
        self.mortal: set[int] = set()
        self.killed = 0
        self._paused = _held()  # released by the actor that has the turn, when it gives it back
        self._turns: dict[int, Lock] = {}  # by thread, of those that are not through: released to give it the turn
        self._ended: set[int] = set()  # threads that are told to end

    def step(self) -> None:
        """Let the others act; called by an actor before each call to the table."""
        me = get_ident()
        self._paused.release()
        self._turns[me].acquire()
        if me in self._ended:
            raise Killed

    def run(self, actors: list[Callable[[], None]]) -> None:
        """Run all actors to their ends."""
        threads = [Thread(target=self._act, args=(actor,)) for actor in actors]
        for thread in threads:
            thread.start()
            self._paused.acquire()
        while self._turns:
            actor = self.chance.choice(list(self._turns))
            self.now += self.chance.randrange(4 * SECOND)
            if actor in self.mortal and self.chance.random() < 0.01:
                self._ended.add(actor)
                self.killed += 1
            self._turns[actor].release()
            self._paused.acquire()
        for thread in threads:
            thread.join()

    def _act(self, actor: Callable[[], None]) -> None:
        me = get_ident()
        self._turns[me] = _held()
        try:
            self.step()
            actor()
        except Killed:
            pass
        finally:
            del self._turns[me]
            self._ended.discard(me)  # the next thread may get its number
            self._paused.release()


def _held() -> Lock:
    """A lock that somebody else is to release."""
    lock = Lock()
    lock.acquire()
    return lock


class ModelTable:
    """The table as folds and writers see it: each call a step of the world."""

    def __init__(self, world: World) -> None:
        self.world = world

    def append(self, batch: Batch, batch_id: str) -> bool | None:
        """What ingest does: take the time, put the batch under its mark. None when it gave up, and may have stored it.

        A lost reply makes it try again, and so does a refused one: the client's retry is another call.
        """
        received = self.world.now
        for _ in range(2):
            self.world.step()
            if self.world.now - received > WRITE_S * SECOND:
                return None
            fresh = not self.world.marks or f"B#{batch_id}" not in self.world.items
            if fresh:
                self.world.items[f"B#{batch_id}"] = True
                self.world.items[f"L#{isoformat(received)}#{batch_id}"] = batch
            if self.world.chance.random() < 0.9:
                return fresh
        return None

    def since(self, stream: str, start: int | str | None = None) -> Iterator[StoredBatch]:
        """Batches in order, a small page at a time."""
        for key, batch in self._pages(f"L#{start or ''}", "L#~"):
            yield StoredBatch(key, batch)

    def newest_rollup(self, stream: str) -> Rollup | None:
        """The last one."""
        self.world.step()
        keys = [key for key in self.world.items if key.startswith("R#")]
        return self.world.items[max(keys)] if keys else None

    def rollups(self, stream: str, first: str, before: str) -> Iterator[Rollup]:
        """Those before, a small page at a time."""
        for key, rollup in self._pages(f"R#{first}", f"R#{before}"):
            if key != f"R#{before}":
                yield rollup

    def intervals(self, stream: str, rollup: Rollup) -> bytes:
        """In the rollup, or in an item of their own."""
        if rollup.intervals is not None:
            return rollup.intervals
        self.world.step()
        slots: bytes = self.world.items[
            f"S#{rollup.start}#{rollup.intervals_digest}"
        ]  # KeyError: what the check looks for
        return slots

    def keep_rollup(self, stream: str, rollup: Rollup, expected: str | None, now: int, *, final: bool) -> bool:
        """A conditional put, of a final one after that of its slots; when its reply is lost, the SDK puts again."""
        days, slots = rollup.packed
        digest = sha256(slots or b"").hexdigest() if final else None
        stored = Rollup(rollup.start, rollup.until, PackedSummary(days, None), digest, None if final else slots)
        if final and self.world.slots_first:
            self._put(f"S#{rollup.start}#{digest}", slots)
        kept = False
        for _ in range(2):
            self.world.step()
            there = self.world.items.get(f"R#{rollup.start}")
            kept = (there.until if there else None) == expected
            if kept:
                self.world.items[f"R#{rollup.start}"] = stored
            if self.world.chance.random() < 0.9:
                break
        if final and not self.world.slots_first:
            self._put(f"S#{rollup.start}#{digest}", slots)
        return kept

    def _put(self, key: str, item: object) -> None:
        self.world.step()
        self.world.items[key] = item

    def _pages(self, low: str, high: str) -> Iterator[tuple[str, Any]]:
        size, last = self.world.chance.randint(1, 4), ""
        while True:
            self.world.step()
            keys = sorted(key for key in self.world.items if low <= key <= high and key > last)
            yield from [(key, self.world.items[key]) for key in keys[:size]]
            if len(keys) <= size:
                return
            last = keys[size - 1]


def read(table: ModelTable, now: int, is_late: Callable[[], bool] = lambda: False) -> tuple[Summary, bool]:
    """All that a reader counts, merged, and whether it says that this is all there is."""
    fold = Fold(table, "stream", now, is_late, long_tail=2)
    total = Summary()
    for summary in fold.summaries():
        total.merge(summary)
    return total, fold.complete
