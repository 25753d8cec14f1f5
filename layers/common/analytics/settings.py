"""The settings of the service, read once from the environment. No other module reads it."""

from __future__ import annotations

import os
from collections.abc import Mapping
from dataclasses import dataclass

RAW_RETENTION_DAYS = 90
SUMMARY_RETENTION_DAYS = 400


class MissingSetting(RuntimeError):
    """A required variable is missing or empty; the message names it."""


@dataclass(frozen=True, slots=True)
class Settings:
    """The settings of the service.

    Retention is in days. `daily_quota` is how many tracking calls, and as many reading calls, a stream may make in a
    UTC day; 0 sets no limit. Without a `signup_token` anybody may create a key. `base_path` comes before every path of
    a request, as "/analytics", where a custom domain maps one to the API; it is empty otherwise.
    """

    logs_table: str
    keys_table: str
    signup_token: str | None = None
    raw_retention_days: int = RAW_RETENTION_DAYS
    summary_retention_days: int = SUMMARY_RETENTION_DAYS
    daily_quota: int = 0
    base_path: str = ""

    @classmethod
    def from_environment(cls, environ: Mapping[str, str] = os.environ) -> Settings:
        """Read LOGS_TABLE, KEYS_TABLE, SIGNUP_TOKEN, {RAW,SUMMARY}_RETENTION_DAYS, DAILY_QUOTA and BASE_PATH.

        Raises MissingSetting when a table is not named, ValueError when another value is not valid.
        """
        return cls(
            logs_table=_required(environ, "LOGS_TABLE"),
            keys_table=_required(environ, "KEYS_TABLE"),
            signup_token=environ.get("SIGNUP_TOKEN") or None,
            raw_retention_days=_number(environ, "RAW_RETENTION_DAYS", RAW_RETENTION_DAYS, "days", least=1),
            summary_retention_days=_number(environ, "SUMMARY_RETENTION_DAYS", SUMMARY_RETENTION_DAYS, "days", least=1),
            daily_quota=_number(environ, "DAILY_QUOTA", 0, "calls", least=0),
            base_path=_base_path(environ),
        )


def on_lambda(environ: Mapping[str, str] = os.environ) -> bool:
    """Whether this process runs a Lambda function."""
    return "AWS_LAMBDA_FUNCTION_NAME" in environ


def _required(environ: Mapping[str, str], name: str) -> str:
    value = environ.get(name)
    if not value:
        raise MissingSetting(f"the environment variable {name} must name a DynamoDB table")
    return value


def _base_path(environ: Mapping[str, str]) -> str:
    value = environ.get("BASE_PATH", "")
    parts = [part for part in value.split("/") if part]
    if parts and parts[0] in ("track", "assets"):  # of /track/batch and /assets/{name}, which would then be /batch
        raise ValueError(f"the environment variable BASE_PATH must not begin with track or assets, not {value!r}")
    return "".join(f"/{part}" for part in parts)


def _number(environ: Mapping[str, str], name: str, default: int, unit: str, *, least: int) -> int:
    text = environ.get(name) or str(default)
    if not text.isdecimal() or int(text) < least:
        raise ValueError(
            f"the environment variable {name} must be a whole number of {unit}, at least {least}, not {text!r}"
        )
    return int(text)
