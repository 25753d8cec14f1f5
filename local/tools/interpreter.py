"""Finds an interpreter of a Python version on this machine, to build and compile a layer with."""

from __future__ import annotations

import shutil
import subprocess
import sys
from pathlib import Path
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Iterator

VERSIONS = ("3.13", "3.12", "3.11")  # of the template, preferred first


def find(version: str) -> Path | None:
    """An interpreter of this version ("3.13"), from PATH, pyenv or uv, or None."""
    for candidate in _candidates(version):
        try:
            asked = [candidate, "-c", "import sys; print('%d.%d' % sys.version_info[:2], sys.executable)"]
            done = subprocess.run(asked, capture_output=True, text=True, check=True, timeout=20)  # noqa: S603
        except (OSError, subprocess.SubprocessError):
            continue
        found, _, path = done.stdout.strip().partition(" ")
        if found == version:
            return Path(path)
    return None


def newest() -> str | None:
    """The newest version with an interpreter here, or None."""
    return next((version for version in VERSIONS if find(version)), None)


def _candidates(version: str) -> Iterator[str]:
    on_path = shutil.which(f"python{version}")
    if on_path:
        yield on_path
    pyenv = shutil.which("pyenv")
    if pyenv:
        root = Path(_said(pyenv, "root")) / "versions"
        yield from (str(each) for each in sorted(root.glob(f"{version}.*/bin/python{version}")))
    uv = shutil.which("uv") or f"{sys.prefix}/bin/uv"
    if Path(uv).is_file():
        yield _said(uv, "python", "find", "--no-project", "--no-python-downloads", version)
    if sys.version_info[:2] == tuple(map(int, version.split("."))):
        yield sys.executable


def _said(*command: str) -> str:
    """The line that a command prints; empty when it fails."""
    return subprocess.run(command, capture_output=True, text=True, check=False, timeout=20).stdout.strip()  # noqa: S603
