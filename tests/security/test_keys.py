"""Keys that are guessed, stolen from the table or long gone: what they cost, and what can be told from the answer.

Who may call what, and 10,000 wrong keys in a row: `tests/functions/test_access.py`. What a table remembers of wrong
keys: `tests/analytics/store/test_keys.py`.
"""

from __future__ import annotations

import gc
import json
import tracemalloc
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest

import analytics
from analytics import api_key
from analytics.web import Service
from tests.conftest import SETTINGS, Api, Clock
from tests.functions.behind_gateway import Functions
from tests.functions.test_access import WITH_KEY, Credentials
from tests.functions.wire import UNAUTHORIZED, batch, log, send

if TYPE_CHECKING:
    from mypy_boto3_dynamodb import DynamoDBClient

Call = tuple[str, str]


@contextmanager
def recorded(client: DynamoDBClient) -> Iterator[list[Call]]:
    """What is asked of DynamoDB meanwhile, in order: each operation with all that is said with it, as JSON."""
    made: list[Call] = []

    def note(params: dict[str, Any], model: Any, **_: Any) -> None:
        made.append((model.name, json.dumps(params, sort_keys=True, default=repr)))

    client.meta.events.register("provide-client-params.dynamodb", note)
    yield made
    client.meta.events.unregister("provide-client-params.dynamodb", note)


@pytest.mark.parametrize(("method", "path"), WITH_KEY, ids=" ".join)
def test_unknown_revoked_and_expired_are_one_way_through_the_code(
    method: str, path: str, service: Service, clock: Clock, dynamodb: DynamoDBClient
) -> None:
    """The same calls of the table, word for word but for the hash asked for, and the same answer to the byte."""
    credentials, functions = Credentials(service, clock), Functions(service)
    seen = set()
    for kind in ("unknown", "revoked", "expired", "unknown", "revoked", "expired"):
        with recorded(dynamodb) as made:
            answer = functions.ask(method, path, credentials.headers(kind))
        hashed = api_key.hashed(credentials.keys[kind])
        assert sum(said.count(hashed) for _, said in made) == 1
        calls = tuple((name, said.replace(hashed, "#")) for name, said in made)
        seen.add((calls, answer.status, tuple(answer.response.headers), answer.response.body))
        clock.advance(1)
    ((calls, status, _, body),) = seen
    assert ([name for name, _ in calls], status, json.loads(body)) == (["GetItem"], 401, UNAUTHORIZED)


def test_what_cannot_be_a_key_is_not_looked_for(service: Service, clock: Clock, dynamodb: DynamoDBClient) -> None:
    """Hashes and names of items, as whoever has seen the table might send them, and near misses: no call at all."""
    credentials, functions = Credentials(service, clock), Functions(service)
    good = credentials.keys["full"]
    names = [item["key_hash"]["S"] for item in dynamodb.scan(TableName=SETTINGS.keys_table)["Items"]]
    assert any(name.startswith("stream#") for name in names)
    streams = [name.removeprefix("stream#") for name in names if name.startswith("stream#")]
    odd = [*names, *streams, *(f"quota#{stream}" for stream in streams), *(f"aak_{name}" for name in names)]
    odd += [name[:33] for name in names] + [f"aak_{name[:33]}" for name in names]
    odd += [good[:-1], good + "x", good.upper(), good.lower(), good.replace("aak_", "AAK_"), good[::-1], good * 2]
    odd += [
        f" {good}",
        f"{good}\n",
        f"{good},{good}",
        f"Bearer {good}",
        good[4:],
        good.replace("_", "-"),
        "\u0661" * 37,
    ]
    odd += [good[:-6] + "000000", "aak_" + "0" * 33, "aak_" + "\u00e9" * 33, "", "null", "undefined", "*", "%"]
    with recorded(dynamodb) as made:
        for method, path in WITH_KEY:
            for text in odd:
                answer = functions.ask(method, path, {"X-API-Key": text})
                assert (text, answer.status, answer.json()) == (text, 401, UNAUTHORIZED)
    assert made == []


OURS = [tracemalloc.Filter(True, str(Path(analytics.__path__[0]) / "*"))]  # whatever was allocated there


@contextmanager
def remembered() -> Iterator[list[int]]:
    """Bytes that our code allocated meanwhile and has not let go of."""
    kept: list[int] = []
    gc.collect()
    tracemalloc.start()
    yield kept
    gc.collect()
    kept.append(sum(each.size for each in tracemalloc.take_snapshot().filter_traces(OURS).statistics("filename")))
    tracemalloc.stop()


def test_wrong_keys_take_no_memory(service: Service, clock: Clock) -> None:
    """Four hundred that may be some, unknown and with a daily quota to count: nothing is left of them."""
    functions = Functions(replace(service, settings=replace(SETTINGS, daily_quota=10)))
    lines = [("GET", "/dashboard"), ("POST", "/track"), ("POST", "/generate_key")]
    for method, path in lines:
        functions.ask(method, path, {"X-API-Key": api_key.generate()})
    with remembered() as kept:
        for number in range(400):
            method, path = lines[number % 3]
            assert functions.ask(method, path, {"X-API-Key": api_key.generate()}).status == 401
    assert kept[0] < 16 * 1024


# -- one stream and another --------------------------------------------------------------------------------------------


def test_a_caller_reads_and_writes_their_own_partition_only(
    api: Api, service: Service, dynamodb: DynamoDBClient
) -> None:
    """Whatever they ask: every call of the table of logs names the stream of their key, and none scans."""
    stranger = Api(service)
    send(stranger, *(log(endpoint=f"/{number}") for number in range(600)), batch_id="theirs")
    stream = service.keys.find(api_key.hashed(api.key), service.now())
    assert stream
    theirs = stranger.get("/raw_logs?limit=1").json()[0]["id"]
    with recorded(dynamodb) as made:
        send(api, log())
        assert api.post("/track", json=log()).status_code == 200
        assert api.post("/track/batch", json=batch(log(), batch_id="theirs")).json()["duplicate"] is False
        for query in ("", "?compare=previous&start_date=2025-11-01", "?consumer=x", "?period=minutely"):
            assert api.get(f"/dashboard{query}").status_code == 200
        assert api.get(f"/raw_logs?cursor={theirs}").status_code == 200
        assert api.request("DELETE", "/key?data=true", headers={"X-API-Key": api.key}).status_code == 202
    logs = [(name, said) for name, said in made if SETTINGS.logs_table in said]
    assert {name for name, _ in logs} == {"GetItem", "Query", "PutItem", "TransactWriteItems", "BatchWriteItem"}
    assert all(stream.stream in said for _, said in logs)
    assert "Scan" not in {name for name, _ in made}
    assert len(stranger.get("/raw_logs?limit=1000").json()) == 600


def test_a_heavy_stream_makes_no_other_one_slower(
    api: Api, service: Service, clock: Clock, dynamodb: DynamoDBClient
) -> None:
    """A light dashboard takes the same calls whether or not another key has sent a hundred thousand requests."""
    send(api, log())
    clock.advance(120)
    api.get("/dashboard")
    with recorded(dynamodb) as before:
        light = api.get("/dashboard").json()
    heavy = Api(service)
    for number in range(20):
        send(heavy, *(log(endpoint=f"/{number}/{at}", weight=5) for at in range(1_000)), batch_id=f"b{number}")
    clock.advance(1)
    with recorded(dynamodb) as after:
        assert api.get("/dashboard").json() == light
    assert [name for name, _ in after] == [name for name, _ in before]
