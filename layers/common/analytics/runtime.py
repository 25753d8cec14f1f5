"""How an application becomes a Lambda handler: the only user of Mangum. Functions import it before all else."""

from __future__ import annotations

import gc
from collections.abc import Callable
from typing import Any

from analytics.settings import Settings, on_lambda

if on_lambda():  # nothing that is imported is garbage: not looking for any saves a fifteenth of the init phase
    gc.disable()

import asyncio
import json
import logging
import threading

from fastapi import FastAPI
from mangum import Mangum

from analytics.errors import Invalid
from analytics.web import Service

Handler = Callable[[dict[str, Any], Any], dict[str, Any]]

LARGEST = 6 * 1024 * 1024 - 10_240  # bytes of an answer: Lambda's quota on what a call gives back, and room for headers
_WIDEST = 12  # bytes that a character may take in it: a surrogate pair, escaped


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
                # Lambda has a line for each call; Mangum's would have the path in it, which is a caller's to choose.
                logging.getLogger("mangum.http").setLevel(logging.WARNING)
                service = connect()
                made.append((service, Mangum(create_app(service), lifespan="off")))
        return made[0]

    def handler(event: dict[str, Any], context: Any) -> dict[str, Any]:
        service, mangum = made[0] if made else make()
        if on_schedule and event.get("detail-type") == "Scheduled Event":
            return on_schedule(service)
        _ensure_event_loop()
        return _that_fits(mangum(_without_host(event), context))

    if on_lambda():
        make()
        gc.freeze()  # all of this stays as long as the process: no later collection walks it
        gc.enable()
    return handler


def _without_host(event: dict[str, Any]) -> dict[str, Any]:
    """The event without its Host header: whatever a caller wrote there is asked for by nothing of ours.

    Mangum fails on one that is not `name` or `name:port`, such as `[::1]:3000`.
    """
    headers = event.get("headers") or {}
    return event | {"headers": {name: value for name, value in headers.items() if name.lower() != "host"}}


def _that_fits(answer: dict[str, Any]) -> dict[str, Any]:
    """The answer, or 422 where Lambda would refuse it for its size: to the caller that would be a failure of ours."""
    body = answer["body"]
    if len(body) * _WIDEST <= LARGEST or len(json.dumps(body)) <= LARGEST:
        return answer
    refusal = Invalid("The answer would be larger than 6 MB: ask for less, by a smaller `top` or a longer `period`")
    headers = {"content-type": "application/json", "cache-control": "no-store"}
    return {"statusCode": refusal.status, "headers": headers, "body": json.dumps(refusal.body())}


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
