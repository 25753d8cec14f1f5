"""The shape of an answer of `GET /dashboard`: each block once, with what its fields mean.

Durations are in milliseconds, to four significant digits (percentiles five) and two decimals at least. The API's
document is made from these types, and the page's types from the document.
"""

from __future__ import annotations

from typing import Annotated, NotRequired

from pydantic import Field
from typing_extensions import TypedDict  # typing.TypedDict is refused by pydantic before Python 3.12

Count = Annotated[int, Field(ge=0)]
Counts = dict[str, Count]
Errors = Annotated[Count, Field(description="answers of status 400 to 599")]
Milliseconds = Annotated[float, Field(ge=0, description="milliseconds")]
P50 = Annotated[Milliseconds | None, Field(description="half of the requests took at most this long, milliseconds")]
P95 = Annotated[Milliseconds | None, Field(description="95 % of the requests took at most this long, milliseconds")]
P99 = Annotated[Milliseconds | None, Field(description="99 % of the requests took at most this long, milliseconds")]
ErrorShare = Annotated[float, Field(ge=0, le=1, description="errors among requests: 0 to 1, to six decimals")]
Time = Annotated[str, Field(json_schema_extra={"format": "date-time"})]
IsOther = Annotated[bool, Field(description="true: not one of this name, but all those that were not kept by name")]


class Percentiles(TypedDict):
    """Within 1 %; null without requests, or see `unavailable`."""

    p50: P50
    p95: P95
    p99: P99


class Summary(Percentiles):
    """All requests together."""

    total_requests: Annotated[Count | None, Field(description="null: see `range.horizon`")]
    unique_ips: Annotated[Count | None, Field(description="null: see `unavailable`")]
    avg_response_time: Milliseconds | None
    min_response_time: Milliseconds | None
    max_response_time: Milliseconds | None
    error_rate: Annotated[float | None, Field(ge=0, le=100, description="percent, to two decimals; see `error_share`")]
    error_share: ErrorShare | None


class EndpointStats(Percentiles):
    """One endpoint."""

    endpoint: str
    is_other: IsOther
    requests: Count
    avg_time: Milliseconds | None
    errors_count: Errors
    error_share: ErrorShare


class TopIp(TypedDict):
    """One client address."""

    ip: str
    requests: Count


class TopConsumer(TypedDict):
    """One consumer."""

    consumer: str
    is_other: IsOther
    requests: Count
    errors_count: Errors


class Point(Percentiles):
    """One point of the time series."""

    timestamp: Annotated[
        str, Field(description="2026-11-24T14:05Z, 2026-11-24T14:00Z, 2026-11-24, a week's Monday, or 2026-11; UTC")
    ]
    requests: Count
    avg_time: Milliseconds | None
    error_rate: Annotated[
        float, Field(ge=0, le=1, description="0 to 1, to four decimals: no percentage here; see `error_share`")
    ]
    error_share: ErrorShare
    errors_count: Errors


class Delivery(TypedDict):
    """How complete the numbers are: what became of requests, by the days of receipt."""

    accepted: Count
    rejected: Annotated[Counts, Field(description="refused, by reason")]
    duplicates: Annotated[Count, Field(description="in batches that were sent again")]
    skewed: Annotated[
        Count, Field(description="from a clock more than five minutes ahead: taken to be of the time of receipt")
    ]
    local_times: Annotated[
        Count,
        Field(
            description="with a time off by whole quarter hours and without an offset, by `/track`: local, so taken "
            "to be of the time of receipt"
        ),
    ]
    trimmed: Annotated[
        Counts, Field(description="stored, but with a field that was odd: repaired or left out; by field")
    ]
    unknown_fields: Annotated[
        Counts, Field(description="fields of a newer format that were ignored, by name; beyond 32 names `(other)`")
    ]
    dropped: Annotated[Counts, Field(description="lost by clients before they were sent, by reason")]
    unreadable: Annotated[Count, Field(description="stored batches that are damaged, and so are not counted")]
    last_received_at: Time | None


class Covered(TypedDict):
    """What the answer really covers."""

    start: Annotated[Time | None, Field(description="null: open")]
    end: Annotated[Time | None, Field(description="excluded; null: open")]
    period: str
    complete: Annotated[
        bool,
        Field(description="false: something is missing, see `reached` and `unavailable.range`"),
    ]
    reached: Annotated[Time | None, Field(description="where it did: what was received until then is in the answer")]
    horizon: Annotated[
        Time | None, Field(description="summaries from before have expired; null: none that is asked for has")
    ]


class Precision(TypedDict):
    """How far the numbers may be off."""

    percentiles: Annotated[float, Field(description="in proportion")]
    unique_ips: Annotated[float, Field(description="in proportion, two standard errors; 0: exact")]
    top_ips_low_by_at_most: Annotated[Count, Field(description="requests that an address may have more than is told")]
    methods_low_by_at_most: Annotated[Count, Field(description="requests that a method may have more than is told")]
    endpoints_low_by_at_most: Annotated[
        Count,
        Field(description="requests that an endpoint may have more than is told: some days count them as other"),
    ]
    consumers_low_by_at_most: Annotated[Count, Field(description="the same of a consumer")]
    requests_low_by_at_most: Annotated[
        Count,
        Field(description="requests that may be missing behind a filter by method or endpoint, for that reason"),
    ]


class Change(TypedDict):
    """By what share the numbers went up or down."""

    summary: dict[str, float | None]


class Dashboard(TypedDict):
    """The answer of `GET /dashboard`. A block or field that cannot be told is null; `unavailable` has the reason."""

    summary: Summary
    method_usage: Annotated[Counts, Field(description="requests by method, the most used first")]
    endpoint_stats: Annotated[list[EndpointStats], Field(description="the busiest first, at most `top`")]
    status_codes: Annotated[Counts, Field(description="requests by status code")]
    top_ips: Annotated[
        list[TopIp] | None, Field(description="the busiest first, at most `top`; null: see `unavailable`")
    ]
    top_consumers: Annotated[list[TopConsumer], Field(description="the busiest first, at most `top`")]
    time_series: Annotated[
        list[Point],
        Field(
            description="oldest first, without gaps, over the whole range: from its start, or the first log where that "
            "is open, to its end, or now; not beyond today, unless there are logs"
        ),
    ]
    delivery: Delivery
    precision: Precision
    unavailable: Annotated[dict[str, str], Field(description="why a block or field is null, by its name")]
    range: Covered
    previous: NotRequired[
        Annotated[
            Dashboard | None,
            Field(description="with `compare=previous`: the period of equal length before; null: the start is open"),
        ]
    ]
    change: NotRequired[Annotated[Change | None, Field(description="with `compare=previous`")]]
