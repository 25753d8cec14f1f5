"""An application as a Lambda handler: the only user of Mangum."""

from __future__ import annotations

import logging
import threading
from collections.abc import Callable
from typing import Any

from fastapi import FastAPI
from mangum import Mangum

from analytics.settings import Settings, on_lambda
from analytics.web import Service

from . import event_loop, garbage
from .payload import within_quota, without_host

Handler = Callable[[dict[str, Any], Any], dict[str, Any]]


def connect() -> Service:
    """The service that the environment describes."""
    return Service.connect(Settings.from_environment())


def lambda_handler(
    create_app: Callable[[Service], FastAPI],
    connect: Callable[[], Service] = connect,
    on_schedule: Callable[[Service], dict[str, Any]] | None = None,
) -> Handler:
    """The handler of a function: answers requests, and runs `on_schedule` for a scheduled event.

    On Lambda the application is made at once, so that the work belongs to the init phase. Elsewhere it is made at the
    first event, so that importing a function does nothing. Several threads may call a handler at once.
    """
    made: list[tuple[Service, Mangum]] = []
    lock = threading.Lock()

    def make() -> tuple[Service, Mangum]:
        with lock:
            if not made:
                event_loop.ensure()
                # Lambda logs each call itself. Mangum's line has the path in it, which the caller chooses.
                logging.getLogger("mangum.http").setLevel(logging.WARNING)
                service = connect()
                app = create_app(service)
                app.root_path = service.settings.base_path  # stripped from paths that have it, by whole segments
                made.append((service, Mangum(app, lifespan="off")))
        return made[0]

    def handler(event: dict[str, Any], context: Any) -> dict[str, Any]:
        service, mangum = made[0] if made else make()
        if on_schedule and event.get("detail-type") == "Scheduled Event":
            return on_schedule(service)
        event_loop.ensure()
        return within_quota(mangum(without_host(event), context))

    if on_lambda():
        make()
        garbage.resume()
    return handler
