"""Headers as clients write them: weights, wildcards, any case, odd spacing, and nonsense."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from analytics.http_headers import accepts_gzip, best_type, codings, matches_etag

JSON, NDJSON, CSV = OFFERS = ("application/json", "application/x-ndjson", "text/csv")
BROWSER = "text/html,application/xhtml+xml,application/xml;q=0.9,image/avif,*/*;q=0.8"

ACCEPTS = [
    ("", JSON),
    ("*/*", JSON),
    ("*", JSON),
    (BROWSER, JSON),
    ("text/csv", CSV),
    ("Text/CSV", CSV),
    ("text/csv; charset=utf-8", CSV),
    ("text/csv;charset=utf-8;header=present;q=0.4", CSV),
    ("text/csv;q=0", JSON),
    ("text/csv;q=0.000, */*", JSON),
    ("text/csv; Q=0", JSON),
    ("text/csv;q=0, application/json;q=0, */*", NDJSON),
    ("text/csv;q=0.5, application/json;q=0.4", CSV),
    ("text/csv;q=0.4, application/json;q=0.5", JSON),
    ("application/json, text/csv", JSON),
    ("text/csv, application/json", CSV),
    ("*/*, text/csv", CSV),
    ("text/*", CSV),
    ("text/*, application/json;q=0.9", CSV),
    ("text/*;q=0.1, application/x-ndjson", NDJSON),
    ("text/*, text/csv;q=0", JSON),
    ("application/*", JSON),
    ("application/*, application/json;q=0.1", NDJSON),
    ("image/png", JSON),
    ("text/csvx", JSON),
    ("text/csv+xml", JSON),
    ("x-text/csv", JSON),
    ('application/json;profile="a,text/csv", application/x-ndjson;q=0.2', JSON),
    (" ,, text/csv ,", CSV),
    ("text/csv;q=nan, application/x-ndjson;q=0.1", NDJSON),
    ("text/csv;q=2", JSON),
    ("text/csv;q=1.0", CSV),
    ("text/csv;q=.5", CSV),
]


@pytest.mark.parametrize(("accept", "expected"), ACCEPTS)
def test_the_media_type_is_the_one_that_is_liked_best(accept: str, expected: str) -> None:
    """The weight decides, then a full name before a wildcard, then what comes first; else the first offer."""
    assert best_type(accept, OFFERS) == expected


ENCODINGS = [
    ("", False),
    ("gzip", True),
    ("GZip", True),
    ("x-gzip", True),
    ("gzip, deflate, br, zstd", True),
    ("br;q=1.0, gzip;q=0.8, *;q=0.1", True),
    ("gzip;q=0", False),
    ("gzip; q=0.0", False),
    ("x-gzip;q=0, *", False),
    ("gzip;q=0, *", False),
    ("*", True),
    ("*;q=0", False),
    ("*;q=0, gzip", True),
    ("identity", False),
    ("identity;q=0", False),
    ("identity;q=0, *", True),
    ("identity, gzip", True),
    ("identity, gzip;q=0.9", False),
    ("identity;q=0.5, gzip;q=0.6", True),
    ("deflate, br", False),
    ("notgzip, gzipped", False),
    ("gzip;q=nan", False),
    ("gzip;q=-1", False),
    ("gzip;q=0.001", True),
]


@pytest.mark.parametrize(("header", "expected"), ENCODINGS)
def test_gzip_is_sent_to_those_who_want_it(header: str, expected: bool) -> None:
    """Named or by a wildcard, with more than nothing, and no less than no compression."""
    assert accepts_gzip(header) is expected


TAGS = [
    ("", False),
    ('"abc"', True),
    ('W/"abc"', True),
    ('"x", "abc"', True),
    ('"x",W/"abc" , "y"', True),
    ("*", True),
    (" * ", True),
    ('"ABC"', False),
    ("abc", False),
    ('"abcd"', False),
    ('"abc', False),
    ('"*"', False),
    ('*, "x"', False),
    ('"x,"', False),
]


@pytest.mark.parametrize("etag", ['"abc"', 'W/"abc"'])
@pytest.mark.parametrize(("header", "expected"), TAGS)
def test_an_entity_tag_is_found_in_a_list(header: str, expected: bool, etag: str) -> None:
    """By the weak comparison of RFC 9110, 8.8.3.2: `W/` makes no difference."""
    assert matches_etag(header, etag) is expected


@pytest.mark.parametrize(
    ("header", "expected"),
    [
        ("", []),
        ("identity", []),
        ("gzip", ["gzip"]),
        ("X-GZip", ["gzip"]),
        (" identity , gzip ", ["gzip"]),
        ("gzip, gzip", ["gzip", "gzip"]),
        ("br", ["br"]),
        ("gzip;q=1", ["gzip;q=1"]),
    ],
)
def test_content_codings_come_in_order(header: str, expected: list[str]) -> None:
    """Without those that change nothing; they have no weights."""
    assert codings(header) == expected


HEADERS = st.text(alphabet=st.sampled_from('*/,;="= \tqQ01.xgziptextcsvapplicationjson-W\\é'), max_size=60)


@given(HEADERS)
def test_nonsense_is_read_without_failing(header: str) -> None:
    """Whatever is sent, one of the offers is the answer."""
    assert best_type(header, OFFERS) in OFFERS
    assert accepts_gzip(header) in (True, False)
    assert matches_etag(header, '"abc"') in (True, False)
    assert all(codings(header))


@given(st.lists(st.tuples(st.sampled_from([*OFFERS, "text/*", "*/*"]), st.integers(0, 1000)), max_size=6))
def test_what_has_no_weight_is_never_chosen_while_something_has(items: list[tuple[str, int]]) -> None:
    """A type that is refused by its full name is given only if nothing else is wanted."""
    header = ", ".join(f"{name};q={weight / 1000}" for name, weight in items)
    chosen = best_type(header, OFFERS)
    weights = dict(reversed(items))  # of a name that comes twice the first counts
    if weights.get(chosen) == 0:
        assert not any(weight for name, weight in weights.items()) or chosen == OFFERS[0]


@given(st.lists(st.tuples(st.sampled_from(OFFERS), st.integers(1, 1000)), min_size=1, unique_by=lambda item: item[0]))
def test_of_full_names_the_heaviest_is_chosen(items: list[tuple[str, int]]) -> None:
    """The first of equals."""
    header = ",".join(f"{name.upper()} ;q={weight / 1000}" for name, weight in items)
    assert best_type(header, OFFERS) == max(items, key=lambda item: item[1])[0]
