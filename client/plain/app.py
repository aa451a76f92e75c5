"""Plain mode: reads lines and writes lines, for screen readers and pipes.

Nothing is ever drawn, moved or coloured: each event is one line below all that came
before. What is typed is edited by the terminal itself, and read as whole lines; there
is no prompt. The commands are those of all frontends. While the output is not read, the
program blocks, and so the server has to wait: nothing piles up, nothing is lost.
"""

import asyncio
import contextlib
import os
import signal
import sys
from collections.abc import Callable, Iterable

import msgspec

from chatd.system.tasks import Tasks
from chatd.text.safe import clean
from client.commands import Registry, make_registry, run
from client.frontend.interrupts import Interrupts
from client.frontend.runtime import Runtime
from client.frontend.shutdown import handling, left_for_next_time
from client.frontend.transcript import Transcript
from client.link.reconnect import LinkState
from client.model.changes import Change, SyncDone
from client.notify.delivery import AlertDelivery
from client.plain.input import BadLineError, LineInput
from client.plain.lines import PlainWorkspace, shown_text
from client.text.styles import Line

DRAIN_SECONDS = 10.0
"""How long to wait, at the end of the input, until all messages are sent."""

_ROWS = 16  # so that ten messages are read out when a chat is opened


class PlainMode:
    """The plain-mode frontend: lines in, lines out.

    Args:
        runtime: What it is made from.
        input: Where lines come from.
        write: Writes text at once.
        is_terminal: Whether the output is a terminal: a user hears the bell there, and
            may press Ctrl+C by mistake. None finds out.

    Attributes:
        workspace: What commands act on.
    """

    columns = 0
    rows = _ROWS

    def __init__(
        self,
        runtime: Runtime,
        *,
        input: LineInput | None = None,
        write: Callable[[str], None] | None = None,
        is_terminal: bool | None = None,
    ) -> None:
        self._link = runtime.make_link(self._changed, self._state_changed)
        self._room = runtime.room
        self._input = input or LineInput()
        self._write = write or write_to_stdout
        is_terminal = sys.stdout.isatty() if is_terminal is None else is_terminal
        self._is_terminal = is_terminal
        self.workspace = PlainWorkspace(
            self._link, runtime.server, runtime.preferences, self
        )
        self._registry: Registry = make_registry()
        self._transcript = Transcript(
            self.workspace, lambda s, f: asyncio.get_running_loop().call_later(s, f)
        )
        self._interrupts = Interrupts(self.workspace)
        self._tasks = Tasks()
        self._opening = Tasks()
        self._over = asyncio.Event()
        # Set once the chats are synced and ``room`` is joined, or the server was not
        # reached: lines of the input are executed from then on.
        self._settled = asyncio.Event()
        self._moved = asyncio.Event()
        self._error: Exception | None = None
        self._delivery = AlertDelivery(
            # Of all that a terminal can do, only the bell is used here.
            msgspec.structs.replace(runtime.config.notify, osc="off"),
            self._put if is_terminal else None,
            {},
            self.workspace.fail,
        )
        self._notifier = runtime.notifier(self.workspace, self._delivery)

    # The Frontend of the workspace ----------------------------------------------------

    def show(self, lines: Iterable[Line]) -> None:
        """Write lines below those that were written before."""
        # Everything is clean already; this guarantees that no escape is ever written.
        texts = (clean(shown_text(line)) for line in lines)
        self._put("".join(f"{text}\n" for text in texts if text))

    def opened(self, address: str) -> None:
        """Show the chat that is open now."""
        self._open(address, is_read=True)

    def clear(self) -> None:
        """Do nothing: what was written stays."""

    def quit(self) -> None:
        """End the program cleanly."""
        if not self._over.is_set():
            for said in left_for_next_time(self._link):
                self.workspace.say(said)
            self._over.set()

    # Running --------------------------------------------------------------------------

    async def run(self) -> Exception | None:
        """Run until the user quits; return what stopped the link, if that was why."""
        self._open_last()
        self._link.start()
        self._transcript.begin()
        self._input.start()
        worker = self._tasks.start(self._work(), is_awaited=True)
        ending = self._tasks.start(self._over.wait())
        handlers = {signal.SIGTERM: self.quit, signal.SIGINT: self._interrupt}
        try:
            with handling(handlers):
                done, _ = await asyncio.wait(
                    (worker, ending), return_when=asyncio.FIRST_COMPLETED
                )
            for task in done:
                task.result()
        finally:
            await self._tasks.close()
            await self._opening.close()
            if self._notifier is not None:
                await self._notifier.close()
            await self._delivery.close()
            await self._link.close()
        return self._error

    def _open_last(self) -> None:
        last = self.workspace.begin(self._room)
        if last is not None:
            self._open(last, is_read=False)

    async def _work(self) -> None:
        # A line that is there at the start has to find the chats synced.
        await self._settled.wait()
        await self._opened()
        while True:
            try:
                text = await self._input.next()
            except BadLineError as error:
                self.workspace.fail(str(error))
                continue
            if text is None:
                break
            self._transcript.seen()
            if self._notifier is not None:
                self._notifier.active()
            await run(self.workspace, self._registry, text)
            await self._opened()
        await self._drain()
        self.quit()

    async def _opened(self) -> None:
        # So that the output of one line comes before that of the next.
        await self._opening.settled()

    async def _drain(self) -> None:
        with contextlib.suppress(TimeoutError):
            async with asyncio.timeout(DRAIN_SECONDS):
                await self._while(self._is_waiting)
        if not self._is_terminal:
            # A script that pipes in /send wants the file sent, however long that takes;
            # a user who ends the input at a terminal wants to leave.
            await self._while(self._is_moving)

    async def _while(self, is_so: Callable[[], bool]) -> None:
        while is_so() and self.workspace.is_online:
            self._moved.clear()
            await self._moved.wait()

    def _is_waiting(self) -> bool:
        return any(item.state == "waiting" for item in self._link.outbox.items)

    def _is_moving(self) -> bool:
        return any(not each.is_over for each in self._link.transfers.items)

    def _open(self, address: str, is_read: bool) -> None:
        self._opening.spawn(self._transcript.open(address, is_read))

    def _changed(self, change: Change) -> None:
        self._transcript.changed(change)
        if self._notifier is not None:
            self._notifier.changed(change)
        self._moved.set()
        if isinstance(change, SyncDone):
            self._settle()

    def _state_changed(self, state: LinkState) -> None:
        self._transcript.state_changed(state)
        self._moved.set()
        if state.name == "stopped" and state.error is not None:
            self._error = state.error
            self.quit()
        elif state.name == "waiting":
            self._settled.set()

    def _settle(self) -> None:
        room, self._room = self._room, None
        if room is None:
            self._settled.set()
            return
        self._opening.spawn(self._join(room))

    async def _join(self, room: str) -> None:
        await run(self.workspace, self._registry, f"/join {room}")
        self._settled.set()

    def _interrupt(self) -> None:
        if self._is_terminal:
            self._interrupts.press()
        else:
            self.quit()

    def _put(self, text: str) -> None:
        try:
            self._write(text)
        except OSError:
            # The reader of the output is gone.
            self._over.set()


def write_to_stdout(text: str) -> None:
    """Write text at once, in the encoding of the terminal.

    Raises:
        OSError: The reader is gone.
    """
    data = text.encode(sys.stdout.encoding or "utf-8", "replace")
    while data:
        # Past Python's buffer: a line would stay in it until the exit if the reader is
        # gone.
        data = data[os.write(sys.stdout.fileno(), data) :]
