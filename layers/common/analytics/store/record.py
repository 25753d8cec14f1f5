"""The record of a key, and its item in the table of keys."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any, Literal, Self

Scope = Literal["full", "read", "write"]
"""What a key may do: everything, read, or track. A route needs one of them, and a `full` key has all."""


@dataclass(frozen=True, slots=True)
class KeyRecord:
    """The record of a key. Times are microseconds since 1970."""

    key_hash: str
    key_id: str
    stream: str  # the partition of its logs
    scope: str  # "full", "read" or "write"
    created_at: int
    expires_at: int | None = None
    name: str | None = None  # given by its owner
    erasing: bool = False  # it began the erasure of its stream; it may continue that and do nothing else

    def allows(self, scope: str) -> bool:
        """Whether the key may do what needs this scope: "read", "write", or "full" to manage keys."""
        return self.scope in ("full", scope)

    def expired(self, now: int) -> bool:
        """Whether the key has expired by `now`."""
        return self.expires_at is not None and self.expires_at <= now

    def item(self) -> dict[str, Any]:
        """The attributes of its item, without `erasing`, which only an erasure writes."""
        item: dict[str, Any] = {
            "key_hash": {"S": self.key_hash},
            "key_id": {"S": self.key_id},
            "stream": {"S": self.stream},
            "scope": {"S": self.scope},
            "created_at": {"N": str(self.created_at)},
        }
        if self.name is not None:
            item["name"] = {"S": self.name}
        if self.expires_at is not None:
            item |= {"expires_at": {"N": str(self.expires_at)}, "ttl": {"N": str(seconds(self.expires_at))}}
        return item

    @classmethod
    def of(cls, item: dict[str, Any]) -> Self:
        """The record in an item."""
        return cls(
            key_hash=item["key_hash"]["S"],
            key_id=item["key_id"]["S"],
            stream=item["stream"]["S"],
            scope=item["scope"]["S"],
            created_at=int(item["created_at"]["N"]),
            expires_at=int(item["expires_at"]["N"]) if "expires_at" in item else None,
            name=item.get("name", {}).get("S"),
            erasing="status" in item,
        )


def seconds(expires_at: int) -> int:
    """`expires_at` (microseconds) as a `ttl` in whole seconds, rounded up so that nothing goes too early."""
    return -(-expires_at // 1_000_000)
