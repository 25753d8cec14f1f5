"""`python -m local serve | demo | dynamodb`: the service, a demonstration of it, or only its database."""

from __future__ import annotations

import argparse
import io
import os
import signal
import sys
import threading
from pathlib import Path
from typing import TYPE_CHECKING
from urllib.parse import urlsplit

from local import environment, template
from local.cloudformation import TemplateError
from local.database.dynamodb import DatabaseServer
from local.database.journal import JournalError
from local.database.tables import TablesError, create_missing
from local.environment import EnvironmentVariablesError
from local.ports import AddressError
from local.service import TEMPLATE, ServiceError, service

if TYPE_CHECKING:
    from collections.abc import Sequence

CANNOT_START = (AddressError, EnvironmentVariablesError, JournalError, ServiceError, TablesError, TemplateError)


def main(arguments: Sequence[str] | None = None) -> int:
    """Run one command until it is done or stopped; returns the exit code. One line says why it cannot start."""
    options = _parser().parse_args(arguments)
    # A terminal's Ctrl-C and a supervisor's SIGTERM stop in the same way: through every `finally`.
    signal.signal(signal.SIGTERM, signal.default_int_handler)
    for stream in (sys.stdout, sys.stderr):
        if isinstance(stream, io.TextIOWrapper):
            stream.reconfigure(errors="replace")  # a terminal of another encoding shows question marks
    try:
        result: int = options.run(options)
    except CANNOT_START as error:
        print(f"error: {error}", file=sys.stderr)
        return 1
    except KeyboardInterrupt:
        return 0
    return result


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(prog="python -m local", description=__doc__)
    commands = parser.add_subparsers(required=True, metavar="serve | demo | dynamodb")

    serve = commands.add_parser("serve", help="serve the routes of template.yaml")
    serve.set_defaults(run=_serve)
    serve.add_argument("--host", default="127.0.0.1", help="address to listen on (default: %(default)s)")
    serve.add_argument("--port", type=int, default=3000, help="port; 0 takes a free one (default: %(default)s)")
    where = serve.add_mutually_exclusive_group()
    _add_data(where)
    where.add_argument(
        "--dynamodb", type=_url, metavar="URL", help="use this DynamoDB (DynamoDB Local, AWS, Alternator)"
    )
    _add_template(serve)
    _add_parameter(serve)

    show = commands.add_parser("demo", help="a sample app, real traffic, its dashboard in the terminal")
    show.set_defaults(run=_demo)
    show.add_argument("--once", action="store_true", help="show the dashboard and exit")
    show.add_argument("--port", type=int, default=0, help="port of the service (default: a free one)")
    show.add_argument("--requests", type=_count, default=300, metavar="N", help="1 to 5000 (default: %(default)s)")
    _add_data(show)
    _add_parameter(show)

    database = commands.add_parser("dynamodb", help="serve only the database, with the template's tables")
    database.set_defaults(run=_database)
    database.add_argument("--host", default="127.0.0.1", help="address to listen on (default: %(default)s)")
    database.add_argument("--port", type=int, default=5555, help="port; 0 takes a free one (default: %(default)s)")
    _add_data(database)
    _add_template(database)
    return parser


def _add_data(parser: argparse._ActionsContainer) -> None:
    parser.add_argument(
        "--data", type=_folder, metavar="DIR", help="keep logs and keys in this folder (default: in memory)"
    )


def _add_template(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("--template", type=Path, default=TEMPLATE, metavar="FILE", help="(default: template.yaml)")


def _add_parameter(parser: argparse.ArgumentParser) -> None:
    parser.add_argument(
        "--parameter",
        type=_parameter,
        action="append",
        default=[],
        metavar="NAME=VALUE",
        help="a parameter of the template, such as AllowedOrigin=https://app.example.com; may be repeated",
    )


def _serve(options: argparse.Namespace) -> int:
    stack = template.read(options.template, dict(options.parameter), os.environ)
    with service(stack, options.host, options.port, options.data, options.dynamodb) as address:
        kept = options.data or options.dynamodb or "memory only: gone when this ends (--data DIR keeps it)"
        lines = [
            f"Serving on     {address}",
            f"Page and docs  {address}/   {address}/docs",
            f"Data           {kept}",
            f"Create a key   curl -X POST {address}/generate_key",
        ]
        if stack.from_environment:
            lines.append(f"Set by shell   {', '.join(stack.from_environment)}")
        if stack.without_effect:
            lines.append(f"No effect here {', '.join(stack.without_effect)}")
        print(*lines, "Ctrl-C stops.", sep="\n", flush=True)
        _wait()
    return 0


def _demo(options: argparse.Namespace) -> int:
    # Imported here, because its HTTP client and its tables double the time in which `serve` starts.
    from local.demo.demonstration import demonstration

    # What a shell sets for a service of its own, such as a sign-up token, is not for this one.
    stack = template.read(TEMPLATE, dict(options.parameter))
    with demonstration(stack, options.port, options.requests, options.data, once=options.once) as complete:
        if not options.once:
            print("Ctrl-C stops.", flush=True)
            _wait()
    return 0 if complete else 1


def _database(options: argparse.Namespace) -> int:
    stack = template.read(options.template)
    environment.for_own_database()
    with DatabaseServer(options.host, options.port, options.data) as server:
        create_missing(stack.tables, server.url)
        print(f"DynamoDB on  {server.url}\nTables       {', '.join(table.name for table in stack.tables)}", flush=True)
        _wait()
    return 0


def _folder(text: str) -> Path:
    if not text.strip():
        raise argparse.ArgumentTypeError("the name of a folder, such as .data")
    return Path(text)


def _parameter(text: str) -> tuple[str, str]:
    name, separator, value = text.partition("=")
    if not separator:
        raise argparse.ArgumentTypeError("NAME=VALUE, such as RawRetentionDays=30")
    return name, value


def _url(text: str) -> str:
    try:
        parts = urlsplit(text)
        parts.port  # noqa: B018 - raises ValueError when it is none
    except ValueError as error:
        raise argparse.ArgumentTypeError(str(error)) from error
    if parts.scheme not in ("http", "https") or not parts.hostname:
        raise argparse.ArgumentTypeError("a URL such as http://127.0.0.1:8000")
    return text


def _count(text: str) -> int:
    number = int(text)
    if not 1 <= number <= 5000:
        raise argparse.ArgumentTypeError("from 1 to 5000")
    return number


def _wait() -> None:
    """Until Ctrl-C or SIGTERM."""
    threading.Event().wait()


if __name__ == "__main__":
    raise SystemExit(main())
