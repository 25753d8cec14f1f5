"""A line of output that CloudWatch takes as metrics: its embedded metric format, which needs no call and no permission.

The line must reach the log as it is. `logging` would wrap it: on Lambda, in JSON, as the text of a message.
Specification: "CloudWatch embedded metric format", AWS documentation, 2026.
"""

from __future__ import annotations

import json
from collections.abc import Mapping

NAMESPACE = "ApiAnalytics"  # of all our metrics, as template.yaml alarms on them


def line(dimensions: Mapping[str, str], figures: Mapping[str, tuple[float, str]], now: int) -> str:
    """Figures, each with its unit ("Seconds", "Count"), as one line; `now` is in microseconds since 1970."""
    described = {
        "Namespace": NAMESPACE,
        "Dimensions": [list(dimensions)],
        "Metrics": [{"Name": name, "Unit": unit} for name, (_, unit) in figures.items()],
    }
    about = {"Timestamp": now // 1000, "CloudWatchMetrics": [described]}
    return json.dumps({"_aws": about, **dimensions, **{name: value for name, (value, _) in figures.items()}}) + "\n"
