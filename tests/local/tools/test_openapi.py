"""openapi.json is what the applications say, is valid, and tells the truth about real answers."""

from __future__ import annotations

import json
import tomllib
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from openapi_schema_validator import OAS31Validator
from openapi_spec_validator import validate
from referencing import Registry, Resource
from referencing.jsonschema import DRAFT202012

from local.tools import openapi
from tests.conftest import Api
from tests.functions.wire import batch, log, send
from tests.support.engines import STACK

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


def test_answers_have_the_form_that_is_described(api: Api) -> None:
    """Real ones, full and empty, of every operation; no field more and none less than the document says."""
    sent: tuple[tuple[str, str, int, dict[str, Any]], ...] = (
        ("GET", "/dashboard", 200, {}),
        ("GET", "/raw_logs", 200, {}),
        ("POST", "/track", 200, {"json": log(consumer="acme", weight=3, status_code=500)}),
        ("POST", "/track/batch", 200, {"json": batch(log(), log(ip="x"), {}, dropped={"timeout": 1})}),
        ("POST", "/track/batch", 200, {"json": batch(log(), log(ip="x"), {}, dropped={"timeout": 1})}),
        ("GET", "/dashboard", 200, {}),
        ("GET", "/dashboard", 200, {"params": {"start_date": "2025-11-23", "period": "hourly"}}),
        ("GET", "/dashboard", 200, {"params": {"start_date": "2025-11-24", "compare": "previous"}}),
        ("GET", "/dashboard", 200, {"params": {"compare": "previous"}}),
        ("GET", "/raw_logs", 200, {}),
        ("GET", "/health", 200, {}),
        ("POST", "/generate_key", 201, {}),
        ("POST", "/generate_key", 201, {"json": {"scope": "write", "name": "app"}}),
        ("GET", "/keys", 200, {}),
        ("POST", "/rotate_key", 201, {}),
        ("GET", "/keys", 200, {}),
        ("POST", "/track", 401, {"headers": {"X-API-Key": "wrong"}}),
        ("GET", "/dashboard", 401, {"headers": {"X-API-Key": "wrong"}}),
        ("POST", "/track/batch", 413, {"json": batch(*[{}] * 1001)}),
        ("POST", "/track", 422, {"json": log(method="")}),
        ("POST", "/track/batch", 422, {"content": b"{"}),
        ("GET", "/raw_logs", 422, {"params": {"limit": 0}}),
        ("POST", "/generate_key", 422, {"json": {"scope": "admin"}}),
        ("POST", "/rotate_key", 422, {"json": {"grace_seconds": -1}}),
        ("DELETE", "/key", 422, {"params": {"date": "true"}}),
        ("DELETE", "/key", 404, {"params": {"key_id": "0" * 16}}),
        ("DELETE", "/key", 202, {"params": {"data": "true"}}),
        ("DELETE", "/key", 401, {}),
    )
    for method, path, status, options in sent:
        options = {"headers": {"X-API-Key": api.key}} | options
        answer = api.request(method, path, **options)
        assert answer.status_code == status
        assert mistakes(answer.json(), answer_schema(method, path, status)) == []


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
