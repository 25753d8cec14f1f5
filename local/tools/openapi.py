"""The whole API in one OpenAPI document, from the three applications: `python -m local.tools.openapi [--check]`.

Routes and parameters come from the applications, bodies from the layer's types, answers from `response_schemas`.
"""

from __future__ import annotations

import argparse
import copy
import json
import sys
import tomllib
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Any, cast

from analytics.errors import UNKNOWN_KEY
from analytics.schema import schema as schema_of
from analytics.store.logs import OTHER_LOGS
from functions.dashboard.app import create_app as create_dashboard
from functions.ingest.app import create_app as create_ingest
from functions.keys.app import KeyOptions, RotationOptions
from functions.keys.app import create_app as create_keys
from local.tools.response_schemas import ANSWERS, EXAMPLES, SCHEMAS, ref

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Sequence

    from analytics.web import Service

ROOT = Path(__file__).resolve().parents[2]
FILE = ROOT / "functions" / "dashboard" / "static" / "openapi.json"
KEYS = [{"ApiKey": list[str]()}]
SIGN_UP = [{}, {"SignupToken": list[str]()}, *KEYS]
TAGS = {
    "keys": "Keys to the rest of the API, each with a stream of logs of its own.",
    "tracking": "What the middleware sends: requests that an API has served.",
    "insights": "What became of them.",
    "service": "The service itself.",
}
_REFUSALS = {
    401: "The key is missing, malformed, unknown, expired or revoked.",
    403: "The key is not for this.",
    404: "There is no such key to this data.",
    409: "There are 100 keys to this data already; replacing one works up to 200.",
    413: "The body is larger than 1 MiB after decompression, or holds more than 1,000 logs. Nothing was stored.",
    415: "The body has a `Content-Encoding` other than gzip. Nothing was stored.",
    503: "The store is busy or out of reach: refused as a whole, or done as a whole and its answer lost. Try again.",
}
_DETAILS = {
    401: UNKNOWN_KEY,
    403: "This key has the scope write, which does not allow this",
    404: "There is no such key to this data",
    409: "There are 100 keys to this data already: revoke one that is not used any more",
    413: "A batch holds at most 1000 logs",
    503: "The store is busy, try again",
}
_WAIT = {"Retry-After": {"description": "seconds to wait", "schema": {"type": "integer"}}}
_CODINGS = {"Accept-Encoding": {"description": "what is understood", "schema": {"const": "gzip"}}}
_NEXT = {"Link": {"description": 'the next page, `rel="next"`, while there may be one', "schema": {"type": "string"}}}

BODIES: dict[str, tuple[Callable[[], dict[str, Any]], bool]] = {
    "track": (partial(schema_of, "log"), True),
    "track_batch": (partial(schema_of, "batch"), True),
    "generate_key": (KeyOptions.model_json_schema, False),
    "rotate_key": (RotationOptions.model_json_schema, False),
}
"""By operation: what it takes, and whether it must come. The function reads it itself, and does not make its schema at
every start."""

DATES = {"anyOf": [{"format": "date"}, {"format": "date-time"}]}  # of the parameters start_date and end_date


def document() -> dict[str, Any]:
    """The OpenAPI document."""
    nothing = cast("Service", None)  # the applications are made and never called
    paths: dict[str, Any] = {}
    schemas = copy.deepcopy(SCHEMAS)
    for create in (create_keys, create_ingest, create_dashboard):
        described = create(nothing).openapi()
        for path, operations in described["paths"].items():
            paths[path] = {method: _operation(operation, schemas) for method, operation in operations.items()}
        for name, schema in described.get("components", {}).get("schemas", {}).items():
            if "ValidationError" not in name:
                schemas[name] = schema
    project = tomllib.loads((ROOT / "pyproject.toml").read_text())["project"]
    return {
        "openapi": "3.1.0",
        "info": {
            "title": "API Analytics",
            "version": project["version"],
            "summary": "Self-hosted request analytics for FastAPI.",
            "license": {"name": project["license"], "identifier": project["license"]},
        },
        "servers": [{"url": "/"}],
        "tags": [{"name": name, "description": text} for name, text in TAGS.items()],
        "paths": paths,
        "components": {
            "securitySchemes": {
                "ApiKey": {
                    "type": "apiKey",
                    "in": "header",
                    "name": "X-API-Key",
                    "description": "The key from POST /generate_key",
                },
                "SignupToken": {
                    "type": "http",
                    "scheme": "bearer",
                    "description": "Where the service was given a sign-up token",
                },
            },
            "schemas": schemas,
        },
    }


def _operation(found: dict[str, Any], schemas: dict[str, Any]) -> dict[str, Any]:
    """An operation as FastAPI describes it, with our answers; the schemas of its body are added to `schemas`."""
    name = found["summary"].lower().replace(" ", "_")
    if name not in ANSWERS:
        raise LookupError(f"Say in response_schemas.ANSWERS what {name} answers, and in SCHEMAS and EXAMPLES its form")
    status, schema, meaning, *more = ANSWERS[name]
    refusals = _refusals(found, name in BODIES, more)
    operation: dict[str, Any] = {
        "tags": found["tags"],
        "summary": found["description"].split("\n\n")[0].replace("\n", " "),
        "description": found["description"],
        "operationId": name,
        "security": SIGN_UP if name == "generate_key" else KEYS if "security" in found else [],
    }
    # OpenAPI has a parameter of the name Authorization ignored: it is the security scheme's.
    parameters = [_parameter(each) for each in found.get("parameters", ()) if each["in"] == "query"]
    if parameters:
        operation["parameters"] = parameters
    if name in BODIES:
        make, required = BODIES[name]
        operation["requestBody"] = _request_body(make(), schemas, required)
    operation["responses"] = {str(status): _answer(name, schema, meaning)}
    if name == "delete_key":
        either = {"oneOf": [ref(schema), ref("Erasure")]}
        operation["responses"]["200"]["content"]["application/json"]["schema"] = either
        operation["responses"]["202"] = _answer(name, "Erasure", "The erasure is not over.") | {"headers": _WAIT}
        unfinished = EXAMPLES["Erasure"] | {"complete": False}
        operation["responses"]["202"]["content"]["application/json"]["example"] = unfinished
    operation["responses"] |= {str(refusal): _refusal(refusal) for refusal in refusals}
    if name == "track_batch":
        meaning = "Other logs are stored under this `batch_id`. Nothing was stored."
        operation["responses"]["409"] |= {"description": meaning}
        operation["responses"]["409"]["content"]["application/json"]["example"] = {"detail": OTHER_LOGS}
    return operation


def _refusals(found: dict[str, Any], has_body: bool, more: Iterable[int]) -> list[int]:
    """The statuses by which an operation refuses: by key, by body, by what is asked, by the gateway, and `more`."""
    secured = (401, 403, 503) if "security" in found else ()
    asked = any(each["in"] == "query" for each in found.get("parameters", ()))
    return sorted({429, *secured, *((413, 415, 422) if has_body else ()), *((422,) if asked else ()), *more})


def _parameter(parameter: dict[str, Any]) -> dict[str, Any]:
    """A parameter without what says nothing: a title that is its name, null, which a query cannot send."""
    schema = {key: value for key, value in parameter["schema"].items() if key not in ("title", "description", "anyOf")}
    for choice in parameter["schema"].get("anyOf", ()):
        if choice != {"type": "null"}:
            schema = choice | schema
    if parameter["name"].endswith("_date"):
        schema |= DATES
    return parameter | {"schema": schema}


def _request_body(schema: dict[str, Any], schemas: dict[str, Any], required: bool) -> dict[str, Any]:
    """The body with its schema among the components, where references mean what they say."""
    schema = json.loads(json.dumps(schema).replace("#/$defs/", "#/components/schemas/"))
    schemas |= schema.pop("$defs", {})
    schemas[schema["title"]] = schema
    return {
        "required": required,
        "description": "At most 1 MiB; may come with `Content-Encoding: gzip`, and is then measured decompressed.",
        "content": {"application/json": {"schema": ref(schema["title"])}},
    }


def _answer(operation: str, schema: str, meaning: str) -> dict[str, Any]:
    example = EXAMPLES[schema]
    if operation == "keys":
        described = {"schema": {"type": "array", "items": ref(schema)}, "example": [example]}
        return {"description": meaning, "content": {"application/json": described}}
    if operation != "raw_logs":
        return {"description": meaning, "content": {"application/json": {"schema": ref(schema), "example": example}}}
    line = json.dumps(example, separators=(",", ":")) + "\n"
    csv = ",".join(example) + "\r\n" + ",".join(map(str, example.values())) + "\r\n"
    return {
        "description": meaning,
        "headers": _NEXT,
        "content": {
            "application/json": {"schema": {"type": "array", "items": ref(schema)}, "example": [example]},
            "application/x-ndjson": {"schema": {"type": "string"}, "example": line},
            "text/csv": {"schema": {"type": "string"}, "example": csv},
        },
    }


def _refusal(status: int) -> dict[str, Any]:
    if status == 422:
        meaning, schema, example = "What was sent is not valid.", "Invalid", EXAMPLES["Invalid"]
    elif status == 415:
        meaning, schema, example = _REFUSALS[status], "Invalid", EXAMPLES["UnknownCoding"]
    elif status == 429:
        # The gateway's own, or, with a daily quota, the service's, which says in Retry-After when the next day begins.
        content = {"schema": {"oneOf": [ref("GatewayRefusal"), ref("Refusal")]}, "example": EXAMPLES["GatewayRefusal"]}
        meaning = "More than the gateway lets through, or than the daily quota of the data."
        return {"description": meaning, "headers": _WAIT, "content": {"application/json": content}}
    else:
        meaning, schema, example = _REFUSALS[status], "Refusal", {"detail": _DETAILS[status]}
    content = {"application/json": {"schema": ref(schema), "example": example}}
    headers = {503: {"headers": _WAIT}, 415: {"headers": _CODINGS}}.get(status, {})
    return {"description": meaning, **headers, "content": content}


def rendered() -> str:
    """The document as the file holds it."""
    return json.dumps(document(), indent=2, ensure_ascii=False) + "\n"


def main(arguments: Sequence[str] | None = None) -> int:
    """Write the file, or with --check say whether it is stale; returns the exit code."""
    parser = argparse.ArgumentParser(prog="python -m local.tools.openapi", description=__doc__)
    parser.add_argument("--check", action="store_true", help="fail when the file is stale, change nothing")
    parser.add_argument("--file", type=Path, default=FILE, help="(default: the one that the dashboard serves)")
    options = parser.parse_args(arguments)
    file: Path = options.file
    if not options.check:
        file.write_text(rendered())
        return 0
    if file.is_file() and file.read_text() == rendered():
        return 0
    print(f"{file.name} is stale: run `python -m local.tools.openapi`", file=sys.stderr)
    return 1


if __name__ == "__main__":
    raise SystemExit(main())
