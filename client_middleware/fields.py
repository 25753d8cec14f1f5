"""The optional text fields of a log: the name, the limit and the source of each.

A new field is one line in FIELDS, and a setting if it is opt-in. Whatever is declared here is collected and sent; a
test compares names and limits with what the service accepts.
"""

from __future__ import annotations

import json
from collections.abc import Callable, Iterable, Mapping
from typing import TYPE_CHECKING, Any, NamedTuple

from client_middleware.route import UNMATCHED

if TYPE_CHECKING:
    from client_middleware.settings import Settings


class Finished(NamedTuple):
    """What a field can be read from: a request that is over."""

    scope: Mapping[str, Any]
    path: str  # as it was asked for
    endpoint: str


Read = Callable[[Finished], "str | None"]
"""Returns the text of a field, or None if this request has none."""


class Field(NamedTuple):
    """One optional text field of a log."""

    name: str
    limit: int  # characters; a longer text is cut
    source: Callable[[Settings], Read | None]
    """Returns how the field is read under these settings, or None if it is not collected."""


def _consumer(settings: Settings) -> Read | None:
    wanted = settings.consumer
    if wanted is None:
        return None
    if isinstance(wanted, str):
        return lambda finished: finished.scope.get("state", {}).get(wanted)

    def read(finished: Finished) -> str | None:
        from starlette.requests import Request

        return wanted(Request(dict(finished.scope)))

    return read


def _user_agent(settings: Settings) -> Read | None:
    return (lambda finished: _header(finished.scope, b"user-agent")) if settings.user_agent else None


def _path(settings: Settings) -> Read | None:
    if settings.raw_path == "none":
        return None
    always = settings.raw_path == "all"
    return lambda finished: finished.path if always or finished.endpoint == UNMATCHED else None


FIELDS = (
    Field("consumer", 128, _consumer),
    Field("user_agent", 256, _user_agent),
    Field("path", 512, _path),
)


def collector(settings: Settings, fields: Iterable[Field] = FIELDS) -> Callable[[Finished], str] | None:
    """Returns a function that writes the fields of a request that these settings ask for; None if they ask for none."""
    sources = ((field, field.source(settings)) for field in fields)
    wanted = [(field, read) for field, read in sources if read is not None]
    if not wanted:
        return None
    return lambda finished: write((field, read(finished)) for field, read in wanted)


def write(texts: Iterable[tuple[Field, object]]) -> str:
    """Write fields as JSON members that follow others (`,"consumer":"…"`); empty ones and other types are left out."""
    members = [
        f',"{field.name}":{json.dumps(clean(text, field.limit))}'
        for field, text in texts
        if text and isinstance(text, str)
    ]
    return "".join(members)


def clean(text: str, limit: int) -> str:
    """The text as the service accepts it: at most `limit` characters, each unprintable one replaced by U+FFFD."""
    text = text[:limit]
    if text.isprintable():
        return text
    return "".join(character if character.isprintable() else "\ufffd" for character in text)


def _header(scope: Mapping[str, Any], wanted: bytes) -> str | None:
    return next((value.decode("latin-1") for name, value in scope["headers"] if name == wanted), None)
