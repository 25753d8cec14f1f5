"""`python -m local serve | demo | dynamodb`: the service, a demonstration of it, or only its database."""

from __future__ import annotations

import argparse
import os
import signal
import sys
import threading
from pathlib import Path
from typing import TYPE_CHECKING

from local import template
from local.database.dynamodb import DatabaseServer
from local.database.journal import JournalError
from local.database.tables import TablesError, create_missing
from local.ports import AddressError
from local.service import MADE_UP, TEMPLATE, ServiceError, service
from local.template import TemplateError

if TYPE_CHECKING:
    from collections.abc import Sequence


def main(arguments: Sequence[str] | None = None) -> int:
    """Run one command until it is done or stopped; returns the exit code. What can not start is one line."""
    options = _parser().parse_args(arguments)
    # A terminal's Ctrl-C and a supervisor's SIGTERM stop in the same way: through every `finally`.
    signal.signal(signal.SIGTERM, signal.default_int_handler)
    try:
        result: int = options.run(options)
    except (ServiceError, AddressError, TemplateError, TablesError, JournalError) as error:
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
    where.add_argument(
        "--data", type=Path, metavar="DIR", help="keep logs and keys in this folder (default: in memory)"
    )
    where.add_argument(
        "--dynamodb", type=_url, metavar="URL", help="use this DynamoDB (DynamoDB Local, AWS, Alternator)"
    )
    serve.add_argument("--template", type=Path, default=TEMPLATE, metavar="FILE", help="(default: template.yaml)")

    show = commands.add_parser("demo", help="a sample app, real traffic, its dashboard in the terminal")
    show.set_defaults(run=_demo)
    show.add_argument("--once", action="store_true", help="show the dashboard and exit")
    show.add_argument("--port", type=int, default=0, help="port of the service (default: a free one)")
    show.add_argument("--requests", type=_count, default=300, metavar="N", help="1 to 5000 (default: %(default)s)")
    show.add_argument("--data", type=Path, metavar="DIR", help="keep logs and keys in this folder (default: in memory)")

    database = commands.add_parser("dynamodb", help="serve only the database, with the template's tables")
    database.set_defaults(run=_database)
    database.add_argument("--host", default="127.0.0.1", help="address to listen on (default: %(default)s)")
    database.add_argument("--port", type=int, default=5555, help="port; 0 takes a free one (default: %(default)s)")
    database.add_argument("--data", type=Path, metavar="DIR", help="keep the data in this folder (default: in memory)")
    database.add_argument("--template", type=Path, default=TEMPLATE, metavar="FILE", help="(default: template.yaml)")
    return parser


def _serve(options: argparse.Namespace) -> int:
    with service(options.host, options.port, options.data, options.dynamodb, options.template) as address:
        kept = options.data or options.dynamodb or "memory only: gone when this ends (--data DIR keeps it)"
        print(
            f"Serving on     {address}\n"
            f"Page and docs  {address}/   {address}/docs\n"
            f"Data           {kept}\n"
            f"Create a key   curl -X POST {address}/generate_key\n"
            "Ctrl-C stops.",
            flush=True,
        )
        _wait()
    return 0


def _demo(options: argparse.Namespace) -> int:
    from local.demo.demonstration import (
        demonstration,  # here, for its HTTP client and its tables double the start-up time of `serve`
    )

    with demonstration(options.port, options.requests, options.data) as complete:
        if not options.once:
            print("Ctrl-C stops.", flush=True)
            _wait()
    return 0 if complete else 1


def _url(text: str) -> str:
    if not text.startswith(("http://", "https://")):
        raise argparse.ArgumentTypeError("a URL such as http://127.0.0.1:8000")
    return text


def _count(text: str) -> int:
    number = int(text)
    if not 1 <= number <= 5000:
        raise argparse.ArgumentTypeError("from 1 to 5000")
    return number


def _database(options: argparse.Namespace) -> int:
    stack = template.read(options.template)
    os.environ.update(MADE_UP)
    with DatabaseServer(options.host, options.port, options.data) as server:
        create_missing(stack.tables, server.url)
        print(f"DynamoDB on  {server.url}\nTables       {', '.join(table.name for table in stack.tables)}", flush=True)
        _wait()
    return 0


def _wait() -> None:
    """Until Ctrl-C or SIGTERM."""
    threading.Event().wait()


if __name__ == "__main__":
    raise SystemExit(main())
