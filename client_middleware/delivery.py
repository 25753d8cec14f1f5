"""Gets rows to the service: batches from a background thread, retries, flush with a deadline, exit and fork.

A batch is made once and keeps its id, its rows and the losses it reports until it is stored, refused or given up; the
service stores an id once. So a lost answer neither doubles nor loses anything, and each lost request is counted once:

    requests made = stored + lost and reported to the service + lost and not reported yet + still waiting

with one exception, named for what it is: `unconfirmed` counts requests given up whose answer got lost; the service
may have stored them.
"""

from __future__ import annotations

import logging
import random
import secrets
import threading
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
IDLE_S = 30.0  # a thread with nothing to do ends after this long; the next request starts another
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


class Delivery:
    """A sink for rows that sends them to the service."""

    def __init__(
        self,
        settings: Settings,
        connect: Callable[[], Post],
        *,
        in_background: bool = True,
        first_wait: float = FIRST_WAIT_S,
    ) -> None:
        """`in_background`: send by age and size too; else only when told to `flush`."""
        self._first_wait = first_wait
        self._settings = settings
        self._connect = connect
        self._in_background = in_background
        self.owner: object = None
        """Kept alive as long as there is something to send."""
        wake = self._start if in_background else lambda: None
        self.buffer = Buffer(settings.buffer_logs, settings.buffer_bytes, settings.batch_logs, wake)
        self.record = self.buffer.add
        """Keep a row to send, or count it as lost. Never waits for the network."""
        self.reset()

    def reset(self) -> None:
        """Begin anew in a child process: no rows, no thread, no connection of the parent's."""
        self.buffer.reset()
        self._state = threading.Condition()  # guards the thread; notified when something is settled
        self._wake = threading.Event()
        self._thread: threading.Thread | None = None
        self._ending = False
        self._flushing = 0  # calls of `flush` under way
        self._batch: Batch | None = None
        self._report_due = 0.0  # monotonic seconds from which losses alone are worth a batch
        self._encoder = Encoder()
        self._post: Post | None = None
        self._instance = secrets.token_hex(8)
        self._batches = 0
        self._warned = False
        self.timed_out = False
        """Whether the last flush left something behind."""

    @property
    def pending(self) -> int:
        """Requests that wait to be sent, as logs: neither stored nor lost so far."""
        return len(self.buffer) + (self._batch.logs if self._batch else 0)

    @property
    def due(self) -> bool:
        """Whether logs have waited long enough, or are enough, to be sent.

        By the clock on the wall, for a frozen sandbox stops the monotonic one.
        """
        if self._batch is not None or len(self.buffer) >= self._settings.batch_logs:
            return True
        oldest = self.buffer.oldest()
        return oldest is not None and time.time() - oldest >= self._settings.flush_seconds

    def flush(self, seconds: float) -> bool:
        """Send all that was recorded, for at most so many seconds; whether nothing is left."""
        give_up = time.monotonic() + seconds
        with self._state:
            self._flushing += 1
            self._report_due = 0.0
            if self._batch is not None and self._batch.last.wait is None:
                self._batch.due = 0.0  # the service did not ask to wait: try now
        try:
            if not self._settled() and not self._start():
                self._work(give_up)
            with self._state:
                while (
                    not self._settled() and not self._later_than(give_up) and (left := give_up - time.monotonic()) > 0
                ):
                    self._state.wait(left)
        finally:
            with self._state:
                self._flushing -= 1
        self.timed_out = not self._settled()
        return not self.timed_out

    def close(self, seconds: float) -> bool:
        """Flush, and let the thread end. A later `record` starts another."""
        settled = self.flush(seconds)
        self._ending = True
        self._wake.set()
        return settled

    def _later_than(self, give_up: float) -> bool:
        """Whether the next try comes too late for a deadline, so that there is nothing to wait for."""
        batch = self._batch
        return batch is not None and batch.due > give_up

    def _settled(self) -> bool:
        if self._batch is not None or len(self.buffer):
            return False
        return bool(self.buffer.closed) or not self.buffer.losses or time.monotonic() < self._report_due

    def _start(self) -> bool:
        """Wake the thread, or start it; whether there is one."""
        with self._state:
            self._wake.set()
            self._ending = False
            if self._thread is None:
                thread = threading.Thread(target=self._run, name="api-analytics", daemon=True)
                try:
                    thread.start()
                except RuntimeError:  # no more threads, or the interpreter is ending
                    return False
                self._thread = thread
            return True

    def _run(self) -> None:
        while True:
            self._wake.clear()
            wait = self._step(None)
            with self._state:
                self._state.notify_all()
            if self._wake.wait(wait if wait is not None else 0 if self._ending else IDLE_S) or wait is not None:
                continue
            with self._state:  # which `_start` takes too: whoever wakes this thread from here on starts another
                if not self._wake.is_set():
                    self._thread = None
                    break
        self._disconnect()

    def _work(self, give_up: float) -> None:
        """What the thread does, in the caller's: for the exit of an interpreter, where no thread can be started."""
        while (left := give_up - time.monotonic()) > 0:
            wait = self._step(left)
            if wait is None or self._settled() or self._later_than(give_up):
                break
            time.sleep(min(wait, max(give_up - time.monotonic(), 0.0)))
        self._disconnect()

    def _disconnect(self) -> None:
        if self._post is not None:
            self._post.close()

    def _step(self, within: float | None) -> float | None:
        """Send what is due; seconds until there may be more, or None when that takes another row."""
        while True:
            now = time.monotonic()
            if self._batch is None:
                if not self._ready(now):
                    waits = self._in_background and len(self.buffer)
                    return max(self.buffer.since + self._settings.flush_seconds - now, 0.0) if waits else None
                self._batch = self._make(now)
                continue
            if now < self._batch.due:
                return self._batch.due - now
            self._settle(self._batch, self._send(self._batch, within))

    def _ready(self, now: float) -> bool:
        """Whether a batch should be made."""
        rows = len(self.buffer)
        if not rows:
            return now >= self._report_due and bool(self.buffer.losses) and not self.buffer.closed
        if self._flushing or rows >= self._settings.batch_logs:
            return True
        return now >= self.buffer.since + self._settings.flush_seconds and (self._in_background or self._ending)

    def _make(self, now: float) -> Batch | None:
        rows = self.buffer.take(self._settings.batch_logs)
        dropped = self.buffer.take_losses()
        self._batches += 1
        batch_id = f"{self._instance}-{self._batches}"
        try:
            body, rest = self._encoder.batch(rows, batch_id, self._instance, dropped)
        except Exception:
            logger.exception("A batch of logs could not be written; it is lost and counted")
            self.buffer.lose({**dropped, "unwritable": sum(row[-1] for row in rows)})
            self._report_due = now + REPORT_AGAIN_S
            return None
        if rest:
            self.buffer.put_back(rest)
            rows = rows[: -len(rest)]
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
            self.buffer.close(outcome.reason)
            self._give_up(batch, outcome.reason, now)
        elif outcome.kind == "refused":
            self._warn("A batch of logs was refused and is lost: %s", outcome.detail)
            self._give_up(batch, outcome.reason, now)
        elif now - batch.made > self._settings.retry_seconds:
            self._warn("A batch of logs is given up after %d tries: %s", batch.tries, outcome.detail)
            self._give_up(batch, "unconfirmed" if batch.maybe_stored else outcome.reason, now)
        else:
            self._warn("Logs can not be delivered now and wait: %s", outcome.detail)
            wait = min(self._first_wait * 2 ** min(batch.tries - 1, 16), LONGEST_WAIT_S) * random.uniform(0.5, 1)
            batch.due = now + max(wait, min(outcome.wait or 0.0, self._settings.retry_seconds))

    def _give_up(self, batch: Batch, reason: str, now: float) -> None:
        """Count a batch as lost; what it was to report as lost is reported with a later one."""
        losses = Counter(batch.dropped)
        if (
            reason == "unconfirmed"
        ):  # the report may have arrived: counted under its own name a second time it would lie
            losses = Counter(unconfirmed=losses.total())
        losses[reason] += batch.requests
        self.buffer.lose(losses)
        self._report_due = now + REPORT_AGAIN_S
        self._batch = None

    def _warn(self, message: str, *arguments: object) -> None:
        """Say so once, until it works again."""
        if not self._warned:
            logger.warning(message, *arguments)
        self._warned = True
