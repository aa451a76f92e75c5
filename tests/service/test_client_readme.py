"""The bot in the client's README does what the README says."""

import asyncio
import os
import re
import sys
from collections.abc import AsyncIterator
from pathlib import Path

import pytest

import client
from tests.fakes.server import FakeServer

README = Path(client.__file__).with_name("README.md")


@pytest.fixture
async def server() -> AsyncIterator[FakeServer]:
    async with FakeServer(user="echo") as server:
        yield server


@pytest.fixture
def bot(tmp_path: Path) -> Path:
    (source,) = re.findall(r"```python\n(.*?)```", README.read_text(), re.DOTALL)
    path = tmp_path / "echo.py"
    path.write_text(source)
    return path


async def start(bot: Path, server: FakeServer) -> asyncio.subprocess.Process:
    environment = os.environ | {
        "CHAT_HOME": str(bot.parent / "home"),
        "CHAT_PASSWORD": server.password,
    }
    return await asyncio.create_subprocess_exec(
        sys.executable, bot, server.address, "echo", env=environment
    )


async def test_the_bot_answers_once_also_after_being_killed(
    server: FakeServer, bot: Path
) -> None:
    server.say("@bob", "hello")
    server.say("#ops", "nothing for bots")
    process = await start(bot, server)
    await server.until(lambda: "bob: hello" in server.texts("@bob"))
    await server.until(lambda: {"@bob", "#ops"} <= server.read.keys())
    process.kill()
    await process.wait()
    server.say("#ops", "@echo are you there?")
    process = await start(bot, server)
    await server.until(lambda: len(server.texts("#ops")) == 3)
    assert server.texts("#ops")[-1] == "bob: @echo are you there?"
    assert server.texts("@bob") == ["hello", "bob: hello"]
    process.kill()
    await process.wait()
