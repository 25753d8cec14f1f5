"""Whole numbers as bytes for storing: the lowest byte of each, then the next byte of each, as far as any has one.

Most of what a summary counts is below 256, so that a number mostly takes one byte, and zlib finds the planes of high
bytes, which hardly change, nearly empty.
"""

from __future__ import annotations

from array import array
from collections.abc import Iterable
from sys import byteorder

LANE = 8  # bytes of a number before it is taken apart


def numbers_to_planes(numbers: Iterable[int]) -> tuple[bytes, int]:
    """The planes of some numbers from 0 to 2 ** 64 - 1, and how many they were."""
    lanes = array("Q", numbers)
    if byteorder == "big":
        lanes.byteswap()
    return to_planes(lanes.tobytes()), len(lanes)


def planes_to_numbers(planes: bytes, count: int) -> array[int]:
    """The numbers that `numbers_to_planes` took apart: so many of them."""
    lanes = array("Q", bytes(from_planes(planes, count)))
    if byteorder == "big":
        lanes.byteswap()
    return lanes


def to_planes(lanes: bytes) -> bytes:
    """The planes of numbers of LANE bytes each, the lowest byte first."""
    planes, left, count = list[bytes](), len(lanes) - lanes.count(0), len(lanes) // LANE
    while left:  # bytes that are not zero
        planes.append(lanes[len(planes) :: LANE])
        left -= count - planes[-1].count(0)
    return b"".join(planes)


def from_planes(planes: bytes, count: int) -> bytearray:
    """The numbers, of LANE bytes each, that `to_planes` took apart: so many of them."""
    lanes = bytearray(count * LANE)
    for plane in range(len(planes) // count if count else 0):
        lanes[plane::LANE] = planes[plane * count : (plane + 1) * count]
    return lanes
