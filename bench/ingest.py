"""How many logs per second one core takes in: python -m bench.ingest

Batches of 500 go as API Gateway events through the very handler that Lambda calls: Mangum, FastAPI, the key,
validation, packing, the write. Once into a table that answers at once, which shows our own part, and once into moto.
Beside them, in the same run, the original's way: one log a request, a model, an INSERT and a commit into SQLite.
"""

from __future__ import annotations

from analytics.runtime import lambda_handler

import json
import sqlite3
import tempfile
import time
from collections.abc import Callable
from datetime import datetime
from itertools import count
from pathlib import Path
from typing import Any, cast

from fastapi import FastAPI
from mangum import Mangum
from pydantic import BaseModel

from analytics.web import Service
from bench.logs import as_json, logs
from bench.stack import InstantClient, event, moto_service, service_over
from functions.ingest.app import create_app

BATCH = 500
ROUNDS = 5


def rate(call: Callable[[], int], seconds: float = 2.5) -> float:
    """Logs per second of CPU: the best of several rounds of a call that takes some logs and says how many."""
    best = 0.0
    for _ in range(ROUNDS):
        start, taken, spent = time.process_time(), 0, 0.0
        while spent < seconds / ROUNDS:
            taken += call()
            spent = time.process_time() - start
        best = max(best, taken / spent)
    return best


def batch_rate(service: Service) -> float:
    """Logs per second in batches, through the handler."""
    serve = lambda_handler(create_app, lambda: service)
    sample = [as_json(log) for log in logs(BATCH * 20)]
    bodies = [json.dumps({"logs": sample[at : at + BATCH]})[1:] for at in range(0, len(sample), BATCH)]
    number = count()

    def send() -> int:
        at = next(number)
        body = f'{{"batch_id":"bench-{at}","client":{{"name":"bench"}},{bodies[at % len(bodies)]}'
        answer = serve(event("POST", "/track/batch", body=body), None)
        assert json.loads(answer["body"]) == {"accepted": BATCH, "rejected": [], "duplicate": False}, answer
        return BATCH

    return rate(send)


class OneLog(BaseModel):
    """What the original takes."""

    created_at: datetime
    method: str
    endpoint: str
    ip: str | None
    process_time: float
    status_code: int


def original_rate(folder: Path) -> float:
    """Logs per second, each in a request of its own, committed to SQLite."""
    database = sqlite3.connect(folder / "original.sqlite")
    database.execute(f"CREATE TABLE logs ({', '.join(OneLog.model_fields)})")
    app = FastAPI()

    @app.post("/track")
    async def track(log: OneLog) -> None:
        row = [str(log.created_at), log.method, log.endpoint, log.ip, log.process_time, log.status_code]
        database.execute("INSERT INTO logs VALUES (?, ?, ?, ?, ?, ?)", row)
        database.commit()

    serve, bodies, number = Mangum(app, lifespan="off"), [json.dumps(as_json(log)) for log in logs(200)], count()

    def send() -> int:
        answer = serve(event("POST", "/track", body=bodies[next(number) % len(bodies)]), cast("Any", None))
        assert answer["statusCode"] == 200, answer
        return 1

    return rate(send)


def main() -> None:
    """Measure all three and print them side by side."""
    results = {"batches of 500, a table that answers at once": batch_rate(service_over(InstantClient()))}
    with moto_service() as service:
        results["batches of 500, moto in process"] = batch_rate(service)
    with tempfile.TemporaryDirectory() as folder:
        results["one log a request, SQLite: the original's way"] = original_rate(Path(folder))
    least = min(results.values())
    print(f"{'':48}{'logs/s of a core':>18}{'ratio':>8}")
    for name, per_second in results.items():
        print(f"{name:48}{per_second:18,.0f}{per_second / least:8.1f}")


if __name__ == "__main__":
    main()
