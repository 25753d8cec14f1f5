"""What a body holds: one log or a batch, in the format of this service or of a newer one.

A batch is validated whole inside pydantic-core, straight from its bytes. Only if something is wrong with it, each log
is looked at by itself, and what is odd is repaired and counted. docs/wire.md describes the format for clients.
"""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Iterable
from dataclasses import dataclass, field
from datetime import datetime
from typing import Any, Generic, NotRequired, TypeVar, cast, get_origin, get_type_hints

from pydantic import TypeAdapter, ValidationError

from analytics.errors import Invalid, Problem, TooLarge
from analytics.reasons import reason
from analytics.repair import load, losses, repaired
from analytics.schema import FORMAT, MAX_LOGS, MAX_PROBLEMS, MAX_UNKNOWN, OTHER_FIELDS, Envelope, Log

T = TypeVar("T")

_MAX_NAME = 64  # characters of such a name
_UNSAFE = re.compile("[^0-9A-Za-z_.-]")


@dataclass(frozen=True, slots=True)
class Received:
    """What a body holds, after repair.

    `problems` says why each of the other logs is refused. `counts` has `rejected.<why>`, `trimmed.<field>` and
    `unknown_fields.<name>` in logs (of the batch's own fields once), and `dropped.<why>` in requests.
    """

    logs: list[Log]
    problems: list[Problem] = field(default_factory=list)
    counts: Counter[str] = field(default_factory=Counter)
    batch_id: str = ""
    is_naive: bool = False
    """Whether the time of a single log came without an offset."""


class _Form(Generic[T]):
    """A declared object: how it is validated, and which fields it has."""

    def __init__(self, declared: type[T]) -> None:
        hints = get_type_hints(declared, include_extras=True)
        self.adapter = TypeAdapter[T](declared)
        self.names = hints.keys()
        self.optional = {name for name, hint in hints.items() if get_origin(hint) is NotRequired}

    def take(self, sent: Any, number: int, ours: int, odd: Counter[str]) -> tuple[T, int]:
        """The valid form of an object, and its format: what it says itself, `number` at least.

        Fields that are not known are left out if that is newer than `ours`. What was changed is added to `odd`. Raises
        ValidationError with what cannot be repaired.
        """
        changes = Counter[str]()
        if isinstance(sent, dict):
            named = sent.pop("format", None)
            if isinstance(named, int) and not isinstance(named, bool) and named >= 1:
                number = max(number, named)
            elif named is not None:
                changes["trimmed.format"] += 1
            for name in [name for name in sent if name not in self.names] if number > ours else ():
                del sent[name]
                changes[f"unknown_fields.{_UNSAFE.sub('_', name)[:_MAX_NAME] or '_'}"] += 1
        valid, changed = repaired(self.adapter, sent, self.optional)
        odd.update(changes)
        odd.update(f"trimmed.{name}" for name in changed)
        return valid, number


class Wire:
    """A version of the wire format: what a log and a batch are, and its number."""

    def __init__(self, log: type[Any] = Log, batch: type[Any] = Envelope, number: int = FORMAT) -> None:
        self._log = _Form[Log](log)
        self._batch = _Form[Envelope](batch)
        self._number = number

    def log(self, body: bytes) -> Received:
        """The log in a JSON body. Raises Invalid, with the problems found, the first MAX_PROBLEMS of them."""
        odd = Counter[str]()
        try:
            sent = load(body)
            log, _ = self._log.take(sent, 1, self._number, odd)
        except ValueError as error:
            raise Invalid("The log is not valid", _problems(error)) from error
        is_naive = datetime.fromisoformat(sent["created_at"]).tzinfo is None
        return Received([log], counts=_bounded(odd), is_naive=is_naive)

    def batch(self, body: bytes) -> Received:
        """The batch in a JSON body: its valid logs, and what is wrong with each of the others.

        Raises Invalid when the body is no batch at all, TooLarge when it holds more than MAX_LOGS logs.
        """
        try:
            envelope = self._batch.adapter.validate_json(body)
        except ValidationError:
            return self._repaired(body)
        return Received(envelope["logs"], counts=_lost(envelope), batch_id=envelope["batch_id"])

    def _repaired(self, body: bytes) -> Received:
        odd, problems, kept = Counter[str](), list[Problem](), list[Log]()
        try:
            sent = load(body)
            logs = sent.get("logs") if isinstance(sent, dict) else None
            if isinstance(logs, list):
                if len(logs) > MAX_LOGS:
                    raise TooLarge(f"A batch holds at most {MAX_LOGS} logs")
                sent["logs"] = []
                _take_losses(sent, odd)
            envelope, number = self._batch.take(sent, 1, self._number, odd)
        except ValueError as error:
            raise Invalid("The batch is not valid", _problems(error)) from error
        for index, each in enumerate(cast("list[Any]", logs)):
            try:
                kept.append(self._log.take(each, number, self._number, odd)[0])
            except ValidationError as error:
                problems += _problems(error, index)
        counts = _bounded(odd) + refusals(problems) + _lost(envelope)
        return Received(kept, problems, counts, envelope["batch_id"])


def _take_losses(sent: dict[str, Any], odd: Counter[str]) -> None:
    reported = sent.get("dropped")
    if reported is not None:
        sent["dropped"] = losses(reported)
        odd["trimmed.dropped"] += sent["dropped"] != reported


def _lost(envelope: Envelope) -> Counter[str]:
    return Counter({f"dropped.{why}": n for why, n in envelope.get("dropped", {}).items() if n})


def _bounded(odd: Counter[str]) -> Counter[str]:
    """Counts of what was odd, with at most MAX_UNKNOWN names of unknown fields."""
    unknown = [name for name, _ in odd.most_common() if name.startswith("unknown_fields.")]
    for name in unknown[MAX_UNKNOWN:]:
        odd[f"unknown_fields.{OTHER_FIELDS}"] += odd.pop(name)
    return odd


def _problems(error: ValueError, index: int | None = None) -> list[Problem]:
    """What is wrong with a log or an envelope, the first MAX_PROBLEMS problems."""
    if not isinstance(error, ValidationError):
        return [Problem(index, None, f"Invalid JSON: {error}")]
    details = error.errors(include_url=False, include_input=False)[:MAX_PROBLEMS]
    return [Problem(index, ".".join(map(str, each["loc"]))[:128] or None, reason(each)) for each in details]


def refusals(problems: Iterable[Problem]) -> Counter[str]:
    """Counts of the logs that were refused, `rejected.<why>`: of several problems of a log the first counts."""
    first = {problem.index: problem.field for problem in reversed(list(problems))}
    return Counter(
        "rejected."
        + ("not_a_log" if field is None else f"invalid_{field}" if field in Log.__annotations__ else "unknown_field")
        for field in first.values()
    )


WIRE = Wire()
"""The format of this service."""
