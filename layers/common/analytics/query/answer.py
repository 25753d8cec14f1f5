"""The answer to a question about a stream: from rollups where they can tell, from raw logs where they cannot.

Rollups know hours and, within each, methods, endpoints and status codes. What they do not know is counted from the raw
logs, if those are still kept and are not too many: minutes and parts of hours, one consumer, the addresses behind one
endpoint. Otherwise it is null with its reason in `unavailable`, or the range is widened to whole hours and `range` says
so, or the question is refused. An answer never has a wrong number.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, replace
from typing import Any, cast

from analytics.blocks import Dashboard
from analytics.errors import Invalid, Problem
from analytics.query.filter import Filter
from analytics.query.ranges import LAST_US, Period, Range, last_shown
from analytics.query.report import Report
from analytics.schema import MAX_AHEAD_US
from analytics.store import LogTable
from analytics.summary.fold import Fold
from analytics.summary.summary import Summary
from analytics.times import DAY, HOUR, SECOND, isoformat

MOST_RAW = 500_000  # requests in logs that are counted anew for one answer: about a second of work
FOLD_US = 20 * SECOND  # of folding before an answer says how far it got; the gateway gives up after 30 s
RAW_US = 6 * SECOND  # of counting raw logs before that is given up
MINUTES = "Minutes are counted from raw logs, which are too many or expired: these are hours"

_DAY_US = DAY * SECOND
_HOUR_US = HOUR * SECOND


@dataclass(frozen=True, slots=True)
class Question:
    """What is asked: about which logs, in points of which period, with ranked lists of what length."""

    wanted: Filter
    period: Period = Period.daily
    top: int = 10


@dataclass(frozen=True, slots=True)
class Source:
    """Where answers come from: a stream of a table, with raw logs back to `raw_days` ago. The clock is of µs."""

    table: LogTable
    stream: str
    clock: Callable[[], int]
    raw_days: int


def answer(source: Source, question: Question) -> Dashboard:
    """All blocks of the dashboard, with `range`: what they really cover.

    Raises Invalid when the range has too many points of the period.
    """
    return _answers(source, [question])[0]


def compared(source: Source, question: Question) -> Dashboard:
    """The answer, with `previous`: the same blocks for as long a range just before; and `change`: the summary's.

    Both are null where there is no such range: the start is open, or still to come. It does not begin before 1970.
    """
    asked = question.wanted.range
    end = last_shown(asked, source.clock() - 1) + 1
    if asked.start is None or asked.start >= end:
        return {**answer(source, question), "previous": None, "change": None}
    before = Range(max(0, 2 * asked.start - end), asked.start)
    earlier = replace(question, wanted=replace(question.wanted, range=before))
    blocks, previous = _answers(source, [question, earlier])
    earlier_summary, after = cast("dict[str, Any]", previous["summary"]), cast("dict[str, Any]", blocks["summary"])
    change = {name: _change(earlier_summary[name], value) for name, value in after.items()}
    return {**blocks, "previous": previous, "change": {"summary": change}}


def _change(before: float | None, after: float | None) -> float | None:
    """By what share a number went up or down; None where there is nothing to compare with."""
    return round((after - before) / before, 4) if before and after is not None else None


def _answers(source: Source, questions: list[Question]) -> list[Dashboard]:
    """The answers to questions about one stream, from one way over it."""
    now = source.clock()
    late = now + FOLD_US
    fold = Fold(source.table, source.stream, now, lambda: source.clock() > late)
    reports = [_report(question, now) for question in questions]
    first = min(_first_day(question.wanted.range) for question in questions)
    for summary in fold.summaries(first, lambda summary: any(report.needs_intervals(summary) for report in reports)):
        for report in reports:
            report.add(summary)
    return [_answer(source, question, report, fold, now) for question, report in zip(questions, reports, strict=True)]


def _report(question: Question, now: int) -> Report:
    """A report on what rollups can tell."""
    period = Period.hourly if question.period is Period.minutely else question.period
    wanted = replace(question.wanted, range=_whole_hours(question.wanted.range))
    return Report(wanted, period, question.top, now=now)


def _answer(source: Source, question: Question, report: Report, fold: Fold, now: int) -> Dashboard:
    covered, period = _whole_hours(question.wanted.range), question.period
    counted = None
    if _needs_raw(question, now) and report.accepted <= MOST_RAW and _is_kept(source, question.wanted.range, now):
        counted = _from_raw(source, question, now)
    if counted is None:
        for name in question.wanted.not_summarized:
            reason = "Input should be left out, or the range shorter: there are too many raw logs to count"
            raise Invalid(f"The {name} filter is not available for this range", [Problem(None, name, reason)])
    blocks = (counted or report).blocks()
    if counted is not None:
        covered = question.wanted.range
    elif period is Period.minutely:
        period, blocks["unavailable"]["time_series"] = Period.hourly, MINUTES
    blocks["range"] = {
        "start": None if covered.start is None else isoformat(covered.start),
        "end": None if covered.end is None else isoformat(covered.end),
        "period": period,
        "complete": counted is not None or fold.complete,
        "reached": None if counted is not None else fold.reached,
    }
    return cast("Dashboard", blocks)


def _from_raw(source: Source, question: Question, now: int) -> Report | None:
    """The report on just the logs that are wanted; None when there was not enough time for all of them."""
    report = Report(question.wanted, question.period, question.top, now=now, filtered=True)
    summary = Summary(60 if question.period is Period.minutely else HOUR)
    late = min(source.clock() + RAW_US, now + FOLD_US + RAW_US)
    for stored in source.table.since(source.stream, first_receipt(question.wanted.range)):
        if source.clock() > late:
            return None
        summary.receive(stored.batch.counts, stored.received)
        summary.add(question.wanted.apply(stored.batch))
    report.add(summary)
    return report


def _needs_raw(question: Question, now: int) -> bool:
    """Whether there is something in the question that rollups cannot tell."""
    wanted = question.wanted
    end = wanted.range.end
    edges = [wanted.range.start, end if end is None or end <= now + MAX_AHEAD_US else None]  # nothing is from later
    return (
        question.period is Period.minutely
        or wanted.narrows_series
        or bool(wanted.not_summarized)
        or any(edge is not None and edge % _HOUR_US for edge in edges)
    )


def _is_kept(source: Source, asked: Range, now: int) -> bool:
    """Whether all raw logs of the range are still there."""
    first, kept_from = first_receipt(asked), now - source.raw_days * _DAY_US
    if first is not None:
        return first >= kept_from
    oldest = source.table.oldest_rollup(source.stream)
    return oldest is None or oldest.start >= isoformat(kept_from)[:10]


def first_receipt(asked: Range) -> int | None:
    """The start of the first day on which a log of the range can have been received: none comes before its time."""
    return None if asked.start is None else (asked.start - MAX_AHEAD_US) // _DAY_US * _DAY_US


def _first_day(asked: Range) -> str:
    first = first_receipt(asked)
    return "" if first is None else isoformat(first)[:10]


def _whole_hours(asked: Range) -> Range:
    """The range, widened to whole hours."""
    return Range(
        None if asked.start is None else asked.start // _HOUR_US * _HOUR_US,
        None if asked.end is None else min(-(-asked.end // _HOUR_US) * _HOUR_US, LAST_US),
    )
