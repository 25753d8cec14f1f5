"""Who can use the page: by keyboard, with a screen reader, on a phone, in the dark."""

from __future__ import annotations

import re
from pathlib import Path
from typing import Any

import pytest
from playwright.sync_api import Page, expect

from tests.support.browser import ROOT, Account, Reader, Readers, log, tile

pytestmark = pytest.mark.browser

AXE = ROOT / "node_modules" / "axe-core" / "axe.min.js"
PHONE: dict[str, Any] = {"viewport": {"width": 360, "height": 740}, "has_touch": True, "is_mobile": True}


def _serious(page: Page) -> list[str]:
    """What axe finds that is serious or worse."""
    assert AXE.is_file(), "axe-core is not there: npm ci"
    expect(page.locator("[aria-busy]")).to_have_count(0)
    page.wait_for_timeout(300)  # dimmed while busy, and for the length of a transition
    page.evaluate(AXE.read_text())
    found = page.evaluate("axe.run()")["violations"]
    return [f"{one['id']}: {one['nodes'][0]['html']}" for one in found if one["impact"] in ("serious", "critical")]


def _busy(account: Account) -> None:
    account.send(
        *(
            log(60 * n, endpoint=f"/route/{n % 14}", status_code=(200, 404, 503)[n % 3], consumer="acme")
            for n in range(60)
        )
    )


@pytest.mark.parametrize("scheme", ["light", "dark"])
@pytest.mark.parametrize("device", [{}, PHONE], ids=["desk", "phone"])
def test_axe_finds_nothing_serious(readers: Readers, account: Account, scheme: str, device: dict[str, Any]) -> None:
    """Sign-in, first run, overview with an open table, latency, logs and an empty range, in both schemes and sizes."""
    reader = readers(color_scheme=scheme, **device)
    page = reader.open()
    assert _serious(page) == []
    page.get_by_label("API key").fill(account.key)
    page.get_by_role("button", name="Open").click()
    expect(page.get_by_role("heading", name="Connect your app")).to_be_visible()
    assert _serious(page) == []
    _busy(account)
    page = reader.open("?range=7d&status_code=503", account)
    page.locator("#behind summary").click()
    assert _serious(page) == []
    page.get_by_role("button", name="Latency").click()
    assert _serious(page) == []
    page.get_by_role("button", name="Logs").click()
    expect(page.locator("#log-rows tr").first).to_be_visible()
    assert _serious(page) == []
    page.goto(f"{reader.server.url}/?method=DELETE")
    expect(page.get_by_role("heading", name="No requests here")).to_be_visible()
    assert _serious(page) == []


@pytest.mark.parametrize("query", ["", "?tab=logs", "?range=custom&from=2026-01-01T00:00Z&to=2099-01-01T00:00Z"])
def test_nothing_is_cut_off_on_a_phone(readers: Readers, account: Account, query: str) -> None:
    """At 360 px nothing is wider than the screen, and the numbers are there."""
    _busy(account)
    account.send(
        log(endpoint="/a-very-long-route/" + "that-goes-on/" * 20, ip="2001:db8:1111:2222:3333:4444:5555:6666")
    )
    page = readers(**PHONE).open(query, account)
    if "logs" in query:
        expect(page.locator("#log-rows tr").first).to_be_visible()
    else:
        expect(tile(page, "total_requests")).not_to_have_class("value waiting")
    assert page.evaluate("document.documentElement.scrollWidth") <= 360
    wide = """() => [...document.querySelectorAll("#app *, .door *")]
        .filter(one => one.checkVisibility() && !one.closest(".spoken, .scroll, .u-wrap"))
        .filter(one => one.getBoundingClientRect().right > 361)
        .map(one => one.outerHTML.slice(0, 120))"""
    assert page.evaluate(wide) == []


def test_the_range_is_chosen_from_a_list_on_a_phone(readers: Readers, account: Account) -> None:
    """Nine buttons do not fit beside each other at 360 px; a list does the same."""
    account.send(log())
    page = readers(**PHONE).open(account=account)
    expect(page.locator("#ranges")).to_be_hidden()
    page.get_by_role("combobox", name="Time range").select_option("30d")
    expect(page.locator("#period")).to_have_value("daily")


def test_the_scheme_follows_the_system_while_the_page_is_open(reader: Reader, account: Account) -> None:
    """Light and dark differ in ground, text and the drawn chart, and a change needs no reload."""
    _busy(account)
    page = reader.open(account=account)
    colors = """() => [getComputedStyle(document.body).backgroundColor, getComputedStyle(document.body).color,
        document.querySelector("#plot canvas").toDataURL()]"""
    expect(page.locator("#plot canvas")).to_be_visible()
    page.emulate_media(color_scheme="light")
    light = page.evaluate(colors)
    page.emulate_media(color_scheme="dark")
    page.wait_for_timeout(300)
    dark = page.evaluate(colors)
    assert [one == other for one, other in zip(light, dark, strict=True)] == [False, False, False]


def test_everything_can_be_done_by_keyboard(reader: Reader, account: Account) -> None:
    """Sign in, choose a range, filter by a row and take the filter off again, without a pointer."""
    account.send(log(), log(endpoint="/orders"))
    page = reader.open()
    page.keyboard.type(account.key)
    page.keyboard.press("Enter")
    expect(tile(page, "total_requests")).to_have_text("2")
    _tab_to(page, "Last 7 days")
    page.keyboard.press("Enter")
    expect(page.locator("#interval")).to_be_visible()
    _tab_to(page, "/orders")
    page.keyboard.press("Space")
    expect(tile(page, "total_requests")).to_have_text("1")
    expect(page.locator("#endpoints [aria-pressed=true]")).to_be_focused()
    page.locator("#chips button").focus()
    page.keyboard.press("Enter")
    expect(tile(page, "total_requests")).to_have_text("2")


def _tab_to(page: Page, title: str) -> None:
    for _ in range(60):
        page.keyboard.press("Tab")
        if page.evaluate("document.activeElement.title") == title:
            return
    raise AssertionError(f"{title} cannot be reached with Tab")


def test_the_chart_is_read_with_the_arrow_keys(reader: Reader, account: Account) -> None:
    """Arrows walk over the points and say them; Enter looks closer; the same numbers stand in the table behind."""
    account.send(log(0), log(0, status_code=500))
    page = reader.open(account=account)
    page.locator("#canvas").focus()
    page.keyboard.press("End")
    expect(page.locator("#spoken")).to_have_text(re.compile(r"\d\d:00: 2 requests, 1 errors"))
    expect(page.locator("#tip")).to_be_visible()
    page.keyboard.press("ArrowLeft")
    expect(page.locator("#spoken")).to_have_text(re.compile(r"\d\d:00: 0 requests, 0 errors"))
    page.keyboard.press("ArrowRight")
    page.keyboard.press("Enter")
    expect(page.locator("#period")).to_have_value("minutely")
    assert "range=custom" in page.url


def test_a_picture_is_taken_of_every_look(readers: Readers, account: Account, tmp_path: Path) -> None:
    """Light, dark and phone can be rendered to a picture with content on it."""
    _busy(account)
    for scheme, device in (("light", {}), ("dark", {}), ("light", PHONE)):
        page = readers(color_scheme=scheme, **device).open("?range=7d", account)
        expect(page.locator("#plot canvas")).to_be_visible()
        assert len(page.screenshot(path=tmp_path / "page.png", full_page=True)) > 20_000
