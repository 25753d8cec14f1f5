"""The tables in DynamoDB: the only code that talks to AWS."""

from analytics.store.keys import KeyTable
from analytics.store.logs import LogTable
from analytics.store.record import KeyRecord

__all__ = ["KeyRecord", "KeyTable", "LogTable"]
