"""Raw logs as rows, and rows as files: CSV for spreadsheets, newline-delimited JSON for everything else."""

from __future__ import annotations

import csv
import io
import json
import re
from collections.abc import Iterable, Mapping

from analytics.batch import Batch
from analytics.query.cursor import Cursor
from analytics.times import isoformat

COLUMNS = (
    "id",
    "created_at",
    "method",
    "endpoint",
    "ip",
    "process_time",
    "status_code",
    "consumer",
    "user_agent",
    "path",
    "weight",
)
Row = Mapping[str, object]


def row(sort_key: str, batch: Batch, position: int) -> Row:
    """One log of a stored batch; its id says where it lies. `process_time` is in milliseconds."""
    method, endpoint, status = batch.cells[batch.cell_ids[position]]
    values = (
        Cursor(sort_key, position).encode(),
        isoformat(batch.times[position]),
        method,
        endpoint,
        batch.addresses and batch.addresses.at(position),
        batch.durations[position] / 1000,
        status,
        batch.consumers and batch.consumers.at(position),
        batch.user_agents and batch.user_agents.at(position),
        batch.paths and batch.paths.at(position),
        batch.weights[position] if batch.weights else 1,
    )
    return dict(zip(COLUMNS, values, strict=True))


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
