"""What is relied upon of moto's insides."""

from __future__ import annotations

import base64
import gc
import json
from typing import TYPE_CHECKING, Any

import pytest
from moto.core.request import Request
from moto.dynamodb.models.dynamo_type import Item
from moto.dynamodb.responses import DynamoHandler

from local.database import engine as module
from local.database.engine import Engine

if TYPE_CHECKING:
    from collections.abc import Iterator

TABLE = {
    "TableName": "t",
    "BillingMode": "PAY_PER_REQUEST",
    "AttributeDefinitions": [{"AttributeName": name, "AttributeType": "S"} for name in ("pk", "sk")],
    "KeySchema": [{"AttributeName": "pk", "KeyType": "HASH"}, {"AttributeName": "sk", "KeyType": "RANGE"}],
}
BYTES = {"B": base64.b64encode(b"\x00\xff").decode()}
EVERY_TYPE: dict[str, Any] = {
    "pk": {"S": "p"},
    "sk": {"S": "ü"},
    "n": {"N": "1.50"},
    "b": BYTES,
    "yes": {"BOOL": True},
    "none": {"NULL": True},
    "ss": {"SS": ["a", "b"]},
    "ns": {"NS": ["1", "2"]},
    "bs": {"BS": [BYTES["B"]]},
    "list": {"L": [BYTES, {"M": {"deep": {"L": [{"N": "2"}]}}}]},
    "map": {"M": {"b": BYTES, "s": {"S": ""}}},
}


def item(sk: str, **more: Any) -> dict[str, Any]:
    """An item of partition p."""
    return {"pk": {"S": "p"}, "sk": {"S": sk}, **more}


@pytest.fixture
def engine() -> Iterator[Engine]:
    """An engine with one empty table."""
    made = Engine()
    made.clear()
    assert call(made, "CreateTable", **TABLE)[0] == 200
    yield made
    made.clear()


def call(engine: Engine, operation: str, **body: Any) -> tuple[int, dict[str, Any]]:
    """Do an operation with values."""
    status, answer = engine.call(operation, json.dumps(body).encode())
    return status, json.loads(answer)


def test_binary_keys_are_found(engine: Engine) -> None:
    """Items of a table whose key is binary are found, replaced and removed."""
    binary = {"AttributeName": "k", "AttributeType": "B"}
    schema = {"AttributeDefinitions": [binary], "KeySchema": [{"AttributeName": "k", "KeyType": "HASH"}]}
    call(engine, "CreateTable", TableName="blobs", BillingMode="PAY_PER_REQUEST", **schema)
    call(engine, "PutItem", TableName="blobs", Item={"k": BYTES})
    assert engine.get("blobs", {"k": BYTES}) == {"k": BYTES}
    engine.put("blobs", {"k": BYTES, "n": {"N": "1"}})
    assert list(engine.items("blobs")) == [{"k": BYTES, "n": {"N": "1"}}]
    engine.delete("blobs", {"k": BYTES})
    assert list(engine.items("blobs")) == []


def test_every_type_survives(engine: Engine) -> None:
    """An item of every type is the same when got over the wire, read out, and put into an empty table."""
    call(engine, "PutItem", TableName="t", Item=EVERY_TYPE)
    key = engine.key("t", EVERY_TYPE)
    assert key == {"pk": {"S": "p"}, "sk": {"S": "ü"}}
    assert engine.get("t", key) == EVERY_TYPE
    assert list(engine.items("t")) == [EVERY_TYPE]
    engine.delete("t", key)
    assert (engine.get("t", key), list(engine.items("t"))) == (None, [])
    engine.put("t", EVERY_TYPE)
    assert call(engine, "GetItem", TableName="t", Key=key) == (200, {"Item": EVERY_TYPE})


def test_an_item_put_back_is_held_as_before(engine: Engine) -> None:
    """An item read out and put again is to moto just what a PutItem request had made it, binary values included."""
    call(engine, "PutItem", TableName="t", Item=EVERY_TYPE)
    values = {
        "ConditionExpression": "b = :b AND contains(bs, :b) AND #l = :l AND #m = :m",
        "ExpressionAttributeNames": {"#l": "list", "#m": "map"},
        "ExpressionAttributeValues": {":b": BYTES, ":l": EVERY_TYPE["list"], ":m": EVERY_TYPE["map"]},
    }
    assert call(engine, "PutItem", TableName="t", Item=EVERY_TYPE, **values)[0] == 200
    engine.put("t", EVERY_TYPE)
    assert call(engine, "PutItem", TableName="t", Item=EVERY_TYPE, **values)[0] == 200


def test_answers_are_those_of_moto(engine: Engine) -> None:
    """Answers that skip moto's serialiser are what moto itself answers."""
    asked: list[tuple[str, dict[str, Any]]] = [
        ("GetItem", {"TableName": "t", "Key": item("ü")}),
        ("GetItem", {"TableName": "t", "Key": item("nothing")}),
        ("BatchGetItem", {"RequestItems": {"t": {"Keys": [item("1"), item("2")]}}}),
        (
            "Query",
            {
                "TableName": "t",
                "KeyConditionExpression": "pk = :p AND sk > :s",
                "ExpressionAttributeValues": {":p": {"S": "p"}, ":s": {"S": "1"}},
                "Limit": 2,
                "ReturnConsumedCapacity": "TOTAL",
            },
        ),
    ]
    assert {operation for operation, _ in asked} == set(module.ITEM_CALLS)
    for operation, body in asked:
        answers = []
        for ask in (engine.call, plain_moto):
            for sk in ("ü", "0", "1", "2", "3", "4"):
                engine.put("t", EVERY_TYPE | item(sk))
            status, answer = ask(operation, json.dumps(body).encode())
            answers.append((status, json.loads(answer)))
        assert answers[0] == answers[1]
        assert answers[0][0] == 200


def plain_moto(operation: str, body: bytes) -> tuple[int, str]:
    """The same operation on the same tables, by moto's own handler."""
    headers = {
        "Host": "dynamodb.us-east-1.amazonaws.com",
        "Content-Type": "application/x-amz-json-1.0",
        "Authorization": module.SIGNED,
        "X-Amz-Target": f"DynamoDB_20120810.{operation}",
    }
    url = "http://dynamodb.us-east-1.amazonaws.com/"
    request = Request.from_primitives("POST", url, headers, body)
    status, _, answer = DynamoHandler.dispatch(request, url, headers)
    return int(status), str(answer)


def test_presorting_leaves_the_order_to_moto(engine: Engine) -> None:
    """A Query answers in the order of its key's type, and pages on from its last key, whatever order items came in."""
    number = {"AttributeName": "n", "AttributeType": "N"}
    call(
        engine,
        "CreateTable",
        TableName="numbers",
        BillingMode="PAY_PER_REQUEST",
        AttributeDefinitions=[{"AttributeName": "pk", "AttributeType": "S"}, number],
        KeySchema=[{"AttributeName": "pk", "KeyType": "HASH"}, {"AttributeName": "n", "KeyType": "RANGE"}],
    )
    for value in (10, 9, 100, -1):
        for partition in ("p", "other"):
            engine.put("numbers", {"pk": {"S": partition}, "n": {"N": str(value)}})
    query: dict[str, Any] = {
        "TableName": "numbers",
        "KeyConditionExpression": "pk = :p",
        "ExpressionAttributeValues": {":p": {"S": "p"}},
        "Limit": 3,
    }
    engine.presort("numbers")
    first = call(engine, "Query", **query)[1]
    rest = call(engine, "Query", **query, ExclusiveStartKey=first["LastEvaluatedKey"])[1]
    assert [item["n"]["N"] for item in first["Items"] + rest["Items"]] == ["-1", "9", "10", "100"]


def test_errors_are_those_of_dynamodb(engine: Engine) -> None:
    """A refused condition and a missing table come with DynamoDB's status and error type."""
    engine.put("t", item("1"))
    condition = {"ConditionExpression": "attribute_not_exists(pk)"}
    status, answer = call(engine, "PutItem", TableName="t", Item=item("1"), **condition)
    assert (status, answer["__type"].rpartition("#")[2]) == (400, "ConditionalCheckFailedException")
    status, answer = call(engine, "GetItem", TableName="none", Key=item("1"))
    assert (status, answer["__type"].rpartition("#")[2]) == (400, "ResourceNotFoundException")


def test_transaction_sees_and_changes_only_its_items(engine: Engine) -> None:
    """Within `only` a transaction works as ever: done whole, or refused whole, and no other item is lost."""
    others = [item(str(number), n={"N": "1"}) for number in range(10)]
    for other in others:
        engine.put("t", other)

    def transact(*parts: dict[str, Any]) -> int:
        keys = [("t", next(iter(part.values())).get("Item") or next(iter(part.values()))["Key"]) for part in parts]
        with engine.only([(table, engine.key(table, key) or {}) for table, key in keys]):
            return call(engine, "TransactWriteItems", TransactItems=list(parts))[0]

    def put(sk: str) -> dict[str, Any]:
        return {"Put": {"TableName": "t", "Item": item(sk), "ConditionExpression": "attribute_not_exists(pk)"}}

    add = {
        "TableName": "t",
        "Key": item("1"),
        "UpdateExpression": "ADD n :one",
        "ExpressionAttributeValues": {":one": {"N": "1"}},
    }
    assert transact(put("new"), {"Update": add}, {"Delete": {"TableName": "t", "Key": item("2")}}) == 200
    after = [item("1", n={"N": "2"}) if other["sk"]["S"] == "1" else other for other in others]
    after = [other for other in after if other["sk"]["S"] != "2"]
    assert sorted(engine.items("t"), key=str) == sorted([*after, item("new")], key=str)
    assert transact({"Update": add}, {"Delete": {"TableName": "t", "Key": item("3")}}, put("new")) == 400
    assert sorted(engine.items("t"), key=str) == sorted([*after, item("new")], key=str)


def test_nothing_of_a_call_is_kept(engine: Engine) -> None:
    """However often items are read, overwritten and transacted, there are as many in memory as in the table."""

    def items() -> int:
        gc.collect()
        return sum(isinstance(each, Item) for each in gc.get_objects())

    before = items()
    for sk in "abc" * 3:
        call(engine, "PutItem", TableName="t", Item=item(sk))
        put = {"Put": {"TableName": "t", "Item": item(f"{sk}{sk}")}}
        assert call(engine, "TransactWriteItems", TransactItems=[put])[0] == 200
        values = {":p": {"S": "p"}}
        call(engine, "Query", TableName="t", KeyConditionExpression="pk = :p", ExpressionAttributeValues=values)
    assert items() == before + 6
