"""The table of logs: batches as they were received, each under its key's stream and its time of receipt.

    api_key       timestamp (sort key)                       holds
    <stream id>   L#2026-11-24T00:30:00.123456Z#<batch id>   `d`: a packed batch
    <stream id>   B#<batch id>                               that a batch of this id is stored, `sum`: its checksum;
                                                             expires after a day
    <stream id>   R#2026-11-24                               `r`, `s`: the summary of what was received that day, up to
                                                             `until`; see `analytics.summary.fold`
    <stream id>   S#2026-11-24#<digest>                      `s` of a rollup that is final and names this `digest`

A batch and its `B#` item are written in one transaction, on condition that there is no such `B#` item yet: however
often a client tries again, it is stored once. Every item but the marks has a time to live, `ttl`: raw logs their
retention, summaries theirs.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import replace
from hashlib import sha256
from typing import TYPE_CHECKING, Any

from botocore.exceptions import ClientError

from analytics.api_key import new_id
from analytics.batch import Batch
from analytics.errors import Conflict
from analytics.store.client import cancellation_codes, translated
from analytics.summary.rollup import PackedSummary, Rollup, StoredBatch
from analytics.times import isoformat

if TYPE_CHECKING:
    from mypy_boto3_dynamodb import DynamoDBClient
    from mypy_boto3_dynamodb.type_defs import TransactWriteItemTypeDef

OTHER_LOGS = "Other logs are stored under this batch_id, so these are not: each batch needs an id of its own"
_LARGEST = 350_000  # bytes of packed logs in an item; DynamoDB takes 400 KB in all
_REMEMBERED = 86_400  # seconds that a batch id is remembered
_OUTLIVE = 30 * 86_400  # seconds that intervals stay after their rollup: DynamoDB deletes within days, and in any order
_ROLLUP = "#timestamp, #until, r, s, digest"
_END = "L#~"  # after every batch: "~" sorts behind all digits


class LogTable:
    """The logs of all streams. Every call raises Unavailable when DynamoDB is throttled or out of reach."""

    def __init__(self, client: DynamoDBClient, name: str, *, raw_days: int = 90, summary_days: int = 400) -> None:
        self._client = client
        self._name = name
        self._raw_s = raw_days * 86_400
        self._summary_s = summary_days * 86_400

    def append(self, stream: str, batch: Batch, received: int, batch_id: str | None = None) -> bool:
        """Store a batch, all of it or nothing; `received` is now, in microseconds since 1970.

        False, and nothing stored, when this batch is there already under its id. Raises Conflict, and stores nothing,
        when other logs are there under that id, as far as checksums tell.
        """
        item_id = batch_id or new_id()
        second = received // 1_000_000
        parts = _packed(batch)
        checksum = _checksum(batch, parts)
        items = [
            _item(
                stream,
                f"L#{isoformat(received)}#{item_id}{f'.{part}' if part else ''}",
                second + self._raw_s,
                d={"B": packed},
            )
            for part, packed in enumerate(parts)
        ]
        with translated():
            if batch_id is None and len(items) == 1:
                self._client.put_item(TableName=self._name, Item=items[0])
                return True
            writes: list[TransactWriteItemTypeDef] = [
                {"Put": {"TableName": self._name, "Item": item}} for item in items
            ]
            if batch_id is not None:
                mark = _item(stream, f"B#{batch_id}", second + _REMEMBERED, **checksum)
                put: TransactWriteItemTypeDef = {
                    "Put": {
                        "TableName": self._name,
                        "Item": mark,
                        "ConditionExpression": "attribute_not_exists(api_key)",
                        "ReturnValuesOnConditionCheckFailure": "ALL_OLD",  # which DynamoDB does not charge
                    }
                }
                writes.append(put)
            try:
                self._client.transact_write_items(TransactItems=writes)
            except ClientError as error:
                if "ConditionalCheckFailed" not in cancellation_codes(error):
                    raise
                before: Any = error.response["CancellationReasons"][-1].get("Item", {})
                if checksum and checksum["sum"] != before.get("sum", checksum["sum"]):
                    raise Conflict(OTHER_LOGS) from error
                return False
        return True

    def since(self, stream: str, start: int | str | None = None) -> Iterator[StoredBatch]:
        """The batches received from `start` on, oldest first; it is microseconds since 1970, or where a fold ended."""
        return self._between(stream, f"L#{start}" if isinstance(start, str) else _from(start), _END)

    def newest(self, stream: str, upto: str | None = None, start: int | None = None) -> Iterator[StoredBatch]:
        """The same from the newest, or the one of sort key `upto`, back to the first received from `start` on."""
        return self._between(stream, _from(start), upto or _END, newest_first=True)

    def newest_rollup(self, stream: str) -> Rollup | None:
        """The stored summary that the next fold goes on from."""
        return next(map(_rollup, self._query(stream, "R#", "R#~", _ROLLUP, newest_first=True, limit=1)), None)

    def oldest_rollup(self, stream: str) -> Rollup | None:
        """The stored summary of what was received first."""
        return next(map(_rollup, self._query(stream, "R#", "R#~", _ROLLUP, limit=1)), None)

    def rollups(self, stream: str, first: str, before: str) -> Iterator[Rollup]:
        """The stored summaries that start from `first` up to, and without, `before`."""
        for item in self._query(stream, f"R#{first}", f"R#{before}", _ROLLUP):
            if item["timestamp"]["S"] != f"R#{before}":
                yield _rollup(item)

    def intervals(self, stream: str, rollup: Rollup) -> bytes:
        """The packed intervals of a stored summary. Raises LookupError when they are not there."""
        if rollup.intervals is not None:
            return rollup.intervals
        sort_key = f"S#{rollup.start}#{rollup.intervals_digest}"
        items = list(self._query(stream, sort_key, sort_key, "s"))
        if not items:
            raise LookupError(f"{sort_key} is not there")
        packed: bytes = items[0]["s"]["B"]
        return packed

    def keep_rollup(self, stream: str, rollup: Rollup, expected: str | None, now: int, *, final: bool = False) -> bool:
        """Store a summary, on condition that the one it replaces still ends at `expected` (None: that there is none).

        False when somebody was first. The intervals of a `final` one are stored before it, under a name made of their
        bytes: whoever reads the rollup finds them, and if the condition is refused they are in nobody's way until they
        expire.
        """
        expires, intervals = now // 1_000_000 + self._summary_s, rollup.packed.intervals or b""
        own: dict[str, Any] = {"s": {"B": intervals}}
        if final:
            digest = sha256(intervals).hexdigest()[:16]
            own = {"digest": {"S": digest}}
            item = _item(stream, f"S#{rollup.start}#{digest}", expires + _OUTLIVE, s={"B": intervals})
            with translated():
                self._client.put_item(TableName=self._name, Item=item)
        item = _item(
            stream, f"R#{rollup.start}", expires, until={"S": rollup.until}, r={"B": rollup.packed.days}, **own
        )
        condition: dict[str, Any] = {"ConditionExpression": "attribute_not_exists(api_key)"}
        if expected is not None:
            condition = {
                "ConditionExpression": "#until = :expected",
                "ExpressionAttributeNames": {"#until": "until"},
                "ExpressionAttributeValues": {":expected": {"S": expected}},
            }
        with translated():
            try:
                self._client.put_item(TableName=self._name, Item=item, **condition)
            except ClientError as error:
                if error.response["Error"]["Code"] == "ConditionalCheckFailedException":
                    return False
                raise
        return True

    def _between(self, stream: str, low: str, high: str, *, newest_first: bool = False) -> Iterator[StoredBatch]:
        for item in self._query(stream, low, high, "#timestamp, d", newest_first=newest_first):
            yield StoredBatch(item["timestamp"]["S"], Batch.unpack(item["d"]["B"]))

    def _query(
        self, stream: str, low: str, high: str, wanted: str, *, newest_first: bool = False, limit: int | None = None
    ) -> Iterator[dict[str, Any]]:
        if low > high:  # which DynamoDB refuses
            return
        names = {"#timestamp": "timestamp", "#until": "until"}
        ask: dict[str, Any] = {
            "TableName": self._name,
            "KeyConditionExpression": "api_key = :stream AND #timestamp BETWEEN :low AND :high",
            "ExpressionAttributeNames": {name: names[name] for name in names if name in f"#timestamp {wanted}"},
            "ExpressionAttributeValues": {":stream": {"S": stream}, ":low": {"S": low}, ":high": {"S": high}},
            "ProjectionExpression": wanted,
            "ConsistentRead": True,
            "ScanIndexForward": not newest_first,
        }
        if limit:
            ask["Limit"] = limit
        while True:
            with translated():
                page = self._client.query(**ask)
            yield from page["Items"]
            if limit or not page.get("LastEvaluatedKey"):
                return
            ask["ExclusiveStartKey"] = page["LastEvaluatedKey"]


def _item(stream: str, sort_key: str, expires: int, **attributes: Any) -> dict[str, Any]:
    """An item; `expires` is in seconds since 1970."""
    return {"api_key": {"S": stream}, "timestamp": {"S": sort_key}, "ttl": {"N": str(expires)}, **attributes}


def _rollup(item: dict[str, Any]) -> Rollup:
    return Rollup(
        item["timestamp"]["S"][2:],
        item["until"]["S"],
        PackedSummary(item["r"]["B"], None),
        item["digest"]["S"] if "digest" in item else None,
        item["s"]["B"] if "s" in item else None,
    )


def _from(start: int | None) -> str:
    return "L#" if start is None else f"L#{isoformat(start)}"


def _checksum(batch: Batch, parts: list[bytes]) -> dict[str, Any]:
    """The attribute of a mark that tells other logs under its id: the Adler-32 with which zlib ends each part.

    A batch has none if it has other counts than `accepted`: when a client sends it again, it may report other losses,
    and a log that was ahead of the clock may not be any more.
    """
    return {} if set(batch.counts) - {"accepted"} else {"sum": {"B": b"".join(part[-4:] for part in parts)}}


def _packed(batch: Batch) -> list[bytes]:
    """The batch in as many parts as it takes for each to fit into an item; the first carries the counts."""
    packed = batch.pack()
    if len(packed) <= _LARGEST:
        return [packed]
    middle = len(batch) // 2
    first = replace(batch.take(range(middle)).compact(), counts=batch.counts)
    return _packed(first) + _packed(batch.take(range(middle, len(batch))).compact())
