"""Processes that write to a table of logs and read it while one of them is killed over and over; see test_fold_live.

    python -m tests.support.crash_test <table> <folder>

Their clock, which is given to the code as always, goes a day a second, so that days end and the grace is a second long.
Each process leaves a diary in the folder, a file of lines of JSON.
"""

from __future__ import annotations

import json
import multiprocessing
import os
import random
import signal
import sys
import time
from collections.abc import Callable
from itertools import count
from multiprocessing.sharedctypes import RawArray
from pathlib import Path
from typing import TYPE_CHECKING, Any, cast

import analytics.summary.fold
from analytics.batch import Batch
from analytics.errors import Unavailable
from analytics.store import LogTable
from analytics.store.client import connect
from analytics.summary.fold import Fold
from analytics.summary.rollup import Rollup
from analytics.summary.routes import Routes
from analytics.summary.summary import Summary

if TYPE_CHECKING:
    from multiprocessing.process import BaseProcess

WRITERS, READERS = 3, 3
WRITING_S = 3.0
KILL_EVERY_S = 0.2
SPEED = 86_400  # seconds of theirs in one of ours
GRACE_S = 1.0  # of ours: no write may take longer
ALLOWED_LATENESS_US = round(GRACE_S * SPEED * 1e6)  # of theirs
LONG_TAIL = 2  # logs
LATE_S = 30  # after which a run hangs
STREAM = "live"


class Clock:
    """A clock that all processes share; microseconds since 1970."""

    def __init__(self, began: float, base: int) -> None:
        self.began = began  # by time.monotonic()
        self.base = base

    def __call__(self) -> int:
        """What time it is there."""
        return self.base + round((time.monotonic() - self.began) * SPEED * 1e6)


class Diary:
    """What an actor leaves behind, a line of JSON at a time, even when it is killed."""

    def __init__(self, path: Path) -> None:
        self._file = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_APPEND)

    def note(self, *what: object) -> None:
        """Write a line."""
        os.write(self._file, json.dumps(what).encode() + b"\n")


class NotingTable(LogTable):
    """The table, noting whether rollups were kept."""

    diary: Diary

    def keep_rollup(self, stream: str, rollup: Rollup, expected: str | None, now: int, *, final: bool = False) -> bool:
        """Keep it as ever."""
        kept = super().keep_rollup(stream, rollup, expected, now, final=final)
        self.diary.note("kept" if kept else "refused")
        return kept


class Yard:
    """Runs the actors of one case, each in a process forked from this one, which itself never uses its client."""

    def __init__(self, table: str, folder: str) -> None:
        self.client, self.table = connect(), table
        self.folder = Path(folder)
        self.clock = Clock(time.monotonic(), time.time_ns() // 1000)
        self.begun, self.written = RawArray("q", WRITERS), RawArray("q", WRITERS)  # logs, by writer
        self.at_rest = RawArray("b", 1)
        self.context = multiprocessing.get_context("fork")

    def run(self) -> None:
        """Run them all; the yard's diary says how many logs were acknowledged, and how the actors ended."""
        analytics.summary.fold.ALLOWED_LATENESS_US = ALLOWED_LATENESS_US
        writers = [self.start(self.write, number) for number in range(WRITERS)]
        readers = [self.start(self.read, number) for number in range(READERS - 1)]
        end = time.monotonic() + WRITING_S
        number = READERS
        while time.monotonic() < end:
            doomed = self.start(self.read, number)
            time.sleep(KILL_EVERY_S)
            os.kill(cast("int", doomed.pid), signal.SIGKILL)
            doomed.join()
            number += 1
        ends = [self.end(writer) for writer in writers]
        self.at_rest[0] = 1
        ends += [self.end(reader) for reader in readers]
        Diary(self.folder / "yard").note(self.clock.began, self.clock.base, sum(self.written), ends)

    def start(self, actor: Callable[[int, Diary], None], number: int) -> BaseProcess:
        """An actor's process."""
        diary = self.folder / f"{actor.__name__}-{number}"
        process = self.context.Process(target=lambda: actor(number, Diary(diary)), daemon=True)
        process.start()
        return process

    def end(self, process: BaseProcess) -> int | None:
        """Its exit code, None when it does not end."""
        process.join(LATE_S)
        return process.exitcode

    def write(self, number: int, diary: Diary) -> None:
        """A client: batches, each sent until there is an answer, and some sent again later."""
        chance, table = random.Random(number), LogTable(self.client, self.table)
        sent: list[tuple[str, Batch]] = []
        while self.clock() < self.clock.base + WRITING_S * SPEED * 1e6:
            again = bool(sent) and chance.random() < 0.2
            batch_id, batch = chance.choice(sent) if again else (f"{number}-{len(sent)}", a_batch(chance, self.clock()))
            if not again:
                sent.append((batch_id, batch))
                self.begun[number] += len(batch)
            began = time.monotonic()
            answer = None
            while answer is None:
                try:
                    answer = table.append(STREAM, batch, self.clock(), batch_id)
                except Unavailable:
                    diary.note("unanswered")
            diary.note("repeated" if again else "sent", answer)
            diary.note("took", time.monotonic() - began)
            if not again:
                self.written[number] += len(batch)
            time.sleep(chance.random() * 0.02)

    def read(self, number: int, diary: Diary) -> None:
        """A reader: answers, each between what was surely there when it began and what was begun when it ended."""
        chance, table = random.Random(number), NotingTable(self.client, self.table)
        table.diary = diary
        over = False
        while not over:
            over = bool(self.at_rest[0])
            patience = 3 if not over and chance.random() < 0.2 else 10**9
            least = sum(self.written)
            diary.note("begins")
            summary, complete = fold(table, self.clock(), patience)
            diary.note("answer", least if complete else 0, total(summary), sum(self.begun), complete, over)


def fold(table: LogTable, now: int, patience: int = 10**9) -> tuple[Summary, bool]:
    """All that a reader counts, merged, and whether it says that this is all there is."""
    steps = count()
    reader = Fold(table, STREAM, now, lambda: next(steps) >= patience, LONG_TAIL)
    summary = Summary()
    for part in reader.summaries():
        summary.merge(part)
    return summary, reader.complete


def a_batch(chance: random.Random, now: int) -> Batch:
    """Some logs of about now, or of long ago; so much alike that `bounds` gives up no detail of them."""
    logs = [
        {
            "created_at": now - chance.choice([0, 1, 3_600, 100_000]) * 1_000_000,
            "method": "GET",
            "endpoint": f"/{chance.randrange(4)}",
            "ip": f"10.0.0.{chance.randrange(9)}",
            "process_time": 50.0 + chance.randrange(4),
            "status_code": chance.choice([200, 500]),
        }
        for _ in range(chance.randint(1, 9))
    ]
    return Batch.of(cast("Any", logs))


def total(summary: Summary) -> int:
    """How many logs a summary counts."""
    summary.settle()
    return sum(tally[0] for window in summary.days.values() for tally in window.of(Routes).totals.values())


if __name__ == "__main__":
    Yard(*sys.argv[1:]).run()
