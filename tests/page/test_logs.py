"""Raw logs in the page: paging, live tail, filters, export."""

from __future__ import annotations

import csv
import re
from pathlib import Path

import pytest
from playwright.sync_api import Page, expect

from tests.support.browser import Account, Reader, log, tile

pytestmark = pytest.mark.browser


def test_scrolling_brings_page_after_page_until_the_last(reader: Reader, account: Account) -> None:
    """A hundred at first, more when the reader gets there, each log once, and the end says that it is one."""
    account.send(*(log(n / 60, endpoint=f"/route/{n}") for n in range(250)))
    page = reader.open("?tab=logs", account)
    rows = page.locator("#log-rows tr")
    expect(rows).to_have_count(100)
    expect(page.locator("#log-state")).to_have_text("100 logs shown")
    rows.last.scroll_into_view_if_needed()
    expect(rows).to_have_count(200)
    rows.last.scroll_into_view_if_needed()
    expect(rows).to_have_count(250)
    expect(page.locator("#log-state")).to_have_text("250 logs shown, the last of this view")
    assert len(set(page.locator("#log-rows .route button").all_text_contents())) == 250


def test_live_tail_shows_what_arrives_above_what_was_there(reader: Reader, account: Account) -> None:
    """With the tail on, a new request stands first within seconds, and the rows below stay."""
    account.send(log(endpoint="/old"))
    page = reader.open("?tab=logs", account)
    expect(page.locator("#log-rows tr")).to_have_count(1)
    page.get_by_role("button", name="Live tail").click()
    expect(page.get_by_role("button", name="Live tail")).to_have_attribute("aria-pressed", "true")
    account.send(log(0, endpoint="/new"))
    expect(page.locator("#log-rows .route button")).to_have_text(["/new", "/old"], timeout=6_000)


def test_the_logs_follow_the_filters_and_have_their_own(reader: Reader, account: Account) -> None:
    """Filters of the overview hold here too; route, client and duration narrow further, all of it in the URL."""
    account.send(
        log(status_code=503, endpoint="/orders/{id}", process_time=900.0),
        log(status_code=503, endpoint="/orders", process_time=5.0),
        log(status_code=503, endpoint="/books", process_time=900.0),
        log(endpoint="/orders", process_time=900.0),
    )
    page = reader.open("?status_code=503", account)
    expect(tile(page, "total_requests")).to_have_text("3")
    page.get_by_role("button", name="Logs").click()
    expect(page.locator("#log-rows tr")).to_have_count(3)
    page.get_by_label("Route contains").fill("orders")
    page.get_by_label("At least this many milliseconds").fill("100")
    page.get_by_role("button", name="Filter", exact=True).click()
    expect(page.locator("#log-rows .route button")).to_have_text(["/orders/{id}"])
    assert "slower=100" in page.url
    page.get_by_role("button", name="Clear all").click()
    expect(page.locator("#log-rows tr")).to_have_count(4)
    page.locator("#log-rows").get_by_role("button", name="503").first.click()
    expect(page.locator("#log-rows tr")).to_have_count(3)


def test_a_wrong_filter_is_answered_in_words(reader: Reader, account: Account) -> None:
    """What the service refuses is told with its reason, and there is a way back."""
    reader.expected = ("422",)
    account.send(log())
    page = reader.open("?tab=logs&ip=nonsense", account)
    expect(page.get_by_role("alert").filter(has_text="IPv4 or IPv6")).to_be_visible()
    page.get_by_role("button", name="Back to the plain view").click()
    expect(tile(page, "total_requests")).to_have_text("1")


def _exported(page: Page, folder: Path) -> list[dict[str, str]]:
    with page.expect_download() as download:
        page.get_by_role("button", name="Export CSV").click()
    file = folder / download.value.suggested_filename
    download.value.save_as(file)
    with file.open(newline="") as lines:
        return list(csv.DictReader(lines))


def test_the_current_view_is_exported_whole(reader: Reader, account: Account, tmp_path: Path) -> None:
    """The CSV holds every log of the view, over all pages, with one header, and none that the filter leaves out."""
    account.send(*(log(n / 60, endpoint=f"/route/{n}") for n in range(1300)), log(method="POST"))
    page = reader.open("?tab=logs&method=GET", account)
    rows = _exported(page, tmp_path)
    assert len(rows) == 1300
    assert {row["method"] for row in rows} == {"GET"}
    assert {row["endpoint"] for row in rows} == {f"/route/{n}" for n in range(1300)}
    expect(page.locator("#export-state")).to_have_text("Exported.")


MARKUP = "<img src=x onerror='window.harmed=1'>"
FORMULA = '=HYPERLINK("http://203.0.113.66/","x")'


def test_markup_and_formulas_from_users_are_inert(reader: Reader, account: Account, tmp_path: Path) -> None:
    """Markup in a route, consumer, path or agent is shown as text; no cell of the export begins like a formula."""
    account.send(
        log(endpoint=MARKUP, consumer=MARKUP, user_agent=MARKUP, path=f"/{MARKUP}"),
        log(endpoint=FORMULA, consumer="@SUM(1)", user_agent="+1", path="-1"),
    )
    page = reader.open(account=account)
    for table in ("#endpoints", "#consumers"):
        expect(page.locator(table).get_by_role("button", name=MARKUP)).to_be_visible()
    page.locator("#endpoints").get_by_role("button", name=MARKUP).click()
    expect(page.locator("#chips")).to_contain_text(MARKUP)
    page.get_by_role("button", name="Logs").click()
    expect(page.locator("#log-rows .route")).to_contain_text(MARKUP)
    assert page.locator("img[src=x]").count() == 0
    page.get_by_role("button", name=re.compile("Remove filter")).click()
    expect(page.locator("#log-rows tr")).to_have_count(2)
    rows = _exported(page, tmp_path)
    assert any(FORMULA in row["endpoint"] for row in rows)
    assert [cell for row in rows for cell in row.values() if cell[:1] in ("=", "+", "-", "@")] == []
    assert page.evaluate("window.harmed") is None
