"""The service over a database that a storm is before, served by the local gateway to callers outside."""

from __future__ import annotations

from analytics.runtime import lambda_handler

import threading
import time
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

import httpx
import pytest
import uvicorn

from analytics.store import KeyTable, LogTable
from analytics.store.client import connect
from analytics.summary import fold
from analytics.web import Service
from bench.load import Account, Caller, Shop
from bench.storm import InTurn, Met, Storm
from functions.dashboard.app import create_app as create_dashboard
from functions.dashboard.app import fold_on_schedule
from functions.ingest.app import create_app as create_ingest
from functions.keys.app import create_app as create_keys
from local.database.dynamodb import DatabaseServer
from local.database.dynoxide import NotHere, dynoxide
from local.database.tables import create_missing
from local.gateway.http_api import Gateway
from local.ports import listen, url
from tests.conftest import SETTINGS
from tests.support.engines import STACK

if TYPE_CHECKING:
    from mypy_boto3_dynamodb import DynamoDBClient

    from local.gateway.http_api import Handler

READ_S = 0.25  # s that an answer of the database is waited for here, so that a storm of time-outs is a short one


@dataclass
class World:
    """A service under a storm. The clock of the service is `ahead` of the one on the wall, in seconds."""

    storm: Storm
    database: DynamoDBClient
    """The database itself, without the storm."""
    url: str = ""
    ahead: float = 0.0
    callers: list[Caller | Shop] = field(default_factory=list)
    service: Service | None = None

    def now(self) -> int:
        """Microseconds since 1970."""
        return time.time_ns() // 1000 + round(self.ahead * 1e6)

    def meet(self, *coming: Met, operation: str = "") -> None:
        """The next requests, of an operation if one is named, meet these; then all is calm."""
        self.storm.plan = InTurn(*coming, operation=operation)

    def caller(self, key: str | None = None) -> Caller:
        """Somebody with this key, or a new one, and an account of what they do."""
        key = key or str(self.ask("POST", "/generate_key").json()["api_key"])
        caller = Caller(self.url, key, Account())
        self.callers.append(caller)
        return caller

    def ask(self, method: str, path: str, key: str | None = None, **options: Any) -> httpx.Response:
        """One answer, whatever it is."""
        headers = {"X-API-Key": key} if key else {}
        return httpx.request(method, self.url + path, headers=headers, trust_env=False, timeout=30, **options)

    def items(self, table: str) -> list[dict[str, Any]]:
        """All items of a table."""
        pages = self.database.get_paginator("scan").paginate(TableName=table, ConsistentRead=True)
        return [item for page in pages for item in page["Items"]]


@pytest.fixture(params=["moto", "dynoxide"])
def world(request: pytest.FixtureRequest, monkeypatch: pytest.MonkeyPatch) -> Iterator[World]:
    """The three functions behind the gateway, over each database at hand; calm until told otherwise.

    Each run of the schedule folds, however short ago another did.
    """
    monkeypatch.setattr(fold, "DUE_US", 0)
    with ExitStack() as running:
        if request.param == "moto":
            upstream = running.enter_context(DatabaseServer()).url
        else:
            try:
                upstream = running.enter_context(dynoxide())
            except NotHere as reason:
                pytest.skip(str(reason))
        create_missing(STACK.tables, upstream)
        storm = running.enter_context(Storm(upstream, InTurn()))
        clients = []
        for address in (upstream, storm.url):
            monkeypatch.setenv("AWS_ENDPOINT_URL_DYNAMODB", address)
            clients.append(connect(read_timeout=READ_S if address == storm.url else 10))
            running.callback(clients[-1].close)
        made = World(storm, clients[0])
        stormy = clients[1]
        made.service = Service(
            SETTINGS, KeyTable(stormy, SETTINGS.keys_table), LogTable(stormy, SETTINGS.logs_table), made.now
        )
        made.url = running.enter_context(_served(made.service))
        yield made
        for caller in made.callers:
            caller.close()


@contextmanager
def _served(service: Service) -> Iterator[str]:
    """The gateway on loopback; yields its URL."""
    handlers: dict[str, Handler] = {
        "IngestFunction": lambda_handler(create_ingest, lambda: service),
        "DashboardFunction": lambda_handler(create_dashboard, lambda: service, fold_on_schedule),
        "KeysFunction": lambda_handler(create_keys, lambda: service),
    }
    gateway = Gateway(STACK.routes, STACK.functions, handlers)
    config = uvicorn.Config(gateway, log_level="warning", lifespan="off", ws="none", timeout_graceful_shutdown=5)
    server = uvicorn.Server(config)
    with listen("127.0.0.1", 0) as listener:
        thread = threading.Thread(target=server.run, kwargs={"sockets": [listener]}, daemon=True)
        thread.start()
        while not server.started:
            time.sleep(0.005)
        yield url(listener)
        server.should_exit = True
        thread.join(10)
        gateway.close()
