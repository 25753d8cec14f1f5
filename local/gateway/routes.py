"""Which route of an HTTP API a request takes: static paths win over `{param}`, and these over a greedy `{proxy+}`."""

from __future__ import annotations

import re
from dataclasses import dataclass
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Iterable

    from local.template import Route

_PARAMETER = re.compile(r"\{([^}+]+)(\+?)\}")
_STATIC, _VARIABLE, _GREEDY = range(3)  # kinds of path segments; the smaller number wins


@dataclass(frozen=True)
class Match:
    """The matched route and the values of its path parameters."""

    route: Route
    parameters: dict[str, str]


class Routes:
    """The route table of one API, the most specific routes first."""

    def __init__(self, routes: Iterable[Route]) -> None:
        self._routes = [(_pattern(route.path), route) for route in sorted(routes, key=_width)]

    def match(self, method: str, path: str) -> Match | None:
        """The most specific route for a decoded path, or None. As on AWS, a GET route does not take HEAD."""
        for pattern, route in self._routes:
            found = pattern.fullmatch(path) if route.method in (method, "ANY") else None
            if found:
                names = [name for name, _ in _PARAMETER.findall(route.path)]
                return Match(route, dict(zip(names, found.groups(), strict=True)))
        return None


def _pattern(path: str) -> re.Pattern[str]:
    if path == "$default":
        return re.compile(".*", re.DOTALL)
    pieces, last = [], 0
    for found in _PARAMETER.finditer(path):
        pieces += [re.escape(path[last : found.start()]), "(.+)" if found[2] else "([^/]+)"]
        last = found.end()
    return re.compile("".join(pieces) + re.escape(path[last:]), re.DOTALL)


def _width(route: Route) -> tuple[bool, list[int], bool]:
    """Sort key: `$default` last; then the more specific path segments first; then a method before ANY."""
    segments = []
    for segment in route.path.split("/"):
        found = _PARAMETER.search(segment)
        segments.append(_STATIC if not found else _GREEDY if found[2] else _VARIABLE)
    return route.path == "$default", segments, route.method == "ANY"
