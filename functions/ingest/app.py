"""POST /track and /track/batch: check the key, validate, store."""

from __future__ import annotations

from analytics.runtime import lambda_handler

from collections import Counter
from dataclasses import asdict

from fastapi import Depends, FastAPI, Request
from fastapi.responses import JSONResponse

from analytics.batch import Batch, Counts
from analytics.errors import Invalid, Problem
from analytics.schema import MAX_AHEAD_US, Log, parse_batch, parse_log, refusals
from analytics.store import KeyRecord
from analytics.web import Service, application, authorized, read_body


def create_app(service: Service) -> FastAPI:
    """The application over a service."""
    app = application("ingest")
    writer = Depends(authorized(service, "write"))

    @app.post("/track", tags=["tracking"])
    async def track(request: Request, key: KeyRecord = writer) -> JSONResponse:
        """Store one log. The answer comes when it is stored."""
        try:
            log = parse_log(await read_body(request))
        except Invalid as refusal:
            # Clients of this route seldom read the answer. The count appears on their dashboard.
            service.logs.append(
                key.stream, Batch(counts=_counted("rejected", refusals(refusal.problems))), service.now()
            )
            raise
        batch = _in_time([log], service.now())
        service.logs.append(key.stream, batch, service.now())
        return _answer(1, [], duplicate=False)

    @app.post("/track/batch", tags=["tracking"])
    async def track_batch(request: Request, key: KeyRecord = writer) -> JSONResponse:
        """Store a batch of at most 1,000 logs and 1 MiB. It is stored once, however often it is sent.

        Valid logs are stored even if others are not: `rejected` names each of those, with its field and the reason.
        A batch that was stored before under its `batch_id` is answered with `duplicate` and `accepted: 0`; other logs
        under that id are refused with 409, as far as checksums tell. An id is remembered for a day.
        """
        envelope, problems = parse_batch(await read_body(request))
        logs = envelope["logs"]
        counts = _counted("rejected", refusals(problems)) + _counted("dropped", envelope.get("dropped") or {})
        batch = _in_time(logs, service.now(), counts)
        duplicate = False
        if batch.counts:
            duplicate = not service.logs.append(key.stream, batch, service.now(), envelope["batch_id"])
        if duplicate:
            service.logs.append(key.stream, Batch(counts=Counter(duplicates=batch.requests)), service.now())
        return _answer(0 if duplicate else len(logs), problems, duplicate=duplicate)

    return app


def _in_time(logs: list[Log], now: int, counts: Counts | None = None) -> Batch:
    """The logs as a batch. A log that is more than MAX_AHEAD_US in the future gets the time `now`, and is counted."""
    skewed = 0
    for log in logs:
        if log["created_at"] > now + MAX_AHEAD_US:
            log["created_at"] = now
            skewed += 1
    return Batch.of(logs, Counter(skewed=skewed) + (counts or Counter()))


def _counted(prefix: str, by_reason: dict[str, int]) -> Counts:
    return Counter({f"{prefix}.{reason}": n for reason, n in by_reason.items() if n})


def _answer(accepted: int, rejected: list[Problem], *, duplicate: bool) -> JSONResponse:
    return JSONResponse({"accepted": accepted, "rejected": list(map(asdict, rejected)), "duplicate": duplicate})


handler = lambda_handler(create_app)
