"""Every refusal a caller can meet, each with the HTTP status it is answered with.

They are raised anywhere and answered in one place, `analytics.web`.
"""

from __future__ import annotations

from dataclasses import asdict, dataclass


@dataclass(frozen=True, slots=True)
class Problem:
    """One thing wrong with a request: which log of the batch (or None), which field (or None), and why."""

    index: int | None
    field: str | None
    reason: str


class ApiError(Exception):
    """A request that cannot be served; `detail` is one sentence for the caller, and safe to show."""

    status = 500

    def __init__(self, detail: str, *, headers: dict[str, str] | None = None) -> None:
        super().__init__(detail)
        self.detail = detail
        self.headers = headers or {}

    def body(self) -> dict[str, object]:
        """The JSON answer: `{"detail": …}`."""
        return {"detail": self.detail}


class Unauthorized(ApiError):
    """The key is missing, malformed, unknown, expired or revoked: all the same to the caller."""

    status = 401

    def __init__(self, detail: str = "Missing or invalid API key", *, scheme: str = "ApiKey") -> None:
        super().__init__(detail, headers={"WWW-Authenticate": scheme})


class Forbidden(ApiError):
    """The key is good, but not for this."""

    status = 403


class NotFound(ApiError):
    """There is no such thing."""

    status = 404


class Conflict(ApiError):
    """It cannot be done as things stand."""

    status = 409


class TooLarge(ApiError):
    """The body is larger, or holds more logs, than is taken at once."""

    status = 413


class Invalid(ApiError):
    """What was sent cannot be read or does not make sense; `problems` says what and where."""

    status = 422

    def __init__(self, detail: str, problems: list[Problem] | None = None) -> None:
        super().__init__(detail)
        self.problems = problems or [Problem(None, None, detail)]

    def body(self) -> dict[str, object]:
        """The JSON answer: `{"detail": …, "errors": [{"index", "field", "reason"}]}`."""
        return {"detail": self.detail, "errors": [asdict(problem) for problem in self.problems]}


class TooMany(ApiError):
    """More calls than are allowed; `retry_after` is in seconds."""

    status = 429

    def __init__(self, detail: str, *, retry_after: int) -> None:
        super().__init__(detail, headers={"Retry-After": str(retry_after)})


class Unavailable(ApiError):
    """The table is throttled or out of reach, and trying again later is right.

    A write was refused as a whole, or its answer got lost: then it may be done as a whole. What is sent again under its
    id is stored once either way.
    """

    status = 503

    def __init__(self, detail: str = "The store is busy, try again", *, retry_after: int = 2) -> None:
        super().__init__(detail, headers={"Retry-After": str(retry_after)})
