"""Fixtures of the page's tests. Each test has a key and logs of its own; the service and the browser are shared."""

from __future__ import annotations

import os
from typing import TYPE_CHECKING

import pytest
from playwright.sync_api import Browser, sync_playwright

from local.tools.screenshot import CHROMIUM, FLAGS
from tests.support.browser import Account, Reader, Readers, Server

if TYPE_CHECKING:
    from collections.abc import Iterator


@pytest.fixture(scope="session")
def server() -> Iterator[Server]:
    """One service for all tests that do not stop it."""
    server = Server()
    yield server
    server.stop()


@pytest.fixture
def account(server: Server) -> Account:
    """A key of its own for each test."""
    return Account.at(server)


@pytest.fixture(scope="session")
def browser() -> Iterator[Browser]:
    """Debian's Chromium, or the one that CHROMIUM names."""
    with sync_playwright() as playwright:
        browser = playwright.chromium.launch(executable_path=os.environ.get("CHROMIUM", CHROMIUM), args=FLAGS)
        yield browser
        browser.close()


@pytest.fixture
def readers(browser: Browser, server: Server) -> Iterator[Readers]:
    """Makes readers with options of their own, and checks them at the end."""
    readers = Readers(browser, server)
    yield readers
    readers.close()


@pytest.fixture
def reader(readers: Readers) -> Reader:
    """A reader with the default options."""
    return readers()
