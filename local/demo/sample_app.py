"""A small bookshop, as an example of an app that uses the middleware. `python -m local.demo.sample_app PORT` serves it.

A user adds two lines to an app: the import and `add_middleware`. API_BASE comes from the environment.
"""

from __future__ import annotations

import asyncio
import os
import random
import sys
import threading
from typing import TYPE_CHECKING

import uvicorn
from fastapi import APIRouter, FastAPI, HTTPException, Request
from fastapi.responses import StreamingResponse
from pydantic import BaseModel, Field

from client_middleware import TrackingMiddleware
from local.ports import listen, url

if TYPE_CHECKING:
    from collections.abc import AsyncIterator

BOOKS = 40  # books in stock, numbered from 1


class Review(BaseModel):
    """A reader's opinion of a book."""

    stars: int = Field(ge=1, le=5)
    text: str = ""


class Order(BaseModel):
    """A customer's order of some copies of one book."""

    book_id: int
    copies: int = Field(ge=1, le=20)


books = APIRouter(prefix="/books", tags=["books"])
orders = APIRouter(prefix="/orders", tags=["orders"])


def _title(book_id: int) -> dict[str, object]:
    if not 1 <= book_id <= BOOKS:
        raise HTTPException(404, "no such book")
    return {"id": book_id, "title": f"Volume {book_id}", "price": 5 + book_id % 17}


async def _work(milliseconds: float) -> None:
    """Wait as if for a database: about this long, sometimes much longer."""
    await asyncio.sleep(random.lognormvariate(0, 0.5) * milliseconds / 1000)


@books.get("")
async def list_books(page: int = 1) -> list[dict[str, object]]:
    """Ten books a page."""
    await _work(8)
    return [_title(number) for number in range(10 * page - 9, min(10 * page, BOOKS) + 1)]


@books.get("/{book_id}")
async def get_book(book_id: int) -> dict[str, object]:
    """One book."""
    await _work(3)
    return _title(book_id)


@books.put("/{book_id}")
async def update_book(book_id: int) -> dict[str, object]:
    """Store a book."""
    await _work(12)
    return _title(book_id)


@books.delete("/{book_id}", status_code=204)
async def delete_book(book_id: int) -> None:
    """Delete a book; nothing is really deleted."""
    await _work(5)
    _title(book_id)


@books.post("/{book_id}/reviews", status_code=201)
async def add_review(book_id: int, review: Review) -> Review:
    """Add a review."""
    await _work(10)
    _title(book_id)
    return review


@orders.post("", status_code=201)
async def create_order(order: Order) -> Order:
    """Order a book. Book 13 makes the handler fail, so that the dashboard has an error to show."""
    await _work(20)
    _title(order.book_id)
    if order.book_id == 13:
        raise RuntimeError("the payment provider answered with something nobody expected")
    return order


@orders.get("/{order_id}")
async def get_order(order_id: int, request: Request) -> dict[str, object]:
    """One order; it needs an Authorization header."""
    await _work(4)
    if "authorization" not in request.headers:
        raise HTTPException(401, "who are you?")
    return {"id": order_id, "status": "shipped"}


async def _catalogue() -> AsyncIterator[str]:
    yield "id,title,price\n"
    for number in range(1, BOOKS + 1):
        await asyncio.sleep(0.001)
        yield ",".join(str(value) for value in _title(number).values()) + "\n"


def create_app() -> FastAPI:
    """The bookshop, tracked."""
    app = FastAPI(title="Bookshop")
    app.add_middleware(TrackingMiddleware, api_key=os.environ["ANALYTICS_API_KEY"])
    app.include_router(books)
    app.include_router(orders)

    @app.get("/catalogue.csv")
    async def catalogue() -> StreamingResponse:
        """Every book, streamed row by row."""
        return StreamingResponse(_catalogue(), media_type="text/csv")

    return app


def main() -> None:
    """Serve on the given port (0: a free one) and print the URL; stop when stdin ends, as it does with the parent."""
    with listen("127.0.0.1", int(sys.argv[1])) as listener:
        # No tracebacks of the errors that this app makes on purpose.
        server = uvicorn.Server(uvicorn.Config(create_app(), log_level="critical", lifespan="on"))

        def stop_with_parent() -> None:
            sys.stdin.read()
            server.should_exit = True

        threading.Thread(target=stop_with_parent, name="parent", daemon=True).start()
        print(url(listener), flush=True)
        server.run(sockets=[listener])


if __name__ == "__main__":
    main()
