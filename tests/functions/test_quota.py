"""DAILY_QUOTA: how many calls a day, what counting costs the table, what several instances let in together."""

from __future__ import annotations

from collections import Counter
from dataclasses import replace
from typing import TYPE_CHECKING, Any

import pytest

from analytics import api_key
from analytics.errors import TooMany
from analytics.store import KeyTable
from analytics.store.quota import Quota
from analytics.web import Service
from tests.conftest import NOON, SETTINGS, Api, Clock
from tests.functions.behind_gateway import operations
from tests.functions.wire import batch, log
from tests.support.engines import Engine

if TYPE_CHECKING:
    from mypy_boto3_dynamodb import DynamoDBClient

SECOND = 1_000_000


def limited(service: Service, limit: int) -> Service:
    """The service with a quota."""
    return replace(service, settings=replace(SETTINGS, daily_quota=limit))


def instance(service: Service, dynamodb: DynamoDBClient, secret: str) -> Api:
    """Another instance of each function, for the holder of a key."""
    api = Api(replace(service, keys=KeyTable(dynamodb, SETTINGS.keys_table)))
    api.key = secret
    return api


def tracked(api: Api, number: int) -> list[int]:
    """The statuses of so many calls of /track."""
    return [api.post("/track", json=log()).status_code for _ in range(number)]


def test_without_a_quota_nothing_is_counted(api: Api, dynamodb: DynamoDBClient) -> None:
    """Nor is anything written for it."""
    with operations(dynamodb) as made:
        assert tracked(api, 20) == [200] * 20
    assert made == {"GetItem": 21, "PutItem": 20}  # of the key, and of the watermark after each write


def test_a_day_has_so_many_calls_and_no_more(service: Service, clock: Clock) -> None:
    """429 says in one sentence what is used up, and in Retry-After when midnight comes, UTC; then it begins anew."""
    api = Api(limited(service, 5))
    clock.advance(0.25)
    assert tracked(api, 5) == [200] * 5
    for _ in range(3):
        answer = api.post("/track/batch", json=batch(log()))
        assert answer.status_code == 429
        detail = "Daily limit of 5 calls reached; it resets at midnight UTC"
        assert answer.json() == {"detail": detail}
        assert answer.headers["retry-after"] == str(12 * 3600)
    clock.advance(12 * 3600 - 0.25 - 0.000001)
    assert api.post("/track", json=log()).headers["retry-after"] == "1"
    clock.advance(0.000001)
    assert tracked(api, 6) == [200] * 5 + [429]


def test_who_tracks_too_much_may_still_look(service: Service) -> None:
    """Reading has a count of its own, and managing keys has none: the way out is never closed."""
    api = Api(limited(service, 3))
    assert tracked(api, 4) == [200] * 3 + [429]
    assert [api.get(path).status_code for path in ("/dashboard", "/raw_logs", "/raw_logs", "/dashboard")] == [
        200,
        200,
        200,
        429,
    ]
    assert [api.get("/keys").status_code for _ in range(5)] == [200] * 5
    assert api.post("/rotate_key").status_code == 201
    assert api.get("/health").status_code == 200


def test_all_keys_of_a_stream_share_its_quota(service: Service) -> None:
    """Making more keys makes no more calls; another stream has its own."""
    api = Api(limited(service, 4))
    other = api.post("/generate_key", json={"scope": "write"}).json()["api_key"]
    assert tracked(api, 2) == [200] * 2
    api.key = other
    assert tracked(api, 3) == [200] * 2 + [429]
    api.key = api.request("POST", "/generate_key").json()["api_key"]
    assert tracked(api, 1) == [200]


def test_refused_calls_of_strangers_do_not_count(service: Service) -> None:
    """Nor those of a key with the wrong scope."""
    api = Api(limited(service, 1))
    read = api.post("/generate_key", json={"scope": "read"}).json()["api_key"]
    for secret in (read, api_key.generate(), "x"):
        assert api.post("/track", json=log(), headers={"X-API-Key": secret}).status_code in (401, 403)
    assert tracked(api, 2) == [200, 429]


def test_counting_takes_no_write_for_each_call(service: Service, dynamodb: DynamoDBClient, clock: Clock) -> None:
    """A hundredth of the limit is counted in memory: 100 writes for 400 calls, and none for those refused."""
    api = Api(limited(service, 400))
    with operations(dynamodb) as made:
        statuses = Counter(tracked(api, 400))
    assert statuses == {200: 400}
    assert made["PutItem"] == 400
    assert made["UpdateItem"] == 101  # the first of a day takes two
    with operations(dynamodb) as made:
        assert Counter(tracked(api, 30)) == {429: 30}
    assert made == {}


@pytest.mark.parametrize(("limit", "instances"), [(10, 3), (100, 4), (300, 4), (301, 3)])
def test_instances_together_let_in_little_more(engine: Engine, limit: int, instances: int) -> None:
    """At least the limit, and at most a hundredth of it, rounded up, more for each instance; to the call up to 100."""
    quotas = [Quota("write") for _ in range(instances)]
    let_in = 0
    for turn in range(2 * limit):
        try:
            quotas[turn * 7 % 5 % instances].count(engine.keys, "Stream0000000001", limit, NOON + turn)
        except TooMany:
            continue
        let_in += 1
    part = -(-limit // 100)
    assert limit <= let_in <= (limit if part == 1 else limit + part * instances)


def test_an_instance_that_ends_takes_only_its_part_along(engine: Engine) -> None:
    """New ones, over and over: each forgets less than a hundredth of the limit."""
    let_in = 0
    for turn in range(60):
        quota = Quota("write")
        for call in range(30):
            try:
                quota.count(engine.keys, "Stream0000000001", 1_000, NOON + turn + call)
            except TooMany:
                break
            let_in += 1
    assert 1_000 <= let_in <= 1_000 + 60 * 10


def test_one_item_holds_the_count_of_a_stream(engine: Engine) -> None:
    """The next day's takes its place; it expires by itself when no further day comes."""
    for day in range(3):
        for kind in ("read", "write"):
            quota = Quota(kind)
            for _ in range(day + 1):
                quota.count(engine.keys, "Stream0000000001", 50, NOON + day * 86_400 * SECOND)
        (item,) = engine.client.scan(TableName=engine.keys_table)["Items"]
        expires = (NOON // SECOND // 86_400 + day + 2) * 86_400
        assert item == {
            "key_hash": {"S": "quota#Stream0000000001"},
            "day": {"S": f"2025-11-{24 + day}"},
            "read": {"N": str(day + 1)},
            "write": {"N": str(day + 1)},
            "ttl": {"N": str(expires)},
        }


def test_a_clock_behind_midnight_counts_nothing_back(engine: Engine) -> None:
    """An instance whose clock is still on the day before is served, and does not touch the new day's count."""
    Quota("write").count(engine.keys, "Stream0000000001", 50, NOON + 86_400 * SECOND)
    Quota("write").count(engine.keys, "Stream0000000001", 50, NOON)
    (item,) = engine.client.scan(TableName=engine.keys_table)["Items"]
    assert (item["day"], item["write"]) == ({"S": "2025-11-25"}, {"N": "1"})


def test_a_call_that_could_not_be_counted_is_not_served(service: Service, dynamodb: DynamoDBClient) -> None:
    """And does not count: what was counted in memory before stays counted."""
    quota, keys = Quota("write"), service.keys
    nowhere = KeyTable(dynamodb, "no-such-table")
    quota.count(keys, "s", 300, NOON)
    quota.count(keys, "s", 300, NOON)
    for _ in range(5):
        with pytest.raises(dynamodb.exceptions.ResourceNotFoundException):
            quota.count(nowhere, "s", 300, NOON)
    quota.count(keys, "s", 300, NOON)
    (item,) = dynamodb.scan(TableName=SETTINGS.keys_table)["Items"]
    assert item["write"] == {"N": "3"}


def test_an_answer_that_comes_late_does_not_count_back(service: Service, dynamodb: DynamoDBClient) -> None:
    """Of two calls at once the second is answered first; what it learned stays known."""
    quota, nested = Quota("write"), list[int]()

    def count_another(**_: Any) -> None:
        if not nested:
            nested.append(1)
            quota.count(service.keys, "s", 3, NOON)

    Quota("write").count(service.keys, "s", 3, NOON)  # by another instance
    dynamodb.meta.events.register("after-call.dynamodb.UpdateItem", count_another)
    quota.count(service.keys, "s", 3, NOON)
    dynamodb.meta.events.unregister("after-call.dynamodb.UpdateItem", count_another)
    with operations(dynamodb) as made, pytest.raises(TooMany):
        quota.count(service.keys, "s", 3, NOON)
    assert made == {}


def test_the_streams_that_are_counted_take_bounded_memory(service: Service) -> None:
    """Beyond ten thousand it begins anew, and loses less than a hundredth of the limit of each."""
    quota = Quota("read")
    for number in range(10_100):
        quota.count(service.keys, f"s{number}", 1_000, NOON)
    assert len(quota._counts) == 100


def test_instances_learn_from_each_other(service: Service, dynamodb: DynamoDBClient) -> None:
    """What one lets in the other counts too."""
    first = Api(limited(service, 10))
    second = instance(limited(service, 10), dynamodb, first.key)
    statuses = [status for _ in range(10) for api in (first, second) for status in tracked(api, 1)]
    assert statuses == [200] * 10 + [429] * 10
