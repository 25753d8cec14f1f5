"""Folds are right under every schedule of writers and readers: a model check, and a check of the check.

Each schedule runs some writers, which send batches and send them again when they got no answer, and some readers, which
fold, over midnight. Any of them may stall for any time or end at any call, and each has a clock of its own that is off
by hours and steps both ways. During the run every answer must count all logs whose write had ended when it began, none
twice and none that were never sent; at rest it must be a plain fold of all.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator
from dataclasses import dataclass, field, replace
from functools import partial
from itertools import count
from threading import get_ident
from typing import Any, cast

import pytest

import analytics.summary.fold
from analytics.batch import Batch
from analytics.schema import Log
from analytics.summary.routes import Routes
from analytics.summary.summary import Summary
from tests.conftest import partly_long
from tests.support.simulator import SECOND, SimulatedTable, Simulator, read

SCHEDULES = 2_000
BLOCK = 200  # schedules that one test runs


@dataclass
class Outcome:
    """What a schedule showed."""

    wrong: list[str] = field(default_factory=list)
    answers: int = 0
    cut_short: int = 0
    rollups: int = 0
    killed: int = 0


class Schedule:
    """Four writers and four readers in a simulator."""

    def __init__(self, seed: int, **broken: Any) -> None:
        self.simulator = Simulator(seed, **broken)
        self.table = SimulatedTable(self.simulator)
        self.outcome = Outcome()
        self.begun: dict[str, Batch] = {}
        self.written: dict[str, Batch] = {}  # those whose write has ended well

    def write(self, name: str) -> None:
        """A client: batches, each sent until there is an answer, or given up."""
        chance = self.simulator.random
        for number in range(chance.randint(1, 6)):
            self.wait(0.3, 90)
            batch_id = f"{name}{number}"
            batch = self.begun[batch_id] = a_batch(self.simulator)
            for _ in range(5):
                if self.table.append(batch, batch_id) is not None:
                    self.written[batch_id] = batch
                    break
                self.wait(0.5, 200)  # the client tries again, perhaps minutes later

    def wait(self, likely: float, most: int) -> None:
        """Perhaps let up to so many seconds pass."""
        if self.simulator.random.random() < likely:
            self.simulator.now += self.simulator.random.randrange(most) * SECOND

    def read(self) -> None:
        """A reader: some answers, each of which must lie between what was surely there and what can be."""
        self.simulator.killable.add(get_ident())
        for _ in range(self.simulator.random.randint(1, 4)):
            least = _logs(self.written)
            patience = self.simulator.random.choice([10**9, 10**9, 3])
            steps = count()
            now, long_tail = self.simulator.clock(), self.simulator.random.choice([1, 2, 2, 6])
            summary, complete = read(self.table, now, partial(_is_over, steps, patience), long_tail)
            self.outcome.answers += 1
            self.outcome.cut_short += not complete
            if not (least if complete else 0) <= total(summary) <= _logs(self.begun):
                self.outcome.wrong.append(f"during: {least} <= {total(summary)} <= {_logs(self.begun)}")

    def rest(self) -> None:
        """Nobody writes any more: an answer must be a plain fold of all that is stored."""
        self.simulator.now += self.simulator.random.randrange(100) * SECOND
        found: list[tuple[Summary, bool]] = []
        self.simulator.run([lambda: found.append(read(self.table, self.simulator.now))])
        expected = Summary()
        for key, batch in self.simulator.items.items():
            if key.startswith("L#"):
                expected.fold(batch, 0)
        if timeless(found[0][0]) != timeless(expected):
            self.outcome.wrong.append(f"at rest: {total(found[0][0])} instead of {total(expected)}")

    def check_the_table(self) -> None:
        """What was acknowledged is there, and nothing twice."""
        stored = [key.split("#")[2] for key in self.simulator.items if key.startswith("L#")]
        if not set(self.written) <= set(stored):
            self.outcome.wrong.append("a write that was acknowledged is lost")
        if len(set(stored)) != len(stored):
            self.outcome.wrong.append("a batch is stored twice")


def run(seed: int, **broken: Any) -> Outcome:
    """One schedule; `broken` takes a rule out of the simulator."""
    schedule = Schedule(seed, **broken)
    simulator, outcome = schedule.simulator, schedule.outcome
    simulator.run([*(partial(schedule.write, name) for name in "abcd"), *[schedule.read] * 4])
    simulator.killable.clear()
    schedule.rest()
    schedule.rest()
    schedule.check_the_table()
    outcome.wrong += [f"intervals that are not there: {missing}" for missing in simulator.missing]
    outcome.rollups = sum(key.startswith("R#") for key in simulator.items)
    outcome.killed = simulator.killed
    return outcome


def _logs(batches: dict[str, Batch]) -> int:
    return sum(map(len, batches.values()))


def _is_over(steps: Iterator[int], patience: int) -> bool:
    return next(steps) >= patience


def a_batch(simulator: Simulator) -> Batch:
    """Some logs of about now, or of long ago."""
    chance = simulator.random
    logs = [
        {
            "created_at": simulator.now - chance.choice([0, 1, 3_600, 100_000]) * SECOND,
            "method": "GET",
            "endpoint": f"/{chance.randrange(4)}",
            "ip": f"10.0.0.{chance.randrange(9)}",
            "process_time": float(chance.randrange(10)),
            "status_code": chance.choice([200, 500]),
        }
        for _ in range(chance.randint(1, 3))
    ]
    return Batch.of(cast("list[Log]", logs))


def total(summary: Summary) -> int:
    """How many logs a summary counts."""
    summary.settle()
    return sum(tally[0] for window in summary.days.values() for tally in window.of(Routes).totals.values())


def timeless(summary: Summary) -> Summary:
    """A summary without when its logs were received."""
    result = Summary()
    result.merge(summary)
    counts = sum(result.counts.values(), Counter[str]())
    result.counts.clear()
    result.counts[0] = counts
    result.last_received = 0
    return result


@pytest.mark.parametrize("seed", partly_long(range(0, SCHEDULES, BLOCK)))
def test_no_schedule_gives_a_wrong_answer(seed: int) -> None:
    """Thousands of answers under two thousand schedules, with stalls, ends and lost replies: all are right."""
    outcomes = [run(seed + number) for number in range(BLOCK)]
    assert [outcome.wrong for outcome in outcomes if outcome.wrong] == []
    assert sum(outcome.rollups for outcome in outcomes) > BLOCK  # folds were stored,
    assert sum(outcome.killed for outcome in outcomes) > BLOCK / 10  # readers ended in the middle,
    assert sum(outcome.cut_short for outcome in outcomes) > BLOCK / 10  # and answers were cut short


def test_without_raising_the_watermark_the_check_fails() -> None:
    """If a fold did not say up to where it stores, a writer could not know that it came late."""
    assert any(run(seed, raises=False).wrong for seed in range(300))


def test_without_looking_again_the_check_fails() -> None:
    """If a writer did not look at the watermark after its write, a batch behind it would be missing for ever."""
    assert any(run(seed, looks_again=False).wrong for seed in range(300))


def test_without_looking_again_the_check_fails_with_one_clock_too() -> None:
    """Also where all clocks agree, for a writer may stall for long."""
    assert any(run(seed, looks_again=False, same_clock=True).wrong for seed in range(300))


def test_without_raising_it_before_the_tail_is_read_the_check_fails(monkeypatch: pytest.MonkeyPatch) -> None:
    """If a fold read the tail first, a batch that came in between would be in nobody's hands."""

    def read_first(self: Any, newest: Any, watermark: Any, settled: str, builder: Any) -> tuple[str, Iterator[Any]]:
        batches = list(self._table.since(self._stream, newest.until if newest else ""))
        self._table.raise_watermark(self._stream, settled, newest.start if newest else "")
        return max(settled, watermark.until), iter(batches)

    monkeypatch.setattr(analytics.summary.fold.Fold, "_opened", read_first)
    assert any(run(seed).wrong for seed in range(300))


def test_without_correcting_what_came_late_the_check_fails(monkeypatch: pytest.MonkeyPatch) -> None:
    """If nobody counted the rollup of a late batch anew, the batch would not be in it."""
    monkeypatch.setattr(analytics.summary.fold.Fold, "_correct", lambda *_: None)
    assert any(run(seed).wrong for seed in range(300))


def test_without_marks_the_check_fails() -> None:
    """If batches had no marks, a client's retry would be stored twice."""
    assert any(run(seed, marks=False).wrong for seed in range(300))


def test_without_storing_intervals_first_the_check_fails() -> None:
    """If a final rollup came before its intervals, a reader could meet it without them."""
    assert any(run(seed, intervals_first=False).wrong for seed in range(300))


def test_without_stopping_at_the_first_refusal_the_check_fails(monkeypatch: pytest.MonkeyPatch) -> None:
    """If a reader that was overtaken went on to store, logs would be counted twice or not at all."""

    def keep_on(self: Any, builder: Any, until: str, *, final: bool = False) -> None:
        rollup = builder.rollup(until)
        if not self._table.keep_rollup(self._stream, rollup, builder.stored, self._now, final=final):
            self._table.simulator.items[f"R#{builder.start}"] = replace(rollup, intervals=rollup.packed.intervals)

    monkeypatch.setattr(analytics.summary.fold.Fold, "_keep", keep_on)
    assert any(run(seed).wrong for seed in range(300))
