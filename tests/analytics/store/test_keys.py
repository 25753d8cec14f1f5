"""The table of keys, on every engine: what is known of a key, and how long it is believed."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import replace
from typing import Any

import boto3
import pytest
from botocore.config import Config
from botocore.stub import Stubber

from analytics.errors import Conflict, Unauthorized, Unavailable
from analytics.store import KeyRecord, KeyTable
from analytics.store.keys import MAX_KEYS, MAX_ROTATED
from tests.conftest import NOON
from tests.support.engines import Engine

SECOND = 1_000_000
TRUSTED = 30 * SECOND  # how long a record that was read is believed

RECORD = KeyRecord("5f" * 32, "Key0000000000001", "Stream0000000001", "full", NOON)


@contextmanager
def calls(engine: Engine) -> Iterator[list[str]]:
    """The names of the operations that are asked of DynamoDB meanwhile."""
    made: list[str] = []

    def note(model: Any, **_: Any) -> None:
        made.append(model.name)

    engine.client.meta.events.register("before-call.dynamodb", note)
    yield made
    engine.client.meta.events.unregister("before-call.dynamodb", note)


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
    with pytest.raises(Conflict):
        engine.keys.add(replace(RECORD, key_id="Key0000000000002", stream="Stream0000000002"))
    assert engine.keys.find(RECORD.key_hash, NOON) == RECORD
    assert engine.keys.of("Stream0000000002") == []


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
    """An item is the record and nothing else; that of the stream lists its keys' hashes."""
    engine.keys.add(RECORD)
    items = engine.client.scan(TableName=engine.keys_table)["Items"]
    assert sorted(items, key=lambda item: item["key_hash"]["S"]) == [
        {
            "key_hash": {"S": RECORD.key_hash},
            "key_id": {"S": RECORD.key_id},
            "stream": {"S": RECORD.stream},
            "scope": {"S": "full"},
            "created_at": {"N": str(NOON)},
        },
        {"key_hash": {"S": f"stream#{RECORD.stream}"}, "hashes": {"SS": [RECORD.key_hash]}},
    ]


def test_all_keys_of_a_stream_are_found(engine: Engine) -> None:
    """Oldest first, whatever becomes of one: the set changes with the keys."""
    records = [replace(RECORD, key_hash=f"{n:064x}", key_id=f"{n:016}", created_at=NOON + n) for n in range(30)]
    for record in reversed(records):
        engine.keys.add(record)
    engine.keys.add(replace(RECORD, stream="Stream0000000002"))
    assert engine.keys.of(RECORD.stream) == records
    engine.keys.remove(records[3])
    engine.keys.remove(records[3])
    new = replace(RECORD, key_hash="ff" * 32, created_at=NOON + 40)
    engine.keys.rotate(records[4], new, NOON + 60, records[5], NOON)
    assert engine.keys.of(RECORD.stream) == [
        *records[:3],
        replace(records[4], expires_at=NOON + 60),
        *records[5:],
        new,
    ]
    assert engine.keys.of("Stream0000000003") == []


def test_a_key_is_added_once_though_the_answer_was_lost(engine: Engine) -> None:
    """Writing it again is no conflict with itself, also where it is the stream's hundredth."""
    for n in range(MAX_KEYS - 1):
        engine.keys.add(replace(RECORD, key_hash=f"{n:064x}", key_id=f"{n:016}"))
    for _ in range(2):
        engine.keys.add(RECORD)
    assert len(engine.keys.of(RECORD.stream)) == MAX_KEYS
    with pytest.raises(Conflict, match="100 keys"):
        engine.keys.add(replace(RECORD, key_hash="ff" * 32, key_id="Key0000000000002"))


def test_keys_that_have_expired_make_room(engine: Engine) -> None:
    """Those that DynamoDB has removed, and those that it has not come to yet, which go with it."""
    for n in range(MAX_KEYS):
        engine.keys.add(replace(RECORD, key_hash=f"{n:064x}", key_id=f"{n:016}", expires_at=NOON + 1 if n else None))
    for n in range(1, 10):
        delete(engine, replace(RECORD, key_hash=f"{n:064x}"))
    engine.keys.add(RECORD, now=NOON + 1)
    assert {record.key_id for record in engine.keys.of(RECORD.stream)} == {f"{0:016}", RECORD.key_id}
    assert engine.client.scan(TableName=engine.keys_table)["Count"] == 3


@pytest.mark.long
def test_a_hundred_expired_keys_make_room_at_once(engine: Engine) -> None:
    """They are more than one transaction can take away, with the change of the stream's item."""
    old = [replace(RECORD, key_hash=f"{n:064x}", key_id=f"{n:016}", created_at=NOON + n) for n in range(MAX_KEYS)]
    new = [replace(each, key_hash=f"f{each.key_hash[1:]}", key_id=f"f{each.key_id[1:]}") for each in old]
    for record in old:
        engine.keys.add(record)
    for before, after in zip(old, new, strict=True):
        engine.keys.rotate(before, after, NOON + 1, before, NOON)
    assert len(engine.keys.of(RECORD.stream)) == MAX_ROTATED
    engine.keys.rotate(new[0], RECORD, NOON + 2, new[0], NOON + 1)
    assert {record.key_id for record in engine.keys.of(RECORD.stream)} == {RECORD.key_id, *(n.key_id for n in new)}
    with pytest.raises(Conflict, match="100 keys"):
        engine.keys.add(replace(RECORD, key_hash="ee" * 32, key_id="Key0000000000002"), now=NOON + 1)


def test_an_expired_key_is_read_anew_each_time(engine: Engine) -> None:
    """As an unknown one is: how long the answer takes tells nobody that there was such a key."""
    record = replace(RECORD, expires_at=NOON + SECOND)
    engine.keys.add(record)
    assert engine.keys.find(record.key_hash, NOON) == record
    with calls(engine) as made:
        for unknown in (record.key_hash, "00" * 32):
            for second in range(1, 4):
                assert engine.keys.find(unknown, NOON + second * SECOND) is None
    assert made == ["GetItem"] * 6


def test_thousands_of_unknown_keys_take_no_memory(engine: Engine) -> None:
    """Only good ones are remembered, and no more than ten thousand of them."""
    for n in range(200):
        assert engine.keys.find(f"{n:064x}", NOON) is None
    engine.keys.add(RECORD)
    engine.keys.find(RECORD.key_hash, NOON)
    assert len(engine.keys._known) == 1


def test_a_key_that_is_believed_costs_no_read() -> None:
    """Within the 30 s the table is asked once; an unknown key is asked for each time."""
    client = boto3.client(
        "dynamodb", endpoint_url="http://127.0.0.1:9", config=Config(retries={"total_max_attempts": 1})
    )
    item: dict[str, Any] = {
        "key_hash": {"S": RECORD.key_hash},
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
        stub.add_client_error("transact_write_items", "ProvisionedThroughputExceededException")
        with pytest.raises(Unavailable):
            keys.add(RECORD)
        stub.assert_no_pending_responses()
    client.close()


def test_keys_that_were_not_read_are_asked_for_again() -> None:
    """A busy table leaves some of a batch unread; reads are consistent, or a new key would be missing."""
    client = boto3.client("dynamodb", endpoint_url="http://127.0.0.1:9")
    records = [replace(RECORD, key_hash=f"{n:064x}", key_id=f"{n:016}", created_at=NOON + n) for n in range(3)]
    hashes = [record.key_hash for record in records]

    def batch(*hashes: str) -> Any:
        return {"keys": {"Keys": [{"key_hash": {"S": each}} for each in hashes], "ConsistentRead": True}}

    with Stubber(client) as stub:
        asked = {"TableName": "keys", "Key": {"key_hash": {"S": f"stream#{RECORD.stream}"}}, "ConsistentRead": True}
        stub.add_response("get_item", {"Item": {"hashes": {"SS": hashes}}}, asked)
        for found, left in ((records[2:], hashes[:2]), ([], hashes[:2]), (records[:2], [])):
            answer: Any = {"Responses": {"keys": [each.item() for each in found]}}
            answer |= {"UnprocessedKeys": batch(*left)} if left else {}
            expected = batch(*(hashes if found == records[2:] else hashes[:2]))
            stub.add_response("batch_get_item", answer, {"RequestItems": expected})
        assert KeyTable(client, "keys").of(RECORD.stream) == records
        stub.assert_no_pending_responses()
    client.close()


def test_what_an_instance_changed_it_knows_at_once(engine: Engine) -> None:
    """It does not use the record that it read before it changed the key."""
    new = replace(RECORD, key_hash="ff" * 32, key_id="Key0000000000002")
    engine.keys.add(RECORD)
    assert engine.keys.find(RECORD.key_hash, NOON) == RECORD
    engine.keys.rotate(RECORD, new, NOON + SECOND, RECORD, NOON)
    assert engine.keys.find(RECORD.key_hash, NOON) == replace(RECORD, expires_at=NOON + SECOND)
    assert engine.keys.find(new.key_hash, NOON) == new
    engine.keys.remove(new)
    assert engine.keys.find(new.key_hash, NOON) is None


@pytest.mark.parametrize(
    ("scope", "allowed"), [("full", ["read", "write", "full"]), ("read", ["read"]), ("write", ["write"])]
)
def test_a_key_allows_what_its_scope_says(scope: str, allowed: list[str]) -> None:
    """A full key does everything; the others do what they are named for, and never what is for full keys."""
    record = replace(RECORD, scope=scope)
    assert [wanted for wanted in ("read", "write", "full") if record.allows(wanted)] == allowed


@pytest.mark.parametrize("state", ["revoked", "expired", "erasing"])
def test_a_rotation_needs_the_key_that_asks_for_it(engine: Engine, state: str) -> None:
    """The transaction checks it: a stolen key that has just ended makes no other key out of a good one."""
    by = replace(RECORD, key_hash="00" * 32, key_id="Key0000000000002")
    engine.keys.add(RECORD)
    engine.keys.add(replace(by, expires_at=NOON) if state == "expired" else by)
    if state == "revoked":
        engine.keys.remove(by)
    if state == "erasing":
        engine.client.put_item(TableName=engine.keys_table, Item=by.item() | {"status": {"S": "erasing"}})
    new = replace(RECORD, key_hash="ff" * 32, key_id="Key0000000000003")
    with pytest.raises(Unauthorized):
        engine.keys.rotate(RECORD, new, NOON + 60, by, NOON)
    assert engine.keys.find(RECORD.key_hash, NOON, fresh=True) == RECORD
    assert engine.keys.find(new.key_hash, NOON) is None


def test_streams_are_found_on_every_page_of_the_table() -> None:
    """The table of keys grows beyond a page of a megabyte; a page may also hold no stream at all."""
    client = boto3.client("dynamodb", endpoint_url="http://127.0.0.1:9")
    last = {"key_hash": {"S": "last of its page"}}
    asked = {
        "TableName": "keys",
        "FilterExpression": "begins_with(key_hash, :stream) AND attribute_not_exists(erasing)",
        "ExpressionAttributeValues": {":stream": {"S": "stream#"}},
        "ProjectionExpression": "key_hash",
    }
    with Stubber(client) as stub:
        page: Any = {"Items": [{"key_hash": {"S": "stream#a"}}], "LastEvaluatedKey": last}
        stub.add_response("scan", page, asked)
        stub.add_response("scan", {"Items": [], "LastEvaluatedKey": last}, asked | {"ExclusiveStartKey": last})
        stub.add_response("scan", {"Items": [{"key_hash": {"S": "stream#b"}}]}, asked | {"ExclusiveStartKey": last})
        assert list(KeyTable(client, "keys").streams()) == ["a", "b"]
        stub.assert_no_pending_responses()
    client.close()
