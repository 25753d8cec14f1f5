"""Exports say what is there, and run nowhere."""

from __future__ import annotations

import csv
import io
import json
from typing import Any

from analytics.query.export import COLUMNS, to_csv, to_ndjson

ROW: dict[str, Any] = dict.fromkeys(COLUMNS) | {"id": "x", "endpoint": '/a,"b"', "process_time": 1.5, "weight": 1}


def test_csv_is_read_back() -> None:
    """Commas, quotes and line ends survive; null is nothing."""
    rows = [ROW, ROW | {"consumer": "two\r\nlines"}]
    assert list(csv.DictReader(io.StringIO(to_csv(rows), newline=""))) == [
        {name: "" if value is None else str(value) for name, value in row.items()} for row in rows
    ]


def test_a_formula_is_made_inert() -> None:
    """Text that a spreadsheet would run begins with an apostrophe, whichever mark ends a cell; numbers stay numbers."""
    for start in ("=1+1", "+1", "-1", "@SUM(A1)", "\t=1", "\r=1", "\n=1", "\uff1d1", "\uff0b1", "\uff0d1", "\uff20A"):
        for before in ("", "/a;", ";;"):
            (read,) = csv.DictReader(io.StringIO(to_csv([ROW | {"user_agent": before + start}]), newline=""))
            assert read["user_agent"] == f"{before}'{start}"
    bot = "Mozilla/5.0 (compatible; Bot/2.1; +http://bot.example)"
    (read,) = csv.DictReader(io.StringIO(to_csv([ROW | {"user_agent": bot}])))
    assert read["user_agent"] == bot
    (read,) = csv.DictReader(io.StringIO(to_csv([ROW | {"process_time": -1.0}])))
    assert read["process_time"] == "-1.0"


def test_ndjson_is_one_object_a_line() -> None:
    """Whatever is in it."""
    rows = [ROW, ROW | {"consumer": "two\r\nlines\u2028three"}]
    assert [json.loads(line) for line in to_ndjson(rows).split("\n")[:-1]] == rows
