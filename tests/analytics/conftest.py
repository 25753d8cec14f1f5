"""The tables on every engine at hand."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import replace
from typing import TYPE_CHECKING
from uuid import uuid4

import pytest
from moto import mock_aws

from analytics.store import KeyTable, LogTable
from analytics.store.client import connect
from tests.conftest import STACK, shared_client
from tests.engines import NotHere, dynoxide

if TYPE_CHECKING:
    from mypy_boto3_dynamodb import DynamoDBClient


class Engine:
    """A DynamoDB with the template's tables, empty and of this test alone."""

    def __init__(self, client: DynamoDBClient) -> None:
        self.client = client
        mark = uuid4().hex[:8]  # dynoxide runs for the whole session
        tables = [replace(table, name=f"{table.name}-{mark}") for table in STACK.tables]
        for table in tables:
            client.create_table(**table.create | {"TableName": table.name})
        self.logs_table, self.keys_table = (table.name for table in tables)
        self.logs = LogTable(client, self.logs_table)
        self.keys = KeyTable(client, self.keys_table)

    def sort_keys(self) -> list[str]:
        """The sort keys of everything in the table of logs."""
        pages = self.client.get_paginator("scan").paginate(TableName=self.logs_table, ConsistentRead=True)
        return sorted(item["timestamp"]["S"] for page in pages for item in page["Items"])


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
    """Empty tables on each engine."""
    if request.param == "dynoxide":
        yield Engine(request.getfixturevalue("dynoxide_client"))
    else:
        with mock_aws():
            yield Engine(shared_client())
