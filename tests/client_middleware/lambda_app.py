"""An app as users put it on Lambda: FastAPI under Mangum, tracked.

`handler` is what Lambda calls. As a script it is a sandbox: an invocation for each line on stdin, its status on
stdout. Whoever runs it freezes it in between.
"""

from __future__ import annotations

import os
import sys
import time

from fastapi import FastAPI
from mangum import Mangum

from client_middleware import TrackingMiddleware, create_tracking_middleware
from tests.client_middleware.lambda_event import event

app = FastAPI()

if os.environ.get("WAY") == "http":
    app.middleware("http")(create_tracking_middleware())
else:
    app.add_middleware(TrackingMiddleware)


@app.get("/orders/{order_id}")
async def order(order_id: int) -> int:
    """An order."""
    return order_id


handler = Mangum(app, lifespan=os.environ.get("LIFESPAN", "off"))  # type: ignore[arg-type]


class Context:
    """What the handler gets beside the event."""

    def __init__(self, seconds: float) -> None:
        self._end = time.monotonic() + seconds

    def get_remaining_time_in_millis(self) -> int:
        """Until the invocation is ended by force."""
        return int(1000 * (self._end - time.monotonic()))


if __name__ == "__main__":
    for line in sys.stdin:
        number, seconds = line.split()
        answer = handler(event(int(number)), Context(float(seconds)))  # type: ignore[arg-type]
        print(answer["statusCode"], flush=True)  # noqa: T201 - what the test waits for
