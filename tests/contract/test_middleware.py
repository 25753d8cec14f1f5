"""A real FastAPI app with the middleware in it, pointed at the service by API_BASE."""

from __future__ import annotations

import time

import pytest

from local.demo.demonstration import sample_app
from local.demo.traffic import plan, send
from tests.contract.conftest import TARGETS, Api

VISITS = 120
ARRIVE_S = 45  # of the middleware's batches, the last of which leaves when the app stops


@pytest.mark.parametrize("target", [TARGETS[1], TARGETS[3]], indirect=True)  # those with an address to send to
def test_every_request_of_a_tracked_app_is_on_the_dashboard(api: Api) -> None:
    """After the app has stopped the dashboard has each request, with its status and under its route's template."""
    with sample_app(str(api.client.base_url).rstrip("/"), api.key) as shop:
        statuses = send(plan(VISITS), shop, lambda: None)
    late = time.monotonic() + ARRIVE_S
    board = api.get("/dashboard?top=50").json()
    while board["summary"]["total_requests"] < VISITS and time.monotonic() < late:
        time.sleep(0.5)
        board = api.get("/dashboard?top=50").json()
    assert board["status_codes"] == {str(status): count for status, count in statuses.items()}
    assert (board["summary"]["total_requests"], board["delivery"]["dropped"]) == (VISITS, {})
    endpoints = {each["endpoint"]: each["requests"] for each in board["endpoint_stats"]}
    assert "/books/{book_id}" in endpoints
    assert sum(endpoints.values()) == VISITS
    assert sum(each["requests"] for each in board["top_ips"]) == VISITS
