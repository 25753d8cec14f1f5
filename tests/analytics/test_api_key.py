"""The form of keys."""

from __future__ import annotations

import re

import pytest

from analytics import api_key


def test_a_new_key_is_well_formed_and_like_no_other() -> None:
    """A thousand keys are a thousand different ones, each of the form that secret scanners are told."""
    keys = {api_key.generate() for _ in range(1_000)}
    assert len(keys) == 1_000
    assert all(api_key.is_well_formed(each) and re.fullmatch(api_key.PATTERN, each) for each in keys)


def test_a_mistyped_key_is_not_well_formed() -> None:
    """Each character changed, each pair swapped, one missing or one too many is noticed."""
    good = api_key.generate()
    wrong = {good[:at] + ("x" if good[at] != "x" else "y") + good[at + 1 :] for at in range(len(good))}
    wrong |= {good[:at] + good[at + 1] + good[at] + good[at + 2 :] for at in range(len(good) - 1)}
    wrong |= {good[:-1], good + "0", good.upper(), " " + good, ""}
    assert not [each for each in wrong - {good} if api_key.is_well_formed(each)]


@pytest.mark.parametrize("text", ["aak_" + "é" * 33, "aak_" + "٣" * 33, "\ud800" * api_key.LENGTH])
def test_what_is_not_ascii_is_no_key(text: str) -> None:
    """And raises nothing."""
    assert not api_key.is_well_formed(text)


def test_only_the_hash_of_a_key_is_stored() -> None:
    """SHA-256: the same for the same key, and a known value."""
    expected = "ba7816bf8f01cfea414140de5dae2223b00361a396177a9cb410ff61f20015ad"  # FIPS 180-4, "abc"
    assert api_key.hashed("abc") == expected
