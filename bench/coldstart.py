"""How long a function takes to start: python -m bench.coldstart [--imports] [--runtime 3.13]

Each built function in fresh processes, laid out as on Lambda: the layer on PYTHONPATH, the function's folder as working
directory, no bytecode written. *init* is what Lambda does before the first event: importing `app`, which makes the
application and the DynamoDB client; *first* is the first real event, against moto on this machine; *warm* is one of
many later calls that reach no table, so what is left is ours. Beside them: a bare handler, the frameworks with boto3 as
pip installs and compiles them and nothing of ours, a function without the shipped bytecode. Starting Python and what
Lambda's own runtime imports are in none. CPU time is the best of the runs, which other work on the machine disturbs the
least; to compare machines, divide by the frameworks' line.
"""

from __future__ import annotations

import argparse
import json
import os
import platform
import statistics
import subprocess
import sys
import tempfile
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

from local import template
from local.database.dynamodb import DatabaseServer
from local.database.tables import create_missing
from local.environment import MADE_UP
from local.gateway.event import Request, to_event
from local.tools import interpreter
from local.tools.build import BUILT, LAYER, ROOT, BuildError, build, host_architecture, size

RUNS = 9
BAR_MS = 280  # of imports, application and client on 3.13, on the idle machine on which
PLAIN_MS = 283  # the frameworks and boto3 took this long; on another the bar is as much higher as they are slower
WARM_MS = 0.1  # of a call that reaches no table, over a bare handler, on the same machine
MAX_MB = 35.0
FRAMEWORKS = ("boto3", "fastapi", "mangum")
BARE = "def handler(event, context):\n    return {'statusCode': 200, 'body': '{}'}\n"
PLAIN = """import boto3, fastapi, mangum
client = boto3.client("dynamodb")
def handler(event, context):
    return {"statusCode": 200, "body": "{}"}
"""
PROBE = """
import sys, time
import json, logging, traceback
events = json.load(sys.stdin)
start, clock = time.process_time(), time.perf_counter()
import app
ready, waited = time.process_time(), time.perf_counter()
asked = time.process_time()
answer = app.handler(events[0], None)
done = time.process_time()
assert answer['statusCode'] < 300, answer
warm = []
for _ in range(5):
    begun = time.process_time()
    for _ in range(200):
        app.handler(events[1], None)
    warm.append((time.process_time() - begun) / 200)
times = [ready - start, done - asked, min(warm), waited - clock]
print(json.dumps([each * 1000 for each in times] + [len(sys.modules), answer['body']]))
"""
STACK = template.read(ROOT / "template.yaml")
HEALTH = "GET /health"  # of the dashboard; the others answer calls without a key, which takes them longer
LOG = {"method": "GET", "endpoint": "/", "ip": None, "process_time": 1, "status_code": 200}


def event(route: str, body: object = None, key: str = "") -> dict[str, Any]:
    """The event of a request to one route."""
    method, path = route.split()
    headers = [("Content-Type", "application/json"), ("Host", "localhost"), *([("X-API-Key", key)] if key else [])]
    request = Request(method, path, "", headers, json.dumps(body).encode() if body else b"", "127.0.0.1", "HTTP/1.1")
    return to_event(request, route, {}, "id", datetime.now(UTC))


@dataclass(frozen=True)
class Start:
    """One function's start: CPU ms of init, first event and warm call (best), ms by clock (median), modules, a body."""

    init: float
    first: float
    warm: float
    clock: float
    modules: int
    body: str

    def show(self, name: str) -> None:
        """Print it as a line of the table."""
        figures = f"{self.init:10.0f}{self.first:11.1f}{self.warm:10.3f}{self.clock:12.0f}{self.modules:9}"
        print(f"  {name:26}{figures}", flush=True)


class Sandbox:
    """Starts a function of one build as Lambda does, again and again."""

    def __init__(self, python: Path, built: Path, database: str) -> None:
        self._python, self._built = python, built
        self._variables = {"AWS_ENDPOINT_URL_DYNAMODB": database, "AWS_LAMBDA_FUNCTION_NAME": "f"} | MADE_UP

    def run(self, function: str, asked: list[dict[str, Any]], code: str = PROBE, **more: str) -> tuple[str, str]:
        """Standard output and error of one start with two events: the first, and that of the warm calls."""
        known = STACK.functions.get(function)
        path = f".:{self._built / LAYER / 'python'}" if known else "."
        environment = {"PYTHONDONTWRITEBYTECODE": "1", "PYTHONPATH": path}
        environment |= (known.environment if known else {}) | self._variables | more
        command = [str(self._python), "-s", *(["-X", "importtime"] if "importtime" in more else []), "-c", code]
        done = subprocess.run(
            command,
            cwd=self._built / function,
            env=environment,
            input=json.dumps(asked),
            capture_output=True,
            text=True,
            check=True,
        )
        return done.stdout, done.stderr

    def measure(self, function: str, *asked: dict[str, Any], runs: int = RUNS, **more: str) -> Start:
        """The best and the median of some starts."""
        found = [json.loads(self.run(function, list(asked), **more)[0]) for _ in range(runs)]
        init, first, warm = (min(each[i] for each in found) for i in (0, 1, 2))
        return Start(init, first, warm, statistics.median(each[3] for each in found), found[0][4], found[0][5])


def measured(version: str, database: str, imports: bool) -> bool:
    """Measure one Python version and print it; returns whether the bars are met."""
    python = interpreter.find(version)
    if python is None:
        print(f"\nPython {version}: not here")
        return True
    built = BUILT.parent / f"coldstart-{version}"
    build(version, host_architecture(), built)
    for name, code in (("bare", BARE), ("plain", PLAIN)):
        (built / name).mkdir(exist_ok=True)
        (built / name / "app.py").write_text(code)
    install = ["uv", "pip", "install", "--quiet", "--compile-bytecode", "--python", str(python), "--no-build"]
    install += ["--target", str(built / "plain"), "--constraint", str(ROOT / "requirements-dev.txt"), *FRAMEWORKS]
    subprocess.run([f"{sys.prefix}/bin/{install[0]}", *install[1:]], check=True)
    layer = size(built / LAYER)
    print(f"\nPython {version}, layer {layer:.1f} MB unzipped, {RUNS} starts each, ms")
    print(f"  {'':26}{'init, CPU':>10}{'first, CPU':>11}{'warm':>10}{'init, clock':>12}{'modules':>9}")
    sandbox = Sandbox(python, built, database)
    bare, plain = sandbox.measure("bare", {}, {}), sandbox.measure("plain", {}, {})
    bare.show("bare handler")
    plain.show("fastapi, mangum, boto3")
    keys = sandbox.measure("KeysFunction", event("POST /generate_key"), event("GET /keys"))
    key = json.loads(keys.body)["api_key"]
    log = LOG | {"created_at": datetime.now(UTC).isoformat()}
    functions = {
        "keys": keys,
        "ingest": sandbox.measure("IngestFunction", event("POST /track", log, key), event("POST /track", log)),
        "dashboard": sandbox.measure("DashboardFunction", event("GET /dashboard", key=key), event(HEALTH)),
    }
    for name, start in functions.items():
        start.show(name)
    with tempfile.TemporaryDirectory() as nowhere:
        asked = event("POST /track", log, key), event("POST /track", log)
        sandbox.measure("IngestFunction", *asked, runs=3, PYTHONPYCACHEPREFIX=nowhere).show("ingest, no bytecode")
    if imports:
        _imports(sandbox)
    slowest, bar = max(start.init for start in functions.values()), BAR_MS * plain.init / PLAIN_MS
    added = functions["dashboard"].warm - bare.warm
    print(
        f"  init is {slowest / plain.init:.2f} of the frameworks', {bar:.0f} ms being the bar of 3.13 on this machine"
    )
    return layer <= MAX_MB and added <= WARM_MS and (version != "3.13" or slowest <= bar)


def _imports(sandbox: Sandbox) -> None:
    """What dominates: the self time of the packages that `app` imports."""
    _, said = sandbox.run("IngestFunction", [], code="import app", importtime="1")
    spent: dict[str, float] = {}
    for line in said.splitlines():
        parts = line.removeprefix("import time:").split("|")
        if len(parts) == 3 and parts[0].strip().isdigit():
            package = parts[2].strip().split(".")[0]
            spent[package] = spent.get(package, 0) + int(parts[0]) / 1000
    for package, ms in sorted(spent.items(), key=lambda each: -each[1])[:14]:
        print(f"    {package:20}{ms:8.1f}")


def main() -> int:
    """Measure every version that is here; returns 1 when a bar is not met."""
    parser = argparse.ArgumentParser(prog="python -m bench.coldstart")
    parser.add_argument("--imports", action="store_true", help="show which packages take the time")
    parser.add_argument(
        "--runtime", choices=interpreter.VERSIONS, help="one Python version (default: all that are here)"
    )
    options = parser.parse_args()
    versions = [options.runtime] if options.runtime else interpreter.VERSIONS
    os.environ.update(MADE_UP)
    load = os.getloadavg()[0]
    print(f"{platform.machine()}, {os.cpu_count()} cores, load average {load:.1f}: above 0.5 all figures are too high")
    with DatabaseServer("127.0.0.1", 0) as database:
        create_missing(STACK.tables, database.url)
        try:
            met = [measured(version, database.url, options.imports) for version in versions]
        except BuildError as error:
            print(f"error: {error}", file=sys.stderr)
            return 1
    print(
        f"\nBars: init on 3.13 at most {BAR_MS} ms on an idle machine, a warm call at most {WARM_MS} ms over a bare "
        f"handler, layer at most {MAX_MB:.0f} MB: {'met' if all(met) else 'NOT met'}"
    )
    return 0 if all(met) else 1


if __name__ == "__main__":
    raise SystemExit(main())
