"""Whether a time without an offset is the local time of another time zone.

A client that sends a log at the moment it happens, in local time without an offset, is off by its zone's offset: a
whole number of quarter hours in every zone there is (UTC-12:00 to UTC+14:00, Nepal +5:45, the Chatham Islands +12:45).
"""

from __future__ import annotations

from analytics.times import HOUR, SECOND

QUARTER = 900 * SECOND  # microseconds
FARTHEST = 14 * HOUR * SECOND  # microseconds: the largest offset of any zone
TOLERANCE = 60 * SECOND  # microseconds, for the way of the log and for clocks that are not quite right


def is_local_time(created_at: int, duration: int, received: int) -> bool:
    """Whether a log that was sent when it happened has a local time, not UTC. All in microseconds.

    The time is either of the request's end, just before the receipt, or of its start, a `duration` earlier. If one of
    these explains it as UTC, it is; else it is local if one of them leaves a whole number of quarter hours.
    """
    behind = received - created_at
    nearest = {off: round(off / QUARTER) for off in (behind, behind - duration)}
    explained = {quarters for off, quarters in nearest.items() if abs(off - quarters * QUARTER) <= TOLERANCE}
    return 0 not in explained and any(abs(quarters) * QUARTER <= FARTHEST for quarters in explained)
