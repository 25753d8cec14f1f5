"""What the service answers, as JSON Schema with an example of each: what no type in the code says of openapi.json.

The functions build their answers as plain dictionaries, and load no models for them: that would only make them start
later. A test holds these schemas to real answers.
"""

from __future__ import annotations

from collections import Counter
from typing import Any, cast, get_args

from pydantic import TypeAdapter

from analytics.batch import Batch
from analytics.blocks import Dashboard
from analytics.query.export import COLUMNS, row
from analytics.query.filter import Filter
from analytics.query.ranges import Period
from analytics.query.report import Report
from analytics.schema import TEXTS, Log
from analytics.store import Scope
from analytics.summary.summary import Summary
from analytics.times import isoformat

Schema = dict[str, Any]

INTEGER: Schema = {"type": "integer", "minimum": 0}
TEXT: Schema = {"type": "string"}
TEXT_OR_NULL: Schema = {"type": ["string", "null"]}
TIME: Schema = {"type": "string", "format": "date-time"}
TIME_OR_NULL: Schema = {"type": ["string", "null"], "format": "date-time"}


def fields(description: str | None = None, /, **properties: Schema) -> Schema:
    """An object of exactly these fields."""
    schema: Schema = {
        "type": "object",
        "properties": properties,
        "required": list(properties),
        "additionalProperties": False,
    }
    return schema if description is None else {"description": description} | schema


def described(schema: Schema, description: str) -> Schema:
    """A schema with a word on it."""
    return schema | {"description": description}


def listed(schema: Schema, description: str) -> Schema:
    """A list of them."""
    return {"description": description, "type": "array", "items": schema}


def ref(name: str) -> Schema:
    """A reference to one of SCHEMAS."""
    return {"$ref": f"#/components/schemas/{name}"}


def block_schemas() -> dict[str, Schema]:
    """The schemas of the dashboard's answer and of its blocks, from their types: exactly these fields."""
    schema = TypeAdapter(Dashboard).json_schema(ref_template="#/components/schemas/{model}")
    schemas: dict[str, Schema] = schema.pop("$defs")
    if "$ref" not in schema:
        schemas["Dashboard"] = schema
    return {name: {"additionalProperties": False} | _untitled(each) for name, each in schemas.items()}


def _untitled(schema: Any) -> Any:
    """A schema without titles, which only repeat the names of the fields."""
    if isinstance(schema, dict):
        return {key: _untitled(value) for key, value in schema.items() if key != "title" or not isinstance(value, str)}
    return [_untitled(each) for each in schema] if isinstance(schema, list) else schema


def raw_log_schema() -> Schema:
    """The schema of a row of /raw_logs, from the declaration of a log."""
    known = {
        "id": described(TEXT, "where the log lies; also a cursor"),
        "created_at": TIME,
        "process_time": {"type": "number", "minimum": 0, "description": "milliseconds"},
        "status_code": INTEGER,
        "weight": described({"type": "integer", "minimum": 1}, "requests this log stands for"),
        **dict.fromkeys(TEXTS, TEXT_OR_NULL),
    }
    return fields(**{name: known.get(name, TEXT) for name in COLUMNS})


def _examples_of_logs() -> dict[str, Any]:
    """A log and a dashboard, made of four logs by the code that answers."""
    shown_as = {"ip": "192.0.2.1", "consumer": "acme", "user_agent": "curl/8.5.0", "path": "/books/7"}
    texts = {name: shown_as.get(name, name) for name in TEXTS}
    received = 1_795_529_109_120_000  # 2026-11-24T14:05:09.12Z
    logs = [
        {"created_at": received - after, "method": "GET", "endpoint": "/books/{id}", "process_time": spent}
        | {"status_code": status, **texts}
        for after, spent, status in ((2_120_000, 18.26, 200), (3_000_000, 18.26, 200), (4_000_000, 18.26, 200))
    ]
    logs.append(logs[0] | {"process_time": 61.5, "status_code": 404, "ip": "2001:db8::1", "consumer": None})
    batch = Batch.of([cast("Log", log) for log in logs], Counter({"trimmed.user_agent": 1}))
    summary = Summary()
    summary.fold(batch, received)
    report = Report(Filter(), Period.daily, 10)
    report.add(summary)
    covered = {"start": None, "end": None, "period": "daily", "complete": True, "reached": None, "horizon": None}
    shown = row(f"L#{isoformat(received)}#b1", batch, len(batch) - 2)
    return {"RawLog": dict(shown), "Dashboard": report.blocks() | {"range": covered}}


SCHEMAS: dict[str, Schema] = {
    "NewKey": fields(
        api_key=described(TEXT, "shown this once"), key_id=described(TEXT, "no secret: names the key"), created_at=TIME
    ),
    "RotatedKey": fields(
        api_key=described(TEXT, "shown this once"),
        key_id=described(TEXT, "no secret: names the key"),
        created_at=TIME,
        previous_expires_at=described(TIME, "when the old key ends"),
    ),
    "Key": fields(
        key_id=described(TEXT, "no secret: names the key"),
        scope={"type": "string", "enum": list(get_args(Scope))},
        name=described(TEXT_OR_NULL, "what its owner calls it"),
        created_at=TIME,
        expires_at=described(TIME_OR_NULL, "when it ends; null: not by itself"),
    ),
    "Revoked": fields(key_id=described(TEXT, "the key that is no more"), revoked_at=TIME),
    "Erasure": fields(
        deleted=described(INTEGER, "stored items, of many logs each, that are gone until now"),
        complete=described({"type": "boolean"}, "whether nothing is left"),
    ),
    "Problem": fields(
        index=described({"type": ["integer", "null"]}, "which log of the batch; null: not one of them"),
        field=described(TEXT_OR_NULL, "which field or parameter; null: the whole"),
        reason=TEXT,
    ),
    "Accepted": fields(
        accepted=described(INTEGER, "logs that this call stored; of a duplicate none"),
        rejected=listed(ref("Problem"), "what is wrong with each of the others, at most 10 problems a log"),
        duplicate=described({"type": "boolean"}, "this batch was stored before; it is not stored again"),
    ),
    "Refusal": fields(detail=described(TEXT, "one sentence")),
    "Invalid": fields(
        detail=described(TEXT, "one sentence"), errors=listed(ref("Problem"), "what is wrong, and where")
    ),
    "GatewayRefusal": fields("What the gateway itself answers, before any function is called.", message=TEXT),
    "Health": fields(status={"const": "ok"}, time=TIME),
    "RawLog": raw_log_schema(),
    **block_schemas(),
}

EXAMPLES: dict[str, Any] = {
    "NewKey": {
        "api_key": "aak_4dQ0ZBWqGkUW7xY1nTjhR9vLc2s3fXYZ1aB",
        "key_id": "8aVtQ2mJrX0pLwZk",
        "created_at": "2026-11-24T14:05:09.120000Z",
    },
    "RotatedKey": {
        "api_key": "aak_4dQ0ZBWqGkUW7xY1nTjhR9vLc2s3fXYZ1aB",
        "key_id": "8aVtQ2mJrX0pLwZk",
        "created_at": "2026-11-24T14:05:09.120000Z",
        "previous_expires_at": "2026-11-25T14:05:09.120000Z",
    },
    "Key": {
        "key_id": "8aVtQ2mJrX0pLwZk",
        "scope": "write",
        "name": "bookshop, production",
        "created_at": "2026-11-24T14:05:09.120000Z",
        "expires_at": None,
    },
    "Revoked": {"key_id": "8aVtQ2mJrX0pLwZk", "revoked_at": "2026-11-24T14:05:09.120000Z"},
    "Erasure": {"deleted": 1024, "complete": True},
    "Accepted": {
        "accepted": 199,
        "rejected": [{"index": 3, "field": "status_code", "reason": "Input should be a valid integer"}],
        "duplicate": False,
    },
    "Invalid": {
        "detail": "The log is not valid",
        "errors": [{"index": None, "field": "status_code", "reason": "Input should be a valid integer"}],
    },
    "UnknownCoding": {
        "detail": "The content encoding is not known",
        "errors": [{"index": None, "field": None, "reason": "Send the body plain or compressed with gzip"}],
    },
    "GatewayRefusal": {"message": "Too Many Requests"},
    "Health": {"status": "ok", "time": "2026-11-24T14:05:09.120000Z"},
} | _examples_of_logs()

ANSWERS: dict[str, tuple[Any, ...]] = {
    "generate_key": (201, "NewKey", "The key.", 409),
    "keys": (200, "Key", "The keys to this data."),
    "rotate_key": (201, "RotatedKey", "The new key.", 404, 409),
    "delete_key": (200, "Revoked", "The key is revoked; all is erased.", 404),
    "track": (200, "Accepted", "The log is stored."),
    "track_batch": (200, "Accepted", "The valid logs are stored, now or before.", 409),
    "dashboard": (200, "Dashboard", "Every block."),
    "raw_logs": (200, "RawLog", "A page of logs."),
    "health": (200, "Health", "It runs."),
}
"""By operation: the status of its answer, the schema, what that means, and further statuses it may be refused with.

Those of keys, bodies, parameters and the gateway go without saying.
"""
