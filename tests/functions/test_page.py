"""The files of the web page, as browsers and caches ask for them."""

from __future__ import annotations

import gzip

import pytest

from tests.conftest import Api

FILES = ["/", "/docs", "/openapi.json", "/assets/main.js"]


@pytest.mark.parametrize("path", FILES)
def test_a_copy_that_is_still_good_is_not_sent_again(api: Api, path: str) -> None:
    """304 without a body to whoever names its tag, alone or in a list, weak or strong, by GET or HEAD."""
    whole = api.request("GET", path)
    tag = whole.headers["etag"]
    for names in (tag, f"W/{tag}", f'"older", {tag}', f'W/"older",W/{tag}', "*"):
        for method in ("GET", "HEAD"):
            answer = api.request(method, path, headers={"If-None-Match": names})
            assert (answer.status_code, answer.content, answer.headers["etag"]) == (304, b"", tag)
            assert answer.headers["cache-control"] == whole.headers["cache-control"]
            assert answer.headers["vary"] == "Accept-Encoding"
    for names in ('"older"', tag.strip('"'), f"W/{tag[:-2]}", '"*"', ""):
        answer = api.request("GET", path, headers={"If-None-Match": names})
        assert (answer.status_code, answer.content) == (200, whole.content)


@pytest.mark.parametrize("path", FILES)
def test_a_file_is_compressed_for_those_who_want_it(api: Api, path: str) -> None:
    """And for nobody else, however they say so; HEAD tells the same lengths."""
    plain = api.request("GET", path, headers={"Accept-Encoding": "identity"})
    assert "content-encoding" not in plain.headers
    for wish in ("gzip", "GZIP;q=0.5", "x-gzip", "br, *;q=0.1", "identity;q=0, gzip;q=0.1"):
        answer = api.request("GET", path, headers={"Accept-Encoding": wish})
        assert (answer.headers["content-encoding"], answer.content) == ("gzip", plain.content)
        head = api.request("HEAD", path, headers={"Accept-Encoding": wish})
        assert head.headers == answer.headers
        assert int(head.headers["content-length"]) == len(gzip.compress(plain.content, mtime=0))
    for wish in ("gzip;q=0", "*;q=0", "gzip;q=0, *", "br", "identity, gzip;q=0.9", ""):
        answer = api.request("GET", path, headers={"Accept-Encoding": wish})
        assert ("content-encoding" in answer.headers, answer.content) == (False, plain.content)
