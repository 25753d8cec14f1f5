"""One POST over real sockets: what is read of an answer, and which way it goes."""

from __future__ import annotations

import socket
import threading
from collections.abc import Iterator
from contextlib import contextmanager, suppress

import pytest

from client_middleware.transport import MAX_ANSWER, Transport
from tests.client_middleware.conftest import CollectorProcess

BATCH = b'{"batch_id":"an-id","client":null,"dropped":{},"logs":[]}'


@contextmanager
def listening(answer: Iterator[bytes]) -> Iterator[str]:
    """A server that answers one request with these bytes; its address."""
    with socket.create_server(("127.0.0.1", 0)) as server:

        def serve() -> None:
            connection, _ = server.accept()
            with connection, suppress(OSError):
                connection.recv(65_536)
                for piece in answer:
                    connection.sendall(piece)

        thread = threading.Thread(target=serve)
        thread.start()
        yield f"http://127.0.0.1:{server.getsockname()[1]}"
        thread.join(30)
        assert not thread.is_alive()


def endless() -> Iterator[bytes]:
    """An answer that never ends."""
    yield b"HTTP/1.1 200 OK\r\n\r\n"
    while True:
        yield b"x" * 65_536


def test_an_endless_answer() -> None:
    """An answer that does not end is read no further than its limit, and costs neither memory nor the time-out."""
    with listening(endless()) as address:
        transport = Transport(address, "key", 20.0)
        outcome = transport.post(BATCH)
        transport.close()
    assert outcome.kind == "stored"
    assert MAX_ANSWER < len(outcome.answer) < MAX_ANSWER + (1 << 20)


def dripping() -> Iterator[bytes]:
    """An answer of which a little comes from time to time, for four seconds."""
    yield b"HTTP/1.1 200 OK\r\ncontent-length: 80\r\n\r\n"
    for _ in range(80):
        threading.Event().wait(0.05)
        yield b" "


def test_an_answer_that_drips() -> None:
    """An answer that comes byte by byte is waited for until the time-out, and the batch may be stored."""
    with listening(dripping()) as address:
        transport = Transport(address, "key", 0.3)
        outcome = transport.post(BATCH)
        transport.close()
    assert (outcome.kind, outcome.reason, outcome.maybe_stored) == ("again", "unconfirmed", True)


def test_no_proxy(collector: CollectorProcess, monkeypatch: pytest.MonkeyPatch) -> None:
    """A proxy that the environment names is used, but not for the hosts in NO_PROXY."""
    with socket.create_server(("127.0.0.1", 0)) as unused:
        monkeypatch.setenv("HTTP_PROXY", f"http://127.0.0.1:{unused.getsockname()[1]}")
        monkeypatch.setenv("NO_PROXY", "127.0.0.1")
        around = Transport(collector.url, "good", 20.0)
        monkeypatch.setenv("NO_PROXY", "example.com")
        through = Transport(collector.url, "good", 0.2)
        outcomes = [transport.post(BATCH).kind for transport in (around, through)]
        around.close()
        through.close()
    assert outcomes == ["stored", "again"]
