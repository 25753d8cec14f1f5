"""What Lambda hands to a handler. On its own, for making a Mangum warns of a missing event loop since Python 3.12."""

from __future__ import annotations

from typing import Any


def event(number: int) -> dict[str, Any]:
    """A request as an HTTP API sends it: payload format 2.0."""
    path = f"/orders/{number}"
    http = {"method": "GET", "path": path, "sourceIp": "203.0.113.9", "userAgent": "test", "protocol": "HTTP/1.1"}
    return {
        "version": "2.0",
        "routeKey": "$default",
        "rawPath": path,
        "rawQueryString": "",
        "headers": {"host": "test"},
        "requestContext": {"http": http, "stage": "$default", "requestId": str(number), "timeEpoch": 0},
        "isBase64Encoded": False,
    }
