"""What a client should send: one log, one batch, and the limits of both. What becomes of other things: `wire`.

Validation runs inside pydantic-core, straight from the JSON bytes: with hundreds of logs in a body, a Python-level look
at each field would cost more than everything else that ingest does.
"""

from __future__ import annotations

from dataclasses import dataclass
from functools import lru_cache
from ipaddress import IPv6Address, ip_address
from typing import Annotated, Any, NotRequired, cast, get_args, get_type_hints

from pydantic import AfterValidator, ConfigDict, Field, PlainValidator, TypeAdapter, WithJsonSchema
from pydantic_core import PydanticCustomError
from typing_extensions import TypedDict  # typing.TypedDict is refused by pydantic before Python 3.12

from analytics.reasons import BATCH_ID, LOSS_REASON, METHOD, PRINTABLE
from analytics.times import parsed

FORMAT = 1  # of the wire. A newer one only adds fields; every client of an older one stays understood.
MAX_LOGS = 1_000  # in one batch
MAX_BODY = 1 << 20  # bytes of a body, after decompression
MAX_DURATION_MS = 86_400_000.0  # a day: a longer request than that is a mistake of unit
MAX_AHEAD_US = 300 * 1_000_000  # a clock up to five minutes ahead of ours is believed
MAX_PROBLEMS = 10  # that are told of one log, or of the rest of a batch: thousands would teach nobody more
MAX_UNKNOWN = 32  # unknown fields of a newer format that are counted by name
OTHER_FIELDS = "(other)"  # the name under which further ones are counted
OLDEST_US = 1_543_622_400 * 1_000_000  # 2018-12-01, FastAPI's first month: older is a clock that was never set


def _moment(value: object) -> int:
    try:
        at = parsed(cast("str", value))
    except (TypeError, ValueError):
        raise PydanticCustomError("iso_8601", "Input should be an ISO 8601 date and time") from None
    if at < OLDEST_US:
        raise PydanticCustomError("too_old", "Input should not be before December 2018")
    return at


@lru_cache(maxsize=16_384)  # clients repeat: parsing an address takes some 3 µs, a hit 0.1
def _address(text: str) -> str:
    try:
        address = ip_address(text.partition("%")[0])
    except ValueError:
        raise PydanticCustomError("ip_address", "Input should be an IPv4 or IPv6 address, or null") from None
    if isinstance(address, IPv6Address) and address.ipv4_mapped:
        return str(address.ipv4_mapped)
    return str(address)


_STRICT = ConfigDict(extra="forbid", strict=True, allow_inf_nan=False)

_SINCE = {"type": "string", "format": "date-time", "pattern": "^(2018-12|2019|20[2-9]|2[1-9]|[3-9])"}  # OLDEST_US
_EITHER = {"anyOf": [{"format": "ipv4"}, {"format": "ipv6"}]}

Moment = Annotated[int, PlainValidator(_moment), WithJsonSchema(_SINCE)]
"""ISO 8601 in, microseconds since 1970 out; without an offset it is UTC."""
Token = Annotated[str, Field(pattern=METHOD)]
"""A method as RFC 9110 (5.6.2) lets it be spelled, at most 16 characters."""
Address = Annotated[str, Field(max_length=64, json_schema_extra=_EITHER), AfterValidator(_address)]
"""An IPv4 or IPv6 address in its one canonical spelling: zone dropped, IPv4 inside IPv6 unwrapped."""


@dataclass(frozen=True, slots=True)
class Text:
    """Part of the annotation of an optional text field of `Log`: all that the service needs to know of the field.

    From it the field is stored in packed batches, filtered by (a query parameter of its name that takes the whole
    value), and exported. To count its values in summaries as well, see `analytics.summary.counters`.
    """

    column: str  # the name of its column in a packed batch: stored, so it never changes
    filter: str  # what the query parameter takes, for the API's document


class Log(TypedDict):
    """One request, as a client reports it."""

    __pydantic_config__ = _STRICT  # type: ignore[misc]

    created_at: Moment
    method: Token
    endpoint: Annotated[str, Field(min_length=1, max_length=512, pattern=PRINTABLE)]
    ip: NotRequired[Annotated[Address, Text("a", "an address in any spelling")] | None]
    process_time: Annotated[float, Field(ge=0, le=MAX_DURATION_MS, description="milliseconds")]
    status_code: Annotated[int, Field(ge=100, le=599)]
    weight: NotRequired[Annotated[int, Field(ge=1, le=1_000_000, description="requests this log stands for")]]
    consumer: NotRequired[
        Annotated[str, Field(min_length=1, max_length=128, pattern=PRINTABLE), Text("k", "the whole name")] | None
    ]
    user_agent: NotRequired[
        Annotated[str, Field(min_length=1, max_length=256, pattern=PRINTABLE), Text("u", "the whole header")] | None
    ]
    path: NotRequired[
        Annotated[str, Field(min_length=1, max_length=512, pattern=PRINTABLE), Text("p", "the whole raw path")] | None
    ]


def _texts() -> tuple[dict[str, Text], dict[str, Any]]:
    found, types = dict[str, Text](), dict[str, Any]()
    for name, hint in get_type_hints(Log, include_extras=True).items():
        hints = [hint]
        while hints:
            each = hints.pop()
            for text in getattr(each, "__metadata__", ()):
                if isinstance(text, Text):
                    found[name], types[name] = text, get_args(hint)[0]  # without NotRequired
            hints += get_args(each)
    return found, types


TEXTS, TEXT_TYPES = _texts()
"""The optional text fields of a log (`ip`, `consumer`, `user_agent`, `path`), and the type of each."""


class Client(TypedDict):
    """Who sends the batch: the library and the process it runs in."""

    __pydantic_config__ = _STRICT  # type: ignore[misc]

    name: Annotated[str, Field(max_length=64)]
    version: NotRequired[Annotated[str, Field(max_length=64)]]
    instance: NotRequired[Annotated[str, Field(max_length=64)]]


class Envelope(TypedDict):
    """A batch of logs; `dropped` counts the requests that the client lost since its last batch, by reason."""

    __pydantic_config__ = _STRICT  # type: ignore[misc]

    format: NotRequired[Annotated[int, Field(ge=1, description="of the wire; a service ignores what newer ones add")]]
    batch_id: Annotated[str, Field(pattern=BATCH_ID)]
    client: NotRequired[Client | None]
    dropped: NotRequired[
        Annotated[
            dict[Annotated[str, Field(pattern=LOSS_REASON)], Annotated[int, Field(ge=0, le=1_000_000_000)]],
            Field(max_length=32, json_schema_extra={"additionalProperties": False}),
        ]
    ]
    logs: Annotated[list[Log], Field(max_length=MAX_LOGS)]


def schema(kind: str) -> dict[str, object]:
    """JSON Schema of what should be sent: `kind` is "log" or "batch"; nested types are in its own `$defs`."""
    batch = TypeAdapter(Envelope).json_schema()
    if kind == "batch":
        return batch
    log: dict[str, Any] = TypeAdapter(Log).json_schema()
    log["properties"]["format"] = batch["properties"]["format"]
    return log | {"title": "SingleLog"}
