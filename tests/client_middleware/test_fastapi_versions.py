"""Routes are named right on every FastAPI that is supported: the route tree changed in 0.137, the scope many times.

Each version gets a virtual environment of its own, `.venv-fastapi-<version>`, kept for the next run.
"""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]
UV = Path(sys.executable).with_name("uv")

VERSIONS = {
    "oldest": "fastapi==0.100.0",
    "0.115": "fastapi~=0.115.14",  # the last years' most used
    "0.136": "fastapi~=0.136.3",
    "0.137.0": "fastapi==0.137.0",
    "0.138": "fastapi~=0.138.2",
    "newest": "fastapi",
}


def environment(name: str, need: str) -> Path:
    """The Python of a virtual environment with this FastAPI; skips the test where it can not be had."""
    folder = ROOT / f".venv-fastapi-{name}"
    python = folder / "bin/python"
    ready = folder / "ready"
    if not ready.exists():
        make = [UV, "venv", "--quiet", "--clear", "--python", sys.executable, folder]
        install = [UV, "pip", "install", "--quiet", "--python", python, need, "httpx>=0.27", "python-dotenv>=1.0"]
        for command in (list(map(str, make)), list(map(str, install))):
            done = subprocess.run(command, capture_output=True, text=True, timeout=120)
            if done.returncode:
                pytest.skip(f"{need} can not be installed: {done.stderr.strip().splitlines()[-1:]}")
        ready.touch()
    return python


@pytest.mark.skipif(not UV.exists(), reason="needs uv beside this Python")
@pytest.mark.parametrize("name", VERSIONS)
def test_routes(name: str) -> None:
    """Every kind of route is filed under its template, in both ways of use, with warnings as errors."""
    python = environment(name, VERSIONS[name])
    warnings = ["-W", "error"] if name not in ("oldest", "0.115") else []  # they warn of their own dependencies
    done = subprocess.run(
        [python, *warnings, Path(__file__).with_name("route_matrix.py")],
        env=os.environ | {"PYTHONPATH": str(ROOT)},
        capture_output=True,
        text=True,
        timeout=60,
    )
    assert done.returncode == 0, done.stderr
    assert done.stdout.startswith("fastapi ")


def test_the_matrix_names_the_oldest() -> None:
    """README names the oldest version that this matrix runs."""
    readme = (ROOT / "client_middleware/README.md").read_text()
    assert f"FastAPI {VERSIONS['oldest'].partition('==')[2]}" in readme
