"""Who may call what: every route of the template with every kind of credential, and what the refusals give away."""

from __future__ import annotations

import logging
from collections import Counter
from dataclasses import replace
from typing import TYPE_CHECKING, Any

import pytest

from analytics import api_key
from analytics.store import KeyTable, LogTable
from analytics.web import Service
from tests.conftest import SETTINGS, Clock
from tests.functions.behind_gateway import Functions, operations
from tests.functions.wire import UNAUTHORIZED
from tests.support.engines import STACK

if TYPE_CHECKING:
    from mypy_boto3_dynamodb import DynamoDBClient

TOKEN = "the sign-up token"
NOT_BEARER = "Missing API key: send it in the X-API-Key header, not as Authorization: Bearer"

# "mistyped": one character wrong, which the checksum shows. "erasing": DELETE /key?data=true has begun with it.
# "grace": it was rotated, and is good for an hour more.
MATRIX = """
                           none malformed mistyped unknown revoked expired erasing grace read write full token
GET  /                     200     200      200      200     200     200     200    200  200   200  200   200
GET  /docs                 200     200      200      200     200     200     200    200  200   200  200   200
GET  /openapi.json         200     200      200      200     200     200     200    200  200   200  200   200
GET  /assets/icon.svg      200     200      200      200     200     200     200    200  200   200  200   200
GET  /health               200     200      200      200     200     200     200    200  200   200  200   200
POST /track                401     401      401      401     401     401     401    200  403   200  200   401
POST /track/batch          401     401      401      401     401     401     401    200  403   200  200   401
GET  /dashboard            401     401      401      401     401     401     401    200  200   403  200   401
GET  /raw_logs             401     401      401      401     401     401     401    200  200   403  200   401
POST /generate_key         401     401      401      401     401     401     401    201  403   403  201   201
GET  /keys                 401     401      401      401     401     401     401    200  403   403  200   401
POST /rotate_key           401     401      401      401     401     401     401    201  403   403  201   401
DELETE /key                401     401      401      401     401     401     401    200  403   403  200   401
DELETE /key?data=true      401     401      401      401     401     401     202    202  403   403  202   401
"""
KINDS, *ROWS = [line.split() for line in MATRIX.strip().splitlines()]
WITH_KEY = [row[:2] for row in ROWS if "401" in row]


class Credentials:
    """A credential of every kind; those that a call may use up have a stream of their own."""

    def __init__(self, service: Service, clock: Clock) -> None:
        functions = Functions(replace(service, settings=SETTINGS))

        def made(body: Any = None, **headers: str) -> str:
            secret: str = functions.call("POST", "/generate_key", headers, body).json()["api_key"]
            return secret

        self.keys = {kind: made() for kind in ("revoked", "expired", "erasing", "grace", "full")}
        owner = made()
        self.keys |= {kind: made({"scope": kind}, **{"X-API-Key": owner}) for kind in ("read", "write")}
        self.keys["unknown"] = api_key.generate()
        self.keys["malformed"] = api_key.hashed(self.keys["full"])  # whoever sees the table has no key by that
        self.keys["mistyped"] = self.keys["full"][:-1] + ("x" if self.keys["full"][-1] != "x" else "y")
        assert functions.call("DELETE", "/key", self.headers("revoked")).status == 200
        assert functions.call("POST", "/rotate_key", self.headers("expired"), {"grace_seconds": 1}).status == 201
        assert functions.call("POST", "/rotate_key", self.headers("grace"), {"grace_seconds": 3600}).status == 201
        assert functions.call("DELETE", "/key?data=true", self.headers("erasing")).status == 202
        clock.advance(1)

    def headers(self, kind: str) -> dict[str, str]:
        """What a holder of this kind sends."""
        if kind == "none":
            return {}
        return {"Authorization": f"Bearer {TOKEN}"} if kind == "token" else {"X-API-Key": self.keys[kind]}


@pytest.fixture
def closed(service: Service) -> Service:
    """The service with a sign-up token."""
    return replace(service, settings=replace(SETTINGS, signup_token=TOKEN))


@pytest.fixture
def credentials(closed: Service, clock: Clock) -> Credentials:
    """One of each."""
    return Credentials(closed, clock)


def test_the_matrix_has_every_route() -> None:
    """One that is added to the template needs a row."""
    routes = {
        f"{route.method} {route.path.replace('{name}', 'icon.svg')}" for route in STACK.routes if route.method != "HEAD"
    }
    assert {f"{method} {path.partition('?')[0]}" for method, path, *_ in ROWS} == routes


@pytest.mark.parametrize("row", ROWS, ids=lambda row: " ".join(row[:2]))
def test_who_may_call_what(row: list[str], closed: Service, credentials: Credentials) -> None:
    """As the table says; every 401 of a key is the same to the byte, and a 403 names the scope."""
    method, path, *expected = row
    functions = Functions(closed)
    answers = {kind: functions.ask(method, path, credentials.headers(kind)) for kind in KINDS}
    assert {kind: str(answer.status) for kind, answer in answers.items()} == dict(zip(KINDS, expected, strict=True))
    if path == "/generate_key":
        detail = "Missing or invalid sign-up token: send it as Authorization: Bearer"
        assert answers.pop("none").json() == {"detail": detail}
    elif "401" in row:
        assert answers.pop("token").json() == {"detail": NOT_BEARER}
    refused = [answer for answer in answers.values() if answer.status == 401]
    assert all(answer == refused[0] for answer in refused)
    for answer in refused:
        assert answer.json() == UNAUTHORIZED
        assert answer.headers["www-authenticate"] == "ApiKey"
    for kind, answer in answers.items():
        if answer.status == 403:
            assert answer.json() == {"detail": f"This key has the scope {kind}, which does not allow this"}


@pytest.mark.parametrize("row", [row for row in ROWS if row[0] == "GET"], ids=lambda row: row[1])
def test_head_is_answered_as_get_is(row: list[str], closed: Service, credentials: Credentials) -> None:
    """To whoever asks: the same status and headers, and no body."""
    _, path, *expected = row
    functions = Functions(closed)
    for kind, status in zip(KINDS, expected, strict=True):
        head, get = (functions.ask(method, path, credentials.headers(kind)) for method in ("HEAD", "GET"))
        assert (kind, str(head.status), head.response.body) == (kind, status, b"")
        assert head.headers == get.headers


@pytest.mark.parametrize(("method", "path"), WITH_KEY, ids=" ".join)
def test_a_wrong_key_costs_the_same_whatever_is_wrong_with_it(
    method: str, path: str, closed: Service, credentials: Credentials, dynamodb: DynamoDBClient, clock: Clock
) -> None:
    """One read each time for what may be a key, so the time tells nobody that a key was one once; none for others."""
    functions = Functions(closed)
    assert functions.ask(method, path, credentials.headers("full")).status < 300
    kinds = ["unknown", "revoked", "expired", *(["erasing"] if "?" not in path else [])]
    for kind in (*kinds, *kinds):
        with operations(dynamodb) as made:
            assert functions.ask(method, path, credentials.headers(kind)).status == 401
        assert (kind, made) == (kind, {"GetItem": 1})
        clock.advance(1)
    for kind in ("none", "malformed", "mistyped"):
        with operations(dynamodb) as made:
            assert functions.ask(method, path, credentials.headers(kind)).status == 401
        assert (kind, made) == (kind, {})


def test_ten_thousand_wrong_keys_cost_little_and_change_nothing(
    closed: Service, credentials: Credentials, dynamodb: DynamoDBClient, caplog: pytest.LogCaptureFixture
) -> None:
    """Nine in ten are seen for what they are without the table; all get the same answer, and no warning is logged."""
    caplog.set_level(logging.WARNING)
    functions = Functions(closed)
    good = credentials.headers("full")
    assert functions.ask("GET", "/raw_logs", good).status == 200
    path, seen = "/raw_logs", Counter[str]()
    with operations(dynamodb) as made:
        for number in range(10_000):
            wrong = api_key.generate()
            if number % 10:
                wrong = (wrong[:-2] + wrong[-1] + wrong[-2], wrong[:-1], wrong * 50, f"{number:064x}")[number % 4]
            answer = functions.call("GET", path, {"X-API-Key": wrong})
            seen[f"{answer.status} {sorted(answer.headers.items())} {answer.response.body!r}"] += 1
        assert made["GetItem"] <= 1_050  # by chance the last two characters are the same
        assert functions.ask("GET", path, good).status == 200
    assert len(seen) == 1
    assert set(made) == {"GetItem", "Query"}
    assert caplog.records == []


def test_no_key_comes_into_any_log_line(
    closed: Service,
    credentials: Credentials,
    dynamodb: DynamoDBClient,
    caplog: pytest.LogCaptureFixture,
    capfd: pytest.CaptureFixture[str],
) -> None:
    """Not a right one nor a wrong one, nor the sign-up token, though everything logs all it has, and tables fail."""
    caplog.set_level(logging.DEBUG)
    nowhere = (KeyTable(dynamodb, "no-such-table"), LogTable(dynamodb, "no-such-table"))
    shown: list[str] = []
    statuses = set()
    for service in (closed, replace(closed, logs=nowhere[1]), replace(closed, keys=nowhere[0])):
        functions = Functions(service)
        for method, path, *_ in ROWS:
            for kind in KINDS:
                answer = functions.ask(method, path, credentials.headers(kind))
                statuses.add(answer.status)
                if path in ("/generate_key", "/rotate_key") and answer.status == 201:
                    shown.append(answer.json()["api_key"])
    assert {200, 401, 403, 500} <= statuses
    logged = "\n".join(f"{record.getMessage()} {record.__dict__} {record.exc_text}" for record in caplog.records)
    assert "A request failed" in logged
    captured = capfd.readouterr()
    logged += caplog.text + captured.out + captured.err
    secrets = {secret for kind, secret in credentials.keys.items() if kind != "malformed"}  # which is a hash
    assert len(shown) >= 3
    for secret in (*secrets, *shown):
        assert secret.removeprefix("aak_")[:27] not in logged
    assert TOKEN not in logged
