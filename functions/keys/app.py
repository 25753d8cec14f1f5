"""POST /generate_key: a new key with a stream of logs of its own."""

from __future__ import annotations

import hmac
from typing import Annotated

from fastapi import FastAPI, Header
from fastapi.responses import JSONResponse

from analytics import key
from analytics.errors import Unauthorized
from analytics.model import isoformat
from analytics.runtime import lambda_handler
from analytics.store import KeyRecord
from analytics.web import Service, application


def create_app(service: Service) -> FastAPI:
    """The application over a service."""
    app = application("keys")

    @app.post("/generate_key", status_code=201, tags=["keys"])
    async def generate_key(authorization: Annotated[str | None, Header()] = None) -> JSONResponse:
        """Make a key. It is shown this once: only its hash is stored.

        Where the service has a sign-up token, it must come as `Authorization: Bearer <token>`.
        """
        token = service.settings.signup_token
        sent = (authorization or "").encode("latin-1")  # the bytes as they came
        if token and not hmac.compare_digest(sent, f"Bearer {token}".encode()):
            raise Unauthorized("Missing or invalid sign-up token", scheme="Bearer")
        secret, now = key.generate(), service.now()
        record = KeyRecord(key.hashed(secret), key.new_id(), key.new_id(), "full", now)
        service.keys.add(record)
        answer = {"api_key": secret, "key_id": record.key_id, "created_at": isoformat(now)}
        return JSONResponse(answer, 201, {"Cache-Control": "no-store"})

    return app


handler = lambda_handler(create_app)
