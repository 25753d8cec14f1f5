"""BASE_PATH: the API below a path of a custom domain, through real events."""

from __future__ import annotations

import re
from dataclasses import replace
from datetime import UTC, datetime

import pytest

from analytics.settings import Settings
from analytics.web import Service
from local.gateway.event import Request, to_event
from tests.conftest import SETTINGS
from tests.functions.behind_gateway import Functions
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


def below(service: Service, base: str) -> Functions:
    """The functions with this base path."""
    return Functions(replace(service, settings=replace(SETTINGS, base_path=base)))


@pytest.mark.parametrize("base", ["/analytics", "/tools/v1", "/d", "/raw_logs", "/tracking"])
def test_every_route_is_there_below_its_base_path_and_without(service: Service, base: str) -> None:
    """The address that AWS gives goes on working; a base path that begins like a route takes nothing from it."""
    functions = below(service, base)
    for prefix in (base, ""):
        key = {"X-API-Key": functions.call("POST", "/generate_key", {}, base=prefix).json()["api_key"]}
        sent = functions.call("POST", "/track/batch", key, batch(log(), log(), log()), base=prefix)
        assert sent.json()["accepted"] == 3
        assert functions.call("POST", "/track", key, log(), base=prefix).json()["accepted"] == 1
        for path in ("/", "/docs", "/dashboard", "/health", "/keys", "/assets/main.js"):
            assert (path, functions.call("GET", path, key, base=prefix).status) == (path, 200)
        assert functions.call("HEAD", "/dashboard", key, base=prefix).status == 200


@pytest.mark.parametrize("path", ["/analytics", "/analytics/", "/"])
def test_the_page_is_at_the_base_path_itself(service: Service, path: str) -> None:
    """With and without a slash behind it, and where AWS has it."""
    front = below(service, "/analytics")
    request = Request("GET", path, "", [], b"", "192.0.2.1", "HTTP/1.1")
    event = to_event(request, "GET /", {}, "id", datetime.now(UTC))
    answer = front.handlers["DashboardFunction"](event, None)
    assert (answer["statusCode"], answer["headers"]["content-type"]) == (200, "text/html; charset=utf-8")


@pytest.mark.parametrize("prefix", ["/analytics", ""])
def test_a_link_leads_back_below_the_base_path(service: Service, prefix: str) -> None:
    """As the page was asked for, so is the next one."""
    functions = below(service, "/analytics")
    key = {"X-API-Key": functions.call("POST", "/generate_key", {}).json()["api_key"]}
    functions.call("POST", "/track/batch", key, batch(log(), log()))
    link = functions.call("GET", "/raw_logs?limit=1", key, base=prefix).headers["link"]
    assert link.startswith(f"<{prefix}/raw_logs?limit=1&cursor=")


def test_what_is_no_segment_of_its_own_is_not_the_base_path(service: Service) -> None:
    """`/analyticsx` is another path."""
    functions = below(service, "/analytics")
    assert functions.call("GET", "/health", {}, base="/analyticsx").status == 404
    assert functions.call("GET", "/health", {}, base="/x/analytics").status == 404
    assert functions.call("GET", "/health", {}, base="/analytics").status == 200
