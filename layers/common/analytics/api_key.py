"""The form of an API key: `aak_`, 27 random characters, 6 characters of checksum.

People and secret scanners know a key by its prefix. 27 characters of an alphabet of 62 are 160 random bits. The
checksum finds a mistyped key without reading a table. The table holds the key's SHA-256: a fast hash is safe here,
because nobody can guess 160 random bits.
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
    """Whether a text has the form of a key: prefix, length, alphabet and checksum."""
    return len(key) == LENGTH and key.isascii() and key.startswith(PREFIX) and key[-_CHECK:] == _checksum(key[:-_CHECK])


def hashed(key: str) -> str:
    """The key's SHA-256 in hexadecimal, which is stored instead of the key."""
    return hashlib.sha256(key.encode()).hexdigest()


def new_id() -> str:
    """A random identifier that is not secret: 16 characters, 95 random bits."""
    return "".join(secrets.choice(_ALPHABET) for _ in range(16))


def _checksum(body: str) -> str:
    number, digits = zlib.crc32(body.encode()), ""
    for _ in range(_CHECK):  # 62 ** 6 > 2 ** 32: six digits hold it
        number, digit = divmod(number, len(_ALPHABET))
        digits = _ALPHABET[digit] + digits
    return digits
