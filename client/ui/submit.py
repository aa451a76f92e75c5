"""Sends entered messages and runs commands, in order, for the chat of the Enter key."""

import asyncio
import contextlib
import logging
from collections.abc import Callable
from typing import NamedTuple

from chatd.protocol.errors import ChatError
from client.commands.context import CommandContext
from client.commands.dispatch import carry_out
from client.commands.input import Entered, Invocation, Message
from client.commands.registry import Registry
from client.commands.workspace import Workspace
from client.errors import LinkError

logger = logging.getLogger(__name__)

DRAIN_SECONDS = 5.0
"""How long the shutdown waits until the link has accepted all messages."""


class _Sending(NamedTuple):
    chat: str
    message: Message
    reply_to: int | None


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
        self._commands: asyncio.Queue[tuple[CommandContext, Entered]] = asyncio.Queue()
        self._messages: asyncio.Queue[_Sending] = asyncio.Queue()

    def submit(self, entered: Entered, reply_to: int | None = None) -> None:
        """Queue what was entered in the open chat; ``/quit`` acts now."""
        context = CommandContext(self._workspace)
        if isinstance(entered, Message) and context.current is not None:
            self._messages.put_nowait(_Sending(context.current, entered, reply_to))
        elif self._is_end(entered):
            # It must not wait behind a command whose server does not answer.
            self._workspace.frontend.quit()
        else:
            self._commands.put_nowait((context, entered))

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
            context, entered = await self._commands.get()
            try:
                await carry_out(context, self._registry, entered)
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

    def _is_end(self, entered: Entered) -> bool:
        if not isinstance(entered, Invocation):
            return False
        found = self._registry.get(entered.name)
        return found is not None and found.name == "quit"

    async def _send(self, sending: _Sending) -> None:
        chat, message, reply_to = sending
        text = message.text
        try:
            await self._workspace.link.send(chat, text, message.kind, reply_to=reply_to)
        except ChatError as error:
            self._on_refused(chat, text, error.reason)
        except LinkError as error:
            self._on_refused(chat, text, str(error))
        except Exception as error:
            logger.exception("sending a message failed")
            self._on_refused(chat, text, f"it went wrong inside: {error!r}")
