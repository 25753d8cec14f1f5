"""Time as the service keeps it: whole microseconds since 1970-01-01T00:00Z."""

from __future__ import annotations

from datetime import UTC, datetime

SECOND = 1_000_000  # microseconds
MINUTE = 60  # seconds
HOUR = 3_600  # seconds
DAY = 86_400  # seconds

_EPOCH = datetime(1970, 1, 1, tzinfo=UTC)
_NAIVE_EPOCH = _EPOCH.replace(tzinfo=None)


def microseconds(moment: datetime) -> int:
    """Microseconds since 1970 of a datetime; a datetime without an offset is taken as UTC."""
    since = moment - (_EPOCH if moment.tzinfo else _NAIVE_EPOCH)
    return (since.days * DAY + since.seconds) * SECOND + since.microseconds


def parsed(text: str) -> int:
    """Microseconds since 1970 of a time or date in ISO 8601, in UTC where it has no offset. Raises ValueError."""
    return microseconds(datetime.fromisoformat(text))


def isoformat(at_us: int) -> str:
    """ISO 8601 in UTC with six decimals: `2026-11-24T00:30:00.000000Z`."""
    moment = datetime.fromtimestamp(at_us // SECOND, UTC).replace(microsecond=at_us % SECOND, tzinfo=None)
    return moment.isoformat(timespec="microseconds") + "Z"
