"""Request analytics for FastAPI: the middleware.

    from client_middleware import TrackingMiddleware
    app.add_middleware(TrackingMiddleware, api_key="…")

What happens to a request, module by module:

    middleware   the two ways of use; times a request and sees its status
    tracker      makes one row of a finished request; route, address and sampling know how
    buffer       holds rows, bounded, and counts what is lost, by reason
    delivery     the background thread: flush, exit, fork
    outbox       one batch at a time: made once, sent, tried again, settled
    wire         rows into the JSON of one batch
    transport    one POST and what its answer means
    settings     every setting: argument, environment or .env; values knows what they may be
    sink         keeps logs in memory instead, for tests (pytest_plugin)
    doctor       `python -m client_middleware doctor`

Importing does nothing: settings are read, and httpx is imported, when a middleware is made.
"""

from client_middleware.middleware import TrackingMiddleware, create_tracking_middleware
from client_middleware.settings import Settings, SettingsError
from client_middleware.sink import MemorySink, record_to
from client_middleware.tracker import flush
from client_middleware.wire import __version__

__all__ = [
    "MemorySink",
    "Settings",
    "SettingsError",
    "TrackingMiddleware",
    "__version__",
    "create_tracking_middleware",
    "flush",
    "record_to",
]
