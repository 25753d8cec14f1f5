"""POST /generate_key, through the front door."""

from __future__ import annotations

import re
from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace
from typing import TYPE_CHECKING, Any

import pytest
from starlette.testclient import TestClient

from analytics import key
from analytics.store import KeyRecord, KeyTable
from analytics.web import Service
from functions.keys.app import create_app
from tests.conftest import NOON, SETTINGS, Api, Clock, shared_client

if TYPE_CHECKING:
    from mypy_boto3_dynamodb import DynamoDBClient


def generate(service: Service, **options: Any) -> Any:
    """The answer to a sign-up."""
    return TestClient(create_app(service), raise_server_exceptions=False).post("/generate_key", **options)


def items(client: DynamoDBClient) -> list[dict[str, Any]]:
    """Everything in the table of keys."""
    return list(client.scan(TableName=SETTINGS.keys_table)["Items"])


def test_a_new_key_is_shown_once_and_stored_as_a_hash(service: Service, dynamodb: DynamoDBClient) -> None:
    """The answer has the key, its id and its time; the table has the hash, and the key nowhere."""
    answer = generate(service)
    body = answer.json()
    assert answer.status_code == 201
    assert answer.headers["cache-control"] == "no-store"
    assert set(body) == {"api_key", "key_id", "created_at"}
    assert body["created_at"] == "2025-11-24T12:00:00.000000Z"
    assert re.fullmatch(r"aak_[0-9A-Za-z]{33}", body["api_key"])
    assert key.is_well_formed(body["api_key"])
    (item,) = items(dynamodb)
    assert item == {
        "key_hash": {"S": key.hashed(body["api_key"])},
        "key_id": {"S": body["key_id"]},
        "stream": item["stream"],
        "scope": {"S": "full"},
        "created_at": {"N": str(NOON)},
    }
    assert body["api_key"] not in str(item)
    assert item["stream"]["S"] not in answer.text


def test_a_new_key_works_at_once_and_for_its_own_data(api: Api, service: Service, clock: Clock) -> None:
    """The first call with it is answered, with nothing in it."""
    assert api.get("/raw_logs").json() == []
    clock.advance(60)
    other = generate(service).json()
    assert other["created_at"] == "2025-11-24T12:01:00.000000Z"
    assert other["api_key"] != api.key
    assert api.get("/raw_logs", headers={"X-API-Key": other["api_key"]}).status_code == 200


def test_keys_made_at_once_are_all_different(service: Service, dynamodb: DynamoDBClient) -> None:
    """Sixteen sign-ups in eight threads are sixteen keys over sixteen streams."""
    with ThreadPoolExecutor(8) as threads:
        made = list(threads.map(lambda _: generate(service).json(), range(16)))
    assert len({each["api_key"] for each in made}) == len({each["key_id"] for each in made}) == 16
    assert len({item["stream"]["S"] for item in items(dynamodb)}) == 16


@pytest.mark.parametrize(
    "options",
    [
        {"json": {"name": "x"}},
        {"content": b"\xff{not json"},
        {"headers": {"X-API-Key": "wrong"}},
        {"content": b"x" * 100},
    ],
)
def test_what_else_is_sent_does_not_matter(service: Service, options: dict[str, Any]) -> None:
    """A sign-up reads no body and no key."""
    assert generate(service, **options).status_code == 201


def test_sign_up_may_ask_for_a_token(service: Service, dynamodb: DynamoDBClient) -> None:
    """Where the service has one, 401 names the scheme without it, and nothing is stored."""
    closed = replace(service, settings=replace(service.settings, signup_token="a ✓ token"))
    token = "Bearer a ✓ token".encode()
    wrong: tuple[Any, ...] = (None, b"", b"Bearer", b"Bearer ", b"a token", token[:-1], token + b"s", token.lower())
    for sent in (*wrong, b"Basic " + token[7:]):
        answer = generate(closed, headers={} if sent is None else {"Authorization": sent})
        assert (answer.status_code, answer.json()) == (401, {"detail": "Missing or invalid sign-up token"})
        assert answer.headers["www-authenticate"] == "Bearer"
    assert items(dynamodb) == []


@pytest.mark.parametrize("token", ["a token", "~!@#$%^&*()", "tök"])
def test_the_right_token_opens_sign_up(service: Service, token: str) -> None:
    """Whatever it is made of, as it goes over the wire in UTF-8."""
    closed = replace(service, settings=replace(service.settings, signup_token=token))
    assert generate(closed, headers={"Authorization": f"Bearer {token}".encode()}).status_code == 201


def test_an_open_service_ignores_a_token(service: Service) -> None:
    """Locally anybody may sign up."""
    assert generate(service, headers={"Authorization": "Bearer whatever"}).status_code == 201


def test_a_mistake_of_ours_shows_nothing_of_our_inside(service: Service) -> None:
    """A table that is not there is a 500 without any detail."""
    answer = generate(replace(service, keys=KeyTable(shared_client(), "no-such-table")))
    assert (answer.status_code, answer.json()) == (500, {"detail": "Internal Server Error"})


def test_a_deleted_key_stops_working_within_thirty_seconds(api: Api, dynamodb: DynamoDBClient, clock: Clock) -> None:
    """A warm function believes what it read that long; then the answer is the 401 of any other key."""
    assert api.get("/dashboard").status_code == 200
    dynamodb.delete_item(TableName=SETTINGS.keys_table, Key={"key_hash": {"S": key.hashed(api.key)}})
    clock.advance(29.999)
    assert api.get("/dashboard").status_code == 200
    clock.advance(0.001)
    answer = api.get("/dashboard")
    assert (answer.status_code, answer.json()) == (401, {"detail": "Missing or invalid API key"})


def test_a_key_made_elsewhere_works(api: Api, service: Service) -> None:
    """What counts is the record in the table."""
    secret = key.generate()
    assert api.get("/dashboard", headers={"X-API-Key": secret}).status_code == 401
    service.keys.add(KeyRecord(key.hashed(secret), key.new_id(), "stream", "full", NOON))
    assert api.get("/dashboard", headers={"X-API-Key": secret}).status_code == 200
