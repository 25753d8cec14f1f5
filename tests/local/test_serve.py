"""`python -m local serve` as its users meet it: over HTTP, from outside the process."""

from __future__ import annotations

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
    from collections.abc import Callable
    from pathlib import Path

    from mypy_boto3_dynamodb import DynamoDBClient


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


def test_what_cannot_start_says_so_in_one_line(
    start: Callable[..., Local], fails: Callable[..., str], tmp_path: Path
) -> None:
    """A taken port, a folder in use, no database and no template are one line each and exit code 1."""
    running = start("serve", "--port", 0, "--template", STACK, "--data", tmp_path)
    port = running.url.rpartition(":")[2]
    stack = ("--template", STACK)
    taken = f"error: cannot listen on 127.0.0.1:{port}: address already in use; give another --port\n"
    command = [sys.executable, "-m", "local", "serve", "--port", port]
    done = subprocess.run(command, cwd=ROOT, capture_output=True, text=True, timeout=120, check=False)
    assert (done.returncode, done.stdout, done.stderr) == (1, "", taken)
    assert fails("dynamodb", "--port", port, *stack) == taken
    in_use = f"error: {tmp_path} is in use by another process; stop that one or give another --data\n"
    assert fails("serve", "--port", 0, "--data", tmp_path, *stack) == in_use
    missing = f"error: {tmp_path}/none.yaml: No such file or directory\n"
    assert fails("serve", "--port", 0, "--template", tmp_path / "none.yaml") == missing
    error = fails("serve", "--port", 0, "--dynamodb", "http://127.0.0.1:9", *stack)
    assert error.startswith("error: the DynamoDB at http://127.0.0.1:9 cannot be used: ")
    assert error.count("\n") == 1


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (("--data", ""), "argument --data: the name of a folder, such as .data\n"),
        (("--parameter", "Days"), "argument --parameter: NAME=VALUE, such as RawRetentionDays=30\n"),
        (("--dynamodb", "http://"), "argument --dynamodb: a URL such as http://127.0.0.1:8000\n"),
        (("--dynamodb", "http://127.0.0.1:port"), "argument --dynamodb: Port could not be cast to integer"),
    ],
)
def test_arguments_that_mean_nothing_are_refused(
    arguments: tuple[str, str], message: str, capsys: pytest.CaptureFixture[str]
) -> None:
    """An empty folder, a parameter without a value and a URL without a host name are usage errors."""
    with pytest.raises(SystemExit, match="2"):
        main(["serve", *arguments])
    assert message in capsys.readouterr().err


def test_parameters_are_those_of_the_template(start: Callable[..., Local], http: httpx.Client) -> None:
    """--parameter sets what a deployment would set: a variable of the functions, and the origin that may call."""
    origin = "https://app.test"
    options = ("--parameter", "Greeting=ahoy", "--parameter", f"Origin={origin}", "--template", STACK)
    running = start("serve", "--port", 0, *options, GREETING="moin")
    answer = http.post(f"{running.url}/echo/x", headers={"origin": origin})
    assert (answer.json()["greeting"], answer.headers["access-control-allow-origin"]) == ("ahoy", origin)


def test_head_is_answered_like_get(start: Callable[..., Local], http: httpx.Client) -> None:
    """Over HTTP, from the page as from the API: the same status and headers, no body, and the connection goes on."""
    running = start("serve", "--port", 0)
    for path in ("/", "/docs", "/health", "/dashboard", "/keys", "/nowhere"):
        got, head = http.get(f"{running.url}{path}"), http.head(f"{running.url}{path}")
        assert (head.status_code, head.content) == (got.status_code, b"")
        if path != "/nowhere" and "content-encoding" not in got.headers:
            assert head.headers["content-length"] == got.headers["content-length"]
        assert head.headers["content-type"] == got.headers["content-type"]
