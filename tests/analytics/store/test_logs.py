"""The table of logs, on every engine: each batch once, whole and in order."""

from __future__ import annotations

import random
import socket
import string
import zlib
from collections import Counter
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from functools import partial
from typing import TYPE_CHECKING, Any, cast

import boto3
import pytest
from botocore.config import Config
from botocore.exceptions import ClientError
from botocore.stub import ANY, Stubber

from analytics.batch import Batch
from analytics.errors import Conflict, Unavailable
from analytics.schema import Log
from analytics.store import LogTable
from analytics.store.client import connect
from analytics.summary.rollup import StoredBatch
from bench.storm import Fault, InTurn, Met, Storm
from tests.conftest import NOON
from tests.support.engines import Engine

if TYPE_CHECKING:
    from mypy_boto3_dynamodb import DynamoDBClient

SECOND = 1_000_000
LARGEST = 350_000  # bytes of packed logs in an item


def small(mark: int = 1) -> Batch:
    """A batch of one log that took `mark` microseconds."""
    return batch_of(
        [
            {
                "created_at": NOON,
                "method": "GET",
                "endpoint": "/",
                "ip": "10.0.0.1",
                "process_time": mark / 1000,
                "status_code": 200,
            }
        ]
    )


def large(logs: int) -> Batch:
    """A batch of logs of about 600 bytes each, which compression hardly makes smaller."""
    chance = random.Random(logs)

    def noise(length: int) -> str:
        return "".join(chance.choices(string.ascii_letters + string.digits + "-_", k=length))

    return batch_of(
        [
            {
                "created_at": NOON + number,
                "method": "GET",
                "endpoint": "/",
                "process_time": 1.0,
                "status_code": 200,
                "user_agent": noise(256),
                "path": "/" + noise(500),
            }
            for number in range(logs)
        ]
    )


def batch_of(logs: list[dict[str, Any]]) -> Batch:
    """These logs as a batch."""
    return Batch.of(cast("list[Log]", logs))


def durations(stored: Iterator[StoredBatch]) -> list[int]:
    """The duration of the first log of each batch: what `small` marks them with."""
    return [each.batch.durations[0] for each in stored]


def test_batches_come_back_as_they_were_in_the_order_of_their_receipt(engine: Engine) -> None:
    """Whatever order they were written in, `since` gives the oldest received first and `newest` the reverse."""
    for second in (3, 1, 2):
        assert engine.logs.append("me", small(second), NOON + second * SECOND, f"batch-{second}") is True
    expected = [
        StoredBatch(f"L#2025-11-24T12:00:0{second}.000000Z#batch-{second}", unpacked(small(second)))
        for second in (1, 2, 3)
    ]
    assert list(engine.logs.since("me")) == expected
    assert list(engine.logs.newest("me", NOON)) == expected[::-1]
    assert [stored.received for stored in expected] == [NOON + SECOND, NOON + 2 * SECOND, NOON + 3 * SECOND]


def test_a_stream_sees_only_its_own_batches(engine: Engine) -> None:
    """Two streams may use the same batch id at the same moment, and neither sees the other's."""
    assert engine.logs.append("me", small(1), NOON, "same") is True
    assert engine.logs.append("you", small(2), NOON, "same") is True
    assert durations(engine.logs.since("me")) == [1]
    assert durations(engine.logs.newest("you", NOON)) == [2]
    assert durations(engine.logs.since("nobody")) == []


def test_a_batch_without_an_id_is_stored_each_time(engine: Engine) -> None:
    """Logs that came one by one carry no id: two at the same moment are two."""
    assert engine.logs.append("me", small(), NOON) is True
    assert engine.logs.append("me", small(), NOON) is True
    assert durations(engine.logs.since("me")) == [1, 1]
    assert [key[:30] for key in engine.sort_keys()] == ["L#2025-11-24T12:00:00.000000Z#"] * 2


def test_a_batch_is_stored_once_whenever_it_comes_again(engine: Engine) -> None:
    """The second append of a batch id is False, at whatever time; of other logs a Conflict. Neither stores any."""
    assert engine.logs.append("me", small(1), NOON, "b") is True
    assert engine.logs.append("me", small(1), NOON, "b") is False
    assert engine.logs.append("me", small(1), NOON + 3600 * SECOND, "b") is False
    with pytest.raises(Conflict, match="batch_id"):
        engine.logs.append("me", small(2), NOON, "b")
    assert engine.sort_keys() == ["B#b", "L#2025-11-24T12:00:00.000000Z#b"]
    assert durations(engine.logs.since("me")) == [1]


def test_the_mark_of_a_batch_expires_after_a_day(engine: Engine) -> None:
    """The `B#` item holds a checksum, and its time to live, a day from receipt in whole seconds since 1970."""
    engine.logs.append("me", small(), NOON, "b")
    mark = engine.client.get_item(TableName=engine.logs_table, Key={"api_key": {"S": "me"}, "timestamp": {"S": "B#b"}})[
        "Item"
    ]
    assert mark == {
        "api_key": {"S": "me"},
        "timestamp": {"S": "B#b"},
        "ttl": {"N": str(NOON // SECOND + 86_400)},
        "keys": {"SS": ["L#2025-11-24T12:00:00.000000Z#b"]},
        "sum": {"B": zlib.adler32(zlib.decompress(small().pack())).to_bytes(4, "big")},
    }


def test_one_of_many_appends_at_once_stores_the_batch(dynoxide_client: DynamoDBClient) -> None:
    """Of eight concurrent appends of a batch id one is True; the others are a Conflict, or told to try again.

    Not on moto, which does not keep the transactions of several threads apart.
    """
    engine = Engine(dynoxide_client)

    def append(second: int) -> bool | None:
        try:
            return engine.logs.append("me", small(second + 1), NOON + second * SECOND, "b")
        except Conflict:
            return False
        except Unavailable:
            return None

    with ThreadPoolExecutor(8) as threads:
        answers = list(threads.map(append, range(8)))
    assert answers.count(True) == 1
    assert durations(engine.logs.since("me")) == [answers.index(True) + 1]
    assert len(engine.sort_keys()) == 2


def test_reading_goes_on_over_pages_of_a_megabyte(engine: Engine) -> None:
    """A stream of more than one page of a query is read whole, in order, both ways."""
    batch = large(500)
    for second in range(8):
        engine.logs.append("me", batch, NOON + second * SECOND, f"b{second}")
    page = engine.client.query(
        TableName=engine.logs_table,
        KeyConditionExpression="api_key = :me AND #t >= :low",
        ExpressionAttributeNames={"#t": "timestamp"},
        ExpressionAttributeValues={":me": {"S": "me"}, ":low": {"S": "L#"}},
    )
    assert len(page["Items"]) < 8
    assert "LastEvaluatedKey" in page
    received = [NOON + second * SECOND for second in range(8)]
    assert [stored.received for stored in engine.logs.since("me")] == received
    assert [stored.received for stored in engine.logs.newest("me", NOON)] == received[::-1]
    assert all(stored.batch == unpacked(batch) for stored in engine.logs.since("me"))


@pytest.mark.parametrize("batch_id", ["b", None])
def test_a_batch_too_large_for_an_item_is_split_and_stays_one(engine: Engine, batch_id: str | None) -> None:
    """Its parts carry its logs in order and its counts once, each within the limit, all in one transaction."""
    batch = large(1000)
    assert len(batch.pack()) > LARGEST
    assert engine.logs.append("me", batch, NOON, batch_id) is True
    parts = list(engine.logs.since("me"))
    name = batch_id or parts[0].sort_key.split("#")[2]
    keys = [f"L#2025-11-24T12:00:00.000000Z#{name}", f"L#2025-11-24T12:00:00.000000Z#{name}.1"]
    assert [part.sort_key for part in parts] == keys
    assert engine.sort_keys() == (["B#b", *keys] if batch_id else keys)
    assert all(len(part.batch.pack()) <= LARGEST for part in parts)
    assert [time for part in parts for time in part.batch.times] == batch.times
    assert paths(*(part.batch for part in parts)) == paths(batch)
    assert [part.batch.counts for part in parts] == [Counter(accepted=1000), Counter()]


def test_a_split_batch_that_comes_again_stores_no_part(engine: Engine) -> None:
    """Not one of its parts is written beside the mark that refuses it."""
    assert engine.logs.append("me", small(), NOON, "b") is True
    with pytest.raises(Conflict):
        engine.logs.append("me", large(1000), NOON + SECOND, "b")
    assert engine.sort_keys() == ["B#b", "L#2025-11-24T12:00:00.000000Z#b"]


def test_the_largest_batch_that_ingest_takes_can_be_stored(engine: Engine) -> None:
    """A megabyte of noise fits into one transaction of items that DynamoDB takes."""
    batch = large(1_300)
    assert len(batch.pack()) > 2 * LARGEST
    assert engine.logs.append("me", batch, NOON, "b") is True
    assert sum(len(stored.batch) for stored in engine.logs.since("me")) == 1_300


def test_since_starts_with_what_was_received_at_that_very_microsecond(engine: Engine) -> None:
    """`start` itself is in; a microsecond earlier is out."""
    for offset in (-1, 0, 1):
        engine.logs.append("me", small(offset + 2), NOON + offset, f"b{offset + 1}")
    assert durations(engine.logs.kept("me", NOON, NOON)) == [2, 3]
    assert durations(engine.logs.kept("me", NOON - 1, NOON)) == [1, 2, 3]
    assert durations(engine.logs.kept("me", NOON + 2, NOON)) == []


def test_newest_goes_from_a_sort_key_back_to_a_start(engine: Engine) -> None:
    """Both ends are in; where the start is past the sort key there is nothing."""
    for second in range(4):
        engine.logs.append("me", small(second + 1), NOON + second * SECOND, f"b{second}")
    third = "L#2025-11-24T12:00:02.000000Z#b2"
    assert durations(engine.logs.newest("me", NOON, third)) == [3, 2, 1]
    assert durations(engine.logs.newest("me", NOON, third, NOON + SECOND)) == [3, 2]
    assert durations(engine.logs.newest("me", NOON, start=NOON + 2 * SECOND)) == [4, 3]
    assert durations(engine.logs.newest("me", NOON, third, NOON + 3 * SECOND)) == []
    assert durations(engine.logs.newest("me", NOON, "L#2025-11-24T12:00:02.500000Z#gone")) == [3, 2, 1]


def test_a_batch_of_counts_alone_is_kept(engine: Engine) -> None:
    """What was refused or lost is stored without any log."""
    counts = Counter({"rejected.invalid_ip": 2, "dropped.buffer_full": 7})
    assert engine.logs.append("me", Batch(counts=counts), NOON) is True
    assert [(len(stored.batch), stored.batch.counts) for stored in engine.logs.since("me")] == [(0, counts)]


@pytest.mark.parametrize("batch_id", ["b", None])
def test_an_answer_that_is_lost_once_makes_no_duplicate(dynoxide_client: DynamoDBClient, batch_id: str | None) -> None:
    """The try that the client library makes by itself carries the same token: the append is True, and stored once."""
    engine = Engine(dynoxide_client)
    with through(engine, Fault.lost) as (logs, seen):
        assert logs.append("me", small(7), NOON, batch_id) is True
        assert seen.total() == 3  # the write twice, and the look at the watermark
    assert durations(engine.logs.since("me")) == [7]


def test_a_batch_whose_answers_are_all_lost_is_a_duplicate_later(dynoxide_client: DynamoDBClient) -> None:
    """The caller is told to try again; when it does, the batch is known and stored once."""
    engine = Engine(dynoxide_client)
    with through(engine, Fault.lost, Fault.lost) as (logs, seen):
        with pytest.raises(Unavailable):
            logs.append("me", small(7), NOON, "b")
        assert logs.append("me", small(7), NOON + SECOND, "b") is False
        assert seen.total() == 4
    assert durations(engine.logs.since("me")) == [7]


def test_a_token_that_is_replayed_is_applied_once(dynoxide_client: DynamoDBClient) -> None:
    """DynamoDB answers the same transaction under the same token with success, without applying it again."""
    engine = Engine(dynoxide_client)
    add: Any = {
        "TableName": engine.logs_table,
        "Key": {"api_key": {"S": "me"}, "timestamp": {"S": "n"}},
        "UpdateExpression": "ADD n :one",
        "ExpressionAttributeValues": {":one": {"N": "1"}},
    }
    for _ in range(2):
        engine.client.transact_write_items(TransactItems=[{"Update": add}], ClientRequestToken="once")
    assert engine.client.get_item(TableName=engine.logs_table, Key=add["Key"])["Item"]["n"] == {"N": "1"}


def test_reading_sees_what_was_just_written(stubbed: tuple[LogTable, Stubber]) -> None:
    """Reads are strongly consistent: no engine here would show it otherwise, so the call itself is looked at."""
    logs, stub = stubbed
    asked = dict.fromkeys(("TableName", "KeyConditionExpression", "ProjectionExpression"), ANY)
    asked |= dict.fromkeys(("ExpressionAttributeNames", "ExpressionAttributeValues", "ScanIndexForward"), ANY)
    for read in (logs.since, partial(logs.newest, now=NOON)):
        stub.add_response("query", {"Items": []}, asked | {"ConsistentRead": True})
        assert list(read("me")) == []


CODES = (
    "InternalServerError",
    "ProvisionedThroughputExceededException",
    "RequestLimitExceeded",
    "ServiceUnavailable",
    "ThrottlingException",
    "TransactionInProgressException",
)


@pytest.mark.parametrize("code", CODES)
@pytest.mark.parametrize("operation", ["put_item", "transact_write_items", "query"])
def test_a_busy_table_is_unavailable(stubbed: tuple[LogTable, Stubber], operation: str, code: str) -> None:
    """Every code by which DynamoDB says "later" becomes Unavailable, for writing and for reading."""
    logs, stub = stubbed
    stub.add_client_error(operation, code, "slow down", 400)
    with pytest.raises(Unavailable) as refusal:
        call(logs, operation)
    assert (refusal.value.status, refusal.value.headers) == (503, {"Retry-After": "2"})
    assert isinstance(refusal.value.__cause__, ClientError)


@pytest.mark.parametrize("code", ["TransactionConflict", "ThrottlingError", "ProvisionedThroughputExceeded"])
def test_a_transaction_in_the_way_of_another_is_unavailable(stubbed: tuple[LogTable, Stubber], code: str) -> None:
    """A transaction cancelled for a reason that will pass becomes Unavailable, not "duplicate"."""
    logs, stub = stubbed
    stub.add_client_error("transact_write_items", "TransactionCanceledException", modeled_fields=reasons("None", code))
    with pytest.raises(Unavailable):
        logs.append("me", small(), NOON, "b")


def test_a_transaction_refused_by_the_mark_is_a_duplicate(stubbed: tuple[LogTable, Stubber]) -> None:
    """Only the failed condition says that the batch is there already."""
    logs, stub = stubbed
    fields = reasons("None", "ConditionalCheckFailed")
    stub.add_client_error("transact_write_items", "TransactionCanceledException", modeled_fields=fields)
    assert logs.append("me", small(), NOON, "b") is False


@pytest.mark.parametrize("code", ["ResourceNotFoundException", "AccessDeniedException", "ValidationException"])
@pytest.mark.parametrize("operation", ["put_item", "transact_write_items", "query"])
def test_a_mistake_of_ours_is_not_a_busy_table(stubbed: tuple[LogTable, Stubber], operation: str, code: str) -> None:
    """Trying again would not help: the error travels on as it is."""
    logs, stub = stubbed
    stub.add_client_error(operation, code, "no", 400)
    with pytest.raises(ClientError, match=code):
        call(logs, operation)


@pytest.mark.parametrize(
    "fault",
    [
        pytest.param(Fault.lost, id="connection ends"),
        pytest.param((503, b"<html>Service Unavailable</html>"), id="503 without a code"),
        pytest.param((500, b""), id="500 without a body"),
        pytest.param((400, b'{"__type":"com.amazonaws.dynamodb.v20120810#ThrottlingException"}'), id="throttled"),
    ],
)
def test_a_table_that_does_not_answer_is_unavailable(fault: Met) -> None:
    """What a connection can do to us, over real sockets."""
    with Storm("http://127.0.0.1:9", lambda _: fault) as storm, pytest.raises(Unavailable):
        call(LogTable(impatient(storm.url), "logs"), "put_item")


def test_nobody_listening_is_unavailable() -> None:
    """A refused connection is the same to the caller as a busy table."""
    with Storm("http://127.0.0.1:9", InTurn()) as gone:
        pass
    with pytest.raises(Unavailable):
        call(LogTable(impatient(gone.url), "logs"), "query")


def test_an_answer_that_takes_too_long_is_unavailable() -> None:
    """A socket that accepts and never speaks is given up."""
    with socket.socket() as silent:
        silent.bind(("127.0.0.1", 0))
        silent.listen()
        with pytest.raises(Unavailable):
            call(LogTable(impatient(f"http://127.0.0.1:{silent.getsockname()[1]}"), "logs"), "transact_write_items")


@pytest.fixture
def stubbed() -> Iterator[tuple[LogTable, Stubber]]:
    """A table whose answers a test scripts."""
    client = impatient("http://127.0.0.1:9")
    with Stubber(client) as stub:
        yield LogTable(client, "logs"), stub
        stub.assert_no_pending_responses()
    client.close()


def call(logs: LogTable, operation: str) -> None:
    """Do what makes the store call this operation."""
    if operation == "query":
        list(logs.since("me"))
    else:
        logs.append("me", small(), NOON, "b" if operation == "transact_write_items" else None)


def impatient(url: str) -> DynamoDBClient:
    """A client that gives up at once."""
    config = Config(connect_timeout=1, read_timeout=0.2, retries={"total_max_attempts": 1})
    return boto3.client("dynamodb", endpoint_url=url, config=config)


@contextmanager
def through(engine: Engine, *faults: Met) -> Iterator[tuple[LogTable, Counter[Met]]]:
    """The engine's logs as our own client reaches them, when its first requests meet faults; and what requests met."""
    line = Storm(engine.client.meta.endpoint_url, InTurn(*faults))
    with line, pytest.MonkeyPatch.context() as environment:
        environment.setenv("AWS_ENDPOINT_URL_DYNAMODB", line.url)
        client = connect()
        yield LogTable(client, engine.logs_table), line.seen
        client.close()


def reasons(*codes: str) -> dict[str, Any]:
    """DynamoDB's answer to a cancelled transaction, with a code for each of its writes."""
    return {"CancellationReasons": [{"Code": code} for code in codes]}


def unpacked(batch: Batch) -> Batch:
    """A batch as reading gives it: equal to what was written, in the types of the packed form."""
    return Batch.unpack(batch.pack())


def paths(*batches: Batch) -> list[str | None]:
    """The raw path of each log."""
    return [
        batch.texts["path"].at(position) for batch in batches if "path" in batch.texts for position in range(len(batch))
    ]
