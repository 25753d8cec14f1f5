"""The connection to DynamoDB, and its errors in our own words."""

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

# Two tries of at most 5 s, and up to 1 s between them: after 11 s a write is over, one way or the other, long before
# the minute (`fold.GRACE_US`) after which a fold takes it that no write of that time can still come.
CONNECT_S = 1.0
READ_S = 4.0
PAUSES = (0.05, 0.1, 0.2, 0.4, 0.8)  # seconds to wait with what an answer left undone, each time
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
_LATER = (408, 429)  # statuses by which whatever stands before DynamoDB says the same


def connect(*, read_timeout: float = READ_S) -> DynamoDBClient:
    """A client for DynamoDB, where the environment says it is (AWS_ENDPOINT_URL_DYNAMODB, region, credentials).

    An answer is waited for at most `read_timeout` seconds, twice.
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
    """Refuse a good answer that is not a whole one.

    botocore takes an answer that was cut short, or a page of some other server, for one without content: a good key
    would be unknown, and a write that nobody did would count as done.
    """
    body, length = http_response.content, http_response.headers.get("Content-Length")
    if http_response.status_code != 200 or (
        body[:1] == b"{" and body[-1:] == b"}" and length in (None, str(len(body)))
    ):
        return
    raise ResponseStreamingError(error=f"{len(body)} bytes of {length or 'JSON'} came")


@contextmanager
def translated() -> Iterator[None]:
    """Raise Unavailable where trying again later is right; leave all other errors as they are.

    Those are mistakes in the setup (rights, credentials, a missing table) or in our own code, which no retry mends.
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
    """Why a transaction was refused: the codes of its items."""
    reasons = error.response.get("CancellationReasons") or []
    return {reason["Code"] for reason in reasons if reason.get("Code")}
