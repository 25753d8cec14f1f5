"""Writes rows as the JSON of one batch (`POST /track/batch`).

The JSON is written by hand, because this is the larger part of the CPU that tracking takes: what repeats (method,
endpoint and status; the second of a time) is written once and cached. `json.dumps` takes three times as long. A test
compares each log with what the service's own schema reads from it.
"""

from __future__ import annotations

import json
import time
from collections.abc import Callable, Iterable, Mapping, Sequence

from client_middleware.buffer import Row
from client_middleware.fields import clean
from client_middleware.refusal import without

__version__ = "0.1.0"
NAME = "api-analytics-middleware"

MAX_BYTES = 1_000_000  # of a body: the service accepts 1 MiB
MAX_WEIGHT = 1_000_000  # requests that one log may stand for
MAX_MS = 86_400_000.0  # the longest process_time that the service accepts, a day
MAX_ENDPOINT = 512  # characters that the service accepts
FORMAT = 1
"""The format of a batch. It is sent only if it is above 1: a service that knows only older formats then ignores, and
counts, the fields that it does not know."""
OPTIONAL = {"format"}
"""The members of a batch, beside its logs, that an older service may not know, and that can be left out."""
RELEARN_S = 3600.0  # an unknown field is sent again after this long, because the service may have been updated
MAX_KNOWN = 10_000  # heads in the cache


class Encoder:
    """Writes rows as JSON; caches what repeats. For one thread."""

    def __init__(self, batch_format: int = FORMAT, clock: Callable[[], float] = time.monotonic) -> None:
        self._format = batch_format
        self._clock = clock
        self._heads: dict[tuple[str, str, int], str] = {}
        self._unknown: dict[str, float] = {}  # fields that are left out, and until when, monotonic seconds

    def lines(self, rows: Iterable[Row]) -> list[str]:
        """Return each row as a JSON object, in ASCII."""
        heads = self._heads
        moment, prefix = -1, ""
        lines = []
        for at, seconds, method, endpoint, status, ip, extra, weight in rows:
            head = heads.get((method, endpoint, status)) or self._head(method, endpoint, status)
            second = int(at)
            if second != moment:
                moment = second
                prefix = time.strftime('{"created_at":"%Y-%m-%dT%H:%M:%S.', time.gmtime(second))
            if weight != 1:
                extra = f'{extra},"weight":{weight}'
            milliseconds = seconds * 1000
            if milliseconds > MAX_MS:
                milliseconds = MAX_MS
            address = f'"{ip}"' if ip else "null"
            # Most of the time is spent here; %-formatting is a fifth faster than an f-string.
            values = (prefix, (at - second) * 1_000_000, head, milliseconds, address, extra)
            lines.append('%s%06d%s%.3f,"ip":%s%s}' % values)  # noqa: UP031
        return lines

    def _head(self, method: str, endpoint: str, status: int) -> str:
        if len(self._heads) >= MAX_KNOWN:
            self._heads.clear()
        named = json.dumps(clean(endpoint, MAX_ENDPOINT) or "/")
        head = f'Z","method":{json.dumps(method)},"endpoint":{named},"status_code":{int(status)},"process_time":'
        self._heads[method, endpoint, status] = head
        return head

    def leave_out(self, names: Iterable[str]) -> list[str]:
        """Write batches without these fields, for RELEARN_S; return those that were not left out so far."""
        new = sorted(set(names) - self._unknown.keys())
        self._unknown |= dict.fromkeys(new, self._clock() + RELEARN_S)
        return new

    def batch(
        self, rows: Sequence[Row], batch_id: str, instance: str, dropped: Mapping[str, int]
    ) -> tuple[bytes, Sequence[Row]]:
        """Return the body of a batch, at most MAX_BYTES long, and the rows at the end that do not fit in."""
        client = {"name": NAME, "version": __version__, "instance": instance}
        members: dict[str, object] = {"batch_id": batch_id, "client": client, "dropped": dropped}
        if self._format > 1:
            members["format"] = self._format
        given, left_out = rows, self._left_out()
        if left_out:
            members = {name: value for name, value in members.items() if name not in left_out}
            rows = [without(row, left_out) for row in rows]
        envelope = json.dumps(members, separators=(",", ":"))
        lines = self.lines(rows)
        room = MAX_BYTES - len(envelope) - 16
        if sum(map(len, lines)) + len(lines) > room:
            fitting = 0
            while fitting < len(lines) and (room := room - len(lines[fitting]) - 1) >= 0:
                fitting += 1
            del lines[fitting:]
        body = f'{envelope[:-1]},"logs":[{",".join(lines)}]}}'
        return body.encode("ascii"), given[len(lines) :]

    def _left_out(self) -> set[str]:
        if self._unknown:
            now = self._clock()
            self._unknown = {name: until for name, until in self._unknown.items() if now < until}
        return set(self._unknown)
