"""What `make build` made, as it will be uploaded."""

from __future__ import annotations

import json
import subprocess

import pytest
import yaml

from local.tools import interpreter
from local.tools.build import BUILT, LAYER, size

pytestmark = [
    pytest.mark.container,
    pytest.mark.skipif(not (BUILT / "template.yaml").is_file(), reason="nothing is built: run `make build`"),
]
UNCHECKED = 0b01  # of a .pyc's flags: by hash, and not compared with the source (PEP 552)
MAX_MB = 35


def test_the_layer_is_small() -> None:
    """Lambda unpacks it at each cold start."""
    assert size(BUILT / LAYER) <= MAX_MB


def test_every_module_comes_compiled_whatever_its_file_time() -> None:
    """Beside each is bytecode that is taken as it is: a zip resets times, and /opt can not be written to."""
    modules = [path for path in BUILT.rglob("*.py") if "__pycache__" not in path.parts]
    assert len(modules) > 400
    for module in modules:
        (compiled,) = (module.parent / "__pycache__").glob(f"{module.stem}.cpython-*.pyc")
        assert int.from_bytes(compiled.read_bytes()[4:8], "little") == UNCHECKED, module


def test_a_client_of_dynamodb_finds_its_description() -> None:
    """Of botocore's data there is DynamoDB's, without its documentation, and no other service's."""
    data = BUILT / LAYER / "python" / "botocore" / "data"
    assert [path.name for path in sorted(data.iterdir()) if path.is_dir()] == ["dynamodb"]
    (description,) = data.glob("dynamodb/2012-08-10/service-2.json")
    assert '"documentation":"' not in description.read_text()


def test_openapi_models_wait_until_they_are_used() -> None:
    """FastAPI's models of a document take no time at a start, and make one all the same; pydantic.v1 is not there."""
    python = interpreter.find(
        yaml.safe_load((BUILT / "template.yaml").read_text())["Parameters"]["Runtime"]["Default"][6:]
    )
    if python is None:
        pytest.skip("the Python that was built for is not here")
    code = """
import fastapi, json
from fastapi.openapi.models import OpenAPI
built = OpenAPI.__pydantic_complete__
app = fastapi.FastAPI(title="t")
app.get("/{n}")(lambda n: n)
print(json.dumps([built, list(app.openapi()["paths"]), OpenAPI.__pydantic_complete__]))
import pydantic.v1
"""
    environment = {"PYTHONPATH": str(BUILT / LAYER / "python"), "PYTHONDONTWRITEBYTECODE": "1"}
    done = subprocess.run([python, "-s", "-c", code], env=environment, capture_output=True, text=True, check=False)
    assert json.loads(done.stdout) == [False, ["/{n}"], True]
    assert "No module named 'pydantic.v1'" in done.stderr


def test_what_is_built_is_what_is_deployed() -> None:
    """The built template takes no other runtime or architecture: the layer would fail at import."""
    parameters = yaml.safe_load((BUILT / "template.yaml").read_text())["Parameters"]
    for name in ("Runtime", "Architecture"):
        assert parameters[name]["AllowedValues"] == [parameters[name]["Default"]]
