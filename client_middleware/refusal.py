"""Reads what an answer says is wrong with a batch, and takes named fields out of rows."""

from __future__ import annotations

import json
from collections.abc import Collection, Iterable, Sequence
from typing import NamedTuple

from client_middleware.buffer import Row

UNKNOWN = "Extra inputs are not permitted"
"""The reason that the service gives for a field it does not know, in a log or beside the logs."""


class Problem(NamedTuple):
    """One thing that is wrong with a batch."""

    log: int | None  # its place in the batch; None for what is beside the logs
    field: str  # nested ones with dots; empty for the log or the batch as a whole
    reason: str


def problems(answer: bytes) -> tuple[Problem, ...]:
    """Return the problems that an answer names: `rejected` of a stored batch, `errors` of a refused one."""
    try:
        said = json.loads(answer)
        named = said.get("rejected") or said.get("errors") or ()
        return tuple(Problem(each["index"], each["field"] or "", each["reason"]) for each in named)
    except (ValueError, TypeError, KeyError, AttributeError):  # not an answer of the service
        return ()


def unknown(named: Iterable[Problem]) -> set[str]:
    """Return the fields that the service does not know."""
    return {problem.field for problem in named if problem.reason == UNKNOWN}


def repaired(rows: Sequence[Row], named: Iterable[Problem]) -> dict[int, Row]:
    """Return, by index, the rows whose problems are all in optional fields, without these fields."""
    fields: dict[int, set[str]] = {}
    for problem in named:
        if problem.log is not None and 0 <= problem.log < len(rows):
            fields.setdefault(problem.log, set()).add(problem.field)
    return {
        index: without(rows[index], names) for index, names in fields.items() if names <= _members(rows[index]).keys()
    }


def without(row: Row, names: Collection[str]) -> Row:
    """Return the row without the optional fields of these names."""
    rest = ((name, text) for name, text in _members(row).items() if name not in names)
    return (*row[:6], "".join(f',"{name}":{json.dumps(text)}' for name, text in rest), row[7])


def _members(row: Row) -> dict[str, str]:
    members: dict[str, str] = json.loads(f"{{{row[6][1:]}}}")
    return members
