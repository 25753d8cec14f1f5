"""Each function's role allows exactly the calls that its code makes: no fewer, or it fails on AWS; and no more."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import replace
from typing import TYPE_CHECKING, Any

import pytest
import yaml
from moto import mock_aws
from starlette.testclient import TestClient

from analytics.store import KeyTable, LogTable
from analytics.store.client import connect
from analytics.web import Service
from functions.dashboard.app import create_app as create_dashboard
from functions.dashboard.app import fold_on_schedule
from functions.ingest.app import create_app as create_ingest
from functions.keys.app import create_app as create_keys
from local.cloudformation import Loader
from tests.conftest import SETTINGS, Clock, create_tables
from tests.functions.wire import batch, log
from tests.support.engines import ROOT

if TYPE_CHECKING:
    from mypy_boto3_dynamodb import DynamoDBClient

Call = tuple[str, str]  # an action, and the logical id of the table it is on
TABLES = {SETTINGS.logs_table: "LogsTable", SETTINGS.keys_table: "KeysTable"}
IN_TRANSACTION = {
    "Put": "PutItem",
    "Update": "UpdateItem",
    "Delete": "DeleteItem",
    "ConditionCheck": "ConditionCheckItem",
}


def needed(operation: str, parameters: dict[str, Any]) -> set[Call]:
    """What a DynamoDB operation asks permission for. A transaction asks for the action of each of its items."""
    if operation.startswith("Transact"):
        parts = [part for item in parameters["TransactItems"] for part in item.items()]
        return {(IN_TRANSACTION[kind], TABLES[item["TableName"]]) for kind, item in parts}
    tables = parameters.get("RequestItems") or [parameters["TableName"]]
    return {(operation, TABLES[table]) for table in tables}


def allowed(function: str) -> set[Call]:
    """What the template lets a function do with the tables."""
    template: Any = yaml.load((ROOT / "template.yaml").read_text(), Loader=Loader)  # noqa: S506 - a SafeLoader
    found: set[Call] = set()
    for policy in template["Resources"][function]["Properties"]["Policies"]:
        for statement in policy["Statement"]:
            actions = statement["Action"] if isinstance(statement["Action"], list) else [statement["Action"]]
            table = statement["Resource"]["Fn::GetAtt"].removesuffix(".Arn")
            found |= {(action.removeprefix("dynamodb:"), table) for action in actions}
    return found


class Recorded:
    """The service of one function, over a client that keeps a list of its calls."""

    def __init__(self, clock: Clock) -> None:
        self.calls: set[Call] = set()
        self.client: DynamoDBClient = connect()
        self.client.meta.events.register("provide-client-params.dynamodb", self._record)
        settings = replace(SETTINGS, daily_quota=100)  # so few that every call is counted in the table
        keys, logs = KeyTable(self.client, settings.keys_table), LogTable(self.client, settings.logs_table)
        self.service = Service(settings, keys, logs, clock)

    def _record(self, params: dict[str, Any], model: Any, **_: Any) -> None:
        self.calls |= needed(model.name, params)


@pytest.fixture(scope="module")
def recorded() -> Iterator[dict[str, set[Call]]]:
    """The calls of each function, after all that it can be asked was asked."""
    clock = Clock()
    with mock_aws():
        ingest, dashboard, keys = (Recorded(clock) for _ in range(3))
        create_tables(keys.client)
        keys.calls.clear()
        names = {"IngestFunction": ingest, "DashboardFunction": dashboard, "KeysFunction": keys}
        walk(ingest.service, dashboard.service, keys.service, clock)
        yield {name: each.calls for name, each in names.items()}
        for each in names.values():
            each.client.close()


def walk(ingest: Service, dashboard: Service, keys: Service, clock: Clock) -> None:
    """Every route, and every way through it that reaches a table."""
    sign, track, look = (
        TestClient(app) for app in (create_keys(keys), create_ingest(ingest), create_dashboard(dashboard))
    )

    def ask(client: TestClient, method: str, url: str, key: str = "", **options: Any) -> Any:
        answer = client.request(method, url, headers={"X-API-Key": key} if key else {}, **options)
        assert answer.status_code < 300, answer.text
        return answer.json()

    key = ask(sign, "POST", "/generate_key")["api_key"]
    writing = ask(sign, "POST", "/generate_key", key, json={"scope": "write"})
    ask(track, "POST", "/track", key, json=log())
    for _ in range(2):
        ask(track, "POST", "/track/batch", writing["api_key"], json=batch(log(), log(status_code=500)))
    clock.advance(3_600)
    ask(look, "GET", "/dashboard", key)
    clock.advance(-1_800)  # the next batch comes behind the watermark
    ask(track, "POST", "/track", key, json=log())
    clock.advance(1_800)
    for _ in range(3):
        clock.advance(86_400)
        ask(track, "POST", "/track", key, json=log())
        ask(look, "GET", "/dashboard", key)
        ask(look, "GET", "/raw_logs", key)
    clock.advance(86_400)
    ask(track, "POST", "/track", key, json=log())
    clock.advance(3_600)
    fold_on_schedule(dashboard)
    assert ask(sign, "GET", "/keys", key)
    ask(sign, "POST", "/rotate_key", key, json={"key_id": writing["key_id"], "grace_seconds": 0})
    new = ask(sign, "POST", "/rotate_key", key, json={"grace_seconds": 600})["api_key"]
    ask(sign, "DELETE", "/key", key)
    for _ in range(20):
        clock.advance(100)
        if ask(sign, "DELETE", "/key?data=true", new)["complete"]:
            return
    raise AssertionError("the data was not erased")


@pytest.mark.parametrize("function", ["IngestFunction", "DashboardFunction", "KeysFunction"])
def test_a_role_allows_what_its_function_does_and_nothing_else(recorded: dict[str, set[Call]], function: str) -> None:
    """The calls that were made are the calls that are allowed, table by table."""
    assert recorded[function] == allowed(function)
