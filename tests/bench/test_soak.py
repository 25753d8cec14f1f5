"""The soak, for some seconds."""

from __future__ import annotations

import re

import pytest

from bench.load import Account, missing_and_double
from bench.soak import main


@pytest.mark.long
def test_a_short_soak_with_a_kill(capsys: pytest.CaptureFixture[str]) -> None:
    """Everything runs, is killed once, comes back, and adds up; the figures are printed."""
    assert main(["--minutes", "0.05", "--rate", "20", "--kill-every", "1.5"]) == 0
    said = capsys.readouterr().out
    assert re.match(r"0.05 minutes, [12] kills; 0 storm requests\n", said)
    made, stored = re.findall(r"^middleware   (\d+) made, (\d+) stored, 0 counted as lost", said, re.MULTILINE)[0]
    assert int(made) == int(stored) > 20
    assert said.endswith("nothing is lost, nothing is double\n")


def test_what_is_missing_and_what_is_double_is_seen() -> None:
    """The verdict is by path: each acknowledged one must be there, and each that is there, once."""
    assert missing_and_double(["/a", "/b", "/a", "/c"], {"/a", "/b", "/d"}) == (["/d"], ["/a"])


def test_a_half_stored_batch_is_seen() -> None:
    """All of it or none is right."""
    account = Account()
    account.batches += [["/1/a", "/1/b"], ["/2/a", "/2/b"], ["/3/a", "/3/b"]]
    assert account.half_stored(["/1/a", "/1/b", "/2/b"]) == ["/2/a"]
