"""What the page costs: bytes, time, and requests to others."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import httpx
import pytest
from playwright.sync_api import Response, expect

from local.tools.screenshot import CHROMIUM
from tests.support.browser import ROOT, Account, Reader, log, tile

pytestmark = pytest.mark.browser


def test_the_whole_page_is_under_120_kb(reader: Reader, account: Account) -> None:
    """HTML, CSS, modules and the chart library together, as they travel compressed; the icon too."""
    account.send(log())
    page = reader.open()
    answers: list[Response] = []
    page.on("response", lambda response: answers.append(response))
    page.reload()
    page.get_by_label("API key").fill(account.key)
    page.get_by_role("button", name="Open").click()
    expect(page.locator("#plot canvas")).to_be_visible()
    files = {one.url: one for one in answers if "/assets/" in one.url or one.url.endswith("/")}
    assert any(url.endswith("uplot.js") for url in files)
    sent = [httpx.get(url, headers={"accept-encoding": "gzip"}) for url in files]
    assert {answer.headers["content-encoding"] for answer in sent} == {"gzip"}
    assert sum(int(answer.headers["content-length"]) for answer in sent) < 120_000


def test_first_numbers_are_there_within_a_second(reader: Reader, account: Account) -> None:
    """From the request for the page to the number in the tile, with an empty cache and ten thousand logs."""
    account.send(*(log(n / 10, endpoint=f"/route/{n % 30}") for n in range(10_000)))
    page = reader.open(account=account)
    expect(tile(page, "total_requests")).to_have_text("10k")
    took = []
    for _ in range(3):
        page.reload()
        expect(tile(page, "total_requests")).to_have_text("10k")
        took.append(page.evaluate("performance.now()"))
    assert min(took) < 1_000


def test_the_picture_for_the_readme_is_made_by_one_command(tmp_path: Path) -> None:
    """`python -m local.tools.screenshot` serves, stores, signs in and leaves a small PNG."""
    file = tmp_path / "docs" / "dashboard.png"
    command = [
        sys.executable,
        "-m",
        "local.tools.screenshot",
        str(file),
        "--chromium",
        os.environ.get("CHROMIUM", CHROMIUM),
    ]
    subprocess.run(command, check=True, timeout=90, cwd=ROOT)
    assert file.read_bytes().startswith(b"\x89PNG")
    assert 40_000 < file.stat().st_size < 250_000
