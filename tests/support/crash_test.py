"""A crash test of folds: processes write to a table of logs and read it, and readers are killed; see test_fold_live.

    python -m tests.support.crash_test <table> <folder>

The clock of the processes runs a day a second: days end while the test runs, and the allowed lateness is a second long.
Each process leaves an event log in the folder, a file of JSON lines.
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
SETTLED_US = round(GRACE_S * SPEED * 1e6)  # of theirs
LONG_TAIL = 2  # logs
LATE_S = 30  # after which a run hangs
STREAM = "live"


class FastClock:
    """A clock that all processes share, a day a second; microseconds since 1970."""

    def __init__(self, began: float, base: int) -> None:
        self.began = began  # by time.monotonic()
        self.base = base

    def __call__(self) -> int:
        """The time of the processes."""
        return self.base + round((time.monotonic() - self.began) * SPEED * 1e6)


class EventLog:
    """What happened to one process, a JSON line an event; each line is written at once and outlives a kill."""

    def __init__(self, path: Path) -> None:
        self._file = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_APPEND)

    def write(self, *event: object) -> None:
        """Append a line."""
        os.write(self._file, json.dumps(event).encode() + b"\n")


class RecordingTable(LogTable):
    """The table of logs; records whether each rollup was stored."""

    events: EventLog

    def keep_rollup(
        self, stream: str, rollup: Rollup, expected: Rollup | None, now: int, *, final: bool = False
    ) -> bool:
        """Store it, and record whether the condition held."""
        kept = super().keep_rollup(stream, rollup, expected, now, final=final)
        self.events.write("kept" if kept else "refused")
        return kept


class CrashTest:
    """Runs each writer and reader in a forked process; this process never uses the client that they inherit."""

    def __init__(self, table: str, folder: str) -> None:
        self.client, self.table = connect(), table
        self.folder = Path(folder)
        self.clock = FastClock(time.monotonic(), time.time_ns() // 1000)
        self.begun, self.written = RawArray("q", WRITERS), RawArray("q", WRITERS)  # logs, by writer
        self.at_rest = RawArray("b", 1)
        self.context = multiprocessing.get_context("fork")

    def run(self) -> None:
        """Run all processes; the event log `summary` holds the clock, the acknowledged logs, and the exit codes."""
        analytics.summary.fold.SETTLED_US = SETTLED_US
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
        EventLog(self.folder / "summary").write(self.clock.began, self.clock.base, sum(self.written), ends)

    def start(self, actor: Callable[[int, EventLog], None], number: int) -> BaseProcess:
        """Start a process that runs one writer or reader."""
        events = self.folder / f"{actor.__name__}-{number}"
        process = self.context.Process(target=lambda: actor(number, EventLog(events)), daemon=True)
        process.start()
        return process

    def end(self, process: BaseProcess) -> int | None:
        """The exit code of a process, None when it does not end within LATE_S."""
        process.join(LATE_S)
        return process.exitcode

    def write(self, number: int, events: EventLog) -> None:
        """A client: sends each batch until it is answered, and some of them again later."""
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
                    events.write("unanswered")
            events.write("repeated" if again else "sent", answer)
            events.write("took", time.monotonic() - began)
            if not again:
                self.written[number] += len(batch)
            time.sleep(chance.random() * 0.02)

    def read(self, number: int, events: EventLog) -> None:
        """A reader: records each answer with the logs acknowledged when it began and those begun when it ended."""
        chance, table = random.Random(number), RecordingTable(self.client, self.table)
        table.events = events
        over = False
        while not over:
            over = bool(self.at_rest[0])
            patience = 3 if not over and chance.random() < 0.2 else 10**9
            least = sum(self.written)
            events.write("begins")
            summary, complete = fold(table, self.clock(), patience)
            events.write("answer", least if complete else 0, total(summary), sum(self.begun), complete, over)


def fold(table: LogTable, now: int, patience: int = 10**9) -> tuple[Summary, bool]:
    """All summaries of one fold, merged, and whether the fold calls itself complete."""
    steps = count()
    reader = Fold(table, STREAM, now, lambda: next(steps) >= patience, LONG_TAIL)
    summary = Summary()
    for part in reader.summaries():
        summary.merge(part)
    return summary, reader.complete


def a_batch(chance: random.Random, now: int) -> Batch:
    """Some logs of about now, or of long ago; so few distinct values that no limit drops detail."""
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
    CrashTest(*sys.argv[1:]).run()
