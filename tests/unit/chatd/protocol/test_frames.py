"""Frames: any split of the stream gives the same bodies; bad lengths are final."""

import contextlib
import struct

import pytest
from hypothesis import given
from hypothesis import strategies as st

from chatd.protocol.errors import EmptyFrameError, FrameError, FrameTooLargeError
from chatd.protocol.frames import MAX_BODY_BEFORE_LOGIN, FrameDecoder, encode_frame

LIMIT = 64
bodies = st.lists(st.binary(min_size=1, max_size=LIMIT), max_size=12)


def split_at(stream: bytes, cuts: list[int]) -> list[bytes]:
    """Return ``stream`` in pieces, some of which may be empty."""
    places = sorted(cut % (len(stream) + 1) for cut in cuts)
    ends = [*places, len(stream)]
    return [stream[a:b] for a, b in zip([0, *places], ends, strict=True)]


@given(bodies, st.lists(st.integers(0, 4096), max_size=40))
def test_any_splitting_gives_the_same_bodies(
    sent: list[bytes], cuts: list[int]
) -> None:
    decoder = FrameDecoder(LIMIT)
    stream = b"".join(map(encode_frame, sent))
    received: list[bytes] = []
    for piece in split_at(stream, cuts):
        received += decoder.feed(piece)
    assert received == sent
    assert decoder.buffered_bytes == 0


@given(bodies)
def test_a_stream_fed_byte_by_byte_gives_the_same_bodies(sent: list[bytes]) -> None:
    decoder = FrameDecoder(LIMIT)
    received: list[bytes] = []
    for byte in b"".join(map(encode_frame, sent)):
        received += decoder.feed(bytes([byte]))
    assert received == sent


@given(bodies, st.binary(min_size=1, max_size=LIMIT), st.data())
def test_trailing_bytes_of_the_next_frame_wait_for_the_rest(
    sent: list[bytes], following: bytes, data: st.DataObject
) -> None:
    decoder = FrameDecoder(LIMIT)
    frame = encode_frame(following)
    cut = data.draw(st.integers(0, len(frame) - 1))
    assert decoder.feed(b"".join(map(encode_frame, sent)) + frame[:cut]) == sent
    assert decoder.buffered_bytes == cut
    assert decoder.feed(frame[cut:]) == [following]


@given(
    bodies,
    st.sampled_from([0, LIMIT + 1, 1 << 31, (1 << 32) - 1]),
    st.binary(max_size=20),
    st.lists(st.integers(0, 4096), max_size=20),
)
def test_bodies_before_a_broken_length_are_returned_and_nothing_after_it(
    sent: list[bytes], length: int, rest: bytes, cuts: list[int]
) -> None:
    decoder = FrameDecoder(LIMIT)
    stream = b"".join(map(encode_frame, sent)) + struct.pack(">I", length) + rest
    received: list[bytes] = []
    with contextlib.suppress(FrameError):
        for piece in [*split_at(stream, cuts), b""]:
            received += decoder.feed(piece)
    assert received == sent
    assert decoder.is_broken
    with pytest.raises(FrameError):
        decoder.feed(b"")
    assert decoder.buffered_bytes == 0


@given(st.lists(st.binary(max_size=200), max_size=20))
def test_no_bytes_make_the_decoder_hold_more_than_one_frame(
    pieces: list[bytes],
) -> None:
    decoder = FrameDecoder(LIMIT)
    for piece in pieces:
        try:
            decoder.feed(piece)
        except FrameError:
            break
        assert decoder.buffered_bytes < LIMIT + 4


def test_a_length_of_zero_is_an_empty_frame() -> None:
    with pytest.raises(EmptyFrameError):
        FrameDecoder(LIMIT).feed(b"\0\0\0\0")


def test_a_length_over_the_limit_is_refused_before_its_body_comes() -> None:
    with pytest.raises(FrameTooLargeError, match="65 bytes is over the limit of 64"):
        FrameDecoder(LIMIT).feed(struct.pack(">I", LIMIT + 1))


def test_a_body_of_exactly_the_limit_is_accepted() -> None:
    body = b"x" * MAX_BODY_BEFORE_LOGIN
    assert FrameDecoder(MAX_BODY_BEFORE_LOGIN).feed(encode_frame(body)) == [body]


def test_half_a_length_is_no_error() -> None:
    decoder = FrameDecoder(LIMIT)
    assert decoder.feed(b"\0\0\0") == []
    assert decoder.feed(b"\1x") == [b"x"]


def test_the_error_is_raised_again_by_every_later_call() -> None:
    decoder = FrameDecoder(LIMIT)
    assert decoder.feed(encode_frame(b"a") + b"\0\0\0\0" + encode_frame(b"b")) == [b"a"]
    for data in (b"", encode_frame(b"c")):
        with pytest.raises(EmptyFrameError):
            decoder.feed(data)


def test_the_limit_may_be_raised_between_frames() -> None:
    decoder = FrameDecoder(4)
    assert decoder.feed(encode_frame(b"abcd")) == [b"abcd"]
    decoder.max_body_bytes = 5
    assert decoder.feed(encode_frame(b"abcde")) == [b"abcde"]


def test_a_frame_is_its_length_in_big_endian_and_its_body() -> None:
    assert encode_frame(b"x" * 258) == b"\0\0\1\2" + b"x" * 258
