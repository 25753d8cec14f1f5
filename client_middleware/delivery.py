"""Gets rows to the service in the background: a thread that starts when needed; flush with a deadline, exit, fork."""

from __future__ import annotations

import threading
import time
from collections.abc import Callable

from client_middleware.buffer import Buffer
from client_middleware.outbox import FIRST_WAIT_S, Outbox, Post
from client_middleware.settings import Settings
from client_middleware.wire import FORMAT

IDLE_S = 30.0  # a thread with nothing to do ends after this long; the next request starts another


class Delivery:
    """A sink for rows that sends them to the service."""

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
        """Kept alive as long as there is something to send."""
        wake = self._start if in_background else lambda: None
        self.buffer = Buffer(settings.buffer_logs, settings.buffer_bytes, settings.batch_logs, wake)
        self.record = self.buffer.add
        """Keep a row to send, or count it as lost. Never waits for the network."""
        self.reset()

    def reset(self) -> None:
        """Begin anew in a child process: no rows, no thread, no connection of the parent's."""
        self.buffer.reset()
        self._outbox = Outbox(self._settings, self.buffer, self._connect, self._first_wait, self._format)
        self._state = threading.Condition()  # guards the thread; notified when something is settled
        self._wake = threading.Event()
        self._thread: threading.Thread | None = None
        self._ending = False
        self._flushing = 0  # calls of `flush` under way
        self.timed_out = False
        """Whether the last flush left something behind."""

    @property
    def pending(self) -> int:
        """Logs that are neither stored nor lost so far."""
        return len(self.buffer) + self._outbox.logs

    @property
    def due(self) -> bool:
        """Whether logs have waited long enough, or are enough, to be sent.

        By the clock on the wall, for a frozen sandbox stops the monotonic one.
        """
        if self._outbox.logs or len(self.buffer) >= self._settings.batch_logs:
            return True
        oldest = self.buffer.oldest()
        return oldest is not None and time.time() - oldest >= self._settings.flush_seconds

    def flush(self, seconds: float) -> bool:
        """Send all that was recorded, for at most so many seconds; whether nothing is left.

        Returns sooner when the next try would come too late.
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
        """Flush, and let the thread end. A later `record` starts another."""
        settled = self.flush(seconds)
        self._ending = True
        self._wake.set()
        return settled

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
            with self._state:  # which `_start` takes too: whoever wakes this thread from here on starts another
                if not self._wake.is_set():
                    self._thread = None
                    break
        self._outbox.disconnect()

    def _work(self, give_up: float) -> None:
        """What the thread does, in the caller's: for the exit of an interpreter, where no thread can be started."""
        while time.monotonic() < give_up:
            wait = self._step(give_up)
            if wait is None or self._outbox.settled or self._outbox.later_than(give_up):
                break
            time.sleep(wait)
        self._outbox.disconnect()
