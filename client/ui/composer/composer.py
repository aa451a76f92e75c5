"""The composer: the multi-line message input, with a draft for each chat.

It has the text and the editing keys; what is sent goes to ``on_submit``. Only a key
press of the user sends: nothing that is pasted, completed or edited sends itself.
"""

import asyncio
import os
import time
from collections.abc import Callable, Mapping

from msgspec import Struct
from msgspec.structs import replace
from prompt_toolkit.application import run_in_terminal
from prompt_toolkit.application.current import get_app
from prompt_toolkit.buffer import Buffer
from prompt_toolkit.document import Document
from prompt_toolkit.history import DummyHistory
from prompt_toolkit.key_binding import KeyBindingsBase, KeyPressEvent
from prompt_toolkit.layout import Float

from chatd.system.tasks import Tasks
from client.commands.all_commands import make_registry
from client.commands.context import CommandContext
from client.commands.input import Entered, GoTo, Invocation, Message, parse_input
from client.commands.registry import Registry
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

OnSubmit = Callable[[Entered, int | None], None]
"""Called with what was entered, and the seq of the message that it replies to."""

Handler = Callable[[KeyPressEvent], object]


class _Place(Struct):
    """The state of the input in a chat, beside its draft: the cursor and the reply."""

    cursor: int = 0
    reply_to: Entry | None = None


class Composer:
    """A multi-line input for the open chat.

    Args:
        workspace: Has the open chat and the link.
        on_submit: Called with what the user sends: a message, or a command as typed.
        paths: Where drafts and the input history are kept; None keeps them in memory.
        registry: The commands that are completed; all of them if left out.
        environment: Environment variables, which name the editor.
        clock: Any steady clock, in seconds.

    Attributes:
        buffer: The text that is typed, and its cursor.
        menu: The completion menu.
        container: The composer, for the layout.
        window: The input; focus it to type.
        floats: What the layout must show above everything else: the menu.
        key_bindings: The keys of text input itself; ``window`` has them already.
        handlers: The handlers of the editing actions, by name of the action.
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
        self._tasks = Tasks()
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

    # State ----------------------------------------------------------------------------

    @property
    def is_empty(self) -> bool:
        """Whether nothing is typed."""
        return not self.buffer.text

    @property
    def is_choosing(self) -> bool:
        """Whether it asks what to do with a long text; other keys should do nothing."""
        return self._prompt.is_open

    @property
    def reply_to(self) -> Entry | None:
        """The message that the next message in the open chat replies to."""
        return self._place.reply_to

    @reply_to.setter
    def reply_to(self, entry: Entry | None) -> None:
        self._place.reply_to = entry

    def height(self) -> int:
        """Return its preferred height, in rows."""
        columns, rows = self._workspace.frontend.columns, self._workspace.frontend.rows
        return self.container.preferred_height(columns, rows).preferred

    # Calls of the frontend ------------------------------------------------------------

    def focus(self) -> None:
        """Focus the input, or the question while one is asked."""
        is_choosing = self.is_choosing
        get_app().layout.focus(self._prompt.window if is_choosing else self.window)

    def open(self, address: str | None) -> None:
        """Switch to the input of a chat; that of the chat before is kept."""
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
        """Handle a change of the model: it may add or remove names to complete."""
        self._names.changed(change)

    async def close(self) -> None:
        """Cancel the tasks, and write drafts and history that are not on disk yet."""
        self.menu.close()
        await self._long_text_prompt.close()
        await self._tasks.close()
        self._drafts.close()
        self._history.close()

    # Writing --------------------------------------------------------------------------

    def insert(self, text: str) -> None:
        """Insert a text at the cursor, as one undo step; it is not sent."""
        self.buffer.insert_text(text)

    def clear(self) -> None:
        """Clear the input and the reply; the text is added to the input history."""
        if self.buffer.text.strip():
            self._history.add(self.buffer.text)
        self._empty()
        self.reply_to = None

    def submit(self) -> None:
        """Send what is typed; if it is too long for a message, ask what to do."""
        typed = self.buffer.text
        entered = parse_input(typed, self._workspace.model)
        if entered is None:
            return
        is_message = isinstance(entered, Message)
        if isinstance(entered, Message) and entered.kind == "text":
            if self._is_too_long(entered.text):
                self._long_text_prompt.ask_about_message(
                    entered.text, self._address, self.clear
                )
                return
            if not self._has_chat():
                return
        reply_to = self.reply_to if is_message else None
        self._history.add(typed)
        self._empty()
        if is_message:
            self.reply_to = None
        self._on_submit(self._cleaned(entered), reply_to.seq if reply_to else None)

    def cancel(self) -> bool:
        """Close the menu, or else end the reply; return whether there was one."""
        if self.menu.is_open:
            self.menu.refuse()
        elif self.reply_to is not None:
            self.reply_to = None
        else:
            return False
        return True

    def paste(self, data: str) -> None:
        """Handle a paste: insert it if it is short, else ask what it should become."""
        if self.is_choosing:
            return
        text = paste.normalise(data)
        if paste.needs_choice(text):
            self._long_text_prompt.ask_about_paste(text, self.buffer, self._address)
        else:
            self.insert(paste.as_text(text))

    def open_editor(self) -> None:
        """Edit the text in the user's external editor; the result is not sent."""
        if not self._is_editing:
            self._is_editing = True
            self._tasks.spawn(self._edit(self._address, self.buffer.text))

    # Inside ---------------------------------------------------------------------------

    @property
    def _place(self) -> _Place:
        return self._places.setdefault(self._address or "", _Place())

    def _hint(self) -> str:
        return f"message to {self._address}" if self._address else "/join #room"

    def _has_chat(self) -> bool:
        """Whether a message can be sent; if not, the reason is reported."""
        try:
            CommandContext(self._workspace).opened()
        except CommandError as error:
            self._workspace.fail(str(error))
            return False
        return True

    def _cleaned(self, entered: Entered) -> Entered:
        """Return it with names of emoji replaced, where it is text for people."""
        match entered:
            case Message():
                text = emoji.replace(storable(entered.text))
                return replace(entered, text=text)
            case Invocation():
                arguments = storable(entered.arguments)
                command = self._registry.get(entered.name)
                if command is not None and command.arguments[-1:] == ("text",):
                    arguments = emoji.replace(arguments)
                return replace(entered, arguments=arguments)
            case GoTo():
                return entered

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
            # Load it now, so that sending need not wait for it.
            self._is_loading = True
            self._tasks.spawn(asyncio.to_thread(emoji.load))

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
