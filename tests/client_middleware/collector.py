"""A service that takes batches as the real one does, and misbehaves when told: `python collector.py PORT FILE`.

What it stores is one line of JSON per batch in FILE, written before the answer, each batch id once, also over restarts.
`POST /rules` says what it accepts; see `Rules`. `POST /behave` with a list of words decides about the next batches, one
word each, before all is well again:

    ok              store and answer
    503, 429, …     answer this status, store nothing; `503:2` with `Retry-After: 2`
    slow:0.5        store, then answer after so many seconds
    lose            store, then cut the connection without an answer
    cut             cut the connection before anything is stored
    half            store, then close our half of the connection and say nothing
"""

from __future__ import annotations

import json
import socket
import sys
import threading
import time
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any

KEY = "good"
REQUIRED = ("created_at", "method", "endpoint", "status_code", "process_time")
UNKNOWN = "Extra inputs are not permitted"


@dataclass
class Rules:
    """What is accepted. By default that is what the first release accepts, as strictly as it does."""

    fields: list[str] = field(default_factory=lambda: [*REQUIRED, "ip", "weight", "consumer", "user_agent", "path"])
    members: list[str] = field(default_factory=lambda: ["batch_id", "client", "dropped", "logs"])
    format: int = 1
    """The newest that is known. If `format` is a member, unknown fields of a newer one are ignored."""
    poison: int = 0
    """The status that refuses a whole batch with a log of `/poison`, without a word about which it is."""
    bytes: int = 1 << 20
    """A longer body is refused with 413."""

    def check(self, batch: dict[str, Any]) -> tuple[int, list[dict[str, Any]]]:
        """The status of the answer to a batch, whose valid logs are left in it, and its problems."""
        if self.poison and any("/poison" in log["endpoint"] for log in batch["logs"]):
            return self.poison, []
        if "format" in self.members and batch.get("format", 1) > self.format:
            for log in batch["logs"]:
                for name in log.keys() - self.fields:
                    del log[name]
        problems = [_problem(None, name, UNKNOWN) for name in batch if name not in self.members]
        refused = len(problems)
        for number, log in enumerate(batch["logs"]):
            problems += [_problem(number, name, UNKNOWN) for name in log if name not in self.fields]
            if log.get("user_agent") == "odd":
                problems.append(_problem(number, "user_agent", "Input should be another"))
            if log["status_code"] > 599:
                problems.append(_problem(number, "status_code", "Input should be less than or equal to 599"))
        if refused:
            return 422, problems
        wrong = {problem["index"] for problem in problems}
        batch["logs"] = [log for number, log in enumerate(batch["logs"]) if number not in wrong]
        return 200, problems


def _problem(index: int | None, name: str, reason: str) -> dict[str, Any]:
    return {"index": index, "field": name, "reason": reason}


class Collector(ThreadingHTTPServer):
    """The server and what it knows."""

    daemon_threads = True

    def __init__(self, port: int, file: Path) -> None:
        super().__init__(("127.0.0.1", port), Handler)
        self.lock = threading.Lock()
        self.behavior: list[str] = []
        self.rules = Rules()
        self.file = file
        stored = file.read_text().splitlines() if file.exists() else []
        self.known = {json.loads(line)["batch_id"] for line in stored}

    def store(self, batch: dict[str, Any], rejected: list[dict[str, Any]]) -> dict[str, Any]:
        """Store a batch once, with what was rejected of it; the answer."""
        with self.lock:
            duplicate = batch["batch_id"] in self.known
            if not duplicate:
                self.known.add(batch["batch_id"])
                with self.file.open("a") as file:
                    file.write(json.dumps(batch | {"rejected": rejected}) + "\n")
        return {"accepted": 0 if duplicate else len(batch["logs"]), "rejected": rejected, "duplicate": duplicate}


class Handler(BaseHTTPRequestHandler):
    """One connection."""

    server: Collector
    protocol_version = "HTTP/1.1"
    disable_nagle_algorithm = True

    def do_POST(self) -> None:
        """A batch, or what to do with the next ones."""
        length = int(self.headers["content-length"])
        body = json.loads(self.rfile.read(length))
        if self.path == "/behave":
            self.server.behavior[:] = body
            self.answer(200, {})
            return
        if self.path == "/rules":
            self.server.rules = Rules(**body)
            self.answer(200, {})
            return
        if self.path != "/track/batch":
            self.answer(404, {"detail": "Not Found"})
            return
        if self.headers["x-api-key"] != KEY:
            self.answer(401, {"detail": "Missing or invalid API key"})
            return
        with self.server.lock:
            word = self.server.behavior.pop(0) if self.server.behavior else "ok"
        what, _, value = word.partition(":")
        if what == "cut":
            self.cut()
        elif what.isdigit():
            self.answer(int(what), {"detail": "told so"}, {"Retry-After": value} if value else {})
        elif length > self.server.rules.bytes:
            self.answer(413, {"detail": "The body is too large"})
        else:
            status, problems = self.server.rules.check(body)
            if status != 200:
                self.answer(status, {"detail": "The batch is not valid", "errors": problems})
                return
            answer = self.server.store(body, problems)
            if what == "lose":
                self.cut()
            elif what == "half":
                self.connection.shutdown(socket.SHUT_WR)
                time.sleep(1)
                self.close_connection = True
            else:
                time.sleep(float(value or 0))
                self.answer(200, answer)

    def cut(self) -> None:
        """End the connection with a reset."""
        self.connection.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, b"\1\0\0\0\0\0\0\0")
        self.close_connection = True
        self.connection.close()

    def answer(self, status: int, body: object, headers: dict[str, str] | None = None) -> None:
        """Answer in JSON."""
        content = json.dumps(body).encode()
        self.send_response(status)
        for name, value in (headers or {}).items():
            self.send_header(name, value)
        self.send_header("content-length", str(len(content)))
        self.end_headers()
        self.wfile.write(content)

    def log_message(self, format: str, *args: object) -> None:  # noqa: A002 - its name there
        """Say nothing."""

    def finish(self) -> None:
        """A connection that was cut has nothing to flush."""
        try:
            super().finish()
        except OSError:
            self.close_connection = True


if __name__ == "__main__":
    server = Collector(int(sys.argv[1]), Path(sys.argv[2]))
    print(server.server_port, flush=True)  # noqa: T201 - who started it waits for this
    server.serve_forever()
