"""The client's address: found behind proxies, then masked or hashed before it is recorded."""

from __future__ import annotations

import hashlib
import hmac
from collections.abc import Sequence
from datetime import UTC, datetime
from ipaddress import IPv4Address, IPv6Address, ip_address, ip_network

from client_middleware.values import Networks

DAY_S = 86_400
MAX_REMEMBERED = 10_000  # addresses in the cache, some 2 MB
MAX_FORWARDED = 4096  # characters of X-Forwarded-For that are read, from the right
UNIQUE_LOCAL = b"\xfd"  # fd00::/8, RFC 4193: not used on the internet

Address = IPv4Address | IPv6Address


def parse(text: str) -> Address | None:
    """Parse an entry of X-Forwarded-For or of a scope, less its port, brackets and zone; None if it is no address."""
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
    """Find the client's address behind trusted proxies; None if it is unknown.

    Each proxy appends the address that it saw to X-Forwarded-For. So the entries at the right are from trusted proxies,
    and what is to the left of the first untrusted address may be forged. `trusted` is the number of proxies that
    append, or their networks.
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
    """Return the network of an address, /24 of IPv4 or /48 of IPv6, so that no single home is recorded."""
    return str(ip_network((address, 24 if address.version == 4 else 48), strict=False).network_address)


def hashed(address: Address, day: str, secret: bytes) -> str:
    """Replace an address by a keyed hash of 120 bits, written as an IPv6 address of fd00::/8.

    The key is made of the secret and the day (UTC, ISO 8601). So the visitors of one day can be counted, and cannot be
    followed to the next day. This is a pseudonym, not anonymity: with the secret, all addresses can be tried.
    """
    key = hmac.digest(secret, day.encode(), hashlib.sha256)
    return str(IPv6Address(UNIQUE_LOCAL + hmac.digest(key, address.packed, hashlib.sha256)[:15]))


class Addresses(dict[str | None, str | None]):
    """A cache from the address of a client to what is recorded of it: `addresses[host]`. For one privacy mode."""

    def __init__(self, mode: str, secret: bytes) -> None:
        super().__init__({None: None})
        self.until = 0.0
        """When `rotate` must be called, seconds since 1970: the end of the day of the cached addresses."""
        self._mode = mode
        self._secret = secret
        self._day = ""

    def rotate(self, now: float) -> None:
        """Empty the cache, and begin the day of `now`, seconds since 1970."""
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
