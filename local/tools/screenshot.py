"""`python -m local.tools.screenshot [FILE]`: takes the README's picture of the web page, with made-up traffic.

Needs Playwright and Chromium; `--chromium` names its path when it is not /usr/bin/chromium.
"""

from __future__ import annotations

import argparse
import math
import random
import time
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import TYPE_CHECKING, Any

import httpx
from playwright.sync_api import sync_playwright

from local.service import TEMPLATE, service
from local.template import read

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

FILE = Path(__file__).resolve().parents[2] / "docs" / "dashboard.png"
CHROMIUM = Path("/usr/bin/chromium")
FLAGS = (
    "--no-sandbox",
    "--disable-gpu",
    "--disable-quic",
    "--no-first-run",
    "--disable-background-networking",
    "--disable-component-update",
    "--disable-sync",
)
"""Flags with which Chromium runs as root and in a container, and contacts no other host."""

_ROUTES = (  # method, route, share of requests, typical ms
    ("GET", "/books", 30, 28),
    ("GET", "/books/{id}", 24, 14),
    ("GET", "/search", 16, 96),
    ("POST", "/orders", 9, 120),
    ("GET", "/orders/{id}", 8, 31),
    ("PATCH", "/users/{id}", 4, 45),
    ("GET", "/recommendations", 4, 240),
    ("DELETE", "/sessions/{id}", 3, 9),
    ("POST", "/payments", 2, 480),
)
_CONSUMERS = ("web-shop", "ios-app", "android-app", "partner-api")
_HOURS = 24 * 14


def shop_traffic(now: datetime, seed: int = 7) -> Iterator[dict[str, Any]]:
    """Logs of the two weeks before `now`, with days, nights, quiet weekends and one bad hour."""
    chance = random.Random(seed)
    shares = [share for _, _, share, _ in _ROUTES]
    for hour in range(_HOURS):
        start = now - timedelta(hours=_HOURS - hour)
        daylight = 0.35 + max(0.0, math.sin((start.hour - 5) / 19 * math.pi))
        quiet = 0.6 if start.weekday() >= 5 else 1.0
        bad = hour == _HOURS - 33
        for _ in range(round(55 * daylight * quiet * (1 + hour / _HOURS / 2) * chance.uniform(0.85, 1.15))):
            method, route, _, typical = chance.choices(_ROUTES, shares)[0]
            failed = chance.random() < (0.18 if bad else 0.004)
            refused = not failed and chance.random() < 0.018
            fine = 201 if method == "POST" else 204 if method == "DELETE" else 200
            yield {
                "created_at": (start + timedelta(seconds=chance.uniform(0, 3600))).isoformat(),
                "method": method,
                "endpoint": route,
                "ip": f"203.0.113.{min(250, int(chance.paretovariate(0.7)))}",
                "process_time": round(chance.lognormvariate(math.log(typical), 0.5) * (4 if failed else 1), 3),
                "status_code": chance.choice((500, 503))
                if failed
                else chance.choice((400, 404, 422))
                if refused
                else fine,
                "consumer": chance.choices(_CONSUMERS, (5, 3, 3, 1))[0],
            }


def store(address: str, logs: Sequence[dict[str, Any]]) -> str:
    """Create a key at the service and store logs with it; returns the key."""
    with httpx.Client(base_url=address, timeout=60, trust_env=False) as client:
        key: str = client.post("/generate_key").raise_for_status().json()["api_key"]
        for number, start in enumerate(range(0, len(logs), 1000)):
            batch = {"batch_id": f"batch-{number}", "logs": logs[start : start + 1000]}
            client.post("/track/batch", json=batch, headers={"X-API-Key": key}).raise_for_status()
    return key


def take(address: str, key: str, file: Path, chromium: Path) -> None:
    """Sign in to the page and take a picture of its upper part."""
    with sync_playwright() as playwright:
        browser = playwright.chromium.launch(executable_path=chromium, args=FLAGS)
        page = browser.new_page(viewport={"width": 1200, "height": 860}, locale="en-GB", timezone_id="UTC")
        page.goto(f"{address}/?range=7d")
        page.get_by_label("API key").fill(key)
        page.get_by_role("button", name="Open").click()
        page.locator("#endpoints tbody tr").first.wait_for()
        page.wait_for_timeout(400)  # until transitions have ended
        file.parent.mkdir(exist_ok=True)
        page.screenshot(path=file)
        browser.close()


def main(arguments: Sequence[str] | None = None) -> int:
    """Serve, store, and take the picture; returns the exit code."""
    parser = argparse.ArgumentParser(prog="python -m local.tools.screenshot", description=__doc__)
    parser.add_argument("file", nargs="?", type=Path, default=FILE, help="(default: docs/dashboard.png)")
    parser.add_argument("--chromium", type=Path, default=CHROMIUM, help="(default: %(default)s)")
    options = parser.parse_args(arguments)
    started = time.monotonic()
    with service(read(TEMPLATE)) as address:
        key = store(address, list(shop_traffic(datetime.now(UTC))))
        take(address, key, options.file, options.chromium)
    print(f"{options.file} taken in {time.monotonic() - started:.1f} s")
    return 0


if __name__ == "__main__":
    raise SystemExit(main())
