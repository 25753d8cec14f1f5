"""What becomes of odd values, so that they cost neither their log nor another one.

Validation comes first and says what is wrong, with the limit that was missed; repair changes that alone, and validation
looks again. So limits are written once, where a log is declared.
"""

from __future__ import annotations

import json
import math
import re
from collections.abc import Collection, Mapping
from typing import Any, TypeVar

from pydantic import TypeAdapter, ValidationError
from pydantic_core import from_json

T = TypeVar("T")

MAX_REASONS = 32  # of losses, and names of unknown fields, in one batch
MAX_LOST = 1_000_000_000  # requests that one batch may report as lost for one reason
OTHER_REASONS = "other"  # the reason under which losses for all further reasons are counted
_MAX_DIGITS = 4_000  # of a whole number: Python refuses to read more than 4,300
_MAX_REASON = 64  # characters of a reason

_UNPRINTABLE = re.compile("[\x00-\x1f\x7f-\x9f\ud800-\udfff]")
_NO_REASON = re.compile("[^a-z0-9_]")
_WITH_PORT = re.compile(r"\[(?P<bracketed>[^\[\]]*)\](?::\d{0,5})?|(?P<plain>[^:\[\]]*):\d{0,5}")


def load(body: bytes) -> Any:
    """The value in a JSON body. Raises ValueError when it is no JSON, or nested too deep.

    Where that is all that is wrong with it, bytes that are not UTF-8 and surrogates without their other half come as
    lone surrogates, control characters as themselves, and numbers of thousands of digits as infinite: each is then the
    trouble of its own log. They are replaced in names at once.
    """
    try:
        return from_json(body)
    except ValueError as error:
        try:
            text = body.decode("utf-8", "surrogateescape")
            return json.loads(text, strict=False, parse_int=_integer, object_pairs_hook=_with_printable_names)
        except (ValueError, RecursionError):
            raise error from None


def _integer(digits: str) -> int | float:
    return int(digits) if len(digits) <= _MAX_DIGITS else math.inf


def _with_printable_names(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
    return {_printable(name): value for name, value in pairs}


def _printable(text: str) -> str:
    return _UNPRINTABLE.sub("\ufffd", text)


def repaired(adapter: TypeAdapter[T], sent: Any, optional: Collection[str]) -> tuple[T, set[str]]:
    """The valid form of an object, and the names of the fields that were changed for it; `sent` is changed, too.

    Text is made printable and cut to its limit. An optional number is moved to its limit, an address loses its port,
    and any other optional field that is not valid is left out. Raises ValidationError with all that is wrong beyond
    that: with required fields, unknown ones, or an object that is none.
    """
    changed = set[str]()
    if isinstance(sent, dict):
        for name in [name for name in sent if name in optional and sent[name] is None]:
            del sent[name]  # null is as good as nothing
    while True:
        try:
            return adapter.validate_python(sent), changed
        except ValidationError as error:
            found = {_repair(sent, each, optional) for each in error.errors(include_url=False, include_input=False)}
            if found == {None}:
                raise
            changed.update(name for name in found if name is not None)


def _repair(sent: Any, error: Mapping[str, Any], optional: Collection[str]) -> str | None:
    """Change the field that an error is about; its name, or None when there is nothing to be done."""
    name, *within = error["loc"] or (None,)
    if not isinstance(sent, dict) or name not in sent:
        return None
    value = sent[name]
    if not within:
        better = _better(value, error["type"], error.get("ctx", {}), is_optional=name in optional)
        if better is not None and (type(better), better) != (type(value), value):
            sent[name] = better
            return str(name)
    if name not in optional:
        return None
    del sent[name]
    return str(name)


def _better(value: Any, wrong: str, limits: Mapping[str, Any], *, is_optional: bool) -> Any:
    """A value that comes closer to being valid, or None. Of required fields only text is changed."""
    match wrong:
        case "string_too_long":
            return value[: limits["max_length"]]
        case "string_pattern_mismatch" | "string_unicode":
            return _printable(value)
        case "ip_address":
            return _without_port(value)
        case "less_than_equal" if is_optional:
            return limits["le"]
        case "greater_than_equal" if is_optional:
            return limits["ge"]
        case "int_type" if is_optional and isinstance(value, float) and value.is_integer():
            return int(value)
    return None


def _without_port(address: str) -> str:
    text = address.strip()
    found = _WITH_PORT.fullmatch(text)
    return text if found is None else found["bracketed"] or found["plain"] or text


def losses(reported: object) -> dict[str, int]:
    """What a client says it lost, by reason, as far as that can be understood.

    Reasons are spelled in small letters, digits and underscores. Beyond MAX_REASONS, the rarest are counted together
    as OTHER_REASONS. What is no count is left out.
    """
    counts = dict[str, int]()
    for reason, lost in reported.items() if isinstance(reported, dict) else ():
        if isinstance(lost, bool) or not isinstance(lost, int | float) or not 0 <= lost < math.inf or lost % 1:
            continue
        name = _NO_REASON.sub("_", reason.lower())[:_MAX_REASON] or "_"
        counts[name] = counts.get(name, 0) + int(lost)
    if len(counts) > MAX_REASONS:
        kept = sorted(counts, key=lambda name: (name == OTHER_REASONS, counts[name]), reverse=True)[: MAX_REASONS - 1]
        rest = sum(counts[name] for name in counts if name not in kept)
        counts = {name: counts[name] for name in kept}
        counts[OTHER_REASONS] = counts.get(OTHER_REASONS, 0) + rest
    return {name: min(lost, MAX_LOST) for name, lost in counts.items()}
