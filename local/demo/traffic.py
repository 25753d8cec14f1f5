"""The traffic of the sample app: a plan of requests, and sending it over HTTP."""

from __future__ import annotations

import random
from collections import Counter
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

import httpx

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

AT_ONCE = 8  # requests under way together
BOOKS = 40  # in the bookshop
AGENTS = ("Mozilla/5.0 (X11; Linux x86_64) Firefox/142.0", "python-httpx/0.28", "okhttp/5.1", "curl/8.9.1")
# Addresses of the documentation ranges (RFC 5737, RFC 3849); the first come most often.
CLIENTS = (*(f"203.0.113.{number}" for number in range(1, 12)), "198.51.100.7", "2001:db8::7", "2001:db8::a:1")


@dataclass(frozen=True)
class Visit:
    """One request to the sample app."""

    method: str
    path: str
    headers: dict[str, str] = field(default_factory=dict)
    json: Any = None


def plan(count: int, seed: int = 1) -> list[Visit]:
    """`count` requests over several routes and methods, some of which fail; the same for the same seed."""
    dice = random.Random(seed)
    return [_visit(dice) for _ in range(count)]


def _visit(dice: random.Random) -> Visit:
    book = dice.randint(1, BOOKS)
    kinds: list[tuple[int, Visit]] = [
        (24, Visit("GET", "/books", {})),
        (34, Visit("GET", f"/books/{book}")),
        (5, Visit("GET", f"/books/{BOOKS + book}")),  # not there: 404
        (7, Visit("POST", f"/books/{book}/reviews", json={"stars": dice.randint(1, 5)})),
        (2, Visit("POST", f"/books/{book}/reviews", json={"stars": 11})),  # 422
        (4, Visit("PUT", f"/books/{book}")),
        (2, Visit("DELETE", f"/books/{book}")),
        (9, Visit("POST", "/orders", json={"book_id": book, "copies": 1})),
        (2, Visit("POST", "/orders", json={"book_id": 13, "copies": 1})),  # the handler raises
        (6, Visit("GET", f"/orders/{dice.randint(1, 999)}", {"authorization": "Bearer customer"})),
        (2, Visit("GET", f"/orders/{dice.randint(1, 999)}")),  # 401
        (1, Visit("GET", "/catalogue.csv")),  # streamed
        (2, Visit("GET", f"/wp-admin/{dice.randint(1, 999)}.php")),  # no such route
    ]
    visit = dice.choices([kind for _, kind in kinds], [weight for weight, _ in kinds])[0]
    client = CLIENTS[min(int(dice.expovariate(0.35)), len(CLIENTS) - 1)]
    # One connection each: uvicorn closes a connection when a handler raises, and would lose the next request on it.
    headers = {"x-forwarded-for": client, "user-agent": dice.choice(AGENTS), "connection": "close"}
    return Visit(visit.method, visit.path, visit.headers | headers, visit.json)


def send(visits: Sequence[Visit], base: str, on_answer: Callable[[], object]) -> Counter[int]:
    """Send every request, several at once; returns how often each status was answered. Raises httpx.HTTPError."""
    with httpx.Client(base_url=base, trust_env=False, timeout=30) as client, ThreadPoolExecutor(AT_ONCE) as threads:

        def visit(one: Visit) -> int:
            answer = client.request(one.method, one.path, headers=one.headers, json=one.json)
            on_answer()
            return answer.status_code

        return Counter(threads.map(visit, visits))
