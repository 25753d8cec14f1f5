"""The middleware is a good guest of the app: nothing the app does changes, and everything it does is recorded.

Through real FastAPI apps, in both ways of use where the claim holds for both.
"""

from __future__ import annotations

import asyncio
import contextlib
import threading
from collections.abc import AsyncIterator, Callable
from contextvars import ContextVar
from typing import Any

import pytest
import uvloop
from fastapi import BackgroundTasks, Depends, FastAPI, HTTPException, Request, WebSocket
from fastapi.responses import FileResponse, StreamingResponse
from starlette.testclient import TestClient

from client_middleware import MemorySink, TrackingMiddleware, create_tracking_middleware
from client_middleware.buffer import Row
from tests.client_middleware.conftest import Message, ask

Track = Callable[..., FastAPI]
variable: ContextVar[str] = ContextVar("variable", default="unset")


@pytest.fixture
def app(track: Track, sink: MemorySink) -> FastAPI:
    """An app with a bit of everything, tracked."""
    app = FastAPI()

    @app.get("/ok/{name}")
    async def ok(name: str) -> str:
        return name

    @app.get("/sync")
    def sync() -> str:
        return threading.current_thread().name

    @app.get("/raise")
    async def raises() -> None:
        raise ZeroDivisionError("ours to see")

    @app.get("/refuse")
    async def refuse() -> None:
        raise HTTPException(418, "teapot")

    @app.get("/numbers/{number}")
    async def number(number: int) -> int:
        return number

    return track(app, sink=sink)


def recorded(sink: MemorySink) -> list[tuple[str, str, int]]:
    """Method, endpoint and status of what was recorded."""
    return [(log["method"], log["endpoint"], log["status_code"]) for log in sink.logs]


@pytest.mark.parametrize(
    ("method", "path", "status", "endpoint"),
    [
        ("GET", "/ok/x", 200, "/ok/{name}"),
        ("GET", "/sync", 200, "/sync"),
        ("GET", "/refuse", 418, "/refuse"),
        ("GET", "/numbers/no", 422, "/numbers/{number}"),
        ("POST", "/ok/x", 405, "/ok/{name}"),
        ("HEAD", "/openapi.json", 200, "/openapi.json"),
        ("OPTIONS", "/ok/x", 405, "/ok/{name}"),
        ("GET", "/sync/", 307, "(unmatched)"),
        ("GET", "/wp-login.php", 404, "(unmatched)"),
        ("PROPFIND", "/nowhere", 404, "(unmatched)"),
    ],
)
def test_what_is_recorded(method: str, path: str, status: int, endpoint: str, app: FastAPI, sink: MemorySink) -> None:
    """Method, route template and status of every request, whoever answered it."""
    answer = TestClient(app).request(method, path, follow_redirects=False)
    assert answer.status_code == status
    assert recorded(sink) == [(method, endpoint, status)]


def test_exceptions_travel_on(app: FastAPI, sink: MemorySink) -> None:
    """An exception reaches the app's handlers and the server untouched, and counts as 500."""
    with pytest.raises(ZeroDivisionError, match="ours to see"):
        TestClient(app).get("/raise")
    assert recorded(sink) == [("GET", "/raise", 500)]


def test_exception_handlers(track: Track, sink: MemorySink) -> None:
    """What the app's own handler makes of an exception is what is recorded."""
    app = FastAPI()

    @app.exception_handler(KeyError)
    async def missing(request: Request, error: KeyError) -> StreamingResponse:
        return StreamingResponse(iter(["gone"]), 410)

    @app.get("/")
    async def index() -> None:
        raise KeyError("x")

    assert TestClient(track(app, sink=sink)).get("/").status_code == 410
    assert recorded(sink) == [("GET", "/", 410)]


def test_context_variables(sink: MemorySink) -> None:
    """What a handler or a dependency sets in a context variable is there outside of the middleware."""
    app, seen = FastAPI(), []

    async def dependency() -> AsyncIterator[None]:
        variable.set("dependency")
        yield

    @app.get("/", dependencies=[Depends(dependency)])
    async def index() -> str:
        before = variable.get()
        variable.set("handler")
        return before

    app.add_middleware(TrackingMiddleware, sink=sink)

    async def outside(scope: Any, receive: Any, send: Any) -> None:
        await app(scope, receive, send)
        seen.append(variable.get())

    answer = asyncio.run(ask(outside))
    assert (answer[1]["body"], seen) == (b'"dependency"', ["handler"])


def test_background_tasks(track: Track, sink: MemorySink) -> None:
    """Background tasks run, and their time is not the request's."""
    app, done = FastAPI(), threading.Event()

    async def later() -> None:
        await asyncio.sleep(1)
        done.set()

    @app.get("/")
    async def index(tasks: BackgroundTasks) -> None:
        tasks.add_task(later)

    TestClient(track(app, sink=sink)).get("/")
    assert done.wait(20)
    assert sink.logs[0]["process_time"] < 900


def test_a_background_task_that_raises(sink: MemorySink) -> None:
    """A background task that raises does not turn the response that the client got into a 500."""
    app = FastAPI()

    @app.get("/", status_code=201)
    async def index(tasks: BackgroundTasks) -> None:
        tasks.add_task(lambda: 1 / 0)

    app.add_middleware(TrackingMiddleware, sink=sink)
    with pytest.raises(ZeroDivisionError):
        TestClient(app).get("/")
    assert recorded(sink) == [("GET", "/", 201)]


def test_streaming(track: Track, sink: MemorySink) -> None:
    """Each piece of a streamed response has left before the next is made."""
    app, events = FastAPI(), []

    async def pieces() -> AsyncIterator[str]:
        for number in range(3):
            events.append(f"make {number}")
            yield f"send {number}"
            await asyncio.sleep(0.02)

    @app.get("/events")
    async def stream() -> StreamingResponse:
        return StreamingResponse(pieces(), media_type="text/event-stream")

    async def listen(scope: Any, receive: Any, send: Any) -> None:
        async def hear(message: Message) -> None:
            if message.get("body"):
                events.append(message["body"].decode())

        await app(scope, receive, hear)

    track(app, sink=sink)
    asyncio.run(ask(listen, "/events"))
    assert events == ["make 0", "send 0", "make 1", "send 1", "make 2", "send 2"]
    assert recorded(sink) == [("GET", "/events", 200)]


def test_the_time_of_a_stream(sink: MemorySink) -> None:
    """The pure ASGI way measures to the last byte."""
    app = FastAPI()

    async def pieces() -> AsyncIterator[str]:
        for _ in range(3):
            yield "x"
            await asyncio.sleep(0.05)

    @app.get("/")
    async def index() -> StreamingResponse:
        return StreamingResponse(pieces())

    app.add_middleware(TrackingMiddleware, sink=sink)
    TestClient(app).get("/")
    assert sink.logs[0]["process_time"] > 145


def test_a_stream_that_breaks(sink: MemorySink) -> None:
    """A response that breaks off with an exception half way counts as 500, whatever it began with."""
    app = FastAPI()

    async def pieces() -> AsyncIterator[str]:
        yield "x"
        raise RuntimeError("half way")

    @app.get("/")
    async def index() -> StreamingResponse:
        return StreamingResponse(pieces())

    app.add_middleware(TrackingMiddleware, sink=sink)
    with contextlib.suppress(RuntimeError):
        TestClient(app).get("/")
    assert recorded(sink) == [("GET", "/", 500)]


def test_files(track: Track, sink: MemorySink) -> None:
    """A file is sent and recorded."""
    app = FastAPI()

    @app.get("/file")
    async def file() -> FileResponse:
        return FileResponse(__file__)

    assert "test_files" in TestClient(track(app, sink=sink)).get("/file").text
    assert recorded(sink) == [("GET", "/file", 200)]


@pytest.mark.parametrize("spec_version", ["2.3", "2.4"])
def test_disconnect(spec_version: str, track: Track, sink: MemorySink) -> None:
    """When the client goes away in the middle of a stream, the stream is stopped and the request recorded once."""
    app, stopped = FastAPI(), []

    async def forever() -> AsyncIterator[bytes]:
        try:
            while True:
                yield b"x"
                await asyncio.sleep(0)
        finally:
            stopped.append(True)

    @app.get("/")
    async def index() -> StreamingResponse:
        return StreamingResponse(forever())

    tracked = track(app, sink=sink)

    async def one() -> None:
        gone = asyncio.Event()
        first = iter([{"type": "http.request", "body": b"", "more_body": False}])
        count = 0

        async def receive() -> Message:
            for message in first:
                return message
            await gone.wait()
            return {"type": "http.disconnect"}

        async def send(message: Message) -> None:
            nonlocal count
            count += 1
            if count == 5:
                gone.set()
                if spec_version == "2.4":
                    raise OSError("the client is gone")

        async def through(scope: Any, *_: Any) -> None:
            await tracked(scope, receive, send)

        asgi = {"version": "3.0", "spec_version": spec_version}
        with contextlib.suppress(Exception):
            await asyncio.wait_for(ask(through, asgi=asgi), 5)
        await asyncio.sleep(0.05)

    asyncio.run(one())
    assert len(sink.logs) == 1
    assert sink.logs[0]["endpoint"] == "/"
    assert stopped == [True]


def test_cancelled_before_a_response(track: Track, sink: MemorySink) -> None:
    """A request that is cancelled before it has a response is recorded as 499, and the cancellation goes on."""
    app = FastAPI()

    @app.get("/")
    async def index() -> None:
        await asyncio.sleep(60)

    tracked = track(app, sink=sink)

    async def one() -> None:
        task = asyncio.create_task(ask(tracked))
        await asyncio.sleep(0.05)
        task.cancel()
        with pytest.raises(asyncio.CancelledError):
            await task

    asyncio.run(one())
    assert recorded(sink) == [("GET", "/", 499)]


def test_websockets(track: Track, sink: MemorySink) -> None:
    """WebSockets work and are not recorded."""
    app = FastAPI()

    @app.websocket("/ws")
    async def echo(socket: WebSocket) -> None:
        await socket.accept()
        await socket.send_text(await socket.receive_text())

    with TestClient(track(app, sink=sink)).websocket_connect("/ws") as socket:
        socket.send_text("hello")
        assert socket.receive_text() == "hello"
    assert sink.logs == []


@pytest.mark.parametrize("times", [0, 1, 3])
def test_lifespan(times: int, track: Track, sink: MemorySink) -> None:
    """The app's lifespan runs as often as the server runs it: not at all, once, many times."""
    events = []

    @contextlib.asynccontextmanager
    async def lifespan(app: FastAPI) -> AsyncIterator[dict[str, str]]:
        events.append("up")
        yield {"state": "kept"}
        events.append("down")

    app = FastAPI(lifespan=lifespan)

    @app.get("/")
    async def index(request: Request) -> str | None:
        return getattr(request.state, "state", None)

    track(app, sink=sink)
    for _ in range(times):
        with TestClient(app) as client:
            assert client.get("/").json() == "kept"
    if not times:
        assert TestClient(app).get("/").json() is None
    assert events == ["up", "down"] * times
    assert len(sink.logs) == max(times, 1)


def test_lifespan_that_fails(track: Track, sink: MemorySink) -> None:
    """An app that fails to start fails as it would without us."""

    @contextlib.asynccontextmanager
    async def lifespan(app: FastAPI) -> AsyncIterator[None]:
        if app.title:
            raise RuntimeError("no database")
        yield

    client = TestClient(track(FastAPI(lifespan=lifespan), sink=sink))
    with pytest.raises(RuntimeError, match="no database"):
        client.__enter__()


@pytest.mark.parametrize("new_loop", [asyncio.new_event_loop, uvloop.new_event_loop], ids=["asyncio", "uvloop"])
def test_event_loops(new_loop: Callable[[], asyncio.AbstractEventLoop], app: FastAPI, sink: MemorySink) -> None:
    """It works on asyncio and on uvloop, with requests in parallel."""

    async def many() -> None:
        await asyncio.gather(*(ask(app, f"/ok/{number}") for number in range(50)))

    with asyncio.Runner(loop_factory=new_loop) as runner:
        runner.run(many())
    assert recorded(sink) == [("GET", "/ok/{name}", 200)] * 50


def test_several_apps(track: Track) -> None:
    """Two apps in one process, each tracked on its own, do not mix."""
    sinks = [MemorySink(), MemorySink()]
    apps = [track(FastAPI(title=str(number)), sink=sink) for number, sink in enumerate(sinks)]
    TestClient(apps[0]).get("/a")
    TestClient(apps[1]).get("/b")
    TestClient(apps[1]).get("/docs")
    assert [len(sink.logs) for sink in sinks] == [1, 2]


def test_the_function_alone() -> None:
    """`create_tracking_middleware` gives what it always gave: a function of request and call_next that returns what
    call_next returned."""
    sink, response = MemorySink(), StreamingResponse(iter(()), 204)
    scope = {"type": "http", "method": "GET", "path": "/x", "headers": [], "client": ("203.0.113.9", 1)}

    async def call_next(request: Request) -> Any:
        return response

    middleware = create_tracking_middleware(api_key="key", sink=sink)

    async def one() -> None:
        assert await middleware(Request(scope), call_next) is response

    asyncio.run(one())
    assert (sink.logs[0]["status_code"], sink.logs[0]["ip"]) == (204, "203.0.113.0")


class Faulty(MemorySink):
    """A sink that does not work."""

    def record(self, row: Row) -> None:
        """Fail."""
        raise RuntimeError(f"a defect of ours: {row}")


def test_our_defects_stay_ours(track: Track, caplog: pytest.LogCaptureFixture) -> None:
    """A defect of the middleware reaches the log, once, and never a request."""
    app = track(FastAPI(), sink=Faulty())
    for _ in range(3):
        assert TestClient(app).get("/docs").status_code == 200
    assert [record.levelname for record in caplog.records if record.name == "client_middleware"] == ["ERROR"]
