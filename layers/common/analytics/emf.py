"""CloudWatch's embedded metric format: a line of output that becomes metrics, without a call or a permission.

Write the line to standard output. `logging` would wrap it in JSON on Lambda, and CloudWatch would not find it.
Specification: "CloudWatch embedded metric format", AWS documentation, 2026.
"""

from __future__ import annotations

import json
from collections.abc import Mapping

NAMESPACE = "ApiAnalytics"  # template.yaml names it in its alarms


def line(dimensions: Mapping[str, str], metrics: Mapping[str, tuple[float, str]], now: int) -> str:
    """Metrics as one line: each name with its value and its unit ("Seconds", "Count").

    `dimensions` are the names and values to find them by; `now` is in microseconds since 1970.
    """
    described = {
        "Namespace": NAMESPACE,
        "Dimensions": [list(dimensions)],
        "Metrics": [{"Name": name, "Unit": unit} for name, (_, unit) in metrics.items()],
    }
    about = {"Timestamp": now // 1000, "CloudWatchMetrics": [described]}
    return json.dumps({"_aws": about, **dimensions, **{name: value for name, (value, _) in metrics.items()}}) + "\n"
