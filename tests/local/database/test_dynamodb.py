"""The database over HTTP, and what of it is kept."""

from __future__ import annotations

import json
import os
import resource
import signal
import sys
import threading
import time
from concurrent.futures import ThreadPoolExecutor
from contextlib import suppress
from typing import TYPE_CHECKING, Any

import botocore.exceptions
import httpx
import pytest

from local.database.dynamodb import DatabaseServer
from local.database.journal import JournalError
from local.database.tables import TablesError, create_missing
from local.database.wsgi import Database
from local.template import Table, read
from tests.local.conftest import STACK, Local

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

    from mypy_boto3_dynamodb import DynamoDBClient

PAIR = Table(
    name="Pair",
    create={
        "TableName": "Pair",
        "BillingMode": "PAY_PER_REQUEST",
        "AttributeDefinitions": [{"AttributeName": name, "AttributeType": "S"} for name in ("pk", "sk")],
        "KeySchema": [{"AttributeName": "pk", "KeyType": "HASH"}, {"AttributeName": "sk", "KeyType": "RANGE"}],
    },
    ttl_attribute="ttl",
)
BLOB = os.urandom(2000)


def both(client: DynamoDBClient, number: int) -> None:
    """Store a batch and the mark of its id in one transaction, as the service does."""
    put: list[Any] = [
        {
            "Put": {
                "TableName": "Pair",
                "Item": {"pk": {"S": "p"}, "sk": {"S": f"{kind}#{number:08}"}, "blob": {"B": BLOB}},
                "ConditionExpression": "attribute_not_exists(pk)",
            }
        }
        for kind in ("L", "B")
    ]
    client.transact_write_items(TransactItems=put)


def sort_keys(client: DynamoDBClient, kind: str) -> list[str]:
    """The sort keys of one kind, over all pages."""
    pages = client.get_paginator("query").paginate(
        TableName="Pair",
        KeyConditionExpression="pk = :p AND begins_with(sk, :k)",
        ExpressionAttributeValues={":p": {"S": "p"}, ":k": {"S": kind}},
    )
    return [item["sk"]["S"] for page in pages for item in page["Items"]]


def test_kept_across_a_stop(tmp_path: Path, connect: Callable[[str], DynamoDBClient]) -> None:
    """Every kind of write, tables and their time to live are there again after a stop and a start."""
    with DatabaseServer(folder=tmp_path) as server:
        assert create_missing([PAIR, *read(STACK).tables], server.url) == ["Pair", "Items"]
        assert create_missing([PAIR], server.url) == []
        client = connect(server.url)
        both(client, 1)
        both(client, 2)
        items: list[Any] = [{"PutRequest": {"Item": {"pk": {"S": "q"}, "sk": {"S": str(n)}}}} for n in range(25)]
        client.batch_write_item(RequestItems={"Pair": items})
        client.delete_item(TableName="Pair", Key={"pk": {"S": "q"}, "sk": {"S": "7"}})
        client.update_item(
            TableName="Items",
            Key={"id": {"S": "x"}},
            UpdateExpression="ADD n :one SET t = :t",
            ExpressionAttributeValues={":one": {"N": "1"}, ":t": {"L": [{"B": b"\xff"}]}},
        )
        client.put_item(TableName="Items", Item={"id": {"S": "gone"}})
        client.delete_item(TableName="Items", Key={"id": {"S": "gone"}})
    with DatabaseServer(folder=tmp_path) as server:
        client = connect(server.url)
        assert sorted(client.list_tables()["TableNames"]) == ["Items", "Pair"]
        assert client.describe_time_to_live(TableName="Pair")["TimeToLiveDescription"] == {
            "TimeToLiveStatus": "ENABLED",
            "AttributeName": "ttl",
        }
        assert [sort_keys(client, "L"), sort_keys(client, "B")] == [
            ["L#00000001", "L#00000002"],
            ["B#00000001", "B#00000002"],
        ]
        assert client.scan(TableName="Items")["Items"] == [
            {"id": {"S": "x"}, "n": {"N": "1"}, "t": {"L": [{"B": b"\xff"}]}}
        ]
        found = client.query(
            TableName="Pair", KeyConditionExpression="pk = :q", ExpressionAttributeValues={":q": {"S": "q"}}
        )
        assert {item["sk"]["S"] for item in found["Items"]} == {str(n) for n in range(25)} - {"7"}


def test_acknowledged_survives_kill_9(
    tmp_path: Path, start: Callable[..., Local], connect: Callable[[str], DynamoDBClient]
) -> None:
    """After kill -9 in the midst of writes everything acknowledged is there, and no half of a transaction."""
    files = ("--port", 0, "--data", tmp_path, "--template", STACK)
    running = start("dynamodb", *files)
    client = connect(running.url)
    create_missing([PAIR], running.url)
    acknowledged: list[int] = []
    enough, numbers = threading.Event(), iter(range(100_000))

    def write() -> None:
        with suppress(botocore.exceptions.BotoCoreError, botocore.exceptions.ClientError):  # the kill
            while True:
                number = next(numbers)
                both(client, number)
                acknowledged.append(number)
                if len(acknowledged) >= 120:
                    enough.set()

    writers = [threading.Thread(target=write) for _ in range(4)]
    for writer in writers:
        writer.start()
    assert enough.wait(120)
    assert running.stop(signal.SIGKILL) == -signal.SIGKILL
    for writer in writers:
        writer.join(120)
    again = start("dynamodb", *files)
    client = connect(again.url)
    batches, marks = ({int(key[2:]) for key in sort_keys(client, kind)} for kind in ("L", "B"))
    assert set(acknowledged) - batches == set()
    assert batches == marks
    assert len(batches - set(acknowledged)) <= 4  # done but not yet answered when the kill came: one a writer
    assert again.stop() == 0


def test_refused_write_is_not_kept(tmp_path: Path, connect: Callable[[str], DynamoDBClient]) -> None:
    """A transaction refused by a condition leaves nothing, neither at once nor after a start."""
    for _ in range(2):
        with DatabaseServer(folder=tmp_path) as server:
            client = connect(server.url)
            if create_missing([PAIR], server.url):
                both(client, 1)
                client.delete_item(TableName="Pair", Key={"pk": {"S": "p"}, "sk": {"S": "L#00000001"}})
            with pytest.raises(client.exceptions.TransactionCanceledException):
                both(client, 1)  # B# is there still
            assert [sort_keys(client, "L"), sort_keys(client, "B")] == [[], ["B#00000001"]]


def test_full_disk_is_an_error_and_nothing_changes(tmp_path: Path) -> None:
    """A write that the journal cannot take is answered 500 and undone in memory too; the next one works again."""
    database = Database(tmp_path)
    database.call("CreateTable", json.dumps(PAIR.create).encode())

    def put(text: str) -> int:
        body = {"TableName": "Pair", "Item": {"pk": {"S": "p"}, "sk": {"S": "1"}, "t": {"S": text}}}
        return database.call("PutItem", json.dumps(body).encode())[0]

    def get() -> Any:
        key = {"TableName": "Pair", "Key": {"pk": {"S": "p"}, "sk": {"S": "1"}}}
        return json.loads(database.call("GetItem", json.dumps(key).encode())[1])["Item"]["t"]["S"]

    assert put("old") == 200
    limits = resource.getrlimit(resource.RLIMIT_FSIZE)
    resource.setrlimit(resource.RLIMIT_FSIZE, ((tmp_path / "journal.jsonl").stat().st_size + 10, limits[1]))
    try:
        assert (put("new"), get()) == (500, "old")
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, limits)
    assert (put("newer"), get()) == (200, "newer")
    database.close()


def test_failed_compaction_loses_nothing(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """When the journal cannot be written anew that is said, and the old one, whole, is read at the next start."""
    database = Database(tmp_path)
    database.call("CreateTable", json.dumps(PAIR.create).encode())
    database.call("PutItem", json.dumps({"TableName": "Pair", "Item": {"pk": {"S": "p"}, "sk": {"S": "1"}}}).encode())
    (tmp_path / "journal.new").mkdir()  # in the way
    database.close()
    assert "the journal could not be written anew, the old one goes on" in capsys.readouterr().err
    with pytest.raises(JournalError, match=r"journal\.new: Is a directory"):
        Database(tmp_path)
    (tmp_path / "journal.new").rmdir()
    database = Database(tmp_path)
    assert json.loads(database.call("Scan", b'{"TableName": "Pair"}')[1])["Count"] == 1
    database.close()


def test_expired_items_are_left_out(tmp_path: Path) -> None:
    """A start and a stop leave out items whose time to live is over, and only those."""
    now = time.time()
    for expected in (4, 3):
        database = Database(tmp_path, clock=lambda: now)
        if expected == 4:
            database.call("CreateTable", json.dumps(PAIR.create).encode())
            ttl = {"TableName": "Pair", "TimeToLiveSpecification": {"Enabled": True, "AttributeName": "ttl"}}
            database.call("UpdateTimeToLive", json.dumps(ttl).encode())
            for number, left in enumerate((-1, 1, 1000)):
                item = {"pk": {"S": "p"}, "sk": {"S": str(number)}, "ttl": {"N": str(int(now) + left)}}
                database.call("PutItem", json.dumps({"TableName": "Pair", "Item": item}).encode())
            item = {"pk": {"S": "p"}, "sk": {"S": "no ttl"}}
            database.call("PutItem", json.dumps({"TableName": "Pair", "Item": item}).encode())
        scan = json.loads(database.call("Scan", b'{"TableName": "Pair"}')[1])
        assert scan["Count"] == expected
        database.close()


def test_many_at_once() -> None:
    """Counters added to by eight threads lose nothing while they also put to and query the same table."""
    database = Database()
    database.call("CreateTable", json.dumps(PAIR.create).encode())

    def call(operation: str, **body: Any) -> Any:
        status, answer = database.call(operation, json.dumps({"TableName": "Pair", **body}).encode())
        assert status == 200, answer
        return json.loads(answer)

    def add(number: int) -> None:
        key = {"pk": {"S": "p"}, "sk": {"S": "count"}}
        one = {":one": {"N": "1"}}
        call("UpdateItem", Key=key, UpdateExpression="ADD n :one", ExpressionAttributeValues=one)
        call("PutItem", Item={"pk": {"S": "p"}, "sk": {"S": f"L#{number}"}})
        call("Query", KeyConditionExpression="pk = :p", ExpressionAttributeValues={":p": {"S": "p"}})

    interval = sys.getswitchinterval()
    sys.setswitchinterval(1e-6)  # s; threads change places all the time, so that what can go wrong does
    try:
        with ThreadPoolExecutor(8) as threads:
            list(threads.map(add, range(120)))
    finally:
        sys.setswitchinterval(interval)
    items = call("Query", KeyConditionExpression="pk = :p", ExpressionAttributeValues={":p": {"S": "p"}})["Items"]
    assert len(items) == 121
    assert [item["n"] for item in items if item["sk"]["S"] == "count"] == [{"N": "120"}]


def test_transactions_cost_the_same_in_a_full_table() -> None:
    """A transaction in a table of 4,000 items takes about as long as in an empty one: moto copies only its items."""
    database = Database()
    database.call("CreateTable", json.dumps(PAIR.create).encode())
    numbers = iter(range(1000))

    def transact() -> float:
        started = time.thread_time()
        for number in (next(numbers) for _ in range(20)):
            put = {"TableName": "Pair", "Item": {"pk": {"S": "p"}, "sk": {"S": f"B#{number}"}}}
            assert database.call("TransactWriteItems", json.dumps({"TransactItems": [{"Put": put}]}).encode())[0] == 200
        return time.thread_time() - started

    transact()
    empty = transact()
    for batch in range(0, 4000, 25):
        items = [{"PutRequest": {"Item": {"pk": {"S": "q"}, "sk": {"S": str(batch + n)}}}} for n in range(25)]
        assert database.call("BatchWriteItem", json.dumps({"RequestItems": {"Pair": items}}).encode())[0] == 200
    assert transact() < 10 * empty


def test_a_transaction_is_done_once_under_its_token() -> None:
    """Asked for again within ten minutes it is good and not done; later, done; for something else, refused."""
    now = time.time()
    database = Database(clock=lambda: now)
    database.call("CreateTable", json.dumps(PAIR.create).encode())

    def add(token: str | None, number: int = 1) -> int:
        update = {
            "TableName": "Pair",
            "Key": {"pk": {"S": "p"}, "sk": {"S": "count"}},
            "UpdateExpression": "ADD n :n",
            "ExpressionAttributeValues": {":n": {"N": str(number)}},
        }
        body = {"TransactItems": [{"Update": update}]} | ({"ClientRequestToken": token} if token else {})
        status, answer = database.call("TransactWriteItems", json.dumps(body).encode())
        assert status == 200 or b"#IdempotentParameterMismatchException" in answer
        return status

    def count() -> str:
        return str(json.loads(database.call("Scan", b'{"TableName": "Pair"}')[1])["Items"][0]["n"]["N"])

    assert [add("a"), add("a"), add("b"), add("a", 7), count()] == [200, 200, 200, 400, "2"]
    now += 599
    assert [add("a"), count()] == [200, "2"]
    now += 1
    assert [add("a"), add(None), add(None), count()] == [200, 200, 200, "5"]


def test_a_refused_transaction_does_not_use_up_its_token() -> None:
    """Only what was done is remembered: a condition that did not hold may hold the next time."""
    database = Database()
    database.call("CreateTable", json.dumps(PAIR.create).encode())
    put = {"TableName": "Pair", "Item": {"pk": {"S": "p"}, "sk": {"S": "1"}}}
    once: dict[str, Any] = {"Put": put | {"ConditionExpression": "attribute_not_exists(pk)"}}
    body = json.dumps({"TransactItems": [once], "ClientRequestToken": "t"}).encode()
    database.call("PutItem", json.dumps(put).encode())
    assert database.call("TransactWriteItems", body)[0] == 400
    database.call("DeleteItem", json.dumps({"TableName": "Pair", "Key": put["Item"]}).encode())
    assert database.call("TransactWriteItems", body)[0] == 200


def test_no_page_of_a_browser_gets_in() -> None:
    """A request that names a web page's origin is refused, as is one that is no DynamoDB call."""
    target = {"X-Amz-Target": "DynamoDB_20120810.ListTables"}
    with DatabaseServer() as server:
        for headers, status in ((target, 200), (target | {"Origin": "http://example.org"}, 400), ({}, 400)):
            assert httpx.post(server.url, content=b"{}", headers=headers, trust_env=False).status_code == status


def test_table_with_another_key_is_refused() -> None:
    """A table of the right name but the wrong key is an error in one sentence, not used."""
    with DatabaseServer() as server:
        create_missing([PAIR], server.url)
        other = Table("Pair", read(STACK).tables[0].create | {"TableName": "Pair"}, None)
        with pytest.raises(TablesError, match=r"the table Pair in http://.* has another key than the template's"):
            create_missing([other], server.url)


@pytest.fixture(autouse=True)
def own_credentials(monkeypatch: pytest.MonkeyPatch) -> None:
    """Made-up credentials, as the service sets them."""
    for name in ("AWS_ACCESS_KEY_ID", "AWS_SECRET_ACCESS_KEY"):
        monkeypatch.setenv(name, "local")
    monkeypatch.setenv("AWS_DEFAULT_REGION", "us-east-1")
