"""How long the service waits for its database, and what it says when waiting would not help."""

from __future__ import annotations

import json
import logging
import time
from collections.abc import Callable, Iterator
from typing import TYPE_CHECKING

import pytest
from starlette.testclient import TestClient

from analytics.errors import Unavailable
from analytics.store import KeyTable, LogTable
from analytics.store.client import connect
from analytics.summary.fold import SETTLED_US
from analytics.summary.rollup import PackedSummary, Rollup
from analytics.web import Service
from bench.storm import MODEL, Fault, Storm
from functions.keys.app import create_app
from local.database.dynamodb import DatabaseServer
from tests.conftest import SETTINGS

if TYPE_CHECKING:
    from mypy_boto3_dynamodb import DynamoDBClient

ROLLUP = Rollup("2025-11-24", "2025-11-24T12:00:00.000000Z", PackedSummary(b"days", b"slots"))
NOWHERE = "http://127.0.0.1:9"
CRASH = (500, {"detail": "Internal Server Error"})


@pytest.fixture
def client(monkeypatch: pytest.MonkeyPatch) -> Iterator[Callable[[str], DynamoDBClient]]:
    """Connects as the functions do, to this URL."""
    made = []

    def make(url: str) -> DynamoDBClient:
        monkeypatch.setenv("AWS_ENDPOINT_URL_DYNAMODB", url)
        made.append(connect())
        return made[-1]

    yield make
    for each in made:
        each.close()


@pytest.mark.long
def test_a_write_is_over_within_11_seconds(client: Callable[[str], DynamoDBClient]) -> None:
    """A database that never answers is given up after two tries, long before the minute that a fold allows a write."""
    with Storm(NOWHERE, lambda _: Fault.silent) as storm:
        table = LogTable(client(storm.url), "logs")
        began = time.monotonic()
        with pytest.raises(Unavailable):
            list(table.since("me"))
        assert 8 < time.monotonic() - began < 11 < SETTLED_US / 1e6 / 5
        assert storm.seen == {Fault.silent: 2}


@pytest.mark.parametrize(
    "body",
    [
        pytest.param(b"", id="nothing"),
        pytest.param(b"<html>Sign in to this network</html>", id="a page"),
        pytest.param(b'{"Items": [{"timestamp": {"S": "L#', id="half"),
    ],
)
def test_a_200_that_is_not_from_dynamodb_is_none(client: Callable[[str], DynamoDBClient], body: bytes) -> None:
    """No write counts as done, and no question as answered, by something that is not a whole JSON object."""
    with Storm(NOWHERE, lambda _: (200, body)) as storm:
        table = LogTable(client(storm.url), "logs")
        with pytest.raises(Unavailable):
            list(table.since("me"))
        with pytest.raises(Unavailable):
            table.keep_rollup("me", ROLLUP, None, 0)


@pytest.mark.parametrize("status", [408, 429])
def test_what_stands_before_dynamodb_may_say_later(client: Callable[[str], DynamoDBClient], status: int) -> None:
    """Statuses without a code that DynamoDB gives mean what they mean in HTTP."""
    with Storm(NOWHERE, lambda _: (status, b"<html>Slow down</html>")) as storm, pytest.raises(Unavailable):
        list(LogTable(client(storm.url), "logs").since("me"))


def sign_up(client: DynamoDBClient) -> tuple[int, dict[str, str]]:
    """The answer of a service over this client to a call that writes."""
    service = Service(SETTINGS, KeyTable(client, SETTINGS.keys_table), LogTable(client, "logs"), lambda: 1)
    answer = TestClient(create_app(service), raise_server_exceptions=False).post("/generate_key")
    return answer.status_code, answer.json()


@pytest.mark.parametrize(
    "code",
    ["ExpiredTokenException", "InvalidSignatureException", "UnrecognizedClientException", "AccessDeniedException"],
)
def test_refused_credentials_are_named_in_the_log(
    client: Callable[[str], DynamoDBClient], code: str, caplog: pytest.LogCaptureFixture
) -> None:
    """The caller learns nothing but that it is our fault; the operator reads which right or credential it is."""
    refusal = json.dumps({"__type": f"{MODEL}#{code}", "message": "no"}).encode()
    with Storm(NOWHERE, lambda _: (400, refusal)) as storm:
        assert sign_up(client(storm.url)) == CRASH
        assert storm.seen.total() == 1, "trying again would not help"
    assert code in caplog.text
    assert [record.levelno for record in caplog.records if record.name == "analytics"] == [logging.ERROR]


def test_missing_credentials_are_named_in_the_log(
    client: Callable[[str], DynamoDBClient], caplog: pytest.LogCaptureFixture, monkeypatch: pytest.MonkeyPatch
) -> None:
    """As are missing ones."""
    for name in ("AWS_ACCESS_KEY_ID", "AWS_SECRET_ACCESS_KEY"):
        monkeypatch.delenv(name)
    for name in ("AWS_SHARED_CREDENTIALS_FILE", "AWS_CONFIG_FILE"):
        monkeypatch.setenv(name, "/dev/null")
    monkeypatch.setenv("AWS_EC2_METADATA_DISABLED", "true")
    monkeypatch.setattr("boto3.DEFAULT_SESSION", None)  # which remembers the credentials of other tests
    with DatabaseServer() as database:
        assert sign_up(client(database.url)) == CRASH
    assert "Unable to locate credentials" in caplog.text


def test_a_missing_table_is_named_in_the_log(
    client: Callable[[str], DynamoDBClient], caplog: pytest.LogCaptureFixture
) -> None:
    """And a database without our tables."""
    with DatabaseServer() as database:
        assert sign_up(client(database.url)) == CRASH
    assert "ResourceNotFoundException" in caplog.text
