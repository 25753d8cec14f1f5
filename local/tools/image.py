"""`python -m local.tools.image`: the base image of `sam local`, also without access to its registry.

Without access a stand-in of the same name is made of this machine's Python and C library and of the Lambda runtime
interface client; `sam local` adds the interface emulator. The exit code is 3 when this machine cannot run a container
engine, and 1 for any other error.
"""

from __future__ import annotations

import argparse
import hashlib
import io
import os
import re
import shutil
import subprocess
import sys
import tarfile
import time
from pathlib import Path
from typing import TYPE_CHECKING

from local.tools import interpreter
from local.tools.build import ROOT, host_architecture

if TYPE_CHECKING:
    from collections.abc import Iterable, Sequence

LABEL = "api-analytics.stand-in"
PLATFORMS = {"x86_64": "linux/amd64", "arm64": "linux/arm64"}
TOOLS = ("sh", "mv", "chmod", "cp", "rm")  # what the Dockerfile of `sam local` runs
# What binary wheels may load beside what Python loads (PEP 600).
LIBRARIES = ("dl.so.2", "gcc_s.so.1", "m.so.6", "pthread.so.0", "resolv.so.2", "rt.so.1", "stdc++.so.6", "util.so.1")
LEFT_OUT = {"site-packages", "test", "idlelib", "turtledemo", "tkinter", "ensurepip"}
PULL_S = 300
ENGINE_S = 60
ENGINE_LOG = ROOT / ".aws-sam" / "dockerd.log"
FILES = {
    "etc/passwd": "root:x:0:0::/root:/bin/sh\nsbx_user1051:x:993:990::/tmp:/bin/sh\n",
    "etc/group": "root:x:0:\nsbx_user1051:x:990:\n",
    "etc/nsswitch.conf": "hosts: files dns\n",
    "var/runtime/bootstrap": """#!/bin/sh
export PYTHONPATH=/opt/python:/var/runtime AWS_EXECUTION_ENV=AWS_Lambda_python
cd "${LAMBDA_TASK_ROOT:-/var/task}" && exec /var/lang/bin/python3 -m awslambdaric "${_HANDLER:-$1}"
""",
}
SETTINGS = (
    "ENV PATH=/var/lang/bin:/usr/bin:/bin LD_LIBRARY_PATH=/var/lang/lib LANG=C.UTF-8 TZ=:UTC",
    "WORKDIR /var/task",
    'ENTRYPOINT ["/var/runtime/bootstrap"]',
)


class ImageError(Exception):
    """There is no container engine, or no image for it; one sentence."""


class NoEngineHere(ImageError):
    """This machine cannot run a container engine; one sentence."""


def ensure_engine(start: bool = False) -> None:
    """Return when a container engine answers. With `start`, and as root, install and start Debian's.

    Raises ImageError, and NoEngineHere when this machine cannot run one.
    """
    if _answers():
        return
    if not start:
        raise ImageError("no container engine answers: start Docker")
    if not hasattr(os, "geteuid") or os.geteuid() != 0:
        raise NoEngineHere("no container engine answers, and only root can start one")
    if not shutil.which("dockerd") and not shutil.which("apt-get"):
        raise NoEngineHere("no container engine answers, and only Debian's can be installed from here")
    if not (shutil.which("dockerd") and shutil.which("docker")):
        _apt("update")
        _apt("install", "--yes", "--no-install-recommends", "docker.io")
        if not shutil.which("docker"):  # newer Debian releases package the client separately
            _apt("install", "--yes", "--no-install-recommends", "docker-cli")
    ENGINE_LOG.parent.mkdir(exist_ok=True)
    with ENGINE_LOG.open("wb") as log:
        engine = subprocess.Popen(
            ["dockerd"],  # noqa: S607
            stdin=subprocess.DEVNULL,
            stdout=log,
            stderr=log,
            start_new_session=True,  # it keeps running, as one that the system starts
        )
    late = time.monotonic() + ENGINE_S
    while not _answers():
        if engine.poll() is not None or time.monotonic() > late:
            said = ENGINE_LOG.read_text(errors="replace").strip().splitlines() or ["nothing"]
            raise NoEngineHere(f"dockerd does not come up here; the last it said: {said[-1]}")
        time.sleep(0.2)
    print(f"started dockerd, process {engine.pid}", file=sys.stderr)


def ensure_image(version: str) -> str:
    """The name of the image for a Python version ("3.13"), which is pulled or made if missing. Raises ImageError."""
    architecture = host_architecture()
    name = f"public.ecr.aws/lambda/python:{version}-{architecture}"
    python = interpreter.find(version)
    recipe = _recipe(python)
    found = _docker("image", "inspect", "--format", f'{{{{index .Config.Labels "{LABEL}"}}}} made', name)
    if found.returncode == 0 and found.stdout.split()[0] in ("<no", "made", recipe):  # AWS's own has no such label
        return name
    if found.returncode and _docker("pull", "--quiet", name, timeout=PULL_S).returncode == 0:
        return name
    if python is None:
        raise ImageError(f"{name} cannot be pulled, and there is no Python {version} here to make a stand-in of")
    print(f"making a stand-in for {name}, which cannot be pulled", file=sys.stderr)
    _make(python, version, name, PLATFORMS[architecture], recipe)
    return name


def runtime_client(python: Path, version: str) -> Path:
    """A folder with the Lambda runtime interface client for this interpreter, pinned by requirements-sam.txt.

    Raises ImageError when it cannot be installed.
    """
    folder = ROOT / ".aws-sam" / "runtime" / version
    if not (folder / "awslambdaric").is_dir():
        command = [f"{sys.prefix}/bin/uv", "pip", "install", "--quiet", "--compile-bytecode", "--no-build"]
        command += ["--python", str(python), "--target", str(folder)]
        command += ["--constraint", str(ROOT / "requirements-sam.txt"), "awslambdaric"]
        done = subprocess.run(command, capture_output=True, text=True, check=False)  # noqa: S603
        if done.returncode:
            raise ImageError(f"the runtime interface client cannot be installed: {done.stderr.strip()}")
    return folder


def _make(python: Path, version: str, name: str, platform: str, recipe: str) -> None:
    command = ["docker", "import", "--platform", platform, "--change", f"LABEL {LABEL}={recipe}"]
    for setting in SETTINGS:
        command += ["--change", setting]
    client = runtime_client(python, version)
    with subprocess.Popen([*command, "-", name], stdin=subprocess.PIPE, stdout=subprocess.DEVNULL) as engine:  # noqa: S603
        assert engine.stdin is not None  # noqa: S101 - it is PIPE
        with tarfile.open(fileobj=engine.stdin, mode="w|") as archive:
            _fill(archive, python, version, client)
    if engine.returncode:
        raise ImageError("the engine did not take the image")
    works = "import awslambdaric, bz2, ctypes, lzma, sqlite3, ssl, zlib"
    options = ["--rm", "--network", "none", "--env", "PYTHONPATH=/var/runtime", "--entrypoint", "/var/lang/bin/python3"]
    tried = _docker("run", *options, name, "-c", works)
    if tried.returncode:
        _docker("image", "rm", "--force", name)
        raise ImageError(f"Python {version} does not start in the image made of it: {tried.stderr.strip()}")


def _fill(archive: tarfile.TarFile, python: Path, version: str, client: Path) -> None:
    for link in ("bin", "sbin", "lib", "lib64"):
        _entry(archive, link, tarfile.SYMTYPE, link=f"usr/{link}")
    for folder in ("tmp", "opt", "proc", "sys", "dev", "var/task", "var/rapid"):
        _entry(archive, folder, tarfile.DIRTYPE, 0o1777 if folder == "tmp" else 0o755)
    for path, text in FILES.items():
        _entry(archive, path, tarfile.REGTYPE, text=text)
    asked = [str(python), "-c", "import sys, sysconfig as s; print(s.get_path('stdlib')); print(sys.executable)"]
    stdlib, executable = map(Path, subprocess.run(asked, capture_output=True, text=True, check=True).stdout.split())  # noqa: S603
    tools = [Path(found) for found in map(shutil.which, TOOLS) if found]
    archive.add(executable.resolve(), f"var/lang/bin/python{version}")
    _entry(archive, "var/lang/bin/python3", tarfile.SYMTYPE, link=f"python{version}")
    archive.add(stdlib, f"var/lang/lib/python{version}", filter=_wanted)
    archive.add(client, "var/runtime")
    for tool in tools:
        archive.add(tool.resolve(), f"usr/bin/{tool.name}")
    for library in _libraries([executable, *tools, *stdlib.glob("lib-dynload/*.so"), *client.rglob("*.so")]):
        system = re.match(r"(?:/usr)?/(lib(?:64)?/.*)", str(library))
        archive.add(library.resolve(), f"usr/{system[1]}" if system else f"var/lang/lib/{library.name}")


def _wanted(member: tarfile.TarInfo) -> tarfile.TarInfo | None:
    name = Path(member.name).name
    return None if name in LEFT_OUT or name.startswith("config-") or name.endswith(".a") else member


def _entry(
    archive: tarfile.TarFile, name: str, kind: bytes, mode: int = 0o755, *, link: str = "", text: str = ""
) -> None:
    member = tarfile.TarInfo(name)
    member.type, member.mode, member.linkname, member.size = kind, mode, link, len(text.encode())
    archive.addfile(member, io.BytesIO(text.encode()))


def _libraries(binaries: Iterable[Path]) -> list[Path]:
    """The shared libraries that these files and binary wheels load, by the paths where they are looked for."""
    linked = subprocess.run(["ldd", *map(str, binaries)], capture_output=True, text=True, check=False).stdout  # noqa: S603, S607
    found = {Path(path) for path in re.findall(r"(/[^\s():]+\.so[^\s():]*) \(0x", linked)}
    beside = next(path.parent for path in found if path.name == "libc.so.6")
    return sorted(found | {beside / f"lib{name}" for name in LIBRARIES if (beside / f"lib{name}").exists()})


def _recipe(python: Path | None) -> str:
    """A digest that changes when a new stand-in would differ."""
    version = "" if python is None else subprocess.check_output([str(python), "-VV"], text=True)  # noqa: S603
    sources = [Path(__file__).read_bytes(), (ROOT / "requirements-sam.txt").read_bytes(), version.encode()]
    return hashlib.sha256(b"".join(sources)).hexdigest()[:16]


def _docker(*arguments: str, timeout: float = 60) -> subprocess.CompletedProcess[str]:
    command = ["docker", *arguments]
    try:
        return subprocess.run(command, capture_output=True, text=True, check=False, timeout=timeout)  # noqa: S603
    except subprocess.TimeoutExpired:
        return subprocess.CompletedProcess(command, 124, "", "it took too long")


def _answers() -> bool:
    return shutil.which("docker") is not None and _docker("info", timeout=20).returncode == 0


def _apt(*arguments: str) -> None:
    environment = os.environ | {"DEBIAN_FRONTEND": "noninteractive"}
    done = subprocess.run(["apt-get", "-qq", *arguments], env=environment, check=False, stdout=subprocess.DEVNULL)  # noqa: S603, S607
    if done.returncode:
        raise ImageError(f"apt-get {arguments[0]} failed")


def main(arguments: Sequence[str] | None = None) -> int:
    """Ensure engine and image, and print the image's name; returns the exit code."""
    parser = argparse.ArgumentParser(prog="python -m local.tools.image", description=__doc__.splitlines()[0])
    parser.add_argument("--runtime", choices=interpreter.VERSIONS, help="Python version (default: the newest here)")
    parser.add_argument("--start-engine", action="store_true", help="install and start Debian's Docker, as root")
    options = parser.parse_args(arguments)
    try:
        ensure_engine(options.start_engine)
        print(ensure_image(options.runtime or interpreter.newest() or interpreter.VERSIONS[0]))
    except ImageError as error:
        print(f"error: {error}", file=sys.stderr)
        return 3 if isinstance(error, NoEngineHere) else 1
    return 0


if __name__ == "__main__":
    raise SystemExit(main())
