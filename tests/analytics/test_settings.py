"""Settings are read once, and a wrong one names itself."""

from __future__ import annotations

import pytest

from analytics.settings import MissingSetting, Settings

TABLES = {"LOGS_TABLE": "l", "KEYS_TABLE": "k"}


def test_settings_come_from_the_environment() -> None:
    """An empty sign-up token, as a template's default sets it, is none."""
    assert Settings.from_environment(TABLES | {"SIGNUP_TOKEN": ""}) == Settings("l", "k")
    every = TABLES | {
        "SIGNUP_TOKEN": "s",
        "RAW_RETENTION_DAYS": "7",
        "SUMMARY_RETENTION_DAYS": "30",
        "DAILY_QUOTA": "9",
    }
    assert Settings.from_environment(every) == Settings("l", "k", "s", 7, 30, 9)


@pytest.mark.parametrize("name", TABLES)
def test_a_missing_table_is_named(name: str) -> None:
    """Not as a KeyError."""
    with pytest.raises(MissingSetting, match=name):
        Settings.from_environment({other: table for other, table in TABLES.items() if other != name})


@pytest.mark.parametrize("value", ["0", "-1", "1.5", "ninety"])
def test_a_number_that_is_none_is_named(value: str) -> None:
    """With what was found."""
    with pytest.raises(ValueError, match=f"RAW_RETENTION_DAYS.*{value}"):
        Settings.from_environment(TABLES | {"RAW_RETENTION_DAYS": value})
