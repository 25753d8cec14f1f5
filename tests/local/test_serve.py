"""`python -m local serve` as its users meet it: over HTTP, from outside the process."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
from concurrent.futures import ThreadPoolExecutor
from typing import TYPE_CHECKING, Any

import httpx
import pytest

from local.__main__ import main
from local.database.tables import create_missing
from local.template import Table, read
from tests.local.conftest import ROOT, STACK, Local

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator
    from pathlib import Path

    from mypy_boto3_dynamodb import DynamoDBClient


@pytest.fixture
def http() -> Iterator[httpx.Client]:
    """A client that goes straight to where it is told."""
    with httpx.Client(trust_env=False, timeout=60) as client:
        yield client


@pytest.fixture
def fails(capsys: pytest.CaptureFixture[str]) -> Iterator[Callable[..., str]]:
    """Runs a command that can not start: exit code 1, nothing on stdout; returns what it says on stderr."""
    environment, handler = dict(os.environ), signal.getsignal(signal.SIGTERM)

    def run(*arguments: object) -> str:
        assert main([str(argument) for argument in arguments]) == 1
        out, error = capsys.readouterr()
        assert out == ""
        return error

    yield run
    signal.signal(signal.SIGTERM, handler)
    os.environ.clear()
    os.environ.update(environment)


def test_handlers_of_the_template_are_served(start: Callable[..., Local], http: httpx.Client) -> None:
    """Routes, variables and handlers are the template's, the shell's variables win, and requests run side by side."""
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
    with ThreadPoolExecutor(6) as threads:  # each waits for the other five
        answers = list(threads.map(lambda _: http.get(f"{running.url}/meet"), range(6)))
    assert sorted(answer.text for answer in answers) == ["0", "1", "2", "3", "4", "5"]
    assert running.stop() == 0


def test_data_survives_kill_9_and_restart(start: Callable[..., Local], http: httpx.Client, tmp_path: Path) -> None:
    """An item acknowledged before kill -9 is served after a start on the same folder."""
    arguments = ("serve", "--port", 0, "--template", STACK, "--data", tmp_path / "data")
    first = start(*arguments)
    text = {"content-type": "text/plain"}
    assert http.put(f"{first.url}/items/7", content="kept", headers=text).status_code == 200
    assert first.stop(signal.SIGKILL) == -signal.SIGKILL
    again = start(*arguments)
    assert http.get(f"{again.url}/items/7").json() == {"id": {"S": "7"}, "text": {"S": "kept"}}
    assert again.stop(signal.SIGINT) == 0


def test_any_dynamodb_by_its_url(
    start: Callable[..., Local], http: httpx.Client, connect: Callable[[str], DynamoDBClient]
) -> None:
    """With --dynamodb the service makes and uses its tables in a database that it did not start."""
    database = start("dynamodb", "--port", 0, "--template", STACK)
    other = Table("Other", read(STACK).tables[0].create | {"TableName": "Other"}, None)
    create_missing([other], database.url)
    service = start("serve", "--port", 0, "--template", STACK, "--dynamodb", database.url)
    http.put(f"{service.url}/items/1", content="shared", headers={"content-type": "text/plain"})
    client = connect(database.url)
    assert sorted(client.list_tables()["TableNames"]) == ["Items", "Other"]
    assert client.scan(TableName="Items")["Items"] == [{"id": {"S": "1"}, "text": {"S": "shared"}}]


def test_what_can_not_start_says_so_in_one_line(
    start: Callable[..., Local], fails: Callable[..., str], tmp_path: Path
) -> None:
    """A taken port, a folder in use, no database and no template are one line each and exit code 1."""
    running = start("serve", "--port", 0, "--template", STACK, "--data", tmp_path)
    port = running.url.rpartition(":")[2]
    stack = ("--template", STACK)
    taken = f"error: can not listen on 127.0.0.1:{port}: address already in use; give another --port\n"
    command = [sys.executable, "-m", "local", "serve", "--port", port]
    done = subprocess.run(command, cwd=ROOT, capture_output=True, text=True, timeout=120, check=False)
    assert (done.returncode, done.stdout, done.stderr) == (1, "", taken)
    assert fails("dynamodb", "--port", port, *stack) == taken
    in_use = f"error: {tmp_path} is in use by another process; stop that one or give another --data\n"
    assert fails("serve", "--port", 0, "--data", tmp_path, *stack) == in_use
    missing = f"error: {tmp_path}/none.yaml: No such file or directory\n"
    assert fails("serve", "--port", 0, "--template", tmp_path / "none.yaml") == missing
    error = fails("serve", "--port", 0, "--dynamodb", "http://127.0.0.1:9", *stack)
    assert error.startswith("error: the DynamoDB at http://127.0.0.1:9 can not be used: ")
    assert error.count("\n") == 1
