"""`python -m local.tools.build`: runs `sam build`, then makes the layer small and compiles it, for fast cold starts.

On Lambda /opt and /var/task are read-only, so modules without bytecode are compiled at every cold start. Zips reset
file times, so the bytecode must not depend on them (PEP 552, "unchecked hash-based").
"""

from __future__ import annotations

import argparse
import gzip
import json
import os
import platform
import re
import shutil
import subprocess
import sys
from pathlib import Path
from typing import TYPE_CHECKING, Any

import yaml

from local.tools import interpreter

if TYPE_CHECKING:
    from collections.abc import Sequence

ROOT = Path(__file__).resolve().parents[2]
SAM = ROOT / ".venv-sam" / "bin" / "sam"
BUILT = ROOT / ".aws-sam" / "build"
LAYER = "CommonLayer"
ARCHITECTURES = {"x86_64": "x86_64", "AMD64": "x86_64", "aarch64": "arm64", "arm64": "arm64"}  # Python's: Lambda's
# What a DynamoDB client opens of botocore's descriptions of 400 services.
BOTOCORE_DATA = ("dynamodb", "endpoints", "partitions", "sdk-default-configuration", "_retry")
ENDPOINTS = ("dynamodb", "sts")  # of 400 services, the ones that a function may call
# FastAPI checks whether a model is one of pydantic.v1; without that module none is.
UNUSED = ("bin", "pydantic/v1", "*/tests", "*/__pycache__", "_distutils_hack", "*.pth")
# FastAPI's models of an OpenAPI document. No function makes one, so their validators are built at first use.
OPENAPI_MODELS = Path("fastapi/openapi/models.py")
CONFIG, DEFERRED = (f'    model_config = {{"extra": "allow"{more}}}\n' for more in ("", ', "defer_build": True'))
BUILT_AT_ONCE = re.compile(r"^\w+\.model_rebuild\(\)\n", re.MULTILINE)


class BuildError(Exception):
    """The stack cannot be built; one sentence."""


def build(version: str, architecture: str, into: Path = BUILT, *, snapstart: bool = False) -> None:
    """Build for one Python version ("3.13") and architecture ("x86_64", "arm64") into a folder. Raises BuildError."""
    if snapstart and version == "3.11":
        raise BuildError("SnapStart needs Python 3.12 or newer; give another --runtime")
    python = interpreter.find(version)
    if python is None:
        raise BuildError(f"there is no Python {version} here to build with; give another --runtime")
    overrides = ["--parameter-overrides", f"Runtime=python{version} Architecture={architecture}"]
    sam("build", "--build-dir", str(into), *overrides, python=python)
    trim(into / LAYER / "python")
    compile_all(python, into / LAYER, "/opt")
    for function in sorted(into.iterdir()):
        if function.is_dir() and function.name != LAYER:
            compile_all(python, function, "/var/task")
    settle(into / "template.yaml", {"Runtime": f"python{version}", "Architecture": architecture}, snapstart=snapstart)


def sam(*arguments: str, python: Path | None = None) -> None:
    """Run the SAM CLI; it finds `python` under its name with the version. Raises BuildError when it fails."""
    environment = os.environ | {"SAM_CLI_TELEMETRY": "0", "AWS_EC2_METADATA_DISABLED": "true"}
    if python is not None:
        environment["PATH"] = os.pathsep.join([str(python.parent), environment.get("PATH", os.defpath)])
    command = [str(SAM), *arguments]
    done = subprocess.run(command, cwd=ROOT, env=environment, check=False, capture_output=True, text=True)  # noqa: S603
    if done.returncode:
        raise BuildError(f"sam {arguments[0]} failed:\n{done.stdout}{done.stderr}")


def trim(layer: Path) -> None:
    """Remove files that no function needs, defer unused validators, shorten the data of the DynamoDB client.

    Raises BuildError.
    """
    data = layer / "botocore" / "data"
    unused = [path for pattern in UNUSED for path in layer.glob(pattern)]
    unused += [path for path in data.iterdir() if path.name.split(".")[0] not in BOTOCORE_DATA]
    for path in unused:
        shutil.rmtree(path) if path.is_dir() else path.unlink()
    defer(layer / OPENAPI_MODELS)
    for path in [*data.rglob("*.json"), *data.rglob("*.json.gz")]:
        text = gzip.decompress(path.read_bytes()) if path.suffix == ".gz" else path.read_bytes()
        description = _without_documentation(json.loads(text))
        if path.name == "endpoints.json":
            for partition in description["partitions"]:
                services = partition["services"].items()
                partition["services"] = {name: service for name, service in services if name in ENDPOINTS}
        path.unlink()
        path.with_name(path.name.removesuffix(".gz")).write_text(json.dumps(description, separators=(",", ":")))


def defer(models: Path) -> None:
    """Make pydantic build the validators of these models at their first use. Raises BuildError if the file changed."""
    text = models.read_text()
    shorter, rebuilt = BUILT_AT_ONCE.subn("", text)
    if text.count(CONFIG) != 1 or not rebuilt:
        raise BuildError(f"{OPENAPI_MODELS} has changed since `defer` was written: adapt it")
    models.write_text(shorter.replace(CONFIG, DEFERRED))


def _without_documentation(value: Any) -> Any:
    if isinstance(value, dict):
        return {
            name: _without_documentation(inner)
            for name, inner in value.items()
            if name != "documentation" or not isinstance(inner, str)
        }
    return [_without_documentation(inner) for inner in value] if isinstance(value, list) else value


def compile_all(python: Path, folder: Path, mounted: str) -> None:
    """Compile every module below `folder`, which Lambda mounts at `mounted`. Raises BuildError."""
    command = [str(python), "-m", "compileall", "-q", "-f", "--invalidation-mode", "unchecked-hash"]
    command += ["-s", str(folder), "-p", mounted, str(folder)]
    done = subprocess.run(command, check=False, capture_output=True, text=True)  # noqa: S603
    if done.returncode:
        raise BuildError(f"{folder.name} does not compile: {done.stdout.strip()}")


def settle(template: Path, values: dict[str, str], *, snapstart: bool = False) -> None:
    """Restrict the built template's parameters to the values of this build: others would fail at import."""
    document: Any = yaml.safe_load(template.read_text())
    if snapstart:
        start_from_snapshots(document)
    for name, value in values.items():
        document["Parameters"][name] |= {"Default": value, "AllowedValues": [value]}
    template.write_text(yaml.safe_dump(document, sort_keys=False))


def start_from_snapshots(document: Any) -> None:
    """Route calls to published versions, of which Lambda keeps a snapshot after the init phase (SnapStart).

    SAM creates an alias always or never, so this cannot be a parameter of the template. A version keeps the variables
    that it was published with. A new description publishes a new version (AWS::Lambda::Version, "replacement"), so the
    description names the values of the variables, and `Release` stands for the secret ones.
    """
    document["Parameters"]["Release"] = {
        "Description": "Change it, to anything, whenever SignupToken alone changes: that publishes a version with it.",
        "Type": "String",
        "Default": "1",
    }
    shared = document["Globals"]["Function"]
    named = [value["Ref"] for value in shared["Environment"]["Variables"].values() if isinstance(value, dict)]
    shown = [name for name in named if not document["Parameters"].get(name, {"NoEcho": True}).get("NoEcho")]
    told = " ".join(f"${{{name}}}" for name in [*shown, "Release", LAYER])
    shared |= {"AutoPublishAlias": "live", "AutoPublishAliasAllProperties": True}
    shared["SnapStart"] = {"ApplyOn": "PublishedVersions"}
    for resource in document["Resources"].values():
        if resource["Type"] == "AWS::Serverless::Function":
            resource["Properties"]["VersionDescription"] = {"Fn::Sub": told}


def host_architecture() -> str:
    """This machine's architecture in Lambda's words; x86_64 for one that Lambda does not have."""
    return ARCHITECTURES.get(platform.machine(), "x86_64")


def size(folder: Path) -> float:
    """The size of all files below a folder, in MB."""
    return sum(file.stat().st_size for file in folder.rglob("*") if file.is_file()) / 1e6


def main(arguments: Sequence[str] | None = None) -> int:
    """Validate, build, and print the sizes; returns the exit code."""
    parser = argparse.ArgumentParser(prog="python -m local.tools.build", description=__doc__.splitlines()[0])
    parser.add_argument("--runtime", choices=interpreter.VERSIONS, help="Python version (default: the newest here)")
    parser.add_argument("--architecture", choices=["x86_64", "arm64"], help="(default: this machine's)")
    parser.add_argument("--snapstart", action="store_true", help="start from snapshots, which are paid for")
    options = parser.parse_args(arguments)
    version = options.runtime or interpreter.newest() or interpreter.VERSIONS[0]
    architecture = options.architecture or host_architecture()
    try:
        sam("validate", "--lint", "--region", "us-east-1")
        build(version, architecture, snapstart=options.snapstart)
    except BuildError as error:
        print(f"error: {error}", file=sys.stderr)
        return 1
    print(f"Built for Python {version} on {architecture} in {BUILT.relative_to(ROOT)}")
    for folder in sorted(path for path in BUILT.iterdir() if path.is_dir()):
        print(f"  {folder.name:18} {size(folder):6.1f} MB unzipped")
    return 0


if __name__ == "__main__":
    raise SystemExit(main())
