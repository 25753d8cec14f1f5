"""POST /track and /track/batch: check the key, validate, store."""

from __future__ import annotations

from analytics.runtime import lambda_handler

from collections import Counter
from dataclasses import asdict

from fastapi import Depends, FastAPI, Request
from fastapi.responses import JSONResponse

from analytics.batch import Batch, Counts
from analytics.clocks import is_local_time
from analytics.errors import Invalid, Problem
from analytics.schema import MAX_AHEAD_US, Log
from analytics.store import KeyRecord
from analytics.web import Service, application, authorized, read_body
from analytics.wire import WIRE, Wire, refusals


def create_app(service: Service, wire: Wire = WIRE) -> FastAPI:
    """The application over a service, which understands a version of the wire format."""
    app = application("ingest")
    writer = Depends(authorized(service, "write"))

    @app.post("/track", tags=["tracking"])
    async def track(request: Request, key: KeyRecord = writer) -> JSONResponse:
        """Store one log. The answer comes when it is stored.

        An odd optional field is repaired or left out, and counted in the dashboard's `delivery`. A time without an
        offset is UTC, unless it is off by whole quarter hours, as local time is: then it is the time of receipt.
        """
        try:
            received = wire.log(await read_body(request))
        except Invalid as refusal:
            # Clients of this route seldom read the answer. The count appears on their dashboard.
            service.logs.append(key.stream, Batch(counts=refusals(refusal.problems)), service.now())
            raise
        now, (log,), counts = service.now(), received.logs, received.counts
        if received.is_naive and is_local_time(log["created_at"], round(log["process_time"] * 1000), now):
            log["created_at"] = now
            counts["local_times"] += 1
        service.logs.append(key.stream, _in_time([log], now, counts), now)
        return _answer(1, [], duplicate=False)

    @app.post("/track/batch", tags=["tracking"])
    async def track_batch(request: Request, key: KeyRecord = writer) -> JSONResponse:
        """Store a batch of at most 1,000 logs and 1 MiB. It is stored once, however often it is sent.

        Valid logs are stored even if others are not: `rejected` names each of those, with its field and the reason. An
        odd optional field costs no log: it is repaired or left out, and counted in the dashboard's `delivery`.
        A batch that was stored before under its `batch_id` is answered with `duplicate` and `accepted: 0`; other logs
        under that id are refused with 409, as far as checksums tell. An id is remembered for a day.
        """
        received = wire.batch(await read_body(request))
        batch = _in_time(received.logs, service.now(), received.counts)
        duplicate = False
        if batch.counts:
            duplicate = not service.logs.append(key.stream, batch, service.now(), received.batch_id)
        if duplicate:
            service.logs.append(key.stream, Batch(counts=Counter(duplicates=batch.requests)), service.now())
        return _answer(0 if duplicate else len(received.logs), received.problems, duplicate=duplicate)

    return app


def _in_time(logs: list[Log], now: int, counts: Counts) -> Batch:
    """The logs as a batch. A log that is more than MAX_AHEAD_US in the future gets the time `now`, and is counted."""
    skewed = 0
    for log in logs:
        if log["created_at"] > now + MAX_AHEAD_US:
            log["created_at"] = now
            skewed += 1
    return Batch.of(logs, Counter(skewed=skewed) + counts)


def _answer(accepted: int, rejected: list[Problem], *, duplicate: bool) -> JSONResponse:
    return JSONResponse({"accepted": accepted, "rejected": list(map(asdict, rejected)), "duplicate": duplicate})


handler = lambda_handler(create_app)
