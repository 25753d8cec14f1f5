"""Handlers of the tests' stack."""

from __future__ import annotations

import os
import threading
from typing import Any

import boto3

TOGETHER = threading.Barrier(6)


def handler(event: dict[str, Any], context: Any) -> Any:
    """Echo the event; wait for five others; or put and get an item."""
    if event["rawPath"] == "/meet":
        return {"statusCode": 200, "body": str(TOGETHER.wait(20))}
    if event["rawPath"].startswith("/items/"):
        client = boto3.client("dynamodb")
        key = {"id": {"S": event["pathParameters"]["id"]}}
        if event["requestContext"]["http"]["method"] == "PUT":
            client.put_item(TableName=os.environ["ITEMS_TABLE"], Item={**key, "text": {"S": event["body"]}})
        return client.get_item(TableName=os.environ["ITEMS_TABLE"], Key=key).get("Item", {})
    return {"event": event, "greeting": os.environ["GREETING"], "function": context.function_name}
