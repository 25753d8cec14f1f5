"""AWS's documented limits, and what many requests meet in them: a discrete simulation, always the same.

Requests arrive at random and pass the gateway, Lambda's concurrency, and the write units of a partition and of the
table. Nothing queues in AWS: what is over a limit is refused, and waits at the SDK, which tries twice, and then at the
client, which sends it again. Not simulated: reads, the bursts that DynamoDB lends from unused capacity (at most to the
partition's limit, which is what counts here), and that the client sends one batch at a time, so that its batches grow
while it waits.
"""

from __future__ import annotations

import heapq
import random
from collections import Counter, defaultdict
from collections.abc import Sequence
from dataclasses import dataclass, field

from client_middleware.outbox import FIRST_WAIT_S, LONGEST_WAIT_S

# Documented by AWS
PARTITION = 1_000  # write units a second
PARTITION_READS = 3_000  # read units a second
NEW_TABLE = 4_000  # write units a second that a new on-demand table takes at once
TABLE = 40_000  # the same of any on-demand table, by default quota
DOUBLES_S = 1_800  # a table takes twice its peak so far; growth beyond that may be throttled within this time
CONCURRENCY = 1_000  # invocations at a time in an account, by default quota; a function gets there within 10 s
CALLS = 10_000  # calls a second that the gateway takes from an account, by default quota
BURST = 5_000  # calls at once, likewise
# The code's own, in `store.client` and `errors.Unavailable`
SDK_TRIES = 2
RETRY_AFTER_S = 2.0
# Assumed
SAVED_S = 1.0  # a limit of so many a second is a bucket that saves up as much as of this time


@dataclass(frozen=True, slots=True)
class Work:
    """What one request takes: write units, all of one partition, and seconds of a function."""

    units: float
    seconds: float


class Bucket:
    """A limit: so many a second, of which at most `most` are saved up. It begins empty, so that runs may be short."""

    def __init__(self, rate: float, most: float) -> None:
        self.rate, self.most, self.left, self.at = rate, most, 0.0, 0.0

    def has(self, units: float, now: float) -> bool:
        """Whether there are so many now."""
        self.left, self.at = min(self.most, self.left + (now - self.at) * self.rate), now
        return self.left >= units


@dataclass(frozen=True, slots=True)
class Stack:
    """Limits, and who sends: each key's share of the requests, and the number of its partition."""

    shares: Sequence[float] = (1.0,)
    homes: Sequence[int] = (0,)
    calls: float = CALLS
    burst: float = BURST
    table: float = TABLE


@dataclass(slots=True)
class Outcome:
    """What became of the requests of a run: seconds each waited for being stored, and what refused a try."""

    waits: list[float] = field(default_factory=list)
    unstored: int = 0  # at the end; they are among those that waited
    refused: Counter[str] = field(default_factory=Counter)

    def quantile(self, share: float) -> float:
        """The wait that this share of requests did not exceed."""
        return sorted(self.waits)[min(int(share * len(self.waits)), len(self.waits) - 1)]


def run(stack: Stack, what: Work, rate: float, seconds: float, seed: int = 1) -> Outcome:
    """Let requests arrive at random, so many a second, each tried until it is stored or the time is over."""
    chance, outcome = random.Random(seed), Outcome()
    gateway, table = Bucket(stack.calls, stack.burst), Bucket(stack.table, stack.table * SAVED_S)
    partitions = {home: Bucket(PARTITION, PARTITION * SAVED_S) for home in stack.homes}
    running: list[float] = []  # when each invocation ends
    count = int(rate * seconds)
    homes = chance.choices(stack.homes, stack.shares, k=count)
    tries = [(chance.random() * seconds, number, 0, 0) for number in range(count)]
    arrived = {number: at for at, number, _, _ in tries}
    heapq.heapify(tries)
    while tries and tries[0][0] < seconds:
        now, number, sent, asked = heapq.heappop(tries)
        while running and running[0] <= now:
            heapq.heappop(running)
        refusal = None
        if not asked:  # the client's try; else the SDK's, in the same invocation
            refusal = "gateway" if not gateway.has(1, now) else "concurrency" if len(running) >= CONCURRENCY else None
            gateway.left -= refusal != "gateway"
        pause = 0.0  # the gateway names none
        if refusal is None:
            partition = partitions[homes[number]]
            fits = partition.has(what.units, now), table.has(what.units, now)
            if all(fits):
                partition.left -= what.units
                table.left -= what.units
                heapq.heappush(running, now + what.seconds)
                outcome.waits.append(now - arrived.pop(number))
                continue
            if asked + 1 < SDK_TRIES:
                again = now + chance.random()
                heapq.heappush(running, again)
                heapq.heappush(tries, (again, number, sent, asked + 1))
                continue
            refusal, pause = "table" if fits[0] else "partition", RETRY_AFTER_S
        outcome.refused[refusal] += 1
        backoff = min(FIRST_WAIT_S * 2**sent, LONGEST_WAIT_S) * chance.uniform(0.5, 1)
        heapq.heappush(tries, (now + max(backoff, pause), number, sent + 1, 0))
    outcome.waits += [seconds - at for at in arrived.values()]
    outcome.unstored = len(arrived)
    return outcome


def ceiling(stack: Stack, what: Work) -> tuple[float, str]:
    """Requests a second that the tightest limit allows, and which that is."""
    of_partition = defaultdict[int, float](float)
    for home, share in zip(stack.homes, stack.shares, strict=True):
        of_partition[home] += share
    of_hottest = max(of_partition.values()) / sum(stack.shares)
    limits = {
        "gateway": stack.calls,
        "concurrency": CONCURRENCY / what.seconds,
        "table": stack.table / what.units,
        "partition": PARTITION / what.units / of_hottest,
    }
    return min((most, name) for name, most in limits.items())


def sustained(stack: Stack, what: Work, seconds: float = 30) -> tuple[float, str]:
    """The most requests a second of which fewer than 1 % have to wait, in steps of 5 % of the ceiling, and what
    refuses first beyond it."""
    most, limit = ceiling(stack, what)
    for step in range(20, 0, -1):
        outcome = run(stack, what, most * step / 20, seconds)
        if outcome.quantile(0.99) == 0:
            return most * step / 20, limit
        limit = max(outcome.refused, key=lambda name: outcome.refused[name], default=limit)
    return 0.0, limit


def spread(keys: int, units: float, *, skew: float, split: bool, seed: int = 1) -> Stack:
    """A table grown to so many write units, with keys at random in equal ranges of hashes. Shares fall with rank^skew.

    `split`: what AWS documents as split for heat has gone on until no hot partition holds two keys.
    """
    chance = random.Random(seed)
    shares = [1 / (rank + 1) ** skew for rank in range(keys)]
    shares = [share / sum(shares) for share in shares]
    places = [chance.random() for _ in range(keys)]
    ranges = -(-int(units) // PARTITION)
    waiting = [(part / ranges, (part + 1) / ranges) for part in range(ranges)]
    homes, home = [0] * keys, 0
    while waiting:
        low, high = waiting.pop()
        inside = [key for key, place in enumerate(places) if low <= place < high]
        if split and len(inside) > 1 and sum(shares[key] for key in inside) * units > PARTITION:
            waiting += [(low, (low + high) / 2), ((low + high) / 2, high)]
            continue
        for key in inside:
            homes[key] = home
        home += 1
    return Stack(shares, homes, table=units)


def growth(units: float) -> list[tuple[int, float]]:
    """How much a new table takes of so many write units a second, at the start of each half hour, by its minutes."""
    taken: list[float] = []
    while not taken or taken[-1] < min(units, TABLE):
        peak = max(taken[: max(len(taken) + 1 - DOUBLES_S // 60, 0)], default=NEW_TABLE / 2)
        taken.append(min(units, TABLE, 2 * peak))
    return [(minute, taken[minute]) for minute in range(0, len(taken), 30)]
