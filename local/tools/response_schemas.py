"""What the service answers, as JSON Schema with an example of each: what no type in the code says of openapi.json.

The functions build their answers as plain dictionaries, and load no models for them: that would only make them start
later. A test holds these schemas to real answers.
"""

from __future__ import annotations

from typing import Any

Schema = dict[str, Any]

INTEGER: Schema = {"type": "integer", "minimum": 0}
TEXT: Schema = {"type": "string"}
TEXT_OR_NULL: Schema = {"type": ["string", "null"]}
TIME: Schema = {"type": "string", "format": "date-time"}
TIME_OR_NULL: Schema = {"type": ["string", "null"], "format": "date-time"}
COUNTS: Schema = {"type": "object", "additionalProperties": INTEGER}


def fields(description: str | None = None, /, **properties: Schema) -> Schema:
    """An object of exactly these fields."""
    schema: Schema = {
        "type": "object",
        "properties": properties,
        "required": list(properties),
        "additionalProperties": False,
    }
    return schema if description is None else {"description": description} | schema


def extended(schema: Schema, **properties: Schema) -> Schema:
    """An object that may have these fields as well."""
    return schema | {"properties": schema["properties"] | properties}


def described(schema: Schema, description: str) -> Schema:
    """A schema with a word on it."""
    return schema | {"description": description}


def listed(schema: Schema, description: str) -> Schema:
    """A list of them."""
    return {"description": description, "type": "array", "items": schema}


def ref(name: str) -> Schema:
    """A reference to one of SCHEMAS."""
    return {"$ref": f"#/components/schemas/{name}"}


def milliseconds(what: str) -> Schema:
    """A duration that is null where there was no request."""
    return {"type": ["number", "null"], "minimum": 0, "description": f"{what}, milliseconds"}


PERCENTILES = {
    f"p{share}": milliseconds(f"{share} % of the requests took at most this long (within 1 %)")
    for share in (50, 95, 99)
}
ERRORS = described(INTEGER, "answers of status 400 to 599")

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
        accepted=described(INTEGER, "logs that are stored"),
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
    "Dashboard": extended(
        fields(
            summary=fields(
                total_requests=INTEGER,
                unique_ips=described({"type": ["integer", "null"], "minimum": 0}, "null: see `unavailable`"),
                avg_response_time=milliseconds("mean"),
                min_response_time=milliseconds("shortest"),
                max_response_time=milliseconds("longest"),
                error_rate={"type": "number", "minimum": 0, "maximum": 100, "description": "percent"},
                **PERCENTILES,
            ),
            method_usage=described(COUNTS, "requests by method, the most used first"),
            endpoint_stats=listed(
                fields(
                    endpoint=TEXT, requests=INTEGER, avg_time=milliseconds("mean"), errors_count=ERRORS, **PERCENTILES
                ),
                "the busiest first, at most `top`",
            ),
            status_codes=described(COUNTS, "requests by status code"),
            top_ips={
                "description": "the busiest first, at most `top`; null: see `unavailable`",
                "type": ["array", "null"],
                "items": fields(ip=TEXT, requests=INTEGER),
            },
            top_consumers=listed(
                fields(consumer=TEXT, requests=INTEGER, errors_count=ERRORS), "the busiest first, at most `top`"
            ),
            time_series=listed(
                fields(
                    timestamp=described(
                        TEXT, "2026-11-24T14:05Z, 2026-11-24T14:00Z, 2026-11-24, a week's Monday, or 2026-11"
                    ),
                    requests=INTEGER,
                    avg_time=milliseconds("mean"),
                    error_rate={"type": "number", "minimum": 0, "maximum": 1, "description": "fraction"},
                    errors_count=ERRORS,
                    **PERCENTILES,
                ),
                "oldest first, without gaps, UTC",
            ),
            delivery=fields(
                "How complete the numbers are: what became of requests, by the days of receipt.",
                accepted=INTEGER,
                rejected=described(COUNTS, "refused, by reason"),
                duplicates=described(INTEGER, "in batches that were sent again"),
                skewed=described(
                    INTEGER, "from a clock more than five minutes ahead: taken to be of the time of receipt"
                ),
                dropped=described(COUNTS, "lost by clients before they were sent, by reason"),
                last_received_at=TIME_OR_NULL,
            ),
            range=fields(
                start=described(TIME_OR_NULL, "null: open"),
                end=described(TIME_OR_NULL, "excluded; null: open"),
                period=TEXT,
                complete=described({"type": "boolean"}, "false: a deadline cut the answer short"),
                reached=described(TIME_OR_NULL, "where it did: what was received until then is in the answer"),
            ),
            precision=fields(
                "How far the numbers may be off.",
                percentiles=described({"type": "number"}, "in proportion"),
                unique_ips=described({"type": "number"}, "in proportion, one standard error; 0: exact"),
                top_ips_low_by_at_most=described(INTEGER, "requests that an address may have more than is told"),
            ),
            unavailable={
                "description": "why a block or field is null, by its name",
                "type": "object",
                "additionalProperties": TEXT,
            },
        ),
        previous={
            "description": "with `compare=previous`: the period of equal length before; null: the start is open",
            "anyOf": [ref("Dashboard"), {"type": "null"}],
        },
        change={
            "description": "with `compare=previous`: by what share each number of the summary went up or down",
            "type": ["object", "null"],
            "properties": {"summary": {"type": "object", "additionalProperties": {"type": ["number", "null"]}}},
            "required": ["summary"],
            "additionalProperties": False,
        },
    ),
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
        "endpoint_stats": [{"endpoint": "/books/{id}", "requests": 4, "avg_time": 29.07, "errors_count": 1, **_SPENT}],
        "status_codes": {"200": 3, "404": 1},
        "top_ips": [{"ip": "192.0.2.1", "requests": 3}, {"ip": "2001:db8::1", "requests": 1}],
        "top_consumers": [{"consumer": "acme", "requests": 3, "errors_count": 0}],
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
            "last_received_at": "2026-11-24T14:05:09.120000Z",
        },
        "range": {"start": None, "end": None, "period": "daily", "complete": True, "reached": None},
        "precision": {"percentiles": 0.01, "unique_ips": 0.0, "top_ips_low_by_at_most": 0},
        "unavailable": {},
    },
}
