"""How many calls a stream may make in a UTC day, counted without a write for each call.

Each function instance counts calls in memory. After every hundredth of the limit it adds its count to one item of the
table of keys; the new sum tells it what all instances together have counted. This guarantees:

- A stream gets at most `limit` calls, plus a hundredth of that for each instance that served it on the day.
  (A limit of up to 100 is exact: each call is added at once.)
- No call is refused before `limit` calls were made. One exception: when the answer to an addition is lost, DynamoDB's
  client repeats the addition, and a hundredth of the limit counts twice.
- A stream costs at most a hundred writes a day and two for each instance, however many calls are refused.

An instance that ends loses what it has not added yet, which is within the first bound. Tracking and reading are counted
apart, so that an app that sends too much does not lock its owner out of the dashboard.
"""

from __future__ import annotations

import threading
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import TYPE_CHECKING, Any

from analytics.errors import TooMany
from analytics.store.client import translated
from analytics.times import DAY, SECOND

if TYPE_CHECKING:
    from analytics.store.keys import KeyTable

DAY_US = DAY * SECOND
_PARTS = 100  # additions a day that bring a stream to its limit
_MAX_STREAMS = 10_000  # counted in memory


@dataclass(slots=True)
class _Count:
    """The calls of a stream on one day: `total` of all instances when last read, and `here` since then."""

    day: int  # days since 1970
    total: int = 0
    here: int = 0


class Quota:
    """Counts the calls of one kind, "read" or "write", of every stream."""

    def __init__(self, kind: str) -> None:
        self._kind = kind
        self._counts: dict[str, _Count] = {}
        self._lock = threading.Lock()

    def count(self, keys: KeyTable, stream: str, limit: int, now: int) -> None:
        """Count one call at `now` (microseconds since 1970).

        Raises TooMany when the day's calls are used up, Unavailable when an addition to the table fails.
        """
        day = now // DAY_US
        with self._lock:
            count = self._of(stream, day)
            if count.total + count.here >= limit:
                raise _too_many(limit, now)
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
            count.total = max(count.total, total)
        if total - adding >= limit:  # other instances had used it up before
            raise _too_many(limit, now)

    def _of(self, stream: str, day: int) -> _Count:
        """The count of a stream on a day, begun at 0 where there is none."""
        count = self._counts.get(stream)
        if count is None or count.day != day:
            if len(self._counts) >= _MAX_STREAMS:
                self._counts.clear()
            count = self._counts[stream] = _Count(day)
        return count

    def _add(self, keys: KeyTable, stream: str, day: int, calls: int) -> int:
        """Add to the stream's item; returns the day's sum over all instances.

        The item is of today, or of an older day (or missing), or of a later day when this instance's clock is behind.
        Another instance may change it from the second to the first at any moment, so the first is tried again.
        """
        for update in (self._increase, self._begin_day, self._increase):
            total = update(keys, stream, day, calls)
            if total is not None:
                return total
        return calls  # the item is of a later day: this call came just before midnight

    def _increase(self, keys: KeyTable, stream: str, day: int, calls: int) -> int | None:
        """Add to the item if it is of this day; returns its sum, or None."""
        return self._update(
            keys,
            stream,
            UpdateExpression="ADD #kind :calls",
            ConditionExpression="#day = :day",
            ExpressionAttributeNames={"#day": "day", "#kind": self._kind},
            ExpressionAttributeValues={":day": {"S": _date(day)}, ":calls": {"N": str(calls)}},
        )

    def _begin_day(self, keys: KeyTable, stream: str, day: int, calls: int) -> int | None:
        """Begin this day's item if there is none or it is of an older day; returns its sum, or None."""
        other = "read" if self._kind == "write" else "write"
        expires = (day + 2) * DAY
        return self._update(
            keys,
            stream,
            UpdateExpression="SET #day = :day, #kind = :calls, #ttl = :ttl REMOVE #other",
            ConditionExpression="attribute_not_exists(#day) OR #day < :day",
            ExpressionAttributeNames={"#day": "day", "#kind": self._kind, "#other": other, "#ttl": "ttl"},
            ExpressionAttributeValues={
                ":day": {"S": _date(day)},
                ":calls": {"N": str(calls)},
                ":ttl": {"N": str(expires)},
            },
        )

    def _update(self, keys: KeyTable, stream: str, **update: Any) -> int | None:
        """Update the stream's item; returns its sum after that, or None when the condition does not hold."""
        with translated():
            try:
                answer = keys.client.update_item(
                    TableName=keys.name, Key=keys.key(f"quota#{stream}"), ReturnValues="ALL_NEW", **update
                )
            except keys.client.exceptions.ConditionalCheckFailedException:
                return None
        return int(answer["Attributes"][self._kind]["N"])


def _date(day: int) -> str:
    return datetime.fromtimestamp(day * DAY, UTC).date().isoformat()


def _too_many(limit: int, now: int) -> TooMany:
    detail = f"Daily limit of {limit} calls reached; it resets at midnight UTC"
    return TooMany(detail, retry_after=-(-(DAY_US - now % DAY_US) // SECOND))
