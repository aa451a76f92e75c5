"""Tasks with an owner: ended with it, and no failure lost."""

import asyncio
import threading
from typing import Any

import pytest

from chatd.system.tasks import Drain, Tasks, race, to_thread


async def fail() -> None:
    raise ValueError("broken")


@pytest.fixture
async def reported() -> list[BaseException]:
    """The failures that the loop is told of."""
    found: list[BaseException] = []

    def report(loop: asyncio.AbstractEventLoop, context: dict[str, Any]) -> None:
        found.append(context["exception"])

    asyncio.get_running_loop().set_exception_handler(report)
    return found


async def test_a_failure_that_nobody_awaits_is_reported_once(
    reported: list[BaseException],
) -> None:
    tasks = Tasks()
    tasks.spawn(fail())
    await tasks.settled()
    await tasks.close()
    assert [str(error) for error in reported] == ["broken"]
    assert not tasks


async def test_who_awaits_work_gets_its_failure_alone(
    reported: list[BaseException],
) -> None:
    tasks = Tasks()
    with pytest.raises(ValueError, match="broken"):
        await tasks.carry_out(fail())
    task = tasks.start(fail(), is_awaited=True)
    await asyncio.wait([task])
    assert str(task.exception()) == "broken"
    assert reported == []


async def test_work_is_carried_out_if_its_caller_is_cancelled() -> None:
    tasks, go_on, done = Tasks(), asyncio.Event(), []

    async def work() -> None:
        await go_on.wait()
        done.append(True)

    caller = asyncio.create_task(tasks.carry_out(work()))
    await asyncio.sleep(0)
    caller.cancel()
    await asyncio.wait([caller])
    go_on.set()
    await tasks.settled()
    assert done == [True]


async def test_the_end_cancels_what_does_not_end_in_time() -> None:
    tasks, ended = Tasks(), []

    async def work(seconds: float) -> None:
        try:
            await asyncio.sleep(seconds)
            ended.append("by itself")
        except asyncio.CancelledError:
            ended.append("cancelled")
            raise

    tasks.spawn(work(0.0))
    tasks.spawn(work(3_600.0))
    await tasks.close(seconds=0.2)
    assert ended == ["by itself", "cancelled"]
    assert not tasks


async def test_a_context_ends_its_tasks(reported: list[BaseException]) -> None:
    async with Tasks() as tasks:
        task = tasks.start(asyncio.Event().wait())
        assert len(tasks) == 1
    assert task.cancelled()
    assert reported == []


async def test_a_task_that_is_done_does_not_count_as_running() -> None:
    tasks = Tasks()
    counted: list[int] = []

    async def work() -> None:
        # Called in the step in which the task ends, before its own callbacks.
        asyncio.get_running_loop().call_soon(lambda: counted.append(len(tasks)))

    tasks.spawn(work())
    await tasks.settled()
    assert counted == [0]


async def test_a_race_ends_with_the_first_and_raises_what_it_raised() -> None:
    slow = asyncio.Event()

    async def wait() -> None:
        try:
            await asyncio.Event().wait()
        finally:
            slow.set()

    with pytest.raises(ValueError, match="broken"):
        await race(wait(), fail())
    assert slow.is_set()
    slow.clear()
    await race(wait(), asyncio.sleep(0))
    assert slow.is_set()


async def test_a_thread_is_told_to_stop_and_awaited() -> None:
    stop, has_ended = threading.Event(), threading.Event()

    def work() -> str:
        stop.wait(60)
        has_ended.set()
        return "done"

    caller = asyncio.create_task(to_thread(stop.set, work))
    await asyncio.sleep(0)
    caller.cancel()
    with pytest.raises(asyncio.CancelledError):
        await caller
    assert has_ended.is_set()
    assert await to_thread(stop.set, work) == "done"


async def test_work_is_done_again_if_it_was_due_meanwhile() -> None:
    waiting: list[int] = []
    done: list[list[int]] = []

    async def work() -> None:
        batch = waiting.copy()
        waiting.clear()
        done.append(batch)
        for _ in range(3):
            await asyncio.sleep(0)

    drain = Drain(work)
    assert drain.is_idle
    await drain.idle()
    for number in range(5):
        waiting.append(number)
        drain.wake()
        await asyncio.sleep(0)
    await drain.idle()
    assert [number for batch in done for number in batch] == [0, 1, 2, 3, 4]
    assert len(done) < 5
    waiting.append(5)
    drain.wake()
    await drain.close()
    assert waiting == [5]
    # Its task was cancelled before its first step; the next one is not held up.
    async with asyncio.timeout(60):
        await drain.idle()
        drain.wake()
        await drain.idle()
    assert done[-1] == [5]


async def test_what_is_due_is_done_though_the_work_before_failed(
    reported: list[BaseException],
) -> None:
    done: list[bool] = []

    async def work() -> None:
        done.append(True)
        if len(done) == 1:
            drain.wake()
            raise ValueError("broken")

    drain = Drain(work)
    drain.wake()
    await drain.idle()
    assert [str(error) for error in reported] == ["broken"]
    assert done == [True, True]


async def test_what_is_gathered_is_done_at_once_when_it_is_waited_for() -> None:
    done: list[bool] = []

    async def work() -> None:
        done.append(True)

    drain = Drain(work, gather_seconds=3_600)
    drain.wake()
    drain.wake()
    async with asyncio.timeout(60):
        await drain.idle()
    assert done == [True]
