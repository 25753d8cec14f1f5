"""The answer to a question about a stream: from rollups where they can tell, from raw logs where they cannot.

Rollups know hours and, within each, methods, endpoints and status codes. What they do not know is counted from the raw
logs, if those are still kept and are not too many: minutes and parts of hours, one consumer, the addresses behind one
endpoint. Otherwise it is null with its reason in `unavailable`, or the range is widened to whole hours and `range` says
so, or the question is refused. An answer never has a wrong number.
"""

from __future__ import annotations

from collections import Counter
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
from analytics.times import DAY, HOUR, MINUTE, SECOND, isoformat, parsed

MAX_RAW = 500_000  # requests in logs that are counted anew for one answer: about a second of work
FOLD_US = 20 * SECOND  # of folding before an answer says how far it got; the gateway gives up after 30 s
RAW_US = 6 * SECOND  # of counting raw logs before that is given up
MINUTES = "Minutes are counted from raw logs: these are hours"

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
    """Where answers come from: a stream of a table. The clock gives microseconds since 1970."""

    table: LogTable
    stream: str
    clock: Callable[[], int]


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
    is_known = blocks["range"]["complete"] and previous["range"]["complete"]  # else parts would be compared
    change = {name: _change(earlier_summary[name], value) if is_known else None for name, value in after.items()}
    return {**blocks, "previous": previous, "change": {"summary": change}}


def _change(before: float | None, after: float | None) -> float | None:
    """By what share a number went up or down; None where there is nothing to compare with."""
    return round((after - before) / before, 4) if before and after is not None else None


def _answers(source: Source, questions: list[Question]) -> list[Dashboard]:
    """The answers to questions about one stream, from one pass over it."""
    now = source.clock()
    fold, reports = _folded(source, questions, now)
    horizon, covered = _horizon(fold), questions
    if horizon is not None:
        # A second pass, which leaves out what is known in part only: logs from before that came later.
        covered = [_within(question, horizon) for question in questions]
        if covered != questions:
            again, reports = _folded(source, covered, now)
            fold.complete, fold.reached = fold.complete and again.complete, fold.reached or again.reached
    hidden = [None if horizon is None or _is_after(each.wanted.range, horizon) else horizon for each in questions]
    return [
        _answer(source, question, report, fold, now, beyond)
        for question, report, beyond in zip(covered, reports, hidden, strict=True)
    ]


def _folded(source: Source, questions: list[Question], now: int) -> tuple[Fold, list[Report]]:
    """One pass over a stream, and a report for each question on what rollups can tell."""
    late = now + FOLD_US
    fold = Fold(source.table, source.stream, now, lambda: source.clock() > late)
    reports = [_report(question, now) for question in questions]
    first = min(_first_day(question.wanted.range) for question in questions)
    for summary in fold.summaries(first, lambda summary: any(report.needs_intervals(summary) for report in reports)):
        for report in reports:
            report.add(summary)
    return fold, reports


def _report(question: Question, now: int) -> Report:
    period = Period.hourly if question.period is Period.minutely else question.period
    wanted = replace(question.wanted, range=_whole_hours(question.wanted.range))
    return Report(wanted, period, question.top, now=now)


def _horizon(fold: Fold) -> int | None:
    """The whole hour from which on summaries tell all; None: none that is asked for has expired.

    Logs of up to MAX_AHEAD_US later may have been received before that.
    """
    until = max((gap.until for gap in fold.gaps if gap.expired), default=None)
    if until is None:
        return None
    at = parsed(until.partition("#")[0])
    return -(-(at + MAX_AHEAD_US) // _HOUR_US) * _HOUR_US


def _is_after(asked: Range, horizon: int) -> bool:
    return asked.start is not None and asked.start >= horizon


def _is_before(asked: Range, horizon: int) -> bool:
    return asked.end is not None and asked.end <= horizon


def _within(question: Question, horizon: int) -> Question:
    """The question about what summaries tell; the question itself where that is all of it, or nothing."""
    asked = question.wanted.range
    if _is_before(asked, horizon) or _is_after(asked, horizon):
        return question
    return replace(question, wanted=replace(question.wanted, range=Range(horizon, asked.end)))


def _answer(source: Source, question: Question, report: Report, fold: Fold, now: int, horizon: int | None) -> Dashboard:
    """The answer to one question. `horizon`: from when on summaries tell all; None: all that is asked for is after."""
    wanted, period = question.wanted, question.period
    covered, counted, missing = _whole_hours(wanted.range), None, ""
    is_lost = horizon is not None and _is_before(wanted.range, horizon)
    if is_lost:
        report, missing = _report(question, now), "Summaries of it have expired"
    elif _needs_raw(question, now):
        counted, missing = _from_raw(source, question, report, now + FOLD_US + RAW_US)
    if counted is None:
        for name in wanted.not_summarized:
            reason = f"Input should be left out, or the range another one. {missing}"
            raise Invalid(f"The {name} filter is not available for this range", [Problem(None, name, reason)])
    blocks = (counted or report).blocks()
    unavailable = blocks["unavailable"]
    if counted is not None:
        covered = wanted.range
    else:
        unavailable |= {name: f"{reason}. {missing}" for name, reason in unavailable.items() if missing}
        if period is Period.minutely:
            period, unavailable["time_series"] = Period.hourly, f"{MINUTES}. {missing}"
    shown, first = counted or report, _first_day(wanted.range)
    damaged = sorted({gap.until[:10] for gap in fold.gaps if not gap.expired and gap.until > first})
    reasons = []
    if horizon is not None:
        reasons.append(f"Summaries of what was received before {isoformat(horizon)} have expired")
        if is_lost:
            blocks |= {"summary": dict.fromkeys(blocks["summary"]), "time_series": []}
    if damaged:
        days = ", ".join(damaged)
        reasons.append(f"A stored summary of what was received by {days} cannot be read: numbers may be too low")
    if shown.unreadable:
        reasons.append(f"{shown.unreadable} stored batches cannot be read: numbers may be too low")
    if reasons:
        unavailable["range"] = ". ".join(reasons)
    blocks["range"] = {
        "start": None if covered.start is None else isoformat(covered.start),
        "end": None if covered.end is None else isoformat(covered.end),
        "period": period,
        "complete": (counted is not None or fold.complete) and not reasons,
        "reached": None if counted is not None else fold.reached,
        "horizon": None if horizon is None else isoformat(horizon),
    }
    return cast("Dashboard", blocks)


def _from_raw(source: Source, question: Question, known: Report, last: int) -> tuple[Report | None, str]:
    """The report on just the logs that are wanted; None, and why, when they cannot all be counted until `last`.

    Raw logs are all there when on each day as many were received as the summaries say (`known`).
    """
    if known.accepted > MAX_RAW:
        return None, f"There are more than {MAX_RAW:,} raw logs to count"
    first = first_receipt(question.wanted.range)
    expected = {day: n for day, n in known.accepted_by_day.items() if n and (first is None or day >= first // _DAY_US)}
    summary = Summary(MINUTE if question.period is Period.minutely else HOUR)
    found = Counter[int]()
    now = source.clock()
    report = Report(question.wanted, question.period, question.top, now=now, filtered=True)
    late = min(now + RAW_US, last)
    for stored in source.table.kept(source.stream, first, now):
        if source.clock() > late:
            return None, "There is not enough time to count the raw logs"
        day = stored.received // _DAY_US
        if day not in found and any(found[before] < n for before, n in expected.items() if before < day):
            break
        found[day] += stored.batch.counts["accepted"]
        summary.receive(stored.batch.counts, stored.received)
        summary.add(question.wanted.apply(stored.batch))
    if any(found[day] < n for day, n in expected.items()):
        return None, "Some of the raw logs have expired"
    report.add(summary)
    return report, ""


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
