"""How an application becomes a Lambda handler. Functions import this before all else.

handler       the handler: makes the application once, and calls it with each event; the only user of Mangum
payload       what Lambda gives and takes: the event before the application sees it, the answer after
event_loop    an event loop for each thread that runs a handler
garbage       no garbage collection during the init phase
"""

from __future__ import annotations

from analytics.runtime import garbage

garbage.pause()  # before the imports that make most of the init phase's objects

from analytics.runtime.handler import Handler, lambda_handler  # noqa: E402

__all__ = ["Handler", "lambda_handler"]
