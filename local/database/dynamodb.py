"""DynamoDB on a port of this machine, kept in a folder when one is given.

Every client reaches it by an endpoint URL, as it would reach DynamoDB Local or AWS; nothing is patched.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from werkzeug.serving import WSGIRequestHandler, make_server

from local.database.wsgi import Database
from local.ports import listen, url
from local.server_thread import ServerThread

if TYPE_CHECKING:
    from pathlib import Path
    from types import TracebackType


class _Requests(WSGIRequestHandler):
    """Keeps connections open, logs nothing, and sends at once: boto3 would wait 40 ms for a second segment."""

    protocol_version = "HTTP/1.1"
    disable_nagle_algorithm = True

    def log_request(self, code: int | str = "-", size: int | str = "-") -> None:
        """Log no requests."""


class DatabaseServer(ServerThread):
    """A thread serves the database over HTTP while a `with` block lasts; `url` is where.

    Raises AddressError when the port is taken, JournalError when the folder cannot be used.
    """

    def __init__(self, host: str = "127.0.0.1", port: int = 0, folder: Path | None = None) -> None:
        with listen(host, port) as listener:  # the server makes its own copy
            self._database = Database(folder)
            server = make_server(
                host, port, self._database, threaded=True, request_handler=_Requests, fd=listener.fileno()
            )
            self.url = url(listener)
        super().__init__(server, "dynamodb")

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        super().__exit__(kind, error, trace)
        self._database.close()
