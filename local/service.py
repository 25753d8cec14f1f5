"""Runs the service of a template on this machine: gateway, handlers, schedules, tables, and the database."""

from __future__ import annotations

import contextlib
import importlib
import sys
import threading
import time
from pathlib import Path
from typing import TYPE_CHECKING, Any

import uvicorn

from local import environment, template
from local.database.dynamodb import DatabaseServer
from local.database.tables import create_missing
from local.environment import one_line
from local.gateway.http_api import Gateway
from local.ports import listen, url
from local.schedule import Schedules

if TYPE_CHECKING:
    import socket
    from collections.abc import Iterator, Mapping

ROOT = Path(__file__).resolve().parent.parent
TEMPLATE = ROOT / "template.yaml"
STOP_S = 5  # s that running requests may take to finish when the service stops


class ServiceError(Exception):
    """The service cannot start; one sentence."""


@contextlib.contextmanager
def service(
    stack: template.Template,
    host: str = "127.0.0.1",
    port: int = 0,
    data: Path | None = None,
    dynamodb: str | None = None,
) -> Iterator[str]:
    """Run the service of a template in threads of this process; yields its URL. Port 0 takes a free one.

    `data` is the folder that keeps the database, `dynamodb` the URL of another one. Sets this process's environment
    for the handlers, once: a second service in one process would share it. Raises ServiceError, AddressError,
    TablesError, JournalError or EnvironmentVariablesError when it cannot start.
    """
    with contextlib.ExitStack() as running:
        # The port first: when it is taken, nothing else has been changed.
        listener = running.enter_context(listen(host, port))
        if dynamodb:
            environment.for_database_at(dynamodb)
        else:
            environment.for_own_database()
        endpoint = dynamodb or running.enter_context(DatabaseServer(folder=data)).url
        environment.for_handlers(_variables(stack), endpoint)
        handlers = _handlers(stack)
        _check_settings(stack)
        create_missing(stack.tables, endpoint)
        running.enter_context(Schedules(stack, handlers))
        gateway = Gateway(stack.routes, stack.functions, handlers, stack.cors)
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
        proxy_headers=False,  # sourceIp is the peer's address, as on AWS
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


def _variables(stack: template.Template) -> dict[str, str]:
    """The variables of all functions, which share this process."""
    together: dict[str, str] = {}
    for function in stack.functions.values():
        for name, value in function.environment.items():
            if together.setdefault(name, value) != value:
                raise ServiceError(f"{name} differs between functions; here they share one process")
    return together


def _handlers(stack: template.Template) -> Mapping[str, Any]:
    # First, so that no other package of the same name is imported instead.
    sys.path[:] = [*stack.import_paths, *(folder for folder in sys.path if folder not in stack.import_paths)]
    handlers = {}
    for function in stack.functions.values():
        try:
            handlers[function.name] = getattr(importlib.import_module(function.module), function.attribute)
        except (ImportError, AttributeError) as error:
            raise ServiceError(
                f"{function.name}: {function.module}.{function.attribute} cannot be imported: {one_line(error)}"
            ) from error
    return handlers


def _check_settings(stack: template.Template) -> None:
    """Read the settings as the functions do, which may refuse what the template allows."""
    if not any((Path(folder) / "analytics" / "settings.py").is_file() for folder in stack.import_paths):
        return
    from analytics.settings import MissingSetting, Settings  # of the template's layer

    try:
        Settings.from_environment()
    except (MissingSetting, ValueError) as error:
        raise ServiceError(one_line(error)) from error
