"""The DynamoDBs that the storage suite runs on: moto, and dynoxide, which refuses what moto lets pass."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING
from uuid import uuid4

from analytics.store import KeyTable, LogTable
from local.template import read

if TYPE_CHECKING:
    from mypy_boto3_dynamodb import DynamoDBClient

ROOT = Path(__file__).parents[2]
STACK = read(ROOT / "template.yaml")


class Engine:
    """A DynamoDB with the template's tables, empty and of one test alone."""

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
