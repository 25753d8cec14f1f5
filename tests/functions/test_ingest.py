"""POST /track and /track/batch, through the front door."""

from __future__ import annotations

import asyncio
import gzip
import json
import random
import tracemalloc
from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace
from typing import TYPE_CHECKING, Any

import boto3
import pytest
from botocore.config import Config

from analytics import reasons
from analytics.api_key import generate
from analytics.reasons import SENTENCES
from analytics.schema import MAX_BODY
from analytics.store import LogTable
from analytics.web import Service
from functions.ingest.app import create_app
from tests.conftest import SETTINGS, Api, Clock, shared_client
from tests.functions.wire import (
    ACCEPTED,
    EMPTY_DELIVERY,
    UNAUTHORIZED,
    batch,
    count,
    delivery,
    gzipped,
    log,
    row,
    send,
    stored,
)
from tests.support.engines import Engine

if TYPE_CHECKING:
    from mypy_boto3_dynamodb import DynamoDBClient

RECEIVED = "2025-11-24T12:00:00.000000Z"
LARGE = "A body is at most 1048576 bytes"


def refused(answer: Any, *, accepted: int = 0) -> list[tuple[int, str | None]]:
    """Index and field of what a batch answer rejects, after checking the rest of it."""
    assert answer.status_code == 200
    body = answer.json()
    assert (body["accepted"], body["duplicate"]) == (accepted, False)
    return [(each["index"], each["field"]) for each in body["rejected"]]


# -- one log -----------------------------------------------------------------------------------------------------------


def test_a_log_is_stored_as_it_was_sent(api: Api) -> None:
    """One log of the plainest kind is answered, and shown by /raw_logs with its defaults filled in."""
    answer = api.post("/track", json=log())
    assert (answer.status_code, answer.json()) == (200, ACCEPTED)
    assert stored(api) == [row()]


def test_every_optional_field_is_kept(api: Api) -> None:
    """Weight, consumer, user agent and raw path come back as they were sent."""
    extra = {"weight": 20, "consumer": "acme", "user_agent": "curl/8.5.0", "path": "/books/7?page=2"}
    assert api.post("/track", json=log(**extra)).json() == ACCEPTED
    assert stored(api) == [row(**extra)]


def test_null_is_as_good_as_nothing(api: Api) -> None:
    """Where a field may be missing it may also be null."""
    assert api.post("/track", json=log(ip=None, consumer=None, user_agent=None, path=None)).json() == ACCEPTED
    assert api.post("/track", json=log(ip=...)).json() == ACCEPTED
    assert stored(api) == [row(ip=None), row(ip=None)]


def test_the_original_middleware_is_understood(api: Api) -> None:
    """Its exact payload: a naive local time with microseconds, a float of many digits, the raw path as endpoint."""
    payload = {
        "created_at": "2025-11-24T11:59:58.123456",
        "method": "GET",
        "endpoint": "/items/42",
        "ip": "127.0.0.1",
        "process_time": 1.2345678901234567,
        "status_code": 404,
    }
    answer = api.post("/track", json=payload)
    assert (answer.status_code, answer.json()) == (200, ACCEPTED)
    shown = {"created_at": "2025-11-24T11:59:58.123456Z", "process_time": 1.235}
    assert stored(api) == [row(**payload | shown)]


@pytest.mark.parametrize("method", ["HEAD", "OPTIONS", "get", "M-SEARCH", "X" * 16, "!#$%&'*+-.^_`|~"])
def test_any_method_token_is_a_method(api: Api, method: str) -> None:
    """A method is a token of up to 16 characters, in the case it was sent in."""
    assert api.post("/track", json=log(method=method)).json() == ACCEPTED
    assert stored(api) == [row(method=method)]


@pytest.mark.parametrize(
    ("sent", "shown"),
    [
        ("203.0.113.9", "203.0.113.9"),
        ("2001:db8::1", "2001:db8::1"),
        ("2001:0DB8:0000:0000:0000:0000:0000:0001", "2001:db8::1"),
        ("::1", "::1"),
        ("::", "::"),
        ("fe80::1%eth0", "fe80::1"),
        ("::ffff:192.0.2.7", "192.0.2.7"),
        ("::ffff:c000:207", "192.0.2.7"),
    ],
)
def test_an_address_has_one_spelling(api: Api, sent: str, shown: str) -> None:
    """IPv6 is shortened, its zone is dropped, and IPv4 inside IPv6 is the IPv4 address it is."""
    assert api.post("/track", json=log(ip=sent)).json() == ACCEPTED
    assert stored(api) == [row(ip=shown)]
    assert stored(api, ip=sent) == [row(ip=shown)]


@pytest.mark.parametrize(
    ("sent", "shown"),
    [
        ("2025-11-24T11:07:00", "2025-11-24T11:07:00.000000Z"),
        ("2025-11-24T13:00:00+02:00", "2025-11-24T11:00:00.000000Z"),
        ("2025-11-24T06:00:00.5-05:00", "2025-11-24T11:00:00.500000Z"),
        ("2025-11-24 11:00:00Z", "2025-11-24T11:00:00.000000Z"),
        ("20251124T110000Z", "2025-11-24T11:00:00.000000Z"),
        ("2018-12-01T00:00:00Z", "2018-12-01T00:00:00.000000Z"),
        ("2025-11-24T12:05:00Z", "2025-11-24T12:05:00.000000Z"),
    ],
)
def test_a_time_is_iso_8601_and_becomes_utc(api: Api, sent: str, shown: str) -> None:
    """Without an offset it is UTC; up to five minutes ahead of the server it is believed."""
    assert api.post("/track", json=log(created_at=sent)).json() == ACCEPTED
    assert stored(api) == [row(created_at=shown)]
    assert delivery(api) == EMPTY_DELIVERY | {"accepted": 1, "last_received_at": RECEIVED}


@pytest.mark.parametrize(
    "ahead", ["2025-11-24T12:05:00.000001Z", "2026-11-24T12:00:00Z", "9999-12-31T23:59:59.999999-23:59"]
)
def test_a_time_from_the_future_becomes_the_time_of_receipt(api: Api, ahead: str) -> None:
    """More than five minutes ahead is a wrong clock: the log counts as of now, and as skewed."""
    assert api.post("/track", json=log(created_at=ahead)).json() == ACCEPTED
    assert stored(api) == [row(created_at=RECEIVED)]
    assert delivery(api) == EMPTY_DELIVERY | {"accepted": 1, "skewed": 1, "last_received_at": RECEIVED}


@pytest.mark.parametrize(
    ("field", "value"),
    [
        ("process_time", 0),
        ("process_time", 86_400_000),
        ("status_code", 100),
        ("status_code", 599),
        ("weight", 1_000_000),
        ("endpoint", "/" + "x" * 511),
        ("endpoint", "/ü/✓/😀"),
        ("consumer", "c" * 128),
        ("user_agent", "u" * 256),
        ("path", "/" + "p" * 511),
    ],
)
def test_the_largest_and_smallest_that_may_be_sent(api: Api, field: str, value: object) -> None:
    """Each limit itself is inside."""
    assert api.post("/track", json=log(**{field: value})).json() == ACCEPTED
    assert stored(api) == [row(**{field: value})]


REQUIRED = "Field required"
METHOD = SENTENCES[reasons.METHOD]
BAD_FIELDS: dict[str, list[tuple[Any, str]]] = {
    "created_at": [
        (..., REQUIRED),
        (None, "Input should be an ISO 8601 date and time"),
        (1_763_985_600, "Input should be an ISO 8601 date and time"),
        ("yesterday", "Input should be an ISO 8601 date and time"),
        ("", "Input should be an ISO 8601 date and time"),
        ("2025-13-01T00:00:00Z", "Input should be an ISO 8601 date and time"),
        ("10000-01-01T00:00:00Z", "Input should be an ISO 8601 date and time"),
        ("0001-01-01T00:00:00+23:59", "Input should not be before December 2018"),
        ("2018-11-30T23:59:59.999999Z", "Input should not be before December 2018"),
    ],
    "method": [
        (..., REQUIRED),
        ("", METHOD),
        ("GET ", METHOD),
        ("GET\n", METHOD),
        ("X" * 17, METHOD),
        (7, "Input should be a valid string"),
    ],
    "endpoint": [
        (..., REQUIRED),
        ("", "String should have at least 1 character"),
        (["/"], "Input should be a valid string"),
    ],
    "process_time": [
        (..., REQUIRED),
        (None, "Input should be a valid number"),
        (-0.001, "Input should be greater than or equal to 0"),
        (86_400_000.001, "Input should be less than or equal to 86400000"),
        ("12", "Input should be a valid number"),
        (True, "Input should be a valid number"),
    ],
    "status_code": [
        (..., REQUIRED),
        (99, "Input should be greater than or equal to 100"),
        (600, "Input should be less than or equal to 599"),
        ("200", "Input should be a valid integer"),
        (200.0, "Input should be a valid integer"),
        (True, "Input should be a valid integer"),
    ],
    "query": [
        ("page=2", "Extra inputs are not permitted"),
    ],
}


@pytest.mark.parametrize("field", BAD_FIELDS)
def test_a_bad_field_is_named_with_the_reason(api: Api, dynamodb: DynamoDBClient, field: str) -> None:
    """By /track with 422, by /track/batch among the rejected; no log is stored, each refusal is counted."""
    cases = BAD_FIELDS[field]
    for number, (value, reason) in enumerate(cases):
        answer = api.post("/track", json=log(**{field: value}))
        assert (answer.status_code, answer.json()["detail"]) == (422, "The log is not valid")
        (error,) = answer.json()["errors"]
        assert error == {"index": None, "field": field, "reason": error["reason"]}
        assert error["reason"].startswith(reason)
        answer = api.post("/track/batch", json=batch(log(**{field: value}), batch_id=f"b{number}"))
        assert answer.json() == {"accepted": 0, "rejected": [error | {"index": 0}], "duplicate": False}
    assert stored(api) == []
    why = "unknown_field" if field == "query" else f"invalid_{field}"
    assert delivery(api) == EMPTY_DELIVERY | {"rejected": {why: 2 * len(cases)}, "last_received_at": RECEIVED}
    assert count(dynamodb) == 3 * len(cases)  # of each value two of counts alone, and the mark of the batch


def test_every_problem_of_a_log_is_named(api: Api) -> None:
    """Not just the first one; an odd optional field is no problem."""
    answer = api.post("/track", json=log(method="", ip="x", status_code=1))
    assert [error["field"] for error in answer.json()["errors"]] == ["method", "status_code"]
    assert delivery(api)["rejected"] == {"invalid_method": 1}


# -- bodies that are no JSON -------------------------------------------------------------------------------------------

MALFORMED = [
    b"",
    b"{",
    b"null",
    b"[]",
    b'"log"',
    b"1",
    b"not json",
    b'{"created_at": }',
    b"{'method': 'GET'}",
    b"\xff\xfe\x00",
    b'{"endpoint": "\xc3\x28"}',
    b'{"endpoint": "\\ud800"}',
    b"[" * 100_000,
    b'{"a":' * 100_000,
    json.dumps(log()).encode() + b"{}",
    json.dumps(log()).encode("utf-16"),
]


@pytest.mark.parametrize("body", MALFORMED, ids=lambda body: repr(body[:20]))
def test_a_body_that_is_no_log_or_batch_is_refused(api: Api, dynamodb: DynamoDBClient, body: bytes) -> None:
    """422 with one clear sentence and nothing of our inside; no log is stored, by /track the refusal is counted."""
    for route, items in (("/track/batch", 0), ("/track", 1)):
        answer = api.post(route, content=body)
        assert answer.status_code == 422
        assert answer.json()["detail"] == ("The log is not valid" if route == "/track" else "The batch is not valid")
        assert len(answer.json()["errors"]) >= 1
        assert {error["index"] for error in answer.json()["errors"]} == {None}
        assert_nothing_of_our_inside(answer.text)
        assert count(dynamodb) == items
    assert stored(api) == []


NO_NUMBERS = ["0x10", "01", "1_000"]  # to any reader of JSON
NUMBERS = ["NaN", "Infinity", "-Infinity", "1e999", "-1e999", "9" * 400, "9" * 5000]


@pytest.mark.parametrize("number", NUMBERS + NO_NUMBERS, ids=lambda number: number[:12])
def test_a_number_that_is_none_is_refused(api: Api, number: str) -> None:
    """NaN, infinities, and what overflows to them, in any required numeric field: its log is refused, alone."""
    for field in ("process_time", "status_code"):
        text = json.dumps(log(**{field: 1234567})).replace("1234567", number)
        assert number in text
        answer = api.post("/track", content=text)
        assert answer.status_code == 422
        assert_nothing_of_our_inside(answer.text)
        sent = f'{{"batch_id": "{field}", "logs": [{text}, {json.dumps(log())}]}}'
        answer = api.post("/track/batch", content=sent)
        if number in NO_NUMBERS:
            assert answer.status_code == 422
        else:
            assert refused(answer, accepted=1) == [(0, field)]
    assert len(stored(api)) == (0 if number in NO_NUMBERS else 2)


# -- batches -----------------------------------------------------------------------------------------------------------


def test_a_batch_is_stored_whole(api: Api, dynamodb: DynamoDBClient) -> None:
    """A thousand logs with everything a client may say of itself, as one item and its mark."""
    logs = [log(process_time=number) for number in range(1000)]
    client = {"name": "api-analytics", "version": "0.1.0", "instance": "web-1"}
    answer = api.post("/track/batch", json=batch(*logs, client=client, dropped={}))
    assert (answer.status_code, answer.json()) == (200, {"accepted": 1000, "rejected": [], "duplicate": False})
    assert [each["process_time"] for each in stored(api)] == list(range(999, -1, -1))
    assert count(dynamodb) == 2


def test_valid_logs_are_kept_when_others_are_not(api: Api) -> None:
    """Each refused log is named by its index, field and reason; the rest is stored."""
    logs: list[Any] = [log(), log(status_code=999), log(status_code=404), "no log", log(method="", query=""), {}]
    answer = api.post("/track/batch", json=batch(*logs))
    reason = "Input should be less than or equal to 599"
    assert answer.json()["rejected"][0] == {"index": 1, "field": "status_code", "reason": reason}
    missing = ["created_at", "method", "endpoint", "process_time", "status_code"]
    assert refused(answer, accepted=2) == [(1, "status_code"), (3, None), (4, "method"), (4, "query")] + [
        (5, field) for field in missing
    ]
    assert stored(api) == [row(status_code=404), row()]
    assert delivery(api) == EMPTY_DELIVERY | {
        "accepted": 2,
        "rejected": {"invalid_created_at": 1, "invalid_method": 1, "invalid_status_code": 1, "not_a_log": 1},
        "last_received_at": RECEIVED,
    }


def test_an_empty_batch_is_nothing(api: Api, dynamodb: DynamoDBClient) -> None:
    """It is answered, and leaves no item behind."""
    answer = api.post("/track/batch", json=batch())
    assert (answer.status_code, answer.json()) == (200, {"accepted": 0, "rejected": [], "duplicate": False})
    assert count(dynamodb) == 0


def test_what_a_client_lost_is_counted(api: Api) -> None:
    """`dropped` adds up by reason, also in a batch without logs, and zeros are left out."""
    api.post("/track/batch", json=batch(log(), batch_id="b1", dropped={"buffer_full": 3, "timeout": 0}))
    api.post("/track/batch", json=batch(batch_id="b2", dropped={"buffer_full": 4, "http_413": 1}))
    assert delivery(api) == EMPTY_DELIVERY | {
        "accepted": 1,
        "dropped": {"buffer_full": 7, "http_413": 1},
        "unreadable": 0,
        "last_received_at": RECEIVED,
    }


BAD_ENVELOPES: list[tuple[dict[str, Any], str]] = [
    ({"batch_id": ...}, "batch_id"),
    ({"batch_id": ""}, "batch_id"),
    ({"batch_id": "x" * 65}, "batch_id"),
    ({"batch_id": "a b"}, "batch_id"),
    ({"batch_id": "a#b"}, "batch_id"),
    ({"batch_id": "ok\n"}, "batch_id"),
    ({"batch_id": 7}, "batch_id"),
    ({"logs": ...}, "logs"),
    ({"logs": {}}, "logs"),
    ({"logs": None}, "logs"),
    ({"sent_at": "now"}, "sent_at"),
]


def test_a_batch_with_a_bad_envelope_is_refused_whole(api: Api, dynamodb: DynamoDBClient) -> None:
    """Even its good logs are not stored, for without its id they could be stored twice."""
    for changes, field in BAD_ENVELOPES:
        body = {name: value for name, value in (batch(log()) | changes).items() if value is not ...}
        answer = api.post("/track/batch", json=body)
        assert (answer.status_code, answer.json()["detail"]) == (422, "The batch is not valid")
        assert [(error["index"], error["field"]) for error in answer.json()["errors"]] == [(None, field)]
    assert count(dynamodb) == 0


@pytest.mark.parametrize("bad", [log(), {}, 7])
def test_too_many_logs_are_refused_whole(api: Api, dynamodb: DynamoDBClient, bad: Any) -> None:
    """1,001 logs are too large, whatever they are."""
    answer = api.post("/track/batch", json=batch(*[bad] * 1001))
    assert (answer.status_code, answer.json()) == (413, {"detail": "A batch holds at most 1000 logs"})
    assert count(dynamodb) == 0


def test_an_answer_stays_small_however_much_is_wrong(api: Api) -> None:
    """At most ten problems are told of a log: an answer that repeats a megabyte of them could not be given at all."""
    fields = {f"f{number}": 1 for number in range(20_000)}
    answer = api.post("/track", json=log(**fields))
    assert answer.status_code == 422
    assert len(answer.content) < 100_000
    answer = api.post("/track/batch", json=batch(log(), log(**fields)))
    assert {index for index, _ in refused(answer, accepted=1)} == {1}
    assert len(answer.content) < 100_000
    answer = api.post("/track/batch", json=batch(*[{}] * 1000, batch_id="b2"))
    assert {index for index, _ in refused(answer)} == set(range(1000))
    assert len(answer.content) < 1_000_000


# -- sizes and encodings -----------------------------------------------------------------------------------------------


def padded(size: int) -> bytes:
    """A batch of one log in a body of this many bytes."""
    body = json.dumps(batch(log())).encode()
    return body + b" " * (size - len(body))


def test_a_body_may_be_a_megabyte(api: Api, dynamodb: DynamoDBClient) -> None:
    """The limit itself is inside, and one byte more is 413, plain or compressed."""
    assert api.post("/track/batch", content=padded(MAX_BODY)).json() == ACCEPTED
    answer = api.post("/track/batch", content=padded(MAX_BODY + 1))
    assert (answer.status_code, answer.json()) == (413, {"detail": LARGE})
    compressed = {"headers": {"Content-Encoding": "gzip"}, "content": gzip.compress(padded(MAX_BODY + 1))}
    answer = api.post("/track/batch", **compressed)
    assert (answer.status_code, answer.json()) == (413, {"detail": f"{LARGE} after decompression"})
    assert count(dynamodb) == 2


def test_a_body_without_end_is_not_read_to_its_end(api: Api, service: Service) -> None:
    """What is too large is answered as soon as that is known."""
    chunks = Chunks(b" " * 65_536)
    assert asyncio.run(chunks.post(service, "/track/batch", api.key)) == (413, {"detail": LARGE})
    assert chunks.given == 17


def test_nothing_is_read_from_a_stranger(service: Service) -> None:
    """Without a good key the body is not even looked at."""
    chunks = Chunks(b" " * 65_536)
    assert asyncio.run(chunks.post(service, "/track/batch", "wrong")) == (401, UNAUTHORIZED)
    assert chunks.given == 0


def test_a_gzip_bomb_is_not_inflated(api: Api, dynamodb: DynamoDBClient) -> None:
    """A hundred megabytes in one are refused after the first megabyte, in little memory."""
    bomb = gzip.compress(b" " * (100 * MAX_BODY), 1)
    assert len(bomb) < MAX_BODY
    tracemalloc.start()
    answer = api.post("/track/batch", content=bomb, headers={"Content-Encoding": "gzip"})
    peak = tracemalloc.get_traced_memory()[1]
    tracemalloc.stop()
    assert peak < 10 * MAX_BODY
    assert (answer.status_code, answer.json()) == (413, {"detail": f"{LARGE} after decompression"})
    assert count(dynamodb) == 0


@pytest.mark.parametrize("encoding", ["gzip", "GZIP", "x-gzip", "X-Gzip", "gzip, identity", "identity,gzip"])
def test_a_body_may_come_compressed(api: Api, encoding: str) -> None:
    """By both routes."""
    headers = {"Content-Encoding": encoding}
    assert api.post("/track/batch", **gzipped(batch(log())) | {"headers": headers}).json() == ACCEPTED
    assert api.post("/track", **gzipped(log(status_code=500)) | {"headers": headers}).json() == ACCEPTED
    assert sorted(each["status_code"] for each in stored(api)) == [200, 500]


@pytest.mark.parametrize(
    ("content", "encoding"),
    [
        (json.dumps(batch(log())).encode(), "gzip"),
        (gzip.compress(json.dumps(batch(log())).encode())[:-1], "gzip"),
        (gzip.compress(json.dumps(batch(log())).encode()) + b"more", "gzip"),
        (gzip.compress(json.dumps(batch(log())).encode()) + gzip.compress(b"more"), "x-gzip"),
        (b"", "gzip"),
        (random.Random(1).randbytes(100), "gzip"),
    ],
    ids=["plain", "cut", "more", "two bodies", "empty", "noise"],
)
def test_broken_gzip_is_refused(api: Api, dynamodb: DynamoDBClient, content: bytes, encoding: str) -> None:
    """422 in a sentence about it."""
    answer = api.post("/track/batch", content=content, headers={"Content-Encoding": encoding})
    assert answer.status_code == 422
    assert answer.json()["detail"].startswith("The b")
    assert count(dynamodb) == 0


@pytest.mark.parametrize("encoding", ["deflate", "br", "zstd", "gzip, gzip", "gzip, br", "utf-8"])
def test_an_unknown_encoding_is_refused(api: Api, dynamodb: DynamoDBClient, encoding: str) -> None:
    """415 names the one that is known, on every route that takes a body; a single log's refusal is counted."""
    for route in ("/track", "/track/batch", "/generate_key", "/rotate_key"):
        answer = api.post(route, content=json.dumps(log()).encode(), headers={"Content-Encoding": encoding})
        assert (answer.status_code, answer.headers["accept-encoding"]) == (415, "gzip")
        reason = "Send the body plain or compressed with gzip"
        assert answer.json() == {
            "detail": "The content encoding is not known",
            "errors": [{"index": None, "field": None, "reason": reason}],
        }
    assert count(dynamodb) == 1
    assert delivery(api)["rejected"] == {"not_a_log": 1}


@pytest.mark.parametrize("pieces", [1, 2, 5, 1_000])
def test_a_body_may_come_in_several_members_of_gzip(api: Api, pieces: int) -> None:
    """As `cat a.gz b.gz` makes it."""
    body = json.dumps(batch(log())).encode()
    size = -(-len(body) // pieces)
    packed = b"".join(gzip.compress(body[number * size : (number + 1) * size]) for number in range(pieces))
    assert api.post("/track/batch", content=packed, headers={"Content-Encoding": "gzip"}).json() == ACCEPTED
    assert stored(api) == [row()]


def test_the_members_of_gzip_share_one_limit(api: Api, dynamodb: DynamoDBClient) -> None:
    """A megabyte, however it is cut; a bomb of many pieces is none."""
    body = padded(MAX_BODY)
    packed = b"".join(gzip.compress(body[start : start + 100_000]) for start in range(0, MAX_BODY, 100_000))
    encoded = {"Content-Encoding": "gzip"}
    answer = api.post("/track/batch", content=packed + gzip.compress(b" "), headers=encoded)
    assert (answer.status_code, answer.json()) == (413, {"detail": f"{LARGE} after decompression"})
    assert count(dynamodb) == 0
    assert api.post("/track/batch", content=packed, headers=encoded).json() == ACCEPTED


@pytest.mark.parametrize("packed", [False, True])
def test_a_byte_order_mark_is_no_part_of_the_json(api: Api, packed: bool) -> None:
    """PowerShell and some editors write one; in the middle it is still an error."""
    mark = b"\xef\xbb\xbf"
    options = {"headers": {"Content-Encoding": "gzip" if packed else "identity"}}
    for route, body in (("/track", log()), ("/track/batch", batch(log())), ("/rotate_key", {"grace_seconds": 60})):
        content = mark + json.dumps(body).encode()
        answer = api.post(route, content=gzip.compress(content) if packed else content, **options)
        assert answer.status_code in (200, 201), answer.text
    twice = mark + mark + json.dumps(log()).encode()
    assert api.post("/track", content=gzip.compress(twice) if packed else twice, **options).status_code == 422
    assert stored(api) == [row(), row()]


# -- once and only once ------------------------------------------------------------------------------------------------


def test_a_batch_sent_again_is_stored_once(api: Api, clock: Clock) -> None:
    """The retry is answered as a duplicate, of which nothing was stored now, and counted as such."""
    first = api.post("/track/batch", json=batch(log(), log()))
    clock.advance(3600)
    again = api.post("/track/batch", json=batch(log(), log()))
    assert first.json() == {"accepted": 2, "rejected": [], "duplicate": False}
    assert again.json() == {"accepted": 0, "rejected": [], "duplicate": True}
    assert stored(api) == [row(), row()]
    assert delivery(api) == EMPTY_DELIVERY | {
        "accepted": 2,
        "duplicates": 2,
        "last_received_at": "2025-11-24T13:00:00.000000Z",
    }


def test_what_a_repeated_batch_says_beside_its_logs_counts_once(api: Api) -> None:
    """Neither its losses nor its refusals nor its skew are added again."""
    body = batch(log(created_at="2030-01-01"), log(status_code=7), dropped={"timeout": 5}, client={"name": 7})
    assert [api.post("/track/batch", json=body).json()["accepted"] for _ in range(3)] == [1, 0, 0]
    assert delivery(api) == {
        "accepted": 1,
        "rejected": {"invalid_status_code": 1},
        "duplicates": 2,
        "skewed": 1,
        "local_times": 0,
        "trimmed": {"client": 1},
        "unknown_fields": {},
        "dropped": {"timeout": 5},
        "unreadable": 0,
        "last_received_at": RECEIVED,
    }


def test_a_repeated_batch_counts_the_requests_that_it_stands_for(api: Api) -> None:
    """Sampled logs are more requests than they are logs, also when they come twice."""
    for _ in range(2):
        api.post("/track/batch", json=batch(log(weight=20), log(weight=5)))
    counted = delivery(api)
    assert (counted["accepted"], counted["duplicates"]) == (25, 25)


OTHERS: dict[str, Any] = {
    "one more": [log(), log(endpoint="/b", consumer="acme"), log()],
    "one less": [log()],
    "none of them": [log(endpoint="/c")] * 2,
    "another status": [log(status_code=404), log(endpoint="/b", consumer="acme")],
    "another time": [log(created_at="2025-11-24T12:00:00.000001Z"), log(endpoint="/b", consumer="acme")],
    "another duration": [log(process_time=12.501), log(endpoint="/b", consumer="acme")],
    "another weight": [log(weight=2), log(endpoint="/b", consumer="acme")],
    "another consumer": [log(), log(endpoint="/b", consumer="acne")],
    "consumers changed over": [log(consumer="acme"), log(endpoint="/b")],
}


@pytest.mark.parametrize("other", OTHERS.values(), ids=OTHERS)
def test_other_logs_under_the_same_batch_id_are_a_conflict(api: Api, dynamodb: DynamoDBClient, other: Any) -> None:
    """409 says that they are not stored; a client whose ids begin anew would lose them without a word."""
    first = [log(), log(endpoint="/b", consumer="acme")]
    send(api, *first)
    held = count(dynamodb)
    answer = api.post("/track/batch", json=batch(*other))
    detail = "Other logs are stored under this batch_id, so these are not: each batch needs an id of its own"
    assert (answer.status_code, answer.json()) == (409, {"detail": detail})
    assert count(dynamodb) == held
    again = api.post("/track/batch", json=batch(*first))
    assert again.json() == {"accepted": 0, "rejected": [], "duplicate": True}
    assert delivery(api) == EMPTY_DELIVERY | {"accepted": 2, "duplicates": 2, "last_received_at": RECEIVED}


def test_the_same_logs_said_otherwise_are_no_conflict(api: Api, clock: Clock) -> None:
    """Another order of fields or logs, another spelling of a time or address, other losses, a log from the future."""
    first, second = log(ip="2001:db8::1"), log(created_at="2025-11-24T12:04:00Z", consumer=None)
    send(api, first, second)
    turned = {name: first[name] for name in reversed(first)} | {"ip": "2001:DB8:0::1", "process_time": 12.50}
    offset = second | {"created_at": "2025-11-24T13:04:00+01:00"}
    for body in (
        batch(turned, offset),
        batch(offset, turned, dropped={"timeout": 1}),
        batch(first, second, log(status_code=7)),
    ):
        answer = api.post("/track/batch", json=body)
        assert (answer.status_code, answer.json()["accepted"], answer.json()["duplicate"]) == (200, 0, True)
    ahead = batch(log(created_at="2025-11-24T12:06:00Z"), log(), batch_id="ahead")
    assert api.post("/track/batch", json=ahead).json()["accepted"] == 2
    clock.advance(120)
    assert api.post("/track/batch", json=ahead).json() == {"accepted": 0, "rejected": [], "duplicate": True}


def test_a_batch_of_several_items_is_known_again(api: Api, dynamodb: DynamoDBClient) -> None:
    """Each of its parts counts for whether it is the same."""
    chance = random.Random(3)
    long = [log(user_agent=f"{chance.randbytes(128).hex()}", path=chance.randbytes(256).hex()) for _ in range(1000)]
    send(api, *long)
    assert count(dynamodb) > 2
    assert api.post("/track/batch", json=batch(*long)).json()["duplicate"] is True
    changed = [*long[:-1], long[-1] | {"user_agent": "x"}]
    assert api.post("/track/batch", json=batch(*changed)).status_code == 409
    assert api.post("/track/batch", json=batch(log())).status_code == 409


def test_a_mark_of_an_older_build_is_a_duplicate(api: Api, dynamodb: DynamoDBClient) -> None:
    """Without a checksum nobody can tell; nothing is stored, and the answer says so."""
    send(api, log())
    (mark,) = (item for item in dynamodb.scan(TableName=SETTINGS.logs_table)["Items"] if "sum" in item)
    del mark["sum"]
    dynamodb.put_item(TableName=SETTINGS.logs_table, Item=mark)
    answer = api.post("/track/batch", json=batch(log(status_code=404)))
    assert (answer.status_code, answer.json()) == (200, {"accepted": 0, "rejected": [], "duplicate": True})
    assert stored(api) == [row()]


def test_the_same_log_by_itself_is_two_requests(api: Api) -> None:
    """A client that sends single logs has no ids: equal logs are two."""
    for _ in range(2):
        api.post("/track", json=log())
    assert stored(api) == [row(), row()]


def test_a_batch_id_belongs_to_its_key(service: Service, api: Api) -> None:
    """Another key's batch of the same id is another batch."""
    other = Api(service)
    send(api, log())
    send(other, log(status_code=404))
    assert stored(api) == [row()]
    assert stored(other) == [row(status_code=404)]


def test_a_batch_sent_many_times_at_once_is_stored_once(dynoxide_client: DynamoDBClient, clock: Clock) -> None:
    """Eight threads, one batch id: one is the first, the others are duplicates or told to try again.

    Not on moto, which does not keep the transactions of several threads apart.
    """
    engine = Engine(dynoxide_client)
    service = Service(SETTINGS, engine.keys, engine.logs, clock)
    apis = [Api(service) for _ in range(8)]
    for api in apis:
        api.key = apis[0].key
    with ThreadPoolExecutor(8) as threads:
        answers = list(threads.map(lambda api: api.post("/track/batch", json=batch(log())), apis))
    assert {answer.status_code for answer in answers} <= {200, 503}
    assert [answer.json()["duplicate"] for answer in answers if answer.status_code == 200].count(False) == 1
    assert stored(apis[0]) == [row()]
    assert apis[0].post("/track/batch", json=batch(log())).json()["duplicate"] is True


# -- keys and the store ------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("route", ["/track", "/track/batch"])
def test_without_a_good_key_nothing_is_taken(api: Api, dynamodb: DynamoDBClient, route: str) -> None:
    """Missing, malformed, mistyped and unknown keys are one and the same to the caller."""
    mistyped = api.key[:-1] + ("a" if api.key[-1] != "a" else "b")
    keys = (None, "", "wrong", "é" * 37, api.key[:-1], f"{api.key}x", mistyped, generate(), "a" * 9999)
    for key in keys:
        headers = {} if key is None else {"X-API-Key": key.encode("latin-1")}
        answer = api.request("POST", route, json=log(), headers=headers)
        assert (answer.status_code, answer.json()) == (401, UNAUTHORIZED)
        assert answer.headers["www-authenticate"] == "ApiKey"
    assert count(dynamodb) == 0


def test_a_table_out_of_reach_is_answered_with_503(service: Service) -> None:
    """With the time to wait, and without a word about what is behind."""
    config = Config(retries={"total_max_attempts": 1}, connect_timeout=1)
    client = boto3.client("dynamodb", endpoint_url="http://127.0.0.1:9", config=config)  # nobody listens on "discard"
    api = Api(replace(service, logs=LogTable(client, "logs")))
    for route, body in (("/track", log()), ("/track", {}), ("/track/batch", batch(log()))):
        answer = api.post(route, json=body)
        assert (answer.status_code, answer.json()) == (503, {"detail": "The store is busy, try again"})
        assert answer.headers["retry-after"] == "2"
    client.close()


@pytest.mark.parametrize("route", ["/track", "/track/batch"])
def test_a_mistake_of_ours_is_answered_with_500_and_nothing_else(service: Service, route: str) -> None:
    """A table that is not there is told to the log of the function, not to the caller."""
    api = Api(replace(service, logs=LogTable(shared_client(), "no-such-table")))
    answer = api.post(route, json=log() if route == "/track" else batch(log()))
    assert (answer.status_code, answer.json()) == (500, {"detail": "Internal Server Error"})


class Chunks:
    """A request whose body never ends; `given` counts the chunks that were asked for."""

    def __init__(self, chunk: bytes) -> None:
        self.chunk = chunk
        self.given = 0

    async def post(self, service: Service, path: str, key: str) -> tuple[int, Any]:
        """Status and JSON of the answer."""
        sent: list[Any] = []

        async def receive() -> dict[str, Any]:
            self.given += 1
            assert self.given < 1000, "it reads without end"
            return {"type": "http.request", "body": self.chunk, "more_body": True}

        async def send(message: Any) -> None:
            sent.append(message)

        scope = {
            "type": "http",
            "http_version": "1.1",
            "method": "POST",
            "path": path,
            "query_string": b"",
            "headers": [(b"x-api-key", key.encode())],
        }
        await create_app(service)(scope, receive, send)
        return sent[0]["status"], json.loads(b"".join(message.get("body", b"") for message in sent[1:]))


def assert_nothing_of_our_inside(text: str) -> None:
    """No stack trace, no file, no type of ours in an answer."""
    for word in ("Traceback", "File ", ".py", "analytics.", "pydantic", "function-", "boto"):
        assert word not in text
