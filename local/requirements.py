"""Pins requirements from pyproject.toml: `python -m local.requirements [--check]`.

Two files are made, each with hashes and without the address of any package index: `requirements-dev.txt` (everything)
and `layers/common/requirements.txt` (what the layer carries). `--check` changes nothing and fails when a file is stale.
"""

from __future__ import annotations

import argparse
import subprocess
import sys
import tempfile
from pathlib import Path

ROOT = Path(__file__).resolve().parent.parent
FILES = {"requirements-dev.txt": "dev", "layers/common/requirements.txt": "service"}  # file: dependency group


def compile_group(group: str, into: Path) -> None:
    """Write the pins of one dependency group; pins already in `into` are kept where they still fit.

    Raises subprocess.CalledProcessError when the group cannot be resolved.
    """
    command = ["uv", "pip", "compile", "--quiet", "--universal", "--python-version", "3.11", "--generate-hashes"]
    command += ["--custom-compile-command", "make compile", "--group", group, "pyproject.toml", "-o", str(into)]
    subprocess.run([f"{sys.prefix}/bin/{command[0]}", *command[1:]], cwd=ROOT, check=True)  # noqa: S603


def is_stale(name: str, group: str) -> bool:
    """Whether compiling `group` again would change the file `name`."""
    with tempfile.TemporaryDirectory() as folder:
        again = Path(folder) / "requirements.txt"
        again.write_text((ROOT / name).read_text())
        compile_group(group, again)
        return again.read_text() != (ROOT / name).read_text()


def main() -> int:
    """Compile both files, or with --check report the stale ones; returns the exit code."""
    parser = argparse.ArgumentParser(prog="python -m local.requirements", description=__doc__)
    parser.add_argument("--check", action="store_true", help="fail when a file is stale, change nothing")
    if not parser.parse_args().check:
        for name, group in FILES.items():
            compile_group(group, ROOT / name)
        return 0
    stale = [name for name, group in FILES.items() if is_stale(name, group)]
    for name in stale:
        print(f"{name} does not match pyproject.toml: run `make compile`", file=sys.stderr)
    return 1 if stale else 0


if __name__ == "__main__":
    raise SystemExit(main())
