"""The journal's file."""

from __future__ import annotations

import resource
import subprocess
from typing import TYPE_CHECKING

import pytest

from local.database.journal import FLOOR, Journal, JournalError

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

    from local.database.journal import Change

ONE, TWO = [{"table": "t", "put": {"id": {"S": "1"}}}], [{"table": "t", "delete": {"id": {"S": "ü"}}}]


def fresh(folder: Path) -> Journal:
    """An open, empty journal."""
    journal = Journal(folder)
    journal.compact([])
    return journal


def lines(journal: Journal) -> list[list[Change]]:
    """Every line that is applied."""
    found: list[list[Change]] = []
    assert journal.read(found.append) is None
    return found


def test_lines_come_back_in_order(tmp_path: Path) -> None:
    """What was appended is read again, line by line, oldest first."""
    journal = fresh(tmp_path / "new" / "folder")
    journal.append(ONE)
    journal.append(ONE + TWO)
    journal.close()
    again = Journal(tmp_path / "new" / "folder")
    assert lines(again) == [ONE, ONE + TWO]
    again.close()


@pytest.mark.parametrize("tail", ["[", '[{"table":"t","put"', '[{"table":"t","delete":{"id":{"S":"2"}}}]', "\0\0\0"])
def test_torn_last_line_is_dropped(tmp_path: Path, tail: str) -> None:
    """A last line that has no end was never acknowledged, and is left out even when it reads well."""
    journal = fresh(tmp_path)
    journal.append(ONE)
    with journal.path.open("a") as file:
        file.write(tail)
    assert lines(journal) == [ONE]
    journal.close()


@pytest.mark.parametrize("tail", ["\0\0\0\n", '[{"table":\n', '\0\0\n[{"ta\n[{"table":"t","delete":{}}]'])
def test_damaged_end_is_put_aside(tmp_path: Path, tail: str) -> None:
    """What a power cut made of the last lines is told and kept in another file; what was before them is there."""
    journal = fresh(tmp_path)
    journal.append(ONE)
    journal.append(TWO)
    with journal.path.open("a") as file:
        file.write(tail)
    found: list[list[Change]] = []
    said = journal.read(found.append)
    assert said is not None
    assert said.startswith(f"{journal.path} was damaged from line 3 to its end (")
    assert found == [ONE, TWO]
    aside = tmp_path / "journal.damaged"
    assert aside.read_text() == tail[: tail.rindex("\n") + 1]
    assert aside.stat().st_mode & 0o777 == 0o600
    journal.close()


@pytest.mark.parametrize(
    ("damage", "cause"),
    [
        ("{]", r"Expecting property name enclosed in double quotes at character 1, in b'\{]"),
        ("\0\0", r"Expecting value at character 0, in b'\\x00\\x00"),
        ('[{"tab":"t"}]', "KeyError.'table'., in "),
    ],
)
def test_damage_in_the_middle_is_an_error(tmp_path: Path, damage: str, cause: str) -> None:
    """A bad line with others after it is not skipped in silence: the error names line, cause and a way to go on."""
    journal = fresh(tmp_path)
    journal.append(ONE)
    with journal.path.open("a") as file:
        file.write(f"{damage}\n")
    journal.append(TWO)

    def apply(changes: list[Change]) -> None:
        for change in changes:
            assert change["table"]

    with pytest.raises(JournalError, match=rf"journal\.jsonl, line 2 is damaged \({cause}") as raised:
        journal.read(apply)
    advice = str(raised.value).partition("to go on without this one write: ")[2]
    subprocess.run(advice, shell=True, check=True)  # noqa: S602 - the advice itself is what is tested
    assert lines(journal) == [ONE, TWO]
    journal.close()


def test_a_file_that_is_no_journal_is_refused(tmp_path: Path) -> None:
    """Damage from the first line on is no power cut's: nothing is put aside."""
    journal = fresh(tmp_path)
    journal.path.write_text("something else\n")
    with pytest.raises(JournalError, match="line 1 is damaged"):
        journal.read(lambda _: None)
    assert journal.path.read_text() == "something else\n"
    journal.close()


def test_compaction_replaces_the_file_whole(tmp_path: Path) -> None:
    """After compaction the file holds just what was given, takes new lines, and nothing else lies about."""
    journal = fresh(tmp_path)
    for _ in range(10):
        journal.append(ONE)
    journal.compact(TWO)
    journal.append(ONE)
    assert lines(journal) == [TWO, ONE]
    modes = {file.name: file.stat().st_mode & 0o777 for file in tmp_path.iterdir()}
    assert modes == {"journal.jsonl": 0o600, "lock": 0o600}
    journal.close()


def test_unfinished_compaction_changes_nothing(tmp_path: Path) -> None:
    """A process that ends in the middle of a compaction leaves the old file as it was."""
    journal = fresh(tmp_path)
    journal.append(ONE)

    def changes() -> Iterator[Change]:
        yield TWO[0]
        raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        journal.compact(changes())
    assert lines(journal) == [ONE]
    journal.close()


def test_grown_journal_asks_for_compaction(tmp_path: Path) -> None:
    """Compaction is wanted once the file is far larger than it was, and no more after it."""
    journal = fresh(tmp_path)
    line = [{"table": "t", "put": {"id": {"S": "1"}, "text": {"S": "x" * (FLOOR // 4)}}}]
    wanted = []
    for _ in range(4):
        journal.append(line)
        wanted.append(journal.wants_compaction)
    assert wanted == [False, False, False, True]
    journal.compact(line)
    assert not journal.wants_compaction
    journal.close()


def test_full_disk_leaves_no_half_line(tmp_path: Path) -> None:
    """When the disk takes only part of a line, the error is raised and the file is as before."""
    journal = fresh(tmp_path)
    journal.append(ONE)
    before = resource.getrlimit(resource.RLIMIT_FSIZE)
    resource.setrlimit(resource.RLIMIT_FSIZE, (journal.path.stat().st_size + 10, before[1]))
    try:
        with pytest.raises(OSError, match="bytes were written"):
            journal.append(TWO)
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, before)
    journal.append(TWO)
    assert lines(journal) == [ONE, TWO]
    journal.close()


def test_folder_belongs_to_one(tmp_path: Path) -> None:
    """A folder in use is refused in one sentence, and free again after close; a file is no folder."""
    journal = Journal(tmp_path)
    with pytest.raises(JournalError, match="is in use by another process; stop that one or give another --data"):
        Journal(tmp_path)
    journal.close()
    Journal(tmp_path).close()
    (tmp_path / "file").write_text("")
    with pytest.raises(JournalError, match="file: File exists"):
        Journal(tmp_path / "file")
