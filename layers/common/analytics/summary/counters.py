"""What a summary counts, and what the dashboard shows of it.

Every aggregate holds one counter of each of these kinds. A new counter is a class that keeps to `counter.Counter`, its
section of the dashboard one that keeps to `section.Section`. Both are one line, at the end of SECTIONS: older builds
read the stored bytes of the counters that they know and skip what comes after.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any

from analytics.summary.accumulator import ValueOf
from analytics.summary.addresses import Addresses
from analytics.summary.client_section import ClientSection
from analytics.summary.consumer_section import ConsumerSection
from analytics.summary.consumers import Consumers
from analytics.summary.counter import Counter
from analytics.summary.route_section import RouteSection
from analytics.summary.routes import Routes
from analytics.summary.section import Section

SECTIONS: Mapping[type[Counter], Callable[[], Section[Any]]] = {
    Routes: RouteSection,
    Addresses: ClientSection,
    Consumers: ConsumerSection,
}
"""The section that shows each counter."""

COUNTERS = tuple(SECTIONS)
"""The kinds of counters."""

COUNTED: dict[str, ValueOf] = {name: value_of for kind in COUNTERS for name, value_of in kind.counted.items()}
"""The text fields of a log that some counter counts, each with the function from a text to what is counted."""
