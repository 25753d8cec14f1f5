"""How a summary is kept small enough to be stored, whatever is sent: no item of DynamoDB may be over 400 KB.

The least useful detail is dropped first, and it is known what was dropped: names beyond a limit are counted as OTHER,
with the most that any name can have lost. Requests, errors, sums and time series stay exact always.
"""

from __future__ import annotations

from collections import Counter, defaultdict
from collections.abc import Sequence

from analytics.summary.consumers import busiest
from analytics.summary.counter import OTHER
from analytics.summary.counters import COUNTERS
from analytics.summary.routes import Routes
from analytics.summary.summary import Summary

MAX_ENDPOINTS = 500  # of a day
MAX_PAIRS = 500  # of method and status code, among the endpoints that are dropped, in a day


def limit(summary: Summary, scale: float = 1.0) -> None:
    """Keep at most what an item can hold, or a share `scale` (0 to 1) of that.

    Of each day the busiest endpoints keep their names, and the others are counted as OTHER with their method and
    status. Then each counter keeps to its own limits.
    """
    summary.settle()
    intervals_of = defaultdict[int, list[int]](list)
    for start in summary.intervals:
        intervals_of[start // summary.intervals_a_day].append(start)
    for day in list(summary.days):
        _limit_series(summary, day, intervals_of[day], scale)
        aggregates = [summary.intervals[start] for start in intervals_of[day]]
        for kind in COUNTERS:
            kind.limit(summary.days[day].of(kind), [aggregate.of(kind) for aggregate in aggregates], scale)
    summary.forget_unused_series()


def _limit_series(summary: Summary, day: int, intervals: Sequence[int], scale: float) -> None:
    """Count the series of all but the busiest endpoints of a day under OTHER, if there are too many."""
    aggregate = summary.days[day]
    requests_of = {
        key: requests
        for series_id, (requests, _, _, _) in aggregate.of(Routes).rows()
        if (key := summary.series[series_id]) is not None
    }
    endpoints, series_of = Counter[str](), Counter[str]()
    for (_, endpoint, _), requests in requests_of.items():
        endpoints[endpoint] += requests
        series_of[endpoint] += 1
    if len(endpoints) <= MAX_ENDPOINTS * scale and len(requests_of) <= (MAX_ENDPOINTS + MAX_PAIRS) * 2 * scale:
        return
    kept, undercount = _endpoints_kept(endpoints, series_of, scale)
    pairs = Counter[tuple[str, int]]()
    for (method, endpoint, status_code), requests in requests_of.items():
        if endpoint not in kept:
            pairs[method, status_code] += requests
    pairs_kept, _ = busiest(pairs, round(MAX_PAIRS * scale) - 1)
    dropped = Counter[str]()
    renumber = list(range(len(summary.series)))
    for (method, endpoint, status_code), requests in requests_of.items():
        if endpoint not in kept:
            shown = method if (method, status_code) in pairs_kept else OTHER
            if shown == OTHER != method:
                dropped[method] += requests
            series_id = summary.series_id((method, endpoint, status_code))
            renumber[series_id] = summary.series_id((shown, OTHER, status_code))
    summary.days[day] = aggregate = aggregate.renumbered(renumber)
    aggregate.of(Routes).undercount += undercount
    aggregate.of(Routes).method_undercount += max(dropped.values(), default=0)
    for start in intervals:
        summary.intervals[start] = summary.intervals[start].renumbered(renumber)


def _endpoints_kept(endpoints: Counter[str], series_of: Counter[str], scale: float) -> tuple[set[str], int]:
    """The endpoints that keep their names, and the most requests of any of the others."""
    kept, undercount = busiest(endpoints, round(MAX_ENDPOINTS * scale) - 1)
    most = (MAX_ENDPOINTS + MAX_PAIRS) * scale
    series = sum(series_of[endpoint] for endpoint in kept)
    for endpoint in sorted(kept, key=lambda name: -series_of[name]):
        if series <= most:
            break
        kept.discard(endpoint)  # one endpoint with hundreds of methods and statuses gives way
        series -= series_of[endpoint]
        undercount = max(undercount, endpoints[endpoint])
    return kept, undercount
