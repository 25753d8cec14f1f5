"""The table of keys: which stream of logs a key opens, and its scope. The key itself is never stored.

    key_hash               holds
    <SHA-256 of a key>     the key's record; `ttl` if it expires, `status` "erasing" while it erases its stream
    stream#<stream id>     `hashes`: the set of the hashes of the stream's keys; the progress of an `erasure`
    quota#<stream id>      the calls of a day, see `quota`

A hash is 64 hexadecimal digits, so no key that a caller sends can read an item of the other two kinds. The set in the
stream's item finds all keys of a stream without a scan or an index. The transaction that adds or deletes a key changes
the set as well, so the set never misses a key; an index is updated later and could.
"""

from __future__ import annotations

import time
from collections.abc import Iterable, Iterator
from typing import TYPE_CHECKING, Any

from botocore.exceptions import ClientError

from analytics.errors import Conflict, Unauthorized, Unavailable
from analytics.store.client import PAUSES, cancellation_codes, translated
from analytics.store.record import KeyRecord, seconds
from analytics.times import SECOND

if TYPE_CHECKING:
    from mypy_boto3_dynamodb import DynamoDBClient
    from mypy_boto3_dynamodb.type_defs import TransactWriteItemTypeDef

MAX_KEYS = 100  # of one stream; also what one BatchGetItem reads
MAX_ROTATED = 2 * MAX_KEYS  # with those that were replaced and still work: a rotation adds a key before one ends
_DELETIONS = 99  # in one transaction, which takes 100 writes, beside the one that takes them out of the set
_TRUSTED_US = 30 * SECOND  # how long a record in memory is used: a revoked key works that long at most
_MAX_RECORDS = 10_000  # in memory
_GOOD = "attribute_exists(key_hash) AND attribute_not_exists(#status)"
_UNEXPIRED = f"{_GOOD} AND (attribute_not_exists(expires_at) OR expires_at > :now)"


class KeyTable:
    """The keys by their hash. Every call raises Unavailable when DynamoDB is throttled or out of reach."""

    def __init__(self, client: DynamoDBClient, name: str) -> None:
        self.client = client
        self.name = name
        self._known: dict[str, tuple[int, KeyRecord]] = {}  # by hash: read when, and what

    def find(self, key_hash: str, now: int, *, fresh: bool = False) -> KeyRecord | None:
        """The key of this hash; None when there is none or it has expired by `now` (microseconds since 1970).

        A valid key's record is kept in memory for 30 s; `fresh` reads it anew. Nothing else is kept: an unknown,
        revoked or expired key costs one read each time, so that the duration does not tell which of these it is.
        """
        read, record = self._known.get(key_hash, (0, None))
        if fresh or record is None or not read <= now < read + _TRUSTED_US or record.expired(now):
            record = self._read(key_hash)
            self.forget(key_hash)
            if record is None or record.expired(now):
                return None
            if not record.erasing:
                if len(self._known) >= _MAX_RECORDS:
                    self._known.clear()
                self._known[key_hash] = now, record
        return record

    def of(self, stream: str) -> list[KeyRecord]:
        """All keys of a stream, oldest first, including expired ones that DynamoDB has not removed yet."""
        hashes = self._hashes(stream)
        records = [
            record
            for start in range(0, len(hashes), MAX_KEYS)
            for record in self._read_many(hashes[start : start + MAX_KEYS])
        ]
        return sorted(records, key=lambda record: (record.created_at, record.key_id))

    def add(self, record: KeyRecord, by: KeyRecord | None = None, now: int = 0) -> None:
        """Store a new key at the request of the key `by` at `now`, or of nobody for a new stream.

        Raises Unauthorized when `by` is no longer valid, Conflict when the stream has MAX_KEYS keys.
        """
        checks = [] if by is None else [self._check(by, now)]
        self._add(record, checks, now)

    def rotate(self, old: KeyRecord, new: KeyRecord, expires_at: int, by: KeyRecord, now: int) -> None:
        """Store a new key and let the old one expire, both or neither, at the request of the key `by` (or `old`).

        This works for a stream of MAX_KEYS keys, too: until the old key expires the stream has one more, MAX_ROTATED at
        most. Raises Unauthorized when one of them is no longer valid, Conflict when the stream has MAX_ROTATED keys.
        """
        update: TransactWriteItemTypeDef = {
            "Update": {
                "TableName": self.name,
                "Key": self.key(old.key_hash),
                "UpdateExpression": "SET expires_at = :expires, #ttl = :ttl",
                "ConditionExpression": _UNEXPIRED,
                "ExpressionAttributeNames": {"#status": "status", "#ttl": "ttl"},
                "ExpressionAttributeValues": _numbers(now=now, expires=expires_at, ttl=seconds(expires_at)),
            }
        }
        checks = [update] if by.key_hash == old.key_hash else [update, self._check(by, now)]
        self._add(new, checks, now, most=MAX_ROTATED)
        self.forget(old.key_hash)

    def remove(self, record: KeyRecord) -> None:
        """Deletes the key; instances may accept it from their cache for 30 s.

        Raises Unauthorized when the key is erasing its stream: no other key could finish that.
        """
        deletion: TransactWriteItemTypeDef = {
            "Delete": {
                "TableName": self.name,
                "Key": self.key(record.key_hash),
                "ConditionExpression": "attribute_not_exists(#status)",  # also true when the key is gone already
                "ExpressionAttributeNames": {"#status": "status"},
            }
        }
        refused = self.write(deletion, self._unlist(record.stream, [record.key_hash]))
        self.forget(record.key_hash)
        if refused:
            raise Unauthorized

    def forget(self, key_hash: str) -> None:
        """Drop a key's record from memory."""
        self._known.pop(key_hash, None)

    def stream_item(self, stream: str) -> dict[str, Any]:
        """The item of a stream; empty when there is none."""
        with translated():
            answer = self.client.get_item(TableName=self.name, Key=self.key(f"stream#{stream}"), ConsistentRead=True)
        return answer.get("Item", {})

    def streams(self) -> Iterator[str]:
        """Every stream that is not being erased: a scan of the whole table, for the scheduled fold only."""
        ask: dict[str, Any] = {
            "TableName": self.name,
            "FilterExpression": "begins_with(key_hash, :stream) AND attribute_not_exists(erasing)",
            "ExpressionAttributeValues": {":stream": {"S": "stream#"}},
            "ProjectionExpression": "key_hash",
        }
        while True:
            with translated():
                page = self.client.scan(**ask)
            yield from (item["key_hash"]["S"].removeprefix("stream#") for item in page["Items"])
            if not page.get("LastEvaluatedKey"):
                return
            ask["ExclusiveStartKey"] = page["LastEvaluatedKey"]

    def key(self, key_hash: str) -> dict[str, Any]:
        """The primary key of an item."""
        return {"key_hash": {"S": key_hash}}

    def _add(
        self, record: KeyRecord, checks: list[TransactWriteItemTypeDef], now: int, *, most: int = MAX_KEYS
    ) -> None:
        """Store a key if the checks hold and the stream has fewer than `most`; expired keys make room."""
        put: TransactWriteItemTypeDef = {
            "Put": {
                "TableName": self.name,
                "Item": record.item(),
                "ConditionExpression": "attribute_not_exists(key_hash) OR key_id = :id",
                "ExpressionAttributeValues": {":id": {"S": record.key_id}},
            }
        }
        refused = self.write(self._list(record, MAX_KEYS), put, *checks)
        if refused and refused[0] and (self._forget_expired(record.stream, now) or most > MAX_KEYS):
            refused = self.write(self._list(record, most), put, *checks)
        if not refused:
            return
        if any(refused[2:]) or "erasing" in self.stream_item(record.stream):
            raise Unauthorized
        if refused[0]:
            raise Conflict(f"There are {most} keys to this data already: revoke one that is not used any more")
        raise Conflict("There is this key already")

    def _list(self, record: KeyRecord, most: int) -> TransactWriteItemTypeDef:
        """Add a key to the set of its stream, if that has fewer than `most` and is not being erased."""
        return {
            "Update": {
                "TableName": self.name,
                "Key": self.key(f"stream#{record.stream}"),
                "UpdateExpression": "ADD hashes :new",
                # Also true when the client repeats this very write, because the answer to its first try was lost.
                "ConditionExpression": "attribute_not_exists(erasing) AND "
                "(attribute_not_exists(hashes) OR size(hashes) < :most OR contains(hashes, :hash))",
                "ExpressionAttributeValues": {
                    ":new": {"SS": [record.key_hash]},
                    ":hash": {"S": record.key_hash},
                    ":most": {"N": str(most)},
                },
            }
        }

    def _forget_expired(self, stream: str, now: int) -> bool:
        """Delete a stream's expired keys, which DynamoDB does days late; whether there was any."""
        listed = self._hashes(stream)
        good = {record.key_hash for record in self.of(stream) if not record.expired(now)}
        expired = [key_hash for key_hash in listed if key_hash not in good]
        for start in range(0, len(expired), _DELETIONS):
            some = expired[start : start + _DELETIONS]
            self.write(*map(self.deletion, some), self._unlist(stream, some))
        return bool(expired)

    def _check(self, by: KeyRecord, now: int) -> TransactWriteItemTypeDef:
        return {
            "ConditionCheck": {
                "TableName": self.name,
                "Key": self.key(by.key_hash),
                "ConditionExpression": _UNEXPIRED,
                "ExpressionAttributeNames": {"#status": "status"},
                "ExpressionAttributeValues": _numbers(now=now),
            }
        }

    def deletion(self, key_hash: str) -> TransactWriteItemTypeDef:
        """A deletion of an item, for `write`."""
        return {"Delete": {"TableName": self.name, "Key": self.key(key_hash)}}

    def _unlist(self, stream: str, hashes: Iterable[str]) -> TransactWriteItemTypeDef:
        return {
            "Update": {
                "TableName": self.name,
                "Key": self.key(f"stream#{stream}"),
                "UpdateExpression": "DELETE hashes :gone",
                "ExpressionAttributeValues": {":gone": {"SS": list(hashes)}},
            }
        }

    def write(self, *writes: TransactWriteItemTypeDef) -> list[bool]:
        """Do all of these writes or none; returns [] when done, else which of them had a condition that failed."""
        with translated():
            try:
                self.client.transact_write_items(TransactItems=writes)
            except ClientError as error:
                if "ConditionalCheckFailed" not in cancellation_codes(error):
                    raise
                reasons = error.response["CancellationReasons"]
                return [reason.get("Code") == "ConditionalCheckFailed" for reason in reasons]
        return []

    def _hashes(self, stream: str) -> list[str]:
        hashes: list[str] = self.stream_item(stream).get("hashes", {}).get("SS", [])
        return hashes

    def _read_many(self, hashes: list[str]) -> list[KeyRecord]:
        """The records of up to MAX_KEYS hashes, without those that are not there."""
        asked: Any = {self.name: {"Keys": [self.key(key_hash) for key_hash in hashes], "ConsistentRead": True}}
        records: list[KeyRecord] = []
        for pause in PAUSES:
            with translated():
                answer = self.client.batch_get_item(RequestItems=asked)
            records += map(KeyRecord.of, answer["Responses"].get(self.name, []))
            asked = answer.get("UnprocessedKeys")
            if not asked:
                return records
            time.sleep(pause)
        raise Unavailable

    def _read(self, key_hash: str) -> KeyRecord | None:
        with translated():
            answer = self.client.get_item(TableName=self.name, Key=self.key(key_hash), ConsistentRead=True)
        item = answer.get("Item")
        return None if item is None else KeyRecord.of(item)


def _numbers(**values: int) -> dict[str, Any]:
    return {f":{name}": {"N": str(value)} for name, value in values.items()}
