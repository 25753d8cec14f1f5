"""`python -m local serve` as its users meet it: over HTTP, from outside the process."""

from __future__ import annotations

import signal
import subprocess
import sys
from concurrent.futures import ThreadPoolExecutor
from typing import TYPE_CHECKING, Any

import httpx
import pytest

from tests.local.conftest import ROOT, STACK, Local

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator
    from pathlib import Path


@pytest.fixture
def http() -> Iterator[httpx.Client]:
    """A client that goes straight to where it is told."""
    with httpx.Client(trust_env=False, timeout=20) as client:
        yield client


def run(*arguments: object) -> tuple[int, str, str]:
    """Run `python -m local ...` to its end: exit code, stdout, stderr."""
    command = [sys.executable, "-m", "local", *(str(argument) for argument in arguments)]
    done = subprocess.run(command, cwd=ROOT, capture_output=True, text=True, timeout=60, check=False)
    return done.returncode, done.stdout, done.stderr


def test_handlers_of_the_template_are_served(start: Callable[..., Local], http: httpx.Client) -> None:
    """Routes, variables and handlers are the template's; a variable set in the shell wins; 404 is the gateway's."""
    running = start("serve", "--port", 0, "--template", STACK, GREETING="moin")
    answer = http.post(f"{running.url}/echo/a%20b?x=1&x=2", content="hi", headers={"content-type": "text/plain"})
    made: dict[str, Any] = answer.json()
    assert (made["greeting"], made["function"]) == ("moin", "Shop")
    event = made["event"]
    assert (event["rawPath"], event["pathParameters"]) == ("/echo/a b", {"name": "a b"})
    assert (event["queryStringParameters"], event["body"]) == ({"x": "1,2"}, "hi")
    assert event["requestContext"]["http"]["sourceIp"] == "127.0.0.1"
    assert event["headers"]["host"] == running.url.removeprefix("http://")
    missing = http.get(f"{running.url}/echo/x")
    assert (missing.status_code, missing.json()) == (404, {"message": "Not Found"})
    assert running.stop() == 0


def test_several_requests_at_once(start: Callable[..., Local], http: httpx.Client) -> None:
    """Six requests that each wait for the other five are all answered."""
    running = start("serve", "--port", 0, "--template", STACK)
    with ThreadPoolExecutor(6) as threads:
        answers = list(threads.map(lambda _: http.get(f"{running.url}/meet"), range(6)))
    assert sorted(answer.text for answer in answers) == ["0", "1", "2", "3", "4", "5"]


def test_data_survives_kill_9_and_restart(start: Callable[..., Local], http: httpx.Client, tmp_path: Path) -> None:
    """An item acknowledged before kill -9 is served after a start on the same folder, and after a clean stop."""
    arguments = ("serve", "--port", 0, "--template", STACK, "--data", tmp_path / "data")
    first = start(*arguments)
    text = {"content-type": "text/plain"}
    assert http.put(f"{first.url}/items/7", content="kept", headers=text).status_code == 200
    assert first.stop(signal.SIGKILL) == -signal.SIGKILL
    for how in (signal.SIGTERM, signal.SIGINT):
        again = start(*arguments)
        assert http.get(f"{again.url}/items/7").json() == {"id": {"S": "7"}, "text": {"S": "kept"}}
        assert again.stop(how) == 0


def test_any_dynamodb_by_its_url(start: Callable[..., Local], http: httpx.Client) -> None:
    """With --dynamodb two services share a database that neither of them started."""
    database = start("dynamodb", "--port", 0, "--template", STACK)
    services = [start("serve", "--port", 0, "--template", STACK, "--dynamodb", database.url) for _ in range(2)]
    http.put(f"{services[0].url}/items/1", content="shared", headers={"content-type": "text/plain"})
    assert http.get(f"{services[1].url}/items/1").json() == {"id": {"S": "1"}, "text": {"S": "shared"}}


def test_what_can_not_start_says_so_in_one_line(start: Callable[..., Local], tmp_path: Path) -> None:
    """A taken port, a folder in use, no database and no template are one line each and exit code 1."""
    running = start("serve", "--port", 0, "--template", STACK, "--data", tmp_path)
    port = running.url.rpartition(":")[2]
    stack = ("--template", STACK)
    taken = f"error: can not listen on 127.0.0.1:{port}: address already in use; give another --port\n"
    assert run("serve", "--port", port, *stack) == (1, "", taken)
    assert run("dynamodb", "--port", port, *stack) == (1, "", taken)
    in_use = f"error: {tmp_path} is in use by another process; stop that one or give another --data\n"
    assert run("serve", "--port", 0, "--data", tmp_path, *stack) == (1, "", in_use)
    code, _, error = run("serve", "--port", 0, "--dynamodb", "http://127.0.0.1:9", *stack)
    assert (code, error.count("\n")) == (1, 1)
    assert error.startswith("error: the DynamoDB at http://127.0.0.1:9 can not be used: ")
    assert run("serve", "--port", 0, "--template", tmp_path / "none.yaml") == (
        1,
        "",
        f"error: {tmp_path}/none.yaml: No such file or directory\n",
    )
