"""A user of ``chat`` in scripts, each command a real process."""

import asyncio
import contextlib
import sys
from asyncio.subprocess import PIPE, Process
from collections.abc import AsyncIterator
from pathlib import Path

from tests import PATIENCE
from tests.fakes.raw_client import PASSWORD, RawClient
from tests.system.daemon import Daemon
from tests.system.terminal import chat_environment


class Person:
    """A user of ``chat`` in scripts."""

    def __init__(self, home: Path, daemon: Daemon, name: str) -> None:
        self.name = name
        self.home = home
        self.server = f"tls://{daemon.tls[0]}:{daemon.tls[1]}"
        self._environment = chat_environment(home)
        self._started: list[Process] = []

    async def start(self, *arguments: str, **environment: str) -> Process:
        process = await asyncio.create_subprocess_exec(
            sys.executable,
            "-m",
            "client",
            *arguments,
            env={**self._environment, **environment},
            stdin=PIPE,
            stdout=PIPE,
            stderr=PIPE,
        )
        self._started.append(process)
        return process

    async def run(
        self, *arguments: str, given: str = "", **environment: str
    ) -> tuple[int, str, str]:
        """Run a command; return exit status, output and errors."""
        status, out, errors = await self.pipe(
            *arguments, given=given.encode(), **environment
        )
        return status, out.decode(), errors

    async def pipe(
        self, *arguments: str, given: bytes = b"", **environment: str
    ) -> tuple[int, bytes, str]:
        """Run a command; return exit status, output in bytes, and errors."""
        process = await self.start(*arguments, **environment)
        async with asyncio.timeout(PATIENCE):
            out, errors = await process.communicate(given)
        assert process.returncode is not None
        return process.returncode, out, errors.decode()

    async def register(self, pin: str) -> None:
        status, _, errors = await self.run("trust", self.server, pin)
        assert status == 0, errors
        status, _, errors = await self.run(
            "register", self.server, "--user", self.name, CHAT_PASSWORD=PASSWORD
        )
        assert status == 0, errors

    async def end(self) -> None:
        for process in self._started:
            if process.returncode is None:
                process.kill()
            await process.communicate()


@contextlib.asynccontextmanager
async def in_ops(
    daemon: Daemon, bob: RawClient, folder: Path, name: str
) -> AsyncIterator[Person]:
    """Yield a user with a login, in #ops, which ``bob`` has made."""
    (pin,) = (line.split()[-1] for line in daemon.lines if "fingerprint" in line)
    person = Person(folder / name, daemon, name)
    try:
        await person.register(pin)
        async with await RawClient.connect(daemon.tcp) as joining:
            await joining.expect("hello")
            await joining.login(name)
            await joining.ask("join", room="#ops")
        await bob.expect("message", kind="join")
        yield person
    finally:
        await person.end()
