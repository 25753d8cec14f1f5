"""A running service, Chromium, and readers: what the page's tests use."""

from __future__ import annotations

import os
import subprocess
import sys
import uuid
from contextlib import ExitStack
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import httpx
from playwright.sync_api import Browser, BrowserContext, ConsoleMessage, Locator, Page, Request, expect

ROOT = Path(__file__).parents[2]
ZONE = "Europe/Berlin"  # not UTC, so that a label in the wrong zone shows

expect.set_options(timeout=10_000)


class Server:
    """`python -m local serve` as a process that can be stopped and started again over the same data."""

    def __init__(self, *arguments: str, **environment: str) -> None:
        self._arguments, self._environment, self._port = arguments, environment, "0"
        self.url = ""
        self.start()

    def start(self) -> None:
        """Serve; after a stop, on the same port as before."""
        command = [sys.executable, "-m", "local", "serve", "--port", self._port, *self._arguments]
        self._process = subprocess.Popen(
            command, cwd=ROOT, env=os.environ | self._environment, stdout=subprocess.PIPE, text=True
        )
        assert self._process.stdout is not None
        line = self._process.stdout.readline()
        assert "http://" in line, f"did not start: {line}"
        self.url = line.split()[-1]
        self._port = self.url.rpartition(":")[2]

    def stop(self) -> None:
        """Stop the process and wait for its end."""
        self._process.terminate()
        self._process.wait(20)
        assert self._process.stdout is not None
        self._process.stdout.close()


@dataclass
class Account:
    """A key of a service, and a way to store logs under it."""

    server: Server
    key: str

    @classmethod
    def at(cls, server: Server) -> Account:
        """A new account, with a full key."""
        answer = httpx.post(f"{server.url}/generate_key", trust_env=False)
        return cls(server, answer.raise_for_status().json()["api_key"])

    def send(self, *logs: dict[str, Any]) -> None:
        """Store logs, as a client's middleware does."""
        for start in range(0, len(logs), 1000):
            self.request("POST", "track/batch", json={"batch_id": uuid.uuid4().hex, "logs": logs[start : start + 1000]})

    def dashboard(self, **query: Any) -> Any:
        """The answer of GET /dashboard."""
        return self.request("GET", "dashboard", params=query).json()

    def request(self, method: str, path: str, **options: Any) -> httpx.Response:
        """The answer to a request; an error status raises."""
        headers = {"X-API-Key": self.key}
        answer = httpx.request(method, f"{self.server.url}/{path}", headers=headers, trust_env=False, **options)
        return answer.raise_for_status()


def log(minutes_ago: float = 1, **fields: Any) -> dict[str, Any]:
    """A log of one request, some minutes ago, with these fields changed."""
    plain = {"method": "GET", "endpoint": "/books", "ip": "203.0.113.7", "process_time": 20.0, "status_code": 200}
    return plain | {"created_at": (datetime.now(UTC) - timedelta(minutes=minutes_ago)).isoformat()} | fields


@dataclass
class Reader:
    """A browser context. Errors in its console and requests to other hosts fail the test at its end."""

    context: BrowserContext
    server: Server
    complaints: list[str] = field(default_factory=list)
    requests: list[Request] = field(default_factory=list)
    expected: tuple[str, ...] = ()  # parts of complaints that the test provokes

    def open(self, query: str = "", account: Account | None = None) -> Page:
        """The page in a new tab; signed in with the account's key, if one is given."""
        page = self.context.new_page()
        page.on("console", self._console)
        page.on("pageerror", lambda error: self.complaints.append(f"page error: {error}"))
        page.on("request", lambda request: self.requests.append(request))
        page.goto(f"{self.server.url}/{query}")
        if account:
            page.get_by_label("API key").fill(account.key)
            page.get_by_role("button", name="Open").click()
            page.locator("[data-state=in] #app:not([aria-busy]), [data-state=first] #first").first.wait_for()
        return page

    def _console(self, message: ConsoleMessage) -> None:
        if message.type in ("error", "warning"):
            self.complaints.append(f"{message.text} {message.location.get('url', '')}")

    def check(self) -> None:
        """Assert that the console is empty and that no other host was asked."""
        foreign = [one.url for one in self.requests if not one.url.startswith((self.server.url, "blob:", "data:"))]
        assert foreign == []
        assert [text for text in self.complaints if not any(part in text for part in self.expected)] == []


class Readers:
    """Makes readers; at the end closes their contexts and checks them."""

    def __init__(self, browser: Browser, server: Server) -> None:
        self._browser, self._server, self._made, self._open = browser, server, list[Reader](), ExitStack()

    def __call__(self, server: Server | None = None, **options: Any) -> Reader:
        """A reader at a service; options are Playwright's for a context."""
        context = self._browser.new_context(**{"locale": "en-GB", "timezone_id": ZONE} | options)
        self._open.callback(context.close)
        reader = Reader(context, server or self._server)
        self._made.append(reader)
        return reader

    def close(self) -> None:
        """Close all contexts, then check each reader."""
        self._open.close()
        for reader in self._made:
            reader.check()


def tile(page: Page, field: str) -> Locator:
    """The value of one of the six tiles."""
    return page.locator(f"[data-tile={field}] .value")
