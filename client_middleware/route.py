"""The route template of a request (`/users/{id}`), read from its scope after the app has run.

Who leaves what in the scope has changed over the years: FastAPI puts its own routes into `scope["route"]`; since 0.137
an included router keeps its prefix apart, in `scope["fastapi"]`; Starlette puts its plain routes there only since 1.0,
and before left just the endpoint; a mount leaves its path, with real values in it, at the end of `root_path`.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from typing import Any

Scope = Mapping[str, Any]

UNMATCHED = "(unmatched)"
"""What every request that no route answered is filed under, so that scanners do not fill the list of endpoints."""

REST = "/{path}"
"""What stands for the rest of the path below a mounted app that has no routes, such as static files."""

MAX_ENDPOINTS = 4096  # endpoint functions whose routes are remembered; an app has fewer


class Templates:
    """Names requests by their route; remembers what it had to search for."""

    def __init__(self) -> None:
        self._routes: dict[int, tuple[object, list[Any]]] = {}

    def of(self, scope: Scope) -> str:
        """The template of the route that answered, mounts included and the app's own root path not; or UNMATCHED."""
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
        if route is None or _is_mount(route):
            context = fastapi.get("effective_route_context")
            route = getattr(context, "starlette_route", None)
            if route is None or getattr(route, "endpoint", None) is not endpoint:
                route = self._route_of(endpoint, scope)
        if route is not None:
            template = getattr(route, "path_format", None)
            return UNMATCHED if template is None else _mounted_at(scope, route) + template
        if isinstance(rest := fastapi.get("frontend_path"), str):
            path: str = scope["path"]
            return path.removesuffix(rest).rstrip("/") + REST
        if endpoint is not None and "app_root_path" in scope and not hasattr(endpoint, "routes"):
            return _mounted_at(scope, None) + REST
        return UNMATCHED

    def _route_of(self, endpoint: object, scope: Scope) -> Any:
        """The route of this endpoint, found by walking the tree once; the first that matches the path if several."""
        if endpoint is None:
            return None
        known = self._routes.get(id(endpoint))
        if known is None or known[0] is not endpoint:
            if len(self._routes) >= MAX_ENDPOINTS:
                self._routes.clear()
            routes = getattr(scope.get("router") or scope.get("app"), "routes", ())
            known = self._routes[id(endpoint)] = (endpoint, list(_having(endpoint, routes)))
        found = known[1]
        if len(found) < 2:
            return found[0] if found else None
        path = scope["path"].removeprefix(scope.get("root_path", ""))
        return next((route for route in found if route.path_regex.match(path)), None)


def _is_mount(route: Any) -> bool:
    return hasattr(route, "routes")


def _having(endpoint: object, routes: Iterable[Any]) -> Iterator[Any]:
    for route in routes:
        if getattr(route, "endpoint", None) is endpoint and hasattr(route, "path_regex"):
            yield route
        yield from _having(endpoint, getattr(route, "routes", None) or ())


def _mounted_at(scope: Scope, route: Any) -> str:
    """The path of the mounts above this route, with `{name}` where they have parameters."""
    if "app_root_path" not in scope:
        return ""
    prefix: str = scope.get("root_path", "").removeprefix(scope["app_root_path"])
    own = getattr(route, "param_convertors", ())
    segments = prefix.split("/")
    for name, value in (scope.get("path_params") or {}).items():
        if name not in own and str(value) in segments:
            segments[segments.index(str(value))] = f"{{{name}}}"
    return "/".join(segments)
