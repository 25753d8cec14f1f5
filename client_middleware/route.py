"""The route template of a request (`/users/{id}`), read from its scope after the app has run.

What the scope holds depends on versions. FastAPI puts its own routes into `scope["route"]`; since 0.137 an included
router keeps its prefix apart, in `scope["fastapi"]`. Starlette puts its plain routes into `scope["route"]` since 1.0;
before, it left only the endpoint. A mount leaves its path, with real values in it, at the end of `root_path`.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from re import Pattern
from typing import Any

Scope = Mapping[str, Any]

UNMATCHED = "(unmatched)"
"""The endpoint of every request that no route answered, so that scanners do not fill the list of endpoints."""

REST = "/{path}"
"""Stands for the rest of the path below a mounted app without routes, such as static files."""

MAX_ENDPOINTS = 4096  # endpoint functions whose routes are remembered; an app has fewer


class Templates:
    """Finds the route template of a request; caches what it had to search for."""

    def __init__(self) -> None:
        self._known: dict[int, tuple[object, list[tuple[str, Pattern[str]]]]] = {}

    def of(self, scope: Scope) -> str:
        """Return the template of the route that answered, with its mounts and without the root path; or UNMATCHED."""
        route = scope.get("route")
        fastapi = scope.get("fastapi")
        if fastapi is not None:
            context = fastapi.get("effective_route_context")
            if context is not None and context.original_route is route:
                route = context
        if route is not None and "app_root_path" not in scope:
            try:
                template: str = route.path_format
                return template
            except AttributeError:
                pass
        return self._search(scope, route, fastapi or {})

    def _search(self, scope: Scope, route: Any, fastapi: Mapping[str, Any]) -> str:
        endpoint = scope.get("endpoint")
        if not _is_leaf(route):
            context = fastapi.get("effective_route_context")
            route = getattr(context, "starlette_route", None)
        if _is_leaf(route) and route.endpoint is endpoint:
            return _mounted_at(scope, route) + str(route.path_format)
        if endpoint is not None and (found := self._find(endpoint, scope)):
            return found
        if isinstance(rest := fastapi.get("frontend_path"), str):
            path: str = scope["path"]
            return path.removesuffix(rest).rstrip("/") + REST
        if endpoint is not None and "app_root_path" in scope and not hasattr(endpoint, "routes"):
            return _mounted_at(scope, None) + REST
        return UNMATCHED

    def _find(self, endpoint: object, scope: Scope) -> str | None:
        """Return the template of this endpoint, from a walk over all routes; the path decides between several."""
        known = self._known.get(id(endpoint))
        if known is None or known[0] is not endpoint:
            if len(self._known) >= MAX_ENDPOINTS:
                self._known.clear()
            routes = getattr(scope.get("router") or scope.get("app"), "routes", ())
            known = self._known[id(endpoint)] = (endpoint, list(_templates(endpoint, routes, "")))
        templates = known[1]
        if len(templates) == 1:
            return templates[0][0]
        path = _mounts(scope) + scope["path"].removeprefix(scope.get("root_path", ""))
        return next((template for template, pattern in templates if pattern.match(path)), None)


def _is_leaf(route: Any) -> bool:
    """Whether this is a route to an endpoint, not a mount, an included router or None."""
    return hasattr(route, "path_format") and not hasattr(route, "routes")


def _templates(endpoint: object, routes: Iterable[Any], prefix: str) -> Iterator[tuple[str, Pattern[str]]]:
    from starlette.routing import compile_path

    for route in routes:
        path = prefix + getattr(route, "path", "")
        if getattr(route, "endpoint", None) is endpoint:
            pattern, template, _ = compile_path(path)
            yield template, pattern
        yield from _templates(endpoint, getattr(route, "routes", None) or (), path)


def _mounts(scope: Scope) -> str:
    """The requested path of the mounts that the request went through."""
    root: str = scope.get("root_path", "")
    return root.removeprefix(scope.get("app_root_path", root))


def _mounted_at(scope: Scope, route: Any) -> str:
    """The path of the mounts above this route, with `{name}` where they have parameters."""
    prefix = _mounts(scope)
    if not prefix:
        return ""
    own = getattr(route, "param_convertors", ())
    segments = prefix.split("/")
    for name, value in (scope.get("path_params") or {}).items():
        if name not in own and str(value) in segments:
            segments[segments.index(str(value))] = f"{{{name}}}"
    return "/".join(segments)
