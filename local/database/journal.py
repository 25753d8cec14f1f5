"""A folder that keeps a database: a file of JSON lines to which every write is appended before it is acknowledged.

One line is one acknowledged request: a JSON list of changes, each `{"table", "put": attributes}`, `{"table", "delete":
key}` or `{"call": operation, "body": {...}}`. A line is written in one piece and given to the operating system before
the reply goes out, so what was acknowledged survives the end of the process, `kill -9` included. It is not forced to
the disk: a power cut or a crash of the operating system may lose the last seconds of writes.
"""

from __future__ import annotations

import fcntl
import json
import os
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator
    from pathlib import Path

    Change = dict[str, Any]

GROWTH = 4  # compact when the journal is this many times as large as after the last compaction,
FLOOR = 16 * 1024 * 1024  # bytes: but never below this, where reading it all again costs a fraction of a second


class JournalError(Exception):
    """The folder can not be used: taken by another process, not writable, or damaged; one sentence."""


class Journal:
    """The journal of one folder, which it locks for this process. Not thread-safe: its owner holds a lock."""

    def __init__(self, folder: Path) -> None:
        self.path = folder / "journal.jsonl"
        try:
            folder.mkdir(parents=True, exist_ok=True)
            self._lock = os.open(folder / "lock", os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o600)
        except OSError as error:
            raise JournalError(f"{folder}: {error.strerror}") from error
        try:
            fcntl.flock(self._lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except OSError as error:
            os.close(self._lock)
            raise JournalError(
                f"{folder} is in use by another process; stop that one or give another --data"
            ) from error
        self._file = -1
        self._size = self._size_when_compact = 0

    def read(self) -> Iterator[list[Change]]:
        """Every whole line, oldest first. A torn last line (never acknowledged) is left out, a bad one raises."""
        if not self.path.exists():
            return
        with self.path.open("rb") as lines:
            for number, line in enumerate(lines, 1):
                if not line.endswith(b"\n"):
                    return
                try:
                    yield json.loads(line)
                except ValueError as error:
                    raise JournalError(f"{self.path}, line {number} is damaged: {error}") from error

    def append(self, changes: list[Change]) -> None:
        """Add one line. Raises OSError when the disk does not take it; the file is then as it was before."""
        line = json.dumps(changes, separators=(",", ":")).encode() + b"\n"
        try:
            written = os.write(self._file, line)
            if written != len(line):
                raise OSError(f"only {written} of {len(line)} bytes were written to {self.path}")
        except OSError:
            os.ftruncate(self._file, self._size)
            raise
        self._size += len(line)

    @property
    def wants_compaction(self) -> bool:
        """Whether the file has grown so much that it is worth writing anew."""
        return self._size > max(FLOOR, GROWTH * self._size_when_compact)

    def compact(self, changes: Iterable[Change]) -> None:
        """Replace the file by these changes, one a line. At any moment the old or the new file is there, whole.

        Raises OSError when that can not be written; all is as before then, and compaction wanted again only later.
        """
        self._size_when_compact = self._size
        fresh = self.path.with_suffix(".new")
        # Logs hold addresses of people: the file is for its owner alone.
        with os.fdopen(os.open(fresh, os.O_WRONLY | os.O_CREAT | os.O_TRUNC | os.O_CLOEXEC, 0o600), "wb") as file:
            for change in changes:
                file.write(json.dumps([change], separators=(",", ":")).encode() + b"\n")
            file.flush()
            os.fsync(file.fileno())
        fresh.replace(self.path)
        folder = os.open(self.path.parent, os.O_RDONLY | os.O_DIRECTORY)
        try:
            os.fsync(folder)
        finally:
            os.close(folder)
        self._close_file()
        self._file = os.open(self.path, os.O_WRONLY | os.O_APPEND | os.O_CLOEXEC)
        self._size = self._size_when_compact = os.fstat(self._file).st_size

    def close(self) -> None:
        """Close the file and let the folder go."""
        self._close_file()
        os.close(self._lock)

    def _close_file(self) -> None:
        if self._file >= 0:
            os.close(self._file)
            self._file = -1
