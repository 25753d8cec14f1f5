"""Pins requirements from pyproject.toml: `python -m local.tools.requirements [--check]`.

It writes four files, with hashes and without the address of a package index: `requirements-dev.txt` (for development),
`layers/common/requirements.txt` (the layer), `requirements-sam.txt` (to build and run the stack) and
`requirements-audit.txt` (to check its security). `--check` changes nothing and fails when a file is stale.
"""

from __future__ import annotations

import argparse
import subprocess
import sys
import tempfile
from pathlib import Path

ROOT = Path(__file__).resolve().parents[2]
FILES = {  # file: sources. A group named with its file comes without the requirements of the middleware.
    "requirements-dev.txt": ["--group", "dev", "pyproject.toml"],
    "layers/common/requirements.txt": ["--group", "pyproject.toml:service"],
    "requirements-sam.txt": ["--group", "pyproject.toml:sam"],
    "requirements-audit.txt": ["--group", "pyproject.toml:audit"],
}


def pin(sources: list[str], into: Path) -> None:
    """Pin the requirements of `sources` in the file `into`; pins that still fit are kept.

    Raises subprocess.CalledProcessError when they cannot be resolved.
    """
    command = ["uv", "pip", "compile", "--quiet", "--universal", "--python-version", "3.11", "--generate-hashes"]
    command += ["--custom-compile-command", "make compile", *sources, "-o", str(into)]
    subprocess.run([f"{sys.prefix}/bin/{command[0]}", *command[1:]], cwd=ROOT, check=True)  # noqa: S603


def is_stale(name: str, sources: list[str]) -> bool:
    """Whether pinning `sources` again would change the file `name`."""
    with tempfile.TemporaryDirectory() as folder:
        again = Path(folder) / "requirements.txt"
        again.write_text((ROOT / name).read_text())
        pin(sources, again)
        return again.read_text() != (ROOT / name).read_text()


def main() -> int:
    """Compile the files, or with --check report the stale ones; returns the exit code."""
    parser = argparse.ArgumentParser(prog="python -m local.tools.requirements", description=__doc__)
    parser.add_argument("--check", action="store_true", help="fail when a file is stale, change nothing")
    if not parser.parse_args().check:
        for name, sources in FILES.items():
            pin(sources, ROOT / name)
        return 0
    stale = [name for name, sources in FILES.items() if is_stale(name, sources)]
    for name in stale:
        print(f"{name} does not match pyproject.toml: run `make compile`", file=sys.stderr)
    return 1 if stale else 0


if __name__ == "__main__":
    raise SystemExit(main())
