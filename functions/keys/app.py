"""POST /generate_key, /rotate_key, GET /keys, DELETE /key: make, replace, list and revoke keys; erase data."""

from __future__ import annotations

from analytics.runtime import lambda_handler

import hmac
from contextlib import suppress
from typing import Annotated, TypeVar

from fastapi import Depends, FastAPI, Header, Query, Request, Security
from fastapi.exceptions import RequestValidationError
from fastapi.responses import JSONResponse
from pydantic import BaseModel, ConfigDict, Field, ValidationError

from analytics import api_key
from analytics.errors import Invalid, NotFound, Problem, Unauthorized
from analytics.reasons import KEY_ID, PRINTABLE
from analytics.store import KeyRecord, Scope
from analytics.store.erasure import Erasure
from analytics.times import isoformat
from analytics.web import Service, api_key_header, application, authorized, read_body, refuse_repeated

MAX_GRACE = 30 * 86_400  # seconds
_NOT_STORED = {"Cache-Control": "no-store"}


class _Asked(BaseModel):
    model_config = ConfigDict(extra="forbid", strict=True)


class KeyOptions(_Asked):
    """The options of a new key. All are optional."""

    scope: Scope = Field("full", description="`write` tracks, `read` reads, `full` does all")
    name: str | None = Field(None, min_length=1, max_length=64, pattern=PRINTABLE)


class RotationOptions(_Asked):
    """Which key to replace, and when the old one ends. All are optional."""

    grace_seconds: int = Field(86_400, ge=0, le=MAX_GRACE, description="how long the old key still works")
    key_id: str | None = Field(None, pattern=KEY_ID, description="another key of the same data instead of the one used")


class Revocation(BaseModel):
    """What to revoke or erase. Unknown names are refused: a mistyped `data` would revoke a key that can still erase."""

    model_config = ConfigDict(extra="forbid")

    data: bool = Field(False, description="also erase all stored data of the stream, and all its keys")
    key_id: str | None = Field(None, pattern=KEY_ID, description="another key of the same data instead of the one used")


_Body = TypeVar("_Body", bound=BaseModel)


def create_app(service: Service) -> FastAPI:
    """The application over a service."""
    app = application("keys")
    find_owner = authorized(service, "full")
    owner = Depends(find_owner)
    eraser = Depends(authorized(service, "full", erasing=True))

    async def find_signer(
        request: Request, _: Annotated[str | None, Security(api_key_header)] = None
    ) -> KeyRecord | None:
        sent = request.headers.get("x-api-key")  # an empty one is a wrong key, not a sign-up
        return None if sent is None else await find_owner(request, sent)

    @app.post("/generate_key", status_code=201, tags=["keys"])
    async def generate_key(
        request: Request,
        authorization: Annotated[str | None, Header()] = None,
        by: KeyRecord | None = Depends(find_signer),  # noqa: B008
    ) -> JSONResponse:
        """Make a key. It is shown only once: the service stores its hash.

        Without a key this is a sign-up: it makes a full key to a new, empty stream of logs. Where the service has a
        sign-up token, send it as `Authorization: Bearer <token>`. With a full key in `X-API-Key` it makes another key
        to the same data, of any `scope`: the key inside an app needs `write` only.
        """
        if by is None:
            _check_token(service.settings.signup_token, authorization)
        asked = await _read(request, KeyOptions)
        if by is None and asked.scope != "full":
            reason = "Input should be full when no key is sent: only a full key can manage a new stream"
            raise Invalid("The request is not valid", [Problem(None, "scope", reason)])
        stream, now = by.stream if by else api_key.new_id(), service.now()
        secret, record = _new(stream, asked.scope, asked.name, now)
        service.keys.add(record, by, now)
        return JSONResponse(_shown(secret, record), 201, _NOT_STORED)

    @app.get("/keys", tags=["keys"])
    async def keys(by: KeyRecord = owner) -> JSONResponse:
        """List the keys to this data, oldest first. The keys themselves are never shown again."""
        now = service.now()
        found = [_listed(record) for record in service.keys.of(by.stream) if not record.expired(now)]
        return JSONResponse(found, headers=_NOT_STORED)

    @app.post("/rotate_key", status_code=201, tags=["keys"])
    async def rotate_key(request: Request, by: KeyRecord = owner) -> JSONResponse:
        """Replace a key by a new one of the same data, scope and name. The old one still works for `grace_seconds`."""
        asked, now = await _read(request, RotationOptions), service.now()
        old = _other(service, by, asked.key_id) if asked.key_id else by
        ends = now + asked.grace_seconds * 1_000_000
        if old.expires_at is not None:  # rotated before: rotating it again does not prolong its grace
            ends = min(ends, old.expires_at)
        secret, record = _new(old.stream, old.scope, old.name, now)
        service.keys.rotate(old, record, ends, by, now)
        return JSONResponse(_shown(secret, record) | {"previous_expires_at": isoformat(ends)}, 201, _NOT_STORED)

    @app.delete("/key", tags=["keys"])
    async def delete_key(
        request: Request, asked: Annotated[Revocation, Query()], by: KeyRecord = eraser
    ) -> JSONResponse:
        """Revoke a key: it stops working within 30 seconds. The data stays until its retention ends.

        With `data=true` all keys to the data end and all stored data is erased. That takes two or more calls with the
        same key, and at least 90 seconds. 202 tells how many stored items are deleted and, in `Retry-After`, when to
        call again; 200 means that nothing is left. From then on the key is unknown.
        """
        refuse_repeated(request)
        if asked.data:
            if asked.key_id:
                raise Invalid(
                    "The request is not valid",
                    [Problem(None, "key_id", "Leave this out: data=true erases with the key that is sent")],
                )
            return _progress(service, by)
        if by.erasing:
            raise Unauthorized
        record = _other(service, by, asked.key_id) if asked.key_id else by
        service.keys.remove(record)
        return JSONResponse({"key_id": record.key_id, "revoked_at": isoformat(service.now())}, headers=_NOT_STORED)

    return app


def _check_token(token: str | None, authorization: str | None) -> None:
    """Raise Unauthorized without the sign-up token, if there is one, and for an API key in its place."""
    scheme, _, sent = (authorization or "").partition(" ")
    sent = sent.strip() if scheme.lower() == "bearer" else ""
    if token and any(hmac.compare_digest(sent.encode("latin-1"), each) for each in _on_the_wire(token.strip())):
        return
    if api_key.is_well_formed(sent):  # meant to add a key to a stream, not to begin another one
        raise Unauthorized("An API key must come in the X-API-Key header, not as Authorization: Bearer")
    if token:
        raise Unauthorized("Missing or invalid sign-up token: send it as Authorization: Bearer", scheme="Bearer")


def _on_the_wire(token: str) -> set[bytes]:
    """A token as clients send it, in UTF-8 or Latin-1. A gateway may have taken bytes of UTF-8 for Latin-1."""
    spellings = {token.encode(), token.encode().decode("latin-1").encode()}
    with suppress(UnicodeEncodeError):
        spellings.add(token.encode("latin-1"))
    return spellings


async def _read(request: Request, kind: type[_Body]) -> _Body:
    """The JSON body; the defaults for an empty one. Raises Invalid or RequestValidationError."""
    body = await read_body(request)
    try:
        return kind.model_validate_json(body) if body else kind()
    except ValidationError as error:
        details = error.errors(include_url=False, include_input=False)
        raise RequestValidationError([{**each, "loc": ("body", *each["loc"])} for each in details]) from error


def _new(stream: str, scope: str, name: str | None, now: int) -> tuple[str, KeyRecord]:
    secret = api_key.generate()
    return secret, KeyRecord(api_key.hashed(secret), api_key.new_id(), stream, scope, now, name=name)


def _other(service: Service, by: KeyRecord, key_id: str) -> KeyRecord:
    """A key of the same stream by its id. Raises NotFound, also for keys of other streams."""
    now = service.now()
    for record in service.keys.of(by.stream):
        if record.key_id == key_id and not record.expired(now):
            return record
    raise NotFound("There is no such key to this data")


def _progress(service: Service, by: KeyRecord) -> JSONResponse:
    erasure = Erasure(service.keys, service.settings.logs_table, service.now)
    done = erasure.step(by)
    body = {"deleted": done.deleted, "complete": done.complete}
    if done.complete:
        return JSONResponse(body, headers=_NOT_STORED)
    return JSONResponse(body, 202, _NOT_STORED | {"Retry-After": str(max(1, done.wait))})


def _shown(secret: str, record: KeyRecord) -> dict[str, str]:
    return {"api_key": secret, "key_id": record.key_id, "created_at": isoformat(record.created_at)}


def _listed(record: KeyRecord) -> dict[str, str | None]:
    return {
        "key_id": record.key_id,
        "scope": record.scope,
        "name": record.name,
        "created_at": isoformat(record.created_at),
        "expires_at": None if record.expires_at is None else isoformat(record.expires_at),
    }


handler = lambda_handler(create_app)
