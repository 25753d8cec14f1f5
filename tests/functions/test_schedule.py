"""The daily fold: what it leaves, and what it tells CloudWatch."""

from __future__ import annotations

import json
from dataclasses import replace
from itertools import count

import pytest

from analytics.web import Service
from functions.dashboard.app import fold_on_schedule
from tests.analytics import strategies
from tests.analytics.test_fold import store as receive
from tests.analytics.test_fold import stream_of
from tests.conftest import NOON, SETTINGS, Api, Clock

HOUR = 3600 * 1_000_000


def told(printed: str) -> dict[str, object]:
    """The one line that was printed."""
    (line,) = printed.splitlines()
    found: dict[str, object] = json.loads(line)
    return found


@pytest.mark.usefixtures("api")
def test_a_run_that_folds_all_says_that_nothing_is_left(service: Service, capsys: pytest.CaptureFixture[str]) -> None:
    """As one line in CloudWatch's embedded metric format, by the table that the alarm names."""
    assert fold_on_schedule(service) == {"folded": 1, "left": 0, "oldest_age": 0}
    assert told(capsys.readouterr().out) == {
        "_aws": {
            "Timestamp": NOON // 1000,
            "CloudWatchMetrics": [
                {
                    "Namespace": "ApiAnalytics",
                    "Dimensions": [["Table"]],
                    "Metrics": [
                        {"Name": "OldestUnfoldedAge", "Unit": "Seconds"},
                        {"Name": "StreamsLeft", "Unit": "Count"},
                    ],
                }
            ],
        },
        "Table": SETTINGS.logs_table,
        "OldestUnfoldedAge": 0,
        "StreamsLeft": 0,
    }


def test_a_run_that_is_cut_short_says_how_old_the_rest_is(
    api: Api, service: Service, clock: Clock, capsys: pytest.CaptureFixture[str]
) -> None:
    """The age is that of the oldest log without a rollup; the next run goes on from there, and nothing is left."""
    for hours in range(60, 20, -1):
        receive(service, strategies.many_logs(1, days=1), NOON - hours * HOUR)
    looks = count()
    hasty = replace(service, now=lambda: clock.at + next(looks) * 1_000_000)  # each look at the clock takes a second
    done = fold_on_schedule(hasty)
    (newest,) = [service.logs.newest_rollup(stream_of(service))]
    assert newest
    unfolded = [stored.received for stored in service.logs.since(stream_of(service), newest.until)]
    assert 0 < len(unfolded) < 40
    assert done == {"folded": 0, "left": 1, "oldest_age": (NOON + 1_000_000 - min(unfolded)) // 1_000_000}
    line = told(capsys.readouterr().out)
    assert (line["OldestUnfoldedAge"], line["StreamsLeft"]) == (done["oldest_age"], 1)
    assert fold_on_schedule(service) == {"folded": 1, "left": 0, "oldest_age": 0}
    assert api.get("/dashboard").json()["summary"]["total_requests"] == 40
