"""Functions on a schedule."""

from __future__ import annotations

import sys
import threading
from pathlib import Path
from typing import TYPE_CHECKING, Any

from local.schedule import Schedules
from local.template import Function, Schedule, Template

if TYPE_CHECKING:
    import pytest

FUNCTION = Function("f", "m", "handler", {}, 25.0, 128)


def test_a_function_is_called_at_the_start_and_again_although_it_fails(capsys: pytest.CaptureFixture[str]) -> None:
    """The first call is over when the block begins; a failure is on stderr, and what is printed is not shown."""
    calls: list[tuple[str, str]] = []
    again = threading.Event()

    def handler(event: dict[str, Any], context: Any) -> None:
        sys.stdout.write("a metric")
        calls.append((event["detail-type"], context.function_name))
        if len(calls) > 1:
            again.set()
            return
        raise ZeroDivisionError

    stack = Template((), {"f": FUNCTION}, (), (str(Path.cwd()),), (Schedule("f", 1),))
    with Schedules(stack, {"f": handler}):
        assert calls == [("Scheduled Event", "f")]
        assert again.wait(60)
    assert set(calls) == {("Scheduled Event", "f")}
    out, error = capsys.readouterr()
    assert out == ""
    assert error.startswith("[schedule] f failed\nTraceback")
    assert error.rstrip().endswith("ZeroDivisionError")
