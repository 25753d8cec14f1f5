"""Paths that try to leave the page's folder, or to be another route than the gateway took them for."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path
from urllib.parse import quote

import pytest

from tests.functions.wire import log
from tests.support.raw_http import RunningServer

STATIC = Path(__file__).parents[2] / "functions" / "dashboard" / "static"
OUTSIDE = [
    "../app.py",
    "../../keys/app.py",
    "../__init__.py",
    "/etc/passwd",
    "../../../template.yaml",
    "app.py",
    ".gitignore",
]
WAYS: list[Callable[[str], str]] = [
    lambda path: path,
    lambda path: quote(path, safe=""),
    lambda path: quote(quote(path, safe=""), safe=""),
    lambda path: quote(quote(quote(path, safe=""), safe=""), safe=""),
    lambda path: path.replace("/", "%5c"),
    lambda path: path.replace("..", "%2e%2e").replace("/", "%2f"),
    lambda path: path.replace("..", "%c0%ae%c0%ae").replace("/", "%c0%af"),  # overlong
    lambda path: "....//" + path,
    lambda path: "main.js/" + path,
    lambda path: "main.js%00" + path,
    lambda path: "vendor%2f..%2f" + path,
    lambda path: STATIC.name + "/" + path,
]


@pytest.mark.parametrize("way", range(len(WAYS)))
def test_nothing_but_the_page_is_served(server: RunningServer, way: int) -> None:
    """However the way out of its folder is spelled: 404 in a line."""
    for path in OUTSIDE:
        answer = server.send(f"GET /assets/{WAYS[way](path)}")
        assert (answer.status, len(answer.body) < 64, answer.header("location")) == (404, True, None)


def test_the_page_has_no_file_that_is_not_meant_to_be_seen() -> None:
    """What lies in its folder is what anybody may have."""
    kinds = {file.suffix for file in STATIC.rglob("*") if file.is_file()}
    assert kinds <= {".html", ".css", ".js", ".json", ".svg", ".txt"}


ODD = [
    "%",
    "%z",
    "%zz",
    "%ff%fe",
    "%00",
    "%0d%0aSet-Cookie:%20a=b",
    "%3Cscript%3E",
    "%E2%80%AE",
    "a" * 5_000,
    "%25" * 999,
]


@pytest.mark.parametrize("name", ODD, ids=lambda name: name[:12])
def test_an_odd_name_is_no_file(server: RunningServer, name: str) -> None:
    """And comes back neither in a header nor in a body."""
    answer = server.send(f"GET /assets/{name}")
    assert (answer.status, answer.json()) == (404, {"detail": "There is no such file"})
    assert answer.header("set-cookie") is None


SPELLINGS = ["/TRACK/batch", "/track/batch/", "//track/batch", "/./track/batch", "/track;a/batch", "/track%252fbatch"]


@pytest.mark.parametrize("path", SPELLINGS)
def test_a_route_has_one_spelling(server: RunningServer, path: str) -> None:
    """Another one is no route at the gateway, which throttles by routes: there is no way round."""
    body = json.dumps(log()).encode()
    answer = server.send(f"POST {path}", ("Content-Length", str(len(body))), body=body)
    assert (answer.status, answer.json()) == (404, {"message": "Not Found"})
