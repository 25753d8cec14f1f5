"""What our client makes of answers that are not whole, whatever the connection says of them."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import pytest
from botocore.awsrequest import AWSResponse, HeadersDict

from analytics.errors import Unavailable
from analytics.store import KeyTable
from analytics.store.client import connect
from tests.conftest import NOON

if TYPE_CHECKING:
    from mypy_boto3_dynamodb import DynamoDBClient

HASH = "5f" * 32


@dataclass
class Raw:
    """A body as it came over the wire."""

    body: bytes

    def stream(self) -> Iterator[bytes]:
        """All of it at once."""
        yield self.body


@pytest.fixture
def client() -> Iterator[DynamoDBClient]:
    """A client that reaches nobody."""
    made = connect()
    yield made
    made.close()


def answered(client: DynamoDBClient, body: bytes, length: str | None) -> object:
    """What a table tells of a key when DynamoDB answers so, with status 200."""
    headers: Any = HeadersDict() if length is None else HeadersDict({"Content-Length": length})

    def answer(**_: object) -> Any:
        return AWSResponse("http://127.0.0.1:9", 200, headers, Raw(body))

    client.meta.events.register("before-send.dynamodb.GetItem", answer)
    try:
        return KeyTable(client, "keys").find(HASH, NOON)
    finally:
        client.meta.events.unregister("before-send.dynamodb.GetItem", answer)


@pytest.mark.parametrize("length", ["2", None])
def test_a_whole_answer_is_taken(client: DynamoDBClient, length: str | None) -> None:
    """There is no such key."""
    assert answered(client, b"{}", length) is None


@pytest.mark.parametrize(
    ("body", "length"),
    [
        (b"", "0"),
        (b"", None),
        (b"{}", "3"),
        (b'{"Item":{"key_hash":{"S":"x"}', "200"),
        (b'{"Item":{"key_hash"', None),
        (b"<html>Welcome</html>", "20"),
    ],
)
def test_an_answer_that_is_not_whole_is_a_busy_table(client: DynamoDBClient, body: bytes, length: str | None) -> None:
    """To botocore it may be an empty answer, and a good key would be unknown."""
    with pytest.raises(Unavailable):
        answered(client, body, length)
