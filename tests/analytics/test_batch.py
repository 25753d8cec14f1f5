"""Batches keep logs as they are, packed or not."""

from __future__ import annotations

import json
import zlib
from collections import Counter
from typing import Any, cast

import pytest
from hypothesis import given
from hypothesis import strategies as st

from analytics.batch import Batch
from analytics.schema import TEXTS, Log
from tests.analytics import strategies
from tests.conftest import NOON

Logs = list[dict[str, Any]]


def batch_of(logs: Logs) -> Batch:
    """The batch of logs."""
    return Batch.of(cast("list[Log]", logs))


def rows(batch: Batch) -> Logs:
    """The logs in a batch, every optional field written out."""
    return [
        {
            "created_at": batch.times[at],
            "method": batch.series[batch.series_ids[at]][0],
            "endpoint": batch.series[batch.series_ids[at]][1],
            "status_code": batch.series[batch.series_ids[at]][2],
            "process_time": batch.durations[at] / 1000,
            **dict.fromkeys(TEXTS),
            **{name: column.at(at) for name, column in batch.texts.items()},
            "weight": batch.weights[at] if batch.weights else 1,
        }
        for at in range(len(batch))
    ]


def written_out(logs: Logs) -> Logs:
    """Logs in order of time, every optional field written out."""
    optional = dict.fromkeys(TEXTS) | {"weight": 1}
    return sorted((optional | log for log in logs), key=lambda log: cast("int", log["created_at"]))


@given(strategies.logs)
def test_a_batch_holds_its_logs_oldest_first(logs: Logs) -> None:
    """Columns are just another way to write logs down."""
    assert rows(batch_of(logs)) == written_out(logs)


@given(strategies.logs)
def test_packing_loses_nothing(logs: Logs) -> None:
    """`unpack` undoes `pack`, counts included."""
    batch = Batch.of(cast("list[Log]", logs), Counter({"dropped.buffer_full": 7}))
    again = Batch.unpack(batch.pack())
    assert rows(again) == written_out(logs)
    assert again.counts == batch.counts == Counter(accepted=batch.requests) + Counter({"dropped.buffer_full": 7})


@given(strategies.logs, st.data())
def test_logs_can_be_taken_out(logs: Logs, data: st.DataObject) -> None:
    """`take` gives the logs at some positions, in that order, without the counts."""
    batch = batch_of(logs)
    positions = data.draw(st.lists(st.sampled_from(range(len(logs))), unique=True)) if logs else []
    assert rows(batch.take(positions)) == [rows(batch)[at] for at in positions]
    assert batch.take(positions).counts == {}


def test_user_agents_and_paths_are_kept() -> None:
    """What clients send only if asked comes back, too, and None for the logs without."""
    log = {"created_at": NOON, "method": "GET", "endpoint": "/", "process_time": 1.0, "status_code": 200}
    logs = [log | {"user_agent": "curl/8", "path": "/?"}, log]
    assert rows(Batch.unpack(batch_of(logs).pack())) == written_out(logs)


def test_a_packed_log_is_small() -> None:
    """A log takes at most 25 bytes where five hundred are packed together."""
    assert len(batch_of(strategies.many_logs(500, days=0.01)).pack()) / 500 < 25


@pytest.mark.parametrize("packed", [b"nonsense", zlib.compress(json.dumps({"v": 2}).encode())])
def test_foreign_bytes_are_refused(packed: bytes) -> None:
    """What is no batch, or one in a format of the future, is not taken for one."""
    with pytest.raises(ValueError, match=r"not a packed batch|format 2"):
        Batch.unpack(packed)


@given(strategies.logs)
def test_a_part_of_a_batch_can_be_made_as_small_as_its_logs(logs: Logs) -> None:
    """`compact` keeps the logs of a part, and only the values that they have."""
    part = batch_of(logs).take(range(len(logs) // 2))
    compact = part.compact()
    assert rows(compact) == rows(part)
    assert set(compact.series_ids) == set(range(len(compact.series)))
    for column in compact.texts.values():
        assert set(column.ids) == set(range(len(column.values)))
