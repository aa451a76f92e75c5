"""The composer: where one writes, in each chat with what was begun there.

It holds the text and the keys of writing; what is sent goes to ``on_submit``. Only a
person sends: nothing that is pasted, completed, or comes back from the editor does.
"""

import asyncio
import os
import time
from collections.abc import Callable, Coroutine, Mapping
from typing import Any

from msgspec import Struct
from prompt_toolkit.application import run_in_terminal
from prompt_toolkit.application.current import get_app
from prompt_toolkit.buffer import Buffer
from prompt_toolkit.document import Document
from prompt_toolkit.history import DummyHistory
from prompt_toolkit.key_binding import KeyBindingsBase, KeyPressEvent
from prompt_toolkit.layout import Float

from client.commands.registry import Registry, plain_text, split_command
from client.commands.table import make_registry
from client.commands.workspace import CommandError, Workspace
from client.model.changes import Change
from client.model.entries import Entry
from client.storage.deferred_file import storable
from client.storage.paths import Paths
from client.ui.composer import emoji, paste
from client.ui.composer.choice_prompt import ChoicePrompt
from client.ui.composer.completion import ChatCompleter
from client.ui.composer.completion_menu import CompletionMenu
from client.ui.composer.drafts import Drafts
from client.ui.composer.editor import EditorError, edit, editor_words
from client.ui.composer.input_history import InputHistory
from client.ui.composer.input_keys import InputBuffer, InputKeys
from client.ui.composer.layout import ComposerLayout
from client.ui.composer.long_text_prompt import LongTextPrompt
from client.ui.composer.name_index import NameIndex

OnSubmit = Callable[[str, int | None], None]
"""Takes what was entered, and the seq of what it replies to."""

Handler = Callable[[KeyPressEvent], object]


class _Place(Struct):
    """Where one was in a chat: the cursor, and what one replies to."""

    cursor: int = 0
    reply_to: Entry | None = None


class Composer:
    """A multi-line input for the open chat.

    Args:
        workspace: The open chat, and what can be done there.
        on_submit: Told what a person sends: a message, or a command as it was typed.
        paths: Where drafts and what was typed are kept; None keeps them in memory.
        registry: The commands that are completed; all of them if left out.
        environment: Says which editor to use.
        clock: Any steady clock, in seconds.

    Attributes:
        buffer: What is typed.
        menu: The words that are offered.
        container: The composer, for the layout.
        window: Where one types; what is to have the focus.
        floats: For the floats around everything else.
        key_bindings: The keys that belong to typing itself, in ``window`` already.
        handlers: By name of the action, what the keys of writing do.
    """

    def __init__(
        self,
        workspace: Workspace,
        on_submit: OnSubmit,
        paths: Paths | None,
        *,
        registry: Registry | None = None,
        environment: Mapping[str, str] | None = None,
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        self._workspace = workspace
        self._on_submit = on_submit
        self._environment = os.environ if environment is None else environment
        self._registry = registry or make_registry()
        self._address: str | None = None
        self._places: dict[str, _Place] = {}
        self._tasks: set[asyncio.Task[None]] = set()
        self._is_editing = False
        self._is_loading = False
        drafts = typed = None
        if paths is not None:
            who = workspace.server, workspace.model.me
            drafts, typed = paths.drafts(*who), paths.typed(*who)
        self._drafts = Drafts(drafts, workspace.fail)
        self._history = InputHistory(typed, workspace.fail)
        self._names = NameIndex(workspace)
        self.buffer: Buffer = InputBuffer(
            multiline=True, history=DummyHistory(), name="composer"
        )
        self.menu = CompletionMenu(
            self.buffer, ChatCompleter(workspace, self._registry, self._names)
        )
        self.buffer.on_text_changed += self._text_changed
        keys = InputKeys(self.buffer, self.menu, clock, self.submit, self.paste)
        self.handlers: dict[str, Handler] = {
            "send": keys.enter,
            "newline": lambda event: self.insert("\n"),
            "complete": keys.tab,
            "complete-back": lambda event: self.menu.advance(-1),
            "history-back": lambda event: self._recall(self._history.back),
            "history-forward": lambda event: self._recall(self._history.forward),
            "editor": lambda event: self.open_editor(),
            "end-reply": lambda event: self.cancel(),
        }
        self.key_bindings: KeyBindingsBase = keys.bindings()
        self._prompt = ChoicePrompt()
        self._long_text_prompt = LongTextPrompt(workspace, self._prompt, self.focus)
        self._layout = ComposerLayout(
            self.buffer,
            self._prompt,
            self.key_bindings,
            reply_to=lambda: self.reply_to,
            hint=self._hint,
        )
        self.container = self._layout.container
        self.window = self._layout.window
        self.floats: list[Float] = [self.menu.float_in(self.window)]

    # How it is ------------------------------------------------------------------------

    @property
    def is_empty(self) -> bool:
        """Whether nothing is typed."""
        return not self.buffer.text

    @property
    def is_choosing(self) -> bool:
        """Whether it asks what to do with a paste; other keys should do nothing."""
        return self._prompt.is_open

    @property
    def reply_to(self) -> Entry | None:
        """What is replied to with the next message in the open chat."""
        return self._place.reply_to

    @reply_to.setter
    def reply_to(self, entry: Entry | None) -> None:
        self._place.reply_to = entry

    def height(self) -> int:
        """Return how many rows it takes now."""
        columns, rows = self._workspace.frontend.columns, self._workspace.frontend.rows
        return self.container.preferred_height(columns, rows).preferred

    # What others tell it --------------------------------------------------------------

    def focus(self) -> None:
        """Have the keys: to type, or to answer what is asked."""
        is_choosing = self.is_choosing
        get_app().layout.focus(self._prompt.window if is_choosing else self.window)

    def open(self, address: str | None) -> None:
        """Go to a chat: what was begun in the one before stays there."""
        self._prompt.close()
        self._place.cursor = self.buffer.cursor_position
        self._address = address
        self._history.open(address or "")
        self._names.open(address)
        self.menu.close()
        text = self._drafts.get(address or "")
        place = self._places.get(address or "")
        at = len(text) if place is None else min(place.cursor, len(text))
        self.buffer.reset(Document(text, at))
        get_app().invalidate()

    def changed(self, change: Change) -> None:
        """Take in a change of the model: who and what can be completed."""
        self._names.changed(change)

    async def close(self) -> None:
        """Write down what is not on the disk yet; at the end of the program."""
        self.menu.close()
        await self._long_text_prompt.close()
        for task in self._tasks:
            task.cancel()
        await asyncio.gather(*self._tasks, return_exceptions=True)
        self._drafts.close()
        self._history.close()

    # Writing --------------------------------------------------------------------------

    def insert(self, text: str) -> None:
        """Put a text at the cursor, in one step that can be undone; it is not sent."""
        self.buffer.insert_text(text)

    def clear(self) -> None:
        """Empty it, and reply to nothing; what was typed is had back by Ctrl+Up."""
        if self.buffer.text.strip():
            self._history.add(self.buffer.text)
        self._empty()
        self.reply_to = None

    def submit(self) -> None:
        """Send what is typed; a text that is too long for a message is asked about."""
        typed = self.buffer.text
        if not typed.strip():
            return
        command = split_command(typed)
        if command is None and self._is_too_long(plain_text(typed).strip()):
            self._long_text_prompt.ask_about_message(
                plain_text(typed), self._address, self.clear
            )
            return
        if command is None:
            is_message = self._workspace.address_alone(typed) is None
            if is_message and not self._has_chat():
                return
        else:
            is_message = command[0].lower() == "me"
        reply_to = self.reply_to if is_message else None
        self._history.add(typed)
        self._empty()
        if is_message:
            self.reply_to = None
        text = storable(typed)
        if command is None or self._takes_text(command[0]):
            text = emoji.replace(text)
        self._on_submit(text, reply_to.seq if reply_to else None)

    def cancel(self) -> bool:
        """End what is under way: the menu, else the reply; whether there was one."""
        if self.menu.is_open:
            self.menu.refuse()
        elif self.reply_to is not None:
            self.reply_to = None
        else:
            return False
        return True

    def paste(self, data: str) -> None:
        """Take in a paste: at once if it is short, else ask what to make of it."""
        if self.is_choosing:
            return
        text = paste.normalise(data)
        if paste.needs_choice(text):
            self._long_text_prompt.ask_about_paste(text, self.buffer, self._address)
        else:
            self.insert(paste.as_text(text))

    def open_editor(self) -> None:
        """Go on writing in one's own editor; what it leaves is not sent."""
        if not self._is_editing:
            self._is_editing = True
            self._spawn(self._edit(self._address, self.buffer.text))

    # Inside ---------------------------------------------------------------------------

    @property
    def _place(self) -> _Place:
        return self._places.setdefault(self._address or "", _Place())

    def _hint(self) -> str:
        return f"message to {self._address}" if self._address else "/join #room"

    def _has_chat(self) -> bool:
        """Whether a message can be sent; if it cannot, it is said why."""
        try:
            self._workspace.opened()
        except CommandError as error:
            self._workspace.fail(str(error))
            return False
        return True

    def _takes_text(self, name: str) -> bool:
        command = self._registry.get(name)
        return command is not None and command.arguments[-1:] == ("text",)

    def _is_too_long(self, text: str) -> bool:
        return paste.size_of(emoji.replace(text)) > self._long_text_prompt.max_bytes

    def _recall(self, move: Callable[[str], str | None]) -> None:
        text = move(self.buffer.text)
        if text is not None:
            self.menu.is_quiet = True
            self.buffer.document = Document(text)
            self.menu.is_quiet = False

    def _text_changed(self, buffer: Buffer) -> None:
        text = buffer.text
        self._drafts.put(self._address or "", text)
        if self._address and text and not text.startswith("/"):
            self._workspace.link.typing(self._address)
        if ":" in text and not emoji.is_loaded() and not self._is_loading:
            # So that sending does not have to wait for it.
            self._is_loading = True
            self._spawn(asyncio.to_thread(emoji.load))

    def _empty(self) -> None:
        self.menu.close()
        self.buffer.reset()
        self._drafts.put(self._address or "", "")
        get_app().invalidate()

    async def _edit(self, address: str | None, text: str) -> None:
        try:
            words = editor_words(self._environment)
            edited = await run_in_terminal(
                lambda: edit(storable(text), words), in_executor=True
            )
        except EditorError as error:
            self._workspace.fail(str(error))
            return
        finally:
            self._is_editing = False
        if address != self._address:
            self._drafts.put(address or "", edited)
            return
        self.buffer.save_to_undo_stack()
        self.buffer.document = Document(edited)

    def _spawn(self, work: Coroutine[Any, Any, None]) -> None:
        task = asyncio.get_running_loop().create_task(work)
        self._tasks.add(task)
        task.add_done_callback(self._tasks.discard)
