"""No garbage collection during Lambda's init phase.

Nothing that is imported is garbage, and looking for it takes a fifteenth of the init phase. What the init phase made
lives as long as the process, so later collections leave it out as well. Outside Lambda nothing changes.
"""

from __future__ import annotations

import gc

from analytics.settings import on_lambda


def pause() -> None:
    """Stop collecting, if this is a Lambda function's process."""
    if on_lambda():
        gc.disable()


def resume() -> None:
    """Collect again, but never what exists now."""
    gc.freeze()
    gc.enable()
