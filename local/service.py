"""The whole service of one template on this machine: gateway, handlers, tables, and DynamoDB if none is given."""

from __future__ import annotations

import contextlib
import importlib
import os
import sys
import threading
import time
from pathlib import Path
from typing import TYPE_CHECKING, Any

import boto3
import uvicorn

from local import template
from local.database.dynamodb import DatabaseServer
from local.database.tables import create_missing
from local.gateway.http_api import Gateway
from local.ports import listen, url

if TYPE_CHECKING:
    import socket
    from collections.abc import Iterator, Mapping

ROOT = Path(__file__).resolve().parent.parent
TEMPLATE = ROOT / "template.yaml"
MADE_UP = {"AWS_ACCESS_KEY_ID": "local", "AWS_SECRET_ACCESS_KEY": "local", "AWS_DEFAULT_REGION": "us-east-1"}
STOP_S = 5  # s that requests under way get to finish when the service stops


class ServiceError(Exception):
    """The service can not start; one sentence."""


@contextlib.contextmanager
def service(
    host: str = "127.0.0.1",
    port: int = 0,
    data: Path | None = None,
    dynamodb: str | None = None,
    path: Path = TEMPLATE,
) -> Iterator[str]:
    """Run the service in threads of this process; yields its URL. Port 0 takes a free one.

    Sets this process's environment for the handlers, once: a second service in one process would share it. Raises
    ServiceError, AddressError, TemplateError, TablesError or JournalError when it can not start.
    """
    stack = template.read(path)
    with contextlib.ExitStack() as running:
        # The port first: when it is taken nothing else has been touched.
        listener = running.enter_context(listen(host, port))
        endpoint = dynamodb or running.enter_context(DatabaseServer(folder=data)).url
        _credentials(own_database=dynamodb is None, endpoint=endpoint)
        _environment(stack, endpoint)
        create_missing(stack.tables, endpoint)
        gateway = Gateway(stack.routes, stack.functions, _handlers(stack))
        running.callback(gateway.close)
        running.enter_context(_served(gateway, listener))
        yield url(listener)


@contextlib.contextmanager
def _served(gateway: Gateway, listener: socket.socket) -> Iterator[None]:
    config = uvicorn.Config(
        gateway,
        log_level="warning",
        lifespan="off",
        ws="none",
        server_header=False,
        proxy_headers=False,  # sourceIp is the peer's, as on AWS
        timeout_graceful_shutdown=STOP_S,
    )
    server = uvicorn.Server(config)
    thread = threading.Thread(target=server.run, kwargs={"sockets": [listener]}, name="gateway", daemon=True)
    thread.start()
    try:
        while not server.started:
            if not thread.is_alive():
                raise ServiceError("the gateway did not start")
            time.sleep(0.005)
        yield
    finally:
        server.should_exit = True
        thread.join(STOP_S + 5)


def _credentials(own_database: bool, endpoint: str) -> None:
    """Made-up credentials for a database that checks none, so that real ones are neither needed nor shown to it."""
    if own_database:
        for name in ("AWS_SESSION_TOKEN", "AWS_PROFILE", "AWS_DEFAULT_PROFILE", "AWS_REGION"):
            os.environ.pop(name, None)
        os.environ.update(MADE_UP)
    elif ".amazonaws.com" not in endpoint:
        os.environ.setdefault("AWS_EC2_METADATA_DISABLED", "true")
        session: Any = boto3.session.Session()
        if session.get_credentials() is None:
            os.environ.update({name: MADE_UP[name] for name in ("AWS_ACCESS_KEY_ID", "AWS_SECRET_ACCESS_KEY")})
        if session.region_name is None:
            os.environ["AWS_DEFAULT_REGION"] = MADE_UP["AWS_DEFAULT_REGION"]


def _environment(stack: template.Template, endpoint: str) -> None:
    """Set the functions' variables. One that the shell has set wins over the template's, as with `sam local`."""
    wanted: dict[str, str] = {}
    for function in stack.functions.values():
        for name, value in function.environment.items():
            if wanted.setdefault(name, value) != value:
                raise ServiceError(f"{name} differs between functions; here they share one process")
    for name, value in wanted.items():
        os.environ.setdefault(name, value)
    os.environ["AWS_ENDPOINT_URL_DYNAMODB"] = endpoint


def _handlers(stack: template.Template) -> Mapping[str, Any]:
    sys.path[:0] = [folder for folder in stack.import_paths if folder not in sys.path]
    handlers = {}
    for function in stack.functions.values():
        try:
            handlers[function.name] = getattr(importlib.import_module(function.module), function.attribute)
        except (ModuleNotFoundError, AttributeError) as error:
            raise ServiceError(
                f"{function.name}: {function.module}.{function.attribute} can not be imported: {error}"
            ) from error
    return handlers
