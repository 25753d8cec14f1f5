"""SECURITY.md: each threat names tests, and they are there."""

from __future__ import annotations

import ast
import re
from pathlib import Path

import pytest

from tests.support.engines import ROOT

HERE = Path(__file__).parent
TEXT = (ROOT / "SECURITY.md").read_text()
ROWS = [line.strip("|").split("|") for line in TEXT.splitlines() if re.match(r"\| (?!threat)", line)]
NAMED = re.compile(r"`([\w/]+\.py)::(\w+)`")


def names_in(file: Path) -> set[str]:
    """The names of the tests in a file."""
    return {each.name for each in ast.walk(ast.parse(file.read_text())) if isinstance(each, ast.FunctionDef)}


@pytest.mark.parametrize("row", ROWS, ids=lambda row: row[0].strip()[:40])
def test_a_threat_has_its_test(row: list[str]) -> None:
    """At least one, by path and name, and no other text where a test should be named."""
    threat, met, named = row
    assert threat.strip()
    assert met.strip()
    found = NAMED.findall(named)
    assert found
    assert NAMED.sub("", named).strip(" ,") == ""
    for path, name in found:
        file = ROOT / path if "/" in path else HERE / path
        assert name in names_in(file), f"{path}::{name}"


def test_every_test_here_is_against_some_threat() -> None:
    """By its file at least: a file of tests that no threat names is of no threat."""
    named = {path for path, _ in NAMED.findall(TEXT)}
    assert {file.name for file in HERE.glob("test_*.py")} - {Path(__file__).name} <= named
