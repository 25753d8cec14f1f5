"""The three functions as the gateway calls them, and what they ask of DynamoDB."""

from __future__ import annotations

from analytics.runtime import lambda_handler

import json
from collections import Counter
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import TYPE_CHECKING, Any

from analytics.web import Service
from functions.dashboard.app import create_app as create_dashboard
from functions.ingest.app import create_app as create_ingest
from functions.keys.app import create_app as create_keys
from local.gateway.event import Request, Response, to_event, to_response
from local.gateway.routes import Routes
from tests.functions.wire import batch, log
from tests.support.engines import STACK

if TYPE_CHECKING:
    from mypy_boto3_dynamodb import DynamoDBClient

BODIES: dict[str, Any] = {"/track": log(), "/track/batch": batch(log())}
APPLICATIONS = {"IngestFunction": create_ingest, "DashboardFunction": create_dashboard, "KeysFunction": create_keys}


@dataclass(frozen=True)
class Answer:
    """What the gateway gives back."""

    response: Response

    @property
    def status(self) -> int:
        """The status."""
        return self.response.status

    @property
    def headers(self) -> dict[str, str]:
        """By name in lower case."""
        return dict(self.response.headers)

    def json(self) -> Any:
        """The body."""
        return json.loads(self.response.body)


class Functions:
    """The functions over a service as the gateway calls them: one instance of each."""

    def __init__(self, service: Service) -> None:
        self.routes = Routes(STACK.routes)
        self.handlers = {name: lambda_handler(create, lambda: service) for name, create in APPLICATIONS.items()}

    def call(self, method: str, url: str, headers: dict[str, str], body: Any = None, *, base: str = "") -> Answer:
        """The answer to a request, with a body of bytes or JSON, or none; a domain may map `base` to the API."""
        path, _, query = url.partition("?")
        match = self.routes.match(method, path) or self.routes.match("GET" if method == "HEAD" else method, path)
        assert match
        content = b"" if body is None else body if isinstance(body, bytes) else json.dumps(body).encode()
        lines = [("Host", "api.example.com"), ("Content-Type", "application/json"), *headers.items()]
        request = Request(method, f"{base}{path}", query, lines, content, "192.0.2.1", "HTTP/1.1")
        event = to_event(request, f"{method} {match.route.path}", match.parameters, "id", datetime.now(UTC))
        return Answer(to_response(self.handlers[match.route.function](event, None)))

    def ask(self, method: str, url: str, headers: dict[str, str]) -> Answer:
        """The answer to a request with these headers and a body that the route takes."""
        return self.call(method, url, headers, BODIES.get(url))


@contextmanager
def operations(client: DynamoDBClient) -> Iterator[Counter[str]]:
    """The operations asked of DynamoDB meanwhile, by name."""
    made: Counter[str] = Counter()

    def note(model: Any, **_: Any) -> None:
        made[model.name] += 1

    client.meta.events.register("before-call.dynamodb", note)
    yield made
    client.meta.events.unregister("before-call.dynamodb", note)
