"""What the service answers, as JSON Schema with an example of each: what no type in the code says of openapi.json.

The functions build their answers as plain dictionaries, and load no models for them: that would only make them start
later. A test holds these schemas to real answers.
"""

from __future__ import annotations

from typing import Any

from pydantic import TypeAdapter

from analytics.blocks import Dashboard

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
        scope={"type": "string", "enum": ["full", "read", "write"]},
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
    "RawLog": fields(
        id=described(TEXT, "where the log lies; also a cursor"),
        created_at=TIME,
        method=TEXT,
        endpoint=TEXT,
        ip=TEXT_OR_NULL,
        process_time={"type": "number", "minimum": 0, "description": "milliseconds"},
        status_code=INTEGER,
        consumer=TEXT_OR_NULL,
        user_agent=TEXT_OR_NULL,
        path=described(TEXT_OR_NULL, "the raw path, where the client sends it"),
        weight=described({"type": "integer", "minimum": 1}, "requests this log stands for"),
    ),
    **block_schemas(),
}

_SPENT = {"p50": 18.26, "p95": 61.5, "p99": 61.5}
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
        "rejected": [{"index": 3, "field": "ip", "reason": "Input should be an IPv4 or IPv6 address, or null"}],
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
    "RawLog": {
        "id": "TCMyMDI2LTExLTI0VDE0OjA1OjA5LjEyMDAwMFojYjEvMA",
        "created_at": "2026-11-24T14:05:07.000000Z",
        "method": "GET",
        "endpoint": "/books/{id}",
        "ip": "192.0.2.1",
        "process_time": 18.26,
        "status_code": 200,
        "consumer": "acme",
        "user_agent": "curl/8.5.0",
        "path": "/books/7",
        "weight": 1,
    },
    "Dashboard": {
        "summary": {
            "total_requests": 4,
            "unique_ips": 2,
            "avg_response_time": 29.07,
            "min_response_time": 18.26,
            "max_response_time": 61.5,
            "error_rate": 25.0,
            **_SPENT,
        },
        "method_usage": {"GET": 4},
        "endpoint_stats": [
            {
                "endpoint": "/books/{id}",
                "is_other": False,
                "requests": 4,
                "avg_time": 29.07,
                "errors_count": 1,
                **_SPENT,
            }
        ],
        "status_codes": {"200": 3, "404": 1},
        "top_ips": [{"ip": "192.0.2.1", "requests": 3}, {"ip": "2001:db8::1", "requests": 1}],
        "top_consumers": [{"consumer": "acme", "is_other": False, "requests": 3, "errors_count": 0}],
        "time_series": [
            {
                "timestamp": "2026-11-24",
                "requests": 4,
                "avg_time": 29.07,
                "error_rate": 0.25,
                "errors_count": 1,
                **_SPENT,
            }
        ],
        "delivery": {
            "accepted": 4,
            "rejected": {},
            "duplicates": 0,
            "skewed": 0,
            "dropped": {},
            "unreadable": 0,
            "last_received_at": "2026-11-24T14:05:09.120000Z",
        },
        "range": {"start": None, "end": None, "period": "daily", "complete": True, "reached": None, "horizon": None},
        "precision": {
            "percentiles": 0.01,
            "unique_ips": 0.0,
            "top_ips_low_by_at_most": 0,
            "endpoints_low_by_at_most": 0,
            "consumers_low_by_at_most": 0,
            "requests_low_by_at_most": 0,
        },
        "unavailable": {},
    },
}
