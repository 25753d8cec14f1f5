"""`python -m client_middleware doctor`."""

from __future__ import annotations

import argparse

from client_middleware import doctor


def main() -> int:
    """Run the command of the command line; return its exit code."""
    parser = argparse.ArgumentParser(prog="python -m client_middleware", description="Request analytics for FastAPI.")
    commands = parser.add_subparsers(required=True, metavar="command")
    command = commands.add_parser("doctor", help="send a test event and say what works and what does not")
    command.add_argument("--api-base", help="instead of API_BASE")
    command.add_argument("--api-key", help="instead of ANALYTICS_API_KEY, where the app passes its key as an argument")
    return doctor.main(vars(parser.parse_args()))


if __name__ == "__main__":
    raise SystemExit(main())
