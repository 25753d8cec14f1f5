"""The file that keeps a database in a folder: each write is appended as a JSON line before it is acknowledged.

One line is one acknowledged request: a JSON list of changes, each `{"table", "put": attributes}`, `{"table", "delete":
key}`, `{"call": operation, "body": {...}}` or `{"calendar": {...}}`. A line is written in one piece and given to the
operating system before the reply goes out, so an acknowledged write survives the end of the process, also by `kill -9`.
It is not forced to the disk: a power cut or a crash of the operating system may lose or damage the last seconds of
writes.
"""

from __future__ import annotations

import fcntl
import json
import os
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable
    from io import BufferedWriter
    from pathlib import Path

    Change = dict[str, Any]

GROWTH = 4  # a journal is compacted when it is this many times as large as after the last compaction
FLOOR = 16 * 1024 * 1024  # bytes; a smaller journal is read again in a fraction of a second, and is not compacted


class JournalError(Exception):
    """The folder cannot be used: taken by another process, not writable, or damaged; one sentence."""


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
            if isinstance(error, BlockingIOError):
                reason = f"{folder} is in use by another process; stop that one or give another --data"
            else:
                reason = f"{folder} is on a file system without locks ({error.strerror}); give another --data"
            raise JournalError(reason) from error
        self._file = -1
        self._size = self._size_when_compact = 0

    def read(self, apply: Callable[[list[Change]], None]) -> str | None:
        """Apply every line, oldest first; returns a sentence about a damaged end, if the file has one.

        A power cut damages the end of the file. Lines there that are not JSON are appended to `journal.damaged`; a
        last line without a line end was never acknowledged, and is skipped. Any other damage raises JournalError.
        Raises OSError.
        """
        if not self.path.exists():
            return None
        bad: list[tuple[int, bytes, ValueError]] = []
        with self.path.open("rb") as lines:
            for number, line in enumerate(lines, 1):
                if not line.endswith(b"\n"):
                    break
                try:
                    changes = json.loads(line)
                except ValueError as error:
                    bad.append((number, line, error))
                    continue
                if bad:
                    raise self._damage(*bad[0])
                try:
                    apply(changes)
                except (LookupError, TypeError, ValueError, AttributeError) as error:
                    raise self._damage(number, line, error) from error
        if not bad:
            return None
        number, line, cause = bad[0]
        if number == 1:  # the first lines were forced to the disk: no power cut did this
            raise self._damage(number, line, cause)
        aside = self.path.with_suffix(".damaged")
        with _opened(aside, os.O_APPEND) as file:
            file.writelines(each for _, each, _ in bad)
        return f"{self.path} was damaged from line {number} to its end ({_said(cause)}); that part is now in {aside}"

    def _damage(self, number: int, line: bytes, cause: Exception) -> JournalError:
        return JournalError(
            f"{self.path}, line {number} is damaged ({_said(cause)}, in {line[:40]!r}); "
            f"to go on without this one write: sed -i.bak {number}d '{self.path}'"
        )

    def append(self, changes: list[Change]) -> None:
        """Append one line. Raises OSError when the disk refuses it, and leaves the file as it was."""
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
        """Whether the file has grown so much that it should be compacted."""
        return self._size > max(FLOOR, GROWTH * self._size_when_compact)

    def compact(self, changes: Iterable[Change]) -> None:
        """Replace the file by these changes, one a line. At any moment either the old or the new file is there, whole.

        Raises OSError when the new file cannot be written; the old one goes on then, and grows before the next try.
        """
        self._size_when_compact = self._size
        fresh = self.path.with_suffix(".new")
        with _opened(fresh, os.O_TRUNC) as file:
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
        """Close the file and release the folder."""
        self._close_file()
        os.close(self._lock)

    def _close_file(self) -> None:
        if self._file >= 0:
            os.close(self._file)
            self._file = -1


def _opened(path: Path, how: int) -> BufferedWriter:
    """A file to write to, for its owner alone: logs hold addresses of people."""
    return os.fdopen(os.open(path, os.O_WRONLY | os.O_CREAT | os.O_CLOEXEC | how, 0o600), "wb")


def _said(error: Exception) -> str:
    return f"{error.msg} at character {error.pos}" if isinstance(error, json.JSONDecodeError) else repr(error)
