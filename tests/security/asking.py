"""Loaded by schemathesis, not by pytest: with which key it asks, and what it may be refused for.

SERVICE is where the service is, KEY what to send in X-API-Key, SCOPE what that key is for.
"""

from __future__ import annotations

import os
from typing import Any

import requests
import schemathesis

# What JSON Schema cannot say of a value that fits it, by field: whether a cursor was made by us, which of two dates is
# the later one, whether a range has too many points of a period, or too many raw logs for a filter that no summary can
# answer; that a key's id does not go with `data=true`, nor a narrower scope with a sign-up.
BEYOND = {"cursor", "end_date", "period", "ip", "consumer", "user_agent", "path", "key_id", "scope"}
WHOLE = "Input should be a valid integer"  # 7.0 is one to JSON Schema, and not here


@schemathesis.auth(refresh_interval=None)
class Credential:
    """The key in KEY; where a full one may revoke or replace itself, another one, so that the next call has its own."""

    def get(self, case: Any, _: schemathesis.AuthContext) -> str | None:
        """What to send in X-API-Key; None for nothing."""
        if os.environ["SCOPE"] == "full" and case.path in ("/key", "/rotate_key"):
            made = requests.post(f"{os.environ['SERVICE']}/generate_key", timeout=10)
            return str(made.json()["api_key"])
        return os.environ.get("KEY")

    def set(self, case: Any, data: str | None, _: schemathesis.AuthContext) -> None:
        """Send it."""
        if data is not None:
            case.headers["X-API-Key"] = data


@schemathesis.check
def beyond_schema(_: Any, response: Any, case: Any) -> bool | None:
    """What the document describes is not refused, but for what no schema can tell."""
    if case.meta and case.meta.generation.mode.is_positive and response.status_code == 422:
        wrong = {each["field"] for each in response.json()["errors"] if each["reason"] != WHOLE}
        if not wrong <= BEYOND:
            raise AssertionError(f"refused although it fits: {response.text}")
    return None
