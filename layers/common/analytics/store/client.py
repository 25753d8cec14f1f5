"""The connection to DynamoDB, and its errors in our own words."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from typing import TYPE_CHECKING, cast

from botocore.config import Config
from botocore.exceptions import ClientError, HTTPClientError
from botocore.exceptions import ConnectionError as NoConnectionError
from botocore.session import get_session

from analytics.errors import Unavailable

if TYPE_CHECKING:
    from mypy_boto3_dynamodb import DynamoDBClient

# Two tries of at most 5 s each: a write is over, one way or the other, long before the minute after which a fold takes
# it that no write of that time can still come (see "grace" in the README's design notes).
_CONFIG = Config(
    connect_timeout=1,
    read_timeout=4,
    retries={"mode": "standard", "total_max_attempts": 2},
    max_pool_connections=32,
)
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


def connect() -> DynamoDBClient:
    """A client for DynamoDB, where the environment says it is (AWS_ENDPOINT_URL_DYNAMODB, region, credentials)."""
    return cast("DynamoDBClient", get_session().create_client("dynamodb", config=_CONFIG))


@contextmanager
def translated() -> Iterator[None]:
    """Raise Unavailable where trying again later is right; leave all other errors as they are."""
    try:
        yield
    except ClientError as error:
        status = error.response.get("ResponseMetadata", {}).get("HTTPStatusCode", 0)
        if status >= 500 or ({error.response["Error"]["Code"]} | cancellation_codes(error)) & _BUSY:
            raise Unavailable from error
        raise
    except (NoConnectionError, HTTPClientError) as error:
        raise Unavailable from error


def cancellation_codes(error: ClientError) -> set[str]:
    """Why a transaction was refused: the codes of its items."""
    reasons = error.response.get("CancellationReasons") or []
    return {reason["Code"] for reason in reasons if reason.get("Code")}
