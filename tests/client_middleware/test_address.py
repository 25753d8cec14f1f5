"""Whose address is recorded behind proxies, and how much of it."""

from __future__ import annotations

from ipaddress import IPv4Address, IPv6Address, ip_address, ip_network
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from client_middleware.address import MAX_REMEMBERED, Addresses, behind_proxies, parse
from client_middleware.values import Networks

NOON = 1_763_985_600.0  # 2025-11-24T12:00:00Z
OURS: Networks = (ip_network("10.0.0.0/8"), ip_network("fd00::/8"))


@pytest.mark.parametrize(
    ("text", "address"),
    [
        ("203.0.113.7", "203.0.113.7"),
        (" 203.0.113.7:5000 ", "203.0.113.7"),
        ("2001:db8::1", "2001:db8::1"),
        ("[2001:db8::1]:443", "2001:db8::1"),
        ('"[2001:db8::1]"', "2001:db8::1"),
        ("fe80::1%eth0", "fe80::1"),
        ("::ffff:203.0.113.7", "203.0.113.7"),
        ("unknown", None),
        ("_hidden", None),
        ("", None),
        ("testclient", None),
        ("999.1.1.1", None),
    ],
)
def test_spellings(text: str, address: str | None) -> None:
    """An address is read in every spelling that proxies use; what is none is none."""
    assert parse(text) == (address and ip_address(address))


@pytest.mark.parametrize(
    ("trusted", "peer", "forwarded", "client"),
    [
        # One proxy of ours: it appended whom it saw. What is to the left was sent by the client itself.
        (1, "10.0.0.1", ["203.0.113.7"], "203.0.113.7"),
        (1, "10.0.0.1", ["6.6.6.6, 203.0.113.7"], "203.0.113.7"),
        (1, "10.0.0.1", ["6.6.6.6", "203.0.113.7"], "203.0.113.7"),
        (2, "10.0.0.1", ["6.6.6.6, 203.0.113.7, 10.0.0.2"], "203.0.113.7"),
        (2, "10.0.0.1", ["203.0.113.7"], "203.0.113.7"),
        (1, "10.0.0.1", [], "10.0.0.1"),
        (1, "10.0.0.1", ["203.0.113.7, unknown"], None),
        (1, None, ["203.0.113.7"], "203.0.113.7"),
        # By network: as far to the left as the hops are ours.
        (OURS, "10.0.0.1", ["203.0.113.7"], "203.0.113.7"),
        (OURS, "10.0.0.1", ["6.6.6.6, 203.0.113.7, 10.9.9.9"], "203.0.113.7"),
        (OURS, "fd00::1", ["2001:db8::7, fd00::2"], "2001:db8::7"),
        (OURS, "203.0.113.9", ["6.6.6.6"], "203.0.113.9"),  # came around the proxy: the header is a stranger's
        (OURS, "10.0.0.1", ["10.0.0.3, 10.0.0.2"], "10.0.0.3"),
        (OURS, "10.0.0.1", ["203.0.113.7, nonsense, 10.0.0.2"], None),
        (OURS, None, ["203.0.113.7"], None),
    ],
)
def test_behind_proxies(trusted: int | Networks, peer: str | None, forwarded: list[str], client: str | None) -> None:
    """The client is found by a walk from the right over trusted hops; a forged left part changes nothing."""
    headers = [(b"host", b"x"), *((b"x-forwarded-for", value.encode()) for value in forwarded)]
    assert behind_proxies(peer, headers, trusted) == client


@given(st.lists(st.text(max_size=30), max_size=5))
def test_a_forged_header_never_wins(forged: list[str]) -> None:
    """Whatever the client writes into the header, the entry that the one trusted proxy appended is what counts."""
    header = ",".join([*forged, "203.0.113.7"]).encode("utf-8", "surrogatepass")
    assert behind_proxies("10.0.0.1", [(b"x-forwarded-for", header)], 1) == "203.0.113.7"
    assert behind_proxies("10.0.0.1", [(b"x-forwarded-for", header)], OURS) == "203.0.113.7"


def test_a_long_forged_header_never_wins() -> None:
    """However long the client's part of the header is, the entry at its right end is what counts."""
    header = b"6.6.6.6, " * 5000 + b"203.0.113.7"
    assert behind_proxies("10.0.0.1", [(b"x-forwarded-for", header)], 1) == "203.0.113.7"
    assert behind_proxies("10.0.0.1", [(b"x-forwarded-for", header)], OURS) == "203.0.113.7"


def made(mode: str, secret: bytes = b"secret", now: float = NOON) -> Addresses:
    """What is kept of addresses at a time."""
    addresses = Addresses(mode, secret)
    addresses.rotate(now)
    return addresses


@pytest.mark.parametrize(
    ("mode", "host", "kept"),
    [
        ("full", "203.0.113.7", "203.0.113.7"),
        ("full", "2001:db8:1:2::3", "2001:db8:1:2::3"),
        ("full", "testclient", None),
        ("masked", "203.0.113.7", "203.0.113.0"),
        ("masked", "2001:db8:1:2::3", "2001:db8:1::"),
        ("masked", "::ffff:203.0.113.7", "203.0.113.0"),
        ("none", "203.0.113.7", None),
        ("hashed", None, None),
    ],
)
def test_privacy(mode: str, host: str | None, kept: str | None) -> None:
    """Each mode keeps what it says, of IPv4 and IPv6; what is no address is kept by none."""
    assert made(mode)[host] == kept


def test_hashed() -> None:
    """A hash is an address of fd00::/8, the same for one client on one day in every process, different for another
    client, another day and another secret."""
    kept = made("hashed")["203.0.113.7"]
    assert kept is not None
    assert IPv6Address(kept) in ip_network("fd00::/8")
    assert made("hashed", now=NOON + 3600)["203.0.113.7"] == kept
    others: list[Any] = [
        made("hashed")["203.0.113.8"],
        made("hashed", now=NOON + 86_400)["203.0.113.7"],
        made("hashed", secret=b"other")["203.0.113.7"],
    ]
    assert len({kept, *others}) == 4


def test_the_cache_is_bounded() -> None:
    """However many addresses there are, a bounded number of them is remembered."""
    addresses = made("full")
    for number in range(2 * MAX_REMEMBERED):
        assert addresses[str(IPv4Address(number))] == str(IPv4Address(number))
    assert len(addresses) <= MAX_REMEMBERED


def test_the_day_ends_at_midnight() -> None:
    """What was remembered of a day is good until midnight UTC."""
    addresses = made("hashed")
    assert addresses.until == NOON + 12 * 3600
