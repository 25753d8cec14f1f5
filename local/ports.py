"""Listening sockets of this machine, and their URLs."""

from __future__ import annotations

import socket


class AddressError(Exception):
    """A server cannot listen on an address; one sentence."""


def listen(host: str, port: int) -> socket.socket:
    """A listening socket; port 0 takes a free one. Raises AddressError."""
    listener = socket.socket(socket.AF_INET6 if ":" in host else socket.AF_INET)
    listener.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
    try:
        listener.bind((host, port))
        listener.listen(128)
    except (OSError, OverflowError) as error:
        listener.close()
        reason = (getattr(error, "strerror", None) or str(error)).lower()
        hint = "; give another --port" if port else ""
        raise AddressError(f"cannot listen on {host}:{port}: {reason}{hint}") from error
    return listener


def url(listener: socket.socket) -> str:
    """The URL at which a browser reaches the socket; for a socket on every address, that is the loopback's."""
    host, port = listener.getsockname()[:2]
    shown = {"0.0.0.0": "127.0.0.1", "::": "[::1]"}.get(host, f"[{host}]" if ":" in host else host)  # noqa: S104
    return f"http://{shown}:{port}"


def free_port() -> int:
    """A loopback port that is free now, for a server that must be told its port."""
    with socket.socket() as taken:
        taken.bind(("127.0.0.1", 0))
        port: int = taken.getsockname()[1]
        return port
