"""GET /dashboard, /raw_logs and the web page; the scheduled fold."""

from __future__ import annotations

from analytics.runtime import lambda_handler

import gzip
import hashlib
import mimetypes
import random
import sys
from collections.abc import Callable
from functools import cache
from math import ceil, floor
from pathlib import Path
from typing import Annotated, Any, Literal, get_args

from fastapi import Depends, FastAPI, Query, Request
from fastapi.responses import JSONResponse, Response
from pydantic import ConfigDict, Field, create_model

from analytics import emf
from analytics.errors import NotFound
from analytics.http_headers import accepts_gzip, best_type, matches_etag
from analytics.query.answer import Question, Source, answer, compared, first_receipt
from analytics.query.cursor import Cursor
from analytics.query.export import Row, row, to_csv, to_ndjson
from analytics.query.filter import Filter
from analytics.query.ranges import Period, parse_range, refuse_too_long
from analytics.schema import TEXT_TYPES, TEXTS
from analytics.store import KeyRecord
from analytics.summary.schedule import fold_all
from analytics.times import SECOND, isoformat
from analytics.web import Service, application, authorized, header, refuse_repeated

SCHEDULE_US = 20 * SECOND  # of folding in one scheduled run; the function ends after 29 s
PAGE_DEADLINE = 8 * SECOND  # of looking for raw logs before a page is cut short
PAGE_BYTES = 5_500_000  # of text before a page is cut short: Lambda gives back 6 MB, of JSON in JSON
_NARROW, _WIDE = 4, 12  # bytes that a character takes there at most: a quotation mark, escaped twice; a surrogate pair
_BEYOND = 1e12  # ms, thirty years: longer than any request, and still a number when it is microseconds
CSV, NDJSON = "text/csv", "application/x-ndjson"
FORMATS = ("application/json", NDJSON, CSV)  # of raw logs, the default first
STATIC = Path(__file__).parent / "static"
PAGE_HEADERS = {
    "Content-Security-Policy": "default-src 'none'; script-src 'self'; style-src 'self'; img-src 'self' data:; "
    "connect-src 'self'; base-uri 'none'; form-action 'none'; frame-ancestors 'none'",
    "Referrer-Policy": "no-referrer",
    "X-Content-Type-Options": "nosniff",
    "Cache-Control": "no-cache",
}


_text_filters: dict[str, Any] = {
    name: (list[get_args(TEXT_TYPES[name])[0]], Field([], description=text.filter))  # type: ignore[misc]  # not null
    for name, text in TEXTS.items()
}
_TextFilters: Any = create_model("_TextFilters", **_text_filters)


class Asked(_TextFilters):  # type: ignore[misc]  # a model that is made of the declaration of a log
    """What both questions can be narrowed to; a log matches a list when it has any of the values.

    A name that is not known is refused: a mistyped filter would lie.
    """

    model_config = ConfigDict(extra="forbid")

    start_date: str | None = Field(
        None, description="2026-11-24, or 2026-11-24T14:30[:00[.000000]] with Z or an offset as +02:00; without: UTC"
    )
    end_date: str | None = Field(None, description="the same; a date includes all of that day, a datetime is excluded")
    method: list[Annotated[str, Field(min_length=1)]] = Field([], description="as it was sent: GET is not get")
    status_code: list[Annotated[int, Field(ge=100, le=599)]] = Field([], description="status codes")
    endpoint: list[Annotated[str, Field(min_length=1)]] = Field(
        [], description="the whole of it for the dashboard, a part of it for raw logs"
    )

    def filter(self, **conditions: Any) -> Filter:
        """The logs that are asked about; `conditions` are those that only one of the questions has."""
        return Filter(
            parse_range(self.start_date, self.end_date),
            method=frozenset(self.method),
            status_code=frozenset(self.status_code),
            texts={name: frozenset(values) for name in TEXTS if (values := getattr(self, name))},
            **conditions,
        )


SEVERAL = ("method", "status_code", "endpoint", *TEXTS)
"""The parameters that may be given several times."""


class DashboardQuery(Asked):
    """The dashboard's parameters; `endpoint` is matched whole."""

    period: Period = Field(Period.daily, description="how long a point of the time series lasts, in UTC")
    top: int = Field(10, ge=1, le=1000, description="length of the ranked lists")
    compare: Literal["previous"] | None = Field(None, description="adds the blocks of as long a range just before")

    def wanted(self) -> Filter:
        """The logs that are asked about."""
        return self.filter(endpoint=frozenset(self.endpoint))


class LogsQuery(Asked):
    """The parameters of the raw logs; `endpoint` is matched anywhere in it, process times are milliseconds."""

    process_time_min: float | None = Field(None, ge=0, allow_inf_nan=False, description="milliseconds, included")
    process_time_max: float | None = Field(None, ge=0, allow_inf_nan=False, description="milliseconds, included")
    limit: int = Field(100, ge=1, le=1000, description="length of a page")
    cursor: str | None = Field(None, max_length=256, description="from the Link header of the page before")

    def wanted(self) -> Filter:
        """The logs that are asked about."""
        return self.filter(
            endpoint_contains=frozenset(self.endpoint),
            shortest=_microseconds(self.process_time_min, ceil),
            longest=_microseconds(self.process_time_max, floor),
        )


def create_app(service: Service) -> FastAPI:
    """The application over a service."""
    app = application("dashboard")
    reader = Depends(authorized(service, "read"))

    @app.get("/dashboard", tags=["insights"])
    async def dashboard(
        request: Request, asked: Annotated[DashboardQuery, Query()], key: KeyRecord = reader
    ) -> JSONResponse:
        """All blocks of the dashboard over a range of time.

        A filter may be given several times: a log matches when it has any of the values. Any other parameter is refused
        when it comes twice.
        """
        refuse_repeated(request, SEVERAL)
        source = Source(service.logs, key.stream, service.now)
        question = Question(asked.wanted(), asked.period, asked.top)
        refuse_too_long(question.wanted.range, asked.period, service.now())
        blocks = compared(source, question) if asked.compare else answer(source, question)
        return JSONResponse(blocks, headers={"Cache-Control": "no-store"})

    @app.get("/raw_logs", tags=["insights"])
    async def raw_logs(request: Request, asked: Annotated[LogsQuery, Query()], key: KeyRecord = reader) -> Response:
        """The logs themselves, in order of receipt, newest first.

        While there may be more, the `Link` header names the next page. `Accept: text/csv` or `application/x-ndjson`
        gives the same page as a file. Filters may be given several times, as for the dashboard.
        """
        refuse_repeated(request, SEVERAL)
        rows, following = page(service, key.stream, asked.wanted(), asked.limit, asked.cursor)
        headers = {"Cache-Control": "no-store", "Vary": "Accept"}
        if following:
            url = request.url.include_query_params(cursor=following)
            headers["Link"] = f'<{url.path}?{url.query}>; rel="next"'
        return _as(best_type(header(request, "accept"), FORMATS), rows, headers)

    @app.get("/health", tags=["service"])
    async def health() -> JSONResponse:
        """Whether the function runs, and its clock. It reads no table."""
        return JSONResponse({"status": "ok", "time": isoformat(service.now())}, headers={"Cache-Control": "no-store"})

    @app.get("/", include_in_schema=False)
    async def index(request: Request) -> Response:
        return static("index.html", request)

    @app.get("/docs", include_in_schema=False)
    async def docs(request: Request) -> Response:
        return static("docs.html", request)

    @app.get("/openapi.json", include_in_schema=False)
    async def openapi(request: Request) -> Response:
        return static("openapi.json", request)

    @app.get("/assets/{name}", include_in_schema=False)
    async def asset(name: str, request: Request) -> Response:
        return static(name, request)

    return app


def page(service: Service, stream: str, wanted: Filter, limit: int, cursor: str | None) -> tuple[list[Row], str | None]:
    """At most `limit` logs that are wanted, newest received first, and the cursor of the next page if there is one.

    A page may be short, even empty, and still have a next one: when few logs match, a deadline ends the search, and
    when their texts are long, no more of them fit into one answer.
    """
    after = Cursor.decode(cursor) if cursor else None
    rows: list[Row] = []
    size = 0
    late = service.now() + PAGE_DEADLINE
    start = first_receipt(wanted.range)
    for stored in service.logs.newest(stream, service.now(), after.sort_key if after else None, start):
        for position in reversed(wanted.positions(stored.batch)):
            if after and stored.sort_key == after.sort_key and position >= after.position:
                continue
            if len(rows) == limit or size > PAGE_BYTES:
                return rows, str(rows[-1]["id"])
            rows.append(row(stored.sort_key, stored.batch, position))
            size += _bytes(rows[-1])
        if service.now() > late:
            return rows, Cursor(stored.sort_key, 0).encode()
    return rows, None


def _bytes(shown: Row) -> int:
    texts = [value for value in shown.values() if isinstance(value, str)]
    return sum(len(text) * (_NARROW if text.isascii() else _WIDE) for text in texts)


def _as(media_type: str, rows: list[Row], headers: dict[str, str]) -> Response:
    if media_type == CSV:
        headers["Content-Disposition"] = 'attachment; filename="logs.csv"'
        return Response(to_csv(rows), headers=headers, media_type=CSV)
    if media_type == NDJSON:
        return Response(to_ndjson(rows), headers=headers, media_type=NDJSON)
    return JSONResponse(rows, headers=headers)


def static(name: str, request: Request) -> Response:
    """A file of the web page by its name, wherever it is below `static`. Raises NotFound for any other name."""
    body, packed, media_type, etag = _file(name)
    headers = PAGE_HEADERS | {"ETag": etag, "Vary": "Accept-Encoding"}
    if matches_etag(header(request, "if-none-match"), etag):
        return Response(status_code=304, headers=headers)
    if accepts_gzip(header(request, "accept-encoding")):
        return Response(packed, headers=headers | {"Content-Encoding": "gzip"}, media_type=media_type)
    return Response(body, headers=headers, media_type=media_type)


@cache
def _files() -> dict[str, Path]:
    return {file.name: file for file in STATIC.rglob("*") if file.is_file()}


@cache
def _file(name: str) -> tuple[bytes, bytes, str, str]:
    file = _files().get(name)
    if file is None:
        raise NotFound("There is no such file")
    body = file.read_bytes()
    etag = f'"{hashlib.sha256(body).hexdigest()[:20]}"'
    return body, gzip.compress(body, mtime=0), mimetypes.guess_type(name)[0] or "application/octet-stream", etag


def _microseconds(milliseconds: float | None, rounded: Callable[[float], int]) -> int | None:
    """Whole microseconds. The product is rounded to what was written: 0.07 * 1000 is more than 70."""
    return None if milliseconds is None else rounded(round(min(milliseconds, _BEYOND) * 1000, 3))


def fold_on_schedule(service: Service) -> dict[str, int]:
    """Fold every stream that was not folded for most of a day, so that no raw log expires before it is folded.

    Writes how much is left as metrics to standard output, and returns it.
    """
    streams, now = list(service.keys.streams()), service.now()
    # A run may end before the last stream: in a random order each stream gets its turn. SystemRandom, because instances
    # that start from one snapshot (SnapStart) share Python's own random state and would use the same order every time.
    random.SystemRandom().shuffle(streams)
    done = fold_all(service.logs, streams, service.now, now + SCHEDULE_US)
    figures = {
        "OldestUnfoldedAge": (done["oldest_age"], "Seconds"),
        "StreamsLeft": (done["left"], "Count"),
        "StreamsFailed": (done["failed"], "Count"),
        "UnreadableItems": (done["unreadable"], "Count"),
    }
    sys.stdout.write(emf.line({"Table": service.settings.logs_table}, figures, now))  # the template alarms on them
    return done


handler = lambda_handler(create_app, on_schedule=fold_on_schedule)
