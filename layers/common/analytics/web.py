"""What the three HTTP applications share: creation, error answers, the check of a key, reading of a body."""

from __future__ import annotations

import logging
import time
from collections import Counter
from collections.abc import Awaitable, Callable, Collection
from dataclasses import dataclass
from typing import Annotated, cast

from fastapi import FastAPI, Request, Security
from fastapi.exceptions import RequestValidationError
from fastapi.responses import JSONResponse
from fastapi.security import APIKeyHeader
from starlette.exceptions import HTTPException
from starlette.types import Message, Receive, Scope, Send

from analytics import api_key
from analytics.content_coding import decoded
from analytics.errors import ApiError, Forbidden, Invalid, Problem, TooLarge, Unauthorized
from analytics.reasons import reason
from analytics.schema import MAX_BODY, MAX_PROBLEMS
from analytics.settings import Settings
from analytics.store import KeyRecord, KeyTable, LogTable
from analytics.store.quota import Quota

logger = logging.getLogger("analytics")

# A refusal is for one caller at one moment: no cache before the API may give it to another.
_NOT_STORED = {"Cache-Control": "no-store"}

api_key_header = APIKeyHeader(name="X-API-Key", auto_error=False, description="The key from POST /generate_key")


@dataclass(frozen=True, slots=True)
class Service:
    """What the routes work with. `now` returns microseconds since 1970."""

    settings: Settings
    keys: KeyTable
    logs: LogTable
    now: Callable[[], int]

    @classmethod
    def connect(cls, settings: Settings) -> Service:
        """The service over the tables named in the settings."""
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


class _Application(FastAPI):
    """An application that answers HEAD as it answers GET, without the body."""

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] == "http":
            if scope["method"] == "HEAD":
                scope, send = {**scope, "method": "GET"}, _without_body(send)
            if scope["path"] == self.root_path:  # Starlette has no route for an empty path
                scope = {**scope, "path": f"{self.root_path}/"}
        await super().__call__(scope, receive, send)


def _without_body(send: Send) -> Send:
    async def send_head(message: Message) -> None:
        await send({**message, "body": b""} if message["type"] == "http.response.body" else message)

    return send_head


def application(title: str) -> FastAPI:
    """An empty application that answers every error as JSON. It has no documentation routes of its own."""
    app = _Application(title=title, openapi_url=None, docs_url=None, redoc_url=None, redirect_slashes=False)
    app.add_exception_handler(ApiError, _on_api_error)
    app.add_exception_handler(RequestValidationError, _on_validation_error)
    app.add_exception_handler(HTTPException, _on_http_error)
    app.add_exception_handler(Exception, _on_crash)
    return app


def authorized(service: Service, scope: str, *, erasing: bool = False) -> Callable[..., Awaitable[KeyRecord]]:
    """A dependency: the record of the key in X-API-Key. A key that erases its stream is valid only where `erasing`.

    Raises Unauthorized without a valid key, Forbidden when the key does not have the scope ("read", "write" or "full"),
    and TooMany when the stream has used up the day's calls of that scope. Calls that manage keys ("full") are not
    counted, and read the record anew: a key that was just revoked makes no other keys.
    """
    quota = Quota(scope)

    async def find(request: Request, text: Annotated[str | None, Security(api_key_header)] = None) -> KeyRecord:
        if text is None and "authorization" in request.headers:
            raise Unauthorized(_elsewhere(request.headers["authorization"]))
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


def _elsewhere(authorization: str) -> str:
    """What to tell a caller who has sent an `Authorization` header and no key."""
    scheme = authorization.partition(" ")[0].lower()
    where = "as Authorization: Bearer" if scheme == "bearer" else "in the Authorization header"
    return f"Missing API key: send it in the X-API-Key header, not {where}"


def refuse_repeated(request: Request, several: Collection[str] = ()) -> None:
    """Raise Invalid when a query parameter comes twice, but those that may come several times.

    A framework takes the last value, and so would answer another question than the caller believes.
    """
    given = Counter(name for name, _ in request.query_params.multi_items() if name not in several)
    repeated = [name for name, times in given.items() if times > 1]
    if repeated:
        problems = [Problem(None, name[:128], "Input should be given once") for name in repeated[:MAX_PROBLEMS]]
        raise Invalid("A parameter is given more than once", problems)


def header(request: Request, name: str) -> str:
    """All lines of a header, joined by commas; empty when there is none."""
    return ",".join(request.headers.getlist(name))


async def read_body(request: Request) -> bytes:
    """The body of a request, decompressed if it is gzip.

    Raises TooLarge past MAX_BODY bytes, without reading or inflating further, UnsupportedCoding for a content coding
    other than gzip, and Invalid for broken gzip.
    """
    body = bytearray()
    async for chunk in request.stream():
        body += chunk
        if len(body) > MAX_BODY:
            raise TooLarge(f"A body is at most {MAX_BODY} bytes")
    return decoded(body, header(request, "content-encoding"), MAX_BODY)


async def _on_api_error(_: Request, error: Exception) -> JSONResponse:
    refusal = cast("ApiError", error)
    if refusal.status >= 500:
        logger.warning("%s: %s", refusal.detail, refusal.__cause__)
    return JSONResponse(refusal.body(), refusal.status, refusal.headers | _NOT_STORED)


async def _on_validation_error(request: Request, error: Exception) -> JSONResponse:
    problems = []
    for each in cast("RequestValidationError", error).errors()[:MAX_PROBLEMS]:
        _, *where = each["loc"]  # the first says in which part of the request; a number, which of several values
        where = [part for part in where if isinstance(part, str)]
        problems.append(Problem(None, ".".join(where)[:128] or None, reason(each)))
    return await _on_api_error(request, Invalid("The request is not valid", problems))


async def _on_http_error(_: Request, error: Exception) -> JSONResponse:
    refusal = cast("HTTPException", error)
    return JSONResponse({"detail": refusal.detail}, refusal.status_code, {**(refusal.headers or {}), **_NOT_STORED})


async def _on_crash(_: Request, error: Exception) -> JSONResponse:
    logger.error("A request failed", exc_info=error)
    return JSONResponse({"detail": "Internal Server Error"}, 500, _NOT_STORED)
