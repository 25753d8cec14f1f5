"""Bodies as they are sent: plain, or gzip of any number of members, within a limit."""

from __future__ import annotations

import gzip
import time
import zlib

import pytest
from hypothesis import given
from hypothesis import strategies as st

from analytics.content_coding import decoded
from analytics.errors import Invalid, TooLarge, UnsupportedCoding

LIMIT = 10_000
MEMBERS = st.lists(st.binary(max_size=200), min_size=1, max_size=60)


@given(MEMBERS, st.integers(0, 600))
def test_members_of_gzip_are_one_body(members: list[bytes], zeros: int) -> None:
    """In order, as `cat a.gz b.gz` makes them; zeros after the last one are padding."""
    packed = b"".join(map(gzip.compress, members)) + bytes(zeros)
    whole = b"".join(members)
    expected = whole.removeprefix(b"\xef\xbb\xbf")
    if len(whole) > LIMIT:
        with pytest.raises(TooLarge):
            decoded(packed, "gzip", LIMIT)
    else:
        assert decoded(packed, "gzip", LIMIT) == expected


@given(MEMBERS, st.data())
def test_a_gzip_that_was_cut_is_refused(members: list[bytes], data: st.DataObject) -> None:
    """Anywhere but between two members."""
    packed = list(map(gzip.compress, members))
    whole = b"".join(packed)
    ends = {sum(map(len, packed[:count])) for count in range(1, len(packed) + 1)}
    cut = data.draw(st.integers(0, len(whole) - 1).filter(lambda at: at not in ends))
    with pytest.raises(Invalid, match="not valid gzip"):
        decoded(whole[:cut], "gzip", 1_000_000)


@pytest.mark.parametrize(
    "body",
    [
        b"",
        b"{}",
        gzip.compress(b"{}") + b"more",
        gzip.compress(b"{}") + b"\x1f",
        gzip.compress(b"{}") + b"\0\0more",
        gzip.compress(b"{}") + b"\0" + gzip.compress(b"{}"),
        gzip.compress(b"{}")[:-4] + b"\0\0\0\0",
        gzip.compress(b"{}")[:-8] + b"\0\0\0\0" + gzip.compress(b"{}")[-4:],
        zlib.compress(b"{}"),
    ],
    ids=[
        "empty",
        "plain",
        "text after",
        "half a header after",
        "zeros and text",
        "zeros between",
        "length",
        "crc",
        "zlib",
    ],
)
def test_what_is_not_gzip_is_refused(body: bytes) -> None:
    """Also what comes after the last member."""
    with pytest.raises(Invalid, match="not valid gzip"):
        decoded(body, "gzip", LIMIT)


def test_the_limit_is_of_all_members_together() -> None:
    """The limit itself is inside, one byte more is outside, in whichever member it comes."""
    part = gzip.compress(b" " * (LIMIT // 4))
    assert len(decoded(part * 4, "gzip", LIMIT)) == LIMIT
    for over in (part * 4 + gzip.compress(b"x"), gzip.compress(b"x") + part * 4, part * 400):
        with pytest.raises(TooLarge, match="at most 10000 bytes after decompression"):
            decoded(over, "gzip", LIMIT)


def test_a_megabyte_of_empty_members_takes_little_time() -> None:
    """What is left over is not copied for each of 50,000 members: four times as many take four times as long."""

    def spent(members: int) -> float:
        body = gzip.compress(b"") * members
        started = time.process_time()
        assert decoded(body, "gzip", LIMIT) == b""
        return time.process_time() - started

    assert min(spent(50_000) / spent(12_500) for _ in range(3)) < 8  # a copy for each would make it 14


@pytest.mark.parametrize("coding", ["", "identity", "Identity, ", "gzip", "GZIP", "x-gzip", "identity,X-Gzip"])
def test_a_byte_order_mark_is_not_part_of_a_body(coding: str) -> None:
    """Before or after compression; one is taken off, and only at the start."""
    body = b"\xef\xbb\xbf\xef\xbb\xbf{}\xef\xbb\xbf"
    sent = gzip.compress(body) if "gzip" in coding.lower() else body
    assert decoded(sent, coding, LIMIT) == body[3:]


@pytest.mark.parametrize("coding", ["br", "deflate", "zstd", "gzip, gzip", "gzip, br", "aws-chunked", "gzip;q=1", "*"])
def test_another_coding_is_refused_by_its_name(coding: str) -> None:
    """415, and the answer says which one is known."""
    with pytest.raises(UnsupportedCoding) as refusal:
        decoded(b"{}", coding, LIMIT)
    assert (refusal.value.status, refusal.value.headers) == (415, {"Accept-Encoding": "gzip"})
