"""What AWS asks for what the stack uses: list prices, and the rules by which use is counted.

us-east-1, US dollars, on-demand, standard classes, first tier, without free tiers and taxes, as known in November 2026;
from the price pages, not from a bill. DynamoDB's are those since November 2024.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, NamedTuple

REGION = "us-east-1"
AS_OF = "2026-11"
GB = 1024**3  # bytes; AWS's GB is binary
READ_UNIT = 4_096  # bytes read with strong consistency; half a unit with eventual consistency
WRITE_UNIT = 1_024  # bytes written
IN_TRANSACTION = 2  # times as many units: one to prepare, one to commit
OVERHEAD = 100  # bytes that storage of an item is billed beyond its own
GATEWAY_UNIT = 512 * 1024  # bytes of a request that are one call
DAYS_A_MONTH = 30


class Price(NamedTuple):
    """So many dollars for `per` of a unit."""

    dollars: float
    per: int
    unit: str
    page: str


_DYNAMODB = "aws.amazon.com/dynamodb/pricing/on-demand"
_LAMBDA = "aws.amazon.com/lambda/pricing"
_CLOUDWATCH = "aws.amazon.com/cloudwatch/pricing"

PRICES = {
    "write": Price(0.625, 1_000_000, "write request unit", _DYNAMODB),
    "read": Price(0.125, 1_000_000, "read request unit", _DYNAMODB),
    "storage": Price(0.25, 1, "GB-month", _DYNAMODB),
    "backup": Price(0.20, 1, "GB-month of point-in-time recovery", _DYNAMODB),
    "invocation": Price(0.20, 1_000_000, "invocation of a function", _LAMBDA),
    "x86_64": Price(16.6667, 1_000_000, "GB-second of a function on x86_64", _LAMBDA),
    "arm64": Price(13.3334, 1_000_000, "GB-second of a function on arm64", _LAMBDA),
    "call": Price(1.00, 1_000_000, "HTTP API call of 512 KB", "aws.amazon.com/api-gateway/pricing"),
    "line": Price(0.50, 1, "GB of log lines taken in", _CLOUDWATCH),
    "schedule": Price(1.00, 1_000_000, "scheduled invocation", "aws.amazon.com/eventbridge/pricing"),
    "out": Price(0.09, 1, "GB to the internet", "aws.amazon.com/ec2/pricing/on-demand"),
}


def cost(use: Mapping[str, float]) -> float:
    """Dollars for amounts of what is in PRICES, by its name there."""
    return sum(amount * PRICES[name].dollars / PRICES[name].per for name, amount in use.items())


def read_units(size: int, *, consistent: bool = True) -> float:
    """What reading an item costs, or all items that one query page has read: by their bytes together."""
    return max(1, -(-size // READ_UNIT)) * (1 if consistent else 0.5)


def write_units(size: int, *, transaction: bool = False) -> int:
    """What writing one item of so many bytes costs."""
    return max(1, -(-size // WRITE_UNIT)) * (IN_TRANSACTION if transaction else 1)


def item_bytes(item: Mapping[str, Any]) -> int:
    """The size of an item, as boto3's client gives and takes them, by DynamoDB's rules: names count too."""
    return sum(len(name.encode()) + _value_bytes(value) for name, value in item.items())


def _value_bytes(typed: Mapping[str, Any]) -> int:
    ((kind, value),) = typed.items()
    if kind == "S":
        return len(value.encode())
    if kind == "B":
        return len(value)
    if kind == "N":  # a byte for two digits, without zeros at the ends, and one more
        return -(-len(value.replace(".", "").lstrip("-").strip("0")) // 2) + 1
    if kind == "M":
        return 3 + len(value) + item_bytes(value)
    if kind == "L":
        return 3 + len(value) + sum(map(_value_bytes, value))
    if kind in ("SS", "BS", "NS"):
        return sum(_value_bytes({kind[0]: each}) for each in value)
    return 1  # NULL and BOOL


def main() -> None:
    """Print the table."""
    print(f"List prices, {REGION}, {AS_OF}")
    for name, price in PRICES.items():
        print(f"  {name:12}${price.dollars:<9}per {price.per:>9,} {price.unit} ({price.page})")


if __name__ == "__main__":
    main()
