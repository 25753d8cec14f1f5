"""dynoxide, another emulation of DynamoDB: stricter than moto, and many times as fast.

npm has it as a binary for Linux on x86-64, under MIT or Apache-2.0. `python -m local serve --dynamodb URL` can use it.
"""

from __future__ import annotations

import platform
import shutil
import socket
import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager
from functools import cache
from pathlib import Path

from local.ports import free_port

ROOT = Path(__file__).parents[2]
PACKAGE = "@dynoxide/linux-x64"
VERSION = "1.2.1"
CACHE = ROOT / ".pytest_cache" / "dynoxide"  # ignored by git, and kept between runs
INSTALL_S = 60
START_S = 10


class NotHere(Exception):
    """dynoxide cannot run on this machine; one sentence says why."""


@contextmanager
def dynoxide() -> Iterator[str]:
    """Run dynoxide in memory on a free loopback port; yields its URL. Raises NotHere."""
    port = free_port()
    process = subprocess.Popen(  # noqa: S603
        [_binary(), "serve", "--host", "127.0.0.1", "--port", str(port)],
        stdin=subprocess.DEVNULL,
        stdout=subprocess.DEVNULL,
        stderr=subprocess.DEVNULL,
    )
    try:
        _wait(process, port)
        yield f"http://127.0.0.1:{port}"
    finally:
        process.terminate()
        process.wait(10)


@cache
def _binary() -> Path:
    """The path of dynoxide: in a node_modules folder, or installed by npm now."""
    if (sys.platform, platform.machine()) != ("linux", "x86_64"):
        raise NotHere(f"dynoxide is packaged for Linux on x86-64, and this is {sys.platform} on {platform.machine()}")
    for folder in (ROOT, CACHE):
        file = folder / "node_modules" / PACKAGE / "dynoxide"
        if file.is_file():
            return file
    npm = shutil.which("npm")
    if npm is None:
        raise NotHere("dynoxide comes by npm, which is not installed")
    CACHE.mkdir(parents=True, exist_ok=True)
    install = [npm, "install", "--no-save", "--no-audit", "--no-fund", "--ignore-scripts", "--prefix", str(CACHE)]
    try:
        subprocess.run(  # noqa: S603
            [*install, f"{PACKAGE}@{VERSION}"], check=True, capture_output=True, timeout=INSTALL_S, cwd=CACHE
        )
    except (subprocess.CalledProcessError, subprocess.TimeoutExpired) as error:
        raise NotHere(f"npm could not bring {PACKAGE}@{VERSION}: {error}") from error
    return CACHE / "node_modules" / PACKAGE / "dynoxide"


def _wait(process: subprocess.Popen[bytes], port: int) -> None:
    late = time.monotonic() + START_S
    while time.monotonic() < late:
        if process.poll() is not None:
            raise NotHere(f"dynoxide ended at once with exit code {process.returncode}")
        try:
            socket.create_connection(("127.0.0.1", port), 0.2).close()
        except OSError:
            time.sleep(0.01)
        else:
            return
    raise NotHere(f"dynoxide did not listen within {START_S} s")
