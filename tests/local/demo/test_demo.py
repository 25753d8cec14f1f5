"""`python -m local demo` from outside: what it shows, and that nothing is left behind."""

from __future__ import annotations

import re
import signal
import subprocess
import sys
import time
from collections import Counter
from io import StringIO
from typing import TYPE_CHECKING, Any

import httpx
from rich.console import Console

from local.demo.terminal import show
from local.demo.traffic import plan
from tests.local.conftest import ROOT, Local

if TYPE_CHECKING:
    from collections.abc import Callable


def answers(url: str) -> bool:
    """Whether a server answers there."""
    try:
        return httpx.get(url, trust_env=False).status_code < 500
    except httpx.TransportError:
        return False


def gone(url: str, within: float = 60) -> bool:
    """Whether the server there stops to answer soon."""
    deadline = time.monotonic() + within
    while answers(url):
        if time.monotonic() > deadline:
            return False
        time.sleep(0.1)
    return True


def test_once_shows_every_request_and_ends() -> None:
    """With --once the demo counts all requests, prints dashboard and addresses, exits 0 and leaves nothing running."""
    command = [sys.executable, "-m", "local", "demo", "--once", "--requests", "80"]
    done = subprocess.run(command, cwd=ROOT, capture_output=True, text=True, timeout=180, check=False)
    assert (done.returncode, done.stderr) == (0, "")
    assert "All 80 requests were counted, each with the status it was answered." in done.stdout
    for expected in ("/books/{book_id}", "203.0.113.1", "DELETE", "Delivery: 80 accepted, 0 refused"):
        assert expected in done.stdout
    assert re.search(r"Key +aak_\w{33}\n", done.stdout)
    addresses = set(re.findall(r"http://127\.0\.0\.1:\d+", done.stdout))
    assert len(addresses) == 2  # the service and the bookshop
    assert [address for address in addresses if answers(address)] == []


def test_bookshop_ends_with_the_demo(start: Callable[..., Local]) -> None:
    """Without --once the demo serves on until it is stopped; even kill -9 of it leaves no sample app behind."""
    demo = start("demo", "--requests", 5)
    assert demo.process.stdout is not None
    lines: list[str] = []
    while "Ctrl-C stops." not in (line := demo.process.stdout.readline()):
        assert line, lines
        lines.append(line)
    assert "All 5 requests were counted" in "".join(lines)
    shop = re.search(r"Bookshop +(http://\S+)", "".join(lines))
    assert shop is not None
    assert answers(shop[1])
    assert answers(f"{demo.url}/health")
    assert demo.stop(signal.SIGKILL) == -signal.SIGKILL
    assert gone(shop[1])


def test_plan_is_varied_and_the_same_each_time() -> None:
    """The visits come from several clients, by several methods, to what is there and what is not."""
    visits = plan(300)
    assert visits == plan(300)
    assert {visit.method for visit in visits} == {"GET", "POST", "PUT", "DELETE"}
    clients = Counter(visit.headers["x-forwarded-for"] for visit in visits)
    assert len(clients) > 8
    assert len({visit.headers["user-agent"] for visit in visits}) == 4
    assert {visit.path.split("/")[1] for visit in visits} == {"books", "orders", "catalogue.csv", "wp-admin"}


def test_empty_dashboard_and_odd_names_are_shown() -> None:
    """A dashboard without logs is shown without error, and text with the marks of rich's markup comes out as it is."""
    empty: dict[str, Any] = {
        "summary": {
            "total_requests": 0,
            "unique_ips": 0,
            "error_rate": 0.0,
            **dict.fromkeys(("avg_response_time", "p50", "p95", "p99")),
        },
        "endpoint_stats": [],
        "status_codes": {},
        "method_usage": {},
        "top_ips": [],
        "time_series": [],
        "delivery": {"accepted": 0, "rejected": {"ip": 2}, "duplicates": 0, "dropped": {"full": 1}},
    }
    times = dict.fromkeys(("avg_time", "p95", "p99"), 1234.56)
    stats = {"endpoint": "/[red]/{id}", "requests": 1, "errors_count": 0, **times}
    odd = empty | {"endpoint_stats": [stats], "status_codes": {"503": 1}}
    printed = []
    for dashboard in (empty, odd):
        out = StringIO()
        show(dashboard, Console(file=out, width=100))
        printed.append(out.getvalue())
    assert "Delivery: 0 accepted, 2 refused, 0 repeated, 1 dropped by the client" in printed[0]
    assert re.search(r"/\[red\]/\{id\} +│ +1 │ 1,234\.6 ms", printed[1])
    assert re.search(r"503 +│ +1", printed[1])
