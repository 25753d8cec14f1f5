"""In an app on Lambda, logs leave inside the invocation, for after it the sandbox is frozen, and may never thaw."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
import time
import urllib.request
from collections.abc import Callable, Iterator
from contextlib import ExitStack
from pathlib import Path

import pytest

from local.tools.image import runtime_client
from tests.client_middleware.conftest import CollectorProcess, wait_until
from tests.client_middleware.lambda_event import event
from tests.contract.targets import under_emulator

ROOT = Path(__file__).parents[2]


class Sandbox:
    """A process that is frozen (SIGSTOP) but for its invocations."""

    def __init__(self, environment: dict[str, str]) -> None:
        self.process = subprocess.Popen(
            [sys.executable, "-m", "tests.client_middleware.lambda_app"],
            cwd=ROOT,
            env=os.environ | {"AWS_LAMBDA_FUNCTION_NAME": "app", "ANALYTICS_API_KEY": "good"} | environment,
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            text=True,
        )
        self.invocations = 0

    def invoke(self, within: float = 30) -> float:
        """One invocation that has so many seconds; how long it took. Frozen the moment it has answered."""
        assert self.process.stdin is not None and self.process.stdout is not None
        self.invocations += 1
        self.process.stdin.write(f"{self.invocations} {within}\n")
        self.process.stdin.flush()
        start = time.monotonic()
        self.process.send_signal(signal.SIGCONT)
        assert self.process.stdout.readline() == "200\n"
        self.process.send_signal(signal.SIGSTOP)
        return time.monotonic() - start

    def invoke_until_stored(self, collector: CollectorProcess) -> None:
        """Invoke until the logs of all invocations so far are stored."""
        for _ in range(20):
            self.invoke()
            if collector.requests == self.invocations:
                return
        raise AssertionError(f"{collector.requests} of {self.invocations} are stored")

    def end(self) -> None:
        """As Lambda ends a sandbox: from one moment to the next."""
        self.process.kill()
        self.process.wait()
        assert self.process.stdin is not None and self.process.stdout is not None
        self.process.stdin.close()
        self.process.stdout.close()


@pytest.fixture
def sandbox(collector: CollectorProcess) -> Iterator[Callable[..., Sandbox]]:
    """Start sandboxes that send to the collector."""
    with ExitStack() as running:

        def start(**environment: str) -> Sandbox:
            patient = {"API_BASE": collector.url, "ANALYTICS_LAMBDA_SECONDS": "20"}  # for a busy machine
            sandbox = Sandbox(patient | environment)
            running.callback(sandbox.end)
            return sandbox

        yield start


@pytest.mark.parametrize("way", ["asgi", "http"])
def test_every_invocation(way: str, sandbox: Callable[..., Sandbox], collector: CollectorProcess) -> None:
    """By default a request's log is stored when its invocation has answered."""
    app = sandbox(WAY=way)
    for number in range(1, 4):
        app.invoke()
        assert collector.requests == number
    assert {log["endpoint"] for log in collector.logs} == {"/orders/{order_id}"}
    assert {log["ip"] for log in collector.logs} == {"203.0.113.0"}


def test_with_a_lifespan_each_time(sandbox: Callable[..., Sandbox], collector: CollectorProcess) -> None:
    """It is so too where Mangum runs the lifespan around each invocation."""
    app = sandbox(LIFESPAN="on")
    for number in range(1, 4):
        app.invoke()
        assert collector.requests == number


def test_adaptive_by_size(sandbox: Callable[..., Sandbox], collector: CollectorProcess) -> None:
    """Adaptive, logs are carried from one invocation to the next until they are enough."""
    app = sandbox(ANALYTICS_LAMBDA_FLUSH="adaptive", ANALYTICS_BATCH_LOGS="3", ANALYTICS_FLUSH_SECONDS="60")
    counts = []
    for _ in range(7):
        app.invoke()
        counts.append(collector.requests)
    assert counts == [0, 0, 3, 3, 3, 6, 6]


def test_adaptive_by_age(sandbox: Callable[..., Sandbox], collector: CollectorProcess) -> None:
    """Adaptive, logs that waited for long enough, frozen or not, leave with the next invocation."""
    app = sandbox(ANALYTICS_LAMBDA_FLUSH="adaptive", ANALYTICS_FLUSH_SECONDS="3")
    app.invoke()
    assert collector.requests == 0
    time.sleep(3)
    assert collector.requests == 0
    app.invoke()
    assert collector.requests == 2


def test_the_deadline(sandbox: Callable[..., Sandbox], collector: CollectorProcess) -> None:
    """A service that does not answer costs an invocation the deadline and no more; its log is stored all the same,
    once, by a later invocation."""
    app = sandbox(ANALYTICS_LAMBDA_SECONDS="0.3")
    app.invoke()
    collector.behave("slow:4")
    assert 0.3 <= app.invoke() < 3.5
    time.sleep(4)
    app.invoke_until_stored(collector)
    assert len(collector.logs) == app.invocations


def test_a_dead_service(sandbox: Callable[..., Sandbox], collector: CollectorProcess) -> None:
    """Logs that could not be sent are carried on until the service is back, and no invocation waits for nothing."""
    app = sandbox(ANALYTICS_LAMBDA_SECONDS="0.2")
    app.invoke()
    collector.kill()
    for _ in range(3):
        assert app.invoke() < 4
    collector.start()
    app.invoke_until_stored(collector)


def test_the_end_of_an_invocation(sandbox: Callable[..., Sandbox], collector: CollectorProcess) -> None:
    """When an invocation has hardly any time left, none of it is spent on sending."""
    app = sandbox(ANALYTICS_LAMBDA_SECONDS="10")
    app.invoke()
    collector.behave("slow:5", "slow:5", "slow:5")
    assert app.invoke(within=0.6) < 4
    assert app.invoke(within=0.1) < 4


def test_switched_off(sandbox: Callable[..., Sandbox], collector: CollectorProcess) -> None:
    """With `off` an app on Lambda is tracked as anywhere else: in the background, so not before it thaws."""
    app = sandbox(ANALYTICS_LAMBDA_FLUSH="off", ANALYTICS_FLUSH_SECONDS="3")
    app.invoke()
    time.sleep(3.5)
    assert collector.requests == 0
    app.process.send_signal(signal.SIGCONT)
    wait_until(lambda: collector.requests == 1)


@pytest.mark.container
def test_under_the_emulator(collector: CollectorProcess) -> None:
    """Under Lambda's own runtime and interface emulator each log is stored when its invocation has answered."""
    runtime = runtime_client(Path(sys.executable), f"{sys.version_info.major}.{sys.version_info.minor}")
    # The runtime's folder comes last: everything else is to be this environment's.
    start = (
        f"import sys, runpy; sys.path.append({str(runtime)!r}); runpy.run_module('awslambdaric', run_name='__main__')"
    )
    environment = os.environ | {"AWS_LAMBDA_FUNCTION_NAME": "app", "AWS_LAMBDA_FUNCTION_TIMEOUT": "10"}
    environment |= {"API_BASE": collector.url, "ANALYTICS_API_KEY": "good"}
    command = [sys.executable, "-c", start, "tests.client_middleware.lambda_app.handler"]
    with under_emulator(command, ROOT, environment) as address:
        for number in range(1, 4):
            request = urllib.request.Request(address, json.dumps(event(number)).encode())  # noqa: S310
            with urllib.request.urlopen(request, timeout=20) as answer:  # noqa: S310
                assert json.load(answer)["body"] == str(number)
            assert collector.requests == number
