"""The table of logs: batches as they were received, each under its key's stream and its time of receipt.

    api_key       timestamp (sort key)                       holds
    <stream id>   L#2026-11-24T00:30:00.123456Z#<batch id>   `d`: a packed batch
    <stream id>   B#<batch id>                               that a batch of this id is stored; expires after a day

A batch and its `B#` item are written in one transaction, on condition that there is no such `B#` item yet: however
often a client tries again, it is stored once.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, replace
from datetime import datetime
from typing import TYPE_CHECKING, Any

from botocore.exceptions import ClientError

from analytics.batch import Batch
from analytics.key import new_id
from analytics.model import isoformat, microseconds
from analytics.store.client import cancellation_codes, translated

if TYPE_CHECKING:
    from mypy_boto3_dynamodb import DynamoDBClient
    from mypy_boto3_dynamodb.type_defs import TransactWriteItemTypeDef

_LARGEST = 350_000  # bytes of packed logs in an item; DynamoDB takes 400 KB in all
_REMEMBERED = 86_400  # seconds that a batch id is remembered
_END = "L#~"  # after every batch: "~" sorts behind all digits


@dataclass(frozen=True, slots=True)
class Stored:
    """A batch as it lies in the table."""

    sort_key: str
    batch: Batch

    @property
    def received(self) -> int:
        """When it was received, in microseconds since 1970."""
        return received_at(self.sort_key)


def received_at(sort_key: str) -> int:
    """The time of receipt in a sort key, in microseconds since 1970."""
    return microseconds(datetime.fromisoformat(sort_key.split("#")[1]))


class LogTable:
    """The logs of all streams. Every call raises Unavailable when DynamoDB is throttled or out of reach."""

    def __init__(self, client: DynamoDBClient, name: str) -> None:
        self._client = client
        self._name = name

    def append(self, stream: str, batch: Batch, received: int, batch_id: str | None = None) -> bool:
        """Store a batch, all of it or nothing; `received` is now, in microseconds since 1970.

        False, and nothing stored, when a batch of this id is there already.
        """
        item_id = batch_id or new_id()
        items = [
            self._item(stream, f"L#{isoformat(received)}#{item_id}{f'.{part}' if part else ''}", packed)
            for part, packed in enumerate(_packed(batch))
        ]
        with translated():
            if batch_id is None and len(items) == 1:
                self._client.put_item(TableName=self._name, Item=items[0])
                return True
            writes: list[TransactWriteItemTypeDef] = [
                {"Put": {"TableName": self._name, "Item": item}} for item in items
            ]
            if batch_id is not None:
                expires = received // 1_000_000 + _REMEMBERED
                mark = self._item(stream, f"B#{batch_id}") | {"ttl": {"N": str(expires)}}
                condition = "attribute_not_exists(api_key)"
                writes.append({"Put": {"TableName": self._name, "Item": mark, "ConditionExpression": condition}})
            try:
                self._client.transact_write_items(TransactItems=writes)
            except ClientError as error:
                if "ConditionalCheckFailed" in cancellation_codes(error):
                    return False
                raise
        return True

    def since(self, stream: str, start: int | None = None) -> Iterator[Stored]:
        """The batches received from `start` on (microseconds since 1970; None: all), oldest first."""
        return self._between(stream, _from(start), _END)

    def newest(self, stream: str, upto: str | None = None, start: int | None = None) -> Iterator[Stored]:
        """The same from the newest, or the one of sort key `upto`, back to the first received from `start` on."""
        return self._between(stream, _from(start), upto or _END, newest_first=True)

    def _between(self, stream: str, low: str, high: str, *, newest_first: bool = False) -> Iterator[Stored]:
        if low > high:  # which DynamoDB refuses
            return
        ask: dict[str, Any] = {
            "TableName": self._name,
            "KeyConditionExpression": "api_key = :stream AND #timestamp BETWEEN :low AND :high",
            "ExpressionAttributeNames": {"#timestamp": "timestamp"},
            "ExpressionAttributeValues": {":stream": {"S": stream}, ":low": {"S": low}, ":high": {"S": high}},
            "ProjectionExpression": "#timestamp, d",
            "ConsistentRead": True,
            "ScanIndexForward": not newest_first,
        }
        while True:
            with translated():
                page = self._client.query(**ask)
            for item in page["Items"]:
                yield Stored(item["timestamp"]["S"], Batch.unpack(item["d"]["B"]))
            if not page.get("LastEvaluatedKey"):
                return
            ask["ExclusiveStartKey"] = page["LastEvaluatedKey"]

    def _item(self, stream: str, sort_key: str, packed: bytes | None = None) -> dict[str, Any]:
        item: dict[str, Any] = {"api_key": {"S": stream}, "timestamp": {"S": sort_key}}
        return item if packed is None else item | {"d": {"B": packed}}


def _from(start: int | None) -> str:
    return "L#" if start is None else f"L#{isoformat(start)}"


def _packed(batch: Batch) -> list[bytes]:
    """The batch in as many parts as it takes for each to fit into an item; the first carries the counts."""
    packed = batch.pack()
    if len(packed) <= _LARGEST:
        return [packed]
    middle = len(batch) // 2
    first = replace(batch.take(range(middle)).compact(), counts=batch.counts)
    return _packed(first) + _packed(batch.take(range(middle, len(batch))).compact())
