"""Bodies that are meant to hurt, over the socket: too large, too slow, too deep, and not what they say they are.

What the functions themselves make of bodies, each in every field: `tests/functions/test_ingest.py`.
"""

from __future__ import annotations

import gzip
import json
import select
import socket
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import ExitStack
from typing import Any

import pytest
import uvicorn

from analytics.schema import MAX_BODY, MAX_PROBLEMS
from local.gateway.http_api import CONCURRENCY, REQUEST_LIMIT, Gateway
from local.template import Function, Route
from tests.functions.wire import batch, log
from tests.support.raw_http import HOST, Answer, RunningServer, closed_by_server, read

JSON = ("Content-Type", "application/json")
LOG, BATCH = json.dumps(log()).encode(), json.dumps(batch(log())).encode()
LARGE = {"detail": f"A body is at most {MAX_BODY} bytes"}
INFLATED = {"detail": f"A body is at most {MAX_BODY} bytes after decompression"}
GATEWAYS = {"message": "Request Entity Too Large"}


@pytest.fixture
def post(server: RunningServer) -> Callable[..., Answer]:
    """Sends a body with a new full key."""
    key = server.sign_up()

    def send(path: str, body: bytes, *headers: tuple[str, str | bytes], length: bool = True) -> Answer:
        lines = [("X-API-Key", key), *headers, *([("Content-Length", str(len(body)))] if length else [])]
        return server.send(f"POST {path}", *lines, body=body)

    return send


def chunked(body: bytes, size: int = 65_536) -> bytes:
    """A body in chunks (RFC 9112, 7.1)."""
    pieces = [body[at : at + size] for at in range(0, len(body), size)]
    return b"".join(f"{len(piece):x}\r\n".encode() + piece + b"\r\n" for piece in pieces) + b"0\r\n\r\n"


CHUNKED = ("Transfer-Encoding", "chunked")
ROUTES = ["/track", "/track/batch", "/generate_key", "/rotate_key"]


@pytest.mark.parametrize("path", ROUTES)
def test_a_body_over_a_megabyte_is_refused(post: Callable[..., Answer], path: str) -> None:
    """By its length, in chunks without any, and as the little gzip that inflates to a hundred of them."""
    large = b" " * (MAX_BODY + 1)
    for answer in (post(path, large, JSON), post(path, chunked(large), JSON, CHUNKED, length=False)):
        assert (answer.status, answer.json()) == (413, LARGE)
    bomb = gzip.compress(b" " * (100 * MAX_BODY), 1)
    for inflated in (bomb, gzip.compress(large)):
        answer = post(path, inflated, JSON, ("Content-Encoding", "gzip"))
        assert (answer.status, answer.json()) == (413, INFLATED)


def test_a_body_over_ten_megabytes_reaches_no_function(server: RunningServer, post: Callable[..., Answer]) -> None:
    """The gateway refuses it, whether it says its length or comes in chunks; the service goes on."""
    for answer in (
        post("/track", b" " * (REQUEST_LIMIT + 1)),
        post("/track", chunked(b" " * (REQUEST_LIMIT + 1)), CHUNKED, length=False),
    ):
        assert (answer.status, answer.json()) == (413, GATEWAYS)
    assert server.send("GET /health").status == 200


# -- nested, malformed, ambiguous --------------------------------------------------------------------------------------

DEEP = 100_000


def nested(depth: int) -> list[bytes]:
    """Bodies of arrays in arrays and objects in objects, by themselves and inside of fields, known and not."""
    arrays, objects = b"[" * depth + b"]" * depth, b'{"a":' * depth + b"1" + b"}" * depth
    within = [
        LOG.replace(b'"GET"', arrays),
        LOG.replace(b"12.5", objects),
        LOG.replace(b"{", b'{"unknown":' + arrays + b",", 1),
        BATCH.replace(b'"b1"', objects),
        b'{"batch_id":"b","logs":' + arrays + b"}",
        b'{"batch_id":"b","logs":[],"dropped":' + objects + b"}",
        b'{"batch_id":"b","logs":[],"client":{"name":' + arrays + b"}}",
        b'{"scope":' + arrays + b"}",
        b'{"grace_seconds":' + objects + b"}",
    ]
    return [arrays, objects, b"[" * depth, b'{"a":' * depth, *within]


@pytest.mark.parametrize("path", ROUTES)
@pytest.mark.parametrize("depth", [150, DEEP])
def test_nesting_is_refused_however_deep(post: Callable[..., Answer], path: str, depth: int) -> None:
    """In a few lines, not with the end of the stack."""
    for body in nested(depth):
        answer = post(path, body, JSON)
        assert answer.status == 422 or answer.json()["accepted"] == 0, body[:40]
        assert len(answer.body) < 4_096


MALFORMED = [
    b"\xff\xfe\x00",
    b"\xef\xbb\xbf" * 2 + LOG,  # with two byte order marks
    LOG + b"\xef\xbb\xbf",
    LOG.replace(b"GET", b"\xc3\x28"),
    LOG.replace(b"GET", b"\xed\xa0\x80"),  # a surrogate
    LOG.replace(b"GET", b"\\ud800"),
    LOG.replace(b"GET", b"\x00"),
    LOG.replace(b"12.5", b"NaN"),
    LOG.replace(b"12.5", b"-Infinity"),
    LOG.replace(b"200", b"9" * 5_000),
    LOG.replace(b"200", b"2e2"),
    LOG.replace(b"12.5", b"1" + b"0" * (MAX_BODY - 1_000)),
    LOG.replace(b"12.5", b"1e-" + b"9" * 1_000),
    LOG + b"\x00",
    b"/* */" + LOG,
    LOG.replace(b'"', b"'"),
    LOG[:-1] + b",}",
]


@pytest.mark.parametrize("body", MALFORMED, ids=lambda body: repr(body[:24]))
def test_what_is_no_json_is_refused(post: Callable[..., Answer], body: bytes) -> None:
    """By every route that takes any, and within a batch; nothing of it comes back but the name of a field."""
    for path in ROUTES:
        answer = post(path, body, JSON)
        expected = 200 if b"1e-" in body and path == "/track" else 422  # that many times nothing is nothing
        assert (path, answer.status) == (path, expected)
        assert len(answer.body) < 4_096
    whole = b'{"batch_id":"b","logs":[' + body + b"," + LOG + b"]}"
    answer = post("/track/batch", whole[:MAX_BODY], JSON)
    assert answer.status in (200, 422)
    assert answer.status == 422 or answer.json()["accepted"] <= 2


TWICE = [
    (b'{"batch_id":"b","logs":[{"a":1}],"logs":[' + LOG + b"," + LOG + b"]}", 2),
    (b'{"batch_id":"b","logs":[' + LOG + b"," + LOG + b'],"logs":[{"a":1}]}', 0),
    (b'{"batch_id":"b","logs":[' + LOG + b',{}],"logs":[{},' + LOG + b",{}]}", 1),
    (b'{"batch_id":"b","logs":[' + LOG.replace(b"{", b'{"method":1,', 1) + b",{}]}", 1),
    (b'{"batch_id":"b","logs":[' + LOG[:-1] + b',"method":1},' + LOG + b"]}", 1),
]


@pytest.mark.parametrize(("body", "accepted"), TWICE)
def test_of_a_name_that_comes_twice_the_last_counts(post: Callable[..., Answer], body: bytes, accepted: int) -> None:
    """Always: a check of the first and a use of the last would let in what was never looked at."""
    answer = post("/track/batch", body, JSON)
    assert (answer.status, answer.json()["accepted"]) == (200, accepted)


@pytest.mark.parametrize("path", ROUTES)
def test_a_hundred_thousand_mistakes_are_a_short_answer(post: Callable[..., Answer], path: str) -> None:
    """A megabyte of unknown names, wrong values and empty logs would make an answer that no gateway gives back."""
    unknown = b"{" + b",".join(b'"%x":1' % number for number in range(90_000)) + b"}"
    bodies = [
        (unknown, 1),
        (b'{"batch_id":"b","logs":[],"dropped":' + unknown.replace(b'"', b'"A', 90_000)[:900_000] + b'":1}}', 1),
        (b'{"batch_id":"b","logs":[' + b",".join([b'{"a":1,"b":2,"c":3}'] * 1_000) + b"]}", 1_000),
    ]
    for body, logs in bodies:
        answer = post(path, body, JSON)
        assert answer.status in (200, 413, 422)
        assert len(answer.body) < 200 * MAX_PROBLEMS * logs
        assert b"larger than 6 MB" not in answer.body  # short because it was written so, not because it was thrown away


TYPES = [
    None,
    "",
    "text/plain",
    "application/xml",
    "multipart/form-data; boundary=x",
    "application/json; charset=utf-7",
]
TYPES += ["application/x-www-form-urlencoded", "a" * 5_000, "application/json, text/html", ";;;=", "\x7f"]


@pytest.mark.parametrize("media_type", TYPES, ids=lambda media_type: repr(media_type)[:24])
def test_a_body_is_json_whatever_it_is_called(post: Callable[..., Answer], media_type: str | None) -> None:
    """So no two readers can disagree on what it is; and no form of another site can be one with a key."""
    headers = [] if media_type is None else [("Content-Type", media_type)]
    assert post("/track", LOG, *headers).status == 200
    assert post("/track", b"a=1&b=2", *headers).status == 422
    assert post("/track", b"\xff", *headers, ("Content-Type", b"\xff\xfe")).status == 422


ENCODINGS = ["deflate", "br", "gzip, gzip", "gzip, x-gzip", "chunked", "a" * 5_000]


@pytest.mark.parametrize("encoding", ENCODINGS, ids=lambda encoding: encoding[:12])
def test_an_encoding_that_is_not_known_is_not_tried(post: Callable[..., Answer], encoding: str) -> None:
    """Nor is one that comes several times over."""
    for body in (LOG, gzip.compress(gzip.compress(LOG))):
        answer = post("/track", body, JSON, ("Content-Encoding", encoding))
        assert (answer.status, answer.json()["detail"]) == (415, "The content encoding is not known")


# -- slow --------------------------------------------------------------------------------------------------------------


def test_slow_clients_hold_up_nobody(server: RunningServer) -> None:
    """More of them than there are threads, each with half a header or half a body: others are served meanwhile."""
    key = server.sign_up()
    starts = [
        b"POST /track HTTP/1.1\r\nHost: x\r\nX-API-Key: " + key.encode() + b"\r\nContent-Length: 500\r\n\r\n{",
        b"POST /track HTTP/1.1\r\nHost: x\r\nTransfer-Encoding: chunked\r\n\r\nffff\r\n{",
        b"GET /dashboard HTTP/1.1\r\nHost: x\r\nX-API-Key: aak",
        b"GET",
        b"",
    ]
    with ExitStack() as open_:
        slow = [open_.enter_context(server.connect()) for _ in range(CONCURRENCY + 8)]
        for number, connection in enumerate(slow):
            connection.sendall(starts[number % len(starts)])
        for _ in range(5):
            for connection in slow[::7]:
                connection.sendall(b"a")
            answer = server.send("POST /track", ("X-API-Key", key), JSON, ("Content-Length", str(len(LOG))), body=LOG)
            assert answer.status == 200
    assert server.send("GET /health").status == 200


@pytest.fixture
def impatient() -> Iterator[int]:
    """The port of a gateway that waits a fifth of a second for a body, in this process."""
    called: list[Any] = []
    routes, function = [Route("POST", "/track", "f")], Function("f", "m", "handler", {}, 5, 128)
    gateway = Gateway(routes, {"f": function}, {"f": lambda *event: called.append(event)}, body_timeout=0.2)
    server = uvicorn.Server(uvicorn.Config(gateway, port=0, log_level="warning", lifespan="off", ws="none"))
    with socket.create_server(("127.0.0.1", 0)) as listener:
        thread = threading.Thread(target=server.run, kwargs={"sockets": [listener]})
        thread.start()
        yield listener.getsockname()[1]
        server.should_exit = True
        thread.join(10)
    gateway.close()
    assert called == []


@pytest.mark.parametrize("framing", ["Content-Length: 500", "Transfer-Encoding: chunked"])
def test_a_body_that_does_not_come_is_not_waited_for(impatient: int, framing: str) -> None:
    """After a while (30 s) it is 408 and the end of the connection, though it trickles; no function is called."""
    head = f"POST /track HTTP/1.1\r\n{HOST[0]}: {HOST[1]}\r\n{framing}\r\n\r\n".encode()
    with socket.create_connection(("127.0.0.1", impatient), 5) as connection:
        connection.sendall(head)
        late = time.monotonic() + 5
        while not select.select([connection], [], [], 0.02)[0]:
            assert time.monotonic() < late
            connection.sendall(b"1\r\n{\r\n" if "chunked" in framing else b"{")
        answer = read(connection)
        assert (answer.status, answer.json()) == (408, {"message": "Request Timeout"})
        assert closed_by_server(connection)
