"""What clients send, and what the tables hold of it afterwards."""

from __future__ import annotations

import gzip
import json
from typing import TYPE_CHECKING, Any

from tests.conftest import SETTINGS

if TYPE_CHECKING:
    from mypy_boto3_dynamodb import DynamoDBClient

    from tests.conftest import Api

UNAUTHORIZED = {"detail": "Missing or invalid API key: send it in the X-API-Key header"}
ACCEPTED = {"accepted": 1, "rejected": [], "duplicate": False}
EMPTY_DELIVERY = {
    "accepted": 0,
    "rejected": {},
    "duplicates": 0,
    "skewed": 0,
    "local_times": 0,
    "trimmed": {},
    "unknown_fields": {},
    "dropped": {},
    "unreadable": 0,
    "last_received_at": None,
}


def log(**changes: Any) -> dict[str, Any]:
    """A log of 2025-11-24T12:00Z, with changes; a change to `...` leaves the field out."""
    whole = {
        "created_at": "2025-11-24T12:00:00Z",
        "method": "GET",
        "endpoint": "/books/{id}",
        "ip": "192.0.2.1",
        "process_time": 12.5,
        "status_code": 200,
    } | changes
    return {name: value for name, value in whole.items() if value is not ...}


def batch(*logs: dict[str, Any], batch_id: str = "b1", **fields: Any) -> dict[str, Any]:
    """A batch of these logs."""
    return {"batch_id": batch_id, "logs": list(logs), **fields}


def gzipped(body: object) -> dict[str, Any]:
    """A body as the options of a request that sends it compressed."""
    return {"content": gzip.compress(json.dumps(body).encode()), "headers": {"Content-Encoding": "gzip"}}


def send(api: Api, *logs: dict[str, Any], **options: Any) -> Any:
    """Send logs as one batch, which must be accepted whole."""
    answer = api.post("/track/batch", json=batch(*logs, **options))
    assert answer.json() == {"accepted": len(logs), "rejected": [], "duplicate": False}
    return answer


def stored(api: Api, **query: Any) -> list[dict[str, Any]]:
    """All logs that match, without their ids, newest received first."""
    answer = api.get("/raw_logs", params={"limit": 1000} | query)
    assert answer.status_code == 200, answer.text
    assert "link" not in answer.headers
    return [{name: value for name, value in row.items() if name != "id"} for row in answer.json()]


def row(**changes: Any) -> dict[str, Any]:
    """What /raw_logs tells of `log`, without the id, with changes."""
    whole = {
        "created_at": "2025-11-24T12:00:00.000000Z",
        "method": "GET",
        "endpoint": "/books/{id}",
        "ip": "192.0.2.1",
        "process_time": 12.5,
        "status_code": 200,
        "consumer": None,
        "user_agent": None,
        "path": None,
        "weight": 1,
    }
    return whole | changes


def delivery(api: Api) -> dict[str, Any]:
    """How complete the numbers are, over all time."""
    block: dict[str, Any] = api.get("/dashboard").json()["delivery"]
    return block


def count(client: DynamoDBClient) -> int:
    """How many items the table of logs holds."""
    return client.scan(TableName=SETTINGS.logs_table, Select="COUNT")["Count"]
