"""Headers and request lines that no ordinary client sends, over the socket: each has an answer that is no failure."""

from __future__ import annotations

import json

import pytest

from local.gateway.http_api import HEADER_LIMIT
from tests.functions.wire import UNAUTHORIZED, batch, log
from tests.support.raw_http import Answer, RunningServer, closed_by_server, encoded, read


@pytest.fixture(scope="module")
def key(server: RunningServer) -> str:
    """A full key to two logs."""
    secret = server.sign_up()
    body = json.dumps(batch(log(), log())).encode()
    answer = server.send("POST /track/batch", ("X-API-Key", secret), ("Content-Length", str(len(body))), body=body)
    assert answer.status == 200
    return secret


HOSTS = [
    "[::1]:3000",
    "[::1]",
    "::1",
    "a:b:c",
    "x:",
    "x:port",
    ":80",
    "[",
    "]",
    "x:" + "9" * 5_000,
    "x y",
    "@",
    "/",
    "",
]
HOSTS += ["evil.example", "x\thttp://evil.example", "%0d%0a", "\xff"]


@pytest.mark.parametrize("host", HOSTS, ids=lambda host: repr(host)[:16])
def test_no_host_makes_a_difference(server: RunningServer, key: str, host: str) -> None:
    """An IPv6 address is as good as any name, a link to the next page names none, and none is ever sent to."""
    answer = server.send("GET /raw_logs?limit=1", ("Host", host), ("X-API-Key", key))
    link = answer.header("link")
    assert (answer.status, len(answer.json())) == (200, 1)
    assert link
    assert link.startswith("</raw_logs?limit=1&cursor=")
    moved = server.send("GET /assets/main.js%252f", ("Host", host))
    assert (moved.status, moved.header("location")) == (404, None)


def test_a_key_comes_once(server: RunningServer, key: str) -> None:
    """Two of them, the same or not, are none: what stands between caller and function cannot choose another one."""
    other = server.sign_up()
    assert server.send("GET /keys", ("X-API-Key", key)).status == 200
    for twice in ((key, key), (key, other), ("", key), (key, "")):
        answer = server.send("GET /keys", *(("X-API-Key", each) for each in twice))
        assert (answer.status, answer.json()) == (401, UNAUTHORIZED)
    assert server.send("GET /keys", ("X-API-Key", f"{key},{key}")).status == 401


ODD_KEYS = [
    b"",
    b" ",
    b"\xff\xfe\xe9",
    b"a" * 9_000,
    b"aak_" + b"0" * 33,
    b"Bearer x",
    b'"',
    b"%00",
    b"\xe2\x80\xae",
]


@pytest.mark.parametrize("odd", ODD_KEYS, ids=lambda odd: repr(odd[:12]))
def test_an_odd_key_is_no_key(server: RunningServer, odd: bytes) -> None:
    """Long, empty or not of this alphabet: 401 like any other, on every kind of route."""
    for line in ("GET /dashboard", "POST /track", "POST /generate_key", "DELETE /key?data=true"):
        answer = server.send(line, ("X-API-Key", odd))
        assert (answer.status, answer.json()) == (401, UNAUTHORIZED)


@pytest.mark.parametrize("broken", [b"a\x00b", b"a\rb", b"a\x0bb", b"a\r\n: b"], ids=repr)
def test_a_broken_header_ends_the_connection(server: RunningServer, broken: bytes) -> None:
    """What is not HTTP reaches no function."""
    with server.connect() as connection:
        connection.sendall(b"GET /keys HTTP/1.1\r\nHost: x\r\nX-API-Key: " + broken + b"\r\n\r\n")
        assert read(connection).status == 400
        assert closed_by_server(connection)


def test_headers_have_a_limit(server: RunningServer) -> None:
    """10,240 bytes of request line and headers, many or long; nothing is read after that."""
    for headers in (
        [("X-API-Key", "a" * HEADER_LIMIT)],
        [("X-API-Key", "a" * 10 * HEADER_LIMIT)],
        [(f"X-{number}", "1") for number in range(2_000)],
        [("Cookie", "; ".join(f"a{number}=1" for number in range(2_000)))],
    ):
        answer = server.send("GET /health", *headers)
        assert (answer.status, answer.json()) == (431, {"message": "Request Header Fields Too Large"})
    assert server.send("GET /" + "a" * HEADER_LIMIT).status == 431


FORGED = [
    ("X-Forwarded-For", "127.0.0.1, ::1, \xff"),
    ("X-Forwarded-Proto", "javascript"),
    ("X-Forwarded-Port", "no number"),
    ("X-Forwarded-Host", "evil.example"),
    ("X-Forwarded-Prefix", "//evil.example"),
    ("Forwarded", 'for="[::1]";host=evil.example;proto=javascript'),
    ("X-Original-URL", "/generate_key"),
    ("X-Rewrite-URL", "/generate_key"),
    ("X-HTTP-Method-Override", "DELETE"),
    ("X-Amzn-Request-Context", "{}"),
    ("Cookie", "X-API-Key=x; a=b; \xff"),
    ("Origin", "https://evil.example"),
    ("Upgrade", "websocket"),
    ("Upgrade", "h2c"),
    ("Connection", "X-API-Key"),
    ("Accept", "text/csv" * 500),
    ("Accept-Encoding", "gzip;q=nan"),
    ("If-None-Match", "*, \xff"),
    ("Range", "bytes=0-" + ",0-" * 1_000),
    ("Content-Length", "0"),
    ("Expect", "the unexpected"),
]


@pytest.mark.parametrize(("name", "value"), FORGED, ids=lambda text: text[:24])
def test_no_header_but_the_key_means_anything(server: RunningServer, key: str, name: str, value: str) -> None:
    """Not where a request came from, where it goes, by which method, nor what the next one is about."""
    for line, status in (("GET /raw_logs?limit=1", 200), ("GET /keys", 200), ("GET /", 200), ("GET /health", 200)):
        answer = server.send(line, ("X-API-Key", key), (name, value))
        assert (line, answer.status) == (line, status)
        assert answer.header("access-control-allow-origin") is None
        assert "evil" not in str(answer.headers)


FRAMES = [
    [("Content-Length", "5"), ("Content-Length", "6")],
    [("Content-Length", "-1")],
    [("Content-Length", "0x5")],
    [("Content-Length", "5, 6")],
    [("Content-Length", "\u0665".encode())],
    [("Transfer-Encoding", "xchunked")],
    [("Transfer-Encoding", "gzip, chunked")],
    [("Transfer-Encoding", "chunked"), ("Transfer-Encoding", "chunked")],
    [("Transfer-Encoding", "chunked, identity")],
    [("Transfer-Encoding", "chunked"), ("Content-Length", "5")],
]


@pytest.mark.parametrize("frame", FRAMES, ids=str)
def test_a_frame_that_can_be_read_in_two_ways_is_refused(
    server: RunningServer, key: str, frame: list[tuple[str, str | bytes]]
) -> None:
    """With 400 and the end of the connection: nothing hides behind it for whoever comes next (request smuggling)."""
    hidden = b"0\r\n\r\nDELETE /key HTTP/1.1\r\nHost: x\r\nX-API-Key: " + key.encode() + b"\r\n\r\n"
    lines = [("Host", "x"), *frame]
    head = b"".join(name.encode() + b": " + encoded(value) + b"\r\n" for name, value in lines)
    with server.connect() as connection:
        connection.sendall(b"POST /track HTTP/1.1\r\n" + head + b"\r\n" + hidden)
        assert read(connection).status == 400
        assert closed_by_server(connection)
    assert server.send("GET /keys", ("X-API-Key", key)).status == 200


LINES = [
    (b"get /health HTTP/1.1", 404),
    (b"TRACE /health HTTP/1.1", 404),
    (b"OPTIONS * HTTP/1.1", 404),
    (b"CONNECT evil.example:443 HTTP/1.1", 404),
    (b"GET http://evil.example/health HTTP/1.1", 404),
    (b"GET //evil.example/health HTTP/1.1", 404),
    (b"G(T /health HTTP/1.1", 400),
    (b"GET  /health HTTP/1.1", 400),
    (b"GET /health HTTP/1.1 ", 400),
    (b"GET /he\x00alth HTTP/1.1", 400),
    ("GET /hällo HTTP/1.1".encode(), 400),
    (b"GET /health", 400),
    (b"PRI * HTTP/2.0", 404),
    (b"\x16\x03\x01\x02\x00\x01\x00", 400),
]


@pytest.mark.parametrize(("line", "status"), LINES, ids=repr)
def test_a_request_line_is_a_route_or_none(server: RunningServer, line: bytes, status: int) -> None:
    """Anything else than a path and method of the template is answered by the gateway."""
    assert server.exchange(line + b"\r\nHost: x\r\n\r\n").status == status


def test_two_requests_at_once_are_two(server: RunningServer, key: str) -> None:
    """The second of a connection has no key because the first one had it."""
    first = b"GET /keys HTTP/1.1\r\nHost: x\r\nX-API-Key: " + key.encode() + b"\r\n\r\n"
    with server.connect() as connection:
        answers: list[Answer] = []
        for message in (first, b"GET /keys HTTP/1.1\r\nHost: x\r\n\r\n"):
            connection.sendall(message)
            answers.append(read(connection))
    assert [answer.status for answer in answers] == [200, 401]
