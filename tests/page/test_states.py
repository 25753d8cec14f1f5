"""What the page does when time passes, when nobody looks, and when the server is away."""

from __future__ import annotations

import re
from collections.abc import Iterator
from pathlib import Path

import pytest
from playwright.sync_api import expect

from tests.support.browser import Account, Reader, Readers, Server, log, tile

pytestmark = pytest.mark.browser

HIDE = """hidden => {
    Object.defineProperty(document, "hidden", { configurable: true, get: () => hidden });
    document.dispatchEvent(new Event("visibilitychange"));
}"""


def _asked(reader: Reader) -> int:
    return sum("/dashboard?" in request.url for request in reader.requests)


def test_the_page_refreshes_by_itself(reader: Reader, account: Account) -> None:
    """Ten seconds later the numbers are new, without a click, and the URL is the same."""
    account.send(log())
    page = reader.open(account=account)
    expect(tile(page, "total_requests")).to_have_text("1")
    account.send(log(0.1))
    expect(tile(page, "total_requests")).to_have_text("2", timeout=14_000)


def test_a_hidden_tab_asks_for_nothing(reader: Reader, account: Account) -> None:
    """While the tab is hidden no request is made; the moment it is seen again the numbers are new."""
    account.send(log())
    page = reader.open(account=account)
    expect(tile(page, "total_requests")).to_have_text("1")
    page.evaluate(HIDE, True)
    before = _asked(reader)
    account.send(log(0.1))
    page.wait_for_timeout(12_000)
    assert _asked(reader) == before
    page.evaluate(HIDE, False)
    expect(tile(page, "total_requests")).to_have_text("2", timeout=3_000)


def test_an_empty_range_says_what_to_do(reader: Reader, account: Account) -> None:
    """Logs that are elsewhere in time, or hidden by a filter, are one click away."""
    account.send(log(60 * 24 * 40))
    page = reader.open("?method=DELETE", account)
    expect(page.get_by_role("heading", name="No requests here")).to_be_visible()
    page.get_by_role("button", name="Clear filters").click()
    page.get_by_role("button", name="Show all time").click()
    expect(tile(page, "total_requests")).to_have_text("1")


def test_a_url_that_makes_no_sense_shows_the_plain_view(reader: Reader, account: Account) -> None:
    """Unknown ranges, periods and tabs fall back instead of failing."""
    account.send(log())
    page = reader.open("?range=soon&period=secondly&tab=x&chart=y&from=1", account)
    expect(tile(page, "total_requests")).to_have_text("1")
    expect(page.locator("#ranges [aria-pressed=true]")).to_have_text("24h")


@pytest.fixture
def mortal(tmp_path: Path) -> Iterator[Server]:
    """A service of its own, which a test may stop, and start again over the same data."""
    server = Server("--data", str(tmp_path))
    yield server
    server.stop()


def test_a_server_that_goes_away_is_waited_for(readers: Readers, mortal: Server) -> None:
    """The page says that the server does not answer, keeps its numbers, tries again, and recovers by itself."""
    reader = readers(mortal)
    reader.expected = ("ERR_CONNECTION_REFUSED",)
    account = Account.at(mortal)
    account.send(log(), log())
    page = reader.open(account=account)
    expect(tile(page, "total_requests")).to_have_text("2")
    mortal.stop()
    page.get_by_role("button", name="7d", exact=True).click()
    notice = page.locator("#notice")
    expect(notice).to_contain_text("The server does not answer.")
    expect(notice).to_contain_text(re.compile(r"Next try in \d s"))
    expect(tile(page, "total_requests")).to_have_text("2")
    mortal.start()
    expect(notice).to_be_hidden()
    expect(page.locator("#interval")).not_to_be_empty()
    expect(tile(page, "total_requests")).to_have_text("2")


def test_a_server_that_is_away_at_the_start_is_said_to_be(readers: Readers, mortal: Server) -> None:
    """Signing in while the server is down says so at the form and keeps what was typed."""
    reader = readers(mortal)
    reader.expected = ("ERR_CONNECTION_REFUSED",)
    page = reader.open()
    mortal.stop()
    page.get_by_label("API key").fill("aak_something")
    page.get_by_role("button", name="Open").click()
    expect(page.locator("#sign-in-error")).to_contain_text("The server does not answer")
    expect(page.get_by_label("API key")).to_have_value("aak_something")
    mortal.start()


def test_without_the_chart_library_every_number_is_in_a_table(reader: Reader, account: Account) -> None:
    """Where npm was not there, the table stands open in place of the chart, and the page says what is missing."""
    reader.expected = ("assets/uplot.",)
    account.send(log(), log(status_code=500))
    reader.context.route("**/assets/uplot.*", lambda route: route.fulfill(status=404, body=""))
    page = reader.open(account=account)
    expect(page.locator("#missing")).to_contain_text("python -m local.tools.vendor")
    expect(page.locator("#plot")).to_be_hidden()
    expect(page.locator("#series tbody tr").first.locator("td").first).to_have_text("2")
