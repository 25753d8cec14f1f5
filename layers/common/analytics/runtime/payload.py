"""What Lambda gives and takes, in payload format 2.0: the event before the application sees it, the answer after."""

from __future__ import annotations

import json
from typing import Any

from analytics.errors import Invalid

MAX_ANSWER = 6 * 1024 * 1024 - 10_240  # bytes: Lambda's quota on what a call returns, less room for headers
_WIDEST = 12  # bytes that one character takes at most in that JSON: a surrogate pair, escaped


def without_host(event: dict[str, Any]) -> dict[str, Any]:
    """The event without its Host header, which the application does not read.

    Mangum fails on a value that is not `name` or `name:port`, such as `[::1]:3000`.
    """
    headers = event.get("headers") or {}
    return event | {"headers": {name: value for name, value in headers.items() if name.lower() != "host"}}


def within_quota(answer: dict[str, Any]) -> dict[str, Any]:
    """The answer, or a 422 in its place where Lambda would refuse it for its size and the caller would get a 5xx."""
    body = answer["body"]
    if len(body) * _WIDEST <= MAX_ANSWER or len(json.dumps(body)) <= MAX_ANSWER:
        return answer
    refusal = Invalid("The answer would be larger than 6 MB: ask for less, by a smaller `top` or a longer `period`")
    headers = {"content-type": "application/json", "cache-control": "no-store"}
    return {"statusCode": refusal.status, "headers": headers, "body": json.dumps(refusal.body())}
