"""Whether anything is lost or doubled in the long run: python -m bench.soak [--minutes 10] [--rate 50] [--storm]

`python -m local serve --data DIR` runs as a process of its own and is killed (SIGKILL) every so often, in the midst of
a steady load: a FastAPI app with the middleware (`rate` requests a second), a client that sends a batch of `rate` logs
a second, and again until it is acknowledged, one that sends `rate`/10 single logs a second, each once, and readers.
With `--storm` the database is a process of its own, which is killed in turn with the gateway, and every sixth request
on the way to it meets one of the faults of `bench.storm`.

At the end every log is looked for. Exit code 1 when one that was acknowledged is missing, one is there twice, the
dashboard counts other than that, the middleware's account does not add up, or an answer was neither right nor a clear
503.
"""

from __future__ import annotations

import argparse
import contextlib
import os
import select
import signal
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path

import httpx

from bench.load import Account, Caller, Shop, every, missing_and_double, running
from bench.storm import Chance, Fault, InTurn, Storm
from local.ports import free_port

ROOT = Path(__file__).parent.parent
START_S = 60.0  # s that a process may take until it serves
SETTLE_S = 180.0  # s that the middleware may take to deliver what waits, after the last kill
SHARES = {
    Fault.throttled: 0.05,
    Fault.conflict: 0.05,
    Fault.crashed: 0.02,
    Fault.away: 0.02,
    Fault.lost: 0.02,
    Fault.cut: 0.02,
    Fault.silent: 0.005,
    Fault.late: 0.005,
}


class Process:
    """`python -m local …` on a port that it keeps; killed and started anew as often as one likes."""

    def __init__(self, log: Path, command: str, *arguments: str) -> None:
        port = free_port()
        self._command = [sys.executable, "-m", "local", command, "--port", str(port), *arguments]
        self._log = log
        self._process: subprocess.Popen[str] | None = None
        self.url = f"http://127.0.0.1:{port}"

    def start(self) -> None:
        """Start, and wait until it says where it serves."""
        with self._log.open("a") as log:
            self._process = subprocess.Popen(
                self._command, cwd=ROOT, stdout=subprocess.PIPE, stderr=log, text=True, bufsize=1
            )
        assert self._process.stdout
        if not select.select([self._process.stdout], [], [], START_S)[0] or not self._process.stdout.readline():
            raise TimeoutError(f"{' '.join(self._command)} does not start\n{self._log.read_text()[-2000:]}")

    def stop(self, how: signal.Signals) -> None:
        """End it with a signal."""
        if self._process is not None:
            self._process.send_signal(how)
            self._process.wait(30)
            assert self._process.stdout
            self._process.stdout.close()
            self._process = None

    @property
    def megabytes(self) -> float:
        """Memory that it has now."""
        assert self._process is not None
        pages = int(Path(f"/proc/{self._process.pid}/statm").read_text().split()[1])
        return pages * os.sysconf("SC_PAGE_SIZE") / 1e6


@contextlib.contextmanager
def service(folder: Path, stormy: bool) -> Iterator[tuple[list[Process], Storm | None]]:
    """The processes, the gateway first, and the storm before the database if there is one."""
    with contextlib.ExitStack() as stack:
        if stormy:
            database = Process(folder / "log", "dynamodb", "--data", str(folder / "data"))
            storm = stack.enter_context(Storm(database.url, InTurn()))
            processes = [Process(folder / "log", "serve", "--dynamodb", storm.url), database]
        else:
            storm, processes = None, [Process(folder / "log", "serve", "--data", str(folder / "data"))]
        for process in reversed(processes):
            process.start()
            stack.callback(process.stop, signal.SIGTERM)
        yield processes, storm


class Kills:
    """Kills the processes in turn, starts each anew, and takes the time until the service answers again."""

    def __init__(self, processes: list[Process], storm: Storm | None, reader: Caller) -> None:
        self._processes = processes
        self._storm = storm
        self._reader = reader
        self._plan = Chance(SHARES)
        self.seconds: list[float] = []
        """Between a kill and the next good answer."""
        self.megabytes: list[float] = []
        """What the gateway had before each kill."""
        if storm:
            storm.plan = self._plan

    def kill(self, number: int) -> None:
        """One kill, but for the first call: the load begins then."""
        if number == 0:
            return
        process = self._processes[number % len(self._processes)]
        if self._storm:
            self._storm.calm()  # the start of a gateway is not what this is about
        self.megabytes.append(self._processes[0].megabytes)
        began = time.monotonic()
        process.stop(signal.SIGKILL)
        process.start()
        while self._reader.call("GET", "/dashboard") is None:
            time.sleep(0.02)
        self.seconds.append(time.monotonic() - began)
        if self._storm:
            self._storm.plan = self._plan


def soak(minutes: float, rate: int, kill_every: float, stormy: bool, folder: Path) -> bool:
    """Load, kills and the verdict, which is printed; whether all is as it should be."""
    with service(folder, stormy) as (processes, storm), contextlib.ExitStack() as stack:
        base = processes[0].url
        # A stream of its own for the middleware: its logs are acknowledged to it alone.
        account, shop_account = Account(), Account()
        key, shop_key = (httpx.post(f"{base}/generate_key", trust_env=False).json()["api_key"] for _ in range(2))
        callers = [Caller(base, key, account) for _ in range(5)]
        batches, singles, reader, pages, killer = callers
        shop, shop_reader = Shop(base, shop_key), Caller(base, shop_key, shop_account)
        for close in (shop.close, shop_reader.close, *(each.close for each in callers)):
            stack.callback(close)
        kills = Kills(processes, storm, killer)
        began_with = processes[0].megabytes
        with running(
            lambda stop: shop.run(rate, stop),
            lambda stop: every(1, lambda n: batches.send_batch(rate, f"batch{n}", stop), stop),
            lambda stop: every(10 / rate, lambda n: singles.send_one(f"single{n}"), stop),
            lambda stop: every(1, lambda n: reader.read_dashboard("?period=hourly" if n % 2 else ""), stop),
            lambda stop: every(2, lambda _: pages.call("GET", "/raw_logs?limit=200"), stop),
            lambda stop: every(kill_every, kills.kill, stop),
        ):
            time.sleep(minutes * 60)
        if storm:
            storm.calm()
        ended = time.monotonic()
        settled = shop.flush(SETTLE_S)
        waited = time.monotonic() - ended
        ended_with = processes[0].megabytes
        there, shop_there = reader.read_logs(), shop_reader.read_logs()
        counted, shop_blocks = reader.blocks()["summary"]["total_requests"], shop_reader.blocks()
        processes[0].stop(signal.SIGKILL)
        processes[0].start()
        again = sorted(reader.read_logs()) == sorted(there)
        dropped = sum(shop_blocks["delivery"]["dropped"].values())
        found = Found(there, shop_there, counted, dropped, settled=settled, same_after_kill=again)
        memory = [began_with, *kills.megabytes, ended_with]

    print(f"{minutes:g} minutes, {len(kills.seconds)} kills; {storm.seen.total() if storm else 0:,} storm requests")
    for fault, count in sorted(storm.seen.items(), key=str) if storm else ():
        print(f"  {count:9,}  {fault or 'passed'}")
    print(f"middleware   {found.of_the_shop(shop)}; the slowest request took {shop.slowest * 1000:.0f} ms")
    print(f"others       {len(account.sent):,} sent, {len(account.acknowledged):,} acknowledged, {len(there):,} stored")
    print(f"recovery     {_spread(kills.seconds, 's')} from a kill to a good answer")
    print(f"the last     logs came {waited:.1f} s after the load")
    print(f"memory       {', '.join(f'{each:.0f}' for each in memory)} MB: at the start, before each kill, at the end")
    for route, seconds in sorted(account.seconds.items()):
        statuses = {status or "none": n for (at, status), n in sorted(account.answers.items()) if at == route}
        print(f"{route:17}  {_spread([each * 1000 for each in seconds], 'ms')}; answers {statuses}")
    checks = found.wrong(account, shop) | {"wrong answers": account.wrong + shop_account.wrong}
    for name, which in checks.items():
        print(f"{len(which):6}  {name}  {which[:3] if which else ''}")
    return not any(checks.values())


@dataclass(frozen=True)
class Found:
    """What is there in the end: the paths of the logs of the two streams, and what else is told of them."""

    there: list[str]
    shop_there: list[str]
    counted: int  # by the dashboard, of the first
    dropped: int  # that the middleware counted as lost
    settled: bool  # whether the middleware has nothing left
    same_after_kill: bool

    def of_the_shop(self, shop: Shop) -> str:
        """The middleware's account in a few words."""
        return f"{len(shop.made):,} made, {len(self.shop_there):,} stored, {self.dropped:,} counted as lost"

    def wrong(self, account: Account, shop: Shop) -> dict[str, list[str]]:
        """What is not as it should be."""
        missing, double = missing_and_double(self.there, account.acknowledged)
        shop_missing, shop_double = missing_and_double(self.shop_there, shop.made)
        adds_up = self.settled and len(shop_missing) == self.dropped
        counts_right = self.counted == len(self.there)
        return {
            "acknowledged and missing": missing,
            "there twice": double + shop_double,
            "there and never sent": sorted(set(self.there) - account.sent | set(self.shop_there) - shop.made),
            "batches half stored": account.half_stored(self.there),
            "dashboard and logs differ": [] if counts_right else [f"{self.counted} and {len(self.there)}"],
            "the middleware's account": [] if adds_up else [self.of_the_shop(shop)],
            "other after one more kill": [] if self.same_after_kill else ["the logs"],
        }


def _spread(values: Sequence[float], unit: str) -> str:
    ordered = sorted(values) or [0.0]
    middle, late = (ordered[min(int(len(ordered) * share), len(ordered) - 1)] for share in (0.5, 0.99))
    return f"p50 {middle:.3g} {unit}, p99 {late:.3g} {unit}, most {ordered[-1]:.3g} {unit}"


def main(arguments: Sequence[str] | None = None) -> int:
    """Run it; the exit code."""
    parser = argparse.ArgumentParser(prog="python -m bench.soak", description=__doc__)
    parser.add_argument("--minutes", type=float, default=10)
    parser.add_argument("--rate", type=int, default=50, help="requests a second of the tracked app")
    parser.add_argument("--kill-every", type=float, default=60, metavar="SECONDS")
    parser.add_argument("--storm", action="store_true", help="faults between gateway and database")
    options = parser.parse_args(arguments)
    with tempfile.TemporaryDirectory() as folder:
        fine = soak(options.minutes, options.rate, options.kill_every, options.storm, Path(folder))
    print("nothing is lost, nothing is double" if fine else "NOT as it should be")
    return 0 if fine else 1


if __name__ == "__main__":
    raise SystemExit(main())
