"""The original's middleware sends each log when it happens, in naive local time: POST /track understands any zone."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from typing import Any

import pytest

from tests.conftest import NOON, Api, Clock
from tests.functions.wire import ACCEPTED, EMPTY_DELIVERY, batch, delivery, log, row, stored

RECEIVED = "2025-11-24T12:00:00.000000Z"
ZONES = {
    "Baker Island": -12,
    "Honolulu": -10,
    "Marquesas": -9.5,
    "New York, winter": -5,
    "New York, summer": -4,
    "St. John's, summer": -2.5,
    "Paris": 1,
    "Kolkata": 5.5,
    "Kathmandu": 5.75,
    "Eucla": 8.75,
    "Lord Howe, summer": 11,
    "Chatham": 12.75,
    "Chatham, summer": 13.75,
    "Kiritimati": 14,
}
"""Hours ahead of UTC."""


def sent(clock: Clock, hours: float = 0.0, seconds: float = 0.0, **fields: Any) -> dict[str, Any]:
    """The original's log: what `datetime.now().isoformat()` gives in a zone, so many seconds before the receipt."""
    local = datetime.fromtimestamp(clock.at / 1e6, UTC) + timedelta(hours=hours, seconds=-seconds)
    return log(created_at=local.replace(tzinfo=None).isoformat(), **fields)


def utc(seconds: float) -> str:
    """A time near noon as the service tells it."""
    return (datetime.fromtimestamp(NOON / 1e6, UTC) + timedelta(seconds=seconds)).strftime("%Y-%m-%dT%H:%M:%S.%fZ")


@pytest.mark.parametrize("hours", ZONES.values(), ids=ZONES)
@pytest.mark.parametrize("seconds", [0, 0.25, 60, -60])
def test_local_time_is_the_time_of_receipt(api: Api, clock: Clock, hours: float, seconds: float) -> None:
    """In every zone, also when the clock is a little off; the last hour has the request, and `delivery` says so."""
    assert api.post("/track", json=sent(clock, hours, seconds)).json() == ACCEPTED
    assert stored(api) == [row(created_at=RECEIVED)]
    assert delivery(api) == EMPTY_DELIVERY | {"accepted": 1, "local_times": 1, "last_received_at": RECEIVED}
    hour = {"start_date": "2025-11-24T11:30:00Z", "end_date": "2025-11-24T12:30:00Z"}
    assert api.get("/dashboard", params=hour).json()["summary"]["total_requests"] == 1


@pytest.mark.parametrize("minutes", [0.5, 7.5, 15, 61, 600])
@pytest.mark.parametrize("hours", [-5, 5.75])
def test_a_long_request_has_the_time_of_its_start_or_its_end(
    api: Api, clock: Clock, hours: float, minutes: float
) -> None:
    """Local, it is of the receipt; in UTC it stays what it is."""
    for created in (0, minutes * 60):
        api.post("/track", json=sent(clock, hours, created, process_time=minutes * 60_000, endpoint="/local"))
        api.post("/track", json=sent(clock, 0, created, process_time=minutes * 60_000, endpoint="/utc"))
    assert {each["created_at"] for each in stored(api, endpoint="/local")} == {RECEIVED}
    assert sorted(each["created_at"] for each in stored(api, endpoint="/utc")) == [utc(-minutes * 60), RECEIVED]
    assert delivery(api)["local_times"] == 2


@pytest.mark.parametrize("seconds", [-299, -61, -60, 0, 1, 60, 61, 299, 450, 839, 3_600 - 61, 5 * 3_600 + 61, 86_400])
def test_any_other_time_without_an_offset_is_utc(api: Api, clock: Clock, seconds: int) -> None:
    """Near the receipt, between two quarter hours, or farther away than any zone is."""
    assert api.post("/track", json=sent(clock, 0, seconds)).json() == ACCEPTED
    assert stored(api) == [row(created_at=utc(-seconds))]
    assert delivery(api)["local_times"] == 0


@pytest.mark.parametrize("hours", [-14.25, 14.25, 24])
def test_no_zone_is_farther_than_fourteen_hours(api: Api, clock: Clock, hours: float) -> None:
    """An old log stays old, and one of the future is of a wrong clock, as ever."""
    api.post("/track", json=sent(clock, hours))
    assert [each["created_at"] for each in stored(api)] == [utc(hours * 3600) if hours < 0 else RECEIVED]
    assert (delivery(api)["local_times"], delivery(api)["skewed"]) == (0, int(hours > 0))


@pytest.mark.parametrize("offset", ["Z", "+00:00", "-05:00"])
def test_a_time_with_an_offset_means_what_it_says(api: Api, clock: Clock, offset: str) -> None:
    """However far it is from the receipt."""
    told = sent(clock, -5)["created_at"] + offset
    api.post("/track", json=log(created_at=told))
    assert stored(api) == [row(created_at=RECEIVED if offset == "-05:00" else utc(-5 * 3600))]
    assert delivery(api)["local_times"] == 0


def test_in_a_batch_a_time_without_an_offset_is_utc(api: Api, clock: Clock) -> None:
    """A batch holds logs of some while ago, and is sent again: its times must not depend on when it comes."""
    logs = [sent(clock, hours) for hours in (-12, -5, -0.25)] + [sent(clock, 5.5)]
    api.post("/track/batch", json=batch(*logs))
    shown = [utc(hours * 3600) for hours in (-12, -5, -0.25, 0)]
    assert [each["created_at"] for each in stored(api)][::-1] == shown
    assert (delivery(api)["local_times"], delivery(api)["skewed"]) == (0, 1)


def test_all_day_long_the_original_is_filed_right(api: Api, clock: Clock) -> None:
    """From New York, on the day its clocks go back: each hour has its request."""
    for hour in range(24):
        api.post("/track", json=sent(clock, -4 if hour < 6 else -5))
        clock.advance(3600)
    points = api.get("/dashboard", params={"period": "hourly", "start_date": "2025-11-24T12:00:00Z"}).json()[
        "time_series"
    ]
    assert [point["requests"] for point in points if point["requests"]] == [1] * 24
    assert delivery(api)["local_times"] == 24
