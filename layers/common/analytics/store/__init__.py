"""The tables in DynamoDB: the only code that talks to AWS."""

from analytics.store.keys import KeyRecord, KeyTable
from analytics.store.logs import LogTable, Rollup, Stored

__all__ = ["KeyRecord", "KeyTable", "LogTable", "Rollup", "Stored"]
