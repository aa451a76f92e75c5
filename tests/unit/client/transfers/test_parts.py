"""Parts of the transfer engine: the turn queue, rates, and receive buffers."""

import asyncio
from collections.abc import Iterable

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from chatd.protocol.frames import encode_frame
from client.errors import PeerError
from client.transfers import receive_buffers
from client.transfers.progress import RateMeter
from client.transfers.receive_buffers import FrameBuffer, RawBuffer
from client.transfers.turn_queue import TurnQueue

# Turns --------------------------------------------------------------------------------


async def enter(slots: TurnQueue, number: int, order: list[int]) -> None:
    async with slots.hold(number):
        order.append(number)
        await asyncio.sleep(0)


async def test_the_lowest_number_comes_first() -> None:
    slots, order = TurnQueue(1), list[int]()
    async with slots.hold(0):
        tasks = [asyncio.create_task(enter(slots, n, order)) for n in (3, 1, 2)]
        await asyncio.sleep(0)
        assert order == []
        assert slots.is_full
    await asyncio.gather(*tasks)
    assert order == [1, 2, 3]
    assert not slots.is_full


async def test_no_more_than_so_many_hold_a_slot_at_once() -> None:
    slots, now, most = TurnQueue(3), 0, 0

    async def work(number: int) -> None:
        nonlocal now, most
        async with slots.hold(number):
            now += 1
            most = max(most, now)
            await asyncio.sleep(0)
            now -= 1

    await asyncio.gather(*(work(number) for number in range(20)))
    assert most == 3


async def test_who_gives_up_waiting_loses_nobody_a_turn() -> None:
    slots, order = TurnQueue(1), list[int]()
    async with slots.hold(0):
        tasks = [asyncio.create_task(enter(slots, n, order)) for n in (1, 2)]
        await asyncio.sleep(0)
        tasks[0].cancel()
    # The turn may have been given to 1 at the moment at which it gave up.
    await asyncio.gather(*tasks, return_exceptions=True)
    assert order == [2]
    await enter(slots, 9, order)


async def test_a_turn_given_to_one_who_gives_up_is_passed_on() -> None:
    slots, order = TurnQueue(1), list[int]()
    holding = slots.hold(0)
    await holding.__aenter__()
    tasks = [asyncio.create_task(enter(slots, n, order)) for n in (1, 2)]
    await asyncio.sleep(0)
    await holding.__aexit__(None, None, None)
    tasks[0].cancel()
    await asyncio.gather(*tasks, return_exceptions=True)
    assert order == [2]


# Rates --------------------------------------------------------------------------------


def rates(samples: Iterable[tuple[float, int]]) -> list[float]:
    meter = RateMeter()
    return [meter.add(now, moved) for now, moved in samples]


def test_a_steady_movement_has_a_steady_rate() -> None:
    found = rates((n / 4, n * 100) for n in range(40))
    assert found[0] == 0
    assert found[1:] == [400] * 39


def test_the_rate_is_that_of_the_last_few_seconds() -> None:
    fast = [(n / 4, n * 1000) for n in range(41)]
    stuck = [(10 + n / 4, 40_000) for n in range(1, 21)]
    found = rates(fast + stuck)
    assert found[40] == 4000
    assert found[41:] == sorted(found[41:], reverse=True)
    assert found[-1] == 0


def test_a_counter_that_went_back_begins_anew() -> None:
    assert rates([(0, 500), (1, 1000), (2, 0), (3, 10)]) == [0, 500, 0, 10]


# Receive buffers ----------------------------------------------------------------------


def pour(frames: FrameBuffer, data: bytes, sizes: list[int]) -> list[bytes]:
    """Hand bytes over as a transport would, in pieces of at most these sizes."""
    found, at = [], 0
    while at < len(data):
        free = frames.free()
        size = min(len(free), sizes[at % len(sizes)], len(data) - at)
        free[:size] = data[at : at + size]
        at += size
        body = frames.added(size)
        if body is not None:
            found.append(body)
    return found


@settings(deadline=None)
@given(
    st.lists(st.binary(min_size=1, max_size=50), max_size=5),
    st.lists(st.integers(1, 60), min_size=1, max_size=5),
)
def test_frames_are_gathered_from_any_pieces(
    bodies: list[bytes], sizes: list[int]
) -> None:
    data = b"".join(map(encode_frame, bodies))
    assert pour(FrameBuffer(), data, sizes) == bodies


def test_no_byte_behind_a_frame_is_asked_for() -> None:
    frames = FrameBuffer()
    assert pour(frames, encode_frame(b"abc")[:-1], [99]) == []
    assert len(frames.free()) == 1


@pytest.mark.parametrize("prefix", [b"\0\0\0\0", b"\xff\xff\xff\xff"])
def test_an_impossible_frame_is_refused(prefix: bytes) -> None:
    with pytest.raises(PeerError):
        pour(FrameBuffer(), prefix, [4])


@settings(deadline=None)
@given(st.binary(max_size=200), st.integers(0, 200), st.data())
def test_raw_bytes_come_out_as_they_came_in(
    data: bytes, missing: int, more: st.DataObject
) -> None:
    raw, written, at = RawBuffer(missing), b"", 0
    while at < len(data):
        free = raw.free()
        assert len(free) > 0
        size = min(len(free), len(data) - at, more.draw(st.integers(1, 9)))
        free[:size] = data[at : at + size]
        at += size
        raw.added(size)
        if more.draw(st.booleans()):
            pieces = raw.take()
            written += b"".join(bytes(buffer[:count]) for buffer, count in pieces)
            raw.give_back(pieces)
    written += b"".join(bytes(buffer[:count]) for buffer, count in raw.take())
    assert written == data[:missing]
    assert raw.missing == max(0, missing - len(data))
    assert not raw.has_pieces


def test_two_buffers_are_enough_while_one_is_written(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(receive_buffers, "BUFFER_BYTES", 8)
    raw, used = RawBuffer(1000), set[int]()
    for _ in range(10):
        while not raw.is_full:
            raw.added(len(raw.free()))
        pieces = raw.take()
        used |= {id(buffer) for buffer, _ in pieces}
        raw.added(len(raw.free()))
        raw.give_back(pieces)
    assert len(used) == 2
