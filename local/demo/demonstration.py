"""The demonstration: starts the service and a tracked sample app, sends traffic, and shows the dashboard."""

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

    from local.template import Template

START_S = 60  # s that the sample app may take to start on a busy machine
ARRIVE_S = 30  # s after the last request in which its log must arrive; the middleware sends every second
STOP_S = 8  # s that the sample app gets to send its last logs
# The visitors are made up and name themselves in X-Forwarded-For. By default only their networks would be stored, and
# logs would be sent after five seconds.
DEMO_SETTINGS = {"ANALYTICS_IP": "full", "ANALYTICS_TRUSTED_PROXIES": "1", "ANALYTICS_FLUSH_SECONDS": "1"}
# Variables of the shell that are meant for other apps: the middleware's settings, certificates of other hosts.
NOT_FOR_THE_APP = ("ANALYTICS_", "API_BASE", "SSL_CERT_")


@contextlib.contextmanager
def demonstration(
    stack: Template, port: int = 0, requests: int = 300, data: Path | None = None, *, once: bool = False
) -> Iterator[bool]:
    """Show the dashboard, then yield whether every request was counted; the servers run until the `with` block ends.

    With `once` no address is shown, because soon nothing answers there. Raises ServiceError and what `service` raises.
    """
    console = Console(highlight=False)
    if not console.is_terminal:
        console.width = max(console.width, 100)
    with service(stack, port=port, data=data) as address:
        if not once:
            console.print(f"The service runs at [bold]{address}[/]")
        with httpx.Client(base_url=address, trust_env=False, timeout=30) as client:
            key = _json(client.post("/generate_key"))["api_key"]
            with sample_app(address, key) as shop:
                if not once:
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
                if not once:
                    _addresses(console, address, shop, key)
                elif data:
                    console.print(f"\n  Key   {key}\n  Page  python -m local serve --data {data}\n", soft_wrap=True)
                yield complete


@contextlib.contextmanager
def sample_app(address: str, key: str) -> Iterator[str]:
    """Run the sample app in its own process; yields its URL. It ends with this process, even after `kill -9`."""
    kept = {name: value for name, value in os.environ.items() if not name.startswith(NOT_FOR_THE_APP)}
    environment = kept | {"API_BASE": address, "ANALYTICS_API_KEY": key, **DEMO_SETTINGS}
    process = subprocess.Popen(
        [sys.executable, "-m", "local.demo.sample_app", "0"],
        cwd=ROOT,
        env=environment,
        stdin=subprocess.PIPE,  # the app stops when this is closed
        stdout=subprocess.PIPE,
        text=True,
        start_new_session=True,  # a Ctrl-C reaches only this process, which then stops the app
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
    """The dashboard's answer once it has counted all requests, or after ARRIVE_S seconds."""
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
    """Print whether the dashboard counted what was sent, status by status; returns it too."""
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
