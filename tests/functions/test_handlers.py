"""The three handlers as Lambda loads and calls them: real environment, real events of payload 2.0, Mangum included."""

from __future__ import annotations

import asyncio
import gzip
import importlib.util
import json
import sys
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from datetime import UTC, datetime
from pathlib import Path
from types import ModuleType
from typing import TYPE_CHECKING, Any

import pytest

from analytics.settings import MissingSetting
from local.gateway.event import Request, to_event, to_response
from tests.functions.wire import ACCEPTED, UNAUTHORIZED, batch, count, log, row
from tests.support.engines import STACK

if TYPE_CHECKING:
    from mypy_boto3_dynamodb import DynamoDBClient

FUNCTIONS = Path(__file__).parents[2] / "functions"
JSON = "application/json"


def load(name: str) -> ModuleType:
    """A function's `app` module, loaded anew: as in a fresh container."""
    spec = importlib.util.spec_from_file_location(f"container_{name}", FUNCTIONS / name / "app.py")
    assert spec
    assert spec.loader
    module = importlib.util.module_from_spec(spec)
    sys.modules[spec.name] = module  # where annotations are looked up
    spec.loader.exec_module(module)
    return module


@pytest.fixture(scope="module")
def handlers() -> dict[str, Callable[[Any, Any], Any]]:
    """Every function after its init phase, by the route keys that the template gives it."""
    with pytest.MonkeyPatch.context() as environment:
        environment.setenv("AWS_LAMBDA_FUNCTION_NAME", "one of three")
        environment.delenv("AWS_ENDPOINT_URL_DYNAMODB", raising=False)
        found: dict[str, Callable[[Any, Any], Any]] = {}
        for function in STACK.functions.values():
            for name, value in function.environment.items():
                environment.setenv(name, value)
            handler = load(function.module.split(".")[1]).handler
            found |= {route.key: handler for route in STACK.routes if route.function == function.name}
        return found


class Gateway:
    """Calls the handlers as the HTTP API does."""

    def __init__(self, handlers: dict[str, Callable[[Any, Any], Any]]) -> None:
        self.handlers = handlers
        self.key = json.loads(self.call("POST /generate_key").body)["api_key"]

    def call(self, route: str, query: str = "", body: bytes = b"", **headers: str) -> Any:
        """The answer to a request, as the gateway would give it."""
        method, path = route.split()
        lines = [(name.replace("_", "-"), value) for name, value in headers.items()]
        request = Request(method, path, query, [("Host", "api.example.com"), *lines], body, "192.0.2.1", "HTTP/1.1")
        return to_response(self.handlers[route](to_event(request, route, {}, "id", datetime.now(UTC)), None))

    def authorized(self, route: str, query: str = "", body: bytes = b"", **headers: str) -> Any:
        """The same with the key."""
        return self.call(route, query, body, X_API_Key=self.key, **headers)


@pytest.fixture
def gateway(handlers: dict[str, Callable[[Any, Any], Any]], dynamodb: DynamoDBClient) -> Gateway:
    """The handlers over empty tables, and a key."""
    return Gateway(handlers)


def test_a_log_goes_through_all_three_functions(gateway: Gateway) -> None:
    """Signed up, tracked, seen: text and compressed bodies, a query with a plus, a page with its link."""
    one = gateway.authorized("POST /track", body=json.dumps(log(endpoint="/ü")).encode(), Content_Type=JSON)
    assert (one.status, json.loads(one.body)) == (200, ACCEPTED)
    assert ("content-type", JSON) in one.headers
    packed = gzip.compress(json.dumps(batch(log(status_code=500))).encode())
    many = gateway.authorized("POST /track/batch", body=packed, Content_Type=JSON, Content_Encoding="gzip")
    assert (many.status, json.loads(many.body)) == (200, ACCEPTED)
    board = gateway.authorized("GET /dashboard", "start_date=2025-11-24T14:00:00+02:00&end_date=2025-11-24")
    assert board.status == 200
    assert json.loads(board.body)["status_codes"] == {"200": 1, "500": 1}
    page = gateway.authorized("GET /raw_logs", "limit=1&endpoint=%C3%BC")
    (shown,) = json.loads(page.body)
    assert shown == row(endpoint="/ü") | {"id": shown["id"]}
    page = gateway.authorized("GET /raw_logs", "limit=1")
    (shown,) = json.loads(page.body)
    assert dict(page.headers)["link"] == f'</raw_logs?limit=1&cursor={shown["id"]}>; rel="next"'


def test_every_route_of_the_template_is_answered_by_its_function(gateway: Gateway) -> None:
    """Each reaches a route of the function that the template names for it, and none fails."""
    answers = {route: gateway.authorized(route) for route in gateway.handlers}
    refused = {"POST /track": 422, "POST /track/batch": 422, "GET /assets/{name}": 404}  # no body, no such file
    made = {"POST /generate_key": 201, "POST /rotate_key": 201}
    expected = {route: (refused | made).get(route.replace("HEAD", "GET"), 200) for route in answers}
    assert {route: answer.status for route, answer in answers.items()} == expected
    assert json.loads(answers["GET /assets/{name}"].body) == {"detail": "There is no such file"}


def test_bytes_that_are_no_text_come_as_base64(gateway: Gateway) -> None:
    """And are refused like any other malformed body."""
    answer = gateway.authorized("POST /track", body=b"\xff\xfe\x00", Content_Type="application/octet-stream")
    assert (answer.status, json.loads(answer.body)["detail"]) == (422, "The log is not valid")


def test_an_answer_has_the_form_of_payload_2(gateway: Gateway) -> None:
    """Status, headers in lower case, a text body; the errors of the gateway's callers come in the same form."""
    request = Request("GET", "/dashboard", "", [], b"", "192.0.2.1", "HTTP/1.1")
    event = to_event(request, "GET /dashboard", {}, "id", datetime.now(UTC))
    answer = gateway.handlers["GET /dashboard"](event, None)
    assert answer == {
        "statusCode": 401,
        "headers": {
            "content-type": JSON,
            "content-length": str(len(answer["body"])),
            "www-authenticate": "ApiKey",
            "cache-control": "no-store",
        },
        "body": '{"detail":"Missing or invalid API key: send it in the X-API-Key header"}',
        "isBase64Encoded": False,
    }


def test_one_handler_serves_many_threads(gateway: Gateway, dynamodb: DynamoDBClient) -> None:
    """Forty logs by eight threads are forty logs, and strangers in between are refused."""

    def one(number: int) -> tuple[int, Any]:
        call = gateway.authorized if number % 5 else gateway.call
        answer = call("POST /track", body=json.dumps(log()).encode(), Content_Type=JSON)
        return answer.status, json.loads(answer.body)

    with ThreadPoolExecutor(8) as threads:
        answers = list(threads.map(one, range(50)))
    assert answers == [(200, ACCEPTED) if number % 5 else (401, UNAUTHORIZED) for number in range(50)]
    assert count(dynamodb) == 40


def test_a_handler_works_where_asyncio_was_used_before(gateway: Gateway) -> None:
    """`asyncio.run` leaves its thread without an event loop; the next event is served all the same."""
    asyncio.run(asyncio.sleep(0))
    assert gateway.authorized("GET /health").status == 200


def test_a_failing_function_shows_nothing_of_its_inside(gateway: Gateway, dynamodb: DynamoDBClient) -> None:
    """Without its table a function answers 500 as JSON, and serves again when the table is back."""
    dynamodb.delete_table(TableName=STACK.tables[0].name)
    answer = gateway.authorized("POST /track", body=json.dumps(log()).encode(), Content_Type=JSON)
    assert (answer.status, json.loads(answer.body)) == (500, {"detail": "Internal Server Error"})
    dynamodb.create_table(**STACK.tables[0].create)
    answer = gateway.authorized("POST /track", body=json.dumps(log()).encode(), Content_Type=JSON)
    assert (answer.status, json.loads(answer.body)) == (200, ACCEPTED)


@pytest.mark.parametrize("name", ["ingest", "dashboard", "keys"])
def test_loading_a_function_does_nothing_but_on_lambda(name: str, monkeypatch: pytest.MonkeyPatch) -> None:
    """Elsewhere the first event is what needs the tables, on Lambda the init phase; either names what is missing."""
    monkeypatch.delenv("AWS_LAMBDA_FUNCTION_NAME", raising=False)
    monkeypatch.delenv("LOGS_TABLE", raising=False)
    handler = load(name).handler
    with pytest.raises(MissingSetting, match="LOGS_TABLE"):
        handler({}, None)
    monkeypatch.setenv("AWS_LAMBDA_FUNCTION_NAME", name)
    with pytest.raises(MissingSetting, match="LOGS_TABLE"):
        load(name)
