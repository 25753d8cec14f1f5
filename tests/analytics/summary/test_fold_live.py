"""Folds are right among real processes on real servers: the model check's actors, at large.

Three processes write, three read, and one of the readers is killed with SIGKILL over and over and started anew.
"""

from __future__ import annotations

import json
import os
import subprocess
import sys
import time
from collections import Counter
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING

import pytest

import analytics.summary.fold
from analytics.store.client import connect
from analytics.summary.summary import Summary
from local.database.dynamodb import DatabaseServer
from tests.support.crash_test import (
    GRACE_S,
    LATE_S,
    READERS,
    SETTLED_US,
    STREAM,
    WRITERS,
    WRITING_S,
    FastClock,
    fold,
    total,
)
from tests.support.engines import ROOT, Engine

if TYPE_CHECKING:
    from mypy_boto3_dynamodb import DynamoDBClient


@contextmanager
def on_moto() -> Iterator[DynamoDBClient]:
    """A client of the local database, which is moto behind HTTP."""
    with DatabaseServer() as server, pytest.MonkeyPatch.context() as environment:
        environment.setenv("AWS_ENDPOINT_URL_DYNAMODB", server.url)
        client = connect()
        environment.undo()
        yield client
        client.close()


@pytest.fixture(params=["moto", "dynoxide"])
def served(request: pytest.FixtureRequest) -> Iterator[Engine]:
    """Empty tables on each server at hand."""
    if request.param == "dynoxide":
        yield Engine(request.getfixturevalue("dynoxide_client"))
    else:
        with on_moto() as client:
            yield Engine(client)


def test_processes_that_write_read_and_die_count_everything_once(
    served: Engine, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """No answer misses what was acknowledged or goes back, and at rest each is a plain fold of all there is."""
    environment = os.environ | {"AWS_ENDPOINT_URL_DYNAMODB": served.client.meta.endpoint_url}
    command = [sys.executable, "-m", "tests.support.crash_test", served.logs_table, str(tmp_path)]
    subprocess.run(command, cwd=ROOT, env=environment, timeout=2 * LATE_S, check=True)
    event_logs = {
        path.name: [json.loads(line) for line in path.read_text().splitlines()] for path in tmp_path.iterdir()
    }
    ((began, base, written, ends),) = event_logs.pop("summary")
    clock = FastClock(began, base)
    lines = [line for events in event_logs.values() for line in events]

    answers = {name: [line for line in events if line[0] == "answer"] for name, events in event_logs.items()}
    given = [(name, *answer) for name in answers for answer in answers[name]]
    assert [each for each in given if not each[2] <= each[3] <= each[4]] == []
    for name in answers:
        whole = [found for _, _, found, _, complete, _ in answers[name] if complete]
        assert whole == sorted(whole), f"{name} went back"
    assert [found for *_, found, _, _, at_rest in given if at_rest] == [written] * (READERS - 1)

    assert ends == [0] * (WRITERS + READERS - 1)
    happened = Counter(map(tuple, (line[:2] if line[0] == "repeated" else line[:1] for line in lines)))
    cut_off = sum(events[-1][0] in ("begins", "kept", "refused") for events in event_logs.values() if events)
    assert happened["repeated", False] > 0 == happened["repeated", True]
    assert happened["kept",] > WRITING_S < len(given)  # every day was stored, and some more than once
    assert cut_off > 2  # readers were killed in the middle of an answer

    monkeypatch.setattr(analytics.summary.fold, "SETTLED_US", SETTLED_US)
    plain = Summary()
    for stored in served.logs.since(STREAM):
        plain.fold(stored.batch, stored.received)
    assert total(plain) == written
    for grace_is_over in (False, True):
        if grace_is_over:
            time.sleep(max(0.0, clock.began + WRITING_S + 2 * GRACE_S - time.monotonic()))
        found, complete = fold(served.logs, clock())
        assert complete
        assert found == plain
    assert sum(key.startswith("R#") for key in served.sort_keys()) >= WRITING_S
