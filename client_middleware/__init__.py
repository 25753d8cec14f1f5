"""Request analytics for FastAPI: the middleware.

    from client_middleware import TrackingMiddleware
    app.add_middleware(TrackingMiddleware, api_key="…")

The modules, in the order in which a request meets them:

    middleware     the two ways of use; measures a request and sees its status
    tracker        makes one row of a finished request
    route          finds the route template of the request
    address        finds the client's address, and masks or hashes it
    fields         declares and collects the optional text fields
    sampling       keeps a share of the rows, with weights
    buffer         holds the rows that wait, bounded; counts losses by reason
    delivery       runs the background thread; flush, exit, fork
    outbox         sends one batch at a time, again and again until it is settled
    wire           writes rows as the JSON of a batch
    transport      makes one POST and reads the answer
    refusal        what the answer says is wrong with a batch; `parts` are what is sent again of it
    settings       every setting, from arguments, the environment or .env; `values` checks them
    sink           what rows are recorded to; MemorySink is for tests (see pytest_plugin)
    doctor         `python -m client_middleware doctor`

Importing does nothing. Making a middleware reads the settings and imports httpx.
"""

from client_middleware.middleware import TrackingMiddleware, create_tracking_middleware
from client_middleware.settings import Settings, SettingsError
from client_middleware.sink import MemorySink
from client_middleware.tracker import flush, record_to
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
