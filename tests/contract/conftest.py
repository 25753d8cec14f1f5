"""One API at a time, wherever it runs; each test has a key of its own, and so data of its own."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import pytest

from tests.contract import targets

if TYPE_CHECKING:
    from tests.contract.targets import Client

TARGETS = [
    pytest.param(targets.applications, id="applications"),
    pytest.param(targets.gateway, id="gateway"),
    pytest.param(targets.emulator, id="emulator", marks=pytest.mark.container),
    pytest.param(targets.containers, id="containers", marks=pytest.mark.container),
]


@dataclass(frozen=True)
class Api:
    """The HTTP API of one target, and a key to it."""

    target: str
    client: Client
    key: str

    def call(self, method: str, url: str, **options: Any) -> Any:
        """The answer to a request without a key."""
        return self.client.request(method, url, **options)

    def get(self, url: str, **options: Any) -> Any:
        """GET with the key."""
        return self.call("GET", url, **self._with_key(options))

    def post(self, url: str, **options: Any) -> Any:
        """POST with the key."""
        return self.call("POST", url, **self._with_key(options))

    def _with_key(self, options: dict[str, Any]) -> dict[str, Any]:
        return options | {"headers": {"X-API-Key": self.key} | options.get("headers", {})}


@pytest.fixture(scope="session", params=TARGETS)
def target(request: pytest.FixtureRequest) -> Iterator[tuple[str, Client]]:
    """A running target, by its name; skips with the reason where it cannot be had."""
    with request.param() as client:
        yield request.param.__name__, client


@pytest.fixture
def api(target: tuple[str, Client]) -> Api:
    """The API of the target, and a new key."""
    name, client = target
    answer = client.request("POST", "/generate_key")
    assert answer.status_code == 201, answer.text
    return Api(name, client, answer.json()["api_key"])
