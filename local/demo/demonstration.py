"""The demonstration: the service, a sample app that is tracked, real traffic, and what the dashboard says of it."""

from __future__ import annotations

import contextlib
import os
import select
import subprocess
import sys
import time
from typing import TYPE_CHECKING, Any

import httpx
from rich.console import Console
from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeElapsedColumn

from local.demo.terminal import show
from local.demo.traffic import plan, send
from local.service import ROOT, ServiceError, service

if TYPE_CHECKING:
    from collections import Counter
    from collections.abc import Iterator
    from pathlib import Path

START_S = 60  # s that the sample app may take to start on a busy machine
ARRIVE_S = 30  # s after the last request until which logs may arrive; the middleware sends every second
STOP_S = 8  # s that the sample app gets to send its last logs
# What the demonstration sets and a user would leave alone. Its clients are made up and come by X-Forwarded-For, so they
# may show whole (by default only networks are kept); and nobody wants to watch logs wait five seconds to be sent.
DEMO_SETTINGS = {
    "ANALYTICS_IP": "full",
    "ANALYTICS_TRUSTED_PROXIES": "1",
    "ANALYTICS_FLUSH_SECONDS": "1",
    "NO_PROXY": "127.0.0.1,localhost",
}


@contextlib.contextmanager
def demonstration(port: int = 0, requests: int = 300, data: Path | None = None) -> Iterator[bool]:
    """Show everything, then yield, while it all still serves, whether every request was counted.

    Whatever was started is stopped at the end of the `with` block. Raises ServiceError and what `service` raises.
    """
    console = Console(highlight=False)
    if not console.is_terminal:
        console.width = max(console.width, 100)
    with service(port=port, data=data) as address:
        console.print(f"The service runs at [bold]{address}[/]")
        with httpx.Client(base_url=address, trust_env=False, timeout=30) as client:
            key = _json(client.post("/generate_key"))["api_key"]
            with sample_app(address, key) as shop:
                console.print(f"A bookshop with the middleware runs at [bold]{shop}[/]\n")
                visits = plan(requests)
                with _progress(console) as progress:
                    task = progress.add_task("Requests to the bookshop", total=len(visits))
                    try:
                        statuses = send(visits, shop, lambda: progress.advance(task))
                    except httpx.HTTPError as error:
                        raise ServiceError(f"the sample app does not answer: {error}") from error
                    task = progress.add_task("Counted by the dashboard", total=len(visits))
                    dashboard = _arrived(client, key, len(visits), lambda count: progress.update(task, completed=count))
                console.print()
                show(dashboard, console)
                complete = _verdict(dashboard, statuses, console)
                _addresses(console, address, shop, key)
                yield complete


@contextlib.contextmanager
def sample_app(address: str, key: str) -> Iterator[str]:
    """Run the sample app in a process of its own; yields its URL. It ends with this process, however that ends."""
    environment = os.environ | {"API_BASE": address, "ANALYTICS_API_KEY": key, **DEMO_SETTINGS}
    process = subprocess.Popen(
        [sys.executable, "-m", "local.demo.sample_app", "0"],
        cwd=ROOT,
        env=environment,
        stdin=subprocess.PIPE,  # its end is what tells the app to stop
        stdout=subprocess.PIPE,
        text=True,
        start_new_session=True,  # a Ctrl-C is ours to handle: the app stops after its last request
    )
    assert process.stdin is not None and process.stdout is not None  # noqa: S101 - both are PIPE
    try:
        ready, _, _ = select.select([process.stdout], [], [], START_S)
        shop = process.stdout.readline().strip() if ready else ""
        if not shop:
            raise ServiceError(f"the sample app did not start within {START_S} s")
        yield shop
    finally:
        process.stdin.close()
        try:
            process.wait(STOP_S)
        except subprocess.TimeoutExpired:
            process.kill()
            process.wait()
        process.stdout.close()


def _progress(console: Console) -> Progress:
    columns = (TextColumn("{task.description}"), BarColumn(), MofNCompleteColumn(), TimeElapsedColumn())
    return Progress(*columns, console=console)


def _arrived(client: httpx.Client, key: str, wanted: int, on_count: Any) -> dict[str, Any]:
    """The dashboard as soon as it has counted all, or as it is when the time is up."""
    deadline = time.monotonic() + ARRIVE_S
    while True:
        dashboard = _json(client.get("/dashboard?period=minutely&top=8", headers={"X-API-Key": key}))
        count = dashboard["summary"]["total_requests"]
        on_count(count)
        if count >= wanted or time.monotonic() > deadline:
            return dashboard
        time.sleep(0.25)


def _json(response: httpx.Response) -> dict[str, Any]:
    if response.is_error:
        raise ServiceError(f"{response.request.method} {response.request.url.path}: {response.status_code}")
    answer: dict[str, Any] = response.json()
    return answer


def _verdict(dashboard: dict[str, Any], statuses: Counter[int], console: Console) -> bool:
    """Compare what was counted with what was sent, status by status, and say so."""
    sent = {str(status): count for status, count in statuses.items()}
    counted, total = dashboard["status_codes"], sum(statuses.values())
    if counted == sent:
        console.print(f"[green]All {total:,} requests were counted, each with the status it was answered.[/]")
        return True
    console.print(
        f"[yellow]Sent {total:,} requests ({_listed(sent)}), counted {dashboard['summary']['total_requests']:,} "
        f"({_listed(counted)}) within {ARRIVE_S} s.[/]"
    )
    return False


def _listed(counts: dict[str, int]) -> str:
    return ", ".join(f"{status}: {count}" for status, count in sorted(counts.items()))


def _addresses(console: Console, address: str, shop: str, key: str) -> None:
    console.print(
        f"\n  Page       {address}/\n"
        f"  Docs       {address}/docs\n"
        f"  Key        {key}\n"
        f"  Bookshop   {shop}/docs\n"
        f"  JSON       curl -H 'X-API-Key: {key}' {address}/dashboard\n",
        soft_wrap=True,
    )
