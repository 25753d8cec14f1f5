"""Cursors come back as they went out, or not at all."""

from __future__ import annotations

import base64

import pytest
from hypothesis import given
from hypothesis import strategies as st

from analytics.errors import Invalid
from analytics.query.cursor import Cursor

GOOD = Cursor("L#2025-11-24T12:00:00.000000Z#batch-1.2", 17)


def test_a_cursor_comes_back() -> None:
    """And is safe in a URL."""
    assert Cursor.decode(GOOD.encode()) == GOOD
    assert GOOD.encode().replace("-", "").replace("_", "").isalnum()


@pytest.mark.parametrize(
    "plain",
    ["", "R#2025-11-24/0", "L#2025-11-24T12:00:00.000000Z#b/-1", "L#~/0", "L#2025-11-24T12:00:00.000000Z#b/1/2", "é/1"],
)
def test_a_forged_cursor_is_refused(plain: str) -> None:
    """One that points anywhere but at a log of a batch."""
    with pytest.raises(Invalid, match="The cursor is not valid"):
        Cursor.decode(base64.urlsafe_b64encode(plain.encode()).decode().rstrip("="))


@given(st.text())
def test_any_text_is_a_cursor_or_refused(text: str) -> None:
    """Nothing else is raised, and only texts that we make are read."""
    try:
        assert Cursor.decode(text).encode() == text
    except Invalid as refusal:
        assert refusal.status == 422
