"""For tests of apps that use the middleware: assert on what was recorded, without network or key."""

from __future__ import annotations

import os
import subprocess
import sys
import textwrap
from pathlib import Path

from fastapi import FastAPI
from starlette.testclient import TestClient

from client_middleware import MemorySink, TrackingMiddleware, record_to
from client_middleware.sink import Sink


def tracked(**settings: str) -> TestClient:
    """A client of an app that makes its middleware itself."""
    app = FastAPI()
    app.add_middleware(TrackingMiddleware, api_key=settings.get("api_key"))
    return TestClient(app)


def test_the_fixture(api_analytics: MemorySink) -> None:
    """The fixture sees what the app's own middleware records."""
    assert tracked().get("/docs").status_code == 200
    assert [(log["method"], log["endpoint"], log["status_code"]) for log in api_analytics.logs] == [
        ("GET", "/docs", 200)
    ]


def test_the_fixture_starts_empty(api_analytics: MemorySink) -> None:
    """Each test begins with nothing recorded."""
    assert api_analytics.logs == []


def test_record_to() -> None:
    """A middleware that was made before records here during the block, and where it did before afterwards."""
    client, sinks = tracked(), [MemorySink(), MemorySink()]
    client.get("/docs")  # makes the middleware, which has nowhere to record to
    outer: Sink
    with record_to(sinks[0]) as outer:
        client.get("/docs")
        with record_to(sinks[1]):
            client.get("/docs")
            client.get("/docs")
        client.get("/docs")
        assert outer is sinks[0]
    client.get("/docs")
    assert [len(sink.logs) for sink in sinks] == [2, 2]


def test_in_a_project(tmp_path: Path) -> None:
    """In a project of its own the fixture is there without a word of set-up, with warnings as errors."""
    (tmp_path / "test_app.py").write_text(
        textwrap.dedent("""
            from fastapi import FastAPI
            from starlette.testclient import TestClient
            from client_middleware import create_tracking_middleware

            app = FastAPI()
            app.middleware("http")(create_tracking_middleware())

            def test_it(api_analytics):
                TestClient(app).get("/docs")
                assert api_analytics.logs[0]["endpoint"] == "/docs"
        """)
    )
    command = [sys.executable, "-m", "pytest", "-q", "-W", "error", "-p", "no:cacheprovider", str(tmp_path)]
    done = subprocess.run(command, cwd=tmp_path, env=os.environ, capture_output=True, text=True, timeout=60)
    assert done.returncode == 0, done.stdout
    assert "1 passed" in done.stdout
