"""The four places where the service runs. Each takes the same requests: applications, gateway, emulator, containers."""

from __future__ import annotations

import json
import os
import select
import socket
import subprocess
import sys
import time
from collections.abc import Callable, Iterator, Mapping, MutableMapping, Sequence
from contextlib import ExitStack, contextmanager, suppress
from datetime import UTC, datetime
from typing import IO, TYPE_CHECKING, Any, NoReturn

import httpx
import pytest
import yaml
from starlette.responses import JSONResponse
from starlette.testclient import TestClient

from analytics.settings import Settings
from analytics.web import Service
from functions.dashboard.app import create_app as create_dashboard
from functions.ingest.app import create_app as create_ingest
from functions.keys.app import create_app as create_keys
from local import template
from local.environment import MADE_UP
from local.gateway.event import Request, to_event, to_response
from local.gateway.routes import Routes
from local.ports import free_port
from local.tools import interpreter
from local.tools.build import BUILT, LAYER, ROOT, host_architecture
from local.tools.image import ImageError, ensure_engine, runtime_client

if TYPE_CHECKING:
    from pathlib import Path

    from fastapi import FastAPI

    Client = httpx.Client | TestClient

STACK = template.read(ROOT / "template.yaml")
ROUTES = Routes(STACK.routes)
START_S = 180  # s until a server says where it serves; of containers that includes the making of an image
STOP_S = 90
INVOKE_S = 40
CREATE: dict[str, Callable[[Service], FastAPI]] = {
    "IngestFunction": create_ingest,
    "DashboardFunction": create_dashboard,
    "KeysFunction": create_keys,
}


@contextmanager
def applications() -> Iterator[Client]:
    """The FastAPI applications in this process, each at the template's routes; no Lambda, no gateway."""
    apps: dict[str, FastAPI] = {}
    with started("local", "dynamodb", "--port", "0") as database, pytest.MonkeyPatch.context() as environment:
        environment.setenv("AWS_ENDPOINT_URL_DYNAMODB", database)
        for name, create in CREATE.items():
            apps[name] = create(Service.connect(Settings.from_environment(STACK.functions[name].environment)))

        async def dispatch(scope: MutableMapping[str, Any], receive: Any, send: Any) -> None:
            match = ROUTES.match(scope["method"], scope["path"])
            found = apps[match.route.function] if match else JSONResponse({"message": "Not Found"}, 404)
            await found(scope, receive, send)

        yield TestClient(dispatch, raise_server_exceptions=False)


@contextmanager
def gateway() -> Iterator[Client]:
    """`python -m local serve`."""
    with started("local", "serve", "--port", "0") as url, _client(url) as client:
        yield client


@contextmanager
def emulator() -> Iterator[Client]:
    """The built functions, each under Lambda's runtime interface emulator; payload 2.0 events are made here."""
    if not (BUILT / "template.yaml").is_file():
        lacking("nothing is built: run `make build`")
    with started("local", "dynamodb", "--port", "0") as database, ExitStack() as running:
        addresses = {name: running.enter_context(emulated(name, database)) for name in STACK.functions}
        with httpx.Client(transport=Emulated(addresses), base_url="http://emulator.local") as client:
            yield client


@contextmanager
def containers() -> Iterator[Client]:
    """`python -m local.tools.sam`: the built functions in containers, behind `sam local start-api`."""
    if not (BUILT / "template.yaml").is_file():
        lacking("nothing is built: run `make build`")
    try:
        ensure_engine()
    except ImageError as error:
        lacking(str(error))
    port, database_port = free_port(), free_port()
    with (
        started("local.tools.sam", "--port", str(port), "--database-port", str(database_port)) as url,
        _client(url) as client,
    ):
        yield client
    for function in STACK.functions:
        command = ["docker", "ps", "--all", "--quiet", "--filter", f"volume={BUILT / function}"]
        assert subprocess.check_output(command, text=True) == "", "a container outlives what started it"
    assert not _answers(port)


def lacking(what: str) -> NoReturn:
    """Skip a test for want of something; fail it where the environment says that nothing is to be missing (CI)."""
    if os.environ.get("CONTAINERS") == "required":
        pytest.fail(what)
    pytest.skip(what)


@contextmanager
def started(module: str, *arguments: str) -> Iterator[str]:
    """Run `python -m module ...` until the block ends; yields the URL that it prints. It must end well."""
    command = [sys.executable, "-m", module, *arguments]
    environment = {name: value for name, value in os.environ.items() if not name.startswith("AWS_")}
    with subprocess.Popen(command, cwd=ROOT, env=environment, stdout=subprocess.PIPE, text=True, bufsize=1) as process:
        assert process.stdout
        try:
            ready, _, _ = select.select([process.stdout], [], [], START_S)
            line = process.stdout.readline() if ready else ""
            yield next(word for word in line.split() if word.startswith("http://"))
        finally:
            process.terminate()
            process.stdout.close()
            assert process.wait(STOP_S) == 0


@contextmanager
def emulated(function: str, database: str, output: int | IO[bytes] = subprocess.DEVNULL, **more: str) -> Iterator[str]:
    """One built function under the emulator, with `more` variables; yields the URL of its invocations."""
    built = yaml.safe_load((BUILT / "template.yaml").read_text())["Parameters"]
    version = built["Runtime"]["Default"].removeprefix("python")
    python = interpreter.find(version)
    if python is None or built["Architecture"]["Default"] != host_architecture():
        lacking(f"what is built does not run here: Python {version}, {built['Architecture']['Default']}")
    declared = STACK.functions[function]
    environment = {
        **declared.environment,
        **MADE_UP,
        "AWS_ENDPOINT_URL_DYNAMODB": database,
        "AWS_LAMBDA_FUNCTION_NAME": function,
        "AWS_LAMBDA_FUNCTION_TIMEOUT": str(int(declared.timeout)),
        "AWS_LAMBDA_FUNCTION_MEMORY_SIZE": str(declared.memory),
        "PATH": os.environ["PATH"],
        "PYTHONDONTWRITEBYTECODE": "1",
        "PYTHONPATH": os.pathsep.join(map(str, (BUILT / LAYER / "python", runtime_client(python, version)))),
        **more,
    }
    command = [str(python), "-m", "awslambdaric", "app.handler"]
    with under_emulator(command, BUILT / function, environment, output) as url:
        yield url


@contextmanager
def under_emulator(
    command: Sequence[str], folder: Path, environment: Mapping[str, str], output: int | IO[bytes] = subprocess.DEVNULL
) -> Iterator[str]:
    """A runtime that is started so, under Lambda's runtime interface emulator; yields the URL of its invocations."""
    sam = ROOT / ".venv-sam"
    emulator = next(sam.glob(f"lib/*/site-packages/samcli/local/rapid/aws-lambda-rie-{host_architecture()}"), None)
    if emulator is None:
        lacking("the emulator that comes with SAM CLI is not there: run `make build`")
    port, inner = free_port(), free_port()
    start = [str(emulator), "--log-level", "error", "--runtime-interface-emulator-address", f"127.0.0.1:{port}"]
    start += ["--runtime-api-address", f"127.0.0.1:{inner}", *command]
    with subprocess.Popen(start, cwd=folder, env=environment, stdout=output) as process:
        try:
            await_listener(port)
            yield f"http://127.0.0.1:{port}/2015-03-31/functions/function/invocations"
        finally:
            process.terminate()
            process.wait(STOP_S)


class Emulated(httpx.BaseTransport):
    """Sends each request as an event to the function that the template's route names; one at a time."""

    def __init__(self, addresses: Mapping[str, str]) -> None:
        self._addresses = addresses
        self._http = httpx.Client(trust_env=False, timeout=INVOKE_S)

    def handle_request(self, request: httpx.Request) -> httpx.Response:
        """The function's answer, as the gateway turns it back."""
        path, _, query = request.url.raw_path.decode().partition("?")
        headers = [(name.decode(), value.decode()) for name, value in request.headers.raw]
        asked = Request(request.method, path, query, headers, request.read(), "127.0.0.1", "HTTP/1.1")
        match = ROUTES.match(asked.method, asked.decoded_path)
        if match is None:
            return httpx.Response(404, json={"message": "Not Found"})
        event = to_event(asked, match.route.key, match.parameters, "id", datetime.now(UTC))
        answer = self._http.post(self._addresses[match.route.function], content=json.dumps(event))
        result = answer.json()
        assert "errorMessage" not in result, result
        response = to_response(result)
        return httpx.Response(response.status, headers=response.headers, content=response.body)

    def close(self) -> None:
        """Let go of the connections."""
        self._http.close()


def _client(url: str) -> httpx.Client:
    return httpx.Client(base_url=url, trust_env=False, timeout=60)


def await_listener(port: int) -> None:
    """Return when somebody listens on a port of loopback."""
    late = time.monotonic() + START_S
    while not _answers(port):
        assert time.monotonic() < late, f"nothing listens on port {port}"
        time.sleep(0.02)


def _answers(port: int) -> bool:
    with suppress(OSError), socket.create_connection(("127.0.0.1", port), 1):
        return True
    return False
