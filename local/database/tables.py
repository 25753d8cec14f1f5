"""Makes the tables of a template, where they are missing, in whatever DynamoDB an endpoint URL names."""

from __future__ import annotations

from typing import TYPE_CHECKING

import boto3
import botocore.exceptions
from botocore.config import Config

if TYPE_CHECKING:
    from collections.abc import Iterable

    from local.template import Table


class TablesError(Exception):
    """The tables can not be had; one sentence."""


def create_missing(tables: Iterable[Table], endpoint: str) -> list[str]:
    """Create the tables that are not there and wait until they can be used; returns their names.

    Raises TablesError when the database does not answer or refuses, or has a table of that name with another key.
    """
    config = Config(connect_timeout=3, read_timeout=30, retries={"total_max_attempts": 2})
    client = boto3.client("dynamodb", endpoint_url=endpoint, config=config)
    created = []
    try:
        for table in tables:
            try:
                found = client.describe_table(TableName=table.name)["Table"]
            except client.exceptions.ResourceNotFoundException:
                client.create_table(**table.create)
                client.get_waiter("table_exists").wait(
                    TableName=table.name, WaiterConfig={"Delay": 1, "MaxAttempts": 60}
                )
                if table.ttl_attribute:
                    client.update_time_to_live(
                        TableName=table.name,
                        TimeToLiveSpecification={"Enabled": True, "AttributeName": table.ttl_attribute},
                    )
                created.append(table.name)
            else:
                if sorted(found["KeySchema"], key=str) != sorted(table.create["KeySchema"], key=str):
                    raise TablesError(f"the table {table.name} in {endpoint} has another key than the template's")
    except (botocore.exceptions.BotoCoreError, botocore.exceptions.ClientError) as error:
        raise TablesError(f"the DynamoDB at {endpoint} can not be used: {error}") from error
    return created
