"""The erasure of a stream: every item of its logs, all its keys, and every trace of both, in as many steps as it takes.

The stream's item in the table of keys says how far it got:

    erasing     the hash of the key that asked for it, which from then on can do nothing but go on with it
    sealed_at   when all other keys were gone, in microseconds since 1970
    deleted     items of the table of logs that its calls have deleted and lived to count

1. One transaction marks that key and the stream. A marked stream takes no new key: adding one has the condition that it
   is not marked. So the keys that it has are all the keys that it will ever have.
2. The other keys are deleted, and then the time is written down (`sealed_at`).
3. What lies in the stream's partition is deleted, page by page, until a page is empty.
4. When a page that was asked for GRACE or more after `sealed_at` is empty, nothing can come any more: the last key,
   the stream's item and its count of calls are deleted in one transaction.

Why nothing can come after GRACE: a function that has read a key before it was deleted believes it for 30 s, so the last
call is let in at `sealed_at` + 30 s. A function is stopped 29 s later at most (`Timeout` in template.yaml), and with it
what it was going to write. The rest, half a minute, is for a put that was on its way when its function was stopped
(DynamoDB answers within seconds or not at all) and for clocks that differ. The scheduled fold needs no key, but leaves
out marked streams: a run that began before the mark is stopped 29 s later, too.

Each step can be done again, however it ended, and by two callers at once: they delete the same items.
"""

from __future__ import annotations

import time
from collections import deque
from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from analytics.errors import Unauthorized, Unavailable
from analytics.store.client import PAUSES, translated

if TYPE_CHECKING:
    from analytics.store.keys import KeyTable
    from analytics.store.record import KeyRecord

GRACE = 90 * 1_000_000  # µs; see above
DEADLINE = 20 * 1_000_000  # µs of work in one call; the gateway gives up after 30 s
_AT_ONCE = 25  # deletions in one BatchWriteItem


@dataclass(frozen=True, slots=True)
class Progress:
    """How far an erasure got: items of logs deleted in all its calls, whether it is over, else when to go on (s)."""

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
        """Begin or go on with erasing the stream of a full key, for DEADLINE at most.

        Raises Unauthorized when another key has begun it, or this one was revoked, and Unavailable when DynamoDB is
        throttled or out of reach: what was done stays done.
        """
        late = self._now() + DEADLINE
        if not record.erasing:
            self._begin(record)
        item = self._keys.stream_item(record.stream)
        sealed = self._seal(record, item, late)
        deleted, empty = self._clear(record.stream, late)
        total = int(item.get("deleted", {}).get("N", 0)) + deleted
        self._note(
            record.stream, "SET deleted = :number", total
        )  # not ADD, which counts twice when its answer gets lost
        if sealed is None or empty is None:
            return Progress(total, complete=False)
        if empty < sealed + GRACE:
            return Progress(total, complete=False, wait=-(-(sealed + GRACE - empty) // 1_000_000))
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
                    # A key in its period of grace must not expire before it is done: nobody else could finish.
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
        """When all other keys were gone; None when the deadline came first."""
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
        """How many items were deleted, and when a page was asked for that turned out empty; None: not yet."""
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
                    page = self._keys.client.query(**ask)  # from the start each time: what was deleted is not there
                if not page["Items"]:
                    return deleted, asked
                for some in self._delete(self._logs, page["Items"], late):
                    deleted += some
        except Unavailable:
            if not deleted:
                raise
        return deleted, None

    def _delete(self, table: str, keys: Iterable[dict[str, Any]], late: int) -> Iterator[int]:
        """Delete items until the deadline; yields how many at a time."""
        waiting = deque(keys)
        pauses = 0
        while waiting and self._now() <= late:
            some = [waiting.popleft() for _ in range(min(_AT_ONCE, len(waiting)))]
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
        """Write down how far it got; the stream's item after that. Raises Unauthorized when another caller finished."""
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
