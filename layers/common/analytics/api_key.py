"""The form of an API key: `aak_`, 27 random characters, 6 characters of checksum.

The prefix lets a reader and a secret scanner know a key when they see one; 27 characters of 62 are 160 random bits; the
checksum tells a mistyped key from a good one without a look into any table. What is stored is the SHA-256 of the whole:
a fast hash is right for a secret with that many random bits, which no list of guesses reaches.
(The form follows GitHub's tokens: "Behind GitHub's new authentication token formats", github.blog, 2021.)
"""

from __future__ import annotations

import hashlib
import secrets
import string
import zlib

PREFIX = "aak_"
_ALPHABET = string.digits + string.ascii_uppercase + string.ascii_lowercase
_RANDOM, _CHECK = 27, 6
LENGTH = len(PREFIX) + _RANDOM + _CHECK
PATTERN = rf"^{PREFIX}[0-9A-Za-z]{{{_RANDOM + _CHECK}}}$"


def generate() -> str:
    """A new key."""
    body = PREFIX + "".join(secrets.choice(_ALPHABET) for _ in range(_RANDOM))
    return body + _checksum(body)


def is_well_formed(key: str) -> bool:
    """Whether this can be a key at all: prefix, length, alphabet and checksum."""
    return len(key) == LENGTH and key.isascii() and key.startswith(PREFIX) and key[-_CHECK:] == _checksum(key[:-_CHECK])


def hashed(key: str) -> str:
    """What is stored instead of the key: its SHA-256, in hexadecimal."""
    return hashlib.sha256(key.encode()).hexdigest()


def new_id() -> str:
    """An identifier that is no secret: 16 characters, 95 random bits."""
    return "".join(secrets.choice(_ALPHABET) for _ in range(16))


def _checksum(body: str) -> str:
    number, digits = zlib.crc32(body.encode()), ""
    for _ in range(_CHECK):  # 62 ** 6 > 2 ** 32: six digits hold it
        number, digit = divmod(number, len(_ALPHABET))
        digits = _ALPHABET[digit] + digits
    return digits
