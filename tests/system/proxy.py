"""A proxy that simulates a bad network: it delays, splits, half-closes and cuts."""

import asyncio
import contextlib
import random
import socket
from collections.abc import Coroutine
from dataclasses import dataclass
from typing import Self

from tests.fakes.raw_client import Address


@dataclass(frozen=True)
class Trouble:
    """What happens to connections; all probabilities are per connection.

    Args:
        max_delay: The longest time that a piece is held back, in seconds.
        min_delay: The shortest.
        split_bytes: How many bytes of each direction are sent on one by one.
        max_piece: Later bytes are sent on in pieces of at most this size.
        cut_after: Between which numbers of bytes a connection is cut; None: never.
        half_close: How likely a cut begins by closing one direction only.
    """

    max_delay: float = 0.0
    min_delay: float = 0.0
    split_bytes: int = 0
    max_piece: int = 65_536
    cut_after: tuple[int, int] | None = None
    half_close: float = 0.0


class Proxy:
    """Listens on its own port and passes connections on to ``target``.

    Attributes:
        cuts: How many connections it has cut.
        trouble: What it does; may be changed, for new connections.
        is_open: Nothing passes while it is cleared.
    """

    def __init__(self, target: Address, trouble: Trouble, seed: int) -> None:
        self.trouble = trouble
        self.cuts = 0
        self.is_open = asyncio.Event()
        self.is_open.set()
        self._target = target
        self._random = random.Random(seed)
        self._server: asyncio.Server | None = None
        self._links: set[asyncio.Task[None]] = set()

    async def __aenter__(self) -> Self:
        self._server = await asyncio.start_server(self._accept, "127.0.0.1", 0)
        return self

    async def __aexit__(self, *_: object) -> None:
        assert self._server is not None
        self._server.close()
        for task in list(self._links):
            task.cancel()
        await asyncio.gather(*self._links, return_exceptions=True)
        await self._server.wait_closed()

    @property
    def address(self) -> Address:
        """The address it listens on."""
        assert self._server is not None
        host, port = self._server.sockets[0].getsockname()[:2]
        return (host, port)

    async def _accept(
        self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter
    ) -> None:
        task = asyncio.current_task()
        assert task is not None
        self._links.add(task)
        try:
            await self._link(reader, writer)
        except asyncio.CancelledError:
            pass  # the proxy ends
        finally:
            self._links.discard(task)

    async def _link(
        self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter
    ) -> None:
        try:
            far_reader, far_writer = await asyncio.open_connection(
                *self._target[:2], limit=1024
            )
        except OSError:
            writer.transport.abort()
            return
        for each in (writer, far_writer):
            each.get_extra_info("socket").setsockopt(
                socket.IPPROTO_TCP, socket.TCP_NODELAY, 1
            )
        trouble = self.trouble
        budget = self._random.randint(*trouble.cut_after) if trouble.cut_after else None
        try:
            # The end of one direction, or of its budget, ends the other too.
            await self._first_of(
                self._pump(reader, far_writer, trouble, budget),
                self._pump(far_reader, writer, trouble, budget),
            )
        finally:
            writer.transport.abort()
            far_writer.transport.abort()

    async def _first_of(self, *pumps: Coroutine[None, None, bool]) -> None:
        tasks = [asyncio.ensure_future(pump) for pump in pumps]
        try:
            done, pending = await asyncio.wait(
                tasks, return_when=asyncio.FIRST_COMPLETED
            )
            if pending and not all(task.result() for task in done):
                # A half-close: what the other side still sends gets a moment to pass.
                await asyncio.wait(pending, timeout=0.3)
        finally:
            for task in tasks:
                task.cancel()
            await asyncio.gather(*tasks, return_exceptions=True)

    async def _pump(
        self,
        reader: asyncio.StreamReader,
        writer: asyncio.StreamWriter,
        trouble: Trouble,
        budget: int | None,
    ) -> bool:
        """Pass bytes on until the end; return whether both directions are to be cut."""
        passed = 0
        with contextlib.suppress(OSError):
            while True:
                size = 1 if passed < trouble.split_bytes else trouble.max_piece
                data = await reader.read(size)
                if not data:
                    break
                if trouble.max_delay and (size > 1 or self._random.random() < 0.02):
                    delay = self._random.uniform(trouble.min_delay, trouble.max_delay)
                    await asyncio.sleep(delay)
                await self.is_open.wait()
                writer.write(data)
                await writer.drain()
                passed += len(data)
                if budget is not None and passed >= budget:
                    self.cuts += 1
                    if self._random.random() >= trouble.half_close:
                        return True
                    break
            writer.write_eof()
        return False
