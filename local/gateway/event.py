"""An HTTP request as the event of payload format 2.0, and a handler's answer as an HTTP response.

The shapes are AWS's: "Create AWS Lambda proxy integrations for HTTP APIs" in the API Gateway developer guide. Where
that page is silent, what is done here follows reports of live captures: paths arrive decoded, query strings do not, and
a body counts as text only for the media types of TEXT_TYPES.
"""

from __future__ import annotations

import base64
import binascii
import json
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Any
from urllib.parse import parse_qsl, unquote

TEXT_TYPES = ("application/json", "application/javascript", "application/xml")  # and text/*; all else comes as base64
API_ID = "local"
ACCOUNT_ID = "123456789012"
JSON_HEADER = ("content-type", "application/json")


class InvalidResponseError(Exception):
    """A handler's answer is not one that API Gateway understands; it answers 500 then."""


@dataclass(frozen=True)
class Request:
    """An HTTP request as received: `path` still percent-encoded, header names in any case, one pair per header line."""

    method: str
    path: str
    query: str
    headers: list[tuple[str, str]]
    body: bytes
    source_ip: str
    protocol: str
    scheme: str = "http"
    port: int = 80

    @property
    def decoded_path(self) -> str:
        """The path that routes are matched with and that events carry; HTTP APIs cut it at an encoded `?`."""
        return unquote(self.path).split("?")[0]


@dataclass(frozen=True)
class Response:
    """An HTTP response; header names are lower case, `set-cookie` may come several times."""

    status: int
    headers: list[tuple[str, str]]
    body: bytes


def gateway_message(status: int, message: str) -> Response:
    """An answer of the gateway itself, such as 404 {"message":"Not Found"}."""
    return Response(status, [JSON_HEADER], json.dumps({"message": message}, separators=(",", ":")).encode())


def to_event(
    request: Request, route_key: str, parameters: dict[str, str], request_id: str, now: datetime
) -> dict[str, Any]:
    """The event of payload format 2.0; `now` is an aware datetime. Absent parts are left out, as AWS does."""
    headers = _combined(request)
    cookies = [cookie.strip() for cookie in headers.pop("cookie", "").split(";") if cookie.strip()]
    query: dict[str, str] = {}
    for name, value in parse_qsl(request.query, keep_blank_values=True):
        query[name] = f"{query[name]},{value}" if name in query else value
    body, is_base64 = _body(request.body, headers)
    host = headers.get("host", "")
    event: dict[str, Any] = {
        "version": "2.0",
        "routeKey": route_key,
        "rawPath": request.decoded_path,
        "rawQueryString": request.query,
        "headers": headers,
        "requestContext": {
            "accountId": ACCOUNT_ID,
            "apiId": API_ID,
            "domainName": host,
            "domainPrefix": host.split(".")[0],
            "http": {
                "method": request.method,
                "path": request.decoded_path,
                "protocol": request.protocol,
                "sourceIp": request.source_ip,
                "userAgent": headers.get("user-agent", ""),
            },
            "requestId": request_id,
            "routeKey": route_key,
            "stage": "$default",
            "time": now.astimezone(UTC).strftime("%d/%b/%Y:%H:%M:%S +0000"),
            "timeEpoch": int(now.timestamp() * 1000),
        },
        "isBase64Encoded": is_base64,
    }
    optional = {"cookies": cookies, "queryStringParameters": query, "pathParameters": parameters, "body": body}
    return event | {name: value for name, value in optional.items() if value}


def _combined(request: Request) -> dict[str, str]:
    """Headers by lower-case name, several of one name joined by commas, with those that the gateway adds."""
    headers: dict[str, str] = {}
    for name, value in request.headers:
        key, separator = name.lower(), "; " if name.lower() == "cookie" else ","
        headers[key] = f"{headers[key]}{separator}{value}" if key in headers else value
    forwarded = headers.get("x-forwarded-for")
    headers["x-forwarded-for"] = f"{forwarded}, {request.source_ip}" if forwarded else request.source_ip
    return headers | {"x-forwarded-port": str(request.port), "x-forwarded-proto": request.scheme}


def _body(body: bytes, headers: dict[str, str]) -> tuple[str, bool]:
    media_type = headers.get("content-type", "").partition(";")[0].strip().lower()
    is_text = media_type.startswith("text/") or media_type in TEXT_TYPES
    if not body:
        return "", False
    if is_text and "content-encoding" not in headers:
        try:
            return body.decode(), False
        except UnicodeDecodeError:
            pass  # not text whatever its type says: as base64, below
    return base64.b64encode(body).decode(), True


def to_response(result: Any) -> Response:
    """A handler's result as a response. Raises InvalidResponseError when API Gateway would not understand it.

    A result without `statusCode` is the body itself, as JSON, with status 200: the inferred answer of format 2.0.
    """
    if not isinstance(result, dict) or "statusCode" not in result:
        return Response(200, [JSON_HEADER], json.dumps(result, separators=(",", ":")).encode())
    try:
        status = int(result["statusCode"])
        text = result.get("body") or ""
        body = base64.b64decode(text, validate=True) if result.get("isBase64Encoded") else text.encode()
        headers = [(str(name).lower(), _header(value)) for name, value in (result.get("headers") or {}).items()]
        cookies = [("set-cookie", str(cookie)) for cookie in result.get("cookies") or []]
    except (AttributeError, TypeError, ValueError, binascii.Error) as error:
        raise InvalidResponseError(f"not an answer of payload format 2.0: {error}") from error
    if not 100 <= status <= 599:
        raise InvalidResponseError(f"statusCode {status} is out of range")
    return Response(status, headers + cookies, body)


def _header(value: Any) -> str:
    return str(value).lower() if isinstance(value, bool) else str(value)
