"""What a request is recorded with, as settings say: exclusions, consumers, user agents, raw paths, addresses."""

from __future__ import annotations

import gc
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from fastapi import Depends, FastAPI, Request
from starlette.testclient import TestClient

from client_middleware import MemorySink, TrackingMiddleware, flush
from client_middleware.settings import Settings
from client_middleware.tracker import Tracker
from tests.client_middleware.conftest import CollectorProcess

Track = Callable[..., FastAPI]
NOON = 1_763_985_600.0  # 2025-11-24T12:00:00Z


def bare_app() -> FastAPI:
    """An app with a few routes."""
    app = FastAPI()

    @app.get("/health")
    @app.get("/internal/{name}")
    @app.get("/items/{name}")
    async def item(name: str = "") -> str:
        return name

    return app


def recorded(sink: MemorySink, field: str) -> list[Any]:
    """One field of each log."""
    return [log.get(field) for log in sink.logs]


def test_nothing_more_by_default(track: Track, sink: MemorySink) -> None:
    """By default a log has these fields, the address masked, and no others."""
    app = track(bare_app(), sink=sink)
    TestClient(app, client=("203.0.113.7", 1)).get("/items/7?secret=1", headers={"user-agent": "me", "cookie": "x"})
    assert set(sink.logs[0]) == {"created_at", "method", "endpoint", "ip", "process_time", "status_code"}
    assert sink.logs[0]["ip"] == "203.0.113.0"


def test_excluded_paths(track: Track, sink: MemorySink) -> None:
    """Excluded paths are answered and not recorded: by name, by `*`, by the word for probes."""
    client = TestClient(track(bare_app(), sink=sink, exclude_paths="probes, /internal/*"))
    for path in ("/health", "/internal/a", "/items/a", "/health/x", "/internals"):
        client.get(path)
    assert client.get("/health").status_code == 200
    assert recorded(sink, "endpoint") == ["/items/{name}", "(unmatched)", "(unmatched)"]


def test_a_pattern_is_no_glob(track: Track, sink: MemorySink) -> None:
    """Only `*` is special in an excluded path."""
    client = TestClient(track(bare_app(), sink=sink, exclude_paths=["/items/[ab]", "/items/c?"]))
    for path in ("/items/a", "/items/cd", "/items/[ab]"):
        client.get(path)
    assert len(sink.logs) == 2


def test_excluded_methods(track: Track, sink: MemorySink) -> None:
    """Excluded methods are not recorded."""
    client = TestClient(track(bare_app(), sink=sink, exclude_methods="options,head"))
    for method in ("GET", "HEAD", "OPTIONS"):
        client.request(method, "/items/x")
    assert recorded(sink, "method") == ["GET"]


def test_a_consumer_by_function(track: Track, sink: MemorySink) -> None:
    """A function of the request names who calls; None and an empty text name nobody."""
    app = track(bare_app(), sink=sink, consumer=lambda request: request.headers.get("x-client"))
    client = TestClient(app)
    for headers in ({"x-client": "acme"}, {}, {"x-client": ""}, {"x-client": "ü" * 200}):
        client.get("/items/x", headers={name.encode(): value.encode() for name, value in headers.items()})
    assert recorded(sink, "consumer")[:3] == ["acme", None, None]
    assert len(recorded(sink, "consumer")[3]) == 128


def test_a_consumer_by_state(track: Track, sink: MemorySink) -> None:
    """What a dependency put into request.state names who calls, if it is text."""
    app = FastAPI()

    async def authenticate(request: Request) -> None:
        request.state.tenant = {"a": "acme", "b": 42}.get(request.headers.get("x-key", ""))

    @app.get("/", dependencies=[Depends(authenticate)])
    async def index() -> None:
        pass

    client = TestClient(track(app, sink=sink, consumer="tenant"))
    for key in "abc":
        client.get("/", headers={"x-key": key})
    client.get("/nowhere")
    assert recorded(sink, "consumer") == ["acme", None, None, None]


def test_a_consumer_that_raises(track: Track, sink: MemorySink, caplog: pytest.LogCaptureFixture) -> None:
    """A function that raises costs the log, never the request; the traceback is logged once."""

    def consumer(request: Request) -> str:
        return request.headers["x-client"]

    client = TestClient(track(bare_app(), sink=sink, consumer=consumer))
    assert [client.get("/items/x").status_code for _ in range(3)] == [200] * 3
    assert sink.logs == []
    assert [record.name for record in caplog.records if record.exc_info] == ["client_middleware"]


def test_user_agent(track: Track, sink: MemorySink) -> None:
    """The user agent is kept if asked."""
    TestClient(track(bare_app(), sink=sink, user_agent=True)).get("/items/x", headers={"user-agent": "curl/8"})
    assert recorded(sink, "user_agent") == ["curl/8"]


@pytest.mark.parametrize(
    ("raw_path", "paths"),
    [("none", [None, None]), ("unmatched", [None, "/wp/login.php"]), ("all", ["/items/ä b", "/wp/login.php"])],
)
def test_raw_path(raw_path: str, paths: list[str | None], track: Track, sink: MemorySink) -> None:
    """The path as it was asked for is kept where asked: nowhere, where no route matched, everywhere."""
    client = TestClient(track(bare_app(), sink=sink, raw_path=raw_path))
    client.get("/items/ä b?query=1")
    client.get("/wp/login.php?query=1")
    assert recorded(sink, "path") == paths


def test_behind_proxies(track: Track, sink: MemorySink) -> None:
    """X-Forwarded-For counts when proxies are trusted, and not by default."""
    forwarded = {"x-forwarded-for": "6.6.6.6, 203.0.113.7"}
    client = TestClient(track(bare_app(), sink=sink, ip="full", trusted_proxies=1), client=("10.0.0.1", 1))
    client.get("/items/x", headers=forwarded)
    default = TestClient(track(bare_app(), sink=sink, ip="full"), client=("10.0.0.1", 1))
    default.get("/items/x", headers=forwarded)
    assert recorded(sink, "ip") == ["203.0.113.7", "10.0.0.1"]


def test_sampled(track: Track, sink: MemorySink) -> None:
    """With sampling, weights add up to the requests, with the tail when the app shuts down."""
    app = track(bare_app(), sink=sink, sample_rate=0.2)
    with TestClient(app) as client:
        for _ in range(100):
            client.get("/items/x")
    assert sum(log.get("weight", 1) for log in sink.logs) == 100
    assert len(sink.logs) < 60


@pytest.mark.skipif(not hasattr(FastAPI, "frontend"), reason="came with FastAPI 0.138")
def test_a_frontend(track: Track, sink: MemorySink, tmp_path: Path) -> None:
    """Files of a frontend are filed under where it is mounted, at the root and below."""
    (tmp_path / "index.html").write_text("<p>page</p>")
    app = bare_app()
    app.frontend("/shop", directory=tmp_path)
    client = TestClient(track(app, sink=sink))
    for path in ("/shop/", "/shop/index.html", "/shop/cart/7", "/items/x"):
        client.get(path)
    assert recorded(sink, "endpoint") == ["/shop/{path}", "/shop/{path}", "/shop/{path}", "/items/{name}"]


def test_inside_of_another_app(sink: MemorySink) -> None:
    """An app that is mounted and tracked itself is filed under its whole path."""
    inner = bare_app()
    inner.add_middleware(TrackingMiddleware, sink=sink)
    outer = FastAPI()
    outer.mount("/v1/{tenant}", inner)
    TestClient(outer).get("/v1/acme/items/x")
    assert recorded(sink, "endpoint") == ["/v1/{tenant}/items/{name}"]


def test_hashed_addresses_change_daily(sink: MemorySink) -> None:
    """A client has one hash on one day (UTC), and another on the next."""
    tracker = Tracker(Settings(ip="hashed", ip_secret="secret"), sink)
    scope = {"type": "http", "method": "GET", "headers": [], "client": ("203.0.113.7", 1)}
    for at in (NOON, NOON + 43_199, NOON + 43_200):
        tracker.record(scope, "/", at, 0.001, 200)
    today, tonight, tomorrow = recorded(sink, "ip")
    assert today == tonight != tomorrow


def test_the_secret_of_hashed_addresses() -> None:
    """The secret that is set makes the hashes, in every process the same ones; without one, the API key does."""
    scope = {"type": "http", "method": "GET", "headers": [], "client": ("203.0.113.7", 1)}
    kept = []
    for secret in (None, "one", "two", "one"):
        sink = MemorySink()
        Tracker(Settings(ip="hashed", api_key="key", ip_secret=secret), sink).record(scope, "/", NOON, 0.001, 200)
        kept += recorded(sink, "ip")
    assert len(set(kept)) == 3
    assert kept[1] == kept[3]


def test_a_flush_of_every_app(collector: CollectorProcess) -> None:
    """A flush of the process says that something is left if one app has something left, however many have not."""
    collector.kill()
    trackers = [Tracker(Settings(), MemorySink()) for _ in range(10)]
    trackers.insert(5, Tracker(Settings(api_base=collector.url, api_key="good")))
    trackers[5].record({"type": "http", "method": "GET", "headers": []}, "/", NOON, 0.001, 200)
    assert not flush(0.3)
    collector.start()
    assert flush(20)
    assert collector.requests == 1


def test_a_request_that_cannot_be_recorded_is_counted(collector: CollectorProcess) -> None:
    """A request lost to an exception in `consumer` is reported as lost, and the others are stored."""

    def consumer(request: Request) -> str:
        return request.headers["x-client"]

    tracker = Tracker(Settings(api_base=collector.url, api_key="good", consumer=consumer))
    for headers in ([], [(b"x-client", b"acme")]):
        tracker.record({"type": "http", "method": "GET", "headers": headers}, "/", NOON, 0.001, 200)
    assert tracker.close(10)
    assert (collector.requests, collector.dropped) == (1, {"unrecordable": 1})


def test_an_app_that_is_gone(collector: CollectorProcess) -> None:
    """Requests of an app that was thrown away are sent, also those that the sample still holds back."""
    app = bare_app()
    app.add_middleware(TrackingMiddleware, api_base=collector.url, api_key="good", sample_rate=0.5, flush_seconds=60)
    client = TestClient(app)
    for _ in range(40):
        client.get("/items/x")
    del app, client
    gc.collect()
    assert flush(10)
    assert collector.requests == 40


class Context:
    """What Lambda hands to a handler: the time that is left of the invocation."""

    def __init__(self, milliseconds: int) -> None:
        self.milliseconds = milliseconds

    def get_remaining_time_in_millis(self) -> int:
        """Of the invocation."""
        return self.milliseconds


def test_an_invocation_keeps_time_for_its_answer(collector: CollectorProcess, monkeypatch: pytest.MonkeyPatch) -> None:
    """On Lambda nothing is sent in the last moments of an invocation, which belong to its answer."""
    monkeypatch.setenv("AWS_LAMBDA_FUNCTION_NAME", "app")
    tracker = Tracker(Settings(api_base=collector.url, api_key="good", lambda_seconds=10))
    scope = {"type": "http", "method": "GET", "headers": []}
    tracker.record(scope, "/", NOON, 0.001, 200)
    tracker.flush_invocation({"aws.context": Context(190)})
    assert collector.requests == 0
    tracker.flush_invocation({"aws.context": Context(10_000)})
    assert collector.requests == 1
