"""The table of logs: batches as they were received, each under its key's stream and its time of receipt.

    api_key       timestamp (sort key)                       holds
    <stream id>   L#2026-11-24T00:30:00.123456Z#<batch id>   `d`: a packed batch
    <stream id>   B#<batch id>                               that a batch of this id is stored: its checksum `sum`, its
                                                             sort keys `keys`; expires after a day
    <stream id>   R#2026-11-24                               `r`, `s`: the summary of what was received that day, up to
                                                             `until`; `n`: batches that it counts; `previous`: the start
                                                             of the rollup before; see `analytics.summary.fold`
    <stream id>   S#2026-11-24#<digest>                      `s` of a rollup that is final and names this `digest`
    <stream id>   R#~~                                       the watermark: `until`, up to where folds may store, and
                                                             `late`, sort keys of batches that came later than that

A batch and its `B#` item are written in one transaction, on condition that there is no such `B#` item yet: however
often a client tries again, it is stored once. Every item but the watermark has a time to live, `ttl`: raw logs
their retention, summaries theirs. A reader takes an item whose time is over for one that is gone, unless it has yet to
be counted.
"""

from __future__ import annotations

import logging
from collections import Counter
from collections.abc import Iterable, Iterator
from dataclasses import replace
from hashlib import sha256
from typing import TYPE_CHECKING, Any

from botocore.exceptions import ClientError

from analytics.api_key import new_id
from analytics.batch import Batch
from analytics.errors import Conflict
from analytics.store.client import cancellation_codes, translated
from analytics.summary.rollup import PackedSummary, Rollup, StoredBatch, Watermark
from analytics.times import SECOND, isoformat, parsed

if TYPE_CHECKING:
    from mypy_boto3_dynamodb import DynamoDBClient
    from mypy_boto3_dynamodb.type_defs import TransactWriteItemTypeDef

logger = logging.getLogger("analytics")

OTHER_LOGS = "Other logs are stored under this batch_id, so these are not: each batch needs an id of its own"
_LARGEST = 350_000  # bytes of packed logs in an item; DynamoDB takes 400 KB in all
_REMEMBERED = 86_400  # seconds that a batch id is remembered
_OUTLIVE = 30 * 86_400  # seconds that intervals stay after their rollup: DynamoDB deletes within days, and in any order
_ROLLUP = "#timestamp, #until, #ttl, r, s, digest, n, previous, late, newest"
_WATERMARK = "R#~~"  # behind all rollups, and where a build that did not know it did not look
_MOST_WATERMARKS = 10_000  # streams whose watermark is kept in memory
_END = "L#~"  # after every batch: "~" sorts behind all digits


class LogTable:
    """The logs of all streams. Every call raises Unavailable when DynamoDB is throttled or out of reach."""

    def __init__(self, client: DynamoDBClient, name: str, *, raw_days: int = 90, summary_days: int = 400) -> None:
        self._client = client
        self._name = name
        self._raw_s = raw_days * 86_400
        self._summary_s = max(summary_days, raw_days) * 86_400  # never shorter than that of what they count
        self._watermarks: dict[str, int] = {}  # by stream, microseconds since 1970: the latest that was met

    def append(self, stream: str, batch: Batch, received: int, batch_id: str | None = None) -> bool:
        """Store a batch, all of it or nothing; `received` is now, in microseconds since 1970.

        False, and nothing stored, when this batch is there already under its id. Raises Conflict, and stores nothing,
        when other logs are there under that id, as far as checksums tell.

        The time in the sort key is `received`, or the first moment after the stream's watermark where this process has
        met one that is later: a clock may be wrong.
        """
        item_id = batch_id or new_id()
        received = max(received, self._watermarks.get(stream, 0) + 1)
        second = received // SECOND
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
            else:
                writes: list[TransactWriteItemTypeDef] = [
                    {"Put": {"TableName": self._name, "Item": item}} for item in items
                ]
                if batch_id is not None:
                    keys = {"SS": _sort_keys(items)}
                    mark: TransactWriteItemTypeDef = {
                        "Put": {
                            "TableName": self._name,
                            "Item": _item(stream, f"B#{batch_id}", second + _REMEMBERED, keys=keys, **checksum),
                            "ConditionExpression": "attribute_not_exists(api_key)",
                            "ReturnValuesOnConditionCheckFailure": "ALL_OLD",  # which DynamoDB does not charge
                        }
                    }
                    writes.append(mark)
                try:
                    self._client.transact_write_items(TransactItems=writes)
                except ClientError as error:
                    if "ConditionalCheckFailed" not in cancellation_codes(error):
                        raise
                    before: Any = error.response["CancellationReasons"][-1].get("Item", {})
                    if checksum and checksum["sum"] != before.get("sum", checksum["sum"]):
                        raise Conflict(OTHER_LOGS) from error
                    # Whoever stored it may have ended before it looked whether a fold had passed by.
                    self._note_if_late(stream, before.get("keys", {}).get("SS", []))
                    return False
        self._note_if_late(stream, _sort_keys(items))
        return True

    def _note_if_late(self, stream: str, sort_keys: list[str]) -> None:
        """Look whether a fold may have passed the time of a batch before the batch was there, and note it if so.

        It reads after it wrote: a fold that raises the watermark after this read finds the batch.
        """
        if not sort_keys:
            return
        with translated():
            answer = self._client.get_item(
                TableName=self._name,
                Key={"api_key": {"S": stream}, "timestamp": {"S": _WATERMARK}},
                ConsistentRead=True,
            )
        watermark = _watermark(answer.get("Item", {}))
        if watermark.until:
            if len(self._watermarks) >= _MOST_WATERMARKS:
                self._watermarks.clear()
            self._watermarks[stream] = parsed(watermark.until)
        if late := [each for each in sort_keys if each.removeprefix("L#") < watermark.until]:
            self._update_watermark(stream, "ADD late :late", {":late": {"SS": late}})

    def raise_watermark(self, stream: str, until: str, newest: str = "") -> None:
        """Let folds store what was received before `until`, unless they may already; with it goes `note_newest`."""
        try:
            self._update_watermark(
                stream,
                "SET #until = :until, newest = :newest",
                {":until": {"S": until}, ":newest": {"S": newest}},
                "attribute_not_exists(#until) OR #until < :until",
            )
        except self._client.exceptions.ConditionalCheckFailedException:
            return

    def note_newest(self, stream: str, newest: str) -> None:
        """Note the start of the newest rollup, so that its loss is noticed."""
        self._update_watermark(stream, "SET newest = :newest", {":newest": {"S": newest}})

    def settle_late(self, stream: str, sort_keys: Iterable[str]) -> None:
        """Forget that these batches were late."""
        self._update_watermark(stream, "DELETE late :late", {":late": {"SS": list(sort_keys)}})

    def _update_watermark(self, stream: str, update: str, values: dict[str, Any], condition: str | None = None) -> None:
        ask: dict[str, Any] = {"ConditionExpression": condition} if condition else {}
        if "#until" in update:
            ask["ExpressionAttributeNames"] = {"#until": "until"}
        with translated():
            self._client.update_item(
                TableName=self._name,
                Key={"api_key": {"S": stream}, "timestamp": {"S": _WATERMARK}},
                UpdateExpression=update,
                ExpressionAttributeValues=values,
                **ask,
            )

    def since(self, stream: str, start: str = "", until: str | None = None) -> Iterator[StoredBatch]:
        """The batches that a fold has to count: received from `start` up to, and without, `until` (times of
        sort keys), oldest first.

        Batches past their time to live are among them as long as DynamoDB has not deleted them.
        """
        end = _END if until is None else f"L#{until}"
        return (stored for stored in self._batches(stream, f"L#{start}", end) if stored.sort_key != end)

    def kept(self, stream: str, start: int | None, now: int) -> Iterator[StoredBatch]:
        """The batches received from `start` on (microseconds since 1970), oldest first, that have not expired."""
        return self._batches(stream, _from(start), _END, now)

    def newest(self, stream: str, now: int, upto: str | None = None, start: int | None = None) -> Iterator[StoredBatch]:
        """The same from the newest, or the one of sort key `upto`, back to the first received from `start` on."""
        return self._batches(stream, _from(start), upto or _END, now, newest_first=True)

    def newest_rollup(self, stream: str, now: int) -> tuple[Rollup | None, Watermark]:
        """The rollup that the next fold goes on from, if there is one, and the watermark.

        One that `has_expired` is no longer to be counted.
        """
        watermark, found = Watermark(), None
        for item in self._query(stream, "R#", _WATERMARK, _ROLLUP, newest_first=True, limit=2):
            if item["timestamp"]["S"] == _WATERMARK:
                watermark = _watermark(item)
            elif found is None:
                found = item
        return None if found is None else replace(_rollup(found), has_expired=_has_expired(found, now)), watermark

    def rollups_around(self, stream: str, received: str) -> tuple[Rollup | None, Rollup | None]:
        """The last rollup that starts before a time of receipt (of a sort key), and the first that starts after it."""
        before = self._query(stream, "R#", f"R#{received}", _ROLLUP, newest_first=True, limit=1)
        after = self._query(stream, f"R#{received}", "R#~", _ROLLUP, limit=1)
        return next(map(_rollup, before), None), next(map(_rollup, after), None)

    def rollups(self, stream: str, first: str, before: str, now: int) -> Iterator[Rollup]:
        """The rollups that start from `first` up to, and without, `before`, and have not expired."""
        for item in self._query(stream, f"R#{first}", f"R#{before}", _ROLLUP):
            if item["timestamp"]["S"] != f"R#{before}" and not _has_expired(item, now):
                yield _rollup(item)

    def intervals(self, stream: str, rollup: Rollup) -> bytes:
        """The packed intervals of a rollup. Raises LookupError when they are not there."""
        if rollup.intervals is not None:
            return rollup.intervals
        sort_key = f"S#{rollup.start}#{rollup.intervals_digest}"
        items = list(self._query(stream, sort_key, sort_key, "s"))
        if not items:
            raise LookupError(f"{sort_key} is not there")
        packed: bytes = items[0]["s"]["B"]
        return packed

    def keep_rollup(
        self, stream: str, rollup: Rollup, expected: Rollup | None, now: int, *, final: bool = False
    ) -> bool:
        """Store a rollup, on condition that the one it replaces is still `expected` (None: that there is none).

        False when somebody was first. The intervals of a `final` one are stored before it, under a name made of their
        bytes: whoever reads the rollup finds them, and if the condition is refused they are in nobody's way until they
        expire.
        """
        expires, intervals = now // SECOND + self._summary_s, rollup.packed.intervals or b""
        own: dict[str, Any] = {"s": {"B": intervals}}
        if final:
            digest = sha256(intervals).hexdigest()[:16]
            own = {"digest": {"S": digest}}
            item = _item(stream, f"S#{rollup.start}#{digest}", expires + _OUTLIVE, s={"B": intervals})
            with translated():
                self._client.put_item(TableName=self._name, Item=item)
        if rollup.batches is not None:
            own |= {"n": {"N": str(rollup.batches)}}
        if rollup.previous is not None:
            own |= {"previous": {"S": rollup.previous}}
        item = _item(
            stream, f"R#{rollup.start}", expires, until={"S": rollup.until}, r={"B": rollup.packed.days}, **own
        )
        condition: dict[str, Any] = {"ConditionExpression": "attribute_not_exists(api_key)"}
        if expected is not None:
            same = "attribute_not_exists(n)" if expected.batches is None else "n = :batches"
            until = "#until = :until" if expected.until else "attribute_not_exists(#until)"
            values = {":until": {"S": expected.until}} if expected.until else {}
            if expected.batches is not None:
                values[":batches"] = {"N": str(expected.batches)}
            condition = {
                "ConditionExpression": f"{until} AND {same}",
                "ExpressionAttributeNames": {"#until": "until"},
                **({"ExpressionAttributeValues": values} if values else {}),
            }
        with translated():
            try:
                self._client.put_item(TableName=self._name, Item=item, **condition)
            except ClientError as error:
                if error.response["Error"]["Code"] == "ConditionalCheckFailedException":
                    return False
                raise
        return True

    def _batches(
        self, stream: str, low: str, high: str, now: int | None = None, *, newest_first: bool = False
    ) -> Iterator[StoredBatch]:
        """The batches between two sort keys; those that have expired by `now`, where that is given, are left out."""
        wanted = "#timestamp, d" if now is None else "#timestamp, d, #ttl"
        for item in self._query(stream, low, high, wanted, newest_first=newest_first):
            if now is None or not _has_expired(item, now):
                yield StoredBatch(item["timestamp"]["S"], _unpacked(stream, item))

    def _query(
        self, stream: str, low: str, high: str, wanted: str, *, newest_first: bool = False, limit: int | None = None
    ) -> Iterator[dict[str, Any]]:
        if low > high:  # which DynamoDB refuses
            return
        names = {"#timestamp": "timestamp", "#until": "until", "#ttl": "ttl"}
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


def _sort_keys(items: list[dict[str, Any]]) -> list[str]:
    return [item["timestamp"]["S"] for item in items]


def _rollup(item: dict[str, Any]) -> Rollup:
    return Rollup(
        item["timestamp"]["S"][2:],
        item.get("until", {}).get("S", ""),
        PackedSummary(item.get("r", {}).get("B", b""), None),  # what is missing cannot be read
        batches=int(item["n"]["N"]) if "n" in item else None,
        previous=item["previous"]["S"] if "previous" in item else None,
        intervals_digest=item["digest"]["S"] if "digest" in item else None,
        intervals=item["s"]["B"] if "s" in item else None,
    )


def _watermark(item: dict[str, Any]) -> Watermark:
    texts = {name: item.get(name, {}).get("S", "") for name in ("until", "newest")}
    return Watermark(late=frozenset(item.get("late", {}).get("SS", ())), **texts)


def _has_expired(item: dict[str, Any], now: int) -> bool:
    """Whether its time to live is over by `now`: DynamoDB deletes it within days."""
    return "ttl" in item and int(item["ttl"]["N"]) <= now // SECOND


def _unpacked(stream: str, item: dict[str, Any]) -> Batch:
    """The batch in an item, or an empty one that counts as unreadable where the item is damaged."""
    try:
        return Batch.unpack(item["d"]["B"])
    except (LookupError, ValueError) as error:
        logger.error("A stored batch cannot be read: %s of stream %s: %s", item["timestamp"]["S"], stream, error)
        return Batch(counts=Counter(unreadable=1))


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
