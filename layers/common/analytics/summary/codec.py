"""Summaries as bytes: every format in which a summary was ever stored.

A stored summary has two parts, so that most questions read only the first: the days with the total of each interval,
and the rest of the intervals. Each part is zlib over the length of a JSON text (4 bytes, big-endian), the text, and a
blob of histograms, addresses and sketches that the text refers to in order.

    {"v": 3, "grain": seconds of an interval, "cells": [[method, endpoint, status code]], "counts": {day: counts},
     "last": µs, "days": {day: [total, states]}, "slots": {interval: total}}
    {interval: states}
    states: {code: state of the counter, "bytes": …}

The state of a counter is its own affair (`Counter.dump`). "bytes" says how much of the blob the states of an aggregate
have, so that a reader can skip counters of a later build, whose codes it does not know. They come after those it knows.

Format 2, of the first release, had the states of the three counters of its time in a list, and counted names beyond
the limit under "(other)"; `_upgraded` turns them into those of format 3. Format 1 was never released.
"""

from __future__ import annotations

import zlib
from collections import Counter
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from functools import partial
from io import BytesIO
from typing import Any, cast

from pydantic_core import from_json, to_json

from analytics.summary.aggregate import Aggregate
from analytics.summary.counter import OTHER, SHOWN_OTHER
from analytics.summary.counters import COUNTERS
from analytics.summary.histogram import pack, unpack
from analytics.summary.rollup import PackedSummary
from analytics.summary.stats import RequestStats
from analytics.summary.summary import Summary, Totals

FORMAT = 3
READABLE = (2, 3)
BYTES = "bytes"  # among the states of counters, whose codes are other words


class NewerFormat(ValueError):
    """The summary is in a format that a later build stores."""


def dump(summary: Summary) -> PackedSummary:
    """A summary as bytes, in the newest format."""
    summary.settle()
    blob, intervals_blob, is_error = bytearray(), bytearray(), summary.is_error
    days = {}
    for day, aggregate in summary.days.items():
        total = _dump_total(aggregate.stats(is_error), blob)
        days[day] = [total, _dump_counters(aggregate, blob, None)]
    totals = {start: _dump_total(each.stats(is_error), blob) for start, each in summary.intervals.items()}
    intervals = {}
    for start, aggregate in summary.intervals.items():
        day_of = summary.days[start // summary.intervals_a_day]
        intervals[start] = _dump_counters(aggregate, intervals_blob, day_of)
    head = {
        "v": FORMAT,
        "grain": summary.interval,
        "cells": summary.series[1:],
        "days": days,
        "slots": totals,
        "counts": summary.counts,
        "last": summary.last_received,
    }
    return PackedSummary(_compress(head, blob), _compress(intervals, intervals_blob))


def load(packed: PackedSummary) -> Summary:
    """The summary that was dumped, or what its days alone tell.

    Raises NewerFormat for a format that is not known, and ValueError for bytes that are damaged.
    """
    head, blob = _decompress(packed.days)
    with _whole():
        if head.get("v") not in READABLE:
            raise NewerFormat(f"a summary in format {head.get('v')}: only {' and '.join(map(str, READABLE))} are known")
        return _loaded(head, blob, packed.intervals)


def _loaded(head: dict[str, Any], blob: BytesIO, intervals: bytes | None) -> Summary:
    if head["v"] == 2:
        head = _upgraded(head)
    summary = Summary(head["grain"])
    summary.set_series(list(map(tuple, head["cells"])))
    for day, (total, states) in head["days"].items():
        aggregate = summary.days[int(day)]
        aggregate.total = _load_total(total, blob)
        _load_counters(aggregate, states, blob, None)
    summary.totals = partial(_load_totals, head["slots"], blob)
    for day, counts in head["counts"].items():
        summary.counts[int(day)] = Counter(counts)
    summary.last_received = head["last"]
    summary.has_intervals = False
    if intervals is not None:
        load_intervals(summary, intervals)
    return summary


def load_intervals(summary: Summary, packed: bytes) -> None:
    """Fill the intervals of a summary of which the days were loaded. Raises ValueError as `load` does."""
    intervals, blob = _decompress(packed)
    with _whole():
        for start, states in intervals.items():
            day = summary.days[int(start) // summary.intervals_a_day]
            if isinstance(states, list):
                states = _upgraded_states(states)
            _load_counters(summary.intervals[int(start)], states, blob, day)
    summary.has_intervals = True


@contextmanager
def _whole() -> Iterator[None]:
    """Raise ValueError where a part of what is read is missing or of another kind."""
    try:
        yield
    except (LookupError, TypeError, AttributeError) as error:
        raise ValueError("a damaged summary") from error


def _dump_counters(aggregate: Aggregate, blob: bytearray, day: Aggregate | None) -> dict[str, object]:
    """The states of the counters of an aggregate; `day`: of which it is an interval."""
    start = len(blob)
    states = {kind.code: aggregate.of(kind).dump(blob, None if day is None else day.of(kind)) for kind in COUNTERS}
    return states | {BYTES: len(blob) - start}


def _load_counters(aggregate: Aggregate, states: Mapping[str, Any], blob: BytesIO, day: Aggregate | None) -> None:
    """Load the counters of an aggregate; `day`: of which it is an interval."""
    start = blob.tell()
    for kind in COUNTERS:
        if kind.code in states:
            aggregate.put(kind.load(states[kind.code], blob, None if day is None else day.of(kind)))
    if BYTES in states:  # a summary of format 2 has none
        blob.seek(start + states[BYTES])


def _dump_total(total: RequestStats, blob: bytearray) -> list[object]:
    bucket, length, packed = pack(total.latency or 0)
    blob += packed
    counts = [total.requests, total.errors, total.duration, total.shortest, total.longest]
    return [*counts, bucket, length, len(packed)]


def _load_total(columns: list[Any], blob: BytesIO) -> RequestStats:
    requests, errors, duration, shortest, longest, bucket, length, size = columns
    return RequestStats(requests, errors, duration, shortest, longest, unpack(bucket, length, blob.read(size)))


def _load_totals(totals: Mapping[str, list[Any]], blob: BytesIO) -> Totals:
    return {int(start): _load_total(columns, blob) for start, columns in totals.items()}


def _upgraded(head: dict[str, Any]) -> dict[str, Any]:
    """The first part of a summary of format 2 as format 3 has it.

    Format 2 does not say how many requests of a name may be in "(other)": all of them, at most.
    """
    cells = [(_other(method), _other(endpoint), status) for method, endpoint, status in head["cells"]]
    days = {}
    for day, (total, *states) in head["days"].items():
        upgraded = days[day] = [total, _upgraded_states(states)]
        routes = upgraded[1]["routes"]
        ids, requests, *_ = routes[0]
        for series_id, n in zip(ids, requests, strict=True):
            method, endpoint, _ = cells[series_id - 1]
            routes[2] += n if endpoint == OTHER else 0
            routes[3] += n if method == OTHER else 0
        consumers = upgraded[1]["consumers"]
        consumers[3] = sum(n for name, n in zip(consumers[0], consumers[2], strict=True) if name == OTHER)
    return head | {"cells": cells, "days": days}


def _upgraded_states(states: list[Any]) -> dict[str, Any]:
    """The counters of an aggregate of format 2."""
    totals, latency, (names, ids, requests), addresses = states
    *sizes, texts, ranked, registers, undercount = addresses
    return {
        "routes": [totals or [[], [], [], [], []], latency, 0, 0],
        "addresses": [sizes, texts, ranked, registers, undercount],
        "consumers": [list(map(_other, names)), ids, requests, 0],
    }


def _other(name: str) -> str:
    return OTHER if name == SHOWN_OTHER else name


def _compress(state: object, blob: bytearray) -> bytes:
    text = to_json(state)
    return zlib.compress(len(text).to_bytes(4, "big") + text + blob, 3)


def _decompress(packed: bytes) -> tuple[dict[str, Any], BytesIO]:
    try:
        plain = zlib.decompress(packed)
        end = 4 + int.from_bytes(plain[:4], "big")
        return cast("dict[str, Any]", from_json(plain[4:end])), BytesIO(plain[end:])
    except (zlib.error, ValueError) as error:
        raise ValueError("not a summary") from error
