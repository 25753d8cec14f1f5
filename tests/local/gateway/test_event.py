"""Requests as events of payload format 2.0, and answers back."""

from __future__ import annotations

import base64
from datetime import UTC, datetime
from typing import Any

import pytest

from local.gateway.event import InvalidResponseError, Request, Response, to_event, to_response

NOW = datetime(2020, 3, 12, 19, 3, 58, 390_000, tzinfo=UTC)


def request(**changes: Any) -> Request:
    """The request behind the example event of AWS's documentation, with changes."""
    headers = [
        ("Host", "id.execute-api.us-east-1.amazonaws.com"),
        ("User-Agent", "agent"),
        ("Content-Type", "text/plain"),
        ("Header1", "value1"),
        ("Header2", "value1"),
        ("header2", "value2"),
        ("Cookie", "cookie1; cookie2"),
    ]
    values: dict[str, Any] = {
        "method": "POST",
        "path": "/my/path",
        "query": "parameter1=value1&parameter1=value2&parameter2=value",
        "headers": headers,
        "body": b"Hello from Lambda",
        "source_ip": "192.0.2.1",
        "protocol": "HTTP/1.1",
        "scheme": "https",
        "port": 443,
    }
    return Request(**(values | changes))


def event(**changes: Any) -> dict[str, Any]:
    """The event of a changed request."""
    return to_event(request(**changes), "$default", {}, "id", NOW)


def test_documented_example() -> None:
    """A request becomes the event of the example in AWS's developer guide, with the headers the gateway adds."""
    assert to_event(request(), "$default", {"parameter1": "value1"}, "id", NOW) == {
        "version": "2.0",
        "routeKey": "$default",
        "rawPath": "/my/path",
        "rawQueryString": "parameter1=value1&parameter1=value2&parameter2=value",
        "cookies": ["cookie1", "cookie2"],
        "headers": {
            "host": "id.execute-api.us-east-1.amazonaws.com",
            "user-agent": "agent",
            "content-type": "text/plain",
            "header1": "value1",
            "header2": "value1,value2",
            "x-forwarded-for": "192.0.2.1",
            "x-forwarded-port": "443",
            "x-forwarded-proto": "https",
        },
        "queryStringParameters": {"parameter1": "value1,value2", "parameter2": "value"},
        "requestContext": {
            "accountId": "123456789012",
            "apiId": "local",
            "domainName": "id.execute-api.us-east-1.amazonaws.com",
            "domainPrefix": "id",
            "http": {
                "method": "POST",
                "path": "/my/path",
                "protocol": "HTTP/1.1",
                "sourceIp": "192.0.2.1",
                "userAgent": "agent",
            },
            "requestId": "id",
            "routeKey": "$default",
            "stage": "$default",
            "time": "12/Mar/2020:19:03:58 +0000",
            "timeEpoch": 1584039838390,
        },
        "body": "Hello from Lambda",
        "pathParameters": {"parameter1": "value1"},
        "isBase64Encoded": False,
    }


def test_absent_parts_are_left_out() -> None:
    """Without query, cookies, parameters or body those fields are not there; rawQueryString is empty."""
    bare = event(query="", headers=[("host", "x")], body=b"")
    assert bare.keys() & {"cookies", "queryStringParameters", "pathParameters", "body"} == set()
    assert (bare["rawQueryString"], bare["isBase64Encoded"]) == ("", False)


@pytest.mark.parametrize(
    ("headers", "body", "is_base64"),
    [
        ([("content-type", "application/json; charset=utf-8")], b"{}", False),
        ([("content-type", "Text/CSV")], "ä".encode(), False),
        ([("content-type", "application/x-www-form-urlencoded")], b"a=b", True),
        ([("content-type", "application/x-ndjson")], b"{}", True),
        ([], b"{}", True),
        ([("content-type", "application/json"), ("content-encoding", "gzip")], b"\x1f\x8b", True),
        ([("content-type", "application/json")], b"\xff", True),
    ],
)
def test_only_text_types_come_as_text(headers: list[tuple[str, str]], body: bytes, is_base64: bool) -> None:
    """Bodies of text media types come as they are, all others, encoded ones and what is no UTF-8 as base64."""
    made = event(headers=headers, body=body)
    assert made["isBase64Encoded"] is is_base64
    assert made["body"] == (base64.b64encode(body).decode() if is_base64 else body.decode())


def test_path_is_decoded_and_query_is_not() -> None:
    """HTTP APIs hand the path on decoded, cut at an encoded question mark, and the query string as it came."""
    made = event(path="/a%20b/%C3%BC%3Fx", query="q=a%20b&q=c&empty=")
    assert (made["rawPath"], made["requestContext"]["http"]["path"]) == ("/a b/ü", "/a b/ü")
    assert made["rawQueryString"] == "q=a%20b&q=c&empty="
    assert made["queryStringParameters"] == {"q": "a b,c", "empty": ""}


def test_forwarded_addresses_are_kept() -> None:
    """The peer's address is added after those that a client claims; sourceIp is the peer's."""
    made = event(headers=[("x-forwarded-for", "10.0.0.1")])
    assert made["headers"]["x-forwarded-for"] == "10.0.0.1, 192.0.2.1"
    assert made["requestContext"]["http"]["sourceIp"] == "192.0.2.1"


@pytest.mark.parametrize(
    ("result", "response"),
    [
        ({"statusCode": 204}, Response(204, [], b"")),
        ({"statusCode": "201", "body": "ü"}, Response(201, [], "ü".encode())),
        (
            {"statusCode": 200, "headers": {"X-A": 1, "X-B": True}, "cookies": ["a=1; Secure", "b=2"], "body": "x"},
            Response(200, [("x-a", "1"), ("x-b", "true"), ("set-cookie", "a=1; Secure"), ("set-cookie", "b=2")], b"x"),
        ),
        ({"statusCode": 200, "body": "/w==", "isBase64Encoded": True}, Response(200, [], b"\xff")),
        ({"hello": 1}, Response(200, [("content-type", "application/json")], b'{"hello":1}')),
        ("hello", Response(200, [("content-type", "application/json")], b'"hello"')),
    ],
)
def test_answers(result: Any, response: Response) -> None:
    """Results of format 2.0 become responses; one without statusCode is the body itself."""
    assert to_response(result) == response


@pytest.mark.parametrize(
    "result",
    [
        {"statusCode": "ok"},
        {"statusCode": None},
        {"statusCode": 99},
        {"statusCode": 200, "body": {"not": "text"}},
        {"statusCode": 200, "body": "no base64", "isBase64Encoded": True},
        {"statusCode": 200, "headers": ["x"]},
    ],
)
def test_malformed_answers_are_refused(result: Any) -> None:
    """A result that API Gateway would not understand is an error here too."""
    with pytest.raises(InvalidResponseError):
        to_response(result)
