"""The table of keys, on every engine: what is known of a key, and how long it is believed."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import boto3
import pytest
from botocore.config import Config
from botocore.exceptions import ClientError
from botocore.stub import Stubber

from analytics.errors import Unavailable
from analytics.store import KeyRecord, KeyTable
from tests.conftest import NOON
from tests.engines import Engine

SECOND = 1_000_000
TRUSTED = 30 * SECOND  # how long a record that was read is believed

RECORD = KeyRecord("5f" * 32, "Key0000000000001", "Stream0000000001", "full", NOON)


def delete(engine: Engine, record: KeyRecord) -> None:
    """Take a key out of the table behind the back of whoever has read it."""
    engine.client.delete_item(TableName=engine.keys_table, Key={"key_hash": {"S": record.key_hash}})


@pytest.mark.parametrize("scope", ["full", "read", "write"])
@pytest.mark.parametrize("expires_at", [None, NOON + SECOND])
def test_a_key_is_found_as_it_was_added(engine: Engine, scope: str, expires_at: int | None) -> None:
    """By a reader that has never seen it, every field as it was."""
    record = replace(RECORD, scope=scope, expires_at=expires_at)
    engine.keys.add(record)
    assert KeyTable(engine.client, engine.keys_table).find(record.key_hash, NOON) == record


def test_a_key_that_was_never_added_is_unknown(engine: Engine) -> None:
    """Nothing is found under another hash."""
    engine.keys.add(RECORD)
    assert engine.keys.find("00" * 32, NOON) is None


def test_a_key_is_never_written_over(engine: Engine) -> None:
    """A second record of the same hash is refused, and the first one stays."""
    engine.keys.add(RECORD)
    with pytest.raises(ClientError, match="ConditionalCheckFailedException"):
        engine.keys.add(replace(RECORD, stream="Stream0000000002"))
    assert engine.keys.find(RECORD.key_hash, NOON) == RECORD


def test_a_key_works_the_moment_it_is_added(engine: Engine) -> None:
    """That it was asked for before, and unknown, is not remembered."""
    assert engine.keys.find(RECORD.key_hash, NOON) is None
    engine.keys.add(RECORD)
    assert engine.keys.find(RECORD.key_hash, NOON) == RECORD


def test_a_deleted_key_works_for_thirty_seconds_where_it_was_read_and_no_longer(engine: Engine) -> None:
    """A record is believed for 30 s by the clock that is passed in; a reader that never saw it refuses it at once."""
    engine.keys.add(RECORD)
    assert engine.keys.find(RECORD.key_hash, NOON) == RECORD
    delete(engine, RECORD)
    assert KeyTable(engine.client, engine.keys_table).find(RECORD.key_hash, NOON) is None
    assert engine.keys.find(RECORD.key_hash, NOON + TRUSTED - 1) == RECORD
    assert engine.keys.find(RECORD.key_hash, NOON + TRUSTED) is None
    assert engine.keys.find(RECORD.key_hash, NOON + 1) is None


def test_being_used_does_not_prolong_the_belief_in_a_key(engine: Engine) -> None:
    """The 30 s count from the reading of the record, not from its last use."""
    engine.keys.add(RECORD)
    engine.keys.find(RECORD.key_hash, NOON)
    delete(engine, RECORD)
    seen = [engine.keys.find(RECORD.key_hash, NOON + second * SECOND) for second in range(0, 40, 5)]
    assert seen == [RECORD] * 6 + [None] * 2


def test_a_clock_that_went_back_reads_the_key_again(engine: Engine) -> None:
    """A record read "in the future" is not believed."""
    engine.keys.add(RECORD)
    assert engine.keys.find(RECORD.key_hash, NOON) == RECORD
    delete(engine, RECORD)
    assert engine.keys.find(RECORD.key_hash, NOON - 1) is None


def test_a_key_expires_at_its_very_microsecond(engine: Engine) -> None:
    """Also where its record was read before and is still believed."""
    record = replace(RECORD, expires_at=NOON + 10 * SECOND)
    engine.keys.add(record)
    assert engine.keys.find(record.key_hash, NOON) == record
    assert engine.keys.find(record.key_hash, NOON + 10 * SECOND - 1) == record
    assert engine.keys.find(record.key_hash, NOON + 10 * SECOND) is None
    assert KeyTable(engine.client, engine.keys_table).find(record.key_hash, NOON + 10 * SECOND) is None


def test_the_table_holds_no_key_but_its_hash(engine: Engine) -> None:
    """An item is the record and nothing else."""
    engine.keys.add(RECORD)
    assert engine.client.scan(TableName=engine.keys_table)["Items"] == [
        {
            "key_hash": {"S": RECORD.key_hash},
            "key_id": {"S": RECORD.key_id},
            "stream": {"S": RECORD.stream},
            "scope": {"S": "full"},
            "created_at": {"N": str(NOON)},
        }
    ]


def test_a_key_that_is_believed_costs_no_read() -> None:
    """Within the 30 s the table is asked once; an unknown key is asked for each time."""
    client = boto3.client(
        "dynamodb", endpoint_url="http://127.0.0.1:9", config=Config(retries={"total_max_attempts": 1})
    )
    item: dict[str, Any] = {
        "key_id": {"S": RECORD.key_id},
        "stream": {"S": RECORD.stream},
        "scope": {"S": "full"},
        "created_at": {"N": str(NOON)},
    }
    with Stubber(client) as stub:
        keys = KeyTable(client, "keys")
        asked = {"TableName": "keys", "Key": {"key_hash": {"S": RECORD.key_hash}}, "ConsistentRead": True}
        stub.add_response("get_item", {"Item": item}, asked)
        assert [keys.find(RECORD.key_hash, NOON + second) for second in range(5)] == [RECORD] * 5
        for _ in range(2):
            stub.add_response("get_item", {})
            assert keys.find("00" * 32, NOON) is None
        stub.add_client_error("get_item", "ThrottlingException")
        with pytest.raises(Unavailable):
            keys.find(RECORD.key_hash, NOON + TRUSTED)
        stub.add_client_error("put_item", "ProvisionedThroughputExceededException")
        with pytest.raises(Unavailable):
            keys.add(RECORD)
        stub.assert_no_pending_responses()
    client.close()


@pytest.mark.parametrize(
    ("scope", "allowed"), [("full", ["read", "write", "full"]), ("read", ["read"]), ("write", ["write"])]
)
def test_a_key_allows_what_its_scope_says(scope: str, allowed: list[str]) -> None:
    """A full key does everything; the others do what they are named for, and never what is for full keys."""
    record = replace(RECORD, scope=scope)
    assert [wanted for wanted in ("read", "write", "full") if record.allows(wanted)] == allowed
