"""moto's DynamoDB as a function, and its tables as plain values: the only module that uses moto's internals.

These are `DynamoHandler`, `dynamodb_backends`, `Table.items`, `Item` and `DynamoType` of moto 5.2. The tests of this
module fail when a new version of moto changes them.
"""

from __future__ import annotations

import base64
import contextlib
import json
from collections import defaultdict
from typing import TYPE_CHECKING, Any

from moto.core.model_instances import reset_model_data
from moto.core.models import DEFAULT_ACCOUNT_ID
from moto.core.request import Request
from moto.dynamodb.models import dynamodb_backends
from moto.dynamodb.models.dynamo_type import DynamoType, Item
from moto.dynamodb.responses import DynamoHandler

if TYPE_CHECKING:
    from collections.abc import Iterator

    Attributes = dict[str, Any]

REGION = "us-east-1"
# All callers share the tables, whatever region or key they sign with, as with DynamoDB Local's -sharedDb.
SIGNED = f"AWS4-HMAC-SHA256 Credential=local/20000101/{REGION}/dynamodb/aws4_request, SignedHeaders=host, Signature=0"
ITEM_CALLS = ("GetItem", "Query", "BatchGetItem")


class _Handler(DynamoHandler):
    """moto's handler, which turns answers with items into JSON itself instead of by moto's generic serialiser.

    The generic one looks up aliases for every attribute of every item, which takes most of the time of a Query.
    """

    def serialized(self, action_result: Any) -> Any:
        if isinstance(action_result.result, dict) and self._get_action() in ITEM_CALLS:
            headers = {"Content-Type": "application/x-amz-json-1.0", **self.response_headers}
            return 200, headers, json.dumps(action_result.result, default=_plain)
        return super().serialized(action_result)


class Engine:
    """One in-memory DynamoDB. Not thread-safe: its owner holds a lock around every call."""

    def __init__(self) -> None:
        self._backend = dynamodb_backends[DEFAULT_ACCOUNT_ID][REGION]

    def clear(self) -> None:
        """Delete every table."""
        self._backend.reset()

    def call(self, operation: str, body: bytes) -> tuple[int, bytes]:
        """Do one DynamoDB operation: its JSON body in, HTTP status and JSON body out."""
        headers = {
            "Host": f"dynamodb.{REGION}.amazonaws.com",
            "Content-Type": "application/x-amz-json-1.0",
            "Authorization": SIGNED,
            "X-Amz-Target": f"DynamoDB_20120810.{operation}",
        }
        url = f"http://dynamodb.{REGION}.amazonaws.com/"
        request = Request.from_primitives("POST", url, headers, body)
        status, _, answer = _Handler.dispatch(request, url, headers)
        # moto's own server keeps every item ever made for its dashboard, also the copies that a Query makes: a megabyte
        # for a Query of 800 items.
        reset_model_data()
        return int(status), answer if isinstance(answer, bytes) else answer.encode()

    def tables(self) -> list[str]:
        """The names of all tables."""
        return list(self._backend.tables)

    def ttl_attribute(self, table: str) -> str | None:
        """The attribute after which items of a table expire, or None."""
        ttl: dict[str, str] = self._backend.tables[table].ttl
        return ttl.get("AttributeName") if ttl["TimeToLiveStatus"] in ("ENABLED", "ENABLING") else None

    def key(self, table: str, attributes: Attributes) -> Attributes | None:
        """The key attributes among these; None when the table or one of them is missing."""
        found = self._backend.tables.get(table)
        if found is None or any(name not in attributes for name in found.table_key_attrs):
            return None
        return {name: attributes[name] for name in found.table_key_attrs}

    def items(self, table: str) -> Iterator[Attributes]:
        """The attributes of every item as on the wire (binary as base64), in no particular order."""
        found = self._backend.tables[table]
        for value in found.items.values():
            for item in value.values() if found.has_range_key else (value,):
                yield _attributes(item)

    def get(self, table: str, key: Attributes) -> Attributes | None:
        """One item's attributes as on the wire, or None."""
        item = _find(self._backend.tables[table], key)
        return _attributes(item) if item is not None else None

    def put(self, table: str, attributes: Attributes) -> None:
        """Store one item, given as on the wire, without conditions or checks."""
        found = self._backend.tables[table]
        held = {name: _held(value) for name, value in attributes.items()}
        _set(found, attributes, Item(*_keys(found, attributes), held))

    def delete(self, table: str, key: Attributes) -> None:
        """Delete one item if it exists."""
        _set(self._backend.tables[table], key, None)

    def presort(self, table: str) -> None:
        """Sort the items of each partition by their sort key.

        moto sorts all items of a table for every page of a Query, with a slow comparison. Sorted items need one
        comparison each: this halves the CPU time of a Query of 3,200 among 7,000 items, from 1.05 to 0.5 s.
        """
        found = self._backend.tables.get(table)
        if found is not None and found.has_range_key:
            for hash_key, partition in found.items.items():
                found.items[hash_key] = dict(sorted(partition.items(), key=_range_value))

    @contextlib.contextmanager
    def only(self, affected: list[tuple[str, Attributes]]) -> Iterator[None]:
        """Within this block the tables hold only the affected items (table, key); changes to these are kept.

        moto copies the whole table for each item of a transaction, to be able to roll back. That takes seconds at
        10,000 items. A transaction touches only the items that it names, so it needs no others in the table.
        """
        whole = {name: self._backend.tables[name] for name, _ in affected}
        items = {name: table.items for name, table in whole.items()}
        found = [(name, key, _find(whole[name], key)) for name, key in affected]
        for table in whole.values():
            table.items = defaultdict(dict)
        for name, key, item in found:
            _set(whole[name], key, item)
        try:
            yield
        finally:
            after = [(name, key, _find(self._backend.tables[name], key)) for name, key in affected]
            for name, table in whole.items():  # after a roll-back the backend holds moto's copy of the table
                table.items = items[name]
                self._backend.tables[name] = table
            for name, key, item in after:
                _set(whole[name], key, item)


def _keys(table: Any, attributes: Attributes) -> tuple[DynamoType, DynamoType | None]:
    hash_key = DynamoType(_held(attributes[table.hash_key_attr]))
    return hash_key, DynamoType(_held(attributes[table.range_key_attr])) if table.has_range_key else None


def _range_value(entry: tuple[DynamoType, Any]) -> Any:
    return entry[0].value


def _find(table: Any, key: Attributes) -> Any:
    hash_key, range_key = _keys(table, key)
    value = table.items.get(hash_key)
    return value if value is None or range_key is None else value.get(range_key)


def _set(table: Any, key: Attributes, item: Any) -> None:
    hash_key, range_key = _keys(table, key)
    if range_key is None:
        if item is None:
            table.items.pop(hash_key, None)
        else:
            table.items[hash_key] = item
    elif item is not None:
        table.items[hash_key][range_key] = item
    elif hash_key in table.items:
        table.items[hash_key].pop(range_key, None)


def _held(typed: Attributes) -> Attributes:
    """A value in moto's form: as on the wire, with binary as bytes."""
    ((kind, value),) = typed.items()
    if kind == "B":
        return {kind: base64.b64decode(value)}
    if kind == "BS":
        return {kind: [base64.b64decode(part) for part in value]}
    if kind == "L":
        return {kind: [_held(part) for part in value]}
    if kind == "M":
        return {kind: {name: _held(part) for name, part in value.items()}}
    return typed


def _attributes(item: Any) -> Attributes:
    return {name: _wire(value) for name, value in item.attrs.items()}


def _wire(typed: Any) -> Attributes:
    """A value as on the wire. moto's own conversion leaves binary in lists and maps as bytes."""
    value = typed.value
    if isinstance(value, dict):
        return {typed.type: {name: _wire(inner) for name, inner in value.items()}}
    if isinstance(value, list):
        return {typed.type: [_plain(inner) for inner in value]}
    return {typed.type: _plain(value)}


def _plain(value: Any) -> Any:
    """A part of an answer in a form that JSON has: moto's values as on the wire, binary as base64."""
    if isinstance(value, DynamoType):
        return _wire(value)
    return base64.b64encode(value).decode() if isinstance(value, bytes) else value
