"""The service to measure: over moto in this process, or over a table that answers at once."""

from __future__ import annotations

import os
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Any, cast

from moto import mock_aws

from analytics import key
from analytics.settings import Settings
from analytics.store import KeyRecord, KeyTable, LogTable
from analytics.store.client import connect
from analytics.web import Service
from local import template

if TYPE_CHECKING:
    from mypy_boto3_dynamodb import DynamoDBClient

KEY = key.generate()
STREAM = "bench"
TEMPLATE = Path(__file__).parent.parent / "template.yaml"


class InstantClient:
    """A DynamoDB that answers at once: it knows one key, takes every write, and gives back prepared pages."""

    def __init__(self, pages: list[list[dict[str, Any]]] | None = None) -> None:
        self.pages = pages or []

    def get_item(self, **_: Any) -> dict[str, Any]:
        """The one key there is."""
        item = {"key_id": {"S": "1"}, "stream": {"S": STREAM}, "scope": {"S": "full"}, "created_at": {"N": "0"}}
        return {"Item": item}

    def transact_write_items(self, **_: Any) -> dict[str, Any]:
        """Take it."""
        return {}

    def query(self, **ask: Any) -> dict[str, Any]:
        """The next page, whatever is asked."""
        at = int(ask.get("ExclusiveStartKey", {"page": {"N": "0"}})["page"]["N"])
        following = {"LastEvaluatedKey": {"page": {"N": str(at + 1)}}} if at + 1 < len(self.pages) else {}
        return {"Items": self.pages[at] if self.pages else [], **following}


def service_over(client: object) -> Service:
    """The service over a client's tables."""
    tables = {table.name: table for table in template.read(TEMPLATE).tables}
    logs = next(name for name, table in tables.items() if len(table.create["KeySchema"]) == 2)
    (keys,) = set(tables) - {logs}
    dynamodb = cast("DynamoDBClient", client)
    settings = Settings(logs_table=logs, keys_table=keys)
    return Service(settings, KeyTable(dynamodb, keys), LogTable(dynamodb, logs), lambda: time.time_ns() // 1000)


@contextmanager
def moto_service() -> Iterator[Service]:
    """The service over empty tables on moto, with one key."""
    os.environ.update(AWS_ACCESS_KEY_ID="x", AWS_SECRET_ACCESS_KEY="x", AWS_DEFAULT_REGION="us-east-1")  # noqa: S106
    with mock_aws():
        client = connect()
        for table in template.read(TEMPLATE).tables:
            client.create_table(**table.create)
        service = service_over(client)
        service.keys.add(KeyRecord(key.hashed(KEY), "1", STREAM, "full", 0))
        yield service


def event(method: str, path: str, *, body: str | None = None, query: str = "") -> dict[str, Any]:
    """A request with the key, as the HTTP API hands it to a function: payload format 2.0."""
    http = {"method": method, "path": path, "sourceIp": "127.0.0.1", "userAgent": "bench", "protocol": "HTTP/1.1"}
    return {
        "version": "2.0",
        "routeKey": f"{method} {path}",
        "rawPath": path,
        "rawQueryString": query,
        "headers": {"content-type": "application/json", "x-api-key": KEY, "host": "localhost"},
        "requestContext": {
            "stage": "$default",
            "requestId": "1",
            "domainName": "localhost",
            "timeEpoch": 0,
            "http": http,
        },
        "body": body,
        "isBase64Encoded": False,
    }
