"""The table of keys: which stream of logs a key opens, and what it may do there. The key itself is never stored."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from analytics.store.client import translated

if TYPE_CHECKING:
    from mypy_boto3_dynamodb import DynamoDBClient

_TRUSTED_US = 30 * 1_000_000  # how long a record read from the table is believed: a revoked key works that long at most
_MOST = 10_000  # records kept in memory


@dataclass(frozen=True, slots=True)
class KeyRecord:
    """What is known of a key. Times are microseconds since 1970."""

    key_hash: str
    key_id: str
    stream: str  # the partition of its logs
    scope: str  # "full", "read" or "write"
    created_at: int
    expires_at: int | None = None

    def allows(self, scope: str) -> bool:
        """Whether the key may be used for this: "read", "write", or "full" for keys themselves."""
        return self.scope in ("full", scope)


class KeyTable:
    """The keys by their hash. Every call raises Unavailable when DynamoDB is throttled or out of reach."""

    def __init__(self, client: DynamoDBClient, name: str) -> None:
        self._client = client
        self._name = name
        self._known: dict[str, tuple[int, KeyRecord]] = {}  # by hash: read when, and what

    def add(self, record: KeyRecord) -> None:
        """Store a new key."""
        item: dict[str, Any] = {
            "key_hash": {"S": record.key_hash},
            "key_id": {"S": record.key_id},
            "stream": {"S": record.stream},
            "scope": {"S": record.scope},
            "created_at": {"N": str(record.created_at)},
        }
        if record.expires_at is not None:
            item["expires_at"] = {"N": str(record.expires_at)}
        with translated():
            self._client.put_item(TableName=self._name, Item=item, ConditionExpression="attribute_not_exists(key_hash)")

    def find(self, key_hash: str, now: int) -> KeyRecord | None:
        """The key of this hash, unless there is none or it has expired by `now` (microseconds since 1970)."""
        read, record = self._known.get(key_hash, (0, None))
        if record is None or not read <= now < read + _TRUSTED_US:
            record = self._read(key_hash)
            self._known.pop(key_hash, None)
            if record is not None:
                if len(self._known) >= _MOST:
                    self._known.clear()
                self._known[key_hash] = now, record
        return None if record and record.expires_at is not None and record.expires_at <= now else record

    def _read(self, key_hash: str) -> KeyRecord | None:
        with translated():
            answer = self._client.get_item(TableName=self._name, Key={"key_hash": {"S": key_hash}}, ConsistentRead=True)
        item = answer.get("Item")
        if item is None:
            return None
        return KeyRecord(
            key_hash=key_hash,
            key_id=item["key_id"]["S"],
            stream=item["stream"]["S"],
            scope=item["scope"]["S"],
            created_at=int(item["created_at"]["N"]),
            expires_at=int(item["expires_at"]["N"]) if "expires_at" in item else None,
        )
