"""Tasks with an owner: ended with it, and no failure lost."""

import asyncio
from typing import Any

import pytest

from chatd.system.tasks import Tasks


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
