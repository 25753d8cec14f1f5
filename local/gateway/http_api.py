"""The HTTP API as an ASGI app: it calls the handler of a request's route with an event, and answers with the result.

It keeps AWS's documented limits. Unlike Lambda it cannot stop a handler that runs too long: it answers, and lets it
run.
"""

from __future__ import annotations

import asyncio
import json
import sys
import time
import traceback
import uuid
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import TYPE_CHECKING, Any
from urllib.parse import quote

from local.gateway.cors import preflight, with_cors
from local.gateway.event import InvalidResponseError, Request, Response, gateway_message, to_event, to_response
from local.gateway.routes import Match, Routes

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable, Mapping, MutableMapping, Sequence

    from local.template import Cors, Function, Route

    Handler = Callable[[dict[str, Any], "Context"], Any]
    Message = MutableMapping[str, Any]

REQUEST_LIMIT = 10 * 1024 * 1024  # bytes of a body; HTTP API quota "payload size"
HEADER_LIMIT = 10_240  # bytes; HTTP API quota "total combined size of request line and header values"
INVOKE_LIMIT = 6 * 1024 * 1024  # bytes of an event or a result; Lambda quota "invocation payload, synchronous"
INTEGRATION_TIMEOUT = 30.0  # s; HTTP API quota "maximum integration timeout"
BODY_TIMEOUT = 30.0  # s until a body must be complete; AWS documents no number
CONCURRENCY = 32  # handlers running at once; on AWS each has its own sandbox


@dataclass(frozen=True)
class Context:
    """The second argument of a Lambda handler."""

    aws_request_id: str
    function_name: str
    memory_limit_in_mb: int
    deadline: float
    function_version: str = "$LATEST"

    @property
    def invoked_function_arn(self) -> str:
        """The function's ARN, in a made-up account."""
        return f"arn:aws:lambda:us-east-1:123456789012:function:{self.function_name}"

    def get_remaining_time_in_millis(self) -> int:
        """Milliseconds left before the function would be stopped."""
        return max(0, int((self.deadline - time.monotonic()) * 1000))


class Gateway:
    """An ASGI app that serves the routes of one template with the handlers of its functions (by function name)."""

    def __init__(
        self,
        routes: Sequence[Route],
        functions: Mapping[str, Function],
        handlers: Mapping[str, Handler],
        cors: Cors | None = None,
        integration_timeout: float = INTEGRATION_TIMEOUT,
        body_timeout: float = BODY_TIMEOUT,
    ) -> None:
        self._routes = Routes(routes)
        self._functions = functions
        self._handlers = handlers
        self._cors = cors
        self._timeout = integration_timeout
        self._body_timeout = body_timeout
        self._threads = ThreadPoolExecutor(CONCURRENCY, thread_name_prefix="handler")

    async def __call__(
        self, scope: Message, receive: Callable[[], Awaitable[Message]], send: Callable[[Message], Awaitable[None]]
    ) -> None:
        """Serve one ASGI connection; only HTTP is served."""
        if scope["type"] != "http":
            return
        request_id = str(uuid.uuid4())
        response = await self._respond(scope, receive, request_id)
        if response is None:
            return  # the client disconnected before its request was complete
        headers = [*response.headers, ("apigw-requestid", request_id)]
        lines = [
            (name.encode("latin-1", "replace"), value.encode("latin-1", "replace"))
            for name, value in headers
            if name not in ("content-length", "transfer-encoding", "connection")
        ]
        if response.status in (400, 408):  # what follows on this connection is unknown
            lines.append((b"connection", b"close"))
        body = b"" if response.status in (204, 304) else response.body
        length = str(len(body))
        if scope["method"] == "HEAD":  # the length of what a GET gets, where the handler tells it
            body, length = b"", length if body else dict(response.headers).get("content-length", "")
        if length and response.status not in (204, 304):
            lines.append((b"content-length", length.encode()))
        await send({"type": "http.response.start", "status": response.status, "headers": lines})
        await send({"type": "http.response.body", "body": body})

    def close(self) -> None:
        """Accept no more requests; running handlers are not waited for."""
        self._threads.shutdown(wait=False, cancel_futures=True)

    async def _respond(
        self, scope: Message, receive: Callable[[], Awaitable[Message]], request_id: str
    ) -> Response | None:
        headers = [(name.decode("latin-1"), value.decode("latin-1")) for name, value in scope["headers"]]
        path = scope.get("raw_path", b"").decode("latin-1") or quote(scope["path"])
        query = scope["query_string"].decode("latin-1")
        line = f"{scope['method']} {path}?{query} HTTP/{scope['http_version']}"
        if len(line) + sum(len(name) + len(value) for name, value in headers) > HEADER_LIMIT:
            return gateway_message(431, "Request Header Fields Too Large")
        if {"content-length", "transfer-encoding"} <= {name for name, _ in headers}:
            return gateway_message(400, "Bad Request")  # two contradicting lengths (RFC 9112, 6.3)
        try:
            body = await asyncio.wait_for(_read(receive), self._body_timeout)
        except TimeoutError:
            return gateway_message(408, "Request Timeout")
        if body is None:
            return None
        request = Request(
            method=scope["method"],
            path=path,
            query=query,
            headers=headers,
            body=body,
            source_ip=(scope.get("client") or ("127.0.0.1", 0))[0],
            protocol=f"HTTP/{scope['http_version']}",
            scheme=scope.get("scheme", "http"),
            port=(scope.get("server") or ("", 80))[1] or 80,
        )
        answer = await self._answer(request, request_id)
        return with_cors(self._cors, request, answer) if self._cors else answer

    async def _answer(self, request: Request, request_id: str) -> Response:
        if self._cors and (answer := preflight(request)):
            return answer
        match = self._routes.match(request.method, request.decoded_path)
        if match is None:
            return gateway_message(404, "Not Found")
        if len(request.body) > REQUEST_LIMIT:
            return gateway_message(413, "Request Entity Too Large")
        return await self._invoke(match, request, request_id)

    async def _invoke(self, match: Match, request: Request, request_id: str) -> Response:
        function = self._functions[match.route.function]
        event = to_event(request, match.route.key, match.parameters, request_id, datetime.now(UTC))
        if (
            len(request.body) > INVOKE_LIMIT // 6 and len(json.dumps(event)) > INVOKE_LIMIT
        ):  # JSON makes text at most six times as long
            return gateway_message(413, "Request Entity Too Large")
        context = Context(str(uuid.uuid4()), function.name, function.memory, time.monotonic() + function.timeout)
        running = asyncio.get_running_loop().run_in_executor(
            self._threads, _run, self._handlers[function.name], event, context
        )
        try:
            return await asyncio.wait_for(running, min(function.timeout, self._timeout))
        except TimeoutError:
            _report(f"{function.name} ran longer than {min(function.timeout, self._timeout):g} s")
            if self._timeout < function.timeout:
                return gateway_message(503, "Service Unavailable")
            return gateway_message(500, "Internal Server Error")


async def _read(receive: Callable[[], Awaitable[Message]]) -> bytes | None:
    """The body, cut one byte after REQUEST_LIMIT; None when the client disconnects first."""
    body = bytearray()
    while True:
        message = await receive()
        if message["type"] == "http.disconnect":
            return None
        if len(body) <= REQUEST_LIMIT:
            body += message.get("body", b"")[: REQUEST_LIMIT + 1 - len(body)]
        if not message.get("more_body"):
            return bytes(body)


def _run(handler: Handler, event: dict[str, Any], context: Context) -> Response:
    """Call a handler as Lambda does: an exception is logged here, and the caller gets a plain 500."""
    try:
        result = handler(event, context)
        if len(json.dumps(result)) > INVOKE_LIMIT:
            raise InvalidResponseError(f"the answer is larger than {INVOKE_LIMIT} bytes")
        return to_response(result)
    except Exception:  # noqa: BLE001 - a handler may raise anything; the traceback is printed
        _report(f"{context.function_name} failed\n{traceback.format_exc()}")
        return gateway_message(500, "Internal Server Error")


def _report(text: str) -> None:
    print(f"[gateway] {text}", file=sys.stderr, flush=True)
