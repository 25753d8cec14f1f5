"""Apps to track, requests to make of them, and a collector process to send to."""

from __future__ import annotations

import asyncio
import json
import os
import signal
import subprocess
import sys
import time
import urllib.request
from collections import Counter
from collections.abc import Awaitable, Callable, Iterator, MutableMapping
from pathlib import Path
from typing import Any

import pytest
from fastapi import FastAPI

from client_middleware import MemorySink, TrackingMiddleware, create_tracking_middleware
from client_middleware.delivery import Delivery
from client_middleware.settings import Settings
from client_middleware.transport import Transport

Message = MutableMapping[str, Any]
App = Callable[..., Awaitable[None]]


@pytest.fixture(autouse=True)
def plain_environment(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    """No settings of the machine's, no .env above the working directory, no proxy."""
    for name in [name for name in os.environ if name.startswith("ANALYTICS_") or name in ("API_BASE", "NO_PROXY")]:
        monkeypatch.delenv(name)
    monkeypatch.setenv("NO_PROXY", "127.0.0.1,localhost")
    monkeypatch.chdir(tmp_path)


@pytest.fixture(params=["asgi", "http"])
def track(request: pytest.FixtureRequest) -> Callable[..., FastAPI]:
    """Track an app, in both ways of use."""

    def add(app: FastAPI, **settings: Any) -> FastAPI:
        if request.param == "asgi":
            app.add_middleware(TrackingMiddleware, **settings)
        else:
            app.middleware("http")(create_tracking_middleware(**settings))
        return app

    return add


@pytest.fixture
def sink() -> MemorySink:
    """Keeps logs in memory."""
    return MemorySink()


async def ask(app: App, path: str = "/", method: str = "GET", **scope: Any) -> list[Message]:
    """Make one request as a server would; what the app sent."""
    sent: list[Message] = []
    received = iter([{"type": "http.request", "body": b"", "more_body": False}])

    async def receive() -> Message:
        for message in received:
            return message
        await asyncio.Event().wait()
        raise AssertionError

    async def send(message: Message) -> None:
        sent.append(message)

    whole = {
        "type": "http",
        "asgi": {"version": "3.0", "spec_version": "2.4"},
        "http_version": "1.1",
        "method": method,
        "scheme": "http",
        "path": path,
        "raw_path": path.encode(),
        "query_string": b"",
        "root_path": "",
        "headers": [(b"host", b"test")],
        "client": ("203.0.113.77", 50_000),
        "server": ("test", 80),
    }
    await app(whole | scope, receive, send)
    return sent


class CollectorProcess:
    """A collector in a process of its own that can be killed and comes back on the same port."""

    def __init__(self, folder: Path) -> None:
        self._file = folder / "batches.jsonl"
        self._process: subprocess.Popen[str] | None = None
        self.port = 0
        self.start()

    @property
    def url(self) -> str:
        """Its API_BASE."""
        return f"http://127.0.0.1:{self.port}"

    def start(self) -> None:
        """Start, or start again."""
        script = Path(__file__).with_name("collector.py")
        self._process = subprocess.Popen(
            [sys.executable, "-S", str(script), str(self.port), str(self._file)], stdout=subprocess.PIPE, text=True
        )
        assert self._process.stdout is not None
        self.port = int(self._process.stdout.readline())

    def kill(self) -> None:
        """End it in the middle of whatever it does."""
        if self._process is not None:
            assert self._process.stdout is not None
            self._process.send_signal(signal.SIGKILL)
            self._process.wait()
            self._process.stdout.close()
            self._process = None

    def behave(self, *words: str) -> None:
        """What to do with the next batches; see collector.py."""
        self._tell("behave", words)

    def accept(self, **rules: Any) -> None:
        """What to accept from now on; see `Rules` in collector.py."""
        self._tell("rules", rules)

    def _tell(self, path: str, what: object) -> None:
        request = urllib.request.Request(f"{self.url}/{path}", json.dumps(what).encode())  # noqa: S310 - ours
        urllib.request.urlopen(request).close()  # noqa: S310

    @property
    def batches(self) -> list[dict[str, Any]]:
        """What is stored."""
        lines = self._file.read_text().splitlines() if self._file.exists() else []
        return [json.loads(line) for line in lines]

    @property
    def logs(self) -> list[dict[str, Any]]:
        """All logs that are stored."""
        return [log for batch in self.batches for log in batch["logs"]]

    @property
    def requests(self) -> int:
        """Requests that the stored logs stand for."""
        return sum(log.get("weight", 1) for log in self.logs)

    @property
    def rejected(self) -> list[list[dict[str, Any]]]:
        """What was rejected of each batch that is stored."""
        return [batch["rejected"] for batch in self.batches]

    @property
    def dropped(self) -> Counter[str]:
        """Requests reported as lost, by reason."""
        total: Counter[str] = Counter()
        for batch in self.batches:
            total.update(batch["dropped"])
        return total

    def wait_for(self, requests: int, seconds: float = 10) -> None:
        """Until so many requests are stored."""
        wait_until(lambda: self.requests >= requests, seconds)
        assert self.requests == requests


def wait_until(condition: Callable[[], bool], seconds: float = 10) -> None:
    """Look until it is so."""
    give_up = time.monotonic() + seconds
    while not condition():
        assert time.monotonic() < give_up, "waited in vain"
        time.sleep(0.01)


@pytest.fixture
def collector(tmp_path: Path) -> Iterator[CollectorProcess]:
    """A collector that runs."""
    process = CollectorProcess(tmp_path)
    yield process
    process.kill()


@pytest.fixture
def deliver(collector: CollectorProcess) -> Iterator[Callable[..., Delivery]]:
    """Make deliveries to the collector, by default in tens, and quick to try again."""
    made = []

    def make(*, in_background: bool = True, key: str = "good", batch_format: int = 1, **settings: Any) -> Delivery:
        given = {"flush_seconds": 30.0, "batch_logs": 10, "timeout_seconds": 2.0} | settings
        whole = Settings(api_base=collector.url, api_key=key, **given)
        connect = lambda: Transport(collector.url, key, whole.timeout_seconds)  # noqa: E731 - a short word for it
        delivery = Delivery(whole, connect, in_background=in_background, first_wait=0.02, batch_format=batch_format)
        made.append(delivery)
        return delivery

    yield make
    for delivery in made:
        delivery.close(0.0)
