"""Schemathesis makes requests out of the live OpenAPI document, right ones and wrong ones, and holds the answers to it.

It runs by its command: of its plugin for pytest, the part that takes a running service does not work with pytest 9.2.
"""

from __future__ import annotations

import os
import re
import subprocess
import sys
from pathlib import Path

import pytest

from tests.conftest import partly_long
from tests.support.engines import ROOT
from tests.support.raw_http import RunningServer

HERE = Path(__file__).parent
LONGEST_S = 600  # on a machine that does much else
# What each is for. What a key may not do is one answer, and `tests/functions/test_access.py` has it for every route.
ASKED = {
    "read": ["--include-tag", "insights"],
    "full": ["--include-tag", "keys", "--include-tag", "service"],
    "write": ["--include-tag", "tracking"],
    "none": ["--phases", "coverage", "--include-operation-id", "generate_key"],
}
LEAST = {"full": 150, "read": 250, "write": 250, "none": 30}  # requests that must have been made


@pytest.mark.parametrize("scope", partly_long(ASKED))
def test_answers_are_what_the_document_says(server: RunningServer, scope: str, tmp_path: Path) -> None:
    """Never a 5xx; status, type, headers and body as described; what fits is taken, what does not fit is refused."""
    full = server.sign_up()
    environment = {"SERVICE": server.url, "SCOPE": scope, "SCHEMATHESIS_HOOKS": "tests.security.asking"}
    if scope != "none":
        environment["KEY"] = full if scope == "full" else server.key(full, scope)
    done = subprocess.run(
        [
            *(sys.executable, "-m", "schemathesis.cli", "--config-file", str(HERE / "schemathesis.toml")),
            *("run", f"{server.url}/openapi.json", "--no-color", *ASKED[scope]),
        ],
        cwd=tmp_path,
        env=os.environ | environment | {"PYTHONPATH": str(ROOT)},
        capture_output=True,
        text=True,
        timeout=LONGEST_S,
        check=False,
    )
    assert done.returncode == 0, done.stdout + done.stderr
    passed = re.search(r"(\d+) passed", done.stdout.rpartition("Test cases:")[2])
    assert passed, done.stdout
    assert int(passed[1]) >= LEAST[scope]
