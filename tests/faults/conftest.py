"""The service behind the local gateway, with a proxy before its database that injects faults."""

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
from analytics.summary import schedule
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
from tests.conftest import SETTINGS, partly_long
from tests.support.engines import STACK

if TYPE_CHECKING:
    from mypy_boto3_dynamodb import DynamoDBClient

    from local.gateway.http_api import Handler

READ_S = 0.25  # s that the service waits for the database here: a storm of time-outs is then a short one


@dataclass
class StormyService:
    """A service behind the local gateway, with a storm between it and its database.

    Its clock is `ahead` of the machine's, in seconds.
    """

    storm: Storm
    database: DynamoDBClient
    """A client of the database that does not pass through the storm."""
    url: str = ""
    ahead: float = 0.0
    callers: list[Caller | Shop] = field(default_factory=list)
    service: Service | None = None

    def now(self) -> int:
        """Microseconds since 1970."""
        return time.time_ns() // 1000 + round(self.ahead * 1e6)

    def meet(self, *coming: Met, operation: str = "") -> None:
        """Let the next database requests, of one operation if it is named, meet these faults; later ones pass."""
        self.storm.plan = InTurn(*coming, operation=operation)

    def caller(self, key: str | None = None) -> Caller:
        """A caller with this key, or a new one, who keeps an account of what was sent and answered."""
        key = key or str(self.ask("POST", "/generate_key").json()["api_key"])
        caller = Caller(self.url, key, Account())
        self.callers.append(caller)
        return caller

    def ask(self, method: str, path: str, key: str | None = None, **options: Any) -> httpx.Response:
        """The answer to one request, whatever its status."""
        headers = {"X-API-Key": key} if key else {}
        return httpx.request(method, self.url + path, headers=headers, trust_env=False, timeout=30, **options)

    def items(self, table: str) -> list[dict[str, Any]]:
        """All items of a table, read past the storm."""
        pages = self.database.get_paginator("scan").paginate(TableName=table, ConsistentRead=True)
        return [item for page in pages for item in page["Items"]]


@pytest.fixture(params=partly_long(["moto", "dynoxide"]))
def stormy(request: pytest.FixtureRequest, monkeypatch: pytest.MonkeyPatch) -> Iterator[StormyService]:
    """The three functions behind the gateway, over each database; no faults until a test asks for them.

    Each run of the schedule folds, even when the last one was a moment ago.
    """
    monkeypatch.setattr(schedule, "DUE_US", 0)
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
        made = StormyService(storm, clients[0])
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
