"""How a summary is kept small enough to be stored, whatever is sent: no item of DynamoDB may be over 400 KB.

Detail is given up in the order in which it is missed least, and what is given up can be seen in what is left: requests,
errors, sums and their time series stay exact always.
"""

from __future__ import annotations

from collections import Counter, defaultdict
from typing import Any

from analytics.summary.addresses import DAY_BITS, SLOT_BITS
from analytics.summary.aggregate import Window
from analytics.summary.summary import Summary
from analytics.times import DAY

OTHER = "(other)"  # the endpoint, method or consumer that counts all those beyond the most that are kept
MOST_ENDPOINTS = 500  # of a day
MOST_PAIRS = 500  # of method and status, among the endpoints that are not kept, in a day
MOST_CONSUMERS = 500  # of a day
MOST_ADDRESSES = 8_192  # of a day: as many take as many bytes as a sketch and the half of them that is kept beside it
MOST_SLOT_LATENCIES = 12_000  # pairs of cell and bucket, in all slots of a day together


def bound(summary: Summary, share: float = 1.0) -> None:
    """Keep at most what an item can hold, or a share (0 to 1) of that.

    For each day the busiest endpoints and consumers stay by name, and the others are counted as OTHER with their
    method and status; addresses beyond the most are sketched; slots give up latency by cell.
    """
    summary.settle()
    slots_a_day = DAY // summary.grain
    of_day = defaultdict[int, list[int]](list)
    for slot in summary.slots:
        of_day[slot // slots_a_day].append(slot)
    for day, window in list(summary.days.items()):
        renumber = _endpoints_kept(summary, window, share)
        if renumber:
            summary.days[day] = window = window.renumbered(renumber)
            for slot in of_day[day]:
                summary.slots[slot] = summary.slots[slot].renumbered(renumber)
        slots = [summary.slots[slot] for slot in of_day[day]]
        _bound_consumers([window, *slots], share)
        _bound_addresses(window, slots, share)
        is_blurred = any(slot.is_blurred for slot in slots)
        if is_blurred or sum(slot.latencies for slot in slots) > MOST_SLOT_LATENCIES * share:
            for slot_window in slots:
                slot_window.blur()
    summary.forget_unused_cells()


def _endpoints_kept(summary: Summary, window: Window, share: float) -> list[int] | None:
    """For each cell the number it gets when all but the busiest endpoints are OTHER; None when all can stay."""
    endpoints, pairs = Counter[str](), Counter[tuple[str, int]]()
    named = [(number, cell) for number in window.tallies if (cell := summary.cells[number])]
    for number, (_, endpoint, _) in named:
        endpoints[endpoint] += window.tallies[number][0]
    if len(endpoints) <= MOST_ENDPOINTS * share and len(named) <= (MOST_ENDPOINTS + MOST_PAIRS) * 2 * share:
        return None
    kept = _busiest(endpoints, round(MOST_ENDPOINTS * share) - 1) | {OTHER}
    cells_of = Counter(endpoint for _, (_, endpoint, _) in named)
    for endpoint in sorted(kept - {OTHER}, key=lambda name: -cells_of[name]):
        if sum(cells_of[name] for name in kept) <= (MOST_ENDPOINTS + MOST_PAIRS) * share:
            break
        kept.discard(endpoint)  # one endpoint with hundreds of methods and statuses gives way
    for number, (method, endpoint, status) in named:
        if endpoint not in kept or endpoint == OTHER:
            pairs[method, status] += window.tallies[number][0]
    pairs_kept = _busiest(pairs, round(MOST_PAIRS * share) - 1)
    renumber = list(range(len(summary.cells)))
    for number, (method, endpoint, status) in named:
        if endpoint not in kept or endpoint == OTHER:
            known = (method, status) in pairs_kept
            renumber[number] = summary.number((method if known else OTHER, OTHER, status))
    return renumber


def _busiest(counts: Counter[Any], most: int) -> set[Any]:
    return {name for name, _ in sorted(counts.items(), key=lambda item: (-item[1], item[0]))[: max(most, 0)]}


def _bound_consumers(windows: list[Window], share: float) -> None:
    by_name = Counter[str]()
    for (name, _), requests in windows[0].consumers.items():
        by_name[name] += requests
    if len(by_name) <= MOST_CONSUMERS * share and len(windows[0].consumers) <= 4 * MOST_CONSUMERS * share:
        return
    kept = _busiest(by_name, round(MOST_CONSUMERS * share) - 1)
    for window in windows:
        consumers: Counter[tuple[str, int]] = Counter()
        for (name, cell), requests in window.consumers.items():
            consumers[name if name in kept else OTHER, cell] += requests
        window.consumers = consumers


def _bound_addresses(day: Window, slots: list[Window], share: float) -> None:
    most = round(MOST_ADDRESSES * share)
    day.addresses.cut(most, DAY_BITS)
    if sum(len(slot.addresses.counts) for slot in slots) > 2 * most:
        for slot in slots:
            slot.addresses.cut(most // 48, SLOT_BITS)
