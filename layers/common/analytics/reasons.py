"""What is wrong with a value, in a sentence for people: validators' own words, but for regular expressions."""

from __future__ import annotations

from collections.abc import Mapping

PRINTABLE = r"^[^\x00-\x1f\x7f-\x9f]+$"
KEY_ID = r"^[0-9A-Za-z]{16}$"
METHOD = r"^[!#$%&'*+.^_`|~0-9A-Za-z-]{1,16}$"  # a token, by RFC 9110, 5.6.2
BATCH_ID = r"^[A-Za-z0-9_-]{1,64}$"
LOSS_REASON = r"^[a-z0-9_]{1,64}$"

SENTENCES = {
    PRINTABLE: "Input should be text without control characters, such as line breaks",
    KEY_ID: "Input should be the id of a key: 16 letters and digits",
    METHOD: "Input should be an HTTP method, such as GET: 1 to 16 letters, digits or signs, without spaces",
    BATCH_ID: "Input should be 1 to 64 letters, digits, hyphens or underscores",
    LOSS_REASON: "Input should be 1 to 64 small letters, digits or underscores",
}
"""By pattern: what it asks for."""


def reason(error: Mapping[str, object]) -> str:
    """The sentence for one of pydantic's error details, with its `type`, `msg` and `ctx`."""
    if error["type"] != "string_pattern_mismatch":
        return str(error["msg"])
    context = error.get("ctx")
    pattern = context.get("pattern") if isinstance(context, Mapping) else None
    return SENTENCES.get(str(pattern), "Input has characters that are not allowed here")
