"""A body as it was before its content coding: plain or gzip, also of several members, within a limit."""

from __future__ import annotations

import zlib

from analytics.errors import Invalid, Problem, TooLarge, UnsupportedCoding
from analytics.http_headers import codings

_BOM = b"\xef\xbb\xbf"  # UTF-8's byte order mark, which some editors and shells write before JSON
_STEP = 4_096  # bytes given to each member but the first: what is left over is copied, and there may be many members


def decoded(body: bytes | bytearray, content_encoding: str, limit: int) -> bytes:
    """The plain body, at most `limit` bytes of it, without a byte order mark.

    Raises UnsupportedCoding for a coding other than gzip, Invalid for broken gzip, and TooLarge as soon as the limit is
    passed, without inflating further.
    """
    done = codings(content_encoding)
    if done == ["gzip"]:
        return bytes(_inflated(body, limit)).removeprefix(_BOM)
    if done:
        reason = "Send the body plain or compressed with gzip"
        raise UnsupportedCoding("The content encoding is not known", [Problem(None, None, reason)])
    return bytes(body).removeprefix(_BOM)


def _inflated(body: bytes | bytearray, limit: int) -> bytearray:
    """All members of a gzip file together; zeros may follow the last one, as `gzip` itself allows."""
    view, at, plain = memoryview(body), 0, bytearray()
    step = len(body)
    while at < len(view) or not at:
        member = zlib.decompressobj(wbits=31)
        while not member.eof:
            chunk = view[at : at + step]
            if not chunk:
                raise Invalid("The body is not valid gzip: it ends too early")
            at += len(chunk)
            try:
                plain += member.decompress(chunk, limit + 1 - len(plain))
            except zlib.error as error:
                raise Invalid("The body is not valid gzip") from error
            if len(plain) > limit:
                raise TooLarge(f"A body is at most {limit} bytes after decompression")
        at -= len(member.unused_data)
        step = _STEP
        if view[at : at + 1].tobytes() == b"\0" and not bytes(view[at:]).strip(b"\0"):
            break
    return plain
