"""The client's address: who it is behind proxies, and how much of that is kept."""

from __future__ import annotations

import hashlib
import hmac
from collections.abc import Sequence
from datetime import UTC, datetime
from ipaddress import IPv4Address, IPv6Address, ip_address, ip_network

from client_middleware.values import Networks

DAY_S = 86_400
MAX_REMEMBERED = 10_000  # addresses; some 2 MB
MAX_FORWARDED = 4096  # characters of X-Forwarded-For that are looked at, from the right
UNIQUE_LOCAL = b"\xfd"  # fd00::/8, RFC 4193: addresses that no one on the internet has

Address = IPv4Address | IPv6Address


def parse(text: str) -> Address | None:
    """The address in an entry of X-Forwarded-For or in a scope: a port, brackets and a zone are taken off."""
    text = text.strip().strip('"')
    if text.startswith("["):
        text = text[1:].partition("]")[0]
    elif text.count(":") == 1:
        text = text.partition(":")[0]
    try:
        address = ip_address(text.partition("%")[0])
    except ValueError:
        return None
    return getattr(address, "ipv4_mapped", None) or address


def behind_proxies(peer: str | None, headers: Sequence[tuple[bytes, bytes]], trusted: int | Networks) -> str | None:
    """The client, by a walk from the right over the hops that are trusted; None where that can not be said.

    A proxy appends whom it saw to X-Forwarded-For, so the rightmost entries are ours and everything to the left of the
    first stranger is whatever that stranger wrote. `trusted` is how many of our proxies append, or their networks.
    """
    forwarded = b",".join(value for name, value in headers if name == b"x-forwarded-for").decode("latin-1")
    chain = [entry for entry in forwarded[-MAX_FORWARDED:].split(",") if entry.strip()]
    chain.append(peer or "")
    if isinstance(trusted, int):
        client = parse(chain[max(len(chain) - 1 - trusted, 0)])
        return None if client is None else str(client)
    client = None
    for entry in reversed(chain):
        client = parse(entry)
        if client is None or not any(client in network for network in trusted):
            break
    return None if client is None else str(client)


def masked(address: Address) -> str:
    """The network of an address: /24 of IPv4, /48 of IPv6, which is a street of homes and not one of them."""
    return str(ip_network((address, 24 if address.version == 4 else 48), strict=False).network_address)


def hashed(address: Address, day: str, secret: bytes) -> str:
    """A stand-in for an address on one day: an IPv6 address of fd00::/8 out of a keyed hash of 120 bits.

    The key of a day comes from the secret and the date (UTC), so visitors of one day can be told apart and counted, and
    not followed to the next. Who knows the secret can try all addresses: it is a pseudonym, not anonymous.
    """
    key = hmac.digest(secret, day.encode(), hashlib.sha256)
    return str(IPv6Address(UNIQUE_LOCAL + hmac.digest(key, address.packed, hashlib.sha256)[:15]))


class Addresses(dict[str | None, str | None]):
    """What is kept of each address, remembered: `addresses[host]` costs one look-up. Made for one privacy mode."""

    def __init__(self, mode: str, secret: bytes) -> None:
        super().__init__({None: None})
        self.until = 0.0
        """When the addresses known so far have to be forgotten: seconds since 1970."""
        self._mode = mode
        self._secret = secret
        self._day = ""

    def rotate(self, now: float) -> None:
        """Begin the day of `now`, seconds since 1970."""
        self.clear()
        self.until = (now // DAY_S + 1) * DAY_S
        self._day = datetime.fromtimestamp(now, UTC).date().isoformat()

    def __missing__(self, host: str | None) -> str | None:
        if len(self) >= MAX_REMEMBERED:
            self.clear()
        kept = self[host] = self._keep(host)
        return kept

    def _keep(self, host: str | None) -> str | None:
        if host is None or self._mode == "none":
            return None
        address = parse(host)
        if address is None:
            return None
        if self._mode == "full":
            return str(address)
        return masked(address) if self._mode == "masked" else hashed(address, self._day, self._secret)
