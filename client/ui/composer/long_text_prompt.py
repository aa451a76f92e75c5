"""Asks what long pastes and too long messages should become; sends some as files."""

import io
from collections.abc import Callable
from datetime import datetime

from prompt_toolkit.buffer import Buffer

from chatd.protocol.errors import ChatError
from chatd.system.tasks import Tasks
from client.commands.workspace import Workspace
from client.errors import LinkError
from client.ui.composer import paste
from client.ui.composer.choice_prompt import ChoicePrompt


class LongTextPrompt:
    """Asks about long pastes and long messages, and sends them as files.

    Args:
        workspace: Has the link, with the server's limits and the transfers.
        prompt: Shows the question.
        focus: Focuses the question, or the input once it is closed.
    """

    def __init__(
        self, workspace: Workspace, prompt: ChoicePrompt, focus: Callable[[], None]
    ) -> None:
        self._workspace = workspace
        self._prompt = prompt
        self._focus = focus
        self._tasks = Tasks()

    @property
    def max_bytes(self) -> int:
        """The largest text of a message, in bytes of UTF-8."""
        limits = self._workspace.link.limits
        return limits.text if limits else paste.MAX_MESSAGE_BYTES

    def ask_about_paste(self, text: str, buffer: Buffer, address: str | None) -> None:
        """Ask what a paste should become.

        Args:
            text: The paste, normalised.
            buffer: Receives it, unless it becomes a file.
            address: The open chat, if there is one.
        """
        document = buffer.document
        before, after = document.text_before_cursor, document.text_after_cursor
        options = paste.options_for(
            text, before, after, self.max_bytes, self._max_file(address)
        )
        title = f"A paste of {paste.describe(text)}: what is it to be?"
        if len(options) == 1:
            self._workspace.fail(f"{paste.describe(text)} are too much to paste here")
            return

        def chosen(way: paste.Way) -> None:
            self._focus()
            if way == "file" and address is not None:
                self._send(address, text)
            elif way in ("message", "code"):
                is_code = way == "code"
                buffer.save_to_undo_stack()
                buffer.insert_text(
                    paste.as_code(text, before, after)
                    if is_code
                    else paste.as_text(text)
                )

        self._prompt.ask(title, paste.preview(text), options, chosen)
        self._focus()

    def ask_about_message(
        self, text: str, address: str | None, sent: Callable[[], None]
    ) -> None:
        """Ask what to do with a message that is too long.

        Args:
            text: The text of the message.
            address: The open chat, if there is one.
            sent: Called when it is sent as a file.
        """
        size = f"{paste.describe(text)}, and a message holds {self.max_bytes:,} bytes"
        options = paste.options_for(text, "", "", 0, self._max_file(address))
        if len(options) == 1:
            self._workspace.fail(f"too long: {size}. Send it in parts")
            return

        def chosen(way: paste.Way) -> None:
            self._focus()
            if way == "file" and address is not None:
                sent()
                self._send(address, text)

        self._prompt.ask(f"Too long: {size}", paste.preview(text), options, chosen)
        self._focus()

    async def close(self) -> None:
        """Wait until all texts that are sent as files are on disk."""
        await self._tasks.settled()

    def _max_file(self, address: str | None) -> int | None:
        limits = self._workspace.link.limits
        return limits.upload if limits and address else None

    def _send(self, address: str, text: str) -> None:
        self._tasks.spawn(self._send_file(address, text))

    async def _send_file(self, address: str, text: str) -> None:
        name = paste.file_name(datetime.now().astimezone())
        data = io.BytesIO(paste.normalise(text).encode())
        try:
            await self._workspace.link.transfers.send_stream(address, data, name)
        except (ChatError, LinkError, OSError) as error:
            self._workspace.fail(f"{name} was not sent: {error}")
