"""The workspace that commands act on: a link, the open chat, and a frontend.

Commands know nothing of the terminal; a frontend (full screen, line mode, plain mode)
shows their output. So all frontends share one set of commands.
"""

import time
from collections.abc import Callable, Iterable, Sequence
from typing import Protocol

from msgspec import Struct

from chatd.protocol.errors import BadNameError
from chatd.protocol.messages import FileItem
from chatd.protocol.names import parse_address, parse_user_name
from client.link.link import Link
from client.model.chat import Chat
from client.model.entries import Entry, OutboxItem
from client.model.model import Model
from client.storage.preferences import Preferences
from client.text.entries import Look, entry_lines, item_lines, notice_lines
from client.text.styles import Line


class CommandError(Exception):
    """A command cannot be executed; the text says why, and what to do instead."""


class FilesListed(Struct, frozen=True):
    """The files that ``/files`` listed last, whose numbers ``/get`` takes.

    Attributes:
        chat: The address of their chat.
        items: In the order in which they were listed.
        is_more: Whether there are older ones.
    """

    chat: str
    items: list[FileItem]
    is_more: bool


class Frontend(Protocol):
    """What a workspace needs of the frontend that shows it."""

    @property
    def columns(self) -> int:
        """The width of a line in cells; 0 for lines that are not wrapped."""

    @property
    def rows(self) -> int:
        """How many lines are visible at once."""

    def show(self, lines: Iterable[Line]) -> None:
        """Show lines below those that were shown before."""

    def opened(self, address: str) -> None:
        """Show the chat that is open now."""

    def clear(self) -> None:
        """Clear the screen; the model keeps everything."""

    def quit(self) -> None:
        """End the program cleanly."""


class Workspace:
    """The open chat and what can be done from it.

    Args:
        link: The link to the server; need not be started yet.
        server: The server's address as preferences know it.
        preferences: This device's.
        frontend: Shows all output.
        clock: The wall clock, in seconds; it says which day is today.

    Attributes:
        current: The address of the open chat, None before the first.
        listed: Public rooms seen in the last list, for completion.
        files_listed: The last list of files, None after another chat was opened.
        begun: The ids of the transfers that the user started in this run.
    """

    def __init__(
        self,
        link: Link,
        server: str,
        preferences: Preferences,
        frontend: Frontend,
        clock: Callable[[], float] = time.time,
    ) -> None:
        self.link = link
        self.server = server
        self.preferences = preferences
        self.frontend = frontend
        self._clock = clock
        self.current: str | None = None
        self.listed: list[str] = []
        self.files_listed: FilesListed | None = None
        self.begun: set[int] = set()

    @property
    def model(self) -> Model:
        """What the client knows of chats and users."""
        return self.link.model

    @property
    def chat(self) -> Chat | None:
        """The open chat, if there is one and the server knows it."""
        return self.model.chats.get(self.current) if self.current else None

    @property
    def look(self) -> Look:
        """The settings by which lines are laid out now."""
        return Look(
            columns=self.frontend.columns,
            time_format=self.preferences.time_format,
            me=self.model.me,
        )

    @property
    def is_online(self) -> bool:
        """Whether requests can be answered now."""
        return self.link.state.name == "online"

    @property
    def now_ms(self) -> int:
        """The wall clock's time in milliseconds, for days and ages; never for order."""
        return int(self._clock() * 1_000)

    # Output ---------------------------------------------------------------------------

    def say(self, *texts: str) -> None:
        """Show notices of the program, a line for each text."""
        for text in texts:
            self.frontend.show(notice_lines(text, self.look))

    def fail(self, text: str) -> None:
        """Show an error."""
        self.frontend.show(notice_lines(text, self.look, "class:error"))

    def show_entries(self, entries: Iterable[Entry], is_named: bool = False) -> None:
        """Show entries; ``is_named`` adds to each the chat that it is from."""
        lines: list[Line] = []
        for entry in entries:
            lines += self.lines_of(entry, is_named=is_named)
        self.frontend.show(lines)

    def lines_of(
        self, entry: Entry, *, is_named: bool = False, mark: str = ""
    ) -> list[Line]:
        """Return an entry as this workspace shows it."""
        chat = self.model.chats.get(entry.chat)
        quoted = chat.entry(entry.reply_to) if chat and entry.reply_to else None
        return entry_lines(
            entry,
            self.look,
            is_named=is_named,
            is_mention=self.model.mentions_me(entry),
            mark=mark,
            quoted=quoted,
        )

    def lines_of_item(self, item: OutboxItem) -> list[Line]:
        """Return an outbox item as this workspace shows it, with its state."""
        return item_lines(item, self.look, is_named=item.chat != self.current)

    # Names and addresses --------------------------------------------------------------

    def find_chat(self, text: str) -> str:
        """Return the address of the chat meant by ``#ops``, ``@bob`` or ``bob``.

        A bare name is one of the user's chats, a room first, or else another user.

        Raises:
            CommandError: It is not a valid name.
        """
        if not text.startswith(("#", "@")):
            known = [a for a in (f"#{text}", f"@{text}") if a in self.model.chats]
            text = known[0] if known else f"@{text}"
        try:
            kind, name = parse_address(text)
        except BadNameError as error:
            raise CommandError(f"{text}: {error.reason}") from error
        return f"{'#' if kind == 'room' else '@'}{name}"

    def find_room(self, text: str) -> str:
        """Return the address of the room meant, with or without ``#``.

        Raises:
            CommandError: It is not a valid room name.
        """
        if text.startswith("@"):
            raise CommandError(f"{text} is a person; a room begins with #")
        return self.find_chat(text if text.startswith("#") else f"#{text}")

    def find_user(self, text: str) -> str:
        """Return the name of the user meant, with or without ``@``.

        Raises:
            CommandError: It is not a valid user name.
        """
        try:
            return parse_user_name(text.removeprefix("@"))
        except BadNameError as error:
            raise CommandError(f"{text}: {error.reason}") from error

    def people(self) -> set[str]:
        """Return the names of all users that this client knows, the user's own too."""
        names = set(self.model.presence) | {self.model.me}
        for chat in self.model.chats.values():
            if chat.is_direct:
                names.add(chat.name)
            names.update(chat.members or ())
        if self.chat is not None:
            names.update(entry.sender for entry in self.chat.entries)
        return names - {""}

    # Actions --------------------------------------------------------------------------

    def begin(self, room: str | None) -> str | None:
        """Reopen the chat of the last run from the cache, before there is a connection.

        Args:
            room: The room to open instead.

        Returns:
            Its address, if there are entries of it to show.
        """
        last = room or self.preferences.last_chat(self.server, self.model.me)
        chats = self.model.chats
        if last is None or (last.startswith("#") and last not in chats):
            return None
        self.current = last
        self.link.history.load_cached(last)
        return last if last in chats and chats[last].entries else None

    def switch(self, address: str) -> None:
        """Make a chat the open one, show it, and remember it for the next start."""
        self.current = address
        self.files_listed = None
        self.preferences.remember_chat(self.server, self.model.me, address)
        self.link.history.load_cached(address)
        self.frontend.opened(address)

    def mark_read(self, address: str | None = None) -> None:
        """Move the cursor of a chat (the open one) to its newest entry in memory."""
        chat = self.model.chats.get(address or self.current or "")
        if chat is not None and chat.newest is not None:
            self.link.mark_read(chat.address, chat.newest.seq)

    def unread(self) -> Sequence[Chat]:
        """Return the chats with unread messages: mentions first, then direct chats."""
        chats = [chat for chat in self.model.chats.values() if chat.unread]
        return sorted(chats, key=lambda c: (not c.mentions, not c.is_direct, c.address))
