"""A deterministic simulator for the model check of folds: one table in memory, many actors, one table call at a time.

Actors are threads, of which one runs at a time. Before each call to the table the simulator chooses by its seed which
actor runs next, and lets time pass. It may end an actor between two calls, apply a put and lose its reply, and it cuts
queries into small pages, so that other actors run between two pages.
"""

# ruff: noqa: ARG002 - the table has the methods of the real one, and knows one stream

from __future__ import annotations

import random
from collections.abc import Callable, Iterable, Iterator
from dataclasses import replace
from hashlib import sha256
from threading import Lock, Thread, get_ident
from typing import Any

from analytics.batch import Batch
from analytics.summary.fold import Fold
from analytics.summary.rollup import PackedSummary, Rollup, StoredBatch, Watermark
from analytics.summary.summary import Summary
from analytics.times import isoformat

SECOND = 1_000_000
OFFSETS = (-90, 90, -7_200, 10_800, 90_000)  # seconds: how far clocks are off
MIDNIGHT = 1_763_942_400 * SECOND  # 2025-11-24: schedules begin just before it


class Killed(BaseException):
    """Raised in an actor to end it."""


class Simulator:
    """The clock, the items of the table, and the scheduler of the actors."""

    def __init__(
        self,
        seed: int,
        *,
        marks: bool = True,
        intervals_first: bool = True,
        raises: bool = True,
        looks_again: bool = True,
        same_clock: bool = False,
    ) -> None:
        self.random = random.Random(seed)
        self.now = MIDNIGHT - self.random.randrange(300) * SECOND
        self.marks = marks
        self.intervals_first = intervals_first
        self.raises = raises
        self.looks_again = looks_again
        self.same_clock = same_clock
        self.missing: list[str] = []  # intervals that a reader did not find
        self.items: dict[str, Any] = {}
        self.killable: set[int] = set()
        self.killed = 0
        self._offsets: dict[int, int] = {}  # by thread: how far its clock is off, in microseconds
        self._paused = _held()  # released by the running actor when it stops running
        self._turns: dict[int, Lock] = {}  # by thread, of actors that have not ended: released to let the actor run
        self._ended: set[int] = set()  # threads whose actor is killed at its next step

    def clock(self) -> int:
        """The time on the clock of the running actor, which differs from that of others and steps now and then."""
        me = get_ident()
        if not self.same_clock and (me not in self._offsets or self.random.random() < 0.1):
            self._offsets[me] = self.random.choice([0, 0, 0, *OFFSETS]) * SECOND
        return self.now + self._offsets.get(me, 0)

    def step(self) -> None:
        """Let other actors run; an actor calls this before each call to the table."""
        me = get_ident()
        self._paused.release()
        self._turns[me].acquire()
        if me in self._ended:
            raise Killed

    def run(self, actors: list[Callable[[], None]]) -> None:
        """Run all actors until each has returned or was killed."""
        threads = [Thread(target=self._act, args=(actor,)) for actor in actors]
        for thread in threads:
            thread.start()
            self._paused.acquire()
        while self._turns:
            actor = self.random.choice(list(self._turns))
            self.now += self.random.randrange(4 * SECOND)
            if actor in self.killable and self.random.random() < 0.01:
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
            self._ended.discard(me)  # the operating system may give its number to a later thread
            self._paused.release()


def _held() -> Lock:
    """A lock that is taken; another thread releases it."""
    lock = Lock()
    lock.acquire()
    return lock


class SimulatedTable:
    """The table as folds and writers see it; each call is a step of the simulator."""

    def __init__(self, simulator: Simulator) -> None:
        self.simulator = simulator

    def append(self, batch: Batch, batch_id: str) -> bool | None:
        """Store a batch as ingest does. Returns whether it is new; None after lost replies: it may be stored.

        After a lost reply the SDK tries once more within this call; a client's retry is another call. The writer may
        stall for any time between two steps.
        """
        simulator = self.simulator
        key = f"L#{isoformat(simulator.clock())}#{batch_id}"
        for _ in range(2):
            simulator.step()
            fresh = not simulator.marks or f"B#{batch_id}" not in simulator.items
            if fresh:
                simulator.items[f"B#{batch_id}"] = key
                simulator.items[key] = batch
            else:
                key = simulator.items[f"B#{batch_id}"]
            if simulator.random.random() < 0.9:
                break
        else:
            return None
        if simulator.looks_again:
            simulator.step()
            if key.removeprefix("L#") < self._watermark().until:
                simulator.step()
                simulator.items["W"] = replace(self._watermark(), late=self._watermark().late | {key})
                if simulator.random.random() < 0.1:
                    return None
        return fresh

    def since(self, stream: str, start: str = "", until: str | None = None) -> Iterator[StoredBatch]:
        """Batches by time of receipt, in small pages."""
        end = "L#~" if until is None else f"L#{until}"
        for key, batch in self._pages(f"L#{start}", end):
            if key != end:
                yield StoredBatch(key, batch)

    def newest_rollup(self, stream: str, now: int) -> tuple[Rollup | None, Watermark]:
        """The newest rollup, or None, and the watermark."""
        self.simulator.step()
        keys = [key for key in self.simulator.items if key.startswith("R#")]
        return self.simulator.items[max(keys)] if keys else None, self._watermark()

    def rollups_around(self, stream: str, received: str) -> tuple[Rollup | None, Rollup | None]:
        """The last rollup that starts before a time of receipt, and the first that starts after it."""
        self.simulator.step()
        before = [key for key in self.simulator.items if key.startswith("R#") and key <= f"R#{received}"]
        self.simulator.step()
        after = [key for key in self.simulator.items if key.startswith("R#") and key > f"R#{received}"]
        items = self.simulator.items
        return items[max(before)] if before else None, items[min(after)] if after else None

    def rollups(self, stream: str, first: str, before: str, now: int) -> Iterator[Rollup]:
        """Rollups from `first` until before `before`, in small pages."""
        for key, rollup in self._pages(f"R#{first}", f"R#{before}"):
            if key != f"R#{before}":
                yield rollup

    def intervals(self, stream: str, rollup: Rollup) -> bytes:
        """The packed intervals: from the rollup, or from an item of their own."""
        if rollup.intervals is not None:
            return rollup.intervals
        self.simulator.step()
        key = f"S#{rollup.start}#{rollup.intervals_digest}"
        if key not in self.simulator.items:
            self.simulator.missing.append(key)  # what the check looks for
        intervals: bytes = self.simulator.items[key]
        return intervals

    def keep_rollup(
        self, stream: str, rollup: Rollup, expected: Rollup | None, now: int, *, final: bool = False
    ) -> bool:
        """Put a rollup if `expected` is stored, a final one after its hours; the SDK repeats a put without reply."""
        days, intervals = rollup.packed
        digest = sha256(intervals or b"").hexdigest() if final else None
        own = None if final else intervals
        stored = replace(rollup, packed=PackedSummary(days, None), intervals_digest=digest, intervals=own)
        if final and self.simulator.intervals_first:
            self._put(f"S#{rollup.start}#{digest}", intervals)
        kept = False
        for _ in range(2):
            self.simulator.step()
            there = self.simulator.items.get(f"R#{rollup.start}")
            kept = _version(there) == _version(expected)
            if kept:
                self.simulator.items[f"R#{rollup.start}"] = stored
            if self.simulator.random.random() < 0.9:
                break
        if final and not self.simulator.intervals_first:
            self._put(f"S#{rollup.start}#{digest}", intervals)
        return kept

    def raise_watermark(self, stream: str, until: str, newest: str = "") -> None:
        """Raise the watermark, if it is below that."""
        self.simulator.step()
        if self.simulator.raises and self._watermark().until < until:
            self.simulator.items["W"] = replace(self._watermark(), until=until, newest=newest)

    def note_newest(self, stream: str, newest: str) -> None:
        """Note the start of the newest rollup."""
        self.simulator.step()
        self.simulator.items["W"] = replace(self._watermark(), newest=newest)

    def settle_late(self, stream: str, sort_keys: Iterable[str]) -> None:
        """Forget late batches."""
        self.simulator.step()
        self.simulator.items["W"] = replace(self._watermark(), late=self._watermark().late - set(sort_keys))

    def _watermark(self) -> Watermark:
        watermark: Watermark = self.simulator.items.get("W", Watermark())
        return watermark

    def _put(self, key: str, item: object) -> None:
        self.simulator.step()
        self.simulator.items[key] = item

    def _pages(self, low: str, high: str) -> Iterator[tuple[str, Any]]:
        size, last = self.simulator.random.randint(1, 4), ""
        while True:
            self.simulator.step()
            keys = sorted(key for key in self.simulator.items if low <= key <= high and key > last)
            yield from [(key, self.simulator.items[key]) for key in keys[:size]]
            if len(keys) <= size:
                return
            last = keys[size - 1]


def _version(rollup: Rollup | None) -> tuple[str, int | None] | None:
    return None if rollup is None else (rollup.until, rollup.batches)


def read(
    table: SimulatedTable, now: int, is_late: Callable[[], bool] = lambda: False, long_tail: int = 2
) -> tuple[Summary, bool]:
    """All summaries of one fold, merged, and whether the fold calls itself complete."""
    fold = Fold(table, "stream", now, is_late, long_tail)
    total = Summary()
    for summary in fold.summaries():
        total.merge(summary)
    return total, fold.complete
