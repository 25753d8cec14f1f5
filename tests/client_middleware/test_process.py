"""What the middleware does to its process: at import, at the end, at a fork, and in a folder of its own."""

from __future__ import annotations

import os
import shutil
import signal
import subprocess
import sys
import tarfile
import textwrap
import urllib.request
import zipfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest

from local.ports import free_port
from tests.client_middleware.conftest import CollectorProcess
from tests.contract.targets import await_listener

ROOT = Path(__file__).parents[2]


def run(code: str, folder: Path = ROOT, **environment: str) -> str:
    """What a new Python prints that runs this code with warnings as errors."""
    done = subprocess.run(
        [sys.executable, "-W", "error", "-c", textwrap.dedent(code)],
        cwd=folder,
        env=os.environ | {"ANALYTICS_FLUSH_SECONDS": "60", "ANALYTICS_API_KEY": "good"} | environment,
        capture_output=True,
        text=True,
        timeout=120,
    )
    assert done.returncode == 0, done.stderr
    assert done.stderr == ""
    return done.stdout


APP = """
import asyncio, os, sys
sys.path.insert(0, os.getcwd())
from fastapi import FastAPI
from client_middleware import TrackingMiddleware
from tests.client_middleware.conftest import ask
app = FastAPI()
app.add_middleware(TrackingMiddleware)
def request(times=1):
    async def ask_all():
        for _ in range(times):
            await ask(app, "/docs")
    asyncio.run(ask_all())
"""


def test_import_does_nothing() -> None:
    """Importing reads no environment, starts no thread, opens no file of the user's, and leaves httpx, dotenv, pytest
    and the frameworks alone."""
    code = """
        import sys, threading
        import client_middleware
        heavy = {"httpx", "dotenv", "fastapi", "starlette", "anyio", "pytest", "ssl", "asyncio"} & set(sys.modules)
        print(sorted(heavy), threading.active_count())
    """
    assert run(code, API_BASE="not a url") == "[] 1\n"


def test_exit(collector: CollectorProcess) -> None:
    """A process that ends without a lifespan sends what is left first."""
    run(APP + "request(7)", API_BASE=collector.url)
    assert collector.requests == 7


def test_exit_with_a_sample(collector: CollectorProcess) -> None:
    """The tail of a sample is sent too."""
    run(APP + "request(50)", API_BASE=collector.url, ANALYTICS_SAMPLE_RATE="0.01")
    assert collector.requests == 50


def test_exit_with_an_exception(collector: CollectorProcess) -> None:
    """So does a script that ends with an exception, or by sys.exit."""
    run(APP + "request(3)\ntry:\n    sys.exit(0)\nfinally:\n    request(2)", API_BASE=collector.url)
    assert collector.requests == 5


def test_exit_without_a_service() -> None:
    """Without a service the exit takes no longer than the deadline, and one line says what is lost."""
    done = subprocess.run(
        [sys.executable, "-c", APP + "request(5)"],
        cwd=ROOT,
        env=os.environ
        | {"API_BASE": "http://127.0.0.1:9", "ANALYTICS_API_KEY": "k", "ANALYTICS_SHUTDOWN_SECONDS": "1"},
        capture_output=True,
        text=True,
        timeout=60,
    )
    assert done.returncode == 0
    assert "5 logs could not be delivered before the exit" in done.stderr


CLOSED = (
    APP
    + """
from client_middleware import TrackingMiddleware
tracked = TrackingMiddleware(FastAPI())
asyncio.run(ask(tracked, "/docs"))
print(tracked.tracker.close(1), flush=True)
"""
)


def test_exit_after_a_shutdown_in_vain(collector: CollectorProcess) -> None:
    """An app whose flush at the shutdown has timed out does not wait as long once more at the exit of its process."""
    collector.behave(*["slow:60"] * 10)
    environment = {"API_BASE": collector.url, "ANALYTICS_API_KEY": "good", "ANALYTICS_SHUTDOWN_SECONDS": "60"}
    with subprocess.Popen(
        [sys.executable, "-c", CLOSED], cwd=ROOT, env=os.environ | environment, stdout=subprocess.PIPE, text=True
    ) as process:
        assert process.stdout is not None
        try:
            assert process.stdout.readline() == "False\n"
            assert process.wait(50) == 0
        finally:
            process.kill()


FORK = (
    APP
    + """
import warnings
warnings.simplefilter("ignore", DeprecationWarning)  # of a fork with threads running, since Python 3.12
request(5)
from client_middleware import flush
for number in range(3):
    child = os.fork()
    if not child:
        request(10)
        os._exit(0 if flush(5) else 1)
    request(1)
    assert os.waitpid(child, 0)[1] == 0
"""
)


def test_fork(collector: CollectorProcess) -> None:
    """After a fork, parent and children each send their own requests, once, the thread having run before."""
    run(FORK, API_BASE=collector.url)
    assert collector.requests == 5 + 3 * 11
    assert len({batch["client"]["instance"] for batch in collector.batches}) == 4


def test_fork_with_a_sample(collector: CollectorProcess) -> None:
    """What the parent's sample holds back is the parent's to send: no request counts in the child as well."""
    run(FORK, API_BASE=collector.url, ANALYTICS_SAMPLE_RATE="0.0001")
    assert collector.requests == 5 + 3 * 11


def test_children_choose_their_own_samples() -> None:
    """Two children of one process do not keep the same requests."""
    code = """
        import os
        from client_middleware.sampling import Sampler
        sampler = Sampler(0.5)
        for _ in range(2):
            ours, theirs = os.pipe()
            child = os.fork()
            if not child:
                sampler.reset()
                kept = "".join(str(int(sampler.choose(("weight", 1))[-1] > 0)) for _ in range(64))
                os.write(theirs, kept.encode())
                os._exit(0)
            os.waitpid(child, 0)
            print(os.read(ours, 100).decode())
    """
    first, second = run(code).split()
    assert first != second


@contextmanager
def served(api_base: str, **environment: str) -> Iterator[tuple[subprocess.Popen[bytes], str]]:
    """The app under uvicorn; the process and its address."""
    port = free_port()
    process = subprocess.Popen(
        [sys.executable, "-m", "uvicorn", "tests.client_middleware.served_app:app", f"--port={port}"],
        cwd=ROOT,
        env=os.environ
        | {"API_BASE": api_base, "ANALYTICS_API_KEY": "good", "ANALYTICS_FLUSH_SECONDS": "60"}
        | environment,
        stdout=subprocess.DEVNULL,
        stderr=subprocess.DEVNULL,
    )
    try:
        await_listener(port)
        yield process, f"http://127.0.0.1:{port}/"
    finally:
        process.kill()
        process.wait()


@pytest.mark.parametrize(("way", "lifespan"), [("asgi", ""), ("asgi", "own"), ("http", "")])
def test_uvicorn_is_told_to_end(way: str, lifespan: str, collector: CollectorProcess) -> None:
    """At SIGTERM, after which uvicorn ends by that signal and runs no `atexit`, what is left has been sent."""
    with served(collector.url, WAY=way, LIFESPAN=lifespan) as (process, url):
        for _ in range(5):
            urllib.request.urlopen(url).close()  # noqa: S310 - ours
        assert collector.requests == 0
        process.send_signal(signal.SIGTERM)
        process.wait(10)
        assert collector.requests == 5


def test_a_folder_copied_alone(tmp_path: Path, collector: CollectorProcess) -> None:
    """The folder works when it is all that a project has of us, beside httpx and python-dotenv, with API_BASE in the
    project's .env, in the original's words."""
    shutil.copytree(ROOT / "client_middleware", tmp_path / "client_middleware")
    (tmp_path / ".env").write_text(f"API_BASE={collector.url}\n")
    code = """
        import sys, os
        sys.path = [os.getcwd()] + [path for path in sys.path if path not in ("", {root!r})]
        sys.meta_path = [finder for finder in sys.meta_path if "editable" not in str(finder)]
        from fastapi import FastAPI
        from starlette.testclient import TestClient
        from client_middleware.middleware import create_tracking_middleware
        import client_middleware
        assert client_middleware.__file__.startswith(os.getcwd()), client_middleware.__file__
        app = FastAPI()
        app.middleware("http")(create_tracking_middleware(api_key="good"))
        with TestClient(app) as client:
            client.get("/docs")
    """
    run(code.replace("{root!r}", repr(str(ROOT))), tmp_path)
    assert [log["endpoint"] for log in collector.logs] == ["/docs"]


def test_a_typed_wheel(tmp_path: Path) -> None:
    """The wheel holds every module of the folder and the marker that it is typed, and declares its two needs."""
    uv = Path(sys.executable).with_name("uv")
    done = subprocess.run(
        [uv, "build", "--quiet", "--out-dir", tmp_path, ROOT], capture_output=True, text=True, timeout=120
    )
    if done.returncode and "hatchling" in done.stderr:
        pytest.skip("hatchling can not be had: " + done.stderr.strip().splitlines()[-1])
    assert done.returncode == 0, done.stderr
    (wheel,) = tmp_path.glob("*.whl")
    with zipfile.ZipFile(wheel) as archive:
        names = set(archive.namelist())
        metadata = next(name for name in names if name.endswith("METADATA"))
        needs = [line for line in archive.read(metadata).decode().splitlines() if line.startswith("Requires-Dist")]
    expected = {f"client_middleware/{path.name}" for path in (ROOT / "client_middleware").glob("*.py")}
    assert expected | {"client_middleware/py.typed"} <= names
    assert needs == ["Requires-Dist: httpx>=0.27", "Requires-Dist: python-dotenv>=1.0"]
    (sdist,) = tmp_path.glob("*.tar.gz")
    with tarfile.open(sdist) as source:
        assert any(name.endswith("client_middleware/py.typed") for name in source.getnames())
