"""Pins requirements from pyproject.toml: `python -m local.tools.requirements [--check]`.

Four files are made, each with hashes and without the address of any package index: `requirements-dev.txt` (all that
development needs), `layers/common/requirements.txt` (what the layer carries), `requirements-sam.txt` (what builds and
runs the stack), `requirements-audit.txt` (what looks for weak spots in it). `--check` changes nothing and fails when a
file is stale.
"""

from __future__ import annotations

import argparse
import subprocess
import sys
import tempfile
from pathlib import Path

ROOT = Path(__file__).resolve().parents[2]
FILES = {  # file: what goes in. A group named with its file comes alone, without the middleware's own needs.
    "requirements-dev.txt": ["--group", "dev", "pyproject.toml"],
    "layers/common/requirements.txt": ["--group", "pyproject.toml:service"],
    "requirements-sam.txt": ["--group", "pyproject.toml:sam"],
    "requirements-audit.txt": ["--group", "pyproject.toml:audit"],
}


def pin(sources: list[str], into: Path) -> None:
    """Write the pins of what `sources` names; pins already in `into` are kept where they still fit.

    Raises subprocess.CalledProcessError when that cannot be resolved.
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
