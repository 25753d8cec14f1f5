"""A loopback proxy before a DynamoDB that loses answers: what was asked is done, but the caller never hears of it."""

from __future__ import annotations

import http.client
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from urllib.parse import urlsplit

Fault = tuple[int, bytes] | None
"""What the caller gets instead of the answer: a status and a body, or None for a connection that ends."""


class _Server(ThreadingHTTPServer):
    daemon_threads = True
    faults: list[Fault]
    upstream: str | None
    seen: int


class _Handler(BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"
    server: _Server

    def do_POST(self) -> None:
        body = self.rfile.read(int(self.headers["Content-Length"]))
        self.server.seen += 1
        answer = self._forwarded(body) if self.server.upstream else (500, b"")
        if self.server.faults:
            fault = self.server.faults.pop(0)
            if fault is None:
                self.close_connection = True
                return
            answer = fault
        self.send_response(answer[0])
        self.send_header("Content-Length", str(len(answer[1])))
        self.end_headers()
        self.wfile.write(answer[1])

    def _forwarded(self, body: bytes) -> tuple[int, bytes]:
        connection = http.client.HTTPConnection(urlsplit(self.server.upstream or "").netloc, timeout=5)
        try:
            connection.request("POST", "/", body, dict(self.headers.items()))
            answer = connection.getresponse()
            return answer.status, answer.read()
        finally:
            connection.close()

    def log_message(self, format: str, *args: object) -> None:  # noqa: A002
        """Nothing: what it answers is what a test is about."""


@contextmanager
def lossy(faults: list[Fault], upstream: str | None = None) -> Iterator[tuple[str, _Server]]:
    """Serve on loopback; yields the URL, and the server, whose `seen` counts requests. Faults come first, in order."""
    server = _Server(("127.0.0.1", 0), _Handler)
    server.faults, server.upstream, server.seen = list(faults), upstream, 0
    thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.02}, daemon=True)
    thread.start()
    try:
        yield f"http://127.0.0.1:{server.server_port}", server
    finally:
        server.shutdown()
        server.server_close()
        thread.join(5)
