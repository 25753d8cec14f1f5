"""BASE_PATH: the API below a path of a custom domain, through real events."""

from __future__ import annotations

import re
from dataclasses import replace

import pytest

from analytics.settings import Settings
from analytics.web import Service
from tests.conftest import SETTINGS
from tests.functions.front import Front
from tests.functions.wire import batch, log
from tests.support.engines import ROOT, STACK

ENVIRONMENT = STACK.functions["IngestFunction"].environment


@pytest.mark.parametrize(
    ("value", "path"),
    [("", ""), ("/", ""), ("analytics", "/analytics"), ("/tools/v1/", "/tools/v1"), ("//a//b", "/a/b")],
)
def test_a_base_path_has_one_spelling(value: str, path: str) -> None:
    """With or without slashes around it."""
    assert Settings.from_environment(ENVIRONMENT | {"BASE_PATH": value}).base_path == path
    assert Settings.from_environment(ENVIRONMENT).base_path == ""


@pytest.mark.parametrize("value", ["track", "/assets/", "track/v1"])
def test_a_base_path_is_not_the_beginning_of_a_longer_route(value: str) -> None:
    """`/track/batch` would mean two things."""
    with pytest.raises(ValueError, match=f"BASE_PATH must not begin with track or assets, not '{value}'"):
        Settings.from_environment(ENVIRONMENT | {"BASE_PATH": value})
    (line,) = (line for line in (ROOT / "template.yaml").read_text().splitlines() if "AllowedPattern" in line)
    pattern = line.partition('"')[2].rstrip('"')
    assert re.match(pattern, f"my/{value.strip('/')}")
    assert not re.match(pattern, value.strip("/"))


def below(service: Service, base: str) -> Front:
    """The functions with this base path."""
    return Front(replace(service, settings=replace(SETTINGS, base_path=base)))


@pytest.mark.parametrize("base", ["/analytics", "/tools/v1", "/d", "/raw_logs", "/tracking"])
def test_every_route_is_there_below_its_base_path_and_without(service: Service, base: str) -> None:
    """The address that AWS gives goes on working; a base path that begins like a route takes nothing from it."""
    front = below(service, base)
    for prefix in (base, ""):
        key = {"X-API-Key": front.call("POST", "/generate_key", {}, base=prefix).json()["api_key"]}
        sent = front.call("POST", "/track/batch", key, batch(log(), log(), log()), base=prefix)
        assert sent.json()["accepted"] == 3
        assert front.call("POST", "/track", key, log(), base=prefix).json()["accepted"] == 1
        for path in ("/", "/docs", "/dashboard", "/health", "/keys", "/assets/main.js"):
            assert (path, front.call("GET", path, key, base=prefix).status) == (path, 200)
        assert front.call("HEAD", "/dashboard", key, base=prefix).status == 200


@pytest.mark.parametrize("prefix", ["/analytics", ""])
def test_a_link_leads_back_below_the_base_path(service: Service, prefix: str) -> None:
    """As the page was asked for, so is the next one."""
    front = below(service, "/analytics")
    key = {"X-API-Key": front.call("POST", "/generate_key", {}).json()["api_key"]}
    front.call("POST", "/track/batch", key, batch(log(), log()))
    link = front.call("GET", "/raw_logs?limit=1", key, base=prefix).headers["link"]
    assert link.startswith(f"<{prefix}/raw_logs?limit=1&cursor=")


def test_what_is_no_segment_of_its_own_is_not_the_base_path(service: Service) -> None:
    """`/analyticsx` is another path."""
    front = below(service, "/analytics")
    assert front.call("GET", "/health", {}, base="/analyticsx").status == 404
    assert front.call("GET", "/health", {}, base="/x/analytics").status == 404
    assert front.call("GET", "/health", {}, base="/analytics").status == 200
