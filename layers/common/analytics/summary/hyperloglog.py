"""How many different names there are, from a sketch of them: a HyperLogLog, with Ertl's estimator.

It needs no bias tables (O. Ertl, "New cardinality estimation algorithms for HyperLogLog sketches", arXiv:1702.01284,
2017, algorithm 6). Its standard error is 1.04 / √registers. A register is a byte; what registers hold depends only on
which names were put in, not on their order or on how they were spread over sketches that were joined.
"""

from __future__ import annotations

import math
from collections.abc import Iterable
from hashlib import blake2b

_HASH_BITS = 64


def registered(names: Iterable[bytes], registers: bytes | None, bits: int) -> bytes:
    """Registers with these names in them: the first `bits` of a hash choose one, which keeps the highest rank.

    The rank is the position, from 1, of the first one among the bits that are left.
    """
    if registers is not None and len(registers) > 1 << bits:
        registers = _coarser(registers, bits)
    elif registers is not None:
        bits = len(registers).bit_length() - 1
    ranks = bytearray(registers or bytes(1 << bits))
    left = _HASH_BITS - bits
    mask = (1 << left) - 1
    for name in names:
        hashed = int.from_bytes(blake2b(name, digest_size=8).digest(), "big")
        rank = left + 1 - (hashed & mask).bit_length()
        if rank > ranks[hashed >> left]:
            ranks[hashed >> left] = rank
    return bytes(ranks)


def joined(one: bytes | None, two: bytes) -> bytes:
    """The registers of the names in either; two of different precision become one of the lower."""
    if one is None:
        return two
    bits = min(len(one), len(two)).bit_length() - 1
    return _highest(_coarser(one, bits), _coarser(two, bits))


def _highest(one: bytes, two: bytes) -> bytes:
    """The higher of each two bytes, all below 128, in a few operations on one long number each."""
    length = len(one)
    a, b = int.from_bytes(one, "little"), int.from_bytes(two, "little")
    high = int.from_bytes(b"\x80" * length, "little")
    at_least = ((a | high) - b) & high  # the high bit of each byte in which a >= b: no borrow crosses a byte
    chosen = (at_least << 1) - (at_least >> 7)  # all bits of those bytes
    return (b ^ ((a ^ b) & chosen)).to_bytes(length, "little")


def _coarser(registers: bytes, bits: int) -> bytes:
    """The registers that the same addresses would have given with fewer of them."""
    spare = len(registers).bit_length() - 1 - bits
    if spare <= 0:
        return registers
    ranks, mask = bytearray(1 << bits), (1 << spare) - 1
    for number, rank in enumerate(registers):
        if rank:
            low = number & mask  # the bits that chose a register before are the first of those left now
            ranks[number >> spare] = max(ranks[number >> spare], spare + 1 - low.bit_length() if low else spare + rank)
    return bytes(ranks)


def standard_error(registers: bytes) -> float:
    """Of `estimate`, as a share of it."""
    return 1.04 / math.sqrt(len(registers))


def estimate(registers: bytes) -> int:
    """Ertl's estimate from how many registers have each rank."""
    size = len(registers)
    ranks = _HASH_BITS - (size.bit_length() - 1)
    of_rank = [registers.count(rank) for rank in range(ranks + 2)]
    z = size * _tau(1 - of_rank[ranks + 1] / size)
    for rank in range(ranks, 0, -1):
        z = 0.5 * (z + of_rank[rank])
    z += size * _sigma(of_rank[0] / size)
    return round(size * size / (2 * math.log(2)) / z)


def _sigma(x: float) -> float:
    if x == 1:
        return math.inf
    y, z, before = 1.0, x, math.nan
    while z != before:
        x *= x
        before = z
        z += x * y
        y += y
    return z


def _tau(x: float) -> float:
    if x in (0, 1):
        return 0.0
    y, z, before = 1.0, 1 - x, math.nan
    while z != before:
        x = math.sqrt(x)
        before = z
        y *= 0.5
        z -= (1 - x) ** 2 * y
    return z / 3
