"""What the page takes from npm: pinned, host-free, and missed politely."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from local.tools.vendor import FILES, ROOT, VendorError, copy, install


def test_the_lock_pins_every_package_by_hash_and_names_no_host() -> None:
    """Each package has one version and a SHA-512; no registry, no address but where its authors take donations."""
    lock = json.loads((ROOT / "package-lock.json").read_text())
    packages = {name: one for name, one in lock["packages"].items() if name}
    for one in packages.values():
        one.pop("funding", None)
    assert "://" not in json.dumps(lock)
    assert all(one["integrity"].startswith("sha512-") and one["version"][0].isdigit() for one in packages.values())
    wanted = json.loads((ROOT / "package.json").read_text())
    for name, version in (wanted["dependencies"] | wanted["devDependencies"]).items():
        assert packages[f"node_modules/{name}"]["version"] == version


def test_files_are_copied_under_the_names_that_the_page_asks_for(tmp_path: Path) -> None:
    """Every file of node_modules lands in one flat folder."""
    for source in FILES.values():
        file = tmp_path / "node_modules" / source
        file.parent.mkdir(parents=True, exist_ok=True)
        file.write_text(source)
    copy(tmp_path / "node_modules", tmp_path / "vendor")
    assert {file.name: file.read_text() for file in (tmp_path / "vendor").iterdir()} == FILES


def test_a_package_without_its_file_is_named(tmp_path: Path) -> None:
    """A new version that moved a file does not leave a broken page without a word."""
    with pytest.raises(VendorError, match=r"uplot/dist/uPlot\.iife\.min\.js is not in node_modules"):
        copy(tmp_path / "node_modules", tmp_path / "vendor")


def test_without_npm_the_reason_is_one_sentence(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """No npm on the path is no traceback."""
    monkeypatch.setenv("PATH", str(tmp_path))
    (tmp_path / "package-lock.json").write_text("{}")
    with pytest.raises(VendorError, match="npm is not installed"):
        install(tmp_path)
