"""The middleware and the real service: what an app's requests were is what the dashboard shows."""

from __future__ import annotations

import json
import os
import select
import signal
import subprocess
import sys
import urllib.request
from collections import Counter
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from fastapi import FastAPI, HTTPException, Request
from starlette.testclient import TestClient

from client_middleware import TrackingMiddleware, create_tracking_middleware
from client_middleware.doctor import examine

ROOT = Path(__file__).parents[2]


class Service:
    """`python -m local serve`, with a key."""

    def __init__(self, url: str) -> None:
        self.url = url
        self.headers: dict[str, str] = {}
        self.key = self.ask("POST", "/generate_key")["api_key"]
        self.headers["X-API-Key"] = self.key

    def ask(self, method: str, path: str) -> Any:
        """The JSON of an answer."""
        request = urllib.request.Request(self.url + path, method=method, headers=self.headers)  # noqa: S310 - ours
        with urllib.request.urlopen(request, timeout=20) as answer:  # noqa: S310
            return json.load(answer)


@pytest.fixture(scope="module")
def service() -> Iterator[Service]:
    """The real service in a process of its own, over an empty database."""
    process = subprocess.Popen(
        [sys.executable, "-m", "local", "serve", "--port", "0"],
        cwd=ROOT,
        env=os.environ | {"PYTHONUNBUFFERED": "1"},
        stdout=subprocess.PIPE,
        text=True,
    )
    try:
        assert process.stdout is not None
        url = ""
        while not url and select.select([process.stdout], [], [], 30)[0]:
            line = process.stdout.readline()
            assert line, "the service ended"
            url = next((word for word in line.split() if word.startswith("http://")), "")
        yield Service(url.rstrip("/"))
    finally:
        process.send_signal(signal.SIGTERM)
        process.wait(20)
        assert process.stdout is not None
        process.stdout.close()


def shop() -> FastAPI:
    """An app to track."""
    app = FastAPI()

    @app.get("/items/{item_id}")
    async def item(item_id: int, request: Request) -> int:
        request.state.tenant = f"tenant-{item_id % 2}"
        if item_id == 13:
            raise HTTPException(404)
        if item_id == 14:
            raise RuntimeError
        return item_id

    return app


def visit(client: TestClient) -> Counter[int]:
    """Forty requests; how often which status was answered."""
    return Counter(client.get(f"/items/{number}").status_code for number in range(40))


def test_both_ways(service: Service) -> None:
    """Requests tracked in both ways of use are all on the dashboard, with their route, status and consumer."""
    pure, function = shop(), shop()
    settings: Any = {"api_base": service.url, "api_key": service.key, "consumer": "tenant", "batch_logs": 7}
    pure.add_middleware(TrackingMiddleware, **settings)
    function.middleware("http")(create_tracking_middleware(**settings))
    statuses: Counter[int] = Counter()
    for app in (pure, function):
        with TestClient(app, raise_server_exceptions=False, client=("203.0.113.7", 1)) as client:
            statuses += visit(client)
    dashboard = service.ask("GET", "/dashboard")
    assert dashboard["summary"]["total_requests"] == 80
    assert dashboard["status_codes"] == {str(status): count for status, count in statuses.items()}
    assert [each["endpoint"] for each in dashboard["endpoint_stats"]] == ["/items/{item_id}"]
    assert dashboard["top_ips"] == [{"ip": "203.0.113.0", "requests": 80}]
    assert {each["consumer"] for each in dashboard["top_consumers"]} == {"tenant-0", "tenant-1"}
    assert dashboard["delivery"]["accepted"] == 80
    assert dashboard["delivery"]["rejected"] == {}


def test_losses_are_shown(service: Service) -> None:
    """What the client lost is on the dashboard, by reason, and weights of a sample count as requests."""
    before = service.ask("GET", "/dashboard")
    settings: Any = {"api_base": service.url, "api_key": service.key, "sample_rate": 0.5, "buffer_logs": 10}
    app = shop()
    app.add_middleware(TrackingMiddleware, flush_seconds=60, **settings)
    with TestClient(app, raise_server_exceptions=False) as client:
        visit(client)
    after = service.ask("GET", "/dashboard")
    stored = after["summary"]["total_requests"] - before["summary"]["total_requests"]
    assert set(after["delivery"]["dropped"]) == {"overflow"}
    assert stored + after["delivery"]["dropped"]["overflow"] == 40
    assert stored >= 10


def test_the_doctor(service: Service) -> None:
    """The doctor finds nothing wrong with a real service and a real key, and a made-up key wrong."""
    assert [check.name for check in examine({"api_base": service.url, "api_key": service.key}) if not check.fine] == []
    checks = examine({"api_base": service.url, "api_key": "aak_made_up"})
    assert [check.name for check in checks if not check.fine] == ["API key"]
