"""Which route a request takes."""

from __future__ import annotations

import pytest

from local.gateway.routes import Match, Routes
from local.template import Route

ROUTES = [
    Route("ANY", "$default", "rest"),
    Route("GET", "/pets/{proxy+}", "greedy"),
    Route("GET", "/pets/{id}", "one"),
    Route("GET", "/pets/dogs", "dogs"),
    Route("ANY", "/pets/dogs", "any"),
    Route("GET", "/pets/{id}/toys/{toy}", "toy"),
    Route("GET", "/", "root"),
]


@pytest.mark.parametrize(
    ("method", "path", "function", "parameters"),
    [
        ("GET", "/pets/dogs", "dogs", {}),
        ("PUT", "/pets/dogs", "any", {}),
        ("GET", "/pets/7", "one", {"id": "7"}),
        ("GET", "/pets/a.b c", "one", {"id": "a.b c"}),
        ("GET", "/pets/7/toys/ball", "toy", {"id": "7", "toy": "ball"}),
        ("GET", "/pets/7/toys", "greedy", {"proxy": "7/toys"}),
        ("GET", "/", "root", {}),
        ("POST", "/pets/7", "rest", {}),
        ("HEAD", "/", "rest", {}),
        ("GET", "/pets/", "rest", {}),
    ],
)
def test_narrowest_route_wins(method: str, path: str, function: str, parameters: dict[str, str]) -> None:
    """A static path goes before {param}, that before {proxy+}, a method before ANY, and $default takes what is left."""
    match = Routes(ROUTES).match(method, path)
    assert match is not None
    assert (match.route.function, match.parameters) == (function, parameters)


def test_no_route() -> None:
    """Without $default, a path or method that no route names has no match; dots in a path are no wildcards."""
    routes = Routes([Route("GET", "/openapi.json", "docs")])
    assert routes.match("GET", "/openapi.json") == Match(Route("GET", "/openapi.json", "docs"), {})
    assert [routes.match("POST", "/openapi.json"), routes.match("GET", "/openapi-json")] == [None, None]
