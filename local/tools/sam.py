"""`python -m local.tools.sam`: runs the built functions in containers with `sam local`, over a local database.

Containers reach this machine at the address of Docker's bridge, so the database listens there, not on the network.
"""

from __future__ import annotations

import argparse
import contextlib
import os
import signal
import subprocess
import sys
import time
import urllib.error
import urllib.request
from typing import TYPE_CHECKING

import yaml

from local import environment, template
from local.database.dynamodb import DatabaseServer
from local.database.tables import TablesError, create_missing
from local.ports import AddressError
from local.service import TEMPLATE
from local.tools.build import BUILT, ROOT, SAM
from local.tools.image import ImageError, ensure_engine, ensure_image

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

START_S = 120  # s until the API must answer, without pulling or building an image
STOP_S = 60  # s that `sam` may take to remove its containers
HOST = "host.docker.internal"  # the name of this machine in containers; see samconfig.toml


class SamError(Exception):
    """`sam local` cannot start; one sentence."""


@contextlib.contextmanager
def sam_local(port: int = 3000, database_port: int = 5555) -> Iterator[subprocess.Popen[bytes]]:
    """Serve the built stack in containers on a port of the loopback; yields the process of `sam` once it answers.

    Everything is stopped at the end of the `with` block. Raises SamError, ImageError, AddressError or TablesError when
    it cannot start.
    """
    if not (BUILT / "template.yaml").is_file():
        raise SamError("nothing is built: run `make build` first")
    built = yaml.safe_load((BUILT / "template.yaml").read_text())
    ensure_engine()
    ensure_image(built["Parameters"]["Runtime"]["Default"].removeprefix("python"))
    with contextlib.ExitStack() as running:
        database = running.enter_context(_database(database_port))
        environment.for_own_database()
        create_missing(template.read(TEMPLATE).tables, database.url)
        endpoint = f"DynamoEndpoint=http://{HOST}:{database.url.rpartition(':')[2]}"
        command = [str(SAM), "local", "start-api", "--port", str(port), "--parameter-overrides", endpoint]
        # In its own session a Ctrl-C does not reach SAM, which removes its containers on SIGTERM.
        sam = subprocess.Popen(command, cwd=ROOT, env=_environment(), start_new_session=True)  # noqa: S603
        running.callback(_stop, sam)
        _await(sam, f"http://127.0.0.1:{port}/health")
        yield sam


def _database(port: int) -> DatabaseServer:
    """A database that containers can reach. When Docker runs in its own machine, that is on the loopback."""
    inspect = ["docker", "network", "inspect", "bridge", "--format", "{{(index .IPAM.Config 0).Gateway}}"]
    found = subprocess.run(inspect, capture_output=True, text=True, check=False)  # noqa: S603
    gateway = found.stdout.strip() or "172.17.0.1"
    try:
        return DatabaseServer(gateway, port)
    except AddressError as error:
        if "in use" in str(error):
            raise
        return DatabaseServer("127.0.0.1", port)


def _environment() -> dict[str, str]:
    """This process's environment without credentials, which SAM would pass on to the functions."""
    kept = {name: value for name, value in os.environ.items() if name not in environment.MADE_UP}
    return kept | {"SAM_CLI_TELEMETRY": "0"}


def _await(sam: subprocess.Popen[bytes], url: str) -> None:
    late = time.monotonic() + START_S
    while time.monotonic() < late:
        if sam.poll() is not None:
            raise SamError(f"sam local ended with exit code {sam.returncode}")
        with contextlib.suppress(OSError), urllib.request.urlopen(url, timeout=30) as answer:  # noqa: S310 - http
            body = answer.read()
            if b'"status":"ok"' in body:
                return
            raise SamError(f"a function does not start: {body.decode(errors='replace')[:500]}")
        time.sleep(0.1)
    raise SamError(f"sam local did not answer within {START_S} s")


def _stop(sam: subprocess.Popen[bytes]) -> None:
    """Stop SAM, then the containers that it leaves when it is stopped during a request."""
    sam.terminate()
    try:
        sam.wait(STOP_S)
    except subprocess.TimeoutExpired:
        sam.kill()
        sam.wait()
    for function in template.read(TEMPLATE).functions:
        listed = ["docker", "ps", "--all", "--quiet", "--filter", f"volume={BUILT / function}"]
        left = subprocess.run(listed, capture_output=True, text=True, check=False).stdout.split()  # noqa: S603
        if left:
            subprocess.run(["docker", "rm", "--force", *left], stdout=subprocess.DEVNULL, check=False)  # noqa: S603, S607


def main(arguments: Sequence[str] | None = None) -> int:
    """Serve until it is stopped; returns the exit code."""
    parser = argparse.ArgumentParser(prog="python -m local.tools.sam", description=__doc__.splitlines()[0])
    parser.add_argument("--port", type=int, default=3000, help="(default: %(default)s)")
    parser.add_argument("--database-port", type=int, default=5555, help="(default: %(default)s)")
    options = parser.parse_args(arguments)
    signal.signal(signal.SIGTERM, signal.default_int_handler)
    try:
        with sam_local(options.port, options.database_port) as sam:
            print(f"Serving on http://127.0.0.1:{options.port} from containers. Ctrl-C stops.", flush=True)
            return sam.wait()
    except (SamError, ImageError, AddressError, TablesError) as error:
        print(f"error: {error}", file=sys.stderr)
        return 1
    except KeyboardInterrupt:
        return 0


if __name__ == "__main__":
    raise SystemExit(main())
