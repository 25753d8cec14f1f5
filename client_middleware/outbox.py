"""Sends what waits in a buffer, one batch at a time, until each batch is stored, refused or given up.

A batch keeps its id and the losses it reports until it is settled, and the service stores an id once. So a lost answer
neither doubles nor loses a request, and each request is counted once:

    requests made = stored + refused by the service, which counts them + lost and reported + lost and not reported yet
                    + still waiting

with one exception: `unconfirmed` counts requests that were given up after an answer got lost; the service may have
stored them.

A batch that is refused for what it contains does not cost the logs that are right. Where the answer names optional
fields, the batch is sent again without them; else it is sent again in halves, until the bad log is alone and lost.
"""

from __future__ import annotations

import logging
import random
import secrets
import time
from collections import Counter
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Protocol

from client_middleware.buffer import Buffer, Row
from client_middleware.parts import Parts
from client_middleware.refusal import Problem, repaired, unknown
from client_middleware.settings import Settings
from client_middleware.transport import Outcome
from client_middleware.wire import FORMAT, OPTIONAL, Encoder

logger = logging.getLogger("client_middleware")

FIRST_WAIT_S = 0.5  # before the second try; doubles
LONGEST_WAIT_S = 60.0
REPORT_AGAIN_S = 60.0  # after a batch was given up, losses alone are reported no sooner


class Post(Protocol):
    """Sends a batch: `Transport`, or a test's own."""

    def post(self, body: bytes, within: float | None = None) -> Outcome:
        """Send a body; take at most `within` seconds, or the setting."""

    def close(self) -> None:
        """Close connections."""


@dataclass(slots=True)
class Batch:
    """The batch under way. Each try sends the same body."""

    id: str
    rows: Sequence[Row]
    body: bytes
    dropped: Mapping[str, int]
    made: float  # monotonic seconds
    tries: int = 0
    due: float = 0.0  # monotonic seconds of the next try
    maybe_stored: bool = False
    last: Outcome = field(default_factory=lambda: Outcome("again", "unreachable"))


class Outbox:
    """One batch at a time, from the buffer to the service. For one thread; any thread may read its properties."""

    def __init__(
        self,
        settings: Settings,
        buffer: Buffer,
        connect: Callable[[], Post],
        first_wait: float = FIRST_WAIT_S,
        batch_format: int = FORMAT,
    ) -> None:
        self._settings = settings
        self._buffer = buffer
        self._connect = connect
        self._first_wait = first_wait
        self._encoder = Encoder(batch_format)
        self._instance = secrets.token_hex(8)
        self._batches = 0
        self._batch: Batch | None = None
        self._parts = Parts()
        self._writing: int | None = None
        """While a batch is written, how many logs it takes: they are neither in the buffer nor in `_batch`."""
        self._report_due = 0.0  # monotonic seconds from which losses alone are worth a batch
        self._post: Post | None = None
        self._warned = False

    @property
    def logs(self) -> int:
        """How many logs are under way."""
        batch = self._batch
        taken = len(batch.rows) if batch else self._writing or 0
        return taken + len(self._parts)

    @property
    def settled(self) -> bool:
        """Whether there is nothing under way and nothing to send."""
        if self._batch is not None or self._writing is not None or self._parts or len(self._buffer):
            return False
        return not self._losses_due(time.monotonic())

    def later_than(self, moment: float) -> bool:
        """Whether the next try is due only after this moment, monotonic seconds."""
        batch = self._batch
        return batch is not None and batch.due > moment

    def hurry(self) -> None:
        """Make the next try due now, unless the service asked to wait."""
        self._report_due = 0.0
        if (batch := self._batch) is not None and batch.last.wait is None:
            batch.due = 0.0

    def step(self, *, everything: bool, by_age: bool, give_up: float | None = None) -> float | None:
        """Send what is due; return the seconds until more may be due, or None if nothing will be without another row.

        A full batch is due; with `by_age` also rows that have waited for `flush_seconds`; with `everything` all rows.
        No post starts, or lasts, after `give_up`, monotonic seconds.
        """
        while True:
            now = time.monotonic()
            if give_up is not None and now >= give_up:
                return 0.0
            if self._batch is None:
                left = self._buffer.since + self._settings.flush_seconds - now
                rows = len(self._buffer)
                full = everything or rows >= self._settings.batch_logs or (by_age and left <= 0)
                if not self._parts:
                    if rows and not full:
                        return left if by_age else None
                    if not rows and not self._losses_due(now):
                        return None
                self._batch = self._make(now)
                self._writing = None
            elif now < self._batch.due:
                return self._batch.due - now
            else:
                within = None if give_up is None else give_up - now
                self._settle(self._batch, self._send(self._batch, within))

    def disconnect(self) -> None:
        """Close the connection, if there is one; the next batch opens another."""
        if self._post is not None:
            self._post.close()

    def _losses_due(self, now: float) -> bool:
        return now >= self._report_due and bool(self._buffer.losses) and not self._buffer.closed

    def _make(self, now: float) -> Batch | None:
        """Make the next batch: of a part of a refused one, else of the rows and losses that wait."""
        self._batches += 1
        batch_id = f"{self._instance}-{self._batches}"
        # Set before rows are taken, so that another thread never sees them nowhere.
        if self._parts:
            self._writing = self._parts.next
            rows, made = self._parts.take()
            return self._write(batch_id, rows, {}, made)
        self._writing = min(len(self._buffer), self._settings.batch_logs)
        rows = self._buffer.take(self._settings.batch_logs)
        self._parts.begin()
        return self._write(batch_id, rows, self._buffer.take_losses(), now)

    def _write(self, batch_id: str, rows: Sequence[Row], dropped: Mapping[str, int], made: float) -> Batch | None:
        """Make a batch of the rows that fit, and let the others wait again; None if no batch can be made."""
        try:
            body, rest = self._encoder.batch(rows, batch_id, self._instance, dropped)
        except Exception:
            self._buffer.lose(dropped)
            self._report_due = time.monotonic() + REPORT_AGAIN_S
            if not self._parts.halve(rows, made):
                logger.exception("Logs could not be written; they are lost and counted")
                self._lose("unwritable", rows)
            return None
        if rest:
            rows = rows[: -len(rest)]
            if not rows:  # this log is larger than a batch may be, so it would be the first of every batch to come
                self._buffer.lose(dropped)
                self._lose("too_large", rest[:1])
                self._buffer.put_back(rest[1:])
                return None
            self._buffer.put_back(rest)
        return Batch(batch_id, rows, body, dropped, made)

    def _mend(self, batch: Batch, problems: Sequence[Problem]) -> Batch | None:
        """Make the same batch without what the answer names; None if nothing of that can be left out."""
        rows = list(batch.rows)
        for index, row in (right := repaired(rows, problems)).items():
            rows[index] = row
        if not self._learn(problems, right) and not right:
            return None
        mended = self._write(batch.id, rows, batch.dropped, batch.made)
        if mended is not None:
            mended.maybe_stored = batch.maybe_stored
        return mended

    def _learn(self, problems: Sequence[Problem], right: Mapping[int, Row]) -> bool:
        """Leave the fields that the service does not know out of later batches; return whether any of them is new."""
        beside = unknown(problem for problem in problems if problem.log is None) & OPTIONAL
        learned = self._encoder.leave_out(beside | unknown(problem for problem in problems if problem.log in right))
        if learned:
            logger.warning("The service does not know %s: logs are sent without it", ", ".join(learned))
        return bool(learned)

    def _send(self, batch: Batch, within: float | None) -> Outcome:
        try:
            if self._post is None:
                self._post = self._connect()
            return self._post.post(batch.body, within)
        except Exception as error:
            # An unforeseen defect: the batch may have been stored, so it is treated like one without an answer.
            logger.exception("Sending logs failed")
            return Outcome("again", "unconfirmed", f"{type(error).__name__}: {error}", maybe_stored=True)

    def _settle(self, batch: Batch, outcome: Outcome) -> None:
        now = time.monotonic()
        batch.tries += 1
        batch.last = outcome
        batch.maybe_stored |= outcome.maybe_stored
        if outcome.kind == "stored":
            self._stored(batch, outcome.problems)
        elif outcome.kind == "unauthorized":
            logger.error("%s does not accept the API key: nothing is tracked until a restart", self._settings.api_base)
            self._buffer.close(outcome.reason)
            self._lose(outcome.reason, self._parts.clear())
            self._give_up(batch, outcome.reason, now)
        elif outcome.kind == "invalid" and (mended := self._mend(batch, outcome.problems)) is not None:
            self._batch = mended
        # Halves have ids of their own, so they are sent only if the whole is certainly not stored.
        elif outcome.kind == "invalid" and not batch.maybe_stored and self._parts.halve(batch.rows, batch.made):
            self._buffer.lose(batch.dropped)
            self._batch = None
        elif outcome.kind in ("refused", "invalid"):
            self._warn("Logs were refused and are lost: %s", outcome.detail)
            self._give_up(batch, outcome.reason, now)
        elif now - batch.made > self._settings.retry_seconds:
            self._warn("A batch of logs is given up after %d tries: %s", batch.tries, outcome.detail)
            self._give_up(batch, outcome.reason, now)
        else:
            self._warn("Logs cannot be delivered now and wait: %s", outcome.detail)
            wait = min(self._first_wait * 2 ** min(batch.tries - 1, 16), LONGEST_WAIT_S) * random.uniform(0.5, 1)
            batch.due = now + max(wait, min(outcome.wait or 0.0, self._settings.retry_seconds))

    def _stored(self, batch: Batch, rejected: Sequence[Problem]) -> None:
        """Settle a stored batch; send those of its rejected logs again that are right without optional fields."""
        if self._warned:
            logger.info("Logs are delivered again")
        self._warned = False
        self._report_due = 0.0
        if len({problem.log for problem in rejected}) < len(batch.rows):
            self._parts.accept()
        if right := repaired(batch.rows, rejected):
            self._learn(rejected, right)
            self._parts.add(list(right.values()), batch.made)
        self._batch = None

    def _give_up(self, batch: Batch, reason: str, now: float) -> None:
        """Count a batch as lost; the losses it reported are reported again by a later batch."""
        losses = Counter(batch.dropped)
        if batch.maybe_stored:
            # Whatever the last answer was. The losses it reported may be stored too, so they do not keep their reasons.
            reason, losses = "unconfirmed", Counter(unconfirmed=losses.total())
        self._buffer.lose(losses)
        self._lose(reason, batch.rows)
        self._report_due = now + REPORT_AGAIN_S
        self._batch = None

    def _lose(self, reason: str, rows: Sequence[Row]) -> None:
        self._buffer.lose({reason: sum(row[-1] for row in rows)})

    def _warn(self, message: str, *arguments: object) -> None:
        """Log a warning once, until a batch is stored again."""
        if not self._warned:
            logger.warning(message, *arguments)
        self._warned = True
