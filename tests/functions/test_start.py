"""What a function leaves of its init phase in the process; looked at in processes of their own."""

from __future__ import annotations

import os
import subprocess
import sys

import pytest

from tests.support.engines import ROOT, STACK

ASK = """
import gc
import functions.ingest.app
print(gc.isenabled(), gc.get_freeze_count() > 10_000)
"""


@pytest.mark.parametrize("on_lambda", [True, False])
def test_collecting_garbage_is_put_off_on_lambda_alone(on_lambda: bool) -> None:
    """There what the init phase made is set aside for good, and later garbage is collected; elsewhere nothing is."""
    environment = os.environ | STACK.functions["IngestFunction"].environment
    if on_lambda:
        environment |= {"AWS_LAMBDA_FUNCTION_NAME": "ingest"}
    done = subprocess.run([sys.executable, "-c", ASK], cwd=ROOT, env=environment, capture_output=True, check=True)
    assert done.stdout.split() == [b"True", str(on_lambda).encode()]
