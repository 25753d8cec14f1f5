"""Transactions that are asked for again under their token: done once, as DynamoDB has it and moto has not.

"Making multiple calls to TransactWriteItems with the same client request token has the same effect as making one single
call", for ten minutes after the first was done. SDKs send a token with each call, the same one in all its tries.
"""

from __future__ import annotations

import json
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from collections.abc import Callable

REMEMBERED_S = 600.0
MOST = 10_000  # remembered; tries of one call follow within seconds


class Repeats:
    """What was done under which token. Not thread-safe: its owner holds a lock. `clock` gives seconds."""

    def __init__(self, clock: Callable[[], float]) -> None:
        self._clock = clock
        self._done: dict[str, tuple[float, int, bytes]] = {}  # oldest first: until when, of what, and the answer

    def answer(self, request: dict[str, Any]) -> tuple[int, bytes] | None:
        """The answer to a transaction whose token has been used; None when it is to be done."""
        known = self._done.get(str(request.get("ClientRequestToken")))
        if known is None or known[0] <= self._clock():
            return None
        if known[1] != _mark(request):
            kind = "com.amazonaws.dynamodb.v20120810#IdempotentParameterMismatchException"
            return 400, json.dumps({"__type": kind, "Message": "the token was used for something else"}).encode()
        return 200, known[2]

    def note(self, request: dict[str, Any], answer: bytes) -> None:
        """Remember a transaction that was done, if it has a token."""
        if "ClientRequestToken" not in request:
            return
        token = str(request["ClientRequestToken"])
        self._done.pop(token, None)
        if len(self._done) >= MOST:
            del self._done[next(iter(self._done))]
        self._done[token] = self._clock() + REMEMBERED_S, _mark(request), answer


def _mark(request: dict[str, Any]) -> int:
    return hash(json.dumps(request, sort_keys=True))
