"""The fields of a log are declared once in the client, and agree with what the service accepts."""

from __future__ import annotations

import json
from collections.abc import Iterator
from typing import Any

import pytest
from annotated_types import Ge, Le, MaxLen
from pydantic.fields import FieldInfo
from starlette.requests import Request
from typing_extensions import get_type_hints

from analytics.schema import Log
from client_middleware import MemorySink, wire
from client_middleware.buffer import Row
from client_middleware.fields import FIELDS, Field, write
from client_middleware.settings import Settings
from client_middleware.tracker import Tracker
from client_middleware.wire import Encoder

HINTS = get_type_hints(Log, include_extras=True)


def parts(hint: Any) -> Iterator[Any]:
    """What a type is made of: its arguments and its metadata, at any depth."""
    yield hint
    for part in (*getattr(hint, "__args__", ()), *getattr(hint, "__metadata__", ())):
        yield from parts(part)
        if isinstance(part, FieldInfo):
            yield from part.metadata


def limit(name: str, kind: type[MaxLen | Le | Ge]) -> Any:
    """A limit that the service declares for a field of a log: of its length, or of its value."""
    (found,) = (part for part in parts(HINTS[name]) if isinstance(part, kind))
    return found.max_length if isinstance(found, MaxLen) else found.le if isinstance(found, Le) else found.ge


@pytest.mark.parametrize("field", FIELDS, ids=lambda field: field.name)
def test_the_service_accepts_each_field(field: Field) -> None:
    """Each optional field of the client is one of the service's, with the same limit."""
    assert field.name in HINTS
    assert field.limit == limit(field.name, MaxLen)


def test_the_client_sends_every_field() -> None:
    """A log with all that the client can send has every field that the service knows, and no other."""
    optional = write((field, "x") for field in FIELDS)
    row: Row = (1_763_985_600.0, 0.001, "GET", "/", 200, "203.0.113.0", optional, 2)
    (line,) = Encoder().lines([row])
    assert json.loads(line).keys() == HINTS.keys()


def test_the_limits_of_the_other_fields() -> None:
    """What the client cuts or caps, it cuts or caps where the service would refuse it."""
    assert limit("endpoint", MaxLen) == wire.MAX_ENDPOINT
    assert limit("process_time", Le) == wire.MAX_MS
    assert limit("weight", Le) == wire.MAX_WEIGHT


def test_a_declared_field_is_sent() -> None:
    """A field is sent once it is declared, whatever the settings of the other fields are."""
    region = Field("region", 4, lambda _: lambda finished: finished.scope["region"])
    sink = MemorySink()
    tracker = Tracker(Settings(), sink, [*FIELDS, region])
    for name in ("north", "", 7):
        scope: dict[str, Any] = {"type": "http", "method": "GET", "headers": [], "region": name}
        tracker.record(scope, "/", 1_763_985_600.0, 0.001, 200)
    assert [log.get("region") for log in sink.logs] == ["nort", None, None]


def test_each_setting_of_a_field() -> None:
    """A field that is opt-in is collected by its setting alone, from the request it belongs to."""
    scope = {"type": "http", "method": "GET", "headers": [(b"host", b"h"), (b"user-agent", b"curl/8")]}

    def host(request: Request) -> str:
        return request.headers["host"]

    collected = {}
    for setting in ({"consumer": host}, {"user_agent": True}, {"raw_path": "all"}):
        sink = MemorySink()
        Tracker(Settings(**setting), sink).record(scope, "/asked", 1_763_985_600.0, 0.001, 200)
        known = {field.name: sink.logs[0].get(field.name) for field in FIELDS}
        collected[next(iter(setting))] = {name: text for name, text in known.items() if text is not None}
    assert collected == {
        "consumer": {"consumer": "h"},
        "user_agent": {"user_agent": "curl/8"},
        "raw_path": {"path": "/asked"},
    }
