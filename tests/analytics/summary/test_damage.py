"""One bad item never takes a stream down: it is counted anew or told, and the other streams are folded."""

from __future__ import annotations

import json
import logging
import zlib
from base64 import b64decode
from pathlib import Path
from typing import Any

import pytest

from analytics.batch import Batch
from analytics.summary.rollup import PackedSummary, Rollup
from analytics.times import isoformat
from analytics.web import Service
from functions.dashboard.app import fold_on_schedule
from tests.conftest import NOON, SETTINGS, Api, Clock, shared_client
from tests.functions.wire import log, send

DAY = 86_400  # seconds


def items(prefix: str) -> list[dict[str, Any]]:
    """The stored items of a kind, in order, but the watermark."""
    found = [dict(item) for item in shared_client().scan(TableName=SETTINGS.logs_table)["Items"]]
    kind = [item for item in found if item["timestamp"]["S"].startswith(prefix) and item["timestamp"]["S"] != "R#~~"]
    return sorted(kind, key=lambda item: item["timestamp"]["S"])


def put(item: dict[str, Any], **attributes: Any) -> None:
    """An item with other attributes; None leaves one out."""
    changed = {name: value for name, value in {**item, **attributes}.items() if value is not None}
    shared_client().put_item(TableName=SETTINGS.logs_table, Item=changed)


def flipped(packed: bytes) -> bytes:
    """With one bit changed, in the middle."""
    middle = len(packed) // 2
    return packed[:middle] + bytes([packed[middle] ^ 1]) + packed[middle + 1 :]


def of_format(packed: bytes, number: int) -> bytes:
    """A packed summary or batch that says it is of another format."""
    plain = zlib.decompress(packed)
    changed = plain.replace(b'"v":3', b'"v":%d' % number, 1) if b'"v":3' in plain else plain
    if changed == plain:
        changed = plain.replace(b'"v":1', b'"v":%d' % number, 1)
    assert changed != plain
    return zlib.compress(changed)


def forget_raw_logs() -> None:
    """Delete all stored batches."""
    for item in items("L#"):
        key = {name: item[name] for name in ("api_key", "timestamp")}
        shared_client().delete_item(TableName=SETTINGS.logs_table, Key=key)


def delete(item: dict[str, Any]) -> None:
    """Delete one item."""
    key = {name: item[name] for name in ("api_key", "timestamp")}
    shared_client().delete_item(TableName=SETTINGS.logs_table, Key=key)


@pytest.fixture
def folded(api: Api, service: Service, clock: Clock) -> Api:
    """Three days of two batches with five logs each: two final rollups, and the newest."""
    for day in range(3):
        for part in range(2):
            now = isoformat(clock.at)
            send(api, *(log(created_at=now) for _ in range(5)), batch_id=f"{day}-{part}")
            clock.advance(3_600)
            fold_on_schedule(service)  # which finds the second one not due yet
        clock.advance(DAY - 7_200)
    fold_on_schedule(service)
    assert [item["timestamp"]["S"] for item in items("R#")] == ["R#2025-11-24", "R#2025-11-25", "R#2025-11-26"]
    assert len(items("S#")) == 2
    assert total(api) == (30, True)
    return api


HALF_DAYS = {"start_date": "2025-11-24T01:00", "end_date": "2025-11-26T23:00"}  # takes intervals


def total(api: Api, **query: str) -> tuple[int, bool]:
    """How many requests the dashboard tells, and whether it calls that complete; raw logs are there too."""
    answer = api.get("/dashboard", params=query)
    assert answer.status_code == 200, answer.text
    assert api.get("/raw_logs").status_code == 200
    blocks = answer.json()
    assert blocks["range"]["complete"] == ("range" not in blocks["unavailable"])
    return blocks["summary"]["total_requests"], blocks["range"]["complete"]


def break_attribute(kind: str, place: int, name: str, how: str) -> None:
    """Damage one attribute of one item."""
    item = items(kind)[place]
    if how == "deleted":
        delete(item)
    elif how == "missing":
        put(item, **{name: None})
    else:
        put(item, **{name: {"B": flipped(item[name]["B"])}})


DAMAGE = [
    ("R#", -1, "r", "flipped"),
    ("R#", -1, "r", "missing"),
    ("R#", -1, "s", "flipped"),
    ("R#", -1, "s", "missing"),
    ("R#", -1, "until", "missing"),
    ("R#", -1, "ttl", "missing"),
    ("R#", 0, "r", "flipped"),
    ("R#", 0, "r", "missing"),
    ("R#", 0, "digest", "missing"),
    ("R#", 0, "until", "missing"),
    ("R#", 1, "r", "flipped"),
    ("S#", 0, "s", "flipped"),
    ("S#", 0, "s", "missing"),
    ("S#", 0, "s", "deleted"),
]


@pytest.mark.parametrize(("kind", "place", "name", "how"), DAMAGE)
def test_a_damaged_rollup_is_counted_anew_from_raw_logs(
    folded: Api, service: Service, clock: Clock, kind: str, place: int, name: str, how: str
) -> None:
    """Whatever of it is damaged; it is healed, so that the raw logs may expire afterwards."""
    break_attribute(kind, place, name, how)
    assert total(folded) == (30, True)
    assert total(folded, **HALF_DAYS) == (30, True)
    send(folded, log(created_at=isoformat(clock.at)), batch_id="after")
    clock.advance(DAY)
    assert fold_on_schedule(service)["failed"] == 0
    assert total(folded) == (31, True)
    forget_raw_logs()
    assert total(folded) == (31, True)
    assert total(folded, **HALF_DAYS) == (30, True)


@pytest.mark.parametrize(("kind", "place", "name", "how"), DAMAGE)
def test_a_damaged_rollup_without_raw_logs_is_told(
    folded: Api, service: Service, clock: Clock, kind: str, place: int, name: str, how: str
) -> None:
    """Then and later on; what is received afterwards is counted."""
    forget_raw_logs()
    break_attribute(kind, place, name, how)
    for query in ({}, HALF_DAYS):
        number, complete = total(folded, **query)
        assert (number, complete) in [(30, True), (20, False)]
    send(folded, log(created_at=isoformat(clock.at)), batch_id="after")
    clock.advance(DAY)
    assert fold_on_schedule(service)["failed"] == 0
    for query, later in ({}, 1), (HALF_DAYS, 0):
        number, complete = total(folded, **query)
        assert (number, complete) in [(30 + later, True), (20 + later, False)]


@pytest.mark.parametrize("how", ["flipped", "missing"])
@pytest.mark.parametrize("is_folded", [False, True])
def test_a_damaged_batch_is_left_out_and_told(
    api: Api,
    service: Service,
    clock: Clock,
    how: str,
    is_folded: bool,
    caplog: pytest.LogCaptureFixture,
    capsys: pytest.CaptureFixture[str],
) -> None:
    """By its key in the log, in `delivery`, in `range`, and as a metric; its neighbors are counted."""
    for part in range(3):
        send(api, log(), log(), batch_id=f"b{part}")
        clock.advance(1)
    break_attribute("L#", 1, "d", how)
    clock.advance(3_600)
    with caplog.at_level(logging.ERROR):
        if is_folded:
            assert fold_on_schedule(service)["unreadable"] == 1
            assert json.loads(capsys.readouterr().out)["UnreadableItems"] == 1
        blocks = api.get("/dashboard").json()
    assert items("L#")[1]["timestamp"]["S"] in caplog.text
    assert (blocks["summary"]["total_requests"], blocks["delivery"]["unreadable"]) == (4, 1)
    assert not blocks["range"]["complete"]
    assert blocks["unavailable"]["range"] == "1 stored batches cannot be read: numbers may be too low"
    assert len(api.get("/raw_logs").json()) == 4
    assert total(api, endpoint="/books/{id}") == (4, False)


def test_one_stream_never_ends_the_run_of_the_others(service: Service, clock: Clock) -> None:
    """Though one has an item that no build ever stored."""
    apis = [Api(service) for _ in range(3)]
    for api in apis:
        send(api, log())
    bad = items("L#")[0]
    put(bad, timestamp={"S": "L#no time#x"})
    clock.advance(3_600)
    done = fold_on_schedule(service)
    assert (done["folded"], done["failed"], done["left"]) == (2, 1, 1)
    assert sum(total(api) == (1, True) for api in apis if api.get("/dashboard").status_code == 200) == 2


@pytest.mark.parametrize("place", [0, -1])
def test_a_summary_of_a_later_build_is_left_to_it(folded: Api, service: Service, clock: Clock, place: int) -> None:
    """It is counted from raw logs while those are kept, told when they are not, and never overwritten."""
    item = items("R#")[place]
    put(item, r={"B": of_format(item["r"]["B"], 4)})
    stored = items("R#")[place]
    assert total(folded) == (30, True)
    send(folded, log(created_at=isoformat(clock.at)), batch_id="after")
    clock.advance(DAY)
    fold_on_schedule(service)
    assert total(folded) == (31, True)
    assert stored in items("R#")
    forget_raw_logs()
    assert total(folded) == (21, False)
    put(item)  # the later build reads it again
    assert total(folded) == (31, True)


def test_a_batch_of_a_later_build_is_told(api: Api, clock: Clock) -> None:
    """It is skipped like one that is damaged."""
    send(api, log())
    (item,) = items("L#")
    put(item, d={"B": of_format(item["d"]["B"], 2)})
    clock.advance(3_600)
    assert total(api) == (0, False)


@pytest.mark.usefixtures("folded")
def test_what_the_build_before_reads_of_a_rollup_is_there() -> None:
    """It knows these attributes, and reads the newest rollup as the last sort key up to `R#~`."""
    for item in items("R#"):
        assert {"until", "r", "ttl"} < item.keys()
        assert ("s" in item) != ("digest" in item)
    assert "R#~~" > "R#~" > items("R#")[-1]["timestamp"]["S"]
    assert Batch.unpack(items("L#")[0]["d"]["B"]).times[0] == NOON


@pytest.mark.parametrize("is_final", [False, True])
@pytest.mark.parametrize("name", ["summary-2", "summary-3"])
def test_a_rollup_of_an_older_build_goes_on(
    api: Api, service: Service, clock: Clock, name: str, is_final: bool
) -> None:
    """As it was stored by the build of its time, without what is noted now, as newest or as final rollup."""
    sample = json.loads((Path(__file__).parents[1] / "golden" / f"{name}.json").read_text())
    days, intervals = (b64decode(sample[part]) for part in ("days", "slots"))
    (stream,) = service.keys.streams()
    stored = Rollup("2025-11-24", "2025-11-24T11:00:00.000000Z", PackedSummary(days, intervals))
    assert service.logs.keep_rollup(stream, stored, None, clock.at, final=is_final)
    number = sample["expected"]["daily"]["summary"]["total_requests"]
    for part in range(3):
        assert total(api) == (number + part, True)
        send(api, log(created_at=isoformat(clock.at)), batch_id=f"b{part}")
        clock.advance(DAY)
        assert fold_on_schedule(service)["failed"] == 0
    assert total(api) == (number + 3, True)
