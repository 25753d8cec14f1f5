"""The wire has a format with a number: what a service of one format makes of what a client of another sends."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Annotated, Any, NotRequired

import pytest
from fastapi.testclient import TestClient
from pydantic import ConfigDict, Field
from typing_extensions import TypedDict

from analytics.schema import FORMAT, Log
from analytics.web import Service
from analytics.wire import Wire
from functions.ingest.app import create_app
from tests.conftest import Api
from tests.functions.wire import ACCEPTED, EMPTY_DELIVERY, batch, delivery, log, row, stored

GOLDEN = Path(__file__).parents[1] / "analytics" / "golden"
EXTRA = "Extra inputs are not permitted"  # which released middleware looks for: it sends again without the field
NEWER = FORMAT + 1


class NewerLog(Log):
    """What a log is to a later service."""

    region: NotRequired[Annotated[str, Field(max_length=8)]]


class NewerBatch(TypedDict):
    """What a batch is to a later service."""

    __pydantic_config__ = ConfigDict(extra="forbid", strict=True)  # type: ignore[misc]

    format: NotRequired[int]
    batch_id: str
    sequence: NotRequired[int]
    logs: list[NewerLog]


@pytest.fixture(params=[FORMAT, NEWER])
def number(request: pytest.FixtureRequest) -> int:
    """The format of the service."""
    return int(request.param)


@pytest.fixture
def ingest(service: Service, number: int) -> TestClient:
    """The service that understands it."""
    return TestClient(create_app(service, Wire(NewerLog, NewerBatch, NEWER) if number == NEWER else Wire()))


def post(ingest: TestClient, api: Api, route: str, body: Any) -> Any:
    """Its answer."""
    return ingest.post(route, json=body, headers={"X-API-Key": api.key})


def answer(ingest: TestClient, api: Api, route: str, body: Any) -> tuple[int, Any]:
    """Status and JSON of its answer."""
    answered = post(ingest, api, route, body)
    return answered.status_code, answered.json()


@pytest.mark.parametrize("released", ["wire-1"])
def test_a_released_format_is_taken_word_for_word(api: Api, released: str) -> None:
    """What the original's middleware and ours sent then, byte for byte: the same answers, logs and counts."""
    sample = json.loads((GOLDEN / f"{released}.json").read_text())
    for each in sample["sent"]:
        answered = api.post(each["route"], content=each["body"].encode())
        assert (answered.status_code, answered.json()) == (200, each["answer"])
    assert sorted(stored(api), key=lambda shown: str(shown["created_at"])) == sample["stored"]
    assert delivery(api) == EMPTY_DELIVERY | sample["delivery"]


@pytest.mark.parametrize("named", [{}, {"format": FORMAT}, {"format": NEWER}], ids=["none", "ours", "newer"])
def test_clients_and_services_of_two_formats(ingest: TestClient, api: Api, number: int, named: dict[str, Any]) -> None:
    """A batch of a newer client loses no log anywhere; what a service does not know is refused unless it is newer."""
    logs = [log(region="eu"), log(status_code=404, region="us"), log(status_code=500)]
    sequence = 7
    status, body = answer(ingest, api, "/track/batch", batch(*logs, sequence=sequence, **named))
    told = delivery(api)
    if number == NEWER:
        assert (status, body["accepted"], body["rejected"]) == (200, 3, [])
        assert told["unknown_fields"] == {}
    elif named == {"format": NEWER}:
        assert (status, body["accepted"], body["rejected"]) == (200, 3, [])
        assert (told["unknown_fields"], told["trimmed"]) == ({"region": 2, "sequence": 1}, {})
        assert stored(api) == [row(status_code=500), row(status_code=404), row()]
    else:
        assert (status, body["errors"]) == (422, [{"index": None, "field": "sequence", "reason": EXTRA}])
        status, body = answer(ingest, api, "/track/batch", batch(*logs, **named))
        extra = {"field": "region", "reason": EXTRA}
        assert (status, body["accepted"]) == (200, 1)
        assert body["rejected"] == [{"index": 0} | extra, {"index": 1} | extra]
        assert delivery(api)["unknown_fields"] == {}


@pytest.mark.parametrize("named", [{}, {"format": FORMAT}, {"format": NEWER}], ids=["none", "ours", "newer"])
def test_a_single_log_of_two_formats(ingest: TestClient, api: Api, number: int, named: dict[str, Any]) -> None:
    """By /track it is the same."""
    status, body = answer(ingest, api, "/track", log(region="eu", **named))
    if number == NEWER or named == {"format": NEWER}:
        assert (status, body) == (200, ACCEPTED)
        assert delivery(api)["unknown_fields"] == ({} if number == NEWER else {"region": 1})
    else:
        assert (status, body["errors"]) == (422, [{"index": None, "field": "region", "reason": EXTRA}])
        assert delivery(api)["rejected"] == {"unknown_field": 1}


def test_a_new_field_is_repaired_like_any_other(ingest: TestClient, api: Api, number: int) -> None:
    """The rules are about declarations, not about the names of today."""
    for region in ("x" * 9, 7, None):
        assert answer(ingest, api, "/track", log(region=region, format=NEWER))[0] == 200
    told = delivery(api)
    assert (told["trimmed"], told["unknown_fields"]) == (
        ({"region": 2}, {}) if number == NEWER else ({}, {"region": 3})
    )


def test_one_log_of_a_newer_format_in_a_batch(api: Api) -> None:
    """A forwarder may mix: the log's own number counts for it alone, where it is the newer one."""
    logs = [log(format=NEWER, region="eu"), log(region="eu"), log(format=FORMAT, region="eu")]
    answered = api.post("/track/batch", json=batch(*logs)).json()
    assert (answered["accepted"], [each["index"] for each in answered["rejected"]]) == (1, [1, 2])
    assert delivery(api)["unknown_fields"] == {"region": 1}
    assert api.post("/track/batch", json=batch(*logs, format=NEWER, batch_id="b2")).json()["accepted"] == 3


def test_a_newer_format_excuses_nothing_else(api: Api) -> None:
    """Its logs are held to what is known of them."""
    sent = batch(
        log(status_code=1, region="eu"), log(ip="x", region="eu"), format=NEWER, client={"name": "x", "os": "y"}
    )
    answered = api.post("/track/batch", json=sent).json()
    assert [(each["index"], each["field"]) for each in answered["rejected"]] == [(0, "status_code")]
    told = delivery(api)
    assert (told["accepted"], told["trimmed"]) == (1, {"ip": 1, "client": 1})
    assert told["unknown_fields"] == {"region": 1}
    assert api.post("/track/batch", json=batch(log(), batch_id="a b", format=NEWER)).status_code == 422


def test_names_of_unknown_fields_are_few_short_and_harmless(api: Api) -> None:
    """At most 32, of at most 64 letters, digits, dots, hyphens and underscores; the rest is one count."""
    strange = {"<script>": 1, "a b\n": 1, "": 1, "é" * 100: 1, "x" * 1_000: 1}
    assert api.post("/track", json=log(**strange, format=NEWER)).json() == ACCEPTED
    assert delivery(api)["unknown_fields"] == {"_script_": 1, "a_b_": 1, "_": 1, "_" * 64: 1, "x" * 64: 1}
    many = [log(common=1, **{f"f{number}": 1 for number in range(60)}) for _ in range(3)]
    assert api.post("/track/batch", json=batch(*many, format=NEWER)).json()["accepted"] == 3
    counts = delivery(api)["unknown_fields"]
    assert (counts["common"], counts["(other)"], len(counts)) == (3, 29 * 3 + 5, 32 + 1)
