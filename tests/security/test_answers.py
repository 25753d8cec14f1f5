"""What comes back: no header of the caller's making, nothing a cache may give to the next, nothing that runs."""

from __future__ import annotations

from dataclasses import replace
from itertools import count
from urllib.parse import parse_qs, urlsplit

import pytest

from analytics.web import Service
from tests.conftest import NOON, SETTINGS, Api, Clock
from tests.functions.behind_gateway import Functions
from tests.functions.test_access import KINDS, ROWS, TOKEN, Credentials
from tests.functions.wire import log, send

PAGE = ("/", "/docs", "/openapi.json", "/assets/icon.svg")


@pytest.mark.parametrize("row", ROWS, ids=lambda row: " ".join(row[:2]))
def test_no_cache_gives_the_answer_of_one_to_another(row: list[str], service: Service, clock: Clock) -> None:
    """Answers with a key and refusals are stored by none; the page is the same for all, and says by what it varies."""
    method, path, *_ = row
    closed = replace(service, settings=replace(SETTINGS, signup_token=TOKEN))
    credentials, functions = Credentials(closed, clock), Functions(closed)
    for kind in KINDS:
        headers = functions.ask(method, path, credentials.headers(kind)).headers
        if path in PAGE:
            assert (headers["cache-control"], headers["vary"]) == ("no-cache", "Accept-Encoding")
            assert headers["etag"].startswith('"')
        elif method == "GET":
            assert headers["cache-control"] == "no-store"
            assert "etag" not in headers
        assert {"set-cookie", "access-control-allow-origin", "server"}.isdisjoint(headers)


def test_a_refusal_is_not_stored_either(api: Api) -> None:
    """A missing file, a wrong method, a question that makes no sense, a failure."""
    answers = [
        api.get("/assets/none.js"),
        api.get("/nothing"),
        api.request("POST", "/dashboard"),
        api.get("/dashboard?top=0"),
        api.post("/track", content=b"{"),
        api.post("/track", content=b" " * 2_000_000),
        api.post("/generate_key", content=b"{"),
    ]
    assert [answer.status_code for answer in answers] == [404, 404, 405, 422, 422, 413, 422]
    assert {answer.headers["cache-control"] for answer in answers} == {"no-store"}


INJECTED = [
    "\r\nSet-Cookie: a=b\r\n\r\n<script>",
    '>; rel="next", <https://evil.example',
    '"\\\x00\x7f',
    "\u2028\u202e",
    "%0d%0a",
]


@pytest.mark.parametrize("text", INJECTED, ids=repr)
def test_no_header_is_of_the_callers_making(service: Service, text: str) -> None:
    """A filter comes back in the link to the next page, whatever is in it, encoded; the name of an export is fixed."""
    times = count(NOON, 9_000_000)  # a search that takes too long ends with a link though nothing was found
    api = Api(replace(service, now=lambda: next(times)))
    send(api, log(), log())
    for name in ("endpoint", "method", "consumer"):
        for accept in ("application/json", "text/csv", "application/x-ndjson", f"text/csv{text.encode()!r}"):
            answer = api.get("/raw_logs", params={name: text}, headers={"Accept": accept})
            assert "set-cookie" not in answer.headers
            if name == "consumer" and any(ord(character) < 32 for character in text):
                assert (answer.status_code, "link" in answer.headers) == (422, False)
                continue
            address, _, rest = answer.headers["link"].removeprefix("<").partition(">")
            assert (rest, urlsplit(address)[:3]) == ('; rel="next"', ("", "", "/raw_logs"))
            assert (parse_qs(urlsplit(address).query)[name], address.isprintable()) == ([text], True)
            assert answer.headers.get("content-disposition") in (None, 'attachment; filename="logs.csv"')


def test_the_link_carries_any_filter_encoded(api: Api) -> None:
    """The marks that end a link are escaped in it, and mean the same on the next page."""
    hostile = '/a>; rel="next", <https://evil.example'
    send(api, *(log(endpoint=hostile) for _ in range(3)))
    url, found = "/raw_logs", 0
    params: dict[str, str] | None = {"limit": "1", "endpoint": hostile[2:]}
    while url:
        answer = api.get(url, params=params)
        found += len(answer.json())
        link = answer.headers.get("link", "")
        assert link.count("<") == link.count(">") == bool(link)
        url, params = link.partition(">")[0].removeprefix("<"), None
    assert found == 3


SCRIPTS = [
    "<script>alert(1)</script>",
    '"><img src=x onerror=alert(1)>',
    "javascript:alert(1)",
    "{{7*7}}",
    "${7*7}",
    "';--",
]


def test_text_that_is_markup_elsewhere_is_text_here(api: Api) -> None:
    """It is answered as JSON or as a file, never as a page; what the page makes of it: `tests/page/test_logs.py`."""
    texts = {"endpoint": "x", "consumer": "x", "user_agent": "x", "path": "x"}
    send(api, *(log(**dict.fromkeys(texts, script)) for script in SCRIPTS))
    refused = [
        api.get("/dashboard", params={SCRIPTS[0]: "1"}),
        api.get("/raw_logs", params={SCRIPTS[1]: "1"}),
        api.post("/track", json={SCRIPTS[0]: 1}),
        api.post("/generate_key", json={SCRIPTS[0]: 1}),
        api.get(f"/assets/{SCRIPTS[2]}"),
    ]
    for answer in (api.get("/dashboard"), api.get("/raw_logs"), *refused):
        assert answer.headers["content-type"] == "application/json"
    board = api.get("/dashboard?top=100").json()
    assert {each["endpoint"] for each in board["endpoint_stats"]} == set(SCRIPTS)
    for kind in ("text/csv", "application/x-ndjson"):
        assert api.get("/raw_logs", headers={"Accept": kind}).headers["content-type"].startswith(kind)
