"""What the dashboard shows of routes: methods, endpoints, status codes."""

from __future__ import annotations

from collections import Counter

from analytics.batch import SeriesKey, is_error
from analytics.blocks import EndpointStats
from analytics.summary.counter import OTHER, SHOWN_OTHER
from analytics.summary.histogram import Histogram
from analytics.summary.routes import Routes
from analytics.summary.section import Shown, Wanted, ranked
from analytics.summary.stats import RequestStats, Totals, add_totals

NOT_BY_ENDPOINT = "At this traffic, endpoint latency is kept per day only: use whole UTC days"


class RouteSection:
    """The blocks `method_usage`, `endpoint_stats` and `status_codes`."""

    def __init__(self) -> None:
        self._totals: dict[SeriesKey, Totals] = {}
        self._latency: dict[str, Histogram | None] = {}  # by endpoint; None: not known
        self._packed: list[tuple[Wanted, Routes]] = []  # whose latency is unpacked for the endpoints that are shown
        self._undercount = self._method_undercount = 0

    def add(self, counter: Routes, wanted: Wanted, *, narrowed: bool) -> None:  # noqa: ARG002 - `wanted` says it
        """Add a counter."""
        add_totals(self._totals, ((key, totals) for number, totals in counter.rows() if (key := wanted[number])))
        if counter.is_packed:
            self._packed.append((wanted, counter))
        else:
            self._add_latency(counter, wanted)

    def add_day(self, day: Routes) -> None:
        """Take note of how many requests of an endpoint, or of a method, may be counted as other."""
        self._undercount += day.undercount
        self._method_undercount += day.method_undercount

    def _add_latency(self, counter: Routes, wanted: Wanted, shown: set[str] | None = None) -> None:
        """Add a counter's latency to that of its endpoints, or of those that are shown."""
        latency, known = self._latency, counter.has_series_latency
        for series_id in counter.series_ids:
            key = wanted[series_id]
            if key is None:
                continue
            _, endpoint, _ = key
            if shown is None or endpoint in shown:
                so_far = latency.get(endpoint, 0)
                latency[endpoint] = so_far + counter.histogram(series_id) if known and so_far is not None else None

    def show(self, top: int) -> Shown:
        """The blocks, with at most `top` endpoints."""
        endpoints: dict[str, RequestStats] = {}
        methods, statuses = Counter[str](), Counter[int]()
        for key, (requests, duration, shortest, longest) in self._totals.items():
            method, endpoint, status_code = key
            stats = RequestStats(requests, requests if is_error(key) else 0, duration, shortest, longest)
            endpoints.setdefault(endpoint, RequestStats()).merge(stats)
            methods[method or SHOWN_OTHER] += requests
            statuses[status_code] += requests
        rows = sorted(endpoints.items(), key=lambda item: (-item[1].requests, item[0]))[:top]
        for wanted, counter in self._packed:
            self._add_latency(counter, wanted, {endpoint for endpoint, _ in rows})
        self._packed = []
        for endpoint, stats in rows:
            stats.latency = self._latency[endpoint]
        unknown = any(stats.latency is None for _, stats in rows)
        return Shown(
            blocks={
                "method_usage": dict(ranked(methods)),
                "endpoint_stats": [_row(endpoint, stats) for endpoint, stats in rows],
                "status_codes": {str(status): n for status, n in sorted(statuses.items())},
            },
            precision={
                "methods_low_by_at_most": self._method_undercount,
                "endpoints_low_by_at_most": self._undercount,
            },
            unavailable={"endpoint_stats.percentiles": NOT_BY_ENDPOINT} if unknown else {},
        )


def _row(endpoint: str, stats: RequestStats) -> EndpointStats:
    return {
        "endpoint": endpoint or SHOWN_OTHER,
        "is_other": endpoint == OTHER,
        "requests": stats.requests,
        "avg_time": stats.average,
        "errors_count": stats.errors,
        "error_share": round(stats.error_share, 6),
        **stats.percentiles(),
    }
