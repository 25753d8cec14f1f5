"""Reasons are sentences for people: every pattern that a caller can meet has one."""

from __future__ import annotations

import re
from collections.abc import Iterator
from typing import Any

import pytest
from pydantic import BaseModel, Field, ValidationError

from analytics.reasons import SENTENCES, reason
from analytics.schema import schema
from functions.keys.app import KeyOptions, Revocation, RotationOptions


class Odd(BaseModel):
    """A model with a pattern that nobody has described."""

    code: str = Field("", pattern="^[a-z]+$")


def patterns(described: Any) -> Iterator[str]:
    """Every pattern in a JSON schema but those of dates, which are for readers of the schema alone."""
    if isinstance(described, dict):
        if "pattern" in described and described.get("format") != "date-time":
            yield described["pattern"]
        yield from described.get("patternProperties", ())
        for each in described.values():
            yield from patterns(each)
    if isinstance(described, list):
        for each in described:
            yield from patterns(each)


def test_every_pattern_has_its_sentence() -> None:
    """Of logs, batches, keys and queries; a new one fails here until it has one."""
    schemas = [
        schema("log"),
        schema("batch"),
        *(each.model_json_schema() for each in (KeyOptions, RotationOptions, Revocation)),
    ]
    found = {pattern for each in schemas for pattern in patterns(each)}
    assert found == set(SENTENCES)


def test_no_sentence_is_a_pattern() -> None:
    """Nothing in it that only a programmer can read."""
    for sentence in SENTENCES.values():
        assert re.fullmatch(r"Input should be [\w ,:'-]+", sentence), sentence


@pytest.mark.parametrize(
    ("value", "expected"),
    [("A", "Input has characters that are not allowed here"), (7, "Input should be a valid string")],
)
def test_a_pattern_without_a_sentence_is_not_shown(value: object, expected: str) -> None:
    """Other messages stay as they are."""
    with pytest.raises(ValidationError) as refusal:
        Odd.model_validate({"code": value})
    (error,) = refusal.value.errors()
    assert reason(error) == expected
