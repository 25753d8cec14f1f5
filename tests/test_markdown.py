"""Markdown files: what they link to and the files that they name are there."""

from __future__ import annotations

import re
from collections.abc import Iterator
from itertools import pairwise
from pathlib import Path
from urllib.parse import unquote

import pytest
from markdown_it import MarkdownIt
from markdown_it.token import Token

from tests.support.engines import ROOT

INSTALLED = {"node_modules", "dist"}
NAMED_FILE = re.compile(r"[\w.-]+(/[\w.-]+)+\.(py|js|json|yaml|toml|md|txt)")


def markdown_files() -> list[Path]:
    """The repository's Markdown files."""
    folders = [each for each in ROOT.iterdir() if each.is_dir() and each.name[0] != "." and each.name not in INSTALLED]
    return sorted([*ROOT.glob("*.md"), *(file for folder in folders for file in folder.rglob("*.md"))])


def tokens(file: Path) -> list[Token]:
    """Headings, links, images, and code spans, flat."""
    return [
        part
        for token in MarkdownIt().enable("table").parse(file.read_text())
        for part in [token, *(token.children or ())]
    ]


def anchors(file: Path) -> set[str]:
    """The fragments by which GitHub links to the headings of a file."""
    found = tokens(file)
    titles = [after.content for token, after in pairwise(found) if token.type == "heading_open"]
    return {re.sub(r"[^\w\- ]", "", title.lower()).replace(" ", "-") for title in titles}


def broken(file: Path) -> Iterator[str]:
    """Links to missing files or headings, and missing files that are named in code spans."""
    for token in tokens(file):
        names_a_file = token.type == "code_inline" and NAMED_FILE.fullmatch(token.content)
        if names_a_file and not any((folder / token.content).exists() for folder in (ROOT, file.parent)):
            yield token.content
        target = str(token.attrGet("href") or token.attrGet("src") or "")
        if not target or re.match(r"[a-z]+:", target):
            continue
        path, _, fragment = unquote(target).partition("#")
        linked = file.parent / path if path else file
        if not linked.exists() or (fragment and fragment not in anchors(linked)):
            yield target


@pytest.mark.parametrize("file", markdown_files(), ids=lambda file: str(file.relative_to(ROOT)))
def test_links_and_named_files_are_there(file: Path) -> None:
    """Links to other hosts are not followed."""
    assert list(broken(file)) == []


def test_what_is_missing_is_found(tmp_path: Path) -> None:
    """A link to a missing file or heading, a missing image, and a missing file that is named."""
    file = tmp_path / "README.md"
    file.write_text(
        "# One `word`, and more\n[a](#one-word-and-more) [b](#two) [c](gone.md) ![d](gone.png) [e](https://example.com)\n"
        "`local/gone.py` `local/ports.py` `a/b`\n\n| [f](gone.txt) |\n|---|\n| [g](README.md#three) |\n"
    )
    assert list(broken(file)) == ["#two", "gone.md", "gone.png", "local/gone.py", "gone.txt", "README.md#three"]
