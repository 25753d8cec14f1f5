"""Sends rows to the service from a background thread, with a flush that has a deadline."""

from __future__ import annotations

import threading
import time
from collections.abc import Callable

from client_middleware.buffer import Buffer
from client_middleware.outbox import FIRST_WAIT_S, Outbox, Post
from client_middleware.settings import Settings
from client_middleware.wire import FORMAT

IDLE_S = 30.0  # an idle thread ends after this long; the next request starts another


class Delivery:
    """A sink that sends its rows to the service."""

    def __init__(
        self,
        settings: Settings,
        connect: Callable[[], Post],
        *,
        in_background: bool = True,
        first_wait: float = FIRST_WAIT_S,
        batch_format: int = FORMAT,
    ) -> None:
        """With `in_background` send by age and size too, else only on `flush`; `first_wait` is in seconds."""
        self._settings = settings
        self._connect = connect
        self._in_background = in_background
        self._first_wait = first_wait
        self._format = batch_format
        self.owner: object = None
        """The tracker that records here: the running thread keeps it alive, so that its sample is flushed at exit."""
        wake = self._start if in_background else lambda: None
        self.buffer = Buffer(settings.buffer_logs, settings.buffer_bytes, settings.batch_logs, wake)
        self.record = self.buffer.add
        """Add a row to send, or count it as lost. Never waits for the network."""
        self.reset()

    def reset(self) -> None:
        """Start afresh in a child process, without the rows, the thread and the connection of the parent."""
        self.buffer.reset()
        self._outbox = Outbox(self._settings, self.buffer, self._connect, self._first_wait, self._format)
        self._state = threading.Condition()  # guards the thread; notified after each step
        self._wake = threading.Event()
        self._thread: threading.Thread | None = None
        self._ending = False
        self._flushing = 0  # calls of `flush` under way
        self.timed_out = False
        """Whether the last flush ended before everything was sent."""

    @property
    def pending(self) -> int:
        """The number of logs that are neither stored nor lost yet."""
        return len(self.buffer) + self._outbox.logs

    @property
    def due(self) -> bool:
        """Whether a batch is full, or the oldest log has waited for `flush_seconds`.

        Measured by the wall clock, because the monotonic clock stops in a frozen Lambda sandbox.
        """
        if self._outbox.logs or len(self.buffer) >= self._settings.batch_logs:
            return True
        oldest = self.buffer.oldest()
        return oldest is not None and time.time() - oldest >= self._settings.flush_seconds

    def flush(self, seconds: float) -> bool:
        """Send all that was recorded, within so many seconds; return whether nothing is left.

        Returns early if the next try is due only after the deadline.
        """
        outbox, give_up = self._outbox, time.monotonic() + seconds
        with self._state:
            self._flushing += 1
            outbox.hurry()
        try:
            if not outbox.settled and not self._start():
                self._work(give_up)
            with self._state:
                while not outbox.settled and not outbox.later_than(give_up):
                    if (left := give_up - time.monotonic()) <= 0:
                        break
                    self._state.wait(left)
        finally:
            with self._state:
                self._flushing -= 1
        self.timed_out = not outbox.settled
        return not self.timed_out

    def close(self, seconds: float) -> bool:
        """Flush, and end the thread. A later `record` starts another."""
        settled = self.flush(seconds)
        self._ending = True
        self._wake.set()
        return settled

    def _start(self) -> bool:
        """Wake the thread, or start one; return whether one runs."""
        with self._state:
            self._wake.set()
            self._ending = False
            if self._thread is None:
                thread = threading.Thread(target=self._run, name="api-analytics", daemon=True)
                try:
                    thread.start()
                except RuntimeError:  # no thread is left, or the interpreter is ending
                    return False
                self._thread = thread
            return True

    def _step(self, give_up: float | None = None) -> float | None:
        return self._outbox.step(everything=self._flushing > 0, by_age=self._in_background, give_up=give_up)

    def _run(self) -> None:
        while True:
            self._wake.clear()
            wait = self._step()
            with self._state:
                self._state.notify_all()
            if self._wake.wait(wait if wait is not None else 0 if self._ending else IDLE_S) or wait is not None:
                continue
            with self._state:  # `_start` needs it too: it sees either this thread awake, or none
                if not self._wake.is_set():
                    self._thread = None
                    break
        self._outbox.disconnect()

    def _work(self, give_up: float) -> None:
        """Do the work of the thread in the calling one, where none can be started, as at the interpreter's exit."""
        while time.monotonic() < give_up:
            wait = self._step(give_up)
            if wait is None or self._outbox.settled or self._outbox.later_than(give_up):
                break
            time.sleep(wait)
        self._outbox.disconnect()
