"""The client for DynamoDB, and the translation of its errors into ours."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from typing import TYPE_CHECKING, Any, cast

from botocore.config import Config
from botocore.exceptions import ClientError, HTTPClientError, ResponseStreamingError
from botocore.exceptions import ConnectionError as NoConnectionError
from botocore.session import get_session

from analytics.errors import Unavailable

if TYPE_CHECKING:
    from mypy_boto3_dynamodb import DynamoDBClient

# Two tries of at most 5 s each, and up to 1 s between them: a write has ended after 11 s. A fold assumes that no write
# takes longer than a minute (`fold.GRACE_US`).
CONNECT_S = 1.0
READ_S = 4.0
PAUSES = (0.05, 0.1, 0.2, 0.4, 0.8)  # seconds before each repetition of what an answer left undone
_BUSY = frozenset(
    {
        "InternalServerError",
        "LimitExceededException",
        "ProvisionedThroughputExceeded",
        "ProvisionedThroughputExceededException",
        "RequestLimitExceeded",
        "ServiceUnavailable",
        "ThrottlingError",
        "ThrottlingException",
        "TransactionConflict",
        "TransactionConflictException",
        "TransactionInProgressException",
    }
)
_LATER = (408, 429)  # statuses by which a proxy before DynamoDB says the same


def connect(*, read_timeout: float = READ_S) -> DynamoDBClient:
    """A client for the DynamoDB that the environment names (AWS_ENDPOINT_URL_DYNAMODB, region, credentials).

    It tries twice, and waits at most `read_timeout` seconds for each answer.
    """
    config = Config(
        connect_timeout=CONNECT_S,
        read_timeout=read_timeout,
        retries={"mode": "standard", "total_max_attempts": 2},
        max_pool_connections=32,
    )
    client = cast("DynamoDBClient", get_session().create_client("dynamodb", config=config))
    client.meta.events.register("after-call.dynamodb", _check_whole)
    return client


def _check_whole(http_response: Any, **_: object) -> None:
    """Refuse an answer of status 200 that is not a whole JSON object.

    botocore treats an answer that was cut short, or another server's page, as an empty answer. A valid key would then
    be unknown, and a write that was not done would count as done.
    """
    body, length = http_response.content, http_response.headers.get("Content-Length")
    if http_response.status_code != 200 or (
        body[:1] == b"{" and body[-1:] == b"}" and length in (None, str(len(body)))
    ):
        return
    raise ResponseStreamingError(error=f"{len(body)} bytes of {length or 'JSON'} came")


@contextmanager
def translated() -> Iterator[None]:
    """Raise Unavailable where trying again later is right; let all other errors pass.

    Those are mistakes in the setup (rights, credentials, a missing table) or in our code, which no retry repairs.
    """
    try:
        yield
    except ClientError as error:
        status = error.response.get("ResponseMetadata", {}).get("HTTPStatusCode", 0)
        if status >= 500 or status in _LATER or ({error.response["Error"]["Code"]} | cancellation_codes(error)) & _BUSY:
            raise Unavailable from error
        raise
    except (NoConnectionError, HTTPClientError) as error:
        raise Unavailable from error


def cancellation_codes(error: ClientError) -> set[str]:
    """Why a transaction was cancelled: the codes of its items."""
    reasons = error.response.get("CancellationReasons") or []
    return {reason["Code"] for reason in reasons if reason.get("Code")}
