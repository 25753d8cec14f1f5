"""The two tables in DynamoDB: the only code that talks to AWS.

client    the botocore client, and what its errors mean
logs      the table of logs: batches, rollups, watermarks
record    the record of a key, and its scopes
keys      the table of keys
quota     calls of a stream in a day
erasure   all data of a stream is deleted, page by page
"""

from analytics.store.keys import KeyTable
from analytics.store.logs import LogTable
from analytics.store.record import KeyRecord, Scope

__all__ = ["KeyRecord", "KeyTable", "LogTable", "Scope"]
