"""What the three HTTP applications share: how they are made, answer errors, know a key, read a body."""

from __future__ import annotations

import logging
import time
import zlib
from collections.abc import Awaitable, Callable
from dataclasses import dataclass
from typing import Annotated, Any, cast

from fastapi import FastAPI, Request, Security
from fastapi.exceptions import RequestValidationError
from fastapi.responses import JSONResponse
from fastapi.security import APIKeyHeader
from starlette.exceptions import HTTPException

from analytics import api_key
from analytics.errors import ApiError, Forbidden, Invalid, Problem, TooLarge, Unauthorized
from analytics.schema import MAX_BODY, MAX_PROBLEMS
from analytics.settings import Settings
from analytics.store import KeyRecord, KeyTable, LogTable
from analytics.store.quota import Quota

logger = logging.getLogger("analytics")

# A refusal is of one caller and one moment: a cache before the API must not give it to the next.
_NOT_STORED = {"Cache-Control": "no-store"}

api_key_header = APIKeyHeader(name="X-API-Key", auto_error=False, description="The key from POST /generate_key")


@dataclass(frozen=True, slots=True)
class Service:
    """What the routes work with. `now` gives microseconds since 1970."""

    settings: Settings
    keys: KeyTable
    logs: LogTable
    now: Callable[[], int]

    @classmethod
    def connect(cls, settings: Settings) -> Service:
        """The service over the tables that the settings name."""
        from analytics.store.client import connect

        client = connect()
        return cls(
            settings,
            KeyTable(client, settings.keys_table),
            LogTable(
                client,
                settings.logs_table,
                raw_days=settings.raw_retention_days,
                summary_days=settings.summary_retention_days,
            ),
            lambda: time.time_ns() // 1000,
        )


def application(title: str) -> FastAPI:
    """An empty application that answers every error as JSON. It has no documentation routes: see /docs."""
    app = FastAPI(title=title, openapi_url=None, docs_url=None, redoc_url=None, redirect_slashes=False)
    app.add_exception_handler(ApiError, _on_api_error)
    app.add_exception_handler(RequestValidationError, _on_validation_error)
    app.add_exception_handler(HTTPException, _on_http_error)
    app.add_exception_handler(Exception, _on_crash)
    return app


def authorized(service: Service, scope: str, *, erasing: bool = False) -> Callable[..., Awaitable[KeyRecord]]:
    """A dependency: the record of the key in X-API-Key, of a key whose data is being erased only where `erasing`.

    Raises Unauthorized without a good key, Forbidden when the key is not for `scope` ("read", "write" or "full"), and
    TooMany when the stream has used up the day's calls of that scope. Calls about keys themselves ("full") are not
    counted, and for them a record is read anew: a key that was just revoked makes no other keys.
    """
    quota = Quota(scope)

    async def find(text: Annotated[str | None, Security(api_key_header)] = None) -> KeyRecord:
        if text is None or not api_key.is_well_formed(text):
            raise Unauthorized
        now = service.now()
        record = service.keys.find(api_key.hashed(text), now, fresh=scope == "full")
        if record is None or (record.erasing and not erasing):
            raise Unauthorized
        if not record.allows(scope):
            raise Forbidden(f"This key has the scope {record.scope}, which does not allow this")
        if scope != "full" and service.settings.daily_quota:
            quota.count(service.keys, record.stream, service.settings.daily_quota, now)
        return record

    return find


async def read_body(request: Request) -> bytes:
    """The body of a request, decompressed where it is gzip.

    Raises TooLarge past MAX_BODY bytes, without reading or inflating further, and Invalid for a broken gzip stream.
    """
    body = bytearray()
    async for chunk in request.stream():
        body += chunk
        if len(body) > MAX_BODY:
            raise TooLarge(f"A body is at most {MAX_BODY} bytes")
    encoding = request.headers.get("content-encoding", "identity").lower()
    if encoding == "identity":
        return bytes(body)
    if encoding != "gzip":
        raise Invalid("The content encoding is not known", [Problem(None, None, "Input should be plain or gzip")])
    inflate = zlib.decompressobj(wbits=31)
    try:
        plain = inflate.decompress(body, MAX_BODY + 1)
    except zlib.error as error:
        raise Invalid("The body is not valid gzip") from error
    if len(plain) > MAX_BODY:
        raise TooLarge(f"A body is at most {MAX_BODY} bytes after decompression")
    if not inflate.eof:
        raise Invalid("The body is not valid gzip: it ends too early")
    if inflate.unused_data:
        raise Invalid("The body is not valid gzip: it goes on after its end")
    return plain


async def _on_api_error(_: Request, error: Exception) -> JSONResponse:
    refusal = cast("ApiError", error)
    if refusal.status >= 500:
        logger.warning("%s: %s", refusal.detail, refusal.__cause__)
    return JSONResponse(refusal.body(), refusal.status, refusal.headers | _NOT_STORED)


async def _on_validation_error(request: Request, error: Exception) -> JSONResponse:
    problems = [_query_problem(each) for each in cast("RequestValidationError", error).errors()[:MAX_PROBLEMS]]
    return await _on_api_error(request, Invalid("The request is not valid", problems))


def _query_problem(error: dict[str, Any]) -> Problem:
    where = [str(part) for part in error["loc"] if part not in ("query", "body", "path", "header")]
    return Problem(None, ".".join(where)[:128] or None, error["msg"])


async def _on_http_error(_: Request, error: Exception) -> JSONResponse:
    refusal = cast("HTTPException", error)
    return JSONResponse({"detail": refusal.detail}, refusal.status_code, {**(refusal.headers or {}), **_NOT_STORED})


async def _on_crash(_: Request, error: Exception) -> JSONResponse:
    logger.error("A request failed", exc_info=error)
    return JSONResponse({"detail": "Internal Server Error"}, 500, _NOT_STORED)
