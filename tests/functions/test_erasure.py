"""DELETE /key?data=true, through the front door: nothing is left of a stream, whatever comes meanwhile."""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING, Any

import pytest

from analytics import api_key
from analytics.store import KeyTable
from analytics.web import Service
from functions.dashboard.app import fold_on_schedule
from tests.conftest import SETTINGS, Api, Clock
from tests.functions.wire import UNAUTHORIZED, batch, log, send

if TYPE_CHECKING:
    from mypy_boto3_dynamodb import DynamoDBClient

GRACE = 90  # s
DAY = 86_400  # s


def erase(api: Api, secret: str | None = None) -> Any:
    """The answer to one call."""
    return api.request("DELETE", "/key?data=true", headers={"X-API-Key": secret or api.key})


def left(client: DynamoDBClient) -> dict[str, int]:
    """How many items each table holds."""
    return {name: client.scan(TableName=name)["Count"] for name in (SETTINGS.logs_table, SETTINGS.keys_table)}


def everything(client: DynamoDBClient) -> str:
    """All that the tables hold, as text."""
    return str([client.scan(TableName=name)["Items"] for name in (SETTINGS.logs_table, SETTINGS.keys_table)])


def stream_of(client: DynamoDBClient, secret: str) -> str:
    """The stream that a key opens."""
    found = client.get_item(TableName=SETTINGS.keys_table, Key={"key_hash": {"S": api_key.hashed(secret)}})
    return found["Item"]["stream"]["S"]


def test_nothing_is_left_in_any_table(api: Api, service: Service, dynamodb: DynamoDBClient, clock: Clock) -> None:
    """Logs, marks of batches, stored summaries, counts of calls, and all keys; another stream keeps all of its own."""
    service = replace(service, settings=replace(SETTINGS, daily_quota=50))
    api, other = Api(service), api
    send(other, log(), batch_id="theirs")
    untouched = everything(dynamodb)
    assert untouched.count("stream#") == 2
    for scope in ("full", "read", "write"):
        api.post("/generate_key", json={"scope": scope, "name": scope})
    api.key = api.post("/rotate_key", json={"grace_seconds": 60}).json()["api_key"]
    for day in range(3):
        send(api, log(), log(), batch_id=f"b{day}")
        api.post("/track", json=log(ip="nobody"))
        clock.advance(DAY)
        assert api.get("/dashboard").status_code == 200
        api.key = api.post("/rotate_key", json={"grace_seconds": 0}).json()["api_key"]
    stream = stream_of(dynamodb, api.key)
    held = [item["timestamp"]["S"][:2] for item in dynamodb.scan(TableName=SETTINGS.logs_table)["Items"]]
    assert {"L#", "B#", "R#"} <= set(held)
    assert "quota#" in everything(dynamodb)
    first = erase(api)
    assert (first.status_code, first.json()) == (202, {"deleted": len(held) - 2, "complete": False})
    assert first.headers["retry-after"] == str(GRACE)
    assert first.headers["cache-control"] == "no-store"
    clock.advance(GRACE)
    last = erase(api)
    assert (last.status_code, last.json()) == (200, {"deleted": len(held) - 2, "complete": True})
    assert stream not in everything(dynamodb)
    assert left(dynamodb) == {SETTINGS.logs_table: 2, SETTINGS.keys_table: 2}  # theirs
    assert len(other.get("/raw_logs").json()) == 1
    gone = erase(api)
    assert (gone.status_code, gone.json()) == (401, UNAUTHORIZED)


def test_a_key_whose_data_is_being_erased_does_nothing_else(api: Api, clock: Clock) -> None:
    """At once where keys are managed, within 30 s elsewhere; the other keys are gone."""
    other = {"X-API-Key": api.post("/generate_key").json()["api_key"]}
    assert api.get("/raw_logs").status_code == 200
    assert erase(api).status_code == 202
    for answer in (
        api.get("/keys"),
        api.post("/rotate_key"),
        api.post("/generate_key"),
        api.get("/keys", headers=other),
    ):
        assert (answer.status_code, answer.json()) == (401, UNAUTHORIZED)
    revoked = api.request("DELETE", "/key", headers={"X-API-Key": api.key})
    assert (revoked.status_code, revoked.json()) == (401, UNAUTHORIZED)
    assert erase(api, other["X-API-Key"]).status_code == 401
    clock.advance(30)
    for answer in (api.get("/raw_logs"), api.get("/dashboard"), api.post("/track", json=log())):
        assert (answer.status_code, answer.json()) == (401, UNAUTHORIZED)
    clock.advance(GRACE - 30)
    assert erase(api).json() == {"deleted": 0, "complete": True}


@pytest.mark.parametrize("late", [0, 29.9, 30, 59, 89.9])
def test_a_batch_that_was_still_under_way_is_erased_too(
    api: Api, service: Service, dynamodb: DynamoDBClient, clock: Clock, late: float
) -> None:
    """A function that had read the key, or was stopped while it wrote, may store until the grace is over."""
    send(api, log())
    elsewhere = Api(replace(service, keys=KeyTable(dynamodb, SETTINGS.keys_table)))
    elsewhere.key = api.key
    stream = stream_of(dynamodb, api.key)
    assert elsewhere.get("/raw_logs").status_code == 200
    assert erase(api).json() == {"deleted": 2, "complete": False}
    clock.advance(late)
    if late < 30:
        send(elsewhere, log(), batch_id="late")
        assert api.post("/track", json=log()).status_code == 401
    else:
        assert elsewhere.post("/track", json=log()).status_code == 401
        dynamodb.put_item(TableName=SETTINGS.logs_table, Item={"api_key": {"S": stream}, "timestamp": {"S": "B#late"}})
    clock.advance(GRACE - late)
    answer = erase(api)
    assert answer.json() == {"deleted": 4 if late < 30 else 3, "complete": True}
    assert stream not in everything(dynamodb)
    assert left(dynamodb)[SETTINGS.logs_table] == 0


def test_the_scheduled_fold_leaves_a_stream_under_erasure_alone(
    api: Api, service: Service, dynamodb: DynamoDBClient, clock: Clock
) -> None:
    """It would store a summary of what is to be forgotten."""
    elsewhere = Api(replace(service, keys=KeyTable(dynamodb, SETTINGS.keys_table)))
    elsewhere.key = api.key
    send(elsewhere, log())
    erase(api)
    send(elsewhere, log(), batch_id="late")
    clock.advance(80)
    assert fold_on_schedule(service)["folded"] == 1  # the stream that the other sign-up made
    held = [item["timestamp"]["S"][:2] for item in dynamodb.scan(TableName=SETTINGS.logs_table)["Items"]]
    assert sorted(held) == ["B#", "L#"]
    clock.advance(GRACE - 80)
    assert erase(api).json() == {"deleted": 4, "complete": True}


def test_asking_again_before_the_grace_is_over_says_how_long_it_takes(api: Api, clock: Clock) -> None:
    """And begins nothing anew."""
    waits = []
    for _ in range(4):
        answer = erase(api)
        waits.append((answer.status_code, answer.headers.get("retry-after")))
        clock.advance(29.5)
    assert waits == [(202, "90"), (202, "61"), (202, "31"), (202, "2")]
    assert erase(api).json() == {"deleted": 0, "complete": True}


class Ticking(Clock):
    """A clock that moves with every look at it, as one does when the work takes long."""

    def __call__(self) -> int:
        """What time it is: half a second later than at the last look."""
        self.advance(0.5)
        return self.at


def test_a_large_stream_takes_several_calls(service: Service, dynamodb: DynamoDBClient) -> None:
    """Each stops after 20 s and says how far it got; together they erase it all."""
    clock = Ticking()
    api = Api(replace(service, now=clock))
    stream = stream_of(dynamodb, api.key)
    for start in range(0, 3_000, 25):
        puts: Any = [
            {"PutRequest": {"Item": {"api_key": {"S": stream}, "timestamp": {"S": f"L#{start + n:06}"}}}}
            for n in range(25)
        ]
        dynamodb.batch_write_item(RequestItems={SETTINGS.logs_table: puts})
    progress, spent = [], []
    while True:
        begun = clock.at
        answer = erase(api)
        spent.append(clock.at - begun)
        progress.append(answer.json()["deleted"])
        if answer.status_code == 200:
            break
        assert answer.json()["complete"] is False
        assert progress[-1] < 3_000 or int(answer.headers["retry-after"]) > 1
        clock.advance(int(answer.headers["retry-after"]))
    assert progress == sorted(progress)
    assert progress[0] < progress[1] < progress[2] < 3_000 == progress[-1]
    assert max(spent) < 23 * 1_000_000
    assert left(dynamodb) == {SETTINGS.logs_table: 0, SETTINGS.keys_table: 0}


def test_a_key_in_its_grace_can_finish_what_it_began(api: Api, dynamodb: DynamoDBClient, clock: Clock) -> None:
    """It would expire meanwhile, and nobody else could go on: so it does not."""
    api.post("/rotate_key", json={"grace_seconds": 10})
    assert erase(api).status_code == 202
    clock.advance(GRACE)
    assert erase(api).json() == {"deleted": 0, "complete": True}
    assert left(dynamodb) == {SETTINGS.logs_table: 0, SETTINGS.keys_table: 0}


@pytest.mark.parametrize("scope", ["read", "write"])
def test_only_a_full_key_erases(api: Api, scope: str) -> None:
    """The key inside an app is none."""
    send(api, log())
    weak = api.post("/generate_key", json={"scope": scope}).json()["api_key"]
    assert erase(api, weak).status_code == 403
    assert len(api.get("/raw_logs").json()) == 1


def test_no_key_is_added_to_a_stream_under_erasure(api: Api, service: Service, dynamodb: DynamoDBClient) -> None:
    """Not by another function that read the key just before: the transaction looks."""
    other = api.post("/generate_key").json()["api_key"]
    record = service.keys.find(api_key.hashed(other), service.now())
    assert record is not None
    late = KeyTable(dynamodb, SETTINGS.keys_table)
    erase(api)
    new = replace(record, key_hash="ab" * 32, key_id="New0000000000001")
    for by in (record, None):
        with pytest.raises(Exception, match="Missing or invalid API key"):
            late.add(new, by, service.now())
    assert late.find(new.key_hash, service.now()) is None


def test_a_table_that_fails_midway_loses_no_progress(api: Api, clock: Clock, dynamodb: DynamoDBClient) -> None:
    """The call that failed is made again, and goes on where it was."""
    send(api, *[log()] * 3)
    table = dynamodb.describe_table(TableName=SETTINGS.logs_table)["Table"]
    stream = stream_of(dynamodb, api.key)
    items = dynamodb.scan(TableName=SETTINGS.logs_table)["Items"]
    dynamodb.delete_table(TableName=SETTINGS.logs_table)
    assert erase(api).status_code == 500
    dynamodb.create_table(
        TableName=SETTINGS.logs_table,
        KeySchema=table["KeySchema"],
        AttributeDefinitions=table["AttributeDefinitions"],
        BillingMode="PAY_PER_REQUEST",
    )
    for item in items:
        dynamodb.put_item(TableName=SETTINGS.logs_table, Item=item)
    assert erase(api).json() == {"deleted": 2, "complete": False}
    clock.advance(GRACE)
    assert erase(api).json() == {"deleted": 2, "complete": True}
    assert stream not in everything(dynamodb)


def test_two_callers_at_once_do_no_harm(api: Api, service: Service, clock: Clock, dynamodb: DynamoDBClient) -> None:
    """The one who comes second finds the key gone."""
    send(api, *[log()] * 3, batch_id="b1")
    erase(api)
    clock.advance(GRACE)
    second = Api(service)
    assert erase(api).status_code == 200
    answer = erase(second, api.key)
    assert (answer.status_code, answer.json()) == (401, UNAUTHORIZED)
    assert api.post("/track/batch", json=batch(log())).status_code == 401
    assert left(dynamodb)[SETTINGS.logs_table] == 0
