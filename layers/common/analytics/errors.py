"""Every refusal a caller can meet, each with its HTTP status. `analytics.web` answers them all in one place."""

from __future__ import annotations

from dataclasses import asdict, dataclass


@dataclass(frozen=True, slots=True)
class Problem:
    """One thing wrong with a request.

    `index` is the log's place in the batch, `field` the name of a field or parameter; None where neither applies.
    `reason` is one sentence for a person.
    """

    index: int | None
    field: str | None
    reason: str


class ApiError(Exception):
    """A request that cannot be served. `detail` is one sentence for the caller and holds no secret."""

    status = 500

    def __init__(self, detail: str, *, headers: dict[str, str] | None = None) -> None:
        super().__init__(detail)
        self.detail = detail
        self.headers = headers or {}

    def body(self) -> dict[str, object]:
        """The JSON answer: `{"detail": …}`."""
        return {"detail": self.detail}


UNKNOWN_KEY = "Missing or invalid API key: send it in the X-API-Key header"


class Unauthorized(ApiError):
    """The key is missing, malformed, unknown, expired or revoked. The answer does not say which."""

    status = 401

    def __init__(self, detail: str = UNKNOWN_KEY, *, scheme: str = "ApiKey") -> None:
        super().__init__(detail, headers={"WWW-Authenticate": scheme})


class Forbidden(ApiError):
    """The key is valid, but its scope does not allow this."""

    status = 403


class NotFound(ApiError):
    """What was asked for does not exist."""

    status = 404


class Conflict(ApiError):
    """The request conflicts with what is stored."""

    status = 409


class TooLarge(ApiError):
    """The body is too large, or the batch holds too many logs."""

    status = 413


class Invalid(ApiError):
    """What was sent cannot be read or is not valid. `problems` says what is wrong and where."""

    status = 422

    def __init__(self, detail: str, problems: list[Problem] | None = None) -> None:
        super().__init__(detail)
        self.problems = problems or [Problem(None, None, detail)]

    def body(self) -> dict[str, object]:
        """The JSON answer: `{"detail": …, "errors": [{"index", "field", "reason"}]}`."""
        return {"detail": self.detail, "errors": [asdict(problem) for problem in self.problems]}


class UnsupportedCoding(Invalid):
    """The body has a content coding that the service does not know. The answer names the one that it knows."""

    status = 415

    def __init__(self, detail: str, problems: list[Problem] | None = None) -> None:
        super().__init__(detail, problems)
        self.headers = {"Accept-Encoding": "gzip"}


class TooMany(ApiError):
    """More calls than allowed. `retry_after` is in seconds."""

    status = 429

    def __init__(self, detail: str, *, retry_after: int) -> None:
        super().__init__(detail, headers={"Retry-After": str(retry_after)})


class Unavailable(ApiError):
    """The table is throttled or out of reach; trying again later is right.

    A write was either refused as a whole, or done as a whole and its answer lost. A batch that is sent again under its
    `batch_id` is stored once in both cases. `retry_after` is in seconds.
    """

    status = 503

    def __init__(self, detail: str = "The store is busy, try again", *, retry_after: int = 2) -> None:
        super().__init__(detail, headers={"Retry-After": str(retry_after)})
