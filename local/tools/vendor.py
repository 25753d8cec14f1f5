"""`python -m local.tools.vendor`: copies the web page's packages from npm, as pinned, beside the page.

Without npm the page shows tables without a chart, and /docs a plain list of operations.
"""

from __future__ import annotations

import argparse
import shutil
import subprocess
import sys
from pathlib import Path
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Sequence

ROOT = Path(__file__).resolve().parents[2]
VENDOR = ROOT / "functions" / "dashboard" / "static" / "vendor"

FILES = {
    "uplot.js": "uplot/dist/uPlot.iife.min.js",
    "uplot.css": "uplot/dist/uPlot.min.css",
    "uplot.license.txt": "uplot/LICENSE",
    "swagger-ui.js": "swagger-ui-dist/swagger-ui-bundle.js",
    "swagger-ui.css": "swagger-ui-dist/swagger-ui.css",
    "swagger-ui.license.txt": "swagger-ui-dist/LICENSE",
    "swagger-ui.notices.txt": "swagger-ui-dist/swagger-ui-bundle.js.LICENSE.txt",
}
"""File name beside the page: path below node_modules. The names are unique, because the page has one flat folder."""


class VendorError(Exception):
    """npm is missing or failed; one sentence."""


def install(root: Path) -> None:
    """Install the locked packages with npm, unless node_modules is as new as the lock file. Raises VendorError."""
    lock, installed = root / "package-lock.json", root / "node_modules" / ".package-lock.json"
    if installed.is_file() and installed.stat().st_mtime >= lock.stat().st_mtime:
        return
    npm = shutil.which("npm")
    if npm is None:
        raise VendorError("npm is not installed")
    command = [npm, "ci", "--omit=dev", "--loglevel=error"]
    done = subprocess.run(command, cwd=root, check=False, capture_output=True, text=True)  # noqa: S603
    if done.returncode:
        last = (done.stderr.strip().splitlines() or ["no reason given"])[-1]
        raise VendorError(f"npm ci failed: {last}")


def copy(modules: Path, vendor: Path) -> None:
    """Copy what the page needs from node_modules. Raises VendorError when a package lacks a file."""
    vendor.mkdir(parents=True, exist_ok=True)
    for name, source in FILES.items():
        try:
            shutil.copyfile(modules / source, vendor / name)
        except FileNotFoundError as error:
            raise VendorError(f"{source} is not in node_modules") from error


def main(arguments: Sequence[str] | None = None) -> int:
    """Copy the files; returns the exit code, which is 0 also without them unless `--strict` is given."""
    parser = argparse.ArgumentParser(prog="python -m local.tools.vendor", description=__doc__)
    parser.add_argument("--strict", action="store_true", help="fail when the files cannot be copied")
    options = parser.parse_args(arguments)
    try:
        install(ROOT)
        copy(ROOT / "node_modules", VENDOR)
    except VendorError as error:
        print(f"{error}: the page will show tables without a chart, and /docs a plain list", file=sys.stderr)
        return 1 if options.strict else 0
    return 0


if __name__ == "__main__":
    raise SystemExit(main())
