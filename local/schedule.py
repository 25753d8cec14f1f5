"""What EventBridge does for a stack: it calls functions on their schedules."""

from __future__ import annotations

import contextlib
import io
import sys
import threading
import time
import traceback
import uuid
from datetime import UTC, datetime
from typing import TYPE_CHECKING, Any, Self

from local.gateway.http_api import Context

if TYPE_CHECKING:
    from collections.abc import Mapping
    from types import TracebackType

    from local.template import Schedule, Template

REGION, ACCOUNT = "us-east-1", "123456789012"


class Schedules:
    """Calls the scheduled functions of a template when a `with` block begins, and then at their rates until it ends.

    The first calls are done before the block runs. A function that fails is reported on stderr and called again at its
    next time.
    """

    def __init__(self, template: Template, handlers: Mapping[str, Any]) -> None:
        self._template = template
        self._handlers = handlers
        self._stopped = threading.Event()
        self._threads = [
            threading.Thread(target=self._repeat, args=(schedule,), name="schedule", daemon=True)
            for schedule in template.schedules
        ]

    def __enter__(self) -> Self:
        for schedule in self._template.schedules:
            self._call(schedule)
        for thread in self._threads:
            thread.start()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._stopped.set()

    def _repeat(self, schedule: Schedule) -> None:
        while not self._stopped.wait(schedule.seconds):
            self._call(schedule)

    def _call(self, schedule: Schedule) -> None:
        function = self._template.functions[schedule.function]
        context = Context(str(uuid.uuid4()), function.name, function.memory, time.monotonic() + function.timeout)
        try:
            with contextlib.redirect_stdout(io.StringIO()):  # metrics for CloudWatch
                self._handlers[function.name](event(datetime.now(UTC)), context)
        except Exception:  # noqa: BLE001 - a handler may raise anything; the traceback is printed
            print(f"[schedule] {function.name} failed\n{traceback.format_exc()}", file=sys.stderr, flush=True)


def event(now: datetime) -> dict[str, Any]:
    """The event that a function gets from its schedule; `now` is an aware datetime."""
    return {
        "version": "0",
        "id": str(uuid.uuid4()),
        "detail-type": "Scheduled Event",
        "source": "aws.events",
        "account": ACCOUNT,
        "time": now.astimezone(UTC).strftime("%Y-%m-%dT%H:%M:%SZ"),
        "region": REGION,
        "resources": [f"arn:aws:events:{REGION}:{ACCOUNT}:rule/schedule"],
        "detail": {},
    }
