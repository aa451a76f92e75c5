"""Sends entered messages and runs commands, in order, for the chat of the Enter key."""

import asyncio
import contextlib
import logging
from collections.abc import Callable
from typing import Any, Literal, NamedTuple

from chatd.protocol.errors import ChatError
from client.commands import Registry, run
from client.commands.registry import plain_text, split_command
from client.commands.workspace import Workspace
from client.errors import LinkError

logger = logging.getLogger(__name__)

DRAIN_SECONDS = 5.0
"""How long the shutdown waits until the link has accepted all messages."""


class _Message(NamedTuple):
    chat: str
    text: str
    kind: Literal["text", "action"]
    reply_to: int | None


class EnteredAt(Workspace):
    """A workspace whose open chat is the one where a command was entered.

    The command may have to wait for another one, and the user may open another chat
    meanwhile: the command still applies to the chat that was open. All but ``current``
    is shared: setting any other attribute sets it in the workspace itself too.

    Args:
        whole: The workspace itself.
    """

    _whole: Workspace

    def __init__(self, whole: Workspace) -> None:
        vars(self).update(vars(whole))
        vars(self)["_whole"] = whole

    def __setattr__(self, name: str, value: Any) -> None:
        vars(self)[name] = value
        if name != "current":
            setattr(self._whole, name, value)

    def switch(self, address: str) -> None:
        """Make a chat the open one, here and in the workspace itself."""
        self.current = address
        self._whole.switch(address)


class Submitter:
    """Sends messages and runs commands, each kind in order of entry.

    There is a queue for each kind, so a command that waits for the server delays no
    message.

    Args:
        workspace: Where they are entered.
        registry: The commands.
        on_refused: Called with chat, text and reason for each message that the link
            did not accept.
    """

    def __init__(
        self,
        workspace: Workspace,
        registry: Registry,
        on_refused: Callable[[str, str, str], None],
    ) -> None:
        self._workspace = workspace
        self._registry = registry
        self._on_refused = on_refused
        self._commands: asyncio.Queue[tuple[Workspace, str]] = asyncio.Queue()
        self._messages: asyncio.Queue[_Message] = asyncio.Queue()

    def submit(self, text: str, reply_to: int | None = None) -> None:
        """Queue a message or command entered in the open chat; ``/quit`` acts now."""
        message = self._message(text, reply_to)
        if message is not None:
            self._messages.put_nowait(message)
        elif self._is_end(text):
            # It must not wait behind a command whose server does not answer.
            self._workspace.frontend.quit()
        else:
            self._commands.put_nowait((EnteredAt(self._workspace), text))

    async def send(self) -> None:
        """Send messages, until cancelled."""
        while True:
            message = await self._messages.get()
            try:
                await self._send(message)
            finally:
                self._messages.task_done()

    async def run_commands(self) -> None:
        """Run commands, until cancelled."""
        while True:
            workspace, text = await self._commands.get()
            try:
                await run(workspace, self._registry, text)
            except Exception as error:
                logger.exception("a command failed")
                self._workspace.fail(f"that went wrong inside: {error!r}")

    async def drain(self) -> None:
        """Wait until the link has accepted all messages, while ``send`` is running.

        Gives up after ``DRAIN_SECONDS``.
        """
        with contextlib.suppress(TimeoutError):
            async with asyncio.timeout(DRAIN_SECONDS):
                await self._messages.join()

    def _message(self, text: str, reply_to: int | None) -> _Message | None:
        chat, command = self._workspace.current, split_command(text)
        if chat is None:
            return None
        if command is None:
            said = plain_text(text).strip("\n").rstrip()
            if self._workspace.address_alone(text) is not None:
                return None
            return _Message(chat, said, "text", reply_to)
        name, said = command
        if name.lower() == "me" and said:
            return _Message(chat, said, "action", reply_to)
        return None

    def _is_end(self, text: str) -> bool:
        command = split_command(text)
        found = self._registry.get(command[0]) if command is not None else None
        return found is not None and found.name == "quit"

    async def _send(self, message: _Message) -> None:
        chat, text, kind, reply_to = message
        try:
            await self._workspace.link.send(chat, text, kind, reply_to=reply_to)
        except ChatError as error:
            self._on_refused(chat, text, error.reason)
        except LinkError as error:
            self._on_refused(chat, text, str(error))
        except Exception as error:
            logger.exception("sending a message failed")
            self._on_refused(chat, text, f"it went wrong inside: {error!r}")
