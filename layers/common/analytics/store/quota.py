"""How many calls a stream may make in a UTC day, counted without a write to the table for each of them.

Each function instance counts in memory, and after every hundredth part of the limit adds what it counted to one item of
the table, whose sum tells it what all instances together have counted. What that guarantees:

- A stream gets at most `limit` calls, and a hundredth of that more for each instance that served it on the day.
  (A limit of up to 100 is kept to the call: there every call is added at once.)
- No call is refused before `limit` calls were made, but for an addition whose answer was lost on the way: DynamoDB's
  client then repeats it, and a hundredth of the limit counts twice.
- It costs a stream at most a hundred writes a day and two for each instance, however many calls are refused.

An instance that ends takes along what it has not added yet, which is within the first bound. Tracking and reading have
a count each, so that an app that sends too much does not lock its owner out of the dashboard.
"""

from __future__ import annotations

import threading
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import TYPE_CHECKING, Any

from analytics.errors import TooMany
from analytics.store.client import translated

if TYPE_CHECKING:
    from analytics.store.keys import KeyTable

DAY = 86_400 * 1_000_000  # µs
_PARTS = 100  # additions a day that bring a stream to its limit
_MOST = 10_000  # streams counted in memory


@dataclass(slots=True)
class _Count:
    """The calls of a stream on one day: added by all instances when last heard, and counted here since then."""

    day: int
    sum: int = 0
    here: int = 0


class Quota:
    """Counts the calls of one kind, "read" or "write", of every stream."""

    def __init__(self, kind: str) -> None:
        self._kind = kind
        self._counts: dict[str, _Count] = {}
        self._lock = threading.Lock()

    def count(self, keys: KeyTable, stream: str, limit: int, now: int) -> None:
        """Count a call at `now` (microseconds since 1970).

        Raises TooMany when the day's calls are used up, Unavailable when the table is busy at the time of an addition.
        """
        day = now // DAY
        with self._lock:
            count = self._counts.get(stream)
            if count is None or count.day != day:
                if len(self._counts) >= _MOST:
                    self._counts.clear()
                count = self._counts[stream] = _Count(day)
            if count.sum + count.here >= limit:
                raise self._too_many(limit, now)
            count.here += 1
            if count.here < -(-limit // _PARTS):
                return
            adding, count.here = count.here, 0
        try:
            total = self._add(keys, stream, day, adding)
        except BaseException:
            with self._lock:
                count.here += adding - 1  # this call is not served, so it does not count
            raise
        with self._lock:
            count.sum = max(count.sum, total)
        if total - adding >= limit:  # others had used it up before
            raise self._too_many(limit, now)

    def _add(self, keys: KeyTable, stream: str, day: int, calls: int) -> int:
        """Add to the count of a day; the sum of all instances."""
        date = datetime.fromtimestamp(day * 86_400, UTC).date().isoformat()
        update: dict[str, Any] = {
            "TableName": keys.name,
            "Key": keys.key(f"quota#{stream}"),
            "ReturnValues": "ALL_NEW",
        }
        names = {"#day": "day", "#kind": self._kind}
        values = {":day": {"S": date}, ":calls": {"N": str(calls)}}
        other = {"#other": "read" if self._kind == "write" else "write", "#ttl": "ttl"}
        ways: list[dict[str, Any]] = [
            {"UpdateExpression": "ADD #kind :calls", "ConditionExpression": "#day = :day"}
            | {"ExpressionAttributeNames": names, "ExpressionAttributeValues": values},
            # The day's first: what is there is of an older day.
            {"UpdateExpression": "SET #day = :day, #kind = :calls, #ttl = :ttl REMOVE #other"}
            | {"ConditionExpression": "attribute_not_exists(#day) OR #day < :day"}
            | {"ExpressionAttributeNames": names | other}
            | {"ExpressionAttributeValues": values | {":ttl": {"N": str((day + 2) * 86_400)}}},
        ]
        for way in (*ways, ways[0]):  # once more the first, where another instance was the day's first meanwhile
            with translated():
                try:
                    answer = keys.client.update_item(**update, **way)
                except keys.client.exceptions.ConditionalCheckFailedException:
                    continue
            return int(answer["Attributes"][self._kind]["N"])
        return calls  # the item is of a later day: midnight has passed, and this call came a moment before

    def _too_many(self, limit: int, now: int) -> TooMany:
        detail = f"The {limit} {self._kind} calls of this day are used up; they are counted anew from midnight UTC"
        return TooMany(detail, retry_after=-(-(DAY - now % DAY) // 1_000_000))
