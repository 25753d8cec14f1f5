"""The API reference at /docs, over a small document of its own: the page shows whatever the API describes."""

from __future__ import annotations

from typing import Any

import pytest
from playwright.sync_api import expect

from tests.support.browser import Reader

pytestmark = pytest.mark.browser

DOCUMENT: dict[str, Any] = {
    "openapi": "3.1.0",
    "info": {"title": "API Analytics", "version": "1"},
    "paths": {
        "/track": {"post": {"summary": "Store one log", "responses": {"200": {"description": "Stored"}}}},
        "/dashboard": {
            "get": {
                "description": "All blocks. <script>window.harmed = 1</script>",
                "parameters": [{"name": "period", "in": "query", "schema": {"enum": ["daily", "hourly"]}}],
                "responses": {"200": {"description": "The blocks"}},
            }
        },
    },
}


@pytest.fixture
def documented(reader: Reader) -> Reader:
    """A reader of an API that is described by DOCUMENT."""
    reader.context.route("**/openapi.json", lambda route: route.fulfill(json=DOCUMENT))
    return reader


def test_the_reference_opens_an_operation_under_the_strict_policy(documented: Reader) -> None:
    """Swagger UI lists the API and opens an operation to try; the Content-Security-Policy stops nothing it needs."""
    page = documented.open("docs")
    expect(page.locator(".opblock")).to_have_count(2)
    operation = page.locator(".opblock", has_text="/dashboard")
    operation.get_by_role("button").first.click()
    operation.get_by_role("button", name="Try it out").click()
    expect(operation.get_by_role("combobox")).to_be_visible()
    assert page.evaluate("window.harmed") is None


def test_without_swagger_ui_the_operations_are_listed(documented: Reader) -> None:
    """Where npm was not there, every operation is still on the page, as text."""
    documented.expected = ("assets/swagger-ui.",)
    documented.context.route("**/assets/swagger-ui.*", lambda route: route.fulfill(status=404, body=""))
    page = documented.open("docs")
    expect(page.locator(".operation h3")).to_have_text(["POST /track", "GET /dashboard"])
    expect(page.locator(".operation").last).to_contain_text("<script>")
    assert page.evaluate("window.harmed") is None
