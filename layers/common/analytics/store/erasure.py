"""The erasure of a stream: all items of its logs, all its keys and its own items, in as many calls as that takes.

The stream's item in the table of keys records the progress:

    erasing     the hash of the key that began the erasure; from then on that key can only continue it
    sealed_at   when all other keys were deleted, in microseconds since 1970
    deleted     items of the table of logs counted so far; a crashed call's last deletions may be missing

1. One transaction marks the key and the stream. A marked stream takes no new key, because adding one has the condition
   that the stream is not marked. So the keys it has now are all the keys it will ever have.
2. The other keys are deleted. Then `sealed_at` is written.
3. The items of the stream's partition are deleted, page by page, until a page is empty.
4. When a page that was requested GRACE or more after `sealed_at` is empty, no item can come any more. One transaction
   deletes the last key, the stream's item and its count of calls.

Why no item can come after GRACE: an instance that read a key before its deletion accepts it for 30 s, so it lets in the
last call at `sealed_at` + 30 s. The function stops 29 s later at most (`Timeout` in template.yaml), and its writes end
with it. The other half minute covers a put that was under way when its function stopped (DynamoDB answers within
seconds or not at all) and clocks that differ. The scheduled fold needs no key, but it leaves out marked streams; a run
that began before the mark stops 29 s later, too.

Every step can be repeated, and two callers can work at once: they delete the same items.
"""

from __future__ import annotations

import time
from collections import deque
from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from analytics.errors import Unauthorized, Unavailable
from analytics.store.client import PAUSES, translated
from analytics.times import SECOND

if TYPE_CHECKING:
    from analytics.store.keys import KeyTable
    from analytics.store.record import KeyRecord

GRACE = 90 * SECOND  # see above
DEADLINE = 20 * SECOND  # of work in one call; the gateway gives up after 30 s
_BATCH = 25  # deletions in one BatchWriteItem


@dataclass(frozen=True, slots=True)
class Progress:
    """How far an erasure is: items of logs deleted by all its calls, whether it is complete, else seconds to wait."""

    deleted: int
    complete: bool
    wait: int = 0


class Erasure:
    """Erases streams. `now` gives microseconds since 1970; `pause` sleeps for seconds."""

    def __init__(
        self, keys: KeyTable, logs: str, now: Callable[[], int], pause: Callable[[float], None] = time.sleep
    ) -> None:
        self._keys = keys
        self._logs = logs  # the name of the table
        self._now = now
        self._pause = pause

    def step(self, record: KeyRecord) -> Progress:
        """Begin or continue the erasure of the stream of a full key, for DEADLINE at most.

        Raises Unauthorized when another key began it or this key was revoked, and Unavailable when DynamoDB is
        throttled or out of reach. What was deleted until then stays deleted.
        """
        late = self._now() + DEADLINE
        if not record.erasing:
            self._begin(record)
        item = self._keys.stream_item(record.stream)
        sealed = self._seal(record, item, late)
        deleted, empty = self._clear(record.stream, late)
        total = int(item.get("deleted", {}).get("N", 0)) + deleted
        self._note(record.stream, "SET deleted = :number", total)  # ADD would count twice after a lost answer
        if sealed is None or empty is None:
            return Progress(total, complete=False)
        if empty < sealed + GRACE:
            return Progress(total, complete=False, wait=-(-(sealed + GRACE - empty) // SECOND))
        self._finish(record)
        return Progress(total, complete=True)

    def _begin(self, record: KeyRecord) -> None:
        table, keys = self._keys.name, self._keys
        mine = {":hash": {"S": record.key_hash}}
        refused = keys.write(
            {
                "Update": {
                    "TableName": table,
                    "Key": keys.key(record.key_hash),
                    # The key must not expire before the erasure is complete: no other key could finish it.
                    "UpdateExpression": "SET #status = :erasing REMOVE expires_at, #ttl",
                    "ConditionExpression": "attribute_exists(key_hash)",
                    "ExpressionAttributeNames": {"#status": "status", "#ttl": "ttl"},
                    "ExpressionAttributeValues": {":erasing": {"S": "erasing"}},
                }
            },
            {
                "Update": {
                    "TableName": table,
                    "Key": keys.key(f"stream#{record.stream}"),
                    "UpdateExpression": "SET erasing = :hash",
                    "ConditionExpression": "attribute_not_exists(erasing) OR erasing = :hash",
                    "ExpressionAttributeValues": mine,
                }
            },
        )
        keys.forget(record.key_hash)
        if refused:
            raise Unauthorized

    def _seal(self, record: KeyRecord, item: dict[str, Any], late: int) -> int | None:
        """Delete the other keys; returns `sealed_at`, or None when the deadline came first."""
        if "sealed_at" in item:
            return int(item["sealed_at"]["N"])
        others = [each for each in item.get("hashes", {}).get("SS", []) if each != record.key_hash]
        if sum(self._delete(self._keys.name, map(self._keys.key, others), late)) < len(others):
            return None
        for key_hash in others:
            self._keys.forget(key_hash)
        noted = self._note(record.stream, "SET sealed_at = if_not_exists(sealed_at, :number)", self._now())
        return int(noted["sealed_at"]["N"])

    def _clear(self, stream: str, late: int) -> tuple[int, int | None]:
        """Delete the items of the partition; returns how many, and when the page that came back empty was requested.

        The time is None when the deadline, or a busy table, came first.
        """
        ask: dict[str, Any] = {
            "TableName": self._logs,
            "KeyConditionExpression": "api_key = :stream",
            "ExpressionAttributeNames": {"#timestamp": "timestamp"},
            "ExpressionAttributeValues": {":stream": {"S": stream}},
            "ProjectionExpression": "api_key, #timestamp",
            "ConsistentRead": True,
        }
        deleted = 0
        try:
            while (asked := self._now()) <= late:
                with translated():
                    page = self._keys.client.query(**ask)  # always from the start: deleted items are not in it
                if not page["Items"]:
                    return deleted, asked
                for some in self._delete(self._logs, page["Items"], late):
                    deleted += some
        except Unavailable:
            if not deleted:
                raise
        return deleted, None

    def _delete(self, table: str, keys: Iterable[dict[str, Any]], late: int) -> Iterator[int]:
        """Delete items until the deadline; yields the number of each batch."""
        waiting = deque(keys)
        pauses = 0
        while waiting and self._now() <= late:
            some = [waiting.popleft() for _ in range(min(_BATCH, len(waiting)))]
            with translated():
                answer = self._keys.client.batch_write_item(
                    RequestItems={table: [{"DeleteRequest": {"Key": key}} for key in some]}
                )
            left = [each["DeleteRequest"]["Key"] for each in answer.get("UnprocessedItems", {}).get(table, [])]
            waiting.extend(left)
            yield len(some) - len(left)
            if left:
                self._pause(PAUSES[min(pauses, len(PAUSES) - 1)])
            pauses = pauses + 1 if left else 0

    def _note(self, stream: str, update: str, number: int) -> dict[str, Any]:
        """Record the progress; returns the stream's item. Raises Unauthorized when the erasure is complete already."""
        with translated():
            try:
                answer = self._keys.client.update_item(
                    TableName=self._keys.name,
                    Key=self._keys.key(f"stream#{stream}"),
                    UpdateExpression=update,
                    ConditionExpression="attribute_exists(erasing)",
                    ExpressionAttributeValues={":number": {"N": str(number)}},
                    ReturnValues="ALL_NEW",
                )
            except self._keys.client.exceptions.ConditionalCheckFailedException as error:
                raise Unauthorized from error
        return answer["Attributes"]

    def _finish(self, record: KeyRecord) -> None:
        names = (record.key_hash, f"stream#{record.stream}", f"quota#{record.stream}")
        self._keys.write(*map(self._keys.deletion, names))
