"""A socket server that a thread runs while a `with` block lasts."""

from __future__ import annotations

import threading
from typing import TYPE_CHECKING, Self

if TYPE_CHECKING:
    from socketserver import BaseServer
    from types import TracebackType

POLL_S = 0.05  # how soon a server notices that it should stop


class ServerThread:
    """Runs a server of the standard library's `socketserver` kind in a daemon thread named `name`."""

    def __init__(self, server: BaseServer, name: str) -> None:
        self._server = server
        self._thread = threading.Thread(target=server.serve_forever, args=(POLL_S,), name=name, daemon=True)

    def __enter__(self) -> Self:
        self._thread.start()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._server.shutdown()
        self._thread.join()
        self._server.server_close()
