"""What a client may rely on, asked of every place where the service runs.

Bodies are compared, for a 200 alone proves little: `sam local` gives one to a crashed function.
"""

from __future__ import annotations

import csv
import gzip
import io
import json
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest

from analytics import api_key
from tests.contract.conftest import Api
from tests.functions.wire import ACCEPTED, UNAUTHORIZED, batch, log, row

HOUR = datetime.now(UTC).replace(minute=0, second=0, microsecond=0) - timedelta(hours=1)
DAY = HOUR.strftime("%Y-%m-%d")
KEYED = ("GET /dashboard", "GET /raw_logs", "POST /track", "POST /track/batch")


def at(minute: int, **changes: Any) -> dict[str, Any]:
    """A log of the last full hour."""
    return log(created_at=(HOUR + timedelta(minutes=minute)).isoformat(), **changes)


def shown(minute: int, **changes: Any) -> dict[str, Any]:
    """What /raw_logs tells of it, without its id."""
    return row(created_at=(HOUR + timedelta(minutes=minute)).strftime("%Y-%m-%dT%H:%M:%S.000000Z"), **changes)


def rows(answer: Any) -> list[dict[str, Any]]:
    """The logs of an answer, without their ids."""
    return [{name: value for name, value in each.items() if name != "id"} for each in answer.json()]


def test_a_key_is_shown_once_and_like_no_other(api: Api) -> None:
    """POST /generate_key makes a new key each time, which no cache may keep."""
    answer = api.call("POST", "/generate_key")
    assert (answer.status_code, answer.headers["cache-control"]) == (201, "no-store")
    assert sorted(answer.json()) == ["api_key", "created_at", "key_id"]
    assert answer.json()["api_key"] != api.key
    assert len(api.key) == 37
    assert api.key.startswith("aak_")


def test_keys_make_keys(api: Api) -> None:
    """A write key tracks and reads nothing; a rotated key opens the same data; an owner sees all keys and ends one."""
    writing = api.post("/generate_key", json={"scope": "write", "name": "shop"}).json()
    headers = {"X-API-Key": writing["api_key"]}
    assert api.post("/track", json=at(1), headers=headers).json() == ACCEPTED
    assert api.get("/dashboard", headers=headers).status_code == 403
    rotated = api.post("/rotate_key", json={"grace_seconds": 600})
    assert rotated.status_code == 201
    assert rows(api.get("/raw_logs", headers={"X-API-Key": rotated.json()["api_key"]})) == [shown(1)]
    assert {each["scope"] for each in api.get("/keys").json()} == {"full", "write"}
    ended = api.call("DELETE", f"/key?key_id={writing['key_id']}", headers={"X-API-Key": api.key})
    assert (ended.status_code, ended.json()["key_id"]) == (200, writing["key_id"])
    assert writing["key_id"] not in [each["key_id"] for each in api.get("/keys").json()]


@pytest.mark.parametrize("route", KEYED)
def test_without_a_good_key_nothing_is_told(api: Api, route: str) -> None:
    """None, a mistyped one, and one that nobody was given: the same answer."""
    for headers in ({}, {"X-API-Key": api.key[:-1] + "_"}, {"X-API-Key": api_key.generate()}):
        answer = api.call(*route.split(), headers=headers)
        assert (answer.status_code, answer.json()) == (401, UNAUTHORIZED)


def test_a_log_is_counted_and_shown(api: Api) -> None:
    """Every number of the dashboard is that one log's, and the log itself comes back."""
    answer = api.post("/track", json=at(5, endpoint="/ü/{id}", status_code=503))
    assert (answer.status_code, answer.json()) == (200, ACCEPTED)
    board = api.get("/dashboard").json()
    summary = {name: board["summary"][name] for name in ("total_requests", "unique_ips", "error_rate")}
    assert summary == {"total_requests": 1, "unique_ips": 1, "error_rate": 100.0}
    assert [board["summary"][f"{which}_response_time"] for which in ("avg", "min", "max")] == [12.5] * 3
    assert (board["method_usage"], board["status_codes"]) == ({"GET": 1}, {"503": 1})
    assert [(each["endpoint"], each["requests"]) for each in board["endpoint_stats"]] == [("/ü/{id}", 1)]
    assert board["top_ips"] == [{"ip": "192.0.2.1", "requests": 1}]
    assert [(point["timestamp"], point["requests"]) for point in board["time_series"]] == [(DAY, 1)]
    assert rows(api.get("/raw_logs")) == [shown(5, endpoint="/ü/{id}", status_code=503)]


def test_a_batch_is_stored_once(api: Api) -> None:
    """Good logs are kept beside a bad one, which is named; the same batch again changes nothing but is counted."""
    body = batch(at(1), at(2, method="POST"), at(3, status_code=99), batch_id="once")
    first, again = (api.post("/track/batch", json=body).json() for _ in range(2))
    assert (first["accepted"], first["duplicate"]) == (2, False)
    assert [(each["index"], each["field"]) for each in first["rejected"]] == [(2, "status_code")]
    assert again == {"accepted": 0, "duplicate": True, "rejected": first["rejected"]}
    board = api.get("/dashboard", params={"period": "hourly"}).json()
    assert board["method_usage"] == {"GET": 1, "POST": 1}
    assert [(point["timestamp"], point["requests"]) for point in board["time_series"] if point["requests"]] == [
        (HOUR.strftime("%Y-%m-%dT%H:%MZ"), 2)
    ]
    assert (board["delivery"]["accepted"], board["delivery"]["duplicates"]) == (2, 2)
    assert len(api.get("/raw_logs").json()) == 2


def test_a_read_key_reads_and_nothing_else(api: Api) -> None:
    """It is made by the full key, sees its data, and neither tracks nor makes keys."""
    headers = {"X-API-Key": api.post("/generate_key", json={"scope": "read"}).json()["api_key"]}
    api.post("/track", json=at(1))
    assert rows(api.get("/raw_logs", headers=headers)) == [shown(1)]
    assert api.post("/track", json=at(2), headers=headers).status_code == 403
    assert api.post("/generate_key", json={}, headers=headers).status_code == 403
    assert len(api.get("/raw_logs").json()) == 1


def test_losses_are_counted_by_their_reason(api: Api) -> None:
    """What was refused, what came twice, what the client says that it dropped, what came from the future."""
    ahead = (datetime.now(UTC) + timedelta(hours=1)).isoformat()
    body = batch(at(1), at(2, status_code=99), log(created_at=ahead), batch_id="lossy", dropped={"buffer_full": 7})
    answers = [api.post("/track/batch", json=body).json() for _ in range(2)]
    assert [(each["accepted"], each["duplicate"]) for each in answers] == [(2, False), (0, True)]
    delivery = api.get("/dashboard").json()["delivery"]
    assert datetime.now(UTC) - datetime.fromisoformat(delivery.pop("last_received_at")) < timedelta(minutes=1)
    assert sum(delivery.pop("rejected").values()) == 1
    told = {"accepted": 2, "duplicates": 2, "skewed": 1, "dropped": {"buffer_full": 7}}
    assert delivery == told | {"local_times": 0, "trimmed": {}, "unknown_fields": {}, "unreadable": 0}


def test_a_range_is_compared_with_the_one_before(api: Api) -> None:
    """The same blocks of the hour before, and how the totals changed."""
    before = (HOUR - timedelta(minutes=30)).isoformat()
    api.post("/track/batch", json=batch(at(1), at(2), at(3, status_code=500), log(created_at=before)))
    asked = {"start_date": HOUR.isoformat(), "end_date": (HOUR + timedelta(hours=1)).isoformat()}
    board = api.get("/dashboard", params={**asked, "compare": "previous"}).json()
    totals = [blocks["summary"]["total_requests"] for blocks in (board, board["previous"])]
    assert (totals, board["change"]["summary"]["total_requests"]) == ([3, 1], 2)


def test_data_is_erased_in_steps(api: Api) -> None:
    """The first call says how far it came and when to come again; meanwhile the key is good for nothing else."""
    api.post("/track", json=at(1))
    answer = api.call("DELETE", "/key?data=true", headers={"X-API-Key": api.key})
    assert (answer.status_code, answer.json()["complete"]) == (202, False)
    assert 1 <= int(answer.headers["retry-after"]) <= 120
    assert api.get("/raw_logs").status_code == 401


def test_a_compressed_batch_is_taken(api: Api) -> None:
    """Content-Encoding: gzip, which is no text."""
    if api.target == "containers":
        pytest.skip("sam local refuses every body that is not UTF-8")
    packed = gzip.compress(json.dumps(batch(at(1))).encode())
    headers = {"Content-Encoding": "gzip", "Content-Type": "application/json"}
    assert api.post("/track/batch", content=packed, headers=headers).json() == ACCEPTED


def test_bad_input_is_refused_by_name(api: Api) -> None:
    """No JSON, a wrong field, a filter that does not exist, too many bytes; nothing of it is stored."""
    headers = {"Content-Type": "application/json"}
    broken = api.post("/track", content=b'{"method": ', headers=headers)
    assert (broken.status_code, sorted(broken.json())) == (422, ["detail", "errors"])
    wrong = api.post("/track", json=at(1, process_time=-1))
    assert (wrong.status_code, [each["field"] for each in wrong.json()["errors"]]) == (422, ["process_time"])
    filtered = api.get("/dashboard", params={"statuscode": 500})
    assert (filtered.status_code, [each["field"] for each in filtered.json()["errors"]]) == (422, ["statuscode"])
    large = api.post("/track/batch", content=b" " * (1024 * 1024 + 1), headers=headers)
    assert (large.status_code, list(large.json())) == (413, ["detail"])
    assert api.get("/raw_logs").json() == []


def test_raw_logs_come_in_pages(api: Api) -> None:
    """The Link header leads through all of them, newest received first, none twice; filters reach the next page."""
    for first in (0, 10):
        api.post("/track/batch", json=batch(*(at(first + i) for i in range(5)), batch_id=f"from-{first}"))
    url, pages = "/raw_logs?limit=4&endpoint=%7Bid%7D", []
    while url:
        answer = api.get(url)
        pages.append(rows(answer))
        url = answer.headers.get("link", "").partition(">")[0].removeprefix("<")
    assert [len(page) for page in pages] == [4, 4, 2]
    assert [each for page in pages for each in page] == [
        shown(minute) for minute in (14, 13, 12, 11, 10, 4, 3, 2, 1, 0)
    ]


def test_raw_logs_are_exported(api: Api) -> None:
    """The same page as CSV and as newline-delimited JSON."""
    api.post("/track/batch", json=batch(at(1, consumer="Ünal, Ltd"), at(2)))
    table = api.get("/raw_logs", headers={"Accept": "text/csv"})
    assert table.headers["content-type"].startswith("text/csv")
    assert [each["consumer"] for each in csv.DictReader(io.StringIO(table.content.decode()))] == ["", "Ünal, Ltd"]
    lines = api.get("/raw_logs", headers={"Accept": "application/x-ndjson"})
    assert [json.loads(line) for line in lines.text.splitlines()] == api.get("/raw_logs").json()


def test_the_service_tells_its_time(api: Api) -> None:
    """GET /health needs no key and gives the server's clock."""
    answer = api.call("GET", "/health")
    assert answer.json()["status"] == "ok"
    assert abs(datetime.fromisoformat(answer.json()["time"]) - datetime.now(UTC)) < timedelta(minutes=1)


def test_the_page_comes_whole(api: Api) -> None:
    """The page, its reference, their files and the API's own description are served to anyone, each as what it is."""
    page = api.call("GET", "/")
    assert page.headers["content-type"] == "text/html; charset=utf-8"
    assert "default-src 'none'" in page.headers["content-security-policy"]
    assert page.text.startswith("<!doctype html>")
    assert "<html" in api.call("GET", "/docs").text
    assert "javascript" in api.call("GET", "/assets/main.js").headers["content-type"]
    missing = api.call("GET", "/assets/none.js")
    assert (missing.status_code, missing.json()) == (404, {"detail": "There is no such file"})
    described = api.call("GET", "/openapi.json").json()
    assert {"/track", "/track/batch", "/dashboard", "/raw_logs", "/generate_key"} <= set(described["paths"])
