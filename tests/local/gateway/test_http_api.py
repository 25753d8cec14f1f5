"""The gateway, called as uvicorn calls it."""

from __future__ import annotations

import threading
from typing import TYPE_CHECKING, Any

import pytest
from starlette.testclient import TestClient

from local.gateway.http_api import HEADER_LIMIT, INVOKE_LIMIT, REQUEST_LIMIT, Context, Gateway
from local.template import Cors, Function, Route

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

ROUTES = [Route(method, "/do/{what}", "f") for method in ("POST", "GET", "HEAD")]
Client = TestClient


@pytest.fixture
def client() -> Iterator[Callable[..., Client]]:
    """Makes a client of a gateway with one function."""
    gateways = []

    def make(
        handler: Callable[[dict[str, Any], Context], Any],
        timeout: float = 25.0,
        limit: float = 30.0,
        cors: Cors | None = None,
    ) -> Client:
        function = Function("f", "m", "handler", {}, timeout, 128)
        gateways.append(Gateway(ROUTES, {"f": function}, {"f": handler}, cors, integration_timeout=limit))
        return TestClient(gateways[-1], base_url="http://api.test")

    yield make
    for gateway in gateways:
        gateway.close()


def test_request_and_answer(client: Callable[..., Client]) -> None:
    """An HTTP request reaches the handler as an event, and its result comes back as the response."""
    seen: list[Any] = []

    def handler(event: dict[str, Any], context: Context) -> Any:
        seen.append((event, context, context.get_remaining_time_in_millis()))
        return {"statusCode": 201, "headers": {"X-One": "1"}, "cookies": ["a=1", "b=2"], "body": "made"}

    answer = client(handler).post("/do/it%20now?x=1", content=b"{}", headers={"content-type": "application/json"})
    assert (answer.status_code, answer.text, answer.headers["x-one"]) == (201, "made", "1")
    assert answer.headers.get_list("set-cookie") == ["a=1", "b=2"]
    ((event, context, remaining),) = seen
    assert event["routeKey"] == "POST /do/{what}"
    assert event["pathParameters"] == {"what": "it now"}
    assert event["queryStringParameters"] == {"x": "1"}
    assert (event["body"], event["isBase64Encoded"]) == ("{}", False)
    assert event["requestContext"]["requestId"] == answer.headers["apigw-requestid"]
    assert (context.function_name, context.memory_limit_in_mb) == ("f", 128)
    assert 0 < remaining <= 25_000


@pytest.mark.parametrize(
    "result", [{"body": "four"}, {"body": "", "headers": {"Content-Length": "4"}}], ids=["whole", "without its body"]
)
def test_head_reaches_the_handler_and_has_no_body(client: Callable[..., Client], result: dict[str, Any]) -> None:
    """A HEAD route calls the handler with its own method; the answer has the length of the body, and no body."""
    seen: list[str] = []

    def handler(event: dict[str, Any], context: Context) -> Any:
        seen.append(event["requestContext"]["http"]["method"])
        return {"statusCode": 200} | result

    answer = client(handler).head("/do/it")
    assert (answer.status_code, answer.content, answer.headers["content-length"]) == (200, b"", "4")
    assert seen == ["HEAD"]


def test_pages_of_an_allowed_origin_may_call(client: Callable[..., Client]) -> None:
    """The gateway answers preflights itself and adds its headers for the allowed origin; handlers' own go."""
    cors = Cors(("https://app.test",), ("GET", "POST"), ("x-api-key",), ("link",), "600")
    api = client(lambda *_: {"statusCode": 200, "headers": {"Access-Control-Allow-Origin": "*"}}, cors=cors)

    def asked(method: str, path: str, origin: str) -> tuple[int, dict[str, str]]:
        headers = {"origin": origin, "access-control-request-method": "GET"}
        answer = api.request(method, path, headers=headers)
        shown = {name: value for name, value in answer.headers.items() if name.startswith("access-control-")}
        return answer.status_code, shown

    allowed = {"access-control-allow-origin": "https://app.test", "access-control-expose-headers": "link"}
    assert asked("GET", "/do/it", "https://app.test") == (200, allowed)
    assert asked("GET", "/nowhere", "https://app.test") == (404, allowed)
    assert asked("GET", "/do/it", "https://evil.test") == (200, {})
    preflight = {
        "access-control-allow-methods": "GET,POST",
        "access-control-allow-headers": "x-api-key",
        "access-control-max-age": "600",
    }
    assert asked("OPTIONS", "/do/it", "https://app.test") == (204, allowed | preflight)
    assert asked("OPTIONS", "/do/it", "https://evil.test") == (204, {})
    assert api.options("/do/it").status_code == 404  # no preflight, and no such route


def test_unknown_route_is_404(client: Callable[..., Client]) -> None:
    """Paths and methods without a route are answered by the gateway itself."""
    api = client(lambda *_: {})
    for answer in (api.get("/nowhere"), api.delete("/do/it")):
        assert (answer.status_code, answer.json()) == (404, {"message": "Not Found"})


@pytest.mark.parametrize("result", [ZeroDivisionError("secret"), {"statusCode": "?"}, {"body": b"bytes"}, {1, 2}])
def test_failing_handler_is_a_plain_500(
    client: Callable[..., Client], result: Any, capsys: pytest.CaptureFixture[str]
) -> None:
    """A handler that raises or answers nonsense is a 500 that tells the caller nothing, and a traceback in the log."""

    def handler(event: dict[str, Any], context: Context) -> Any:
        if isinstance(result, Exception):
            raise result
        return result

    answer = client(handler).get("/do/it")
    assert (answer.status_code, answer.json()) == (500, {"message": "Internal Server Error"})
    assert "f failed\nTraceback" in capsys.readouterr().err


def test_time_limits(client: Callable[..., Client], capsys: pytest.CaptureFixture[str]) -> None:
    """A function beyond its own timeout is a 500, one beyond the gateway's is a 503, and neither is waited for."""
    both_answered = threading.Event()
    waited: list[bool] = []

    def handler(event: dict[str, Any], context: Context) -> Any:
        waited.append(both_answered.wait(60))
        return {}

    own = client(handler, timeout=0.05).get("/do/it")
    gateways = client(handler, limit=0.05).get("/do/it")
    assert (own.status_code, own.json()) == (500, {"message": "Internal Server Error"})
    assert (gateways.status_code, gateways.json()) == (503, {"message": "Service Unavailable"})
    assert waited == []
    assert capsys.readouterr().err.count("ran longer than 0.05 s") == 2
    both_answered.set()


def test_size_limits(client: Callable[..., Client]) -> None:
    """Bodies over 10 MB and events over 6 MB are 413, headers over 10,240 bytes 431, answers over 6 MB 500."""
    calls: list[int] = []

    def handler(event: dict[str, Any], context: Context) -> Any:
        calls.append(len(event["body"]))
        return {"statusCode": 200, "body": "x" * int(event["headers"].get("x-answer", 0))}

    api = client(handler)
    text = {"content-type": "text/plain"}
    assert api.post("/do/it", content=b"x" * (INVOKE_LIMIT - 2000), headers=text).status_code == 200
    for size in (INVOKE_LIMIT, REQUEST_LIMIT + 1):
        answer = api.post("/do/it", content=b"x" * size, headers=text)
        assert (answer.status_code, answer.json()) == (413, {"message": "Request Entity Too Large"})
    binary = b"x" * (INVOKE_LIMIT * 3 // 4)  # as base64 it is a third larger
    assert api.post("/do/it", content=binary).status_code == 413
    assert api.get("/do/it", headers={"x-big": "x" * HEADER_LIMIT}).status_code == 431
    answer = api.post("/do/it", content=b"x", headers=text | {"x-answer": str(INVOKE_LIMIT)})
    assert answer.status_code == 500
    assert calls == [INVOKE_LIMIT - 2000, 1]
