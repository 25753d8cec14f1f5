"""Erasing a stream, on every engine and against answers that no engine at hand gives."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import replace
from typing import Any

import boto3
import pytest
from botocore.config import Config
from botocore.stub import ANY, Stubber

from analytics.errors import Unauthorized, Unavailable
from analytics.store import KeyRecord, KeyTable
from analytics.store.erasure import GRACE, Erasure, Progress
from tests.conftest import NOON, Clock
from tests.support.engines import STACK, Engine

SECOND = 1_000_000
RECORD = KeyRecord("5f" * 32, "Key0000000000001", "Stream0000000001", "full", NOON)


def fill(engine: Engine, stream: str, items: int, size: int = 0) -> None:
    """Put items into a stream's partition."""
    for start in range(0, items, 25):
        puts: Any = [
            {"PutRequest": {"Item": {"api_key": {"S": stream}, "timestamp": {"S": f"L#{n}"}, "d": {"B": b"x" * size}}}}
            for n in range(start, min(start + 25, items))
        ]
        engine.client.batch_write_item(RequestItems={engine.logs_table: puts})


def erasure(engine: Engine, clock: Clock) -> Erasure:
    """One that works on the engine's tables."""
    return Erasure(engine.keys, engine.logs_table, clock)


def marked(engine: Engine) -> KeyRecord:
    """The record of the key as it is in the table now."""
    record = engine.keys.find(RECORD.key_hash, NOON, fresh=True)
    assert record
    return record


@pytest.mark.parametrize(("items", "size"), [(0, 0), (1, 0), (26, 0), (130, 30_000)])
def test_a_stream_and_its_keys_are_erased(engine: Engine, clock: Clock, items: int, size: int) -> None:
    """One item or several pages of a megabyte: gone, with all keys, and nothing of any other stream."""
    others = [replace(RECORD, key_hash=f"{n:064x}", key_id=f"{n:016}") for n in range(30)]
    for record in (RECORD, *others):
        engine.keys.add(record)
    theirs = replace(RECORD, key_hash="ab" * 32, stream="Stream0000000002")
    engine.keys.add(theirs)
    fill(engine, RECORD.stream, items, size)
    fill(engine, theirs.stream, 2)
    assert erasure(engine, clock).step(RECORD) == Progress(items, complete=False, wait=90)
    assert engine.keys.of(RECORD.stream) == [replace(RECORD, erasing=True)]
    clock.advance(GRACE / SECOND)
    assert erasure(engine, clock).step(marked(engine)) == Progress(items, complete=True)
    assert engine.client.scan(TableName=engine.keys_table)["Count"] == 2
    assert engine.sort_keys() == ["L#0", "L#1"]
    assert engine.keys.of(theirs.stream) == [theirs]


def test_the_page_that_ends_it_was_asked_for_after_the_grace(engine: Engine, clock: Clock) -> None:
    """A microsecond before is not enough."""
    engine.keys.add(RECORD)
    assert erasure(engine, clock).step(RECORD) == Progress(0, complete=False, wait=90)
    clock.at = NOON + GRACE - 1
    assert erasure(engine, clock).step(marked(engine)) == Progress(0, complete=False, wait=1)
    clock.at = NOON + GRACE
    assert erasure(engine, clock).step(marked(engine)) == Progress(0, complete=True)


def test_the_grace_covers_every_function(clock: Clock) -> None:
    """A key is believed for 30 s, and a function runs as long as the template lets it; half a minute is to spare."""
    assert (30 + max(function.timeout for function in STACK.functions.values()) + 30) * SECOND <= GRACE


def test_one_key_erases_and_no_other(engine: Engine, clock: Clock) -> None:
    """Who comes second, with another key or when all is over, is nobody."""
    second = replace(RECORD, key_hash="00" * 32, key_id="Key0000000000002")
    engine.keys.add(RECORD)
    engine.keys.add(second)
    erasure(engine, clock).step(RECORD)
    erasing = marked(engine)
    with pytest.raises(Unauthorized):
        erasure(engine, clock).step(second)
    with pytest.raises(Unauthorized):
        engine.keys.remove(erasing)
    clock.advance(GRACE / SECOND)
    assert erasure(engine, clock).step(erasing).complete
    with pytest.raises(Unauthorized):
        erasure(engine, clock).step(erasing)
    with pytest.raises(Unauthorized):
        erasure(engine, clock).step(RECORD)
    assert engine.client.scan(TableName=engine.keys_table)["Count"] == 0


def test_an_expired_key_of_the_stream_goes_too(engine: Engine, clock: Clock) -> None:
    """DynamoDB may not have come to it yet."""
    engine.keys.add(RECORD)
    engine.keys.add(replace(RECORD, key_hash="00" * 32, key_id="Key0000000000002", expires_at=NOON))
    erasure(engine, clock).step(RECORD)
    assert engine.client.scan(TableName=engine.keys_table)["Count"] == 2  # the erasing key and the stream


@contextmanager
def before(engine: Engine, operation: str, act: Callable[[], None]) -> Iterator[None]:
    """Do something just before each call of an operation."""

    def hook(**_: Any) -> None:
        act()

    event = f"before-call.dynamodb.{operation}"
    engine.client.meta.events.register(event, hook)
    yield
    engine.client.meta.events.unregister(event, hook)


def with_others(engine: Engine, number: int) -> list[KeyRecord]:
    """Add the key and so many others to its stream; returns the others."""
    others = [replace(RECORD, key_hash=f"{n:064x}", key_id=f"{n:016}") for n in range(number)]
    for record in (RECORD, *others):
        engine.keys.add(record)
    return others


def sealed_at(engine: Engine) -> int | None:
    """What the stream's item says."""
    item = engine.keys.stream_item(RECORD.stream)
    return int(item["sealed_at"]["N"]) if "sealed_at" in item else None


def test_no_other_key_takes_over_an_erasure_that_has_just_begun(engine: Engine, clock: Clock) -> None:
    """While the other keys are still there, none of them can begin it anew, with a grace of its own."""
    (second,) = with_others(engine, 1)
    with before(engine, "TransactWriteItems", lambda: clock.advance(21)):  # the deadline is over when it has begun
        assert erasure(engine, clock).step(RECORD) == Progress(0, complete=False)
    assert second in engine.keys.of(RECORD.stream)
    with pytest.raises(Unauthorized):
        erasure(engine, clock).step(second)
    assert engine.keys.stream_item(RECORD.stream)["erasing"] == {"S": RECORD.key_hash}
    assert second in engine.keys.of(RECORD.stream)


def test_a_stream_is_sealed_when_its_last_other_key_is_gone(engine: Engine, clock: Clock) -> None:
    """Not when a deadline left some: their holders could write after the grace."""
    with_others(engine, 30)
    with before(engine, "BatchWriteItem", lambda: clock.advance(21)):
        assert erasure(engine, clock).step(RECORD) == Progress(0, complete=False)
    assert len(engine.keys.of(RECORD.stream)) == 6  # 25 are gone
    assert sealed_at(engine) is None
    clock.advance(GRACE / SECOND)
    assert erasure(engine, clock).step(marked(engine)) == Progress(0, complete=False, wait=90)
    assert sealed_at(engine) == clock.at


def test_the_page_counts_from_when_it_was_asked_for(engine: Engine, clock: Clock) -> None:
    """An answer that takes long tells what was there when it was read, which may be before the grace was over."""
    with_others(engine, 0)
    erasure(engine, clock).step(RECORD)
    clock.at = NOON + GRACE - SECOND
    with before(engine, "Query", lambda: clock.advance(2)):
        assert erasure(engine, clock).step(marked(engine)) == Progress(0, complete=False, wait=1)


def test_of_two_callers_the_first_seals(engine: Engine, clock: Clock) -> None:
    """The one who comes second does not move the time on: the grace would never end while somebody asks."""
    with_others(engine, 1)
    nested: list[Progress] = []

    def other_caller() -> None:
        if not nested:
            nested.append(Progress(0, complete=False))
            nested.append(erasure(engine, clock).step(marked(engine)))
            clock.advance(10)

    with before(engine, "BatchWriteItem", other_caller):
        assert erasure(engine, clock).step(RECORD) == Progress(0, complete=False, wait=80)
    assert nested[1] == Progress(0, complete=False, wait=90)
    assert sealed_at(engine) == NOON


class Stubbed:
    """An erasure that has begun, over answers written down beforehand."""

    def __init__(self, items: int) -> None:
        self.client = boto3.client(
            "dynamodb", endpoint_url="http://127.0.0.1:9", config=Config(retries={"total_max_attempts": 1})
        )
        self.stub = Stubber(self.client)
        self.clock = Clock()
        self.pauses: list[float] = []
        self.items: Any = [{"api_key": {"S": RECORD.stream}, "timestamp": {"S": f"L#{n}"}} for n in range(items)]
        self.stub.add_response("get_item", {"Item": {"sealed_at": {"N": str(NOON)}}})
        self.stub.add_response("query", {"Items": self.items})

    def deletes(self, items: Any, left: Any) -> None:
        """Expect a deletion of items; some are left."""

        def requests(items: Any) -> Any:
            return {"logs": [{"DeleteRequest": {"Key": item}} for item in items]}

        self.stub.add_response(
            "batch_write_item", {"UnprocessedItems": requests(left) if left else {}}, {"RequestItems": requests(items)}
        )

    def counts(self, deleted: int) -> None:
        """Expect that so many are counted."""
        self.stub.add_response(
            "update_item",
            {"Attributes": {"deleted": {"N": str(deleted)}}},
            {
                "TableName": "keys",
                "Key": {"key_hash": {"S": f"stream#{RECORD.stream}"}},
                "UpdateExpression": "SET deleted = :number",
                "ConditionExpression": "attribute_exists(erasing)",
                "ExpressionAttributeValues": {":number": {"N": str(deleted)}},
                "ReturnValues": ANY,
            },
        )

    def pause(self, seconds: float) -> None:
        """Let time pass."""
        self.pauses.append(seconds)
        self.clock.advance(seconds)

    def step(self) -> Progress:
        """Go on with it."""
        with self.stub:
            keys = KeyTable(self.client, "keys")
            progress = Erasure(keys, "logs", self.clock, self.pause).step(replace(RECORD, erasing=True))
            self.stub.assert_no_pending_responses()
        return progress


def test_what_dynamodb_leaves_undone_is_asked_for_again() -> None:
    """After a pause that grows while it goes on leaving things; at most 25 at once, and each counts once."""
    world = Stubbed(30)
    items = world.items
    world.deletes(items[:25], items[:20])
    world.deletes(items[25:] + items[:20], items[25:])
    world.deletes(items[25:], [])
    world.stub.add_response("query", {"Items": []})
    world.counts(30)
    assert world.step() == Progress(30, complete=False, wait=90)
    assert world.pauses == [0.05, 0.1]


def test_a_table_that_deletes_nothing_does_not_hold_a_call_for_ever() -> None:
    """The deadline ends it, and the answer says that nothing was done."""
    world = Stubbed(1)
    for _ in range(29):
        world.deletes(world.items, world.items)
    world.counts(0)
    assert world.step() == Progress(0, complete=False)
    assert sum(world.pauses) < 21


def test_throttled_midway_it_says_what_it_did() -> None:
    """What was deleted before counts; where nothing was, the call is a 503."""
    world = Stubbed(26)
    world.deletes(world.items[:25], [])
    world.stub.add_client_error("batch_write_item", "ProvisionedThroughputExceededException")
    world.counts(25)
    assert world.step() == Progress(25, complete=False)
    world = Stubbed(1)
    world.stub.add_client_error("batch_write_item", "ThrottlingException")
    with pytest.raises(Unavailable):
        world.step()
