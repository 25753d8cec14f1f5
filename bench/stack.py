"""The service to measure: over moto in this process, or over a table that answers at once."""

from __future__ import annotations

import os
import time
from bisect import bisect_left, bisect_right, insort
from collections.abc import Callable, Iterable, Iterator
from contextlib import ExitStack, contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Any, cast

from moto import mock_aws

from analytics import api_key
from analytics.settings import Settings
from analytics.store import KeyRecord, KeyTable, LogTable
from analytics.store.client import connect
from analytics.web import Service
from bench.prices import item_bytes, read_units
from local import template
from local.database.dynamodb import DatabaseServer
from local.database.tables import create_missing

if TYPE_CHECKING:
    from mypy_boto3_dynamodb import DynamoDBClient

KEY = api_key.generate()
STREAM = "bench"
PAGE = 1_000_000  # bytes that DynamoDB reads for one answer
TEMPLATE = Path(__file__).parent.parent / "template.yaml"


class InstantClient:
    """A DynamoDB that answers at once: it knows one key, keeps what is put, and counts calls and units.

    Pages end at 1 MB as they do in the real one. It shows what our own part costs, and proves nothing about DynamoDB.
    """

    def __init__(self, items: Iterable[dict[str, Any]] = ()) -> None:
        self.items = {item["timestamp"]["S"]: item for item in items}
        self._keys = sorted(self.items)
        self.calls = 0
        self.read_units = 0.0

    def get_item(self, **ask: Any) -> dict[str, Any]:
        """The one key there is, whichever is asked for, or an item of the logs."""
        self.calls += 1
        self.read_units += 1
        if "timestamp" in ask["Key"]:
            item = self.items.get(ask["Key"]["timestamp"]["S"])
            return {} if item is None else {"Item": item}
        known = {"key_id": {"S": "1"}, "stream": {"S": STREAM}, "scope": {"S": "full"}, "created_at": {"N": "0"}}
        return {"Item": ask["Key"] | known}

    def put_item(self, **put: Any) -> dict[str, Any]:
        """Keep an item; conditions hold."""
        sort_key = put["Item"]["timestamp"]["S"]
        if sort_key not in self.items:
            insort(self._keys, sort_key)
        self.items[sort_key] = put["Item"]
        self.calls += 1
        return {}

    def update_item(self, **update: Any) -> dict[str, Any]:
        """Write the watermark; conditions hold, and nothing comes late here."""
        known = self.items.get(update["Key"]["timestamp"]["S"], update["Key"])
        values = {name.removeprefix(":"): value for name, value in update["ExpressionAttributeValues"].items()}
        return self.put_item(Item=known | values)

    def transact_write_items(self, **_: Any) -> dict[str, Any]:
        """Take it, and forget it."""
        return {}

    def query(self, **ask: Any) -> dict[str, Any]:
        """The items between two sort keys, a page at a time."""
        self.calls += 1
        low, high = (ask["ExpressionAttributeValues"][name]["S"] for name in (":low", ":high"))
        after = ask.get("ExclusiveStartKey")
        first = bisect_right(self._keys, after["timestamp"]["S"]) if after else bisect_left(self._keys, low)
        keys = self._keys[first : bisect_right(self._keys, high)]
        if not ask["ScanIndexForward"]:
            keys.reverse()
        wanted = {"timestamp", "until", "ttl", *ask["ProjectionExpression"].split(", ")}
        page, size = list[dict[str, Any]](), 0
        for sort_key in keys[: ask.get("Limit")]:
            item = self.items[sort_key]
            more = item_bytes(item)
            if size + more > PAGE and page:
                self.read_units += read_units(size)
                return {"Items": page, "LastEvaluatedKey": {"timestamp": page[-1]["timestamp"]}}
            size += more
            page.append({name: item[name] for name in item if name in wanted})
        self.read_units += read_units(size)
        return {"Items": page}


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
        service.keys.add(KeyRecord(api_key.hashed(KEY), "1", STREAM, "full", 0))
        yield service


@contextmanager
def local_service(url: str | None = None) -> Iterator[tuple[Service, Callable[[dict[str, Any]], object]]]:
    """The service over the local database, or the one at a URL, and a way to put items of logs straight into it."""
    os.environ.update(AWS_ACCESS_KEY_ID="x", AWS_SECRET_ACCESS_KEY="x", AWS_DEFAULT_REGION="us-east-1")  # noqa: S106
    with ExitStack() as stack:
        url = url or stack.enter_context(DatabaseServer()).url
        create_missing(template.read(TEMPLATE).tables, url)
        os.environ["AWS_ENDPOINT_URL_DYNAMODB"] = url
        client = connect()
        service = service_over(client)
        service.keys.add(KeyRecord(api_key.hashed(KEY), "1", STREAM, "full", 0))
        table = service.settings.logs_table
        yield service, lambda item: client.put_item(TableName=table, Item=item)
        del os.environ["AWS_ENDPOINT_URL_DYNAMODB"]


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
