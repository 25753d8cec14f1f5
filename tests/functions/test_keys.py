"""Keys, through the front door: made, listed, replaced and revoked."""

from __future__ import annotations

import re
from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace
from typing import TYPE_CHECKING, Any

import pytest
from starlette.testclient import TestClient

from analytics import api_key
from analytics.errors import Unauthorized
from analytics.store import KeyRecord, KeyTable
from analytics.web import Service
from functions.keys.app import create_app
from tests.conftest import NOON, SETTINGS, Api, Clock, shared_client
from tests.functions.wire import UNAUTHORIZED, gzipped, log
from tests.support.engines import Engine

if TYPE_CHECKING:
    from mypy_boto3_dynamodb import DynamoDBClient


def generate(service: Service, **options: Any) -> Any:
    """The answer to a sign-up."""
    return TestClient(create_app(service), raise_server_exceptions=False).post("/generate_key", **options)


def with_key(api: Api) -> dict[str, Any]:
    """The options of a request that carries the key."""
    return {"headers": {"X-API-Key": api.key}}


def add(api: Api, scope: str, **fields: Any) -> dict[str, Any]:
    """Another key to the data of the api's."""
    answer = api.post("/generate_key", json={"scope": scope, **fields})
    assert answer.status_code == 201
    made: dict[str, Any] = answer.json()
    return made


def delete(api: Api, query: str = "") -> Any:
    """The answer to DELETE /key."""
    return api.request("DELETE", f"/key{query}", **with_key(api))


def items(client: DynamoDBClient) -> list[dict[str, Any]]:
    """Everything in the table of keys, the items of streams last."""
    return sorted(client.scan(TableName=SETTINGS.keys_table)["Items"], key=lambda item: item["key_hash"]["S"])


def test_a_new_key_is_shown_once_and_stored_as_a_hash(service: Service, dynamodb: DynamoDBClient) -> None:
    """The answer has the key, its id and its time; the table has the hash, and the key nowhere."""
    answer = generate(service)
    body = answer.json()
    assert answer.status_code == 201
    assert answer.headers["cache-control"] == "no-store"
    assert set(body) == {"api_key", "key_id", "created_at"}
    assert body["created_at"] == "2025-11-24T12:00:00.000000Z"
    assert re.fullmatch(r"aak_[0-9A-Za-z]{33}", body["api_key"])
    assert api_key.is_well_formed(body["api_key"])
    key_hash = api_key.hashed(body["api_key"])
    item, stream = items(dynamodb)
    assert item == {
        "key_hash": {"S": key_hash},
        "key_id": {"S": body["key_id"]},
        "stream": item["stream"],
        "scope": {"S": "full"},
        "created_at": {"N": str(NOON)},
    }
    assert stream == {"key_hash": {"S": f"stream#{item['stream']['S']}"}, "hashes": {"SS": [key_hash]}}
    assert body["api_key"] not in f"{item}{stream}"
    assert item["stream"]["S"] not in answer.text


def test_a_new_key_works_at_once_and_for_its_own_data(api: Api, service: Service, clock: Clock) -> None:
    """The first call with it is answered, with nothing in it."""
    assert api.get("/raw_logs").json() == []
    clock.advance(60)
    other = generate(service).json()
    assert other["created_at"] == "2025-11-24T12:01:00.000000Z"
    assert other["api_key"] != api.key
    assert api.get("/raw_logs", headers={"X-API-Key": other["api_key"]}).status_code == 200


def test_keys_made_at_once_are_all_different(dynoxide_client: DynamoDBClient, clock: Clock) -> None:
    """Sixteen sign-ups in eight threads are sixteen keys over sixteen streams."""
    engine = Engine(dynoxide_client)  # moto's transactions, in process, are not for threads
    service = Service(SETTINGS, engine.keys, engine.logs, clock)
    with ThreadPoolExecutor(8) as threads:
        made = list(threads.map(lambda _: generate(service).json(), range(16)))
    assert len({each["api_key"] for each in made}) == len({each["key_id"] for each in made}) == 16
    held = dynoxide_client.scan(TableName=engine.keys_table)["Items"]
    assert len({item["stream"]["S"] for item in held if "stream" in item}) == 16


@pytest.mark.parametrize(
    "options",
    [{"json": {"name": "x"}}, {"json": {"scope": "full", "name": None}}, {"json": {}}, gzipped({"scope": "full"})],
)
def test_a_sign_up_may_say_what_it_wants(service: Service, options: dict[str, Any]) -> None:
    """A full key is all it can get; a name is for its owner."""
    assert generate(service, **options).status_code == 201


@pytest.mark.parametrize(
    ("options", "field"),
    [
        ({"content": b"\xff{not json"}, None),
        ({"content": b"[" * 100_000}, None),
        ({"json": []}, None),
        ({"json": {"scope": "admin"}}, "scope"),
        ({"json": {"scope": "read"}}, "scope"),
        ({"json": {"scope": "write"}}, "scope"),
        ({"json": {"name": ""}}, "name"),
        ({"json": {"name": "a\nb"}}, "name"),
        ({"json": {"name": "x" * 65}}, "name"),
        ({"json": {"stream": "mine"}}, "stream"),
    ],
)
def test_a_sign_up_that_makes_no_sense_is_refused(
    service: Service, dynamodb: DynamoDBClient, options: dict[str, Any], field: str | None
) -> None:
    """The answer names the field and the reason, and nothing is stored."""
    answer = generate(service, **options)
    (problem,) = answer.json()["errors"]
    assert (answer.status_code, problem["index"], problem["field"]) == (422, None, field)
    assert problem["reason"]
    assert items(dynamodb) == []


def test_a_body_is_bounded(service: Service) -> None:
    """As those of tracking are."""
    assert generate(service, content=b" " * ((1 << 20) + 1)).status_code == 413


@pytest.mark.parametrize("sent", ["wrong", "", api_key.generate()], ids=["wrong", "empty", "unknown"])
def test_a_wrong_key_never_becomes_a_sign_up(service: Service, dynamodb: DynamoDBClient, sent: str) -> None:
    """Who means to add a key to their data does not get a new stream unawares."""
    answer = generate(service, headers={"X-API-Key": sent})
    assert (answer.status_code, answer.json()) == (401, UNAUTHORIZED)
    assert items(dynamodb) == []


@pytest.mark.parametrize("scope", ["full", "read", "write"])
def test_a_full_key_makes_keys_to_its_data(api: Api, service: Service, scope: str) -> None:
    """What one key of a stream writes another one reads, as far as their scopes go; no sign-up token is asked for."""
    closed = replace(service, settings=replace(service.settings, signup_token="token"))
    answer = generate(closed, headers={"X-API-Key": api.key}, json={"scope": scope, "name": "of the app ✓"})
    assert answer.status_code == 201
    assert set(answer.json()) == {"api_key", "key_id", "created_at"}
    headers = {"X-API-Key": answer.json()["api_key"]}
    assert api.post("/track", json=log()).status_code == 200
    tracked, read = api.post("/track", json=log(), headers=headers), api.get("/raw_logs", headers=headers)
    assert tracked.status_code == (403 if scope == "read" else 200)
    assert read.status_code == (403 if scope == "write" else 200)
    if scope != "write":
        assert len(read.json()) == (1 if scope == "read" else 2)


@pytest.mark.parametrize("scope", ["read", "write"])
def test_only_a_full_key_manages_keys(api: Api, scope: str) -> None:
    """The key inside an app can neither make, see, replace nor revoke a key, not even itself."""
    headers = {"X-API-Key": add(api, scope)["api_key"]}
    refusal = {"detail": f"This key has the scope {scope}, which does not allow this"}
    calls = [("POST", "/generate_key"), ("GET", "/keys"), ("POST", "/rotate_key"), ("DELETE", "/key")]
    for method, path in [*calls, ("DELETE", "/key?data=true")]:
        answer = api.request(method, path, headers=headers)
        assert (answer.status_code, answer.json()) == (403, refusal)


def test_keys_are_listed_without_their_secrets(api: Api, clock: Clock) -> None:
    """Oldest first, with what their owner called them; the keys of others are not there."""
    clock.advance(1)
    app = add(api, "write", name="app")
    clock.advance(1)
    page = add(api, "read", name="page")
    generate_other = api.request("POST", "/generate_key")
    assert generate_other.status_code == 201
    answer = api.get("/keys")
    first, *others = answer.json()
    assert first == {
        "key_id": first["key_id"],
        "scope": "full",
        "name": None,
        "created_at": "2025-11-24T12:00:00.000000Z",
        "expires_at": None,
    }
    assert others == [
        {"key_id": made["key_id"], "scope": scope, "name": name, "created_at": made["created_at"], "expires_at": None}
        for made, scope, name in ((app, "write", "app"), (page, "read", "page"))
    ]
    assert answer.headers["cache-control"] == "no-store"
    for secret in (api.key, app["api_key"], page["api_key"]):
        assert secret not in answer.text
        assert api_key.hashed(secret) not in answer.text


def test_a_rotated_key_works_on_for_its_grace(api: Api, clock: Clock) -> None:
    """Both over the same data; then the old one is unknown, and the new one goes on."""
    old = api.key
    api.post("/track", json=log())
    answer = api.post("/rotate_key", json={"grace_seconds": 60})
    body = answer.json()
    assert answer.status_code == 201
    assert answer.headers["cache-control"] == "no-store"
    assert set(body) == {"api_key", "key_id", "created_at", "previous_expires_at"}
    assert body["previous_expires_at"] == "2025-11-24T12:01:00.000000Z"
    api.key = body["api_key"]
    assert len(api.get("/raw_logs").json()) == 1
    clock.advance(59.999999)
    assert api.get("/raw_logs", headers={"X-API-Key": old}).status_code == 200
    clock.advance(0.000001)
    refused = api.get("/raw_logs", headers={"X-API-Key": old})
    assert (refused.status_code, refused.json()) == (401, UNAUTHORIZED)
    assert len(api.get("/raw_logs").json()) == 1


@pytest.mark.parametrize(("sent", "grace"), [({}, 86_400), ({"json": {}}, 86_400), (None, 2_592_000)])
def test_a_key_in_its_grace_has_a_date_for_dynamodb(
    api: Api, dynamodb: DynamoDBClient, sent: dict[str, Any] | None, grace: int
) -> None:
    """A day where nothing is said; `ttl` is that second, for DynamoDB to remove the item."""
    answer = api.post("/rotate_key", **(sent if sent is not None else {"json": {"grace_seconds": grace}}))
    assert answer.status_code == 201
    item = dynamodb.get_item(TableName=SETTINGS.keys_table, Key={"key_hash": {"S": api_key.hashed(api.key)}})["Item"]
    assert item["expires_at"] == {"N": str(NOON + grace * 1_000_000)}
    assert item["ttl"] == {"N": str(NOON // 1_000_000 + grace)}


def test_a_rotation_without_grace_ends_the_old_key_within_thirty_seconds(api: Api, clock: Clock) -> None:
    """At once where keys are managed, and where it was just read when that is forgotten."""
    old = {"X-API-Key": api.key}
    assert api.get("/raw_logs").status_code == 200
    assert api.post("/rotate_key", json={"grace_seconds": 0}).status_code == 201
    assert api.get("/keys", headers=old).status_code == 401
    clock.advance(30)
    assert api.get("/raw_logs", headers=old).status_code == 401


def test_rotating_again_does_not_prolong_a_grace(api: Api, clock: Clock) -> None:
    """Who lost the answer can ask again, for the old key's time and no longer."""
    first = api.post("/rotate_key", json={"grace_seconds": 60})
    clock.advance(30)
    second = api.post("/rotate_key", json={"grace_seconds": 86_400})
    assert second.json()["previous_expires_at"] == first.json()["previous_expires_at"]
    clock.advance(30)
    assert api.post("/rotate_key").status_code == 401


def test_a_full_key_rotates_and_revokes_the_other_keys_of_its_data(api: Api, clock: Clock) -> None:
    """By their ids: the new key has the scope and the name of the old one."""
    clock.advance(1)
    app = add(api, "write", name="app")
    clock.advance(1)
    body = api.post("/rotate_key", json={"key_id": app["key_id"], "grace_seconds": 58}).json()
    old, new = {"X-API-Key": app["api_key"]}, {"X-API-Key": body["api_key"]}
    assert [api.post("/track", json=log(), headers=each).status_code for each in (old, new)] == [200, 200]
    assert api.get("/raw_logs", headers=new).status_code == 403
    assert [(each["scope"], each["name"], each["expires_at"]) for each in api.get("/keys").json()] == [
        ("full", None, None),
        ("write", "app", "2025-11-24T12:01:00.000000Z"),
        ("write", "app", None),
    ]
    answer = delete(api, f"?key_id={body['key_id']}")
    assert (answer.status_code, answer.json()) == (
        200,
        {"key_id": body["key_id"], "revoked_at": "2025-11-24T12:00:02.000000Z"},
    )
    clock.advance(60)
    assert [api.post("/track", json=log(), headers=each).status_code for each in (old, new)] == [401, 401]
    assert len(api.get("/keys").json()) == 1


def test_the_keys_of_others_are_out_of_reach(api: Api, clock: Clock) -> None:
    """Their ids name nothing here, nor does the id of a key whose time is over."""
    other = api.request("POST", "/generate_key").json()
    expired = add(api, "read")
    api.post("/rotate_key", json={"key_id": expired["key_id"], "grace_seconds": 1})
    clock.advance(1)
    for key_id in (other["key_id"], expired["key_id"], "0" * 16):
        for answer in (api.post("/rotate_key", json={"key_id": key_id}), delete(api, f"?key_id={key_id}")):
            assert (answer.status_code, answer.json()) == (404, {"detail": "There is no such key to this data"})
    assert api.get("/keys", headers={"X-API-Key": other["api_key"]}).status_code == 200


@pytest.mark.parametrize(
    ("body", "field"),
    [
        ({"grace_seconds": -1}, "grace_seconds"),
        ({"grace_seconds": 2_592_001}, "grace_seconds"),
        ({"grace_seconds": 1.5}, "grace_seconds"),
        ({"grace_seconds": "60"}, "grace_seconds"),
        ({"grace_seconds": True}, "grace_seconds"),
        ({"key_id": "x"}, "key_id"),
        ({"grace": 60}, "grace"),
    ],
)
def test_a_rotation_that_makes_no_sense_is_refused(api: Api, body: dict[str, Any], field: str) -> None:
    """And the key stays as it is."""
    answer = api.post("/rotate_key", json=body)
    assert (answer.status_code, [each["field"] for each in answer.json()["errors"]]) == (422, [field])
    (listed,) = api.get("/keys").json()
    assert listed["expires_at"] is None


def test_a_refusal_says_in_words_what_is_wanted(api: Api) -> None:
    """Of an id, a name, a text in a query: a sentence, and no regular expression."""
    key_id = "Input should be the id of a key: 16 letters and digits"
    printable = "Input should be text without control characters, such as line breaks"
    answers = [
        (api.post("/rotate_key", json={"key_id": "x"}), "key_id", key_id),
        (delete(api, "?key_id=" + "-" * 16), "key_id", key_id),
        (delete(api, "?key_id="), "key_id", key_id),
        (api.post("/generate_key", json={"name": "a\tb"}), "name", printable),
        (api.post("/generate_key", json={"name": "\x7f"}), "name", printable),
        (api.get("/raw_logs?consumer=a%0ab"), "consumer", printable),
        (api.get("/dashboard?path=%00"), "path", printable),
    ]
    for answer, field, reason in answers:
        assert (answer.status_code, answer.json()["errors"]) == (
            422,
            [{"index": None, "field": field, "reason": reason}],
        )


@pytest.mark.parametrize("query", ["?date=true", "?data=perhaps", "?key_id=x", "?data=true&key_id=" + "0" * 16])
def test_a_revocation_that_is_not_understood_is_none(api: Api, query: str) -> None:
    """A mistyped `data` would take away the key that can still erase."""
    assert delete(api, query).status_code == 422
    assert api.get("/keys").status_code == 200


def test_a_revoked_key_is_unknown(api: Api, dynamodb: DynamoDBClient, clock: Clock) -> None:
    """At once where keys are managed, within 30 s elsewhere; nothing of it stays in the table. Other keys work on."""
    spare = add(api, "full")
    assert api.get("/raw_logs").status_code == 200
    answer = delete(api)
    assert answer.status_code == 200
    assert answer.headers["cache-control"] == "no-store"
    assert answer.json()["revoked_at"] == "2025-11-24T12:00:00.000000Z"
    assert delete(api).status_code == 401
    clock.advance(30)
    for refused in (api.get("/raw_logs"), api.get("/keys"), api.request("POST", "/generate_key", **with_key(api))):
        assert (refused.status_code, refused.json()) == (401, UNAUTHORIZED)
    (listed,) = api.get("/keys", headers={"X-API-Key": spare["api_key"]}).json()
    assert (listed["key_id"], listed["scope"]) == (spare["key_id"], "full")
    assert api_key.hashed(api.key) not in str(items(dynamodb))


def test_a_key_that_is_revoked_meanwhile_makes_no_key(service: Service) -> None:
    """The very transaction that would store a new key looks whether the old one is still good."""
    secret = generate(service).json()["api_key"]
    record = service.keys.find(api_key.hashed(secret), NOON)
    assert record is not None
    service.keys.remove(record)
    for expired in (record, replace(record, expires_at=NOON)):
        new = KeyRecord(api_key.hashed(api_key.generate()), api_key.new_id(), record.stream, "full", NOON)
        with pytest.raises(Unauthorized):
            service.keys.add(new, expired, NOON)
        with pytest.raises(Unauthorized):
            service.keys.rotate(expired, new, NOON + 60, expired, NOON)
        assert service.keys.find(new.key_hash, NOON) is None


def test_a_stream_has_a_hundred_keys_at_most(api: Api, clock: Clock) -> None:
    """409 says what to do; those that have expired make room by themselves."""
    made = [add(api, "read") for _ in range(99)]
    answer = api.post("/generate_key", json={"scope": "read"})
    detail = "There are 100 keys to this data already: revoke one that is not used any more"
    assert (answer.status_code, answer.json()) == (409, {"detail": detail})
    delete(api, f"?key_id={made[0]['key_id']}")
    api.post("/rotate_key", json={"key_id": made[1]["key_id"], "grace_seconds": 5})
    assert api.post("/generate_key").status_code == 409
    clock.advance(5)
    assert api.post("/generate_key", json={"scope": "read"}).status_code == 201
    assert len(api.get("/keys").json()) == 100


@pytest.mark.parametrize("grace", [0, 60])
def test_a_key_is_replaced_where_there_are_a_hundred(api: Api, clock: Clock, grace: int) -> None:
    """The new one takes the place of the old one, which has its grace; then there are a hundred again, and no room."""
    made = [add(api, "write") for _ in range(99)]
    clock.advance(1)
    other = api.post("/rotate_key", json={"key_id": made[7]["key_id"], "grace_seconds": grace})
    own = api.post("/rotate_key", json={"grace_seconds": grace})
    assert (other.status_code, own.status_code) == (201, 201)
    assert len(api.get("/keys", headers={"X-API-Key": own.json()["api_key"]}).json()) == (102 if grace else 100)
    old, new = ({"X-API-Key": each["api_key"]} for each in (made[7], other.json()))
    assert api.post("/track", json=log(), headers=new).status_code == 200
    assert api.post("/track", json=log(), headers=old).status_code == (200 if grace else 401)
    api.key = own.json()["api_key"]
    clock.advance(60)
    assert api.post("/track", json=log(), headers=old).status_code == 401
    assert len(api.get("/keys").json()) == 100
    assert api.post("/generate_key", json={"scope": "read"}).status_code == 409
    assert api.post("/rotate_key").status_code == 201


@pytest.mark.long
def test_every_one_of_a_hundred_keys_can_be_replaced_at_once(api: Api, service: Service, clock: Clock) -> None:
    """In the grace of them all there are twice as many keys, and no more; revoking and erasing find every one."""
    clock.advance(1)
    for _ in range(99):
        add(api, "write")
    replaced = [each["key_id"] for each in api.get("/keys").json()]
    rotated = [api.post("/rotate_key", json={"key_id": key_id, "grace_seconds": 60}).json() for key_id in replaced]
    assert {each["key_id"] for each in api.get("/keys").json()} == {*replaced, *(each["key_id"] for each in rotated)}
    answer = api.post("/rotate_key", json={"key_id": rotated[50]["key_id"]})
    detail = "There are 200 keys to this data already: revoke one that is not used any more"
    assert (answer.status_code, answer.json()) == (409, {"detail": detail})
    assert delete(api, f"?key_id={replaced[60]}").status_code == 200
    assert api.post("/rotate_key", json={"key_id": rotated[50]["key_id"]}).status_code == 201
    clock.advance(60)
    api.key = rotated[0]["api_key"]
    assert api.post("/rotate_key", json={"key_id": rotated[51]["key_id"]}).status_code == 201
    assert len(api.get("/keys").json()) == 102
    (stream,) = service.keys.streams()
    assert len(service.keys.stream_item(stream)["hashes"]["SS"]) == 102  # those that have expired are gone
    assert delete(api, "?data=true").status_code == 202
    assert [record.erasing for record in service.keys.of(stream)] == [True]


def test_sign_up_may_ask_for_a_token(service: Service, dynamodb: DynamoDBClient) -> None:
    """Where the service has one, 401 names the scheme without it, and nothing is stored."""
    closed = replace(service, settings=replace(service.settings, signup_token="a ✓ token"))
    token = "Bearer a ✓ token".encode()
    wrong: tuple[Any, ...] = (None, b"", b"Bearer", b"Bearer ", b"a token", token[:-1], token + b"s", token.upper())
    for sent in (*wrong, b"Basic " + token[7:], b"Bearer" + token[7:], b"Bearer a ? token"):
        answer = generate(closed, headers={} if sent is None else {"Authorization": sent})
        detail = "Missing or invalid sign-up token: send it as Authorization: Bearer"
        assert (answer.status_code, answer.json()) == (401, {"detail": detail})
        assert answer.headers["www-authenticate"] == "Bearer"
    assert items(dynamodb) == []


@pytest.mark.parametrize("scheme", ["Bearer ", "bearer ", "BEARER  "])
@pytest.mark.parametrize("token", ["a token", "~!@#$%^&*()", "tök", "naïve ✓ 鍵", "Bearer"])
def test_the_right_token_opens_sign_up(service: Service, token: str, scheme: str) -> None:
    """Whatever it is made of, as clients and gateways send it: in UTF-8, in Latin-1, in UTF-8 taken for Latin-1."""
    closed = replace(service, settings=replace(service.settings, signup_token=token))
    sent = f"{scheme}{token}"
    spellings = {sent.encode(), sent.encode().decode("latin-1").encode()}
    if sent.encode("latin-1", "replace").decode("latin-1") == sent:
        spellings.add(sent.encode("latin-1"))
    for each in spellings:
        assert generate(closed, headers={"Authorization": each}).status_code == 201


@pytest.mark.parametrize("sent", ["Bearer whatever", "Basic dXNlcjpwYXNz", "bearer aak_", ""])
def test_an_open_service_ignores_a_token(service: Service, sent: str) -> None:
    """Locally anybody may sign up."""
    assert generate(service, headers={"Authorization": sent}).status_code == 201


@pytest.mark.parametrize("token", [None, "token"])
def test_a_key_in_the_place_of_the_token_is_no_sign_up(
    api: Api, service: Service, dynamodb: DynamoDBClient, token: str | None
) -> None:
    """Who sends an API key as a bearer means its data, and is told the right header."""
    before = items(dynamodb)
    closed = replace(service, settings=replace(service.settings, signup_token=token))
    answer = generate(closed, headers={"Authorization": f"bearer {api.key}"})
    detail = "An API key must come in the X-API-Key header, not as Authorization: Bearer"
    assert (answer.status_code, answer.json()) == (401, {"detail": detail})
    assert items(dynamodb) == before


def test_a_token_may_look_like_a_key(service: Service) -> None:
    """Where the operator made the sign-up token so, it is the token."""
    token = api_key.generate()
    closed = replace(service, settings=replace(service.settings, signup_token=token))
    assert generate(closed, headers={"Authorization": f"Bearer {token}"}).status_code == 201


@pytest.mark.parametrize(
    ("sent", "where"),
    [
        ("Bearer {}", "as Authorization: Bearer"),
        ("bearer {}", "as Authorization: Bearer"),
        ("ApiKey {}", "in the Authorization header"),
        ("{}", "in the Authorization header"),
    ],
)
def test_a_key_in_the_wrong_header_is_told_the_right_one(api: Api, sent: str, where: str) -> None:
    """On every kind of route; with X-API-Key beside it another credential means nothing."""
    authorization = {"Authorization": sent.format(api.key)}
    for method, path in (("GET", "/raw_logs"), ("POST", "/track"), ("GET", "/keys"), ("DELETE", "/key")):
        answer = api.request(method, path, headers=authorization)
        detail = f"Missing API key: send it in the X-API-Key header, not {where}"
        assert (answer.status_code, answer.json()) == (401, {"detail": detail})
        assert answer.headers["www-authenticate"] == "ApiKey"
    assert api.get("/raw_logs", headers=authorization).status_code == 200
    wrong = api.request("GET", "/raw_logs", headers=authorization | {"X-API-Key": api_key.generate()})
    assert (wrong.status_code, wrong.json()) == (401, UNAUTHORIZED)


def test_a_mistake_of_ours_shows_nothing_of_our_inside(service: Service) -> None:
    """A table that is not there is a 500 without any detail."""
    answer = generate(replace(service, keys=KeyTable(shared_client(), "no-such-table")))
    assert (answer.status_code, answer.json()) == (500, {"detail": "Internal Server Error"})


def test_a_deleted_key_stops_working_within_thirty_seconds(api: Api, dynamodb: DynamoDBClient, clock: Clock) -> None:
    """A warm function believes what it read that long; then the answer is the 401 of any other key."""
    assert api.get("/dashboard").status_code == 200
    dynamodb.delete_item(TableName=SETTINGS.keys_table, Key={"key_hash": {"S": api_key.hashed(api.key)}})
    clock.advance(29.999)
    assert api.get("/dashboard").status_code == 200
    clock.advance(0.001)
    answer = api.get("/dashboard")
    assert (answer.status_code, answer.json()) == (401, UNAUTHORIZED)


def test_a_key_made_elsewhere_works(api: Api, service: Service) -> None:
    """What counts is the record in the table."""
    secret = api_key.generate()
    assert api.get("/dashboard", headers={"X-API-Key": secret}).status_code == 401
    service.keys.add(KeyRecord(api_key.hashed(secret), api_key.new_id(), "stream", "full", NOON))
    assert api.get("/dashboard", headers={"X-API-Key": secret}).status_code == 200


def test_a_key_revoked_elsewhere_manages_nothing_from_then_on(
    api: Api, service: Service, dynamodb: DynamoDBClient
) -> None:
    """Another instance that has just used it reads it anew: a stolen key makes no other keys once it is revoked."""
    elsewhere = Api(replace(service, keys=KeyTable(dynamodb, SETTINGS.keys_table)))
    elsewhere.key = api.key
    assert elsewhere.get("/keys").status_code == 200
    assert elsewhere.get("/raw_logs").status_code == 200
    assert delete(api).status_code == 200
    for answer in (elsewhere.get("/keys"), elsewhere.post("/generate_key"), elsewhere.post("/rotate_key")):
        assert (answer.status_code, answer.json()) == (401, UNAUTHORIZED)


def test_a_key_is_not_revoked_by_a_parameter_that_is_given_twice(api: Api) -> None:
    """Which of the two is meant cannot be known: nothing is done, and the key works on."""
    for query in ("data=false&data=true", "key_id=0000000000000000&key_id=1111111111111111"):
        answer = api.request("DELETE", f"/key?{query}", headers={"X-API-Key": api.key})
        assert (answer.status_code, answer.json()["errors"][0]["field"]) == (422, query.partition("=")[0])
    assert api.get("/dashboard").status_code == 200
