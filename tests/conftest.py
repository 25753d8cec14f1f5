"""Fixtures that several folders of tests use: tables on moto, the service over them, a clock that stands still."""

from __future__ import annotations

import os
from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import pytest
from fastapi import FastAPI
from hypothesis import settings
from moto import mock_aws
from starlette.testclient import TestClient

from analytics.settings import Settings
from analytics.store import KeyTable, LogTable
from analytics.store.client import connect
from analytics.web import Service
from functions.dashboard.app import create_app as create_dashboard
from functions.ingest.app import create_app as create_ingest
from functions.keys.app import create_app as create_keys
from local.database.dynoxide import NotHere, dynoxide
from tests.support.engines import STACK, Engine

if TYPE_CHECKING:
    from mypy_boto3_dynamodb import DynamoDBClient

os.environ.update(AWS_ACCESS_KEY_ID="test", AWS_SECRET_ACCESS_KEY="test", AWS_DEFAULT_REGION="us-east-1")
settings.register_profile("short", deadline=None, max_examples=50)  # a busy machine is no failure; time is for bench/
settings.register_profile("long", settings.get_profile("short"), max_examples=1_000)

SETTINGS = Settings.from_environment(STACK.functions["IngestFunction"].environment)
NOON = 1_763_985_600_000_000  # 2025-11-24T12:00:00Z, in microseconds since 1970


def pytest_addoption(parser: pytest.Parser) -> None:
    """`--long`: searches in full, twenty times as many examples; without it, tests marked `long` are left out."""
    parser.addoption("--long", action="store_true", help="run the tests marked `long` too, and search in full")


def pytest_configure(config: pytest.Config) -> None:
    """Choose how many examples Hypothesis tries."""
    settings.load_profile("long" if config.getoption("long") else "short")


def pytest_xdist_auto_num_workers() -> int:
    """For `-n auto`: one process more than cores, because tests wait for other processes; four at most."""
    return min((os.cpu_count() or 1) + 1, 4)


def pytest_collection_modifyitems(config: pytest.Config, items: list[pytest.Item]) -> None:
    """Leave out what is marked `long`."""
    if not config.getoption("long"):
        left_out = [item for item in items if item.get_closest_marker("long")]
        items[:] = [item for item in items if item not in left_out]
        config.hook.pytest_deselected(items=left_out)


def partly_long(values: Iterable[object]) -> list[Any]:
    """Parameters of a long search: the first runs always, the others with `--long`."""
    first, *others = values
    return [first, *(pytest.param(value, marks=pytest.mark.long) for value in others)]


_client: list[DynamoDBClient] = []


def shared_client() -> DynamoDBClient:
    """One client for all tests: making one takes ten times as long as a test."""
    if not _client:
        with mock_aws():
            _client.append(connect())
    return _client[0]


def create_tables(client: DynamoDBClient) -> None:
    """The two tables, as template.yaml describes them."""
    for table in STACK.tables:
        client.create_table(**table.create)


@pytest.fixture
def dynamodb() -> Iterator[DynamoDBClient]:
    """Empty tables on moto."""
    with mock_aws():
        client = shared_client()
        create_tables(client)
        yield client


@pytest.fixture(scope="session")
def dynoxide_client() -> Iterator[DynamoDBClient]:
    """A client of one dynoxide, as the functions make theirs; skips where it cannot be had."""
    try:
        with dynoxide() as url, pytest.MonkeyPatch.context() as environment:
            environment.setenv("AWS_ENDPOINT_URL_DYNAMODB", url)
            client = connect()
            environment.undo()
            yield client
            client.close()
    except NotHere as reason:
        pytest.skip(str(reason))


@pytest.fixture(params=["moto", "dynoxide"])
def engine(request: pytest.FixtureRequest) -> Iterator[Engine]:
    """Empty tables on each engine at hand."""
    if request.param == "dynoxide":
        yield Engine(request.getfixturevalue("dynoxide_client"))
    else:
        with mock_aws():
            yield Engine(shared_client())


@dataclass
class Clock:
    """A clock that moves when told; microseconds since 1970."""

    at: int = NOON

    def __call__(self) -> int:
        """What time it is."""
        return self.at

    def advance(self, seconds: float) -> None:
        """Let time pass."""
        self.at += round(seconds * 1_000_000)


@pytest.fixture
def clock() -> Clock:
    """Noon."""
    return Clock()


@pytest.fixture
def service(dynamodb: DynamoDBClient, clock: Clock) -> Service:
    """The service over empty tables."""
    return Service(SETTINGS, KeyTable(dynamodb, SETTINGS.keys_table), LogTable(dynamodb, SETTINGS.logs_table), clock)


class Api:
    """The three applications of a service as one, and a key to them: a new one unless one is given."""

    def __init__(self, service: Service, key: str = "") -> None:
        self._service = service
        self._clients: dict[Callable[[Service], FastAPI], TestClient] = {}
        self.key = key or self.request("POST", "/generate_key").json()["api_key"]

    def request(self, method: str, url: str, **options: Any) -> Any:
        """The answer of the application that has this route, without a key."""
        path = url.partition("?")[0]
        create = create_ingest if path.startswith("/track") else create_keys if "key" in path else create_dashboard
        if create not in self._clients:
            self._clients[create] = TestClient(create(self._service), raise_server_exceptions=False)
        return self._clients[create].request(method, url, **options)

    def ask(self, method: str, url: str, **options: Any) -> Any:
        """The answer to a request with the key, or with the one in the headers of the options."""
        headers = {"X-API-Key": self.key} | options.get("headers", {})
        return self.request(method, url, **options | {"headers": headers})

    def get(self, url: str, **options: Any) -> Any:
        """GET with the key."""
        return self.ask("GET", url, **options)

    def post(self, url: str, **options: Any) -> Any:
        """POST with the key."""
        return self.ask("POST", url, **options)


@pytest.fixture
def api(service: Service) -> Api:
    """The HTTP API over empty tables."""
    return Api(service)
