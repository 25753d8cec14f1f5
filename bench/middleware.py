"""What tracking adds to a request, in CPU: python -m bench.middleware

The same FastAPI app is driven through its ASGI interface, each contender in a process of its own, all of them once in
each round, and so is the app alone. The best round of each counts, for what else a machine does only ever adds to CPU
time. CPU is that of the whole process, background threads included. Ours delivers to a live server on loopback in every
round; the others export to a closed port, most of them not in every round, so they are shown cheaper than they are.
Contenders come from the `bench` dependency group, in `.venv-bench`, which is made when it is missing.
"""

from __future__ import annotations

import asyncio
import json
import os
import subprocess
import sys
import threading
import time
import tomllib
from collections.abc import Awaitable, Callable, Iterator, MutableMapping
from contextlib import ExitStack, contextmanager
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any

ROOT = Path(__file__).resolve().parents[1]
VENV = ROOT / ".venv-bench"
REQUESTS = 1000  # of each app in one round of one contender; whole batches of ours
ROUNDS = 40
SETTLE_S = 0.1  # after a round, for what is sent in the background
CLOSED = "http://127.0.0.1:9"  # discard: nothing listens

Message = MutableMapping[str, Any]
HEADERS = [
    (b"host", b"api.example.com"),
    (b"user-agent", b"Mozilla/5.0 (X11; Linux x86_64; rv:142.0) Gecko/20100101 Firefox/142.0"),
    (b"accept", b"application/json"),
    (b"accept-language", b"en-US,en;q=0.5"),
    (b"accept-encoding", b"gzip, deflate, br"),
    (b"authorization", b"Bearer 0123456789abcdef0123456789abcdef"),
    (b"x-forwarded-for", b"203.0.113.7"),
]


def bare(_: Any) -> None:
    """The app alone."""


def ours(app: Any) -> None:
    """TrackingMiddleware."""
    from client_middleware import TrackingMiddleware

    app.add_middleware(TrackingMiddleware, api_key="bench", ip="full")


def ours_http(app: Any) -> None:
    """The original's way of use."""
    from client_middleware import create_tracking_middleware

    app.middleware("http")(create_tracking_middleware(api_key="bench", ip="full"))


def an_empty_one(app: Any) -> None:
    """What Starlette's own wrapper costs in the original's way, with nothing in it."""

    async def pass_on(request: Any, call_next: Callable[[Any], Awaitable[Any]]) -> Any:
        return await call_next(request)

    app.middleware("http")(pass_on)


def instrumentator(app: Any) -> None:
    """Counts in memory; nothing is sent."""
    from prometheus_fastapi_instrumentator import Instrumentator

    Instrumentator().instrument(app)


def api_analytics(app: Any) -> None:
    """Posts once a minute, so most runs see no post."""
    from api_analytics.fastapi import Analytics, Config

    app.add_middleware(Analytics, api_key="bench", config=Config(server_url=CLOSED))


def apitally(app: Any) -> None:
    """Its defaults."""
    os.environ["APITALLY_OTLP_ENDPOINT"] = CLOSED
    from apitally.fastapi import init

    init(app, write_token="apt_" + "a" * 24)


def opentelemetry(app: Any) -> None:
    """The FastAPI instrumentation with spans exported in batches over OTLP."""
    from opentelemetry.exporter.otlp.proto.http.trace_exporter import OTLPSpanExporter
    from opentelemetry.instrumentation.fastapi import FastAPIInstrumentor
    from opentelemetry.sdk.trace import TracerProvider
    from opentelemetry.sdk.trace.export import BatchSpanProcessor

    provider = TracerProvider()
    provider.add_span_processor(BatchSpanProcessor(OTLPSpanExporter(endpoint=f"{CLOSED}/v1/traces")))
    FastAPIInstrumentor.instrument_app(app, tracer_provider=provider)


CONTENDERS: dict[str, tuple[Callable[[Any], None], str]] = {
    "bare": (bare, ""),
    "ours": (ours, ""),
    "ours, middleware('http')": (ours_http, ""),
    "an empty middleware('http')": (an_empty_one, ""),
    "prometheus-fastapi-instrumentator": (instrumentator, "prometheus-fastapi-instrumentator"),
    "api-analytics": (api_analytics, "api-analytics"),
    "apitally": (apitally, "apitally"),
    "opentelemetry": (opentelemetry, "opentelemetry-instrumentation-fastapi"),
}


async def work(name: str) -> None:
    """Be one contender: a round for each line on stdin, its CPU per request in µs on stdout."""
    import logging

    from fastapi import FastAPI

    logging.disable(logging.CRITICAL)  # a closed port is bad news to exporters
    app = FastAPI()

    @app.get("/items/{item_id}")
    async def item(item_id: int) -> dict[str, int]:
        return {"item_id": item_id}

    CONTENDERS[name][0](app)
    requests = REQUESTS - 1
    await request(app)
    loop = asyncio.get_running_loop()
    while await loop.run_in_executor(None, sys.stdin.readline):
        start = time.process_time()
        for _ in range(requests):
            await request(app)
        requests = REQUESTS
        await asyncio.sleep(SETTLE_S)
        print((time.process_time() - start) / REQUESTS * 1e6, flush=True)


async def request(app: Callable[..., Awaitable[None]]) -> None:
    """One request, as a server would make it."""
    scope = {
        "type": "http",
        "asgi": {"version": "3.0", "spec_version": "2.3"},
        "http_version": "1.1",
        "method": "GET",
        "scheme": "http",
        "path": "/items/42",
        "raw_path": b"/items/42",
        "query_string": b"",
        "root_path": "",
        "headers": HEADERS,
        "client": ("203.0.113.7", 51234),
        "server": ("127.0.0.1", 8000),
    }
    sent: list[Message] = []

    async def receive() -> Message:
        return {"type": "http.request", "body": b"", "more_body": False}

    async def send(message: Message) -> None:
        sent.append(message)

    await app(scope, receive, send)
    assert sent[0]["status"] == 200, sent


@contextmanager
def collector() -> Iterator[tuple[str, list[int]]]:
    """A server that takes batches; its address, and how many logs each batch had."""
    counts: list[int] = []

    class Collector(BaseHTTPRequestHandler):
        protocol_version = "HTTP/1.1"
        disable_nagle_algorithm = True

        def do_POST(self) -> None:
            body = json.loads(self.rfile.read(int(self.headers["content-length"])))
            counts.append(len(body["logs"]))
            answer = json.dumps({"accepted": counts[-1], "rejected": [], "duplicate": False}).encode()
            self.send_response(200)
            self.send_header("content-length", str(len(answer)))
            self.end_headers()
            self.wfile.write(answer)

        def log_message(self, format: str, *args: Any) -> None:  # noqa: A002 - its name there
            pass

    server = ThreadingHTTPServer(("127.0.0.1", 0), Collector)
    threading.Thread(target=server.serve_forever, daemon=True).start()
    try:
        yield f"http://127.0.0.1:{server.server_port}", counts
    finally:
        server.shutdown()
        server.server_close()


def installed() -> dict[str, str]:
    """Make `.venv-bench` where it is missing; the versions of what it holds."""
    uv = [str(Path(sys.executable).parent / "uv")]
    python = ["--python", str(VENV / "bin/python")]
    if not VENV.exists():
        subprocess.run([*uv, "venv", "--quiet", str(VENV)], check=True)
        for need in tomllib.loads((ROOT / "pyproject.toml").read_text())["dependency-groups"]["bench"]:
            # One by one: a contender that does not install is left out, and said so, instead of stopping the others.
            subprocess.run([*uv, "pip", "install", "--quiet", *python, need], check=False)
    listed = subprocess.run([*uv, "pip", "list", "--format=json", *python], check=True, capture_output=True)
    return {each["name"]: each["version"] for each in json.loads(listed.stdout)}


def measure(names: list[str], api_base: str) -> dict[str, float]:
    """CPU per request in µs of each contender in its best round; the first only warms up."""
    environment = os.environ | {"API_BASE": api_base, "PYTHONPATH": str(ROOT), "NO_PROXY": "127.0.0.1"}
    results: dict[str, list[float]] = {name: [] for name in names}
    with ExitStack() as running:
        workers = {
            name: running.enter_context(
                subprocess.Popen(
                    [VENV / "bin/python", "-m", "bench.middleware", name],
                    cwd=ROOT,
                    env=environment,
                    stdin=subprocess.PIPE,
                    stdout=subprocess.PIPE,
                    text=True,
                )
            )
            for name in names
        }
        for _ in range(ROUNDS + 1):
            for name, worker in workers.items():
                results[name].append(_round(worker))
        for worker in workers.values():
            worker.terminate()  # exporters would go on trying their closed port
    return {name: min(rounds[1:]) for name, rounds in results.items()}


def _round(worker: subprocess.Popen[str]) -> float:
    assert worker.stdin is not None and worker.stdout is not None
    worker.stdin.write("\n")
    worker.stdin.flush()
    return float(worker.stdout.readline())


def main() -> None:
    """Measure all contenders and print them side by side."""
    versions = installed()
    names = [name for name, (_, package) in CONTENDERS.items() if not package or package in versions]
    with collector() as (api_base, counts):
        results = measure(names, api_base)
    own = 2 * (ROUNDS + 1) * REQUESTS
    assert sum(counts) == own, f"{sum(counts)} of {own} logs arrived"
    alone = results.pop("bare")
    added = {name: microseconds - alone for name, microseconds in results.items()}
    print(f"bare app: {alone:.0f} µs of CPU a request, FastAPI {versions['fastapi']}, CPython {sys.version.split()[0]}")
    print(
        f"ours: all of {own:,} logs arrived, in {len(counts)} batches; load of this machine {os.getloadavg()[0]:.1f}\n"
    )
    print(f"{'':36}{'version':>10}{'µs added':>10}{'ratio':>8}")
    for name, microseconds in added.items():
        version = versions.get(CONTENDERS[name][1], "")
        print(f"{name:36}{version:>10}{microseconds:10.1f}{microseconds / added['ours']:8.1f}")
    for name, (_, package) in CONTENDERS.items():
        if name not in names:
            print(f"{name:36}not measured: {package} could not be installed")


if __name__ == "__main__":
    if len(sys.argv) > 1:
        asyncio.run(work(sys.argv[1]))
    else:
        main()
