"""A steady load on a running service, and the account of it: what was sent, what was acknowledged, what is there.

Every log carries a path of its own, so that each can be found again in /raw_logs: once, or not, or twice.
"""

from __future__ import annotations

import asyncio
import random
import threading
import time
from collections import Counter, defaultdict
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from datetime import UTC, datetime
from typing import Any

import httpx
from fastapi import FastAPI

from client_middleware import TrackingMiddleware

AGAIN_S = 0.25  # until a batch is sent again
PAGE = 1000  # logs that /raw_logs gives at once


class Account:
    """What was said of one key's logs, each known by its path. Thread-safe, for every change is one step."""

    def __init__(self) -> None:
        self.sent: set[str] = set()
        self.acknowledged: set[str] = set()
        self.batches: list[list[str]] = []
        """What was sent under one id each."""
        self.answers: Counter[tuple[str, int]] = Counter()
        """By route and status; 0: no answer."""
        self.seconds: defaultdict[str, list[float]] = defaultdict(list)
        """That good answers took, by route."""
        self.wrong: list[str] = []
        """Answers that were neither right nor a clear refusal."""

    def half_stored(self, there: list[str]) -> list[str]:
        """The batches of which some logs are there and some are not, each by its first."""
        found = set(there)
        return [paths[0] for paths in self.batches if 0 < len(found.intersection(paths)) < len(paths)]


class Caller:
    """Calls a service with one key and writes down how it went. For one thread."""

    def __init__(self, base: str, key: str, account: Account, timeout: float = 35.0) -> None:
        self.account = account
        self.key = key
        self._http = httpx.Client(base_url=base, headers={"X-API-Key": key}, timeout=timeout, trust_env=False)

    def call(self, method: str, url: str, **options: Any) -> httpx.Response | None:
        """The answer if it is a good one; None when there was none, or a clear refusal for now."""
        route = f"{method} {url.partition('?')[0]}"
        began = time.perf_counter()
        try:
            answer = self._http.request(method, url, **options)
        except httpx.TransportError:
            self.account.answers[route, 0] += 1
            return None
        self.account.answers[route, answer.status_code] += 1
        if answer.is_success:
            self.account.seconds[route].append(time.perf_counter() - began)
            return answer
        if answer.status_code != 503 or "retry-after" not in answer.headers:
            self.account.wrong.append(f"{route}: {answer.status_code} {answer.text[:200]}")
        return None

    def send_batch(self, size: int, name: str, stop: threading.Event) -> None:
        """A batch under one id, until it is acknowledged or it is time to stop."""
        paths = [f"/{name}/{number}" for number in range(size)]
        body = {"batch_id": name, "client": {"name": "load"}, "logs": [log(path) for path in paths]}
        self.account.sent.update(paths)
        self.account.batches.append(paths)
        while True:
            answer = self.call("POST", "/track/batch", json=body)
            if answer is not None:
                said = answer.json()
                if (said["accepted"], said["rejected"]) != (0 if said["duplicate"] else size, []):
                    self.account.wrong.append(f"POST /track/batch: {said}")
                self.account.acknowledged.update(paths)
                return
            if stop.wait(AGAIN_S):
                return

    def send_one(self, name: str) -> None:
        """A log alone, once, as the original's middleware sends it."""
        self.account.sent.add(f"/{name}")
        if self.call("POST", "/track", json=log(f"/{name}")) is not None:
            self.account.acknowledged.add(f"/{name}")

    def read_dashboard(self, query: str = "") -> None:
        """A dashboard must count all that was acknowledged before it was asked for, and nothing that was not sent."""
        least = len(self.account.acknowledged)
        answer = self.call("GET", f"/dashboard{query}")
        if answer is None:
            return
        blocks = answer.json()
        counted, most = blocks["summary"]["total_requests"], len(self.account.sent)
        if counted > most or (counted < least and blocks["range"]["complete"]):
            self.account.wrong.append(f"GET /dashboard: {counted} counted, {least} to {most} stored")

    def blocks(self) -> dict[str, Any]:
        """The dashboard, which must be had."""
        answer = self.call("GET", "/dashboard")
        if answer is None:
            raise ConnectionError("the dashboard can not be read")
        return dict(answer.json())

    def read_logs(self) -> list[str]:
        """The paths of all logs there are, page by page."""
        paths: list[str] = []
        url: str | None = f"/raw_logs?limit={PAGE}"
        while url:
            answer = self.call("GET", url)
            if answer is None:
                raise ConnectionError("the logs can not be read")
            paths += [row["path"] for row in answer.json()]
            url = answer.links.get("next", {}).get("url")
        return paths

    def close(self) -> None:
        """Let go of the connection."""
        self._http.close()


class Shop:
    """A FastAPI app with the middleware, and the requests made of it; each is known by its path."""

    def __init__(self, base: str, key: str, **settings: Any) -> None:
        app = FastAPI()

        @app.get("/books/{number}")
        async def book(number: int) -> int:
            return number

        given: dict[str, Any] = {"flush_seconds": 1.0, "raw_path": "all"} | settings
        self._tracked: Any = TrackingMiddleware(app, api_key=key, api_base=base, **given)
        self.made: set[str] = set()
        self.slowest = 0.0

    def run(self, rate: float, stop: threading.Event) -> None:
        """So many requests a second until it is time to stop."""
        asyncio.run(self._run(rate, stop))

    async def _run(self, rate: float, stop: threading.Event) -> None:
        transport = httpx.ASGITransport(app=self._tracked)
        async with httpx.AsyncClient(transport=transport, base_url="http://shop.local") as visitor:
            began = time.perf_counter()
            while not stop.is_set():
                path = f"/books/{len(self.made)}"
                self.made.add(path)
                asked = time.perf_counter()
                assert (await visitor.get(path)).status_code == 200
                self.slowest = max(self.slowest, time.perf_counter() - asked)
                await asyncio.sleep(max(0.0, began + len(self.made) / rate - time.perf_counter()))

    def flush(self, seconds: float) -> bool:
        """Send all that waits; whether nothing is left."""
        return bool(self._tracked.tracker.flush(seconds))

    def close(self) -> None:
        """Let the middleware's thread end."""
        self._tracked.tracker.close(1.0)


def log(path: str) -> dict[str, Any]:
    """A log of now."""
    now = datetime.now(UTC).isoformat()
    return {
        "created_at": now,
        "method": "GET",
        "endpoint": "/load",
        "ip": f"192.0.2.{random.randint(1, 254)}",
        "process_time": 1.5,
        "status_code": 200,
        "path": path,
    }


@contextmanager
def running(*works: Callable[[threading.Event], object]) -> Iterator[threading.Event]:
    """Do each of these in a thread until the block ends or the event is set; what one raises is raised here."""
    stop, errors = threading.Event(), list[BaseException]()

    def work(one: Callable[[threading.Event], object]) -> None:
        try:
            one(stop)
        except BaseException as error:  # noqa: BLE001 - raised again below, in the thread that waits
            errors.append(error)

    threads = [threading.Thread(target=work, args=(one,), daemon=True) for one in works]
    for thread in threads:
        thread.start()
    try:
        yield stop
    finally:
        stop.set()
        for thread in threads:
            thread.join(60)
    if errors:
        raise errors[0]


def every(seconds: float, do: Callable[[int], object], stop: threading.Event) -> None:
    """Do something at a steady pace, with 0, 1, 2 and so on, until it is time to stop."""
    number, due = 0, time.monotonic()
    while not stop.wait(max(0.0, due - time.monotonic())):
        do(number)
        number, due = number + 1, max(due + seconds, time.monotonic() - seconds)


def missing_and_double(there: list[str], acknowledged: set[str]) -> tuple[list[str], list[str]]:
    """Which acknowledged logs are not there, and which logs are there twice."""
    times = Counter(there)
    return sorted(acknowledged - set(there)), sorted(path for path, count in times.items() if count > 1)
