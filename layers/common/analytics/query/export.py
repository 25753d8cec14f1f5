"""Raw logs as rows, and rows as files: CSV for spreadsheets, newline-delimited JSON for everything else."""

from __future__ import annotations

import csv
import io
import json
import re
from collections.abc import Iterable, Mapping

from analytics.batch import Batch
from analytics.query.cursor import Cursor
from analytics.schema import Log
from analytics.times import isoformat

COLUMNS = ("id", *(name for name in Log.__annotations__ if name != "weight"), "weight")
Row = Mapping[str, object]


def row(sort_key: str, batch: Batch, position: int) -> Row:
    """One log of a stored batch as COLUMNS; its id says where it lies. `process_time` is in milliseconds."""
    values = {
        "id": Cursor(sort_key, position).encode(),
        "created_at": isoformat(batch.times[position]),
        "process_time": batch.durations[position] / 1000,
        "weight": batch.weights[position] if batch.weights else 1,
        **dict(zip(("method", "endpoint", "status_code"), batch.series[batch.series_ids[position]], strict=True)),
        **{name: column.at(position) for name, column in batch.texts.items()},
    }
    return {name: values.get(name) for name in COLUMNS}


def to_ndjson(rows: Iterable[Row]) -> str:
    """One JSON object a line."""
    return "".join(json.dumps(each, separators=(",", ":"), ensure_ascii=False) + "\n" for each in rows)


def to_csv(rows: Iterable[Row]) -> str:
    """Comma-separated values under a line of names (RFC 4180), null as nothing.

    Text that a spreadsheet would run as a formula gets an apostrophe before it (OWASP, "CSV Injection"): also after a
    semicolon, which is where a cell ends for a spreadsheet of many a country.
    """
    text = io.StringIO()
    writer = csv.writer(text)
    writer.writerow(COLUMNS)
    writer.writerows([[_inert(value) for value in each.values()] for each in rows])
    return text.getvalue()


_STARTS = tuple("=+-@\t\r\n\uff1d\uff0b\uff0d\uff20")  # of a formula; the last four are the first four, full-width
_FORMULA = re.compile(f"(^|;)(?=[{re.escape(''.join(_STARTS))}])")


def _inert(value: object) -> object:
    if isinstance(value, str) and (";" in value or value.startswith(_STARTS)):
        return _FORMULA.sub(r"\1'", value)
    return value
