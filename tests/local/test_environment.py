"""`python -m local` in the shell of somebody who also works with AWS, proxies and other services."""

from __future__ import annotations

import json
import os
import socket
import time
from typing import TYPE_CHECKING
from urllib.request import getproxies

import pytest

from analytics.batch import Batch
from analytics.store import LogTable
from analytics.store.client import connect
from analytics.times import isoformat
from analytics.wire import WIRE
from local.database.dynamodb import DatabaseServer
from local.environment import for_database_at
from tests.local.conftest import STACK, Local
from tests.support.engines import STACK as SERVICE

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator
    from pathlib import Path

    import httpx

TEXT = {"content-type": "text/plain"}
DEAD = "http://127.0.0.1:9"  # the port of "discard", where nobody listens


@pytest.fixture
def proxy() -> Iterator[socket.socket]:
    """A listening socket that stands for a proxy. Nobody answers there, and it can tell whether somebody came."""
    with socket.create_server(("127.0.0.1", 0)) as listener:
        listener.setblocking(False)
        yield listener


@pytest.fixture
def broken(tmp_path: Path) -> str:
    """The path of an AWS configuration file that cannot be parsed."""
    file = tmp_path / "aws.config"
    file.write_text("[profile work\nregion")
    return str(file)


def came(listener: socket.socket) -> bool:
    """Whether somebody connected."""
    try:
        listener.accept()[0].close()
    except BlockingIOError:
        return False
    return True


def works(running: Local, http: httpx.Client) -> None:
    """Put an item by way of the service's database, and get it."""
    assert http.put(f"{running.url}/items/1", content="kept", headers=TEXT).status_code == 200
    assert http.get(f"{running.url}/items/1").json() == {"id": {"S": "1"}, "text": {"S": "kept"}}


def test_proxies_are_not_for_this_machine(
    start: Callable[..., Local], http: httpx.Client, proxy: socket.socket
) -> None:
    """A proxy that is alive gets no request, neither to the service's own database nor to another on loopback."""
    url = f"http://127.0.0.1:{proxy.getsockname()[1]}"
    proxies = {"http_proxy": url, "HTTPS_PROXY": url, "ALL_PROXY": url, "no_proxy": "example.com"}
    database = start("dynamodb", "--port", 0, "--template", STACK, **proxies)
    works(start("serve", "--port", 0, "--template", STACK, **proxies), http)
    works(start("serve", "--port", 0, "--template", STACK, "--dynamodb", database.url, **proxies), http)
    assert not came(proxy)


def test_an_aws_set_up_is_not_for_the_own_database(
    start: Callable[..., Local], http: httpx.Client, broken: str
) -> None:
    """Whatever a shell says of AWS: the service uses its own database, and nothing of it is read."""
    shell = {
        "AWS_CONFIG_FILE": broken,
        "AWS_ENDPOINT_URL": DEAD,
        "AWS_IGNORE_CONFIGURED_ENDPOINT_URLS": "true",
        "AWS_LAMBDA_FUNCTION_NAME": "another",
        "AWS_MAX_ATTEMPTS": "many",
        "AWS_PROFILE": "missing",
        "AWS_USE_FIPS_ENDPOINT": "true",
        "http_proxy": DEAD,
        "LOGS_TABLE": "another",
        "ITEMS_TABLE": "another",
    }
    works(start("serve", "--port", 0, "--template", STACK, **shell), http)


def test_a_profile_cannot_send_requests_elsewhere(
    start: Callable[..., Local], http: httpx.Client, tmp_path: Path
) -> None:
    """With --dynamodb the handlers use that database, also when the profile ignores endpoints that are configured."""
    config = tmp_path / "config"
    config.write_text(f"[default]\nignore_configured_endpoint_urls = true\nendpoint_url = {DEAD}\n")
    database = start("dynamodb", "--port", 0, "--template", STACK)
    shell = {"AWS_CONFIG_FILE": str(config), "AWS_IGNORE_CONFIGURED_ENDPOINT_URLS": "true", "AWS_ENDPOINT_URL": DEAD}
    works(start("serve", "--port", 0, "--template", STACK, "--dynamodb", database.url, **shell), http)


@pytest.mark.parametrize(
    ("database", "kept"),
    [
        ("https://dynamodb.eu-west-1.amazonaws.com", True),
        ("https://alternator.example.com:8043", True),
        ("http://alternator.example.com:8000", False),
        ("https://127.0.0.1:8043", False),
    ],
)
def test_only_what_is_encrypted_and_elsewhere_may_use_a_proxy(
    database: str, kept: bool, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A company's proxy may be the only way to AWS; it must not read logs, and loopback needs none."""
    with monkeypatch.context() as shell:
        shell.setattr(os, "environ", os.environ.copy())
        shell.setenv("https_proxy", DEAD)
        for_database_at(database)
        assert (os.environ.get("https_proxy") == DEAD, getproxies().get("no") == "*") == (kept, not kept)


@pytest.mark.parametrize(
    ("shell", "message"),
    [
        (
            {"RAW_RETENTION_DAYS": "0"},
            "RAW_RETENTION_DAYS in the environment must be one of "
            "1, 3, 7, 14, 30, 60, 90, 180, 365, 400, 731, 1096, 1827, not '0'",
        ),
        (
            {"DAILY_QUOTA": "7.5"},
            "the environment variable DAILY_QUOTA must be a whole number of calls, at least 0, not '7.5'",
        ),
    ],
)
def test_settings_are_checked_at_the_start(
    shell: dict[str, str], message: str, fails: Callable[..., str], monkeypatch: pytest.MonkeyPatch
) -> None:
    """A setting that the template refuses, or only the functions, ends the start with a line that names it."""
    for name, value in shell.items():
        monkeypatch.setenv(name, value)
    assert fails("serve", "--port", 0) == f"error: {message}\n"


def test_an_unusable_aws_set_up_is_one_line(
    fails: Callable[..., str], broken: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    """With --dynamodb the shell's credentials count, and what is wrong with them is said before anything is asked."""
    arguments = ("serve", "--port", 0, "--template", STACK, "--dynamodb", DEAD)
    why = "error: the AWS settings of this shell cannot be used: {} (see AWS_PROFILE and AWS_CONFIG_FILE)\n"
    for name in ("AWS_ACCESS_KEY_ID", "AWS_SECRET_ACCESS_KEY"):
        monkeypatch.delenv(name)
    monkeypatch.setenv("AWS_PROFILE", "missing")
    monkeypatch.setenv("AWS_CONFIG_FILE", os.devnull)
    assert fails(*arguments) == why.format("The config profile (missing) could not be found")
    monkeypatch.setenv("AWS_CONFIG_FILE", broken)
    assert fails(*arguments) == why.format(f"Unable to parse config file: {broken}")


def test_a_foreign_package_does_not_take_the_place_of_the_layer(
    start: Callable[..., Local], http: httpx.Client, tmp_path: Path
) -> None:
    """PYTHONPATH may lead to another package called `analytics`."""
    (tmp_path / "analytics").mkdir()
    (tmp_path / "analytics" / "__init__.py").write_text("raise RuntimeError('another package')\n")
    running = start("serve", "--port", 0, PYTHONPATH=str(tmp_path))
    assert http.get(f"{running.url}/health").json()["status"] == "ok"


def test_logs_of_a_closed_laptop_are_folded_before_they_go(
    start: Callable[..., Local], http: httpx.Client, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Logs that expired while nothing ran are counted at the next start, and still when they are deleted."""
    data = tmp_path / "data"
    first = start("serve", "--port", 0, "--data", data)
    headers = {"X-API-Key": http.post(f"{first.url}/generate_key").json()["api_key"]}
    assert first.stop() == 0

    now, day = time.time_ns() // 1000, 86_400_000_000
    old = now - 100 * day
    log = {"created_at": isoformat(old), "method": "GET", "endpoint": "/", "ip": "192.0.2.1", "status_code": 200}
    batch = Batch.of(WIRE.log(json.dumps(log | {"process_time": 1.0}).encode()).logs * 17)
    with DatabaseServer(folder=data) as server:
        monkeypatch.setenv("AWS_ENDPOINT_URL_DYNAMODB", server.url)
        client = connect()
        keys, table = (each.name for each in (SERVICE.tables[1], SERVICE.tables[0]))
        (stream,) = {item["stream"]["S"] for item in client.scan(TableName=keys)["Items"] if "stream" in item}
        LogTable(client, table, raw_days=90).append(stream, batch, old)
        client.close()

    batches = []
    for _ in range(2):
        batches.append((data / "journal.jsonl").read_text().count('"L#'))
        again = start("serve", "--port", 0, "--data", data)
        board = http.get(f"{again.url}/dashboard", headers=headers).json()
        assert (board["summary"]["total_requests"], board["range"]["complete"]) == (17, True)
        assert again.stop() == 0
    assert batches == [1, 0]
