"""What functions and gateway write down of a call: that it failed, never what was sent.

That no key and no sign-up token is in any line, even where everything logs all it has, is in
`tests/functions/test_access.py`.
"""

from __future__ import annotations

import json
import logging
from dataclasses import replace
from typing import TYPE_CHECKING

import pytest

from analytics import api_key
from analytics.store import KeyTable, LogTable
from analytics.web import Service
from tests.conftest import Clock
from tests.functions.behind_gateway import Functions
from tests.functions.test_access import KINDS, ROWS, Credentials
from tests.functions.wire import batch, log
from tests.support.raw_http import RunningServer

if TYPE_CHECKING:
    from mypy_boto3_dynamodb import DynamoDBClient

MARK = "forged-line"
LINES = [
    f"\n[ERROR] {MARK}",
    f"\r\n{MARK}",
    f"\x1b[2J{MARK}",
    f"\u2028{MARK}",
    f'"}}{{"level":"ERROR","message":"{MARK}',
]


def test_nothing_that_was_sent_is_logged(
    service: Service, clock: Clock, dynamodb: DynamoDBClient, caplog: pytest.LogCaptureFixture
) -> None:
    """No line can be forged or made long, by whatever field, also where a table fails; nor is a hash of a key there.

    At DEBUG, which nothing here turns on, botocore writes down its requests, and so hashes of keys and packed logs.
    """
    caplog.set_level(logging.INFO)
    credentials = Credentials(service, clock)
    nowhere = KeyTable(dynamodb, "no-such-table"), LogTable(dynamodb, "no-such-table")
    for broken in (service, replace(service, keys=nowhere[0]), replace(service, logs=nowhere[1])):
        functions = Functions(broken)
        for method, path, *_ in ROWS:
            for kind in KINDS:
                functions.ask(method, path, credentials.headers(kind))
            for text in LINES:
                sent = {
                    "User-Agent": text,
                    "Accept": text,
                    "Content-Type": text,
                    "X-Forwarded-For": text,
                    "Cookie": text,
                }
                for headers in (credentials.headers("full") | sent, {"X-API-Key": text, "Authorization": text}):
                    body = log(endpoint=text) if path == "/track" else batch(log(**{text: text}), batch_id=text)
                    functions.call(method, path, headers, body)
    lines = {(record.name, record.getMessage()) for record in caplog.records}
    assert lines == {("analytics", "A request failed"), ("mangum.http", "An error occurred running the application.")}
    logged = "\n".join(f"{record.getMessage()} {record.__dict__} {record.exc_text}" for record in caplog.records)
    assert MARK not in logged + caplog.text
    for secret in credentials.keys.values():
        assert api_key.hashed(secret) not in logged + caplog.text


def test_the_gateway_writes_no_line_for_a_call(server: RunningServer) -> None:
    """Served, refused or broken: neither path, query, header nor key; there is no access log that could hold one."""
    before = server.printed()
    full = server.sign_up()
    body = json.dumps(log(endpoint=f"/{MARK}")).encode()
    server.send("POST /track", ("X-API-Key", full), ("Content-Length", str(len(body))), body=body)
    for line in (f"GET /raw_logs?endpoint={MARK}", f"GET /dashboard?{MARK}=1", f"GET /{MARK}", f"GET /assets/{MARK}"):
        for secret in (full, api_key.generate(), MARK):
            assert server.send(line, ("X-API-Key", secret), ("User-Agent", MARK)).status in (200, 401, 404, 422)
    server.exchange(f"GET /{MARK}\x00 HTTP/1.1\r\n\r\n".encode())
    written = server.printed().removeprefix(before)
    assert MARK not in written
    assert "aak_" not in written
