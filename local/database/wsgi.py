"""The database as a WSGI app: DynamoDB's operations on moto, written to a journal when a folder is given.

One lock makes each operation whole: moto's tables are plain dicts that a query must not walk while a put changes them.
"""

from __future__ import annotations

import json
import sys
import threading
import time
from dataclasses import asdict
from http import HTTPStatus
from typing import TYPE_CHECKING, Any

from local.database.engine import Engine
from local.database.expiry import Calendar, unexpired
from local.database.idempotency import Tokens
from local.database.journal import Journal, JournalError

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Iterator
    from pathlib import Path
    from wsgiref.types import StartResponse, WSGIEnvironment

    from local.database.journal import Change

    Affected = list[tuple[str, dict[str, Any]]]

SCHEMA_CALLS = ("CreateTable", "DeleteTable", "UpdateTimeToLive")  # written to the journal as they are
BODY_LIMIT = 16 * 1024 * 1024  # bytes; DynamoDB's largest request


class Database:
    """A WSGI app that does DynamoDB operations and, with a folder, writes them to its journal. Thread-safe.

    Raises JournalError when the folder cannot be used.
    """

    def __init__(self, folder: Path | None = None, clock: Callable[[], float] = time.time) -> None:
        self._engine = Engine()
        self._engine.clear()
        self._lock = threading.Lock()
        self._clock = clock
        self._tokens = Tokens(clock)
        self._calendar = Calendar(clock())  # a journal brings its own
        self._schema: list[Change] = []  # the calls that created the tables
        self._journal = Journal(folder) if folder else None
        if self._journal:
            try:
                if self._journal.path.exists():
                    self._calendar = Calendar(0.0)
                if damage := self._journal.read(self._apply):
                    print(f"[dynamodb] {damage}", file=sys.stderr)
                self._journal.compact(self._snapshot())
            except OSError as error:
                self._journal.close()
                raise JournalError(f"{error.filename or folder}: {error.strerror}") from error
            except BaseException:
                self._journal.close()
                raise

    def __call__(self, environ: WSGIEnvironment, start_response: StartResponse) -> Iterable[bytes]:
        """Serve one HTTP request."""
        length = int(environ.get("CONTENT_LENGTH") or 0)
        body = environ["wsgi.input"].read(length) if length <= BODY_LIMIT else b""
        operation = environ.get("HTTP_X_AMZ_TARGET", "").partition(".")[2]
        # No web page may use this database: a browser sends the page's origin with every POST, an SDK never does.
        if environ["REQUEST_METHOD"] != "POST" or not operation or "HTTP_ORIGIN" in environ or length > BODY_LIMIT:
            status, answer = _error(400, "ValidationException", "not a DynamoDB request")
        else:
            status, answer = self.call(operation, body)
        headers = [("Content-Type", "application/x-amz-json-1.0"), ("Content-Length", str(len(answer)))]
        start_response(f"{status} {HTTPStatus(status).phrase}", headers)
        return [answer]

    def call(self, operation: str, body: bytes) -> tuple[int, bytes]:
        """Do one operation; returns status and JSON body. A change is in the journal when the status is 200."""
        request = _parse(body)
        with self._lock:
            if operation == "TransactWriteItems" and (earlier := self._tokens.answer(request)):
                return earlier
            affected = [
                (table, key)
                for table, attributes in _affected(operation, request)
                if (key := self._engine.key(table, attributes)) is not None
            ]
            if operation == "Query":
                self._engine.presort(request.get("TableName", ""))
            before = self._state(affected) if self._journal else []
            if operation == "TransactWriteItems" and affected:
                with self._engine.only(affected):
                    result = self._engine.call(operation, body)
            else:
                result = self._engine.call(operation, body)
            if result[0] == 200:
                changes = self._state(affected)
                if operation in SCHEMA_CALLS:
                    changes.append({"call": operation, "body": request})
                    self._note(operation, request)
                if changes and self._journal:
                    try:
                        self._journal.append(changes)
                    except OSError as error:
                        self._apply(before)
                        return _error(500, "InternalServerError", f"not kept: {error}")
                    if self._journal.wants_compaction:
                        self._compact(self._journal)
                if operation == "TransactWriteItems":
                    self._tokens.note(request, result[1])
            return result

    def close(self) -> None:
        """Write the journal anew without expired items, and release the folder. No call may follow."""
        with self._lock:
            if self._journal:
                self._compact(self._journal)
                self._journal.close()
                self._journal = None

    def _compact(self, journal: Journal) -> None:
        """Compact if that can be done; if not, the old file still has everything."""
        try:
            journal.compact(self._snapshot())
        except OSError as error:
            print(f"[dynamodb] the journal could not be written anew, the old one goes on: {error}", file=sys.stderr)

    def _state(self, affected: Affected) -> list[Change]:
        found = [(table, key, self._engine.get(table, key)) for table, key in affected]
        return [
            {"table": table, "put": item} if item is not None else {"table": table, "delete": key}
            for table, key, item in found
        ]

    def _apply(self, changes: list[Change]) -> None:
        for change in changes:
            if "calendar" in change:
                self._calendar = Calendar(**change["calendar"])
            elif "call" in change:
                self._engine.call(change["call"], json.dumps(change["body"]).encode())
                self._note(change["call"], change["body"])
            elif "put" in change:
                self._engine.put(change["table"], change["put"])
            else:
                self._engine.delete(change["table"], change["delete"])

    def _note(self, operation: str, request: dict[str, Any]) -> None:
        if operation == "DeleteTable":
            self._schema = [change for change in self._schema if change["body"]["TableName"] != request["TableName"]]
        else:
            self._schema.append({"call": operation, "body": request})

    def _snapshot(self) -> Iterator[Change]:
        """The whole content, without the expired items that may be deleted."""
        now = self._calendar.read(self._clock())
        yield {"calendar": asdict(self._calendar)}
        yield from self._schema
        for table in self._engine.tables():
            ttl = self._engine.ttl_attribute(table)
            items = self._engine.items(table)
            for item in unexpired(items, ttl, now) if ttl else items:
                yield {"table": table, "put": item}


def _parse(body: bytes) -> dict[str, Any]:
    try:
        request = json.loads(body)
    except ValueError:
        return {}
    return request if isinstance(request, dict) else {}


def _affected(operation: str, request: dict[str, Any]) -> list[tuple[str, dict[str, Any]]]:
    """(table, attributes that include the key) of each item that an operation may change."""
    table = request.get("TableName", "")
    if operation == "PutItem":
        return [(table, request.get("Item", {}))]
    if operation in ("UpdateItem", "DeleteItem"):
        return [(table, request.get("Key", {}))]
    if operation == "BatchWriteItem":
        writes = [(name, write) for name, writes in request.get("RequestItems", {}).items() for write in writes]
        return [(name, part.get("Item") or part.get("Key", {})) for name, write in writes for part in write.values()]
    if operation == "TransactWriteItems":
        parts = [part for item in request.get("TransactItems", []) for part in item.values()]
        return [(part.get("TableName", ""), part.get("Item") or part.get("Key", {})) for part in parts]
    return []


def _error(status: int, code: str, message: str) -> tuple[int, bytes]:
    body = {"__type": f"com.amazonaws.dynamodb.v20120810#{code}", "message": message}
    return status, json.dumps(body).encode()
