"""A storm between service and database: what was acknowledged is there, once; what is said is right, or a 503."""

from __future__ import annotations

import threading
import time
from collections import Counter
from concurrent.futures import ThreadPoolExecutor
from typing import Any

import pytest

from analytics.errors import Unavailable
from bench.load import Caller, Shop, every, missing_and_double, running
from bench.storm import Chance, Fault
from functions.dashboard.app import fold_on_schedule
from tests.conftest import SETTINGS
from tests.faults.conftest import StormyService

STORM_S, LONGEST_S = 5, 60  # a busy machine gets more time to meet every fault
ROUTES = ("POST /track", "POST /track/batch", "GET /dashboard")
SHARES = {
    Fault.throttled: 0.1,
    Fault.conflict: 0.1,
    Fault.crashed: 0.03,
    Fault.away: 0.03,
    Fault.lost: 0.04,
    Fault.cut: 0.04,
    Fault.silent: 0.02,
    Fault.late: 0.02,
    Fault.part: 0.1,
}
DEAD = {Fault.throttled: 0.4, Fault.lost: 0.3, Fault.cut: 0.2}


def rollups(stormy: StormyService) -> list[str]:
    """The sort keys of the rollups that are stored."""
    sort_keys = [item["timestamp"]["S"] for item in stormy.items(SETTINGS.logs_table)]
    return [sort_key for sort_key in sort_keys if sort_key.startswith("R#2")]


def test_nothing_acknowledged_is_lost_and_nothing_is_double(stormy: StormyService) -> None:
    """Batches sent again, single logs, the middleware, readers and the scheduled fold, through a storm and after it."""
    writer = stormy.caller()
    key: Any = writer.key
    account = writer.account
    single, reader, pages = (Caller(stormy.url, key, account) for _ in range(3))
    stormy.callers += [single, reader, pages]
    shop_reader = stormy.caller()
    shop = Shop(stormy.url, shop_reader.key, flush_seconds=0.2)
    stormy.callers.append(shop)
    folds: Counter[bool] = Counter()

    def fold(_: int) -> None:
        assert stormy.service
        # So that what is three seconds old is stored in rollups, as in a long storm; no write takes two here.
        stormy.ahead += 10
        try:
            fold_on_schedule(stormy.service)
        except Unavailable:
            folds[False] += 1
        else:
            folds[True] += 1

    def is_enough() -> bool:
        """There was something to survive: every fault, refused and good answers of each kind, and stored rollups."""
        answers = account.answers
        return (
            set(stormy.storm.seen) >= set(SHARES) - {Fault.part} | {None}
            and all(answers[route, 503] and answers[route, 200] > 5 for route in ROUTES)
            and bool(folds[True] and rollups(stormy))
        )

    writer.send_batch(250, "before", threading.Event())
    stormy.ahead += 61  # old enough to be stored by the first fold that gets through
    stormy.storm.plan = Chance(SHARES)
    with running(
        lambda stop: shop.run(40, stop),
        lambda stop: every(0.05, lambda n: writer.send_batch(10, f"batch{n}", stop), stop),
        lambda stop: every(0.05, lambda n: single.send_one(f"single{n}"), stop),
        lambda stop: every(0.1, lambda n: reader.read_dashboard("?period=hourly" if n % 2 else ""), stop),
        lambda stop: every(0.2, lambda _: pages.call("GET", "/raw_logs?limit=1000"), stop),
        lambda stop: every(0.5, fold, stop),
    ):
        time.sleep(STORM_S)
        end = time.monotonic() + LONGEST_S
        while not is_enough() and time.monotonic() < end:
            time.sleep(0.5)
    stormy.storm.calm()

    first = reader.blocks()  # the first quiet request is served
    assert shop.flush(20)
    there, shop_there = reader.read_logs(), shop_reader.read_logs()
    assert missing_and_double(there, account.acknowledged) == ([], [])
    assert set(there) <= account.sent
    assert account.half_stored(there) == []
    assert first["summary"]["total_requests"] == len(there)
    assert first["range"]["complete"]
    assert missing_and_double(shop_there, shop.made) == ([], [])
    assert shop_reader.blocks()["summary"]["total_requests"] == len(shop.made)
    assert shop_reader.blocks()["delivery"]["dropped"] == {}
    assert account.wrong + shop_reader.account.wrong == []
    assert is_enough(), (stormy.storm.seen, account.answers, folds, rollups(stormy))


def test_a_single_log_is_never_double(stormy: StormyService) -> None:
    """A put whose answer got lost is tried again by the SDK: the same item. After a 503 the log may be there too."""
    caller = stormy.caller()
    for number, faults in enumerate(([Fault.lost], [Fault.late], [Fault.cut], [Fault.lost, Fault.lost])):
        stormy.meet(*faults, operation="PutItem")
        caller.send_one(f"single{number}")
    time.sleep(1)  # what is late comes late
    answers = {status: count for (_, status), count in caller.account.answers.items()}
    assert answers == {200: 2, 503: 2}, "a cut answer and two lost ones leave it open"
    assert sorted(caller.read_logs()) == [f"/single{number}" for number in range(4)]


def test_a_batch_sent_again_is_stored_once(stormy: StormyService) -> None:
    """Whatever became of the first try, the second says that the logs are accepted, and they are there once."""
    caller = stormy.caller()
    account = caller.account
    for fault in (Fault.lost, Fault.late, Fault.cut, Fault.silent, Fault.conflict):
        stormy.meet(fault, fault, operation="TransactWriteItems")
        caller.send_batch(5, fault.name, threading.Event())
    time.sleep(1)  # what is late comes late
    assert account.wrong == []
    assert len(account.acknowledged) == 25
    assert account.answers["POST /track/batch", 503] >= 4, "a conflict, and others, were told"
    assert sorted(caller.read_logs()) == sorted(account.sent)
    assert caller.blocks()["summary"]["total_requests"] == 25


def test_a_dashboard_needs_no_write(stormy: StormyService) -> None:
    """A table too busy to store a summary does not keep its owner from the answer; the schedule says what it left."""
    caller = stormy.caller()
    assert stormy.service
    caller.send_batch(250, "batch", threading.Event())
    stormy.ahead += 61

    for operation in ("PutItem", "Query"):
        stormy.meet(*[Fault.throttled] * 4, operation=operation)
        done = fold_on_schedule(stormy.service)
        assert (done["folded"], done["left"], rollups(stormy)) == (0, 1, [])
    stormy.meet(*[Fault.throttled] * 4, operation="PutItem")
    assert caller.blocks()["summary"]["total_requests"] == 250
    assert rollups(stormy) == []
    stormy.storm.calm()
    assert caller.blocks()["summary"]["total_requests"] == 250
    assert len(rollups(stormy)) == 1
    assert fold_on_schedule(stormy.service) == {"folded": 1, "left": 0, "oldest_age": 0, "failed": 0, "unreadable": 0}


def test_a_good_key_is_never_unknown(stormy: StormyService) -> None:
    """An answer that was cut short is no answer: the key's record is not in it, but the key is good."""
    key = stormy.caller().key
    stormy.meet(Fault.cut, operation="GetItem")
    answer = stormy.ask("GET", "/keys", key)
    assert (answer.status_code, answer.headers["retry-after"]) == (503, "2")
    assert stormy.ask("GET", "/keys", key).status_code == 200


def test_keys_are_made_replaced_and_revoked_in_a_storm(stormy: StormyService) -> None:
    """Every key that was shown works, every one that was revoked does not, and nobody is locked out."""
    owner = stormy.caller().key
    good, gone, said = {owner}, set[str](), Counter[int]()

    def manage(number: int) -> None:
        made = stormy.ask("POST", "/generate_key", owner, json={"scope": ("full", "write")[number % 2]})
        said[made.status_code] += 1
        if made.status_code != 201:
            return
        key, key_id = made.json()["api_key"], made.json()["key_id"]
        if number % 3 == 0:
            good.add(key)
        elif number % 3 == 1:
            replaced = stormy.ask("POST", "/rotate_key", owner, json={"key_id": key_id, "grace_seconds": 0})
            said[replaced.status_code] += 1
            if replaced.status_code == 201:
                good.add(replaced.json()["api_key"])
                gone.add(key)
        else:
            revoked = stormy.ask("DELETE", f"/key?key_id={key_id}", owner)
            said[revoked.status_code] += 1
            if revoked.status_code == 200:
                gone.add(key)

    stormy.storm.plan = Chance(SHARES | {Fault.silent: 0, Fault.late: 0}, seed=3)
    with ThreadPoolExecutor(8) as threads:
        list(threads.map(manage, range(30)))
    stormy.storm.calm()
    assert set(said) <= {200, 201, 503}, said
    assert said[503] > 3 and len(good) > 2 and len(gone) > 2
    assert len(stormy.ask("GET", "/keys", owner).json()) >= len(good)
    for key in good:
        assert stormy.ask("POST", "/track", key, json={}).status_code == 422
    for key in gone:
        assert stormy.ask("POST", "/track", key, json={}).status_code == 401


def test_an_erasure_comes_to_its_end(stormy: StormyService) -> None:
    """Repeated after each 503 and 202, with unprocessed deletions and lost answers: nothing of it is left."""
    owner = stormy.caller()
    other = stormy.caller()
    other.send_batch(3, "theirs", threading.Event())
    for number in range(40):
        owner.send_batch(2, f"batch{number}", threading.Event())
    for _ in range(20):
        assert stormy.ask("POST", "/generate_key", owner.key).status_code == 201
    mine = {item["api_key"]["S"] for item in stormy.items(SETTINGS.logs_table) if "batch7" in str(item["timestamp"])}
    assert len(mine) == 1
    stormy.storm.plan = Chance({Fault.part: 0.4, Fault.throttled: 0.1, Fault.lost: 0.05, Fault.cut: 0.05}, seed=5)
    said: Counter[int] = Counter()
    while not said[200] + said[401] and said.total() < 60:
        answer = stormy.ask("DELETE", "/key?data=true", owner.key)
        said[answer.status_code] += 1
        if answer.status_code == 202:
            stormy.ahead += int(answer.headers["retry-after"])
    stormy.storm.calm()
    assert set(said) <= {200, 202, 401, 503}, said
    assert said[200] + said[401] == 1, "done; or it was, and that answer got lost"
    assert stormy.storm.seen[Fault.part] and said[503]
    left = str(stormy.items(SETTINGS.logs_table) + stormy.items(SETTINGS.keys_table))
    assert mine.pop() not in left
    assert len(other.read_logs()) == 3


def test_an_erasure_counts_once_what_it_deleted(stormy: StormyService) -> None:
    """The answer to the second of its notes, the count, gets lost: the SDK writes it again."""
    owner = stormy.caller()
    for number in range(3):
        owner.send_batch(2, f"batch{number}", threading.Event())
    stormy.meet(None, Fault.lost, operation="UpdateItem")
    answer = stormy.ask("DELETE", "/key?data=true", owner.key)
    assert (answer.status_code, answer.json()["deleted"], stormy.storm.seen[Fault.lost]) == (202, 6, 1)
    assert stormy.ask("DELETE", "/key?data=true", owner.key).json()["deleted"] == 6


def test_a_list_of_keys_is_whole_or_refused(stormy: StormyService) -> None:
    """Keys that the database left unprocessed are asked for again; a list that lacks some is never shown."""
    owner = stormy.caller()
    for _ in range(20):
        assert stormy.ask("POST", "/generate_key", owner.key).status_code == 201
    stormy.meet(Fault.part, Fault.part, operation="BatchGetItem")
    assert len(stormy.ask("GET", "/keys", owner.key).json()) == 21
    stormy.meet(*[Fault.part] * 9, operation="BatchGetItem")
    answer = stormy.ask("GET", "/keys", owner.key)
    assert (answer.status_code, answer.headers["retry-after"]) == (503, "2")
    stormy.storm.calm()
    assert len(stormy.ask("GET", "/keys", owner.key).json()) == 21


@pytest.mark.parametrize("stormy", ["moto"], indirect=True)
def test_losses_are_counted_when_the_storm_outlasts_the_middleware(stormy: StormyService) -> None:
    """Made = stored + counted as lost, less what was stored of the unconfirmed; and nothing is stored twice."""
    reader = stormy.caller()
    settings: Any = {"flush_seconds": 0.05, "batch_logs": 10, "buffer_logs": 50, "retry_seconds": 0.5}
    shop = Shop(stormy.url, reader.key, **settings)
    stormy.callers.append(shop)
    stormy.storm.plan = Chance(DEAD)
    with running(lambda stop: shop.run(150, stop)):
        time.sleep(2)
    stormy.storm.calm()
    assert shop.flush(20)
    there, blocks = reader.read_logs(), reader.blocks()
    dropped = blocks["delivery"]["dropped"]
    missing, double = missing_and_double(there, shop.made)
    assert double == []
    assert blocks["summary"]["total_requests"] == len(there) > 0
    assert dropped["unconfirmed"] > 0
    certain = sum(dropped.values()) - dropped["unconfirmed"]
    assert certain <= len(missing) <= certain + dropped["unconfirmed"]
