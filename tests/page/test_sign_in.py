"""Signing in, and what happens before there is anything to show."""

from __future__ import annotations

import re
from collections.abc import Iterator

import pytest
from playwright.sync_api import expect

from tests.support.browser import Account, Reader, Readers, Server, log, tile

pytestmark = pytest.mark.browser


def test_a_key_opens_the_dashboard_and_stays_out_of_every_url(reader: Reader, account: Account) -> None:
    """The key travels in the X-API-Key header only: no URL of the page, a request or the history holds it."""
    account.send(log(), log())
    page = reader.open(account=account)
    expect(tile(page, "total_requests")).to_have_text("2")
    page.get_by_role("button", name="Logs").click()
    expect(page.locator("#log-rows tr")).to_have_count(2)
    assert account.key not in page.url
    assert [one.url for one in reader.requests if account.key in one.url] == []
    carriers = {one.url.partition("?")[0].rpartition("/")[2] for one in reader.requests if "x-api-key" in one.headers}
    assert carriers == {"dashboard", "raw_logs"}
    assert page.evaluate("document.cookie + JSON.stringify(localStorage)") == "{}"


def test_the_key_outlives_a_reload_but_not_the_tab(reader: Reader, account: Account) -> None:
    """A reload goes on with the key; another tab of the same browser asks for it."""
    account.send(log())
    page = reader.open(account=account)
    page.reload()
    expect(tile(page, "total_requests")).to_have_text("1")
    expect(reader.open().get_by_label("API key")).to_be_visible()


def test_a_key_that_is_refused_says_so_and_is_not_kept(reader: Reader) -> None:
    """A wrong key is answered with what to do, the reader stays at the form, and the tab forgets it."""
    reader.expected = ("401",)
    page = reader.open()
    page.get_by_label("API key").fill("aak_wrong")
    page.get_by_role("button", name="Open").click()
    expect(page.locator("#sign-in-error")).to_contain_text("does not know this key")
    expect(page.get_by_label("API key")).to_be_focused()
    assert page.evaluate("sessionStorage.length") == 0


def test_a_key_that_stops_working_leads_back_to_the_form(reader: Reader, account: Account) -> None:
    """When the service no longer takes the key, the numbers are cleared away and the form says why."""
    reader.expected = ("401",)
    account.send(log(endpoint="/private"))
    page = reader.open(account=account)
    expect(page.get_by_role("button", name="/private")).to_be_visible()
    page.evaluate("sessionStorage.setItem('api-key', 'aak_revoked')")
    page.get_by_role("button", name="7d", exact=True).click()
    expect(page.locator("#sign-in-error")).to_contain_text("no longer knows this key")
    assert "/private" not in page.content()


def test_forget_clears_the_key_and_the_numbers(reader: Reader, account: Account) -> None:
    """After "Forget" neither the key nor a number is left in the page."""
    account.send(log(endpoint="/private"))
    page = reader.open(account=account)
    expect(page.get_by_role("button", name="/private")).to_be_visible()
    page.get_by_role("button", name="Forget").click()
    expect(page.get_by_label("API key")).to_be_visible()
    assert page.evaluate("sessionStorage.length") == 0
    assert "/private" not in page.content()
    page.reload()
    expect(page.get_by_label("API key")).to_be_visible()


def test_a_newcomer_makes_a_key_and_sees_the_first_request_arrive(reader: Reader, server: Server) -> None:
    """Create a key, get the lines to paste, send one request with it, and the page turns into the dashboard."""
    page = reader.open()
    page.get_by_role("button", name="Create a key").click()
    expect(page.locator("#made-key")).to_have_text(re.compile("^aak_"))
    key = page.locator("#made-key").text_content() or ""
    expect(page.locator("#code-environment")).to_have_text(
        f"export API_BASE={server.url}\nexport ANALYTICS_API_KEY={key}"
    )
    expect(page.locator("#code-app")).to_contain_text("app.add_middleware(TrackingMiddleware")
    expect(page.locator("#wait-state")).to_have_text("Waiting for the first request…")
    Account(server, key).send(log(endpoint="/first"))
    expect(tile(page, "total_requests")).to_have_text("1")
    expect(page.get_by_role("button", name="/first")).to_be_visible()
    expect(page.get_by_role("button", name="Hour", exact=True)).to_have_attribute("aria-pressed", "true")


def test_a_key_without_logs_is_told_how_to_connect(reader: Reader, account: Account) -> None:
    """Signing in before anything was stored leads to the lines to paste, not to an empty chart."""
    page = reader.open(account=account)
    expect(page.get_by_role("heading", name="Connect your app")).to_be_visible()
    page.get_by_role("button", name="Use another key").click()
    expect(page.get_by_label("API key")).to_be_visible()


@pytest.fixture
def closed() -> Iterator[Server]:
    """A service whose sign-up needs a token."""
    server = Server(SIGNUP_TOKEN="let-me-in")
    yield server
    server.stop()


def test_where_sign_up_needs_a_token_the_page_asks_for_it(readers: Readers, closed: Server) -> None:
    """A closed sign-up shows a field for its token; the wrong one is refused, the right one makes a key."""
    reader = readers(closed)
    reader.expected = ("401",)
    page = reader.open()
    expect(page.get_by_label("Sign-up token")).to_be_hidden()
    page.get_by_role("button", name="Create a key").click()
    page.get_by_label("Sign-up token").fill("wrong")
    page.get_by_role("button", name="Create a key").click()
    expect(page.locator("#sign-up-error")).to_have_text("That token is not the right one.")
    page.get_by_label("Sign-up token").fill("let-me-in")
    page.get_by_role("button", name="Create a key").click()
    expect(page.get_by_role("heading", name="Your key")).to_be_visible()
