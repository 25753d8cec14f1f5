"""Where a page of raw logs ended, as an opaque text that the next call brings back.

A cursor names a batch by its sort key and a position inside it. It only ever points into the data of the key that is
used with it, so a forged one can show nobody anything that is not theirs; it is checked all the same.
"""

from __future__ import annotations

import base64
import binascii
import re
from dataclasses import dataclass

from analytics.errors import Invalid, Problem

_FORM = re.compile(r"(L#[0-9TZ:.-]{20,32}#[A-Za-z0-9_.-]{1,72})/(\d{1,6})")


@dataclass(frozen=True, slots=True)
class Cursor:
    """The batch that the last log shown came from, and that log's position in it."""

    sort_key: str
    position: int

    def encode(self) -> str:
        """The text for a URL."""
        return base64.urlsafe_b64encode(f"{self.sort_key}/{self.position}".encode()).decode().rstrip("=")

    @classmethod
    def decode(cls, text: str) -> Cursor:
        """The cursor in a text. Raises Invalid for a text that `encode` did not make."""
        try:
            plain = base64.urlsafe_b64decode(text + "=" * (-len(text) % 4)).decode("ascii")
        except (binascii.Error, UnicodeError, ValueError):
            plain = ""
        match = _FORM.fullmatch(plain)
        if not match or cls(match[1], int(match[2])).encode() != text:
            reason = "Input should be a cursor from a Link header"
            raise Invalid("The cursor is not valid", [Problem(None, "cursor", reason)])
        return cls(match[1], int(match[2]))
