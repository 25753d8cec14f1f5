"""Creates the missing tables of a template in the DynamoDB at an endpoint URL."""

from __future__ import annotations

from typing import TYPE_CHECKING

import boto3
import botocore.exceptions
from botocore.config import Config

from local.environment import one_line

if TYPE_CHECKING:
    from collections.abc import Iterable

    from local.template import Table


class TablesError(Exception):
    """The tables cannot be used; one sentence."""


def create_missing(tables: Iterable[Table], endpoint: str) -> list[str]:
    """Create the missing tables and wait until they can be used; returns their names.

    Raises TablesError when the database does not answer or refuses, or has a table of the name with another key.
    """
    config = Config(connect_timeout=3, read_timeout=30, retries={"total_max_attempts": 2})
    created = []
    try:
        client = boto3.client("dynamodb", endpoint_url=endpoint, config=config)
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
    except (botocore.exceptions.BotoCoreError, botocore.exceptions.ClientError, ValueError, OSError) as error:
        raise TablesError(f"the DynamoDB at {endpoint} cannot be used: {one_line(error)}") from error
    return created
