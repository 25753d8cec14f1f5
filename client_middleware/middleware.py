"""The two ways to track an app.

    app.add_middleware(TrackingMiddleware, api_key="…")                      pure ASGI: cheaper, sees the whole response
    app.middleware("http")(create_tracking_middleware(api_key="…"))          as it always was

Both record a request when it is over, also if the handler raised (500) or the client left before the response (499).
Both pass every exception on unchanged, and never wait for the network. The first measures `process_time` to the last
byte of the response; the second sees only its start, and measures to there.
"""

from __future__ import annotations

from collections.abc import Awaitable, Callable
from time import perf_counter, time
from typing import TYPE_CHECKING, Any, Unpack

from client_middleware import tracker as tracking

if TYPE_CHECKING:
    from starlette.requests import Request
    from starlette.responses import Response
    from starlette.types import ASGIApp, Message, Receive, Scope, Send

    from client_middleware.settings import Options
    from client_middleware.sink import Sink

CLIENT_CLOSED_REQUEST = 499  # no response was started; the number is nginx's


class TrackingMiddleware:
    """ASGI middleware that records each HTTP request of the app it wraps."""

    def __init__(
        self, app: ASGIApp, api_key: str | None = None, *, sink: Sink | None = None, **settings: Unpack[Options]
    ) -> None:
        """Take settings from the arguments, else from the environment; `client_middleware.settings` lists them.

        With a `sink`, logs are recorded there and not sent. Raises SettingsError, which names the wrong setting.
        """
        self.app = app
        self.tracker = tracking.make({"api_key": api_key, **settings}, sink)

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Serve one ASGI connection; an HTTP request is logged when its response has ended."""
        tracker = self.tracker
        if scope["type"] != "http" or tracker.sink is None:
            await self.app(scope, receive, self._at_shutdown(send) if scope["type"] == "lifespan" else send)
            return
        if tracker.excluded is not None and tracker.excluded(scope):
            await self.app(scope, receive, send)
            return
        path = scope["path"]
        status = 0
        ended = 0.0

        # Not a coroutine function: it awaits nothing itself, and returns what the server's `send` returns.
        def observe(message: Message) -> Awaitable[None]:
            nonlocal status, ended
            kind = message["type"]
            if kind == "http.response.body":
                if not message.get("more_body"):
                    ended = perf_counter()
            elif kind == "http.response.start":
                status = message["status"]
            return send(message)

        at = time()
        began = perf_counter()
        try:
            await self.app(scope, receive, observe)
        except Exception:
            if not ended:  # an exception of a background task comes after the response
                status = 500
            raise
        finally:
            seconds = (ended or perf_counter()) - began
            tracker.record(scope, path, at, seconds, status or CLIENT_CLOSED_REQUEST)
            if tracker.on_lambda:
                await _in_thread(tracker.flush_invocation, scope)

    def _at_shutdown(self, send: Send) -> Send:
        """Wrap `send` to flush before the server hears that the app has shut down: it may then end the process."""

        async def wait_for_logs(message: Message) -> None:
            if message["type"] in ("lifespan.shutdown.complete", "lifespan.shutdown.failed"):
                await _in_thread(self.tracker.close, self.tracker.settings.shutdown_seconds)
            await send(message)

        return wait_for_logs


def create_tracking_middleware(
    api_key: str | None = None, *, sink: Sink | None = None, **settings: Unpack[Options]
) -> Callable[[Request, Callable[[Request], Awaitable[Response]]], Awaitable[Response]]:
    """Make a function for `app.middleware("http")`; arguments and errors are those of TrackingMiddleware."""
    tracker = tracking.make({"api_key": api_key, **settings}, sink)

    async def tracking_middleware(request: Request, call_next: Callable[[Request], Awaitable[Response]]) -> Response:
        scope = request.scope
        if tracker.sink is None or (tracker.excluded is not None and tracker.excluded(scope)):
            return await call_next(request)
        _at_shutdown(scope.get("app"), tracker)
        path = scope["path"]
        status = CLIENT_CLOSED_REQUEST
        at = time()
        began = perf_counter()
        try:
            response = await call_next(request)
            status = response.status_code
        except Exception:
            status = 500
            raise
        finally:
            tracker.record(scope, path, at, perf_counter() - began, status)
            if tracker.on_lambda:
                await _in_thread(tracker.flush_invocation, scope)
        return response

    return tracking_middleware


def _at_shutdown(app: Any, tracker: tracking.Tracker) -> None:
    """Flush when the app shuts down, because a function for `middleware("http")` sees no lifespan.

    Servers end by a signal, without `atexit`. An app with a `lifespan` of its own does not call `on_shutdown`: it needs
    TrackingMiddleware to keep its last seconds of logs.
    """
    if tracker.app is app:
        return
    tracker.app = app
    handlers = getattr(getattr(app, "router", None), "on_shutdown", None)
    if isinstance(handlers, list):

        async def send_what_is_left() -> None:
            await _in_thread(tracker.close, tracker.settings.shutdown_seconds)

        handlers.append(send_what_is_left)


async def _in_thread(function: Callable[..., object], *arguments: object) -> None:
    from anyio import to_thread  # a dependency of both httpx and Starlette

    await to_thread.run_sync(function, *arguments)
