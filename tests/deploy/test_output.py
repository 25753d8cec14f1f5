"""What the built functions write to their logs, by Lambda's runtime client and in the template's format."""

from __future__ import annotations

import json
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import httpx
import pytest

from analytics import api_key
from local.gateway.event import Request, to_event
from local.tools.build import BUILT
from tests.contract.targets import INVOKE_S, emulated, started

pytestmark = [
    pytest.mark.container,
    pytest.mark.skipif(not (BUILT / "template.yaml").is_file(), reason="nothing is built: run `make build`"),
]
NOWHERE = "http://127.0.0.1:9"  # nobody listens on "discard"
Ask = Callable[[dict[str, Any]], Any]
OF_EMULATOR = ("START RequestId", "END RequestId", "REPORT RequestId")  # on AWS they are JSON, too
TOKEN = "sign-up-token-of-this-test"


@contextmanager
def writing(function: str, database: str, log: Path, level: str = "WARN") -> Iterator[Ask]:
    """One function, which writes its output into a file, as on AWS with `LogFormat: JSON`; yields what asks it."""
    variables = {"AWS_LAMBDA_LOG_FORMAT": "JSON", "AWS_LAMBDA_LOG_LEVEL": level, "SIGNUP_TOKEN": TOKEN}
    with (
        log.open("wb") as output,
        emulated(function, database, output, **variables) as url,
        httpx.Client(trust_env=False, timeout=INVOKE_S) as client,
    ):
        yield lambda event: client.post(url, json=event).json()


def asked(route: str, body: bytes = b"", **headers: str) -> dict[str, Any]:
    """The event of a request."""
    method, path = route.split()
    lines = [("Host", "api.example.com"), *((name.replace("_", "-"), value) for name, value in headers.items())]
    request = Request(method, path, "", lines, body, "192.0.2.1", "HTTP/1.1")
    return to_event(request, route, {}, "id", datetime.now(UTC))


def lines(log: Path) -> list[dict[str, Any]]:
    """What was written: each line is JSON, but for those of the emulator itself."""
    written = (line for line in log.read_text().splitlines() if line and not line.startswith(OF_EMULATOR))
    return [json.loads(line) for line in written]


def test_a_failure_is_logged_with_its_request_and_no_secret(tmp_path: Path) -> None:
    """A table out of reach: a 503, and one line of JSON with level and request id; a refused call leaves no line."""
    log, secret = tmp_path / "log", api_key.generate()
    with writing("IngestFunction", NOWHERE, log) as ask:
        refused = ask(asked("POST /track", X_API_Key=secret[:-1] + "_"))
        failed = ask(asked("POST /track", b"{}", X_API_Key=secret))
    assert (refused["statusCode"], failed["statusCode"]) == (401, 503)
    (line,) = lines(log)
    assert (line["level"], line["logger"]) == ("WARNING", "analytics")
    assert line["message"].startswith("The store is busy, try again: ")
    assert len(line["requestId"]) == 36
    assert secret not in log.read_text()
    assert api_key.hashed(secret) not in log.read_text()


def test_keys_and_tokens_are_in_no_line(tmp_path: Path) -> None:
    """A sign-up with the right and a wrong token, a key used and revoked, with the most that `LogLevel` lets be logged.

    That is what botocore says when it starts; paths, which callers choose, are in none either.
    """
    log = tmp_path / "log"
    with started("local", "dynamodb", "--port", "0") as database, writing("KeysFunction", database, log, "INFO") as ask:
        made = ask(asked("POST /generate_key", Authorization=f"Bearer {TOKEN}"))
        wrong = ask(asked("POST /generate_key", Authorization="Bearer guessed"))
        secret = json.loads(made["body"])["api_key"]
        ended = ask(asked("DELETE /key", X_API_Key=secret))
    assert (made["statusCode"], wrong["statusCode"], ended["statusCode"]) == (201, 401, 200)
    assert {(line["level"], line["logger"].split(".")[0]) for line in lines(log)} == {("INFO", "botocore")}
    for hidden in (TOKEN, "guessed", "generate_key", secret, api_key.hashed(secret), secret[4:31]):
        assert hidden not in log.read_text()


def test_the_schedule_writes_its_metrics_as_they_are(tmp_path: Path) -> None:
    """Lambda wraps what is logged, not what is written: the line begins with `_aws`, as CloudWatch looks for it."""
    log = tmp_path / "log"
    with started("local", "dynamodb", "--port", "0") as database, writing("DashboardFunction", database, log) as ask:
        answer = ask({"detail-type": "Scheduled Event", "source": "aws.events"})
    assert answer == {"folded": 0, "left": 0, "oldest_age": 0, "failed": 0, "unreadable": 0}
    (line,) = lines(log)
    assert list(line) == ["_aws", "Table", "OldestUnfoldedAge", "StreamsLeft", "StreamsFailed", "UnreadableItems"]
