"""One app with every kind of route, and what each request to it should be filed under: `python route_matrix.py`.

A script, for it runs under many versions of FastAPI, each in a virtual environment of its own; prints the version.
"""

from __future__ import annotations

import asyncio
import sys
import tempfile
from collections.abc import MutableMapping
from pathlib import Path
from typing import Any

import fastapi
import starlette
from fastapi import APIRouter, FastAPI
from fastapi.responses import PlainTextResponse
from starlette.applications import Starlette
from starlette.routing import Mount, Route, Router
from starlette.staticfiles import StaticFiles

from client_middleware import MemorySink, TrackingMiddleware, create_tracking_middleware

WAYS = ("asgi", "http")


async def plain(request: Any) -> PlainTextResponse:
    """A Starlette endpoint, used at several places."""
    return PlainTextResponse("plain")


def create_app(folder: Path) -> FastAPI:
    """The app."""
    app = FastAPI()

    @app.get("/")
    async def index() -> str:
        return "index"

    @app.get("/users/{user_id}")
    @app.get("/users/me")
    async def user(user_id: int = 0) -> int:
        return user_id

    @app.get("/files/{path:path}")
    async def file(path: str) -> str:
        return path

    leaf = APIRouter(prefix="/leaf")

    @leaf.get("/{leaf_id}")
    async def get_leaf(leaf_id: int) -> int:
        return leaf_id

    @leaf.get("")
    async def leaves() -> str:
        return "leaves"

    branch = APIRouter()
    branch.include_router(leaf, prefix="/branch/{branch_id}")
    branch.add_route("/plain/{name}", plain)
    app.include_router(branch, prefix="/one")
    app.include_router(branch, prefix="/two")  # the same router, at a second place

    app.add_route("/plain", plain)
    app.add_route("/plain/{name}", plain)

    inner = FastAPI()
    inner.include_router(branch, prefix="/deep")
    app.mount("/inner", inner)
    app.mount("/tenants/{tenant}", inner)
    app.mount("/star", Starlette(routes=[Route("/x/{y}", plain), Mount("/more", routes=[Route("/{z}", plain)])]))
    app.mount("/router", Router([Route("/{y}", plain)]))
    app.mount("/static", StaticFiles(directory=folder))
    return app


CASES = [
    ("GET", "/", "/"),
    ("HEAD", "/", "/"),
    ("GET", "/users/7", "/users/{user_id}"),
    ("GET", "/users/me", "/users/me"),
    ("GET", "/users/none", "/users/{user_id}"),
    ("DELETE", "/users/7", "/users/{user_id}"),
    ("GET", "/files/a/b/c", "/files/{path}"),
    ("GET", "/one/branch/3/leaf/4", "/one/branch/{branch_id}/leaf/{leaf_id}"),
    ("GET", "/two/branch/3/leaf/4", "/two/branch/{branch_id}/leaf/{leaf_id}"),
    ("GET", "/two/branch/3/leaf", "/two/branch/{branch_id}/leaf"),
    ("POST", "/two/branch/3/leaf", "/two/branch/{branch_id}/leaf"),
    ("GET", "/one/plain/x", "/one/plain/{name}"),
    ("GET", "/two/plain/x", "/two/plain/{name}"),
    ("GET", "/plain", "/plain"),
    ("GET", "/plain/x", "/plain/{name}"),
    ("GET", "/inner/deep/branch/3/leaf/4", "/inner/deep/branch/{branch_id}/leaf/{leaf_id}"),
    ("GET", "/tenants/acme/deep/branch/3/leaf/4", "/tenants/{tenant}/deep/branch/{branch_id}/leaf/{leaf_id}"),
    ("GET", "/inner/deep/plain/x", "/inner/deep/plain/{name}"),
    ("GET", "/inner/nothing", "(unmatched)"),
    ("GET", "/star/x/1", "/star/x/{y}"),
    ("GET", "/star/more/1", "/star/more/{z}"),
    ("GET", "/star/nothing", "(unmatched)"),
    ("GET", "/router/1", "/router/{y}"),
    ("GET", "/static/page.txt", "/static/{path}"),
    ("GET", "/static/missing.txt", "/static/{path}"),
    ("GET", "/docs", "/docs"),
    ("GET", "/openapi.json", "/openapi.json"),
    ("GET", "/wp-login.php", "(unmatched)"),
    ("OPTIONS", "/users/7", "/users/{user_id}"),
]


async def answer(app: Any, method: str, path: str, root_path: str) -> None:
    """Make a request."""

    received = iter([{"type": "http.request", "body": b"", "more_body": False}])

    async def receive() -> MutableMapping[str, Any]:
        for message in received:
            return message
        return await asyncio.get_running_loop().create_future()  # type: ignore[no-any-return]  # no disconnect

    async def send(message: MutableMapping[str, Any]) -> None:
        pass

    scope = {
        "type": "http",
        "asgi": {"version": "3.0", "spec_version": "2.4"},
        "http_version": "1.1",
        "method": method,
        "scheme": "http",
        "path": path,
        "raw_path": path.encode(),
        "query_string": b"",
        "root_path": root_path,
        "headers": [(b"host", b"test")],
        "client": ("203.0.113.77", 50_000),
        "server": ("test", 80),
    }
    await app(scope, receive, send)


def check(way: str, folder: Path) -> list[str]:
    """Make every request, in one way of use; what went otherwise than expected."""
    app, sink, wrong = create_app(folder), MemorySink(), []
    if way == "asgi":
        app.add_middleware(TrackingMiddleware, sink=sink)
    else:
        app.middleware("http")(create_tracking_middleware(sink=sink))

    # Starlette 0.33 learned that `path` has the root path in it, as ASGI wants.
    in_path = "/proxied" if tuple(map(int, starlette.__version__.split(".")[:2])) >= (0, 33) else ""

    async def all_of_them() -> None:
        for prefix, root_path in (("", ""), (in_path, "/proxied")):
            for method, path, _ in CASES * 2:
                await answer(app, method, prefix + path, root_path)

    asyncio.run(all_of_them())
    for (method, path, expected), log in zip(CASES * 4, sink.logs, strict=True):
        if (method, expected) != (log["method"], log["endpoint"]):
            wrong.append(f"{way}: {method} {path} is filed under {log['endpoint']}, not {expected}")
    return wrong


if __name__ == "__main__":
    with tempfile.TemporaryDirectory() as name:
        (Path(name) / "page.txt").write_text("page")
        wrong = [line for way in WAYS for line in check(way, Path(name))]
    print(f"fastapi {fastapi.__version__}, starlette {starlette.__version__}")  # noqa: T201
    sys.exit("\n".join(wrong) or None)
