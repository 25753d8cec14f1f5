"""An app for `uvicorn`: tracked in the way that WAY says, with a lifespan of its own where LIFESPAN is set."""

from __future__ import annotations

import contextlib
import os
from collections.abc import AsyncIterator

from fastapi import FastAPI

from client_middleware import TrackingMiddleware, create_tracking_middleware


@contextlib.asynccontextmanager
async def own(app: FastAPI) -> AsyncIterator[None]:
    """A lifespan that does nothing."""
    yield


app = FastAPI(lifespan=own) if os.environ.get("LIFESPAN") else FastAPI()
if os.environ.get("WAY") == "http":
    app.middleware("http")(create_tracking_middleware())
else:
    app.add_middleware(TrackingMiddleware)


@app.get("/")
async def index() -> int:
    """Which process answered."""
    return os.getpid()
