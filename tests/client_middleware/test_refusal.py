"""A batch that the service does not accept as it is costs nothing but what is wrong with it.

Against a server process that is as strict as the first release of the service, or newer: stored + lost and reported +
rejected for good = made.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable
from typing import Any

import httpx
import pytest

from analytics.errors import Invalid
from analytics.wire import WIRE
from client_middleware import wire
from client_middleware.buffer import Row
from client_middleware.delivery import Delivery
from client_middleware.fields import FIELDS, Field, write
from client_middleware.refusal import UNKNOWN, Problem, problems
from client_middleware.settings import Settings
from client_middleware.tracker import Tracker
from client_middleware.transport import Outcome, understand
from client_middleware.wire import Encoder
from tests.client_middleware.collector import Rules
from tests.client_middleware.conftest import CollectorProcess
from tests.client_middleware.test_delivery import Service, made

REGION = Field("region", 16, lambda _: lambda finished: finished.scope["region"])
KNOWN, MEMBERS = Rules().fields, Rules().members

SERVICES: dict[str, dict[str, Any]] = {
    "strict": {},
    "knows formats": {"members": [*MEMBERS, "format"]},
    "newer": {"members": [*MEMBERS, "format"], "format": 2, "fields": [*KNOWN, "region"]},
}


def row(endpoint: str = "/", optional: str = "", status: int = 200, weight: int = 1) -> Row:
    """A request."""
    return (1_763_985_600.0, 0.001, "GET", endpoint, status, None, optional, weight)


def texts(**given: str) -> str:
    """The optional fields of a log that have these names."""
    return write((field, given.get(field.name)) for field in [*FIELDS, REGION])


def send(delivery: Delivery, *rows: Row) -> None:
    """Record rows and have them sent."""
    for each in rows:
        delivery.record(each)
    assert delivery.flush(30)


@pytest.mark.parametrize("service", SERVICES)
@pytest.mark.parametrize(
    ("batch_format", "fields"),
    [(1, FIELDS), (1, (*FIELDS, REGION)), (2, (*FIELDS, REGION))],
    ids=["as released", "with another field", "of another format"],
)
def test_each_client_with_each_service(
    batch_format: int,
    fields: tuple[Field, ...],
    service: str,
    deliver: Callable[..., Delivery],
    collector: CollectorProcess,
) -> None:
    """A client and a service of different ages lose no request: what the service does not know is left out."""
    collector.accept(**SERVICES[service])
    delivery = deliver(batch_format=batch_format)
    tracker = Tracker(Settings(raw_path="all"), delivery, fields)
    for number in range(35):
        scope = {"type": "http", "method": "GET", "headers": [], "region": f"r{number}"}
        tracker.record(scope, f"/{number}", 1_763_985_600.0, 0.001, 200)
    assert delivery.flush(30)
    assert (collector.requests, collector.dropped) == (35, {})
    assert sorted(log["path"] for log in collector.logs) == sorted(f"/{number}" for number in range(35))
    kept = service == "newer" and REGION in fields
    assert [log.get("region") for log in collector.logs] == [
        log["path"].replace("/", "r") if kept else None for log in collector.logs
    ]
    assert not any(collector.rejected[2:])  # the first answer is remembered
    ids = [batch["batch_id"] for batch in collector.batches]
    assert len(ids) == len(set(ids))


def test_a_field_that_the_service_learns() -> None:
    """A field that was unknown is sent again after an hour, for the service may be a newer one by then."""
    now = [0.0]
    encoder = Encoder(clock=lambda: now[0])
    assert encoder.leave_out(["region"]) == ["region"]
    assert encoder.leave_out(["region"]) == []
    sent = []
    for now[0] in (0.0, wire.RELEARN_S - 1, wire.RELEARN_S + 1):
        body, _ = encoder.batch([row(optional=texts(consumer="acme", region="north"))], "an-id", "an-instance", {})
        sent.append((b'"consumer":"acme"' in body, b'"region":"north"' in body))
    assert sent == [(True, False), (True, False), (True, True)]


def test_an_odd_value_of_an_optional_field(deliver: Callable[..., Delivery], collector: CollectorProcess) -> None:
    """A log whose optional field is refused is sent again without it, and the field of the others stays."""
    delivery = deliver()
    odd = row(optional=texts(consumer="acme", user_agent="odd"), weight=3)
    fine = row(optional=texts(user_agent="curl/8"))
    send(delivery, fine, odd, fine)
    send(delivery, fine)
    assert collector.requests == 6
    kept = Counter((log.get("consumer"), log.get("user_agent")) for log in collector.logs)
    assert kept == {(None, "curl/8"): 3, ("acme", None): 1}


def test_a_log_that_is_wrong_by_itself(deliver: Callable[..., Delivery], collector: CollectorProcess) -> None:
    """A log that is rejected for a field that it must have is not sent again: the service has counted it."""
    delivery = deliver()
    send(delivery, row(), row(status=700, optional=texts(user_agent="odd")), row())
    assert (collector.requests, collector.dropped) == (2, {})
    assert [len(rejected) for rejected in collector.rejected] == [2]
    assert delivery.buffer.losses == {}


@pytest.mark.parametrize("status", [400, 413, 422])
@pytest.mark.parametrize("bad", [[0], [99], [37], [3, 50, 51]], ids=str)
def test_only_the_bad_log_is_lost(
    bad: list[int], status: int, deliver: Callable[..., Delivery], collector: CollectorProcess
) -> None:
    """A batch that is refused as a whole is sent in parts, until the bad logs are alone; those are lost and counted."""
    collector.accept(poison=status)
    delivery = deliver(batch_logs=100)
    delivery.buffer.lose({"overflow": 7})
    send(delivery, *(row("/poison" if number in bad else f"/{number}", weight=2) for number in range(100)))
    stored = [log["endpoint"] for log in collector.logs]
    assert sorted(stored) == sorted(f"/{number}" for number in range(100) if number not in bad)
    assert collector.dropped + Counter(delivery.buffer.losses) == {"overflow": 7, f"http_{status}": 2 * len(bad)}


def test_a_service_with_a_lower_limit(deliver: Callable[..., Delivery], collector: CollectorProcess) -> None:
    """Where a proxy accepts smaller bodies than the service, batches are sent in parts that fit."""
    collector.accept(bytes=5000)
    delivery = deliver(batch_logs=500)
    send(delivery, *(row(f"/{number}") for number in range(500)))
    assert (collector.requests, collector.dropped) == (500, {})


def test_a_service_that_refuses_everything() -> None:
    """A service that takes nothing is not asked for each log: few times at first, and then once for each batch."""
    service = Service(*[Outcome("invalid", "http_400")] * 10_000)
    delivery = made(service, batch_logs=1000)
    posts = []
    for _ in range(10):
        before = service.posts
        for _ in range(1000):
            delivery.record(row())
        delivery.flush(30)
        posts.append(service.posts - before)
    assert posts[0] < 150
    assert posts[-1] <= 2
    assert delivery.buffer.losses == {"http_400": 10_000}
    service.outcomes.clear()
    send(delivery, row(), row())  # which is stored, so that a bad log in the next batch is looked for again
    service.outcomes[:] = [Outcome("invalid", "http_400")] * 2
    send(delivery, row(), row())
    assert sum(len(batch["logs"]) for batch in service.batches) == 3


def test_a_refusal_after_an_answer_was_lost() -> None:
    """A batch that may be stored is not sent in parts, which would double it: it counts as unconfirmed."""
    service = Service(Outcome("again", "http_503", maybe_stored=True), Outcome("invalid", "http_422"))
    delivery = made(service)
    send(delivery, row(), row(weight=4))
    assert service.posts == 2
    assert delivery.buffer.losses == {"unconfirmed": 5}


def test_a_field_that_is_unknown_after_an_answer_was_lost() -> None:
    """The same batch without a field keeps its id and its losses: it is stored once, whatever became of the first."""
    unknown = Outcome("invalid", "http_422", problems=(Problem(None, "format", UNKNOWN),))
    service = Service(Outcome("again", "http_503", maybe_stored=True), unknown)
    delivery = made(service, batch_format=2)
    delivery.buffer.lose({"overflow": 7})
    send(delivery, row())
    (batch,) = service.batches
    assert (batch["batch_id"][-2:], batch["dropped"], "format" in batch) == ("-1", {"overflow": 7}, False)


def test_a_batch_that_may_be_stored_is_given_up_without_a_field() -> None:
    """A batch whose answer got lost counts as unconfirmed, also if it was sent without a field since."""
    unknown = Outcome("invalid", "http_422", problems=(Problem(None, "format", UNKNOWN),))
    service = Service(Outcome("again", "http_503", maybe_stored=True), unknown, Outcome("refused", "http_404"))
    delivery = made(service, batch_format=2)
    send(delivery, row(weight=3))
    assert delivery.buffer.losses == {"unconfirmed": 3}


def test_a_service_that_names_what_was_not_sent() -> None:
    """An answer that names fields that are not in the batch has nothing left out, and the batch is not sent again."""
    for index in (None, 0, -1, 1):
        for name in ("region", "logs", "batch_id", "status_code", ""):
            problem = Problem(index, name, UNKNOWN)
            service = Service(*[Outcome("invalid", "http_422", problems=(problem,))] * 20)
            delivery = made(service)
            send(delivery, row())
            assert (service.posts, delivery.buffer.losses) == (1, {"http_422": 1})


def test_rejected_logs_that_wait() -> None:
    """Logs that are sent again without a field are tried for as long as any others."""
    odd = (Problem(1, "user_agent", "Input should be another"),)
    service = Service(Outcome("stored", problems=odd), Outcome("again", "http_429"))
    delivery = made(service, retry_seconds=60)
    optional = texts(user_agent="odd")
    send(delivery, row(), row(optional=optional), row())
    assert [[log.get("user_agent") for log in batch["logs"]] for batch in service.batches] == [
        [None, "odd", None],
        [None],
    ]
    assert delivery.buffer.losses == {}


def test_a_key_that_is_revoked_between_two_parts() -> None:
    """Parts that wait when the key is refused are lost and counted like the rest."""
    service = Service(Outcome("invalid", "http_422"), Outcome("unauthorized", "unauthorized"))
    delivery = made(service)
    send(delivery, *[row(weight=2)] * 10)
    assert delivery.buffer.losses == {"unauthorized": 20}
    assert (service.posts, delivery.pending) == (2, 0)


def test_parts_are_not_tried_for_longer() -> None:
    """A part is given up when its batch would have been, not an hour later."""
    service = Service(Outcome("invalid", "http_422"), *[Outcome("again", "http_429")] * 1000)
    delivery = made(service, in_background=True, flush_seconds=0.05, retry_seconds=0.3)
    delivery.record(row())
    delivery.record(row())
    assert delivery.flush(30)
    assert delivery.buffer.losses == {"http_429": 2}
    delivery.close(1)


def test_one_log_that_cannot_be_written(caplog: pytest.LogCaptureFixture) -> None:
    """A log that cannot be written as JSON is lost alone."""
    service = Service()
    delivery = made(service)
    broken: Any = (None, *row(weight=3)[1:])
    send(delivery, *[row()] * 20, broken, *[row()] * 20)
    assert sum(len(batch["logs"]) for batch in service.batches) == 40
    assert service.batches[-1]["dropped"] == {"unwritable": 3}
    assert len([record for record in caplog.records if record.exc_info]) == 1


def test_what_the_service_says_of_an_unknown_field() -> None:
    """The reason by which the client knows an unknown field is the one that the service gives."""
    body, _ = Encoder().batch([row(optional=texts(region="north"))], "an-id", "an-instance", {})
    (problem,) = WIRE.batch(body).problems
    assert (problem.field, problem.reason) == ("region", UNKNOWN)
    with pytest.raises(Invalid) as caught:
        WIRE.batch(body.replace(b'"batch_id"', b'"stage":"x","batch_id"'))
    assert [(each.index, each.field, each.reason) for each in caught.value.problems if each.index is None] == [
        (None, "stage", UNKNOWN)
    ]


@pytest.mark.parametrize(
    ("answer", "expected"),
    [
        (b'{"accepted":1,"rejected":[{"index":0,"field":"x","reason":"r"}],"duplicate":false}', [(0, "x", "r")]),
        (b'{"detail":"d","errors":[{"index":null,"field":null,"reason":"r"}]}', [(None, "", "r")]),
        (b'{"accepted":1,"rejected":[],"duplicate":false}', []),
        (b'{"rejected":7}', []),
        (b'{"rejected":[7]}', []),
        (b'{"rejected":[{}]}', []),
        (b"[]", []),
        (b"<html>", []),
        (b"\xff", []),
        (b"", []),
    ],
    ids=repr,
)
def test_what_an_answer_names(answer: bytes, expected: list[tuple[int | None, str, str]]) -> None:
    """The problems are read from both forms; an answer of something else names none, and is no error."""
    assert list(problems(answer)) == [Problem(*each) for each in expected]
    for status in (200, 422):
        assert list(understand(httpx.Response(status), answer).problems) == [Problem(*each) for each in expected]
