"""Parsers of settings: each takes an argument or a text and returns the value that Settings holds.

All raise ValueError with a text that says what was expected.
"""

from __future__ import annotations

import inspect
from collections.abc import Callable, Iterable
from ipaddress import IPv4Network, IPv6Network, ip_network
from typing import TYPE_CHECKING
from urllib.parse import urlsplit

if TYPE_CHECKING:
    from starlette.requests import Request

Consumer = Callable[["Request"], "str | None"]
Networks = tuple[IPv4Network | IPv6Network, ...]

PROBES = ("/favicon.ico", "/health", "/healthz", "/livez", "/metrics", "/ping", "/ready", "/readyz")
"""The paths that `probes` in `exclude_paths` stands for: those of health checks and the like."""


def text(value: object) -> str:
    """Parse any text."""
    if not isinstance(value, str):
        raise ValueError("expected text")
    return value.strip()


def base(value: object) -> str:
    """Parse the URL of a service; slashes at its end are dropped."""
    url = text(value).rstrip("/")
    try:
        parts = urlsplit(url)
        fine = parts.scheme in ("http", "https") and parts.hostname and parts.port != 0
    except ValueError:  # brackets that do not close, a port that is no number
        fine = False
    if not fine or "?" in url or "#" in url:
        raise ValueError("expected a URL such as https://abc.execute-api.eu-central-1.amazonaws.com")
    return url


def key(value: object) -> str:
    """Parse an API key, one word."""
    word = text(value)
    if not word.isascii() or not word.isprintable() or " " in word:
        raise ValueError("expected the API key as POST /generate_key gave it")
    return word


def choice(*choices: str) -> Callable[[object], str]:
    """Make a parser of one of these words."""

    def parse(value: object) -> str:
        if value not in choices:
            raise ValueError(f"expected one of {', '.join(choices)}")
        return str(value)

    return parse


def number(least: float, most: float) -> Callable[[object], float]:
    """Make a parser of a number from `least` to `most`."""

    def parse(value: object) -> float:
        expected = f"expected a number from {least:g} to {most:g}"
        if isinstance(value, bool) or not isinstance(value, str | int | float):
            raise ValueError(expected)
        try:
            parsed = float(value)
        except ValueError:
            raise ValueError(expected) from None
        if not least <= parsed <= most:
            raise ValueError(expected)
        return parsed

    return parse


def whole(least: int, most: int) -> Callable[[object], int]:
    """Make a parser of a whole number from `least` to `most`."""
    within = number(least, most)

    def parse(value: object) -> int:
        if (parsed := within(value)) != int(parsed):
            raise ValueError("expected a whole number")
        return int(parsed)

    return parse


def flag(value: object) -> bool:
    """Parse true or false: also 1 and 0, yes and no, on and off."""
    known = {"true": True, "1": True, "yes": True, "on": True, "false": False, "0": False, "no": False, "off": False}
    try:
        return known[str(value).lower()]
    except KeyError:
        raise ValueError("expected true or false") from None


def words(value: object) -> tuple[str, ...]:
    """Parse a list of words, or a text with commas."""
    items = value.split(",") if isinstance(value, str) else value
    if not isinstance(items, Iterable) or not all(isinstance(item, str) for item in items):
        raise ValueError("expected a list, or text with commas")
    return tuple(item.strip() for item in items if item.strip())


def paths(value: object) -> tuple[str, ...]:
    """Parse patterns of paths; the word `probes` stands for PROBES."""
    patterns: list[str] = []
    for path in words(value):
        if path == "probes":
            patterns += PROBES
        elif path.startswith(("/", "*")):
            patterns.append(path)
        else:
            raise ValueError(f"expected paths that begin with /, or the word probes, found {path!r}")
    return tuple(patterns)


def methods(value: object) -> tuple[str, ...]:
    """Parse HTTP methods."""
    return tuple(method.upper() for method in words(value))


def proxies(value: object) -> int | Networks:
    """Parse a number of proxies, or their networks."""
    try:
        return whole(0, 16)(value)
    except ValueError:
        pass
    try:
        return tuple(ip_network(network) for network in words(value))
    except ValueError as error:
        raise ValueError(f"expected how many proxies there are, or their networks ({error})") from None


def consumer(value: object) -> str | Consumer:
    """Parse the name of an attribute of `request.state`, or a function that takes the request."""
    if isinstance(value, str) and value.isidentifier():
        return value
    if not callable(value):
        raise ValueError("expected a function of the request, or the name of an attribute of request.state")
    if inspect.iscoroutinefunction(value):
        raise ValueError("expected a plain function, not an async one: it runs after the response")
    return value
