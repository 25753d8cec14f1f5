"""Byte shuffle, as in Blosc: whole numbers stored as the lowest byte of each, then the next byte of each, and so on.

Most of what a summary counts is below 256, so a number mostly takes one byte. The high bytes hardly change, and zlib
compresses them to almost nothing.
"""

from __future__ import annotations

from array import array
from collections.abc import Iterable

WIDTH = 8  # bytes of a number in memory


def shuffle_numbers(numbers: Iterable[int]) -> tuple[bytes, int]:
    """The shuffled bytes of numbers from 0 to 2 ** 64 - 1, and how many numbers they are."""
    words = array("Q", numbers)
    return shuffle(words.tobytes()), len(words)


def unshuffle_numbers(shuffled: bytes, count: int) -> array[int]:
    """The `count` numbers that `shuffle_numbers` shuffled."""
    return array("Q", bytes(unshuffle(shuffled, count)))


def shuffle(words: bytes) -> bytes:
    """The shuffled bytes of little-endian numbers of WIDTH bytes each, without the high bytes that are all zero."""
    planes, left, count = list[bytes](), len(words) - words.count(0), len(words) // WIDTH
    while left:  # bytes that are not zero
        planes.append(words[len(planes) :: WIDTH])
        left -= count - planes[-1].count(0)
    return b"".join(planes)


def unshuffle(shuffled: bytes, count: int) -> bytearray:
    """The `count` numbers, little-endian of WIDTH bytes each, that `shuffle` shuffled."""
    words = bytearray(count * WIDTH)
    for plane in range(len(shuffled) // count if count else 0):
        words[plane::WIDTH] = shuffled[plane * count : (plane + 1) * count]
    return words
