"""What the headers of a request ask for: a media type, compression, or nothing if the caller's copy is still good.

By RFC 9110: names are compared in any case, an item may have a weight `q` from 0 (not wanted) to 1 (the default), and
`*` stands for everything that is not named. An item whose weight cannot be read is left out. Several header lines of
one name are joined by commas before they come here.
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Sequence

_QUOTED = re.compile(r'"[^"]*"')
_WEIGHT = re.compile(r"[01](\.\d*)?|\.\d+")


def best_type(accept: str, offers: Sequence[str]) -> str:
    """The offered media type that an `Accept` header likes best, or the first offer if it wants none of them.

    The weight decides. Between equal weights a full name counts more than a wildcard, and then what is named first.
    `offers` are in lower case.
    """
    ranges = list(_weighted(accept))
    ranked = []
    for order, offer in enumerate(offers):
        wildcards = ("*/*", "*", f"{offer.partition('/')[0]}/*", offer)
        matches = [(wildcards.index(name), -at, q) for at, (name, q) in enumerate(ranges) if name in wildcards]
        if matches:
            precision, position, weight = max(matches)
            ranked.append((weight, precision, position, -order))
    weight, *_, order = max(ranked, default=(0.0, 0))
    return offers[-int(order)] if weight > 0 else offers[0]


def accepts_gzip(accept_encoding: str) -> bool:
    """Whether an `Accept-Encoding` header wants gzip (or `x-gzip`) at least as much as no compression."""
    weights: dict[str, float] = {}
    for name, weight in _weighted(accept_encoding):
        weights.setdefault(name.removeprefix("x-") if name == "x-gzip" else name, weight)
    gzip = weights.get("gzip", weights.get("*", 0.0))
    return gzip > 0 and gzip >= weights.get("identity", 0.0)


def matches_etag(if_none_match: str, etag: str) -> bool:
    """Whether an `If-None-Match` header names this entity tag, weak or not, or is `*`."""
    return if_none_match.strip() == "*" or etag.removeprefix("W/") in _QUOTED.findall(if_none_match)


def codings(content_encoding: str) -> list[str]:
    """What a `Content-Encoding` header says was done to the body, in order; without `identity`, `x-gzip` as `gzip`."""
    names = (name.strip().lower() for name in content_encoding.split(","))
    return ["gzip" if name == "x-gzip" else name for name in names if name not in ("", "identity")]


def _weighted(header: str) -> Iterator[tuple[str, float]]:
    """The items of a list, in lower case and without parameters, each with its weight."""
    for item in _QUOTED.sub('""', header).lower().split(","):
        name, *parameters = (part.strip() for part in item.split(";"))
        weight = next((text for text in parameters if text.startswith("q=")), "q=1")[2:]
        if name and _WEIGHT.fullmatch(weight):
            yield name, min(float(weight), 1.0)
