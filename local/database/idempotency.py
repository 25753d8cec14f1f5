"""Idempotency tokens of TransactWriteItems, which DynamoDB honors and moto ignores.

"Making multiple calls to TransactWriteItems with the same client request token has the same effect as making one single
call", for ten minutes after the first. SDKs send a token with each call, and the same one with its retries.
"""

from __future__ import annotations

import json
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from collections.abc import Callable

REMEMBERED_S = 600.0
MOST = 10_000  # tokens at most; the retries of a call follow within seconds


class Tokens:
    """The tokens of the last ten minutes. Not thread-safe: its owner holds a lock. `clock` gives seconds since 1970."""

    def __init__(self, clock: Callable[[], float]) -> None:
        self._clock = clock
        self._done: dict[str, tuple[float, int, bytes]] = {}  # oldest first: (expiry, hash of the request, answer)

    def answer(self, request: dict[str, Any]) -> tuple[int, bytes] | None:
        """The answer to a transaction whose token was used before; None when the transaction must be done."""
        known = self._done.get(str(request.get("ClientRequestToken")))
        if known is None or known[0] <= self._clock():
            return None
        if known[1] != _fingerprint(request):
            kind = "com.amazonaws.dynamodb.v20120810#IdempotentParameterMismatchException"
            return 400, json.dumps({"__type": kind, "Message": "the token was used for something else"}).encode()
        return 200, known[2]

    def note(self, request: dict[str, Any], answer: bytes) -> None:
        """Remember the token of a transaction that was done, if it has one."""
        if "ClientRequestToken" not in request:
            return
        token = str(request["ClientRequestToken"])
        self._done.pop(token, None)
        if len(self._done) >= MOST:
            del self._done[next(iter(self._done))]
        self._done[token] = self._clock() + REMEMBERED_S, _fingerprint(request), answer


def _fingerprint(request: dict[str, Any]) -> int:
    return hash(json.dumps(request, sort_keys=True))
