"""Processes of `python -m local` that tests start, clients of them, and commands that fail."""

from __future__ import annotations

import os
import select
import signal
import subprocess
import sys
import time
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

import boto3
import httpx
import pytest
from botocore.config import Config

from local.__main__ import main

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    from mypy_boto3_dynamodb import DynamoDBClient

ROOT = Path(__file__).parents[2]
STACK = Path(__file__).parent / "stack" / "template.yaml"
START_S = 120  # s that a start may take on a busy machine


@dataclass
class Local:
    """A running `python -m local`: its process, the lines it started with, and the URL among them."""

    process: subprocess.Popen[str]
    lines: list[str]
    url: str

    def stop(self, how: signal.Signals = signal.SIGTERM) -> int:
        """Send a signal and wait; returns the exit code."""
        self.process.send_signal(how)
        return self.process.wait(60)


@pytest.fixture
def start() -> Iterator[Callable[..., Local]]:
    """Starts `python -m local ...` and waits until it says where it serves; killed at the end if it still runs."""
    processes: list[subprocess.Popen[str]] = []
    # A background job ignores SIGINT, and its children inherit that. A signal with a handler is reset in a child.
    interrupt = signal.signal(signal.SIGINT, signal.default_int_handler)

    def run(*arguments: object, **environment: str) -> Local:
        process = subprocess.Popen(
            [sys.executable, "-m", "local", *(str(argument) for argument in arguments)],
            cwd=ROOT,
            env=os.environ | environment,
            stdout=subprocess.PIPE,
            text=True,
            bufsize=1,
        )
        processes.append(process)
        assert process.stdout is not None
        lines: list[str] = []
        deadline = time.monotonic() + START_S
        while time.monotonic() < deadline:
            ready, _, _ = select.select([process.stdout], [], [], 1)
            line = process.stdout.readline() if ready else ""
            if ready and not line:
                break
            if line:
                lines.append(line.rstrip())
                address = next((word for word in line.split() if word.startswith("http://")), None)
                if address:
                    return Local(process, lines, address)
        raise AssertionError(f"did not start: {lines}")

    yield run
    signal.signal(signal.SIGINT, interrupt)
    for process in processes:
        process.kill()
        process.wait()
        if process.stdout:
            process.stdout.close()


@pytest.fixture
def connect() -> Iterator[Callable[[str], DynamoDBClient]]:
    """Makes boto3 clients of a database by its URL; signed for another region than the database's own."""
    clients: list[DynamoDBClient] = []

    def make(url: str) -> DynamoDBClient:
        config = Config(retries={"total_max_attempts": 1}, max_pool_connections=20)
        clients.append(boto3.client("dynamodb", endpoint_url=url, region_name="eu-west-1", config=config))
        return clients[-1]

    yield make
    for client in clients:
        client.close()


@pytest.fixture
def http() -> Iterator[httpx.Client]:
    """A client that goes straight to where it is told."""
    with httpx.Client(trust_env=False, timeout=60) as client:
        yield client


@pytest.fixture
def fails(capsys: pytest.CaptureFixture[str]) -> Iterator[Callable[..., str]]:
    """Runs a command that cannot start: exit code 1, nothing on stdout; returns what it says on stderr."""
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
