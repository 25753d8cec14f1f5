"""How an application becomes a Lambda handler: the only user of Mangum. Functions import it before all else."""

from __future__ import annotations

import gc
from collections.abc import Callable
from typing import Any

from analytics.settings import Settings, on_lambda

if on_lambda():  # nothing that is imported is garbage: not looking for any saves a fifteenth of the init phase
    gc.disable()

import asyncio
import threading

from fastapi import FastAPI
from mangum import Mangum

from analytics.web import Service

Handler = Callable[[dict[str, Any], Any], dict[str, Any]]


def connect() -> Service:
    """The service that the environment describes."""
    return Service.connect(Settings.from_environment())


def lambda_handler(
    create_app: Callable[[Service], FastAPI],
    connect: Callable[[], Service] = connect,
    on_schedule: Callable[[Service], dict[str, Any]] | None = None,
) -> Handler:
    """The handler of a function, over the service that `connect` gives: its requests, and its schedule if it has one.

    On Lambda the application is made now, so that the work falls into the init phase; elsewhere at the first event, so
    that importing a function does nothing. Handlers may be called from several threads at once.
    """
    made: list[tuple[Service, Mangum]] = []
    lock = threading.Lock()

    def make() -> tuple[Service, Mangum]:
        with lock:
            if not made:
                _ensure_event_loop()
                service = connect()
                made.append((service, Mangum(create_app(service), lifespan="off")))
        return made[0]

    def handler(event: dict[str, Any], context: Any) -> dict[str, Any]:
        service, mangum = made[0] if made else make()
        if on_schedule and event.get("detail-type") == "Scheduled Event":
            return on_schedule(service)
        _ensure_event_loop()
        return mangum(event, context)

    if on_lambda():
        make()
        gc.freeze()  # all of this stays as long as the process: no later collection walks it
        gc.enable()
    return handler


class _Loop:
    """The event loop of one thread, closed when the thread ends."""

    def __init__(self) -> None:
        self.loop = asyncio.new_event_loop()

    def __del__(self) -> None:
        self.loop.close()


_local = threading.local()


def _ensure_event_loop() -> None:
    """Give this thread the event loop that Mangum asks asyncio for, also where `asyncio.run` took it away."""
    if not hasattr(_local, "own"):
        _local.own = _Loop()
    asyncio.set_event_loop(_local.own.loop)
