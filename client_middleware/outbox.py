"""Makes batches of what waits in a buffer, and sees each through: stored, refused, given up, or tried again later.

A batch is made once and keeps its id, its rows and the losses it reports until it is settled; the service stores an id
once. So a lost answer neither doubles nor loses anything, and each request is counted once:

    requests made = stored + lost and reported to the service + lost and not reported yet + still waiting

with one exception, named for what it is: `unconfirmed` counts requests given up whose answer got lost; the service
may have stored them.
"""

from __future__ import annotations

import logging
import random
import secrets
import time
from collections import Counter
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Protocol

from client_middleware.buffer import Buffer
from client_middleware.settings import Settings
from client_middleware.transport import Outcome
from client_middleware.wire import Encoder

logger = logging.getLogger("client_middleware")

FIRST_WAIT_S = 0.5  # before the second try; doubles
LONGEST_WAIT_S = 60.0
REPORT_AGAIN_S = 60.0  # after a batch was given up, losses alone are reported no sooner


class Post(Protocol):
    """How a batch is sent: `Transport`, or a test's own."""

    def post(self, body: bytes, within: float | None = None) -> Outcome:
        """Send a body, within so many seconds."""

    def close(self) -> None:
        """Close connections."""


@dataclass(slots=True)
class Batch:
    """What is being sent: made once, the same in every try."""

    body: bytes
    logs: int
    requests: int  # that the logs stand for
    dropped: dict[str, int]
    made: float  # monotonic seconds
    tries: int = 0
    due: float = 0.0  # monotonic seconds of the next try
    maybe_stored: bool = False
    last: Outcome = field(default_factory=lambda: Outcome("again", "unreachable"))


class Outbox:
    """One batch at a time, from the buffer to the service. For one thread; the questions it answers are for any."""

    def __init__(
        self, settings: Settings, buffer: Buffer, connect: Callable[[], Post], first_wait: float = FIRST_WAIT_S
    ) -> None:
        self._settings = settings
        self._buffer = buffer
        self._connect = connect
        self._first_wait = first_wait
        self._encoder = Encoder()
        self._instance = secrets.token_hex(8)
        self._batches = 0
        self._batch: Batch | None = None
        self._writing = 0  # logs that are taken from the buffer and not in a batch yet; -1 while only losses are
        self._report_due = 0.0  # monotonic seconds from which losses alone are worth a batch
        self._post: Post | None = None
        self._warned = False

    @property
    def logs(self) -> int:
        """How many logs are under way."""
        batch = self._batch
        return batch.logs if batch else max(self._writing, 0)

    @property
    def settled(self) -> bool:
        """Whether there is nothing under way and nothing to send."""
        if self._batch is not None or self._writing or len(self._buffer):
            return False
        return not self._losses_due(time.monotonic())

    def later_than(self, moment: float) -> bool:
        """Whether the next try comes later than this, monotonic seconds: so that there is nothing to wait for."""
        batch = self._batch
        return batch is not None and batch.due > moment

    def hurry(self) -> None:
        """Try at once what is to be tried later, unless the service asked to wait."""
        self._report_due = 0.0
        if (batch := self._batch) is not None and batch.last.wait is None:
            batch.due = 0.0

    def step(self, *, everything: bool, by_age: bool, within: float | None = None) -> float | None:
        """Send what is due; seconds until there may be more, or None when that takes another row.

        Due is a full batch; `by_age`, one that has waited for long enough; else only when `everything` is to leave. A
        post takes `within` seconds at most, or what the settings say.
        """
        while True:
            now = time.monotonic()
            if self._batch is None:
                left = self._buffer.since + self._settings.flush_seconds - now
                rows = len(self._buffer)
                full = everything or rows >= self._settings.batch_logs or (by_age and left <= 0)
                if rows and not full:
                    return left if by_age else None
                if not rows and not self._losses_due(now):
                    return None
                self._writing = min(rows, self._settings.batch_logs) or -1  # set first: no thread may see them nowhere
                self._batch = self._make(now)
                self._writing = 0
            elif now < self._batch.due:
                return self._batch.due - now
            else:
                self._settle(self._batch, self._send(self._batch, within))

    def disconnect(self) -> None:
        """Close the connection, if there is one; the next batch opens another."""
        if self._post is not None:
            self._post.close()

    def _losses_due(self, now: float) -> bool:
        return now >= self._report_due and bool(self._buffer.losses) and not self._buffer.closed

    def _make(self, now: float) -> Batch | None:
        rows = self._buffer.take(self._settings.batch_logs)
        dropped = self._buffer.take_losses()
        self._batches += 1
        batch_id = f"{self._instance}-{self._batches}"
        try:
            body, rest = self._encoder.batch(rows, batch_id, self._instance, dropped)
        except Exception:
            logger.exception("A batch of logs could not be written; it is lost and counted")
            self._buffer.lose({**dropped, "unwritable": sum(row[-1] for row in rows)})
            self._report_due = now + REPORT_AGAIN_S
            return None
        if rest:
            rows = rows[: -len(rest)]
            if not rows:  # this log is longer than a batch may be, so it would be the first of every batch to come
                self._buffer.lose({**dropped, "too_large": rest[0][-1]})
                self._buffer.put_back(rest[1:])
                return None
            self._buffer.put_back(rest)
        return Batch(body, len(rows), sum(row[-1] for row in rows), dropped, now)

    def _send(self, batch: Batch, within: float | None) -> Outcome:
        try:
            if self._post is None:
                self._post = self._connect()
            return self._post.post(batch.body, within)
        except Exception as error:
            # Not foreseen, so it is not known how far it got; the batch is tried again like one without an answer.
            logger.exception("Sending logs failed")
            return Outcome("again", "unconfirmed", f"{type(error).__name__}: {error}", maybe_stored=True)

    def _settle(self, batch: Batch, outcome: Outcome) -> None:
        now = time.monotonic()
        batch.tries += 1
        batch.last = outcome
        if outcome.kind == "stored":
            if self._warned:
                logger.info("Logs are delivered again")
            self._warned = False
            self._report_due = 0.0
            self._batch = None
            return
        batch.maybe_stored |= outcome.maybe_stored
        if outcome.kind == "unauthorized":
            logger.error("%s does not accept the API key: nothing is tracked until a restart", self._settings.api_base)
            self._buffer.close(outcome.reason)
            self._give_up(batch, outcome.reason, now)
        elif outcome.kind == "refused":
            self._warn("A batch of logs was refused and is lost: %s", outcome.detail)
            self._give_up(batch, outcome.reason, now)
        elif now - batch.made > self._settings.retry_seconds:
            self._warn("A batch of logs is given up after %d tries: %s", batch.tries, outcome.detail)
            self._give_up(batch, outcome.reason, now)
        else:
            self._warn("Logs can not be delivered now and wait: %s", outcome.detail)
            wait = min(self._first_wait * 2 ** min(batch.tries - 1, 16), LONGEST_WAIT_S) * random.uniform(0.5, 1)
            batch.due = now + max(wait, min(outcome.wait or 0.0, self._settings.retry_seconds))

    def _give_up(self, batch: Batch, reason: str, now: float) -> None:
        """Count a batch as lost; what it was to report as lost is reported with a later one."""
        losses = Counter(batch.dropped)
        if batch.maybe_stored:
            # Whatever the last answer was. The report may have arrived too: named again, it would count twice.
            reason, losses = "unconfirmed", Counter(unconfirmed=losses.total())
        losses[reason] += batch.requests
        self._buffer.lose(losses)
        self._report_due = now + REPORT_AGAIN_S
        self._batch = None

    def _warn(self, message: str, *arguments: object) -> None:
        """Say so once, until it works again."""
        if not self._warned:
            logger.warning(message, *arguments)
        self._warned = True
