"""Bytes that released builds stored stay readable, and say what they said then: a stored sample of every format."""

from __future__ import annotations

import json
from base64 import b64decode
from pathlib import Path
from typing import Any

import pytest

from analytics.batch import Batch
from analytics.query.filter import Filter
from analytics.query.ranges import Period, Range
from analytics.query.report import Report
from analytics.schema import TEXTS
from analytics.summary import codec
from analytics.summary.rollup import PackedSummary
from analytics.summary.summary import Summary
from tests.analytics.strategies import DAY
from tests.conftest import NOON

GOLDEN = Path(__file__).parent / "golden"
GET_404 = Filter(Range(NOON - DAY, NOON - DAY // 24), method=frozenset({"GET"}), status_code=frozenset({404}))
QUESTIONS = {
    "daily": (Filter(), Period.daily),
    "hourly": (Filter(), Period.hourly),
    "filtered": (GET_404, Period.hourly),
}


def golden(name: str) -> Any:
    """A stored sample."""
    return json.loads((GOLDEN / f"{name}.json").read_text())


@pytest.mark.parametrize("name", ["batch-1"])
def test_a_stored_batch_is_read_as_it_was_written(name: str) -> None:
    """Every column and every count; and what is packed today has the same bytes, so that yesterday's build reads it."""
    sample = golden(name)
    batch = Batch.unpack(b64decode(sample["packed"]))
    assert batch.counts == sample["counts"]
    for at, log in enumerate(sample["logs"]):
        found = {name: column.at(at) for name, column in batch.texts.items()}
        assert found == {name: log.get(name) for name in TEXTS}
        key = batch.series[batch.series_ids[at]]
        assert key == (log["method"], log["endpoint"], log["status_code"])
        weight = batch.weights[at] if batch.weights else 1
        duration = round(log["process_time"] * 1000)
        assert (batch.times[at], batch.durations[at], weight) == (log["created_at"], duration, log.get("weight", 1))
    assert Batch.unpack(batch.pack()) == batch


@pytest.mark.parametrize("name", ["summary-2", "summary-2-limited", "summary-3"])
@pytest.mark.parametrize("question", QUESTIONS)
def test_a_stored_summary_says_what_it_said(name: str, question: str) -> None:
    """Every block that the build of its time made of it, also after it was merged and stored in today's format."""
    sample = golden(name)
    loaded = codec.load(PackedSummary(b64decode(sample["days"]), b64decode(sample["slots"])))
    merged = Summary()
    merged.merge(loaded)
    for summary in (loaded, codec.load(codec.dump(merged))):
        report = Report(*QUESTIONS[question], 10, now=NOON - 1)
        report.add(summary)
        blocks = json.loads(json.dumps(report.blocks()))
        told = blocks.pop("unavailable")
        expected = dict(sample["expected"][question])
        assert told.keys() == expected.pop("unavailable").keys()
        assert like(blocks, expected) == expected


def like(block: Any, expected: Any) -> Any:
    """What a block says in the fields that the expected one has."""
    if isinstance(expected, dict):
        return {name: like(block[name], expected[name]) for name in expected}
    if isinstance(expected, list):
        return [like(*both) for both in zip(block, expected, strict=True)]
    if isinstance(expected, float) and block is not None and abs(block - expected) < 0.0051:
        return expected  # two decimals were shown then, and there are more now
    return block
