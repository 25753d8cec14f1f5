"""`python -m local demo` from outside: what it shows, and that nothing is left behind."""

from __future__ import annotations

import os
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
    from pathlib import Path


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


def once(*arguments: str, **shell: str) -> str:
    """What `demo --once` shows; it must end well and say nothing else."""
    command = [sys.executable, "-m", "local", "demo", "--once", *arguments]
    done = subprocess.run(
        command, cwd=ROOT, env=os.environ | shell, capture_output=True, encoding="utf-8", timeout=180, check=False
    )
    assert (done.returncode, done.stderr) == (0, "")
    return done.stdout


def test_once_shows_every_request_and_no_address(tmp_path: Path) -> None:
    """With --once the demo counts all requests, prints the dashboard, and no address or key that has ended with it."""
    shown = once("--requests", "80")
    assert "All 80 requests were counted, each with the status it was answered." in shown
    for expected in ("/books/{book_id}", "203.0.113.1", "DELETE", "Delivery: 80 accepted, 0 refused"):
        assert expected in shown
    assert re.search(r"http://|aak_|:\d{4}", shown) is None
    kept = once("--requests", "1", "--data", str(tmp_path))
    assert re.search(rf"Key +aak_\w{{33}}\n +Page +python -m local serve --data {tmp_path}\n", kept)


def test_a_shell_that_is_set_up_for_other_things_does_not_matter() -> None:
    """Settings of another app and another service, a dead proxy, missing certificates, a terminal of ASCII alone."""
    dead = "http://127.0.0.1:9"
    shell = {
        "ALL_PROXY": "socks5://127.0.0.1:9",
        "ANALYTICS_SAMPLE_RATE": "0.1",
        "API_BASE": dead,
        "AWS_PROFILE": "missing",
        "DAILY_QUOTA": "1",
        "PYTHONIOENCODING": "ascii",
        "PYTHONWARNINGS": "error",
        "RAW_RETENTION_DAYS": "0",
        "SIGNUP_TOKEN": "secret",
        "SSL_CERT_FILE": "/nowhere.pem",
        "http_proxy": dead,
    }
    shown = once("--requests", "20", **shell)
    assert "All 20 requests were counted, each with the status it was answered." in shown
    assert "#####" in shown  # bars
    assert shown.isascii()


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
