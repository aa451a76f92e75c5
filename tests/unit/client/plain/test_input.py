"""The input of plain mode: lines from bytes, and from a descriptor read by a thread."""

import asyncio
import os
import threading

import pytest
from hypothesis import given
from hypothesis import strategies as st

from client.plain.input import MAX_LINE_BYTES, BadLineError, LineInput, Lines


def cut(*pieces: bytes) -> list[str]:
    lines = Lines()
    found = [line for piece in pieces for line in lines.feed(piece)]
    found += lines.end()
    return [f"! {line}" if isinstance(line, BadLineError) else line for line in found]


@given(st.lists(st.text().filter(lambda t: not set(t) & set("\r\n"))), st.data())
def test_lines_come_out_whatever_pieces_they_come_in(
    texts: list[str], data: st.DataObject
) -> None:
    whole = "".join(f"{text}\n" for text in texts).encode()
    at = data.draw(st.lists(st.integers(0, len(whole))).map(sorted))
    pieces = [whole[a:b] for a, b in zip([0, *at], [*at, len(whole)], strict=True)]
    assert cut(*pieces) == texts


def test_a_last_line_without_an_end_is_a_line() -> None:
    assert cut(b"one\r\ntw", b"o") == ["one", "two"]
    assert cut(b"one\n") == ["one"]
    assert cut() == []


def test_only_line_feeds_end_a_line() -> None:
    assert cut("a\x0bb\x85c\u2028d\n".encode()) == ["a\x0bb\x85c\u2028d"]


def test_what_is_no_text_or_too_long_is_left_out_and_the_next_line_is_not() -> None:
    found = cut(b"\xff\n", b"x" * MAX_LINE_BYTES, b"yy", b"y\nnext\n")
    assert found[0].startswith("! a line that is not text")
    assert found[1].startswith("! a line of over")
    assert found[2:] == ["next"]


async def taken(lines: LineInput) -> list[str]:
    found = []
    async with asyncio.timeout(20):
        while (line := await lines.next()) is not None:
            found.append(line)
    return found


async def test_a_descriptor_is_read_to_its_end() -> None:
    out, into = os.pipe()
    try:
        lines = LineInput(out)
        lines.start()
        os.write(into, "one\nzwölf\n".encode())
        os.write(into, b"last")
        os.close(into)
        assert await taken(lines) == ["one", "zwölf", "last"]
    finally:
        os.close(out)


async def test_a_line_that_cannot_be_used_is_told_and_reading_goes_on() -> None:
    pieces = [b"\xff\ngood\n", b""]
    lines = LineInput(0, lambda handle, size: pieces.pop(0))
    lines.start()
    with pytest.raises(BadLineError):
        await lines.next()
    assert await taken(lines) == ["good"]


async def test_a_terminal_that_is_gone_is_the_end() -> None:
    def read(handle: int, size: int) -> bytes:
        raise OSError("gone")

    lines = LineInput(0, read)
    lines.start()
    assert await taken(lines) == []


async def test_no_more_is_read_while_nobody_takes_the_lines() -> None:
    reads = 0
    is_read = threading.Event()

    def read(handle: int, size: int) -> bytes:
        nonlocal reads
        reads += 1
        is_read.set()
        return b"line\n" * 100 if reads <= 50 else b""

    lines = LineInput(0, read)
    lines.start()
    await asyncio.to_thread(is_read.wait, 20)
    assert await lines.next() == "line"
    assert reads == 1
    assert len(await taken(lines)) == 4_999
    assert reads == 51
