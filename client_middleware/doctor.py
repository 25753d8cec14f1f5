"""`python -m client_middleware doctor` checks whether tracking works from here, and says what to do if not.

Each check is one line: `ok` or `FAIL`, its name, what was found. A failure has a second line with advice.
"""

from __future__ import annotations

import os
import secrets
import socket
import time
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, fields
from typing import Any
from urllib.parse import urlsplit

from client_middleware import settings as configuration
from client_middleware.settings import Settings, SettingsError, spelled
from client_middleware.sink import MemorySink
from client_middleware.transport import Outcome, Transport, clock_skew
from client_middleware.wire import Encoder

TEST_ENDPOINT = "/client-middleware-doctor"
MOST_SKEW_S = 300.0  # a log that is further ahead gets its time of receipt from the service
SAMPLE_CLIENT = "203.0.113.77"  # RFC 5737: for documentation


@dataclass(frozen=True, slots=True)
class Check:
    """One line of the report."""

    name: str
    fine: bool
    found: str
    advice: str = ""

    def __str__(self) -> str:
        advice = f"\n       {' ' * 14}{self.advice}" if self.advice and not self.fine else ""
        return f"{'ok  ' if self.fine else 'FAIL'}   {self.name:14}{self.found}{advice}"


def examine(arguments: Mapping[str, Any]) -> Iterator[Check]:
    """Run the checks one by one; stop at a failure that makes the others useless."""
    try:
        settings = configuration.load(**arguments)
    except SettingsError as error:
        yield Check("settings", fine=False, found=str(error), advice="Correct it where it is set.")
        return
    yield from _settings(settings)
    yield _sample(settings)
    if settings.api_base is None or settings.api_key is None:
        return
    address = _dns(settings.api_base)
    yield address
    if not address.fine:
        return
    yield from _service(settings, settings.api_base, settings.api_key)


def _settings(settings: Settings) -> Iterator[Check]:
    for each in fields(settings):
        if not each.metadata or (each.name not in settings.sources and each.name not in ("api_base", "api_key")):
            continue
        value = getattr(settings, each.name)
        source = settings.sources.get(each.name)
        if value is None:
            advice = f"Set {spelled(each.name)} in the environment or in .env; without it nothing is tracked."
            yield Check(each.name, fine=False, found="not set", advice=advice)
        else:
            secret = each.name in ("api_key", "ip_secret")
            yield Check(each.name, fine=True, found=f"{_masked(value) if secret else value}  (from {source})")
    left = sum(1 for each in fields(settings) if each.metadata) - len({"api_base", "api_key", *settings.sources})
    yield Check("settings", fine=True, found=f"{left} others at their defaults")


def _masked(secret: str) -> str:
    return f"{secret[:6]}…{secret[-2:]}" if len(secret) > 16 else "…"


def _sample(settings: Settings) -> Check:
    """What a request through the proxies would be recorded as."""
    from client_middleware.tracker import Tracker

    sink = MemorySink()
    forwarded = (b"x-forwarded-for", SAMPLE_CLIENT.encode())
    tracker = Tracker(settings, sink)

    class Route:
        path_format = "/items/{item_id}"

    peer = "10.0.0.1" if settings.trusted_proxies else SAMPLE_CLIENT
    scope = {"type": "http", "method": "GET", "path": "/items/1", "headers": [forwarded], "client": (peer, 1)}
    tracker.record({**scope, "route": Route}, "/items/1", time.time(), 0.001, 200)
    tracker.flush(0)
    said = f"GET /items/1 of {SAMPLE_CLIENT}, seen from {peer}, is recorded as"
    if not sink.logs:
        advice = "Call it by hand with such a request: it fails." if settings.consumer else "This is a defect."
        return Check("a request", fine=False, found=f"{said} nothing", advice=advice)
    return Check("a request", fine=True, found=f"{said} {sink.logs[0]['endpoint']} of {sink.logs[0]['ip']}")


def _dns(api_base: str) -> Check:
    host = urlsplit(api_base).hostname or ""
    try:
        found = socket.getaddrinfo(host, None, type=socket.SOCK_STREAM)
    except OSError as error:
        advice = f"Check the spelling of {spelled('api_base')}, and this machine's DNS."
        return Check("DNS", fine=False, found=f"{host}: {error}", advice=advice)
    return Check("DNS", fine=True, found=f"{host} is {found[0][4][0]}")


def _service(settings: Settings, api_base: str, api_key: str) -> Iterator[Check]:
    transport = Transport(api_base, api_key, settings.timeout_seconds)
    try:
        first = _send(transport, with_log=True)
        start = time.perf_counter()
        again = _send(transport, with_log=False) if first.kind == "stored" else first
        milliseconds = (time.perf_counter() - start) * 1000
    finally:
        transport.close()
    reached = first.reason not in ("unreachable", "unconfirmed")
    advice = "Is the service running, and does a firewall or a proxy (HTTPS_PROXY, NO_PROXY) stand between?"
    yield Check("reachability", reached, f"{api_base} answers" if reached else first.detail, advice)
    if not reached:
        return
    if first.kind == "unauthorized":
        advice = f"Put the key that POST {api_base}/generate_key gave into {spelled('api_key')}; it may be revoked."
        yield Check("API key", fine=False, found="is not accepted", advice=advice)
        return
    if first.kind != "stored":
        advice = f"Is {spelled('api_base')} the address of the service itself, without a path of its?"
        yield Check("test event", fine=False, found=first.detail, advice=advice)
        return
    yield Check("API key", fine=True, found="is accepted")
    yield Check("test event", fine=True, found=f"stored as GET {TEST_ENDPOINT}")
    yield Check("round trip", fine=again.kind == "stored", found=f"{milliseconds:.0f} ms", advice=again.detail)
    skew = clock_skew(first)
    if skew is not None:
        direction = "ahead of" if skew > 0 else "behind"
        # The Date header has whole seconds: a smaller difference says nothing.
        found = f"{abs(skew):.0f} s {direction} the service" if abs(skew) > 2 else "agrees with the service's"
        advice = "Set this machine's clock (NTP): the dashboard files logs by it."
        yield Check("clock", fine=abs(skew) < MOST_SKEW_S, found=found, advice=advice)


def _send(transport: Transport, *, with_log: bool) -> Outcome:
    row = (time.time(), 0.0, "GET", TEST_ENDPOINT, 200, None, "", 1)
    batch_id = f"doctor-{secrets.token_hex(8)}"
    body, _ = Encoder().batch([row] if with_log else [], batch_id, f"doctor-{os.getpid()}", {})
    return transport.post(body)


def main(arguments: Mapping[str, Any]) -> int:
    """Print the report; return the exit code, 0 if all checks passed."""
    fine = True
    for check in examine(arguments):
        print(check, flush=True)
        fine &= check.fine
    print("All is well." if fine else "Tracking does not work yet.")
    return 0 if fine else 1
