"""The API reference at /docs."""

from __future__ import annotations

import httpx
import pytest
from playwright.sync_api import expect

from tests.page.desk import Reader, Server

pytestmark = pytest.mark.browser


def test_the_reference_opens_an_operation_under_the_strict_policy(reader: Reader) -> None:
    """Swagger UI lists the API and opens an operation; the Content-Security-Policy stops nothing that it needs."""
    page = reader.open("docs")
    operation = page.locator(".opblock", has_text="/track/batch").first
    operation.get_by_role("button").first.click()
    expect(operation.locator(".opblock-body")).to_be_visible()


def test_without_swagger_ui_the_operations_are_listed(reader: Reader, server: Server) -> None:
    """Where npm was not there, every operation of openapi.json is still on the page."""
    reader.expected = ("assets/swagger-ui.",)
    reader.context.route("**/assets/swagger-ui.*", lambda route: route.fulfill(status=404, body=""))
    page = reader.open("docs")
    paths = httpx.get(f"{server.url}/openapi.json", trust_env=False).json()["paths"]
    expect(page.locator(".operation")).to_have_count(sum(len(methods) for methods in paths.values()))
    expect(page.get_by_role("heading", name="POST /track/batch")).to_be_visible()
