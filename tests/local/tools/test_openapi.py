"""openapi.json is what the applications say, is valid, and tells the truth about real answers."""

from __future__ import annotations

import json
import tomllib
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path
from typing import Any

import boto3
import pytest
from botocore.config import Config
from openapi_schema_validator import OAS31Validator
from openapi_spec_validator import validate
from referencing import Registry, Resource
from referencing.jsonschema import DRAFT202012

from analytics.store import KeyTable
from analytics.web import Service
from local.tools import openapi
from tests.conftest import SETTINGS, Api, Clock
from tests.functions.wire import batch, log, send
from tests.support.engines import STACK

NOWHERE = "http://127.0.0.1:9"  # nobody listens on "discard"
DOCUMENT: dict[str, Any] = json.loads(openapi.FILE.read_text())
OPERATIONS = {
    (method.upper(), path): operation
    for path, operations in DOCUMENT["paths"].items()
    for method, operation in operations.items()
}


def mistakes(value: object, schema: dict[str, Any]) -> list[str]:
    """What a schema of the document finds wrong with a value; references are looked up in the document."""
    whole = Resource.from_contents(DOCUMENT, default_specification=DRAFT202012)
    registry = Registry().with_resource("urn:document", whole)
    rooted = json.loads(json.dumps(schema).replace('"#/', '"urn:document#/'))
    checked = OAS31Validator(rooted, registry=registry, format_checker=OAS31Validator.FORMAT_CHECKER)
    return [error.message for error in checked.iter_errors(value)]


def answer_schema(method: str, path: str, status: int) -> dict[str, Any]:
    """What the document says of the JSON answered with this status."""
    answer = OPERATIONS[method, path]["responses"][str(status)]
    schema: dict[str, Any] = answer["content"]["application/json"]["schema"]
    return schema


def contents() -> Iterator[tuple[str, dict[str, Any]]]:
    """Every answer's content that has an example."""
    for (method, path), operation in OPERATIONS.items():
        for status, answer in operation["responses"].items():
            for media_type, content in answer["content"].items():
                yield f"{method} {path} {status} {media_type}", content


def test_the_file_is_fresh() -> None:
    """It is what `python -m local.tools.openapi` writes."""
    assert openapi.FILE.read_text() == openapi.rendered()
    assert openapi.main(["--check"]) == 0


def test_a_stale_file_is_found(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """--check says what to run, and changes nothing; without it the file is written."""
    file = tmp_path / "openapi.json"
    for _ in range(2):
        assert openapi.main(["--check", "--file", str(file)]) == 1
        assert capsys.readouterr().err == "openapi.json is stale: run `python -m local.tools.openapi`\n"
        file.write_text("{}")
    assert openapi.main(["--file", str(file)]) == 0
    assert openapi.main(["--check", "--file", str(file)]) == 0
    assert json.loads(file.read_text()) == DOCUMENT


def test_the_document_names_the_product_and_its_version() -> None:
    """The version is the project's."""
    project = tomllib.loads((openapi.ROOT / "pyproject.toml").read_text())["project"]
    assert (DOCUMENT["info"]["title"], DOCUMENT["info"]["version"]) == ("API Analytics", project["version"])
    assert DOCUMENT["servers"] == [{"url": "/"}]


def test_the_document_is_valid() -> None:
    """OpenAPI 3.1, every reference resolved, every default in its schema."""
    validate(DOCUMENT)


def test_every_route_of_the_template_is_described() -> None:
    """But for the page, its files and this document itself; what a GET route answers to HEAD needs no description."""
    unlisted = {"GET /", "GET /assets/{name}", "GET /docs", "GET /openapi.json"}
    described = {f"{method} {path}" for method, path in OPERATIONS}
    assert described | unlisted == {route.key for route in STACK.routes if route.method != "HEAD"}


def test_every_operation_says_who_may_call_it() -> None:
    """All but sign-up and health need a key, which makes further keys without the sign-up token."""
    secured = {key: operation["security"] for key, operation in OPERATIONS.items()}
    assert secured.pop(("POST", "/generate_key")) == [{}, {"SignupToken": []}, {"ApiKey": []}]
    assert secured.pop(("GET", "/health")) == []
    assert list(secured.values()) == [[{"ApiKey": []}]] * len(secured)


@pytest.mark.parametrize(("where", "content"), list(contents()), ids=lambda each: each if isinstance(each, str) else "")
def test_every_example_is_one(where: str, content: dict[str, Any]) -> None:
    """It has the form that it is an example of."""
    assert mistakes(content["example"], content["schema"]) == []


def successes() -> dict[tuple[str, str, int], tuple[dict[str, Any], ...]]:
    """By operation and status: the options of requests that succeed, on empty tables and after those above them."""
    sent = batch(log(), log(ip="x"), {}, dropped={"timeout": 1})
    days: tuple[dict[str, Any], ...] = ({"start_date": "2025-11-23", "period": "hourly"}, {"compare": "previous"})
    return {
        ("GET", "/health", 200): ({},),
        ("GET", "/dashboard", 200): ({}, {"params": days[0]}, {"params": days[1]}, {"params": days[0] | days[1]}),
        ("GET", "/raw_logs", 200): ({},),
        ("POST", "/track", 200): ({"json": log(consumer="acme", weight=3, status_code=500)},),
        ("POST", "/track/batch", 200): ({"json": sent}, {"json": sent}),
        ("POST", "/generate_key", 201): ({}, {"json": {"scope": "write", "name": "app"}}),
        ("POST", "/rotate_key", 201): ({}, {"json": {"grace_seconds": 60}}),
        ("GET", "/keys", 200): ({},),
        ("DELETE", "/key", 202): ({"params": {"data": "true"}},),
    }


def test_answers_are_what_is_described(api: Api, clock: Clock) -> None:
    """Of every operation, on empty tables and on full ones: no field more and none less than its schema has."""

    def ask(method: str, path: str, status: int, options: dict[str, Any]) -> None:
        answer = api.ask(method, path, **options)
        assert answer.status_code == status, (method, path, answer.text)
        assert mistakes(answer.json(), answer_schema(method, path, status)) == []

    known = successes()
    for _ in range(2):
        for (method, path, status), requests in known.items():
            for options in requests if path != "/key" else ():
                ask(method, path, status, options)
    ask("DELETE", "/key", 200, {"params": {"key_id": api.post("/generate_key").json()["key_id"]}})
    ask("DELETE", "/key", 202, *known["DELETE", "/key", 202])
    clock.advance(90)
    ask("DELETE", "/key", 200, *known["DELETE", "/key", 202])
    described = {
        (method, path, int(status))
        for (method, path), operation in OPERATIONS.items()
        for status in operation["responses"]
        if int(status) < 300
    }
    assert known.keys() | {("DELETE", "/key", 200)} == described


REFUSALS = [
    pytest.param(method, path, int(status), id=f"{method} {path} {status}")
    for (method, path), operation in OPERATIONS.items()
    for status in operation["responses"]
    # Of keys and service 429 is the gateway's; 409 takes a hundred keys, and has its test in functions/test_keys.py.
    if int(status) >= 400 and not (status in ("409", "429") and operation["tags"][0] in ("keys", "service"))
]


@pytest.mark.parametrize(("method", "path", "status"), REFUSALS)
def test_refusals_are_what_is_described(service: Service, method: str, path: str, status: int) -> None:
    """Of every operation, by every status that is described, but for what the gateway says before it."""
    answer = refused(service, method, path, status)
    assert answer.status_code == status, answer.text
    described = OPERATIONS[method, path]["responses"][str(status)]
    content = described["content"]["application/json"]
    assert mistakes(answer.json(), content["schema"]) == []
    assert {name.lower() for name in described.get("headers", ())} <= set(answer.headers)
    if status in (401, 403, 404, 409, 415, 503):
        scope = "write" if path in ("/dashboard", "/raw_logs") else "read"
        example = json.dumps(content["example"]).replace("scope write", f"scope {scope}")
        assert answer.json() == json.loads(example)


def refused(service: Service, method: str, path: str, status: int) -> Any:
    """An answer with this status."""
    api = Api(replace(service, settings=replace(SETTINGS, daily_quota=1)) if status == 429 else service)
    body = {"/track": log(), "/track/batch": batch(log())}.get(path)
    options: dict[str, Any] = {} if body is None else {"json": body}
    if status == 401:
        options["headers"] = {"X-API-Key": "wrong"}
    elif status == 403:
        scope = "write" if path in ("/dashboard", "/raw_logs") else "read"
        options["headers"] = {"X-API-Key": api.post("/generate_key", json={"scope": scope}).json()["api_key"]}
    elif status == 404:
        options |= {"params": {"key_id": "0" * 16}} if method == "DELETE" else {"json": {"key_id": "0" * 16}}
    elif status == 409:
        api.ask(method, path, json=batch(log(status_code=500)))
    elif status == 413:
        options = {"content": b" " * (1024 * 1024 + 1)}
    elif status == 415:
        options = {"content": b"{}", "headers": {"Content-Encoding": "br"}}
    elif status == 422:
        options = {"params": {"unknown": "1"}} if method in ("GET", "DELETE") else {"content": b"{"}
    elif status == 503:
        client = boto3.client("dynamodb", endpoint_url=NOWHERE, config=Config(retries={"total_max_attempts": 1}))
        api = Api(replace(service, keys=KeyTable(client, SETTINGS.keys_table)), api.key)
    elif status == 429:
        api.ask(method, path, **options)
    return api.ask(method, path, **options)


def test_examples_are_what_is_answered(api: Api) -> None:
    """The problems have the words of real ones, and the logs their columns, in JSON, NDJSON and CSV."""

    def example(method: str, path: str, status: int, media_type: str = "application/json") -> Any:
        return OPERATIONS[method, path]["responses"][str(status)]["content"][media_type]["example"]

    assert api.post("/track", json=log(status_code="200")).json() == example("POST", "/track", 422)
    answer = api.post("/track/batch", json=batch(log(), log(), log(), log(status_code="200"))).json()
    assert answer["rejected"] == example("POST", "/track/batch", 200)["rejected"]
    for media_type in ("application/json", "application/x-ndjson", "text/csv"):
        answer = api.get("/raw_logs", headers={"Accept": media_type})
        assert answer.headers["content-type"].startswith(media_type)
        shown = example("GET", "/raw_logs", 200, media_type)
        if media_type == "application/json":
            assert list(answer.json()[0]) == list(shown[0])
        elif media_type == "text/csv":
            assert answer.text.splitlines()[0] == shown.splitlines()[0]
        else:
            assert list(json.loads(answer.text.splitlines()[0])) == list(json.loads(shown))


def test_what_is_described_is_what_is_taken(api: Api) -> None:
    """Logs that the schema of the body allows are accepted, and others refused; odd ones are repaired and accepted."""
    schema = OPERATIONS["POST", "/track"]["requestBody"]["content"]["application/json"]["schema"]
    good = (
        log(),
        log(ip=None, consumer=None, user_agent=None, path=None, weight=1),
        log(method="X" * 16, status_code=599, process_time=0, endpoint="/ü"),
    )
    odd = (log(endpoint="/a\x00b"), log(weight=0), log(consumer=""), log(ip="x" * 65))
    bad = (
        log(status_code=600),
        log(status_code="200"),
        log(method=""),
        log(endpoint=7),
        log(process_time=-1),
        log(extra=1),
        log(created_at=...),
    )
    numbered = log(format=1)
    assert (mistakes(numbered, schema), api.post("/track", json=numbered).status_code) == ([], 200)
    for each in odd:
        assert (len(mistakes(each, schema)), api.post("/track", json=each).status_code) == (1, 200), each
    for each in good:
        assert (mistakes(each, schema), api.post("/track", json=each).status_code) == ([], 200)
    for each in bad:
        assert (len(mistakes(each, schema)), api.post("/track", json=each).status_code) == (1, 422), each
    send(api, *good)
    whole = OPERATIONS["POST", "/track/batch"]["requestBody"]["content"]["application/json"]["schema"]
    envelope = batch(*good, client={"name": "api-analytics"}, dropped={"timeout": 1}, format=1)
    assert mistakes(envelope, whole) == []
    assert mistakes(envelope | {"batch_id": "a b", "more": 1}, whole) != []


def test_the_query_parameters_are_those_that_are_taken(api: Api) -> None:
    """Each has a word of description, and is not refused as unknown."""
    for path in ("/dashboard", "/raw_logs"):
        for parameter in OPERATIONS["GET", path]["parameters"]:
            assert parameter["in"] == "query"
            assert parameter["description"], parameter
            answer = api.get(path, params={parameter["name"]: "?"})
            assert "Extra inputs" not in answer.text
