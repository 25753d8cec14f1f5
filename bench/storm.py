"""A proxy on loopback in front of a DynamoDB, which makes the faults of busy tables and networks by a seeded plan.

Errors have the shapes that DynamoDB documents ("Error handling with DynamoDB", "TransactWriteItems", "BatchWriteItem");
a test checks that botocore understands them. How often they happen on AWS is not known here.
"""

from __future__ import annotations

import http.client
import json
import random
import select
import socket
import sys
import threading
import time
from collections import Counter
from enum import StrEnum
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import TYPE_CHECKING, Any
from urllib.parse import urlsplit

from local.server_thread import ServerThread

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping

MODEL = "com.amazonaws.dynamodb.v20120810"
BATCHES = {"BatchGetItem": "UnprocessedKeys", "BatchWriteItem": "UnprocessedItems"}
PATIENCE_S = 30.0  # seconds that a request is held at most, if its caller never gives up
LATE_S = 0.8  # seconds at most until a late request is done: before or after the caller's second try


class Fault(StrEnum):
    """What may happen to a request."""

    throttled = "refused, because the table is busy"
    conflict = "refused, because another transaction has the item"
    crashed = "500 InternalServerError"
    away = "503 of something before DynamoDB"
    silent = "held until the caller gave up, and never done"
    late = "held until the caller gave up, and then done"
    lost = "done, and the connection ended without an answer"
    cut = "done, and the connection ended within the answer"
    part = "half of a batch done, the rest unprocessed"


Answer = tuple[int, bytes]
"""Status and body of an answer given instead of DynamoDB's; the request is not done."""
Met = Fault | Answer | None
"""What happens to a request; None: it is done and answered."""


class InTurn:
    """A plan: these happen to the next requests, of one operation if it is named; all others are done."""

    def __init__(self, *coming: Met, operation: str = "") -> None:
        self._coming = list(coming)
        self._operation = operation

    def __call__(self, operation: str) -> Met:
        """What happens to the next request."""
        return self._coming.pop(0) if self._coming and self._operation in ("", operation) else None


class Chance:
    """A plan: each fault happens to its share of the requests, the same for the same seed. Thread-safe."""

    def __init__(self, shares: Mapping[Fault, float], seed: int = 1) -> None:
        self._faults: list[Fault | None] = [*shares, None]
        self._weights = [*shares.values(), 1 - sum(shares.values())]
        self._random = random.Random(seed)
        self._lock = threading.Lock()

    def __call__(self, operation: str) -> Fault | None:
        """What happens to the next request."""
        with self._lock:
            fault = self._random.choices(self._faults, self._weights)[0]
        elsewhere = (fault is Fault.part and operation not in BATCHES) or (
            fault is Fault.conflict and operation != "TransactWriteItems"
        )
        return None if elsewhere else fault


class Storm(ServerThread):
    """The proxy, which serves while a `with` block lasts; `seen` counts requests by what happened to them."""

    def __init__(self, upstream: str, plan: Callable[[str], Met]) -> None:
        self.plan = plan
        self.seen: Counter[Met] = Counter()
        server = _Server(("127.0.0.1", 0), _Handler)
        server.storm, server.upstream = self, urlsplit(upstream).netloc
        self.url = f"http://127.0.0.1:{server.server_port}"
        super().__init__(server, "storm")

    def calm(self) -> None:
        """From now on every request passes."""
        self.plan = InTurn()


class _Server(ThreadingHTTPServer):
    daemon_threads = True
    block_on_close = False
    request_queue_size = 128
    storm: Storm
    upstream: str

    def handle_error(self, request: Any, client_address: Any) -> None:
        """Ignore callers that hung up."""
        if not isinstance(sys.exception(), OSError | http.client.HTTPException):
            super().handle_error(request, client_address)


class _Handler(BaseHTTPRequestHandler):
    """One connection of a caller to the proxy."""

    protocol_version = "HTTP/1.1"
    disable_nagle_algorithm = True
    wbufsize = -1  # head and body in one segment
    server: _Server

    def do_POST(self) -> None:
        body = self.rfile.read(int(self.headers["Content-Length"]))
        operation = self.headers.get("X-Amz-Target", "").partition(".")[2]
        fault = self.server.storm.plan(operation)
        self.server.storm.seen[fault] += 1
        if fault is None:
            self._answer(*self._done(body))
        elif isinstance(fault, tuple):
            self._answer(*fault)
        elif fault is Fault.part:
            self._answer(*self._half_done(operation, body))
        elif fault in (Fault.throttled, Fault.conflict, Fault.crashed, Fault.away):
            self._answer(*_refusal(fault, operation, body))
        elif fault in (Fault.silent, Fault.late):
            select.select([self.connection], [], [], PATIENCE_S)  # readable: the caller has hung up
            self.close_connection = True
            if fault is Fault.late:
                time.sleep(random.uniform(0, LATE_S))
                self._done(body)
        else:
            _, answer = self._done(body)
            if fault is Fault.cut:
                self._head(200, len(answer))
                self.wfile.write(answer[: len(answer) // 2])
            self._hang_up()

    def _done(self, body: bytes) -> tuple[int, bytes]:
        """Pass the request on; returns DynamoDB's answer."""
        connection = http.client.HTTPConnection(self.server.upstream, timeout=60)
        try:
            headers = {name: value for name, value in self.headers.items() if name.lower() != "content-length"}
            connection.request("POST", "/", body, headers)
            answer = connection.getresponse()
            return answer.status, answer.read()
        finally:
            connection.close()

    def _half_done(self, operation: str, body: bytes) -> tuple[int, bytes]:
        """Do the first half of a batch and return the rest as unprocessed; a batch of one is refused."""
        request = json.loads(body)
        entries = [
            (table, entry)
            for table, asked in request["RequestItems"].items()
            for entry in (asked["Keys"] if operation == "BatchGetItem" else asked)
        ]
        if len(entries) < 2:
            return _refusal(Fault.throttled, operation, body)
        middle = len(entries) // 2
        status, answer = self._done(json.dumps(_batch(request, operation, entries[:middle])).encode())
        if status != 200:
            return status, answer
        rest = _batch(request, operation, entries[middle:])["RequestItems"]
        return status, json.dumps(json.loads(answer) | {BATCHES[operation]: rest}).encode()

    def _answer(self, status: int, body: bytes) -> None:
        self._head(status, len(body))
        self.wfile.write(body)

    def _head(self, status: int, length: int) -> None:
        self.send_response(status)
        self.send_header("Content-Type", "application/x-amz-json-1.0")
        self.send_header("Content-Length", str(length))
        self.end_headers()

    def _hang_up(self) -> None:
        self.close_connection = True
        self.wfile.flush()
        self.connection.shutdown(socket.SHUT_RDWR)

    def log_message(self, format: str, *args: object) -> None:  # noqa: A002 - its name there
        """Log nothing."""


def _batch(request: dict[str, Any], operation: str, entries: list[tuple[str, Any]]) -> dict[str, Any]:
    """The batch with only these entries."""
    items: dict[str, Any] = {}
    for table, entry in entries:
        if operation == "BatchGetItem":
            items.setdefault(table, request["RequestItems"][table] | {"Keys": []})["Keys"].append(entry)
        else:
            items.setdefault(table, []).append(entry)
    return request | {"RequestItems": items}


def _refusal(fault: Fault, operation: str, body: bytes) -> tuple[int, bytes]:
    """Status and body of the error for a fault."""
    if fault is Fault.away:
        return 503, b"<html><body><h1>503 Service Unavailable</h1></body></html>"
    if fault is Fault.crashed:
        return 500, _error("InternalServerError", "The request processing has failed because of an unknown error")
    if operation != "TransactWriteItems":
        return 400, _error("ProvisionedThroughputExceededException", "Throughput exceeds the current capacity")
    code = "TransactionConflict" if fault is Fault.conflict else "ThrottlingError"
    reasons = [{"Code": "None"} for _ in json.loads(body)["TransactItems"]]
    reasons[0] = {"Code": code, "Message": "of this item"}
    codes = ", ".join(reason["Code"] for reason in reasons)
    message = f"Transaction cancelled, please refer cancellation reasons for specific reasons [{codes}]"
    return 400, _error("TransactionCanceledException", message, CancellationReasons=reasons)


def _error(code: str, message: str, **more: object) -> bytes:
    return json.dumps({"__type": f"{MODEL}#{code}", "Message": message, **more}).encode()
