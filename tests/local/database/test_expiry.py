"""What a database deletes when it is started and stopped, by what its clock said in the meantime."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING, Any

import pytest

from local.database.wsgi import Database
from tests.support.engines import STACK

if TYPE_CHECKING:
    from pathlib import Path

LOGS = STACK.tables[0]
DAY = 86_400
NOON = 1_763_985_600  # 2025-11-24T12:00:00Z
EARLY, LATE = "2025-11-24T12:00:00.000000Z", "2025-11-24T13:00:00.000000Z"


class Laptop:
    """A database that is open at times; `days` is what the clock says, in days since noon."""

    def __init__(self, folder: Path) -> None:
        self._folder = folder
        self.days: float = 0

    def use(self, *puts: dict[str, Any]) -> list[str]:
        """Start the database, store items, and stop it; returns the sort keys of what its journal then has."""
        database = Database(self._folder, clock=lambda: NOON + self.days * DAY)
        if LOGS.name not in database.call("ListTables", b"{}")[1].decode():
            ttl = {"Enabled": True, "AttributeName": LOGS.ttl_attribute}
            database.call("CreateTable", json.dumps(LOGS.create).encode())
            database.call(
                "UpdateTimeToLive", json.dumps({"TableName": LOGS.name, "TimeToLiveSpecification": ttl}).encode()
            )
        for item in puts:
            status, answer = database.call("PutItem", json.dumps({"TableName": LOGS.name, "Item": item}).encode())
            assert status == 200, answer
        database.close()
        lines = (self._folder / "journal.jsonl").read_text().splitlines()
        return sorted(
            change["put"]["timestamp"]["S"] for line in lines for change in json.loads(line) if "put" in change
        )


@pytest.fixture
def laptop(tmp_path: Path) -> Laptop:
    """With an empty database, at noon."""
    return Laptop(tmp_path)


def item(sort_key: str, days: float, **more: Any) -> dict[str, Any]:
    """An item that expires that many days after noon."""
    return {
        "api_key": {"S": "stream"},
        "timestamp": {"S": sort_key},
        "ttl": {"N": str(int(NOON + days * DAY))},
        **more,
    }


def test_a_clock_that_is_wrong_once_deletes_nothing(laptop: Laptop) -> None:
    """Two years ahead for a day, even while new items come, and then three; afterwards all goes on as before."""
    everything = laptop.use(item("B#1", 1), item("R#2025-11-24", 400, until={"S": LATE}))
    for days in (730, 731, 1095, 1096):
        laptop.days = days
        everything = sorted([*everything, f"S#{days}"])
        assert laptop.use(item(f"S#{days}", 2000)) == everything
    laptop.days = 0.5
    assert laptop.use() == everything
    laptop.days = 2
    assert laptop.use() == [each for each in everything if each != "B#1"]


def test_a_clock_that_goes_on_for_a_week_is_believed(laptop: Laptop) -> None:
    """After a long pause nothing is deleted at first; a week later, what has expired is."""
    laptop.use(item("B#1", 1), item("B#2", 1000))
    for days, found in ((100, ["B#1", "B#2"]), (106, ["B#1", "B#2"]), (107.5, ["B#2"]), (108, ["B#2"])):
        laptop.days = days
        assert laptop.use() == found


def test_a_journal_without_a_calendar_is_in_doubt(laptop: Laptop, tmp_path: Path) -> None:
    """An older build did not note what its clock said: nothing is deleted for a week."""
    laptop.use(item("B#1", 1))
    journal = tmp_path / "journal.jsonl"
    kept = [line for line in journal.read_text().splitlines(keepends=True) if "calendar" not in line]
    journal.write_text("".join(kept))
    for days, found in ((2, ["B#1"]), (8, ["B#1"]), (9.5, [])):
        laptop.days = days
        assert laptop.use() == found


def test_a_batch_stays_until_a_rollup_holds_it(laptop: Laptop) -> None:
    """Of expired batches those go that were received before the `until` of a rollup of their stream."""
    laptop.use(item(f"L#{EARLY}#a", 1), item(f"L#{LATE}#b", 1), item("B#a", 1))
    laptop.days = 2
    assert laptop.use() == [f"L#{EARLY}#a", f"L#{LATE}#b"]
    other = item("R#2025-11-24", 400, until={"S": "2025-11-25"}) | {"api_key": {"S": "another stream"}}
    rollups = laptop.use(item("R#2025-11-24", 400, until={"S": LATE}), other)
    assert rollups == [f"L#{LATE}#b", "R#2025-11-24", "R#2025-11-24"]
