"""The service as an attacker sees it: a process behind a socket, and bytes that no HTTP client would send."""

from __future__ import annotations

import json
import os
import socket
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass, field
from typing import IO, Any

import httpx

from tests.support.engines import ROOT

START_S = 30
STOP_S = 20
WAIT_S = 10  # for an answer; all but a few come within milliseconds
HOST = ("Host", "api.example.com")


@dataclass(frozen=True)
class Answer:
    """An answer as it came over the socket."""

    status: int
    headers: list[tuple[str, str]]
    body: bytes

    def json(self) -> Any:
        """The body."""
        return json.loads(self.body)

    def header(self, name: str) -> str | None:
        """The value of a header, named in lower case; None when it is missing. Twice is an error."""
        found = [value for each, value in self.headers if each == name]
        assert len(found) <= 1, found
        return found[0] if found else None


@dataclass
class RunningServer:
    """A running `python -m local serve`, its output, and ways to send it raw bytes."""

    url: str
    port: int
    _output: IO[bytes] = field(repr=False)

    def printed(self) -> str:
        """Its output until now."""
        self._output.seek(0)
        return self._output.read().decode(errors="replace")

    def connect(self) -> socket.socket:
        """A new connection to the server."""
        return socket.create_connection(("127.0.0.1", self.port), WAIT_S)

    def send(self, line: str | bytes, *headers: tuple[str, str | bytes], body: bytes = b"") -> Answer:
        """The answer to this request line and these headers; only a missing Host is added."""
        lines = list(headers) if any(name == "Host" for name, _ in headers) else [HOST, *headers]
        head = b"".join(name.encode() + b": " + encoded(value) + b"\r\n" for name, value in lines)
        return self.exchange(encoded(line) + b" HTTP/1.1\r\n" + head + b"\r\n" + body)

    def exchange(self, message: bytes) -> Answer:
        """The answer to exactly these bytes; the server may close the connection before it has read them all."""
        with self.connect() as connection:
            with suppress(ConnectionError):
                connection.sendall(message)
            return read(connection)

    def sign_up(self) -> str:
        """Make a full key to a new stream."""
        key: str = self.send("POST /generate_key").json()["api_key"]
        return key

    def key(self, full: str, scope: str) -> str:
        """Make a key of this scope to the stream of a full key."""
        body = json.dumps({"scope": scope}).encode()
        made = self.send("POST /generate_key", ("X-API-Key", full), ("Content-Length", str(len(body))), body=body)
        key: str = made.json()["api_key"]
        return key

    def client(self) -> httpx.Client:
        """An ordinary HTTP client of the server."""
        return httpx.Client(base_url=self.url, trust_env=False, timeout=WAIT_S)


@contextmanager
def served() -> Iterator[RunningServer]:
    """Run the service on a free port until the block ends."""
    environment = {name: value for name, value in os.environ.items() if not name.startswith("AWS_")}
    with tempfile.TemporaryFile() as output:
        command = [sys.executable, "-m", "local", "serve", "--port", "0"]
        process = subprocess.Popen(command, cwd=ROOT, env=environment, stdout=output, stderr=subprocess.STDOUT)
        try:
            url = _address(process, output)
            yield RunningServer(url, int(url.rpartition(":")[2]), output)
        finally:
            process.terminate()
            assert process.wait(STOP_S) == 0


def read(connection: socket.socket) -> Answer:
    """The next final answer of a connection; interim ones ("100 Continue") are skipped."""
    stream = connection.makefile("rb")
    status, headers = 100, list[tuple[str, str]]()
    while status < 200:
        status = int(stream.readline().split()[1])
        headers = [_header(line) for line in iter(stream.readline, b"\r\n")]
    lengths = [int(value) for name, value in headers if name == "content-length"]
    body = stream.read(lengths[0]) if lengths else stream.read()
    return Answer(status, headers, body)


def closed_by_server(connection: socket.socket) -> bool:
    """Whether the server closes the connection, within WAIT_S."""
    connection.settimeout(WAIT_S)
    try:
        return connection.recv(1) == b""
    except ConnectionError:
        return True
    except TimeoutError:
        return False


def _header(line: bytes) -> tuple[str, str]:
    name, _, value = line.decode("latin-1").partition(":")
    return name.lower(), value.strip()


def encoded(value: str | bytes) -> bytes:
    """Text as bytes, in Latin-1; bytes unchanged."""
    return value.encode("latin-1") if isinstance(value, str) else value


def _address(process: subprocess.Popen[bytes], output: IO[bytes]) -> str:
    late = time.monotonic() + START_S
    while time.monotonic() < late and process.poll() is None:
        output.seek(0)
        for word in output.read().decode().split():
            if word.startswith("http://") and word.rpartition(":")[2].isdigit():
                return word
        time.sleep(0.02)
    raise AssertionError("the service did not start")
