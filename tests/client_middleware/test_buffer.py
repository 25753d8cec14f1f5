"""The buffer's bounds, and what the memory of a row is taken to be."""

from __future__ import annotations

import threading
import tracemalloc
from collections.abc import Iterator, Mapping

from client_middleware.buffer import ROW_BYTES, Buffer, Row


def row(more: str = "", weight: int = 1) -> Row:
    """A request."""
    return (0.5, 0.25, "GET", "/", 200, None, more, weight)


def made(most: int = 100, most_bytes: int = 1 << 20, batch: int = 10) -> tuple[Buffer, list[int]]:
    """A buffer, and how many rows it had at each wake-up."""
    woken: list[int] = []
    buffer = Buffer(most, most_bytes, batch, lambda: woken.append(len(buffer)))
    return buffer, woken


def test_when_the_sender_is_woken() -> None:
    """Once when rows begin to wait and once when they are a batch, and so again after they were taken."""
    buffer, woken = made()
    for _ in range(25):
        buffer.add(row())
    assert woken == [1, 10]
    assert len(buffer.take(1000)) == 25
    buffer.add(row())
    assert woken == [1, 10, 1]


def test_first_in_first_out() -> None:
    """Rows come out in the order they went in, also those that were put back."""
    buffer, _ = made()
    rows = [row(str(number)) for number in range(9)]
    for each in rows:
        buffer.add(each)
    first = buffer.take(6)
    buffer.put_back(first[4:])
    assert first[:4] + buffer.take(9) == rows


def test_the_number_is_bounded() -> None:
    """What does not fit is counted, in the requests it stands for."""
    buffer, _ = made(most=3)
    for _ in range(5):
        buffer.add(row(weight=10))
    buffer.lose({"unwritable": 0})
    assert (len(buffer), buffer.take_losses(), buffer.take_losses()) == (3, {"overflow": 20}, {})


def test_the_bytes_are_bounded() -> None:
    """So is memory, and what is taken makes room again."""
    buffer, _ = made(most_bytes=3 * (ROW_BYTES + 100))
    for _ in range(5):
        buffer.add(row("x" * 100))
    assert (len(buffer), buffer.losses) == (3, {"overflow": 2})
    taken = buffer.take(2)
    for _ in range(5):
        buffer.add(row("x" * 100))
    assert len(buffer) == 3
    buffer.take(2)
    buffer.put_back(taken)
    buffer.add(row())
    assert (len(buffer), buffer.losses) == (3, {"overflow": 6})


def test_a_row_takes_no_more_than_is_reckoned() -> None:
    """The memory of a row with its own numbers is not more than ROW_BYTES, nor much less."""
    buffer, _ = made(most=10_000, most_bytes=1 << 30, batch=10_000)
    tracemalloc.start()
    for number in range(5000):
        buffer.add((number + 0.5, number + 0.25, "GET", "/", 200, None, "", 1))
    taken = tracemalloc.get_traced_memory()[0] / 5000
    tracemalloc.stop()
    assert ROW_BYTES / 2 < taken <= ROW_BYTES


def test_closed() -> None:
    """A closed buffer keeps nothing and counts everything under its reason."""
    buffer, woken = made()
    buffer.add(row(weight=4))
    buffer.close("unauthorized")
    buffer.add(row(weight=5))
    assert (len(buffer), buffer.losses, woken) == (0, {"unauthorized": 9}, [1])


class Held(Mapping[str, int]):
    """Losses that are read slowly: whoever counts them holds the lock until `release` is set."""

    def __init__(self) -> None:
        self.reached, self.release = threading.Event(), threading.Event()

    def __iter__(self) -> Iterator[str]:
        self.reached.set()
        self.release.wait(30)
        return iter(("overflow",))

    def __getitem__(self, reason: str) -> int:
        return 1

    def __len__(self) -> int:
        return 1


def test_a_lock_that_was_held_at_a_fork() -> None:
    """After a reset a buffer works, though a thread that a child process does not have holds the lock of before."""
    buffer, _ = made()
    losses = Held()
    holder = threading.Thread(target=buffer.lose, args=(losses,), daemon=True)
    holder.start()
    assert losses.reached.wait(30)
    buffer.reset()
    adding = threading.Thread(target=buffer.add, args=(row(),), daemon=True)
    adding.start()
    adding.join(20)
    waiting = len(buffer)
    losses.release.set()
    holder.join()
    assert waiting == 1


def test_many_threads() -> None:
    """With many threads adding and one taking, every row is taken or counted."""
    buffer, _ = made(most=500, batch=100)
    taken = 0

    def add() -> None:
        for _ in range(5000):
            buffer.add(row())

    threads = [threading.Thread(target=add) for _ in range(4)]
    for thread in threads:
        thread.start()
    while any(thread.is_alive() for thread in threads) or len(buffer):
        taken += len(buffer.take(100))
    for thread in threads:
        thread.join()
    assert taken + buffer.losses.get("overflow", 0) == 20_000
